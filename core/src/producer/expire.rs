//! What time does to batches: they expire, have lingered, or may be tried again.

use super::batch::{Phase, age_hooks};
use super::deliver::Delivery;
use super::{Failure, Outcome, Platform, Reason, State};
use crate::connection::ConnectionError;
use crate::protocol::ErrorCode;
use crate::time::Instant;

impl<P: Platform> State<P> {
    /// Batches whose time is over, and at the end of a close all of them.
    pub(crate) fn expire(&mut self, now: Instant) -> Instant {
        let closing = self.s.close_at <= now;
        if closing {
            self.give_up_all();
        }
        while self.writes()
            && let Some(index) = self.s.age.first()
        {
            let batch = &self.batches[index];
            let deadline = batch.opened_at.after_millis(self.settings.delivery_timeout);
            if deadline > now && !closing {
                return deadline.min(self.s.close_at);
            }
            let reason = if deadline <= now { Reason::Expired } else { Reason::Closed };
            let connection = batch.last_failure.connection.or_else(|| self.trouble(batch.partition as usize));
            let code = match batch.last_failure.code {
                ErrorCode::NONE => self.topic_error(batch.partition as usize),
                code => code,
            };
            let connection = if code == ErrorCode::NONE { connection } else { None };
            let failure = Failure { reason, code, connection };
            let sent = batch.phase == Phase::InFlight || batch.maybe_written;
            if sent && !closing && self.holds() {
                self.hold(index);
                continue;
            }
            self.conclude(index, if sent { Outcome::Unknown(failure) } else { Outcome::Failed(failure) });
        }
        self.s.close_at
    }

    /// The batch's time is over, and only the broker can tell whether it was written: it stays until that does.
    fn hold(&mut self, index: usize) {
        self.s.age.remove(&mut self.batches, index, age_hooks);
        self.s.held.push_back(&mut self.batches, index, age_hooks);
        self.batches[index].held = true;
        self.s.counters.held += 1;
    }

    /// Ends what is held of a delivery: from now on its outcome is unknown. The records that it was for.
    pub(crate) fn give_up(&mut self, delivery: &Delivery) -> u32 {
        let mut records = 0;
        let mut at = self.s.held.first();
        while let Some(index) = at {
            let batch = &self.batches[index];
            at = batch.age.next().get();
            let own = batch.partition == delivery.place && batch.overlap(delivery.first, delivery.count) > 0;
            if own {
                records += batch.count;
                let failure = Failure { reason: Reason::Expired, ..batch.last_failure };
                self.conclude(index, Outcome::Unknown(failure));
            }
        }
        records
    }

    /// At the end of a close nobody waits any longer for what the broker may say.
    fn give_up_all(&mut self) {
        while self.holds()
            && let Some(index) = self.s.held.first()
        {
            let failure = Failure { reason: Reason::Closed, ..self.batches[index].last_failure };
            self.conclude(index, Outcome::Unknown(failure));
        }
    }

    /// What is in the way to a partition's leader. Others may be connected to meanwhile, and the one slot may have been theirs.
    fn trouble(&self, partition: usize) -> Option<ConnectionError> {
        let leader = self.cluster.node(self.cluster.partitions[partition].leader);
        leader.and_then(|broker| self.cluster.brokers[broker].trouble).or(self.s.trouble)
    }

    /// What the cluster says is in a partition's way.
    fn topic_error(&self, partition: usize) -> ErrorCode {
        let entry = &self.cluster.partitions[partition];
        let topic = &self.cluster.topics[entry.topic()];
        match topic.error() {
            ErrorCode::NONE if topic.partition_count == 0 => ErrorCode::NONE,
            ErrorCode::NONE if entry.index as u32 >= topic.partition_count => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            ErrorCode::NONE if entry.leader < 0 => ErrorCode::LEADER_NOT_AVAILABLE,
            error => error,
        }
    }

    pub(crate) fn end_lingers(&mut self, now: Instant) -> Instant {
        while self.writes()
            && let Some(index) = self.s.lingering.first()
        {
            let due = self.batches[index].opened_at.after_millis(self.settings.linger);
            if due > now {
                return due;
            }
            self.end_linger(index);
            self.reconsider(self.batches[index].partition as usize);
        }
        Instant::NEVER
    }

    pub(crate) fn end_backoffs(&mut self, now: Instant) -> Instant {
        if self.s.retry_scan_at > now {
            return self.s.retry_scan_at;
        }
        self.s.retry_scan_at = Instant::NEVER;
        if !self.writes() {
            return Instant::NEVER;
        }
        for partition in 0..self.known_partitions() {
            let retry_at = self.queues[partition].retry_at;
            if retry_at == Instant::ZERO {
                continue;
            }
            if retry_at <= now {
                self.queues[partition].retry_at = Instant::ZERO;
                self.reconsider(partition);
            } else {
                self.s.retry_scan_at = self.s.retry_scan_at.min(retry_at);
            }
        }
        self.s.retry_scan_at
    }
}
