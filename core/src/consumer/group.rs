//! Positions that a group keeps: OffsetFetch and OffsetCommit, as of a consumer that assigns its partitions itself.
//!
//! One request at a time goes to the group's coordinator, over a connection of its own. Here is which request that is, and what
//! follows when it is answered, refused or lost.
//!
//! - `coordinator`: who that is. `positions`: what is to be committed, and what was.

mod coordinator;
mod positions;

use super::ConsumeFault;
use super::table::{Position, Reading};
use crate::connection::{Connection, ConnectionError, Phase, backoff_millis};
use crate::pool::Link;
use crate::protocol::{ApiKey, ErrorCode, find_coordinator};
use crate::state::{Platform, State};
use crate::time::Instant;

/// Who is asked for the coordinator is not waited for for longer, if another can be asked.
const PATIENCE_MILLIS: u32 = 2000;

/// What is known of the group.
pub(crate) struct Group {
    /// The coordinator's place in the table of brokers, and whether the address there is the one that was told last.
    pub(crate) broker: Link,
    known: bool,
    /// There is something to ask or to commit.
    wanted: bool,
    /// The connection slot over which a request is out; for the coordinator, the last of those over which it was asked for.
    asked: Link,
    /// Its answer has said something of what was asked.
    heard: bool,
    failures: u8,
    retry_at: Instant,
    /// Somebody has said which offsets to commit.
    by_hand: bool,
    /// Positions that a broker did not want to keep, wrapping, and what it said of the last one.
    refused: u16,
    refusal: ErrorCode,
    /// How often nothing was left to commit, wrapping: who asked before that has what it asked for.
    settled: u16,
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
        settled: 0,
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
    /// Whether nothing is left to commit.
    fn has_committed(&mut self) -> bool {
        self.known_positions().iter().all(|position| position.commit.is_none())
    }

    /// What is in the way to the coordinator.
    fn group_trouble(&self) -> Option<ConnectionError> {
        let coordinator = self.s.consumer.group.broker.get();
        coordinator.and_then(|broker| self.cluster.brokers[broker].trouble).or(self.s.trouble)
    }

    /// There is something to ask the coordinator, or to tell it.
    pub(super) fn want_group(&mut self) {
        self.s.consumer.group.wanted = true;
        self.wake_clock();
    }

    /// The request that the connection is to write for the group, if any.
    pub(crate) fn ask_for_group(&mut self, slot: usize, now: Instant, frame: &mut [u8]) -> Option<usize> {
        let (has_group, waits) = (self.has_group(), self.group_waits() || self.group_waits_for(slot));
        let group = &self.s.consumer.group;
        if !has_group || !group.wanted || waits || group.retry_at > now || group.broker.is_none() {
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
                if self.asks_around() {
                    let until = now.after_millis(PATIENCE_MILLIS);
                    self.s.consumer.group.retry_at = until;
                    self.wake_clock_by(until);
                }
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

    /// Whether nothing is asked before an answer has come.
    fn group_waits(&self) -> bool {
        (self.s.consumer.group.known || !self.asks_around()) && !self.s.consumer.group.asked.is_none()
    }

    /// Whether there may be somebody else to ask who the coordinator is. A device seldom has a third connection, and then no code
    /// for it.
    fn asks_around(&self) -> bool {
        self.connections.len() > 2
    }

    /// Whether an answer for the group is to come over the connection.
    pub(super) fn group_waits_for(&self, slot: usize) -> bool {
        self.has_group() && self.s.consumer.group.asked == Link::to(slot)
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
    pub(crate) fn group_answered(&mut self, slot: usize, now: Instant) {
        if self.asks_around() && !self.group_waits_for(slot) {
            return;
        }
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
        if self.has_committed() {
            self.s.consumer.group.settled = self.s.consumer.group.settled.wrapping_add(1);
        }
        self.tell_room();
        self.wake_clock();
    }

    /// The connection is gone, and with it perhaps the coordinator.
    pub(super) fn group_request_lost(&mut self, slot: usize, now: Instant) {
        if self.asks_around() && !self.group_waits_for(slot) {
            return;
        }
        (self.s.consumer.group.known, self.s.consumer.group.retry_at) = (false, Instant::ZERO);
        self.back_off_group(now);
        self.group_request_over();
    }
}
