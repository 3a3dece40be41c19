//! What the group is to keep, and what it kept.
//!
//! What is to be committed stands in each position until the broker has it: a later commit overwrites an earlier one that
//! has not gone out, and nothing is lost with a connection.

use super::{Verdict, verdict};
use crate::config::OffsetReset;
use crate::consumer::ask::Mark;
use crate::consumer::assign::Start;
use crate::consumer::table::{Offset, Position, Reading};
use crate::consumer::{CommitError, ConsumeFault};
use crate::exchange::Topic;
use crate::pool::Seat;
use crate::protocol::{ApiKey, ErrorCode, offset_commit, offset_fetch};
use crate::state::{Platform, State, Wait};
use crate::time::Instant;
use core::task::Waker;

/// Bytes of one partition in a request, its topic's entry but for the name included.
const PARTITION_BYTES: usize = 40;

/// Bytes of a request beside its partitions and the group's name.
const REQUEST_BYTES: usize = 160;

impl<P: Platform> State<P> {
    /// Takes down that all that was handed out is to be committed. Numbers for [`State::poll_commit`].
    pub(crate) fn commit(&mut self) -> Result<(u16, u16), CommitError> {
        let closing = self.s.closing;
        for position in self.known_positions().iter_mut() {
            // Also what was committed before: a request of an old connection may have come after it. Once it is closed
            // nobody sends it: then only what the group does not keep is missing.
            let is_kept = closing && position.committed == Some(Offset::new(position.next));
            if position.is_known() && !is_kept {
                position.commit = Some((Offset::new(position.next), position.next_epoch));
            }
        }
        self.want_commits()
    }

    /// Takes these down instead: all of them or none.
    pub(crate) fn commit_offsets(&mut self, offsets: &[(Topic, i32, i64)]) -> Result<(u16, u16), CommitError> {
        for &(topic, partition, offset) in offsets {
            if self.position_place(topic, partition).is_none() {
                return Err(CommitError::Unassigned { topic, partition });
            }
            if offset < 0 {
                return Err(CommitError::NegativeOffset { topic, partition, offset });
            }
        }
        for &(topic, partition, offset) in offsets {
            if let Some(place) = self.position_place(topic, partition) {
                let position = &mut self.positions[place];
                // Only of the last record that was handed out is the epoch known.
                let epoch = if offset == position.next { position.next_epoch } else { -1 };
                position.commit = Some((Offset::new(offset), epoch));
            }
        }
        self.s.consumer.group.by_hand = true;
        self.want_commits()
    }

    /// At the close: all that was handed out, unless somebody says himself what is to be committed.
    pub(crate) fn last_commit(&mut self) -> Result<(u16, u16), CommitError> {
        if self.s.consumer.group.by_hand { self.want_commits() } else { self.commit() }
    }

    fn want_commits(&mut self) -> Result<(u16, u16), CommitError> {
        if !self.has_group() {
            self.known_positions().iter_mut().for_each(|position| position.commit = None);
            return Err(CommitError::NoGroup);
        }
        self.want_group();
        Ok((self.s.consumer.group.refused, self.s.consumer.group.settled))
    }

    /// Whether all that was to be committed is, or was since.
    pub(crate) fn poll_commit(
        &mut self,
        (refused_before, settled_before): (u16, u16),
        (now, deadline): (Instant, Instant),
        seat: &mut Seat,
        waker: &Waker,
        replaced: &mut Option<Waker>,
    ) -> Wait<Result<(), CommitError>> {
        let group = &self.s.consumer.group;
        if group.refused != refused_before {
            return Wait::Ready(Err(CommitError::Refused(group.refusal)));
        }
        if group.settled != settled_before || self.has_committed() {
            return Wait::Ready(Ok(()));
        }
        if self.s.closing {
            return Wait::Ready(Err(CommitError::Closed));
        }
        if deadline <= now {
            return Wait::Ready(Err(CommitError::TimedOut { connection: self.group_trouble() }));
        }
        self.wait_for_room(seat, waker, replaced, deadline)
    }

    /// What the group keeps, as far as it was told or asked.
    pub(crate) fn committed(&self, topic: Topic, partition: i32) -> Option<i64> {
        self.positions[self.position_place(topic, partition)?].committed.map(Offset::get)
    }

