//! Positions that a group keeps: OffsetFetch and OffsetCommit, as of a consumer that assigns its partitions itself.
//!
//! One request at a time goes to the group's coordinator, over a connection of its own. Who that is FindCoordinator tells,
//! asked over any connection, and again whenever the coordinator says that it is none or is lost.
//!
//! What is to be committed stands in each position until the broker has it: a later commit overwrites an earlier one that
//! has not gone out, and nothing is lost with a connection.

use super::ask::Mark;
use super::assign::Start;
use super::table::{Offset, Position, Reading};
use super::{CommitError, ConsumeFault};
use crate::config::OffsetReset;
use crate::connection::{Connection, ConnectionError, Phase, backoff_millis};
use crate::pool::{Link, Seat};
use crate::producer::{Topic, Wait};
use crate::protocol::{ApiKey, ErrorCode, find_coordinator, offset_commit, offset_fetch};
use crate::state::{Platform, State};
use crate::time::Instant;
use core::task::Waker;

/// Bytes of one partition in a request, its topic's entry but for the name included.
const PARTITION_BYTES: usize = 40;

/// Bytes of a request beside its partitions and the group's name.
const REQUEST_BYTES: usize = 160;

/// What is known of the group.
pub(crate) struct Group {
    /// The coordinator's place in the table of brokers, and whether the address there is the one that was told last.
    pub(crate) broker: Link,
    known: bool,
    /// There is something to ask or to commit.
    wanted: bool,
    /// The connection slot over which a request is out.
    asked: Link,
    /// Its answer has said something of what was asked.
    heard: bool,
    failures: u8,
    retry_at: Instant,
    /// Somebody has said which offsets to commit.
    by_hand: bool,
    /// Positions that a broker did not want to keep, wrapping, and what it said of the last one.
    refused: u32,
    refusal: ErrorCode,
}

impl Group {
    pub(crate) const NONE: Group = Group {
        broker: Link::NONE,
        known: false,
        wanted: false,
        asked: Link::NONE,
        heard: false,
        failures: 0,
        retry_at: Instant::ZERO,
        by_hand: false,
        refused: 0,
        refusal: ErrorCode::NONE,
    };
}

/// What an error code of the coordinator means.
enum Verdict {
    /// Another broker is to be asked.
    Elsewhere,
    /// The same one, after a while.
    Again,
    Refused,
}

fn verdict(code: ErrorCode) -> Verdict {
    use ErrorCode as E;
    match code {
        E::NOT_COORDINATOR | E::COORDINATOR_NOT_AVAILABLE => Verdict::Elsewhere,
        E::COORDINATOR_LOAD_IN_PROGRESS
        | E::REQUEST_TIMED_OUT
        | E::UNSTABLE_OFFSET_COMMIT
        | E::NOT_ENOUGH_REPLICAS
        | E::THROTTLING_QUOTA_EXCEEDED
        | E::REBALANCE_IN_PROGRESS => Verdict::Again,
        _ => Verdict::Refused,
    }
}

impl<P: Platform> State<P> {
    /// Takes down that all that was handed out is to be committed. A number for [`State::poll_commit`].
    pub(crate) fn commit(&mut self) -> Result<u32, CommitError> {
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
    pub(crate) fn commit_offsets(&mut self, offsets: &[(Topic, i32, i64)]) -> Result<u32, CommitError> {
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
    pub(crate) fn last_commit(&mut self) -> Result<u32, CommitError> {
        if self.s.consumer.group.by_hand { self.want_commits() } else { self.commit() }
    }

    fn want_commits(&mut self) -> Result<u32, CommitError> {
        if !self.has_group() {
            self.known_positions().iter_mut().for_each(|position| position.commit = None);
            return Err(CommitError::NoGroup);
        }
        self.want_group();
        Ok(self.s.consumer.group.refused)
    }

    /// Whether all that was to be committed is.
    pub(crate) fn poll_commit(
        &mut self,
        refused_before: u32,
        (now, deadline): (Instant, Instant),
        seat: &mut Seat,
        waker: &Waker,
        replaced: &mut Option<Waker>,
    ) -> Wait<Result<(), CommitError>> {
        let group = &self.s.consumer.group;
        if group.refused != refused_before {
            return Wait::Ready(Err(CommitError::Refused(group.refusal)));
        }
        if self.known_positions().iter().all(|position| position.commit.is_none()) {
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

    /// What is in the way to the coordinator.
    fn group_trouble(&self) -> Option<ConnectionError> {
        let coordinator = self.s.consumer.group.broker.get();
        coordinator.and_then(|broker| self.cluster.brokers[broker].trouble).or(self.s.trouble)
    }

    /// What the group keeps, as far as it was told or asked.
    pub(crate) fn committed(&self, topic: Topic, partition: i32) -> Option<i64> {
        self.positions[self.position_place(topic, partition)?].committed.map(Offset::get)
    }

    /// There is something to ask the coordinator, or to tell it.
    pub(super) fn want_group(&mut self) {
        self.s.consumer.group.wanted = true;
        self.wake_clock();
    }

    /// Sees to it that somebody asks for the coordinator, or that there is a connection to it.
    pub(crate) fn open_coordinator(&mut self, now: Instant) -> Instant {
        let group = &self.s.consumer.group;
        if !group.wanted || !group.asked.is_none() {
            return Instant::NEVER;
        }
        if !self.has_group() {
            return self.no_group();
        }
        // What was wanted may not be any more: a slot must not be taken for nothing.
        self.s.consumer.group.wanted = self.wants_coordinator();
        let group = &self.s.consumer.group;
        if !group.wanted {
            return Instant::NEVER;
        }
        if group.retry_at > now {
            return group.retry_at;
        }
        let Some(broker) = group.broker.get() else { return Instant::NEVER };
        if !group.known {
            let mut active = 0;
            for slot in 0..self.connections.len() {
                if self.connections[slot].phase == Phase::Active && self.connections[slot].broker != Link::to(broker) {
                    active += 1;
                    self.wake_connection(slot);
                }
            }
            if active == 0 {
                match self.cluster.brokers[broker].connection.get() {
                    // The one that was told last must know who is it now.
                    Some(slot) if self.connections[slot].phase == Phase::Active => self.wake_connection(slot),
                    // Asking for metadata opens one.
                    _ => self.want_metadata(now),
                }
            }
            return Instant::NEVER;
        }
        let entry = &self.cluster.brokers[broker];
        if let Some(slot) = entry.connection.get() {
            self.wake_connection(slot);
            return Instant::NEVER;
        }
        if entry.retry_at > now {
            return entry.retry_at;
        }
        match self.free_slot(now) {
            Ok(slot) => {
                self.connect(slot, broker, now);
                Instant::NEVER
            }
            Err(later) => later,
        }
    }

    /// Somebody wants to go on where a group was, and there is none.
    fn no_group(&mut self) -> Instant {
        self.s.consumer.group.wanted = false;
        for place in 0..self.known_positions().len() {
            if self.positions[place].reading == Reading::Recalling {
                self.reset_reading(place, ConsumeFault::NotCommitted);
            }
        }
        Instant::NEVER
    }

    /// The request that the connection is to write for the group, if any.
    pub(crate) fn ask_for_group(&mut self, slot: usize, now: Instant, frame: &mut [u8]) -> Option<usize> {
        let has_group = self.has_group();
        let group = &self.s.consumer.group;
        if !has_group || !group.wanted || !group.asked.is_none() || group.retry_at > now || group.broker.is_none() {
            return None;
        }
        if self.connections[slot].phase != Phase::Active {
            return None;
        }
        let versions = self.connections[slot].versions;
        let is_coordinator = self.connections[slot].broker == group.broker;
        let is_other = |other: &Connection| other.phase == Phase::Active && other.broker != group.broker;
        let sent = match (group.known, is_coordinator) {
            // Over the old one's own connection only if there is no other.
            (false, own) if !own || !self.connections.iter().any(is_other) => {
                let version = versions.get(ApiKey::FindCoordinator)?;
                self.ask(slot, now, frame, ApiKey::FindCoordinator, version, |state, writer| {
                    find_coordinator::request(writer, version, state.settings.group_id());
                })
            }
            (true, true) => {
                let recalls = |position: &Position| position.reading == Reading::Recalling;
                // What is to be kept goes before what was: it may be the same place, and a recall may have to wait.
                let (commit, fetch) = (versions.get(ApiKey::OffsetCommit)?, versions.get(ApiKey::OffsetFetch)?);
                if self.mark_for_group(frame.len(), |position| position.commit.is_some()) {
                    self.ask_to_commit(slot, commit, now, frame)
                } else if self.mark_for_group(frame.len(), recalls) {
                    self.recall(slot, fetch, now, frame)
                } else {
                    None
                }
            }
            _ => None,
        };
        if sent.is_some() {
            (self.s.consumer.group.asked, self.s.consumer.group.heard) = (Link::to(slot), false);
            // A piece of a batch that the caller keeps may be in the way of the answer.
            let until = self.held_until(slot);
            self.wake_clock_by(until);
        }
        sent
    }

    /// Whether an answer for the group is to come over the connection.
    pub(super) fn group_waits_for(&self, slot: usize) -> bool {
        self.has_group() && self.s.consumer.group.asked == Link::to(slot)
    }

    /// Marks the positions that go with the next request, as many as it has room for; whether there are any.
    fn mark_for_group(&mut self, frame: usize, wanted: impl Fn(&Position) -> bool) -> bool {
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

    fn recall(&mut self, slot: usize, version: i16, now: Instant, frame: &mut [u8]) -> Option<usize> {
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

    fn ask_to_commit(&mut self, slot: usize, version: i16, now: Instant, frame: &mut [u8]) -> Option<usize> {
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

    pub(crate) fn coordinator_item(&mut self, slot: usize, item: find_coordinator::Item<'_>, now: Instant) {
        match item {
            find_coordinator::Item::Throttle(millis) => self.throttle(slot, millis, now),
            find_coordinator::Item::Coordinator { error, host, port, .. } => {
                let Some(broker) = self.s.consumer.group.broker.get() else { return };
                if error != ErrorCode::NONE {
                    return self.group_failed(error, now);
                }
                let Some(moved) = self.cluster.move_coordinator(broker, host, port) else {
                    self.fail_recalls(broker);
                    return self.group_failed(ErrorCode::COORDINATOR_NOT_AVAILABLE, now);
                };
                self.close_moved(Some(broker).filter(|_| moved));
                (self.s.consumer.group.known, self.s.consumer.group.heard) = (true, true);
            }
        }
    }

    /// The coordinator's host is too long, and will be so the next time: no position is ever recalled.
    fn fail_recalls(&mut self, coordinator: usize) {
        let Some(error @ ConnectionError::NoPlace { .. }) = self.cluster.brokers[coordinator].trouble else { return };
        for place in 0..self.known_positions().len() {
            if self.positions[place].reading == Reading::Recalling {
                self.fail_reading(place, -1, ConsumeFault::NoPlace(error));
            }
        }
    }

    // Not inlined into `receive`, which then would have copies of much else: 0.8 KB of flash.
    #[inline(never)]
    pub(super) fn recalled(&mut self, place: usize, error: ErrorCode, kept: (i64, i32), now: Instant) {
        if self.positions[place].reading != Reading::Recalling {
            return;
        }
        self.s.consumer.group.heard = true;
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

    pub(super) fn commit_answered(&mut self, place: usize, error: ErrorCode, now: Instant) {
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

    fn refuse_commit(&mut self, place: usize, error: ErrorCode) {
        self.positions[place].commit = None;
        self.s.consumer.group.refused = self.s.consumer.group.refused.wrapping_add(1);
        self.s.consumer.group.refusal = error;
    }

    /// The coordinator does not do what it was asked.
    pub(super) fn group_failed(&mut self, error: ErrorCode, now: Instant) {
        self.s.consumer.group.heard = true;
        match verdict(error) {
            Verdict::Refused => return self.group_refused(error),
            Verdict::Elsewhere => self.s.consumer.group.known = false,
            Verdict::Again => {}
        }
        self.back_off_group(now);
    }

    fn back_off_group(&mut self, now: Instant) {
        if self.s.consumer.group.retry_at > now {
            // An answer has an error for each partition, and is one failure all the same.
            return;
        }
        let random = self.random();
        let (base, max) = (self.settings.retry_backoff, self.settings.retry_backoff_max);
        let group = &mut self.s.consumer.group;
        group.failures = group.failures.saturating_add(1);
        group.retry_at = now.after_millis(backoff_millis(base, max, group.failures, random));
        let at = group.retry_at;
        self.wake_clock_by(at);
    }

    /// Nothing at all is done for us under this group's name.
    fn group_refused(&mut self, error: ErrorCode) {
        for place in 0..self.known_positions().len() {
            if self.positions[place].commit.is_some() {
                self.refuse_commit(place, error);
            }
            if self.positions[place].reading == Reading::Recalling {
                self.fail_reading(place, -1, ConsumeFault::Refused(error));
            }
        }
    }

    /// Whether there is something to commit, or to ask for.
    fn wants_coordinator(&mut self) -> bool {
        let wants = |position: &Position| position.commit.is_some() || position.reading == Reading::Recalling;
        self.known_positions().iter().any(wants)
    }

    /// A request for the group is answered. What the answer leaves out is asked for again, but not at once.
    pub(crate) fn group_answered(&mut self, now: Instant) {
        if !self.s.consumer.group.heard {
            self.back_off_group(now);
        }
        self.group_request_over();
    }

    /// A request for the group is answered, or never will be; what is left to do will be.
    fn group_request_over(&mut self) {
        self.s.consumer.group.asked = Link::NONE;
        self.known_positions().iter_mut().for_each(|position| position.committing = None);
        self.s.consumer.group.wanted = self.wants_coordinator();
        self.tell_room();
        self.wake_clock();
    }

    /// The connection is gone, and with it perhaps the coordinator.
    pub(super) fn group_request_lost(&mut self, now: Instant) {
        self.s.consumer.group.known = false;
        self.back_off_group(now);
        self.group_request_over();
    }

    /// A broker has hung up, or cannot be reached: if it was the coordinator, it may be another by now.
    pub(super) fn coordinator_lost(&mut self, broker: usize) {
        let group = &mut self.s.consumer.group;
        group.known &= group.broker != Link::to(broker);
    }

    /// The partition is read from where `auto.offset.reset` says; the fault is what it is if that is nowhere.
    pub(super) fn reset_reading(&mut self, place: usize, fault: ConsumeFault) {
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