    /// Marks the positions that go with the next request, as many as it has room for; whether there are any.
    pub(super) fn mark_for_group(&mut self, frame: usize, wanted: impl Fn(&Position) -> bool) -> bool {
        let mut bytes = REQUEST_BYTES + self.settings.group_id().len();
        let mut marked = false;
        for place in 0..self.known_positions().len() {
            self.positions[place].fresh = false;
            if !wanted(&self.positions[place]) {
                continue;
            }
            let topic = self.cluster.partitions[place].topic();
            bytes += PARTITION_BYTES + self.cluster.name(topic).len();
            self.positions[place].fresh = bytes <= frame || !marked;
            marked |= self.positions[place].fresh;
        }
        marked
    }

    pub(super) fn recall(&mut self, slot: usize, version: i16, now: Instant, frame: &mut [u8]) -> Option<usize> {
        // Positions that an open transaction may yet change are waited for by those who read what is committed only.
        let stable = self.reads_committed();
        let sent = self.ask(slot, now, frame, ApiKey::OffsetFetch, version, |state, writer| {
            let marked = state.marked(0, Mark::Fresh);
            let wanted = marked.map(|(entry, _)| (state.cluster.name(entry.topic()), entry.index));
            offset_fetch::request(writer, version, state.settings.group_id(), stable, wanted);
        });
        self.known_positions().iter_mut().for_each(|position| position.fresh = false);
        sent
    }

    pub(super) fn ask_to_commit(&mut self, slot: usize, version: i16, now: Instant, frame: &mut [u8]) -> Option<usize> {
        let sent = self.ask(slot, now, frame, ApiKey::OffsetCommit, version, |state, writer| {
            let wanted = state.marked(0, Mark::Fresh).filter_map(|(entry, position)| {
                let (offset, leader_epoch) = position.commit?;
                let (topic, index, offset) = (state.cluster.name(entry.topic()), entry.index, offset.get());
                Some(offset_commit::Position { topic, index, offset, leader_epoch, metadata: None })
            });
            offset_commit::request(writer, version, state.settings.group_id(), wanted);
        });
        for position in self.known_positions().iter_mut().filter(|position| position.fresh) {
            position.fresh = false;
            position.committing = position.commit.filter(|_| sent.is_some());
        }
        sent
    }

    // Not inlined into `receive`, which then would have copies of much else: 0.8 KB of flash.
    #[inline(never)]
    pub(crate) fn recalled(&mut self, place: usize, error: ErrorCode, kept: (i64, i32), now: Instant) {
        // Also of a place that nobody wants any more.
        self.s.consumer.group.heard = true;
        if self.positions[place].reading != Reading::Recalling {
            return;
        }
        if self.positions[place].commit.is_some() {
            // It was asked before somebody said what is to be kept: it is asked again when that is.
            return;
        }
        if error != ErrorCode::NONE {
            return match verdict(error) {
                Verdict::Refused => self.fail_reading(place, -1, ConsumeFault::Refused(error)),
                _ => self.group_failed(error, now),
            };
        }
        let (offset, epoch) = kept;
        self.s.consumer.group.failures = 0;
        if offset < 0 {
            return self.reset_reading(place, ConsumeFault::NotCommitted);
        }
        let position = &mut self.positions[place];
        (position.reading, position.committed) = (Reading::Going, Some(Offset::new(offset)));
        (position.next, position.fetch) = (offset, offset);
        (position.next_epoch, position.epoch) = (epoch, epoch);
        self.reread(place);
        self.tell_room();
    }

    pub(crate) fn commit_answered(&mut self, place: usize, error: ErrorCode, now: Instant) {
        let position = &mut self.positions[place];
        let Some(committing) = position.committing.take() else { return };
        self.s.consumer.group.heard = true;
        if error == ErrorCode::NONE {
            position.committed = Some(committing.0);
            position.commit = position.commit.filter(|&commit| commit != committing);
            self.s.consumer.group.failures = 0;
        } else if let Verdict::Refused = verdict(error) {
            self.refuse_commit(place, error);
        } else {
            self.group_failed(error, now);
        }
    }

    pub(super) fn refuse_commit(&mut self, place: usize, error: ErrorCode) {
        self.positions[place].commit = None;
        self.s.consumer.group.refused = self.s.consumer.group.refused.wrapping_add(1);
        self.s.consumer.group.refusal = error;
    }

    /// The partition is read from where `auto.offset.reset` says; the fault is what it is if that is nowhere.
    pub(crate) fn reset_reading(&mut self, place: usize, fault: ConsumeFault) {
        match self.settings.offset_reset {
            OffsetReset::Earliest => self.jump(place, Start::Beginning),
            OffsetReset::Latest => self.jump(place, Start::End),
            OffsetReset::None => {
                let next = self.positions[place].next;
                self.fail_reading(place, next, fault);
            }
        }
    }
}
