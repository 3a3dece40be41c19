//! Partitions that have something to send: which connection takes it, what comes back to be sent again, and what never
//! can be.

use super::batch::Phase;
use super::queue::ready_hooks;
use super::{Failure, Outcome, Platform, Reason, State};
use crate::cluster::TopicState;
use crate::connection::{ConnectionError, backoff_millis};
use crate::pool::{Link, List};
use crate::protocol::ErrorCode;
use crate::time::Instant;

impl<P: Platform> State<P> {
    /// Looks at a partition and sees to it that whoever must act on it will: called after anything about it changed.
    /// May be called too often, never too rarely.
    pub(crate) fn reconsider(&mut self, partition: usize) {
        let Some(_) = self.unsent(partition) else { return };
        let queue = &self.queues[partition];
        if queue.retry_at > Instant::ZERO {
            // Its time is looked at by the clock, which then calls this again.
            self.s.retry_scan_at = self.s.retry_scan_at.min(queue.retry_at);
            self.wake_clock_by(queue.retry_at);
            return;
        }
        if queue.in_flight >= self.s.max_in_flight || (queue.retrying && queue.in_flight > 0) {
            return; // An answer will come, or the connection's end.
        }
        let (connection, in_flight, ready_on) = (queue.connection, queue.in_flight, queue.ready_on);
        match self.leader_connection(partition) {
            Some(slot) if in_flight > 0 && connection != Link::to(slot) => {}
            Some(slot) if ready_on == Link::to(slot) => self.wake_connection(slot),
            Some(slot) => self.make_ready(partition, slot),
            None => {
                self.s.connections_wanted = true;
                self.wake_clock();
            }
        }
    }

    pub(crate) fn reconsider_all(&mut self) {
        for partition in 0..self.known_partitions() {
            if !self.queues[partition].batches.is_empty() {
                self.reconsider(partition);
            }
        }
        #[cfg(feature = "consumer")]
        self.reread_all();
    }

    pub(crate) fn make_ready(&mut self, partition: usize, slot: usize) {
        self.unready(partition);
        self.connections[slot].ready.push_back(&mut self.queues, partition, ready_hooks);
        self.queues[partition].ready_on = Link::to(slot);
        self.wake_connection(slot);
    }

    fn unready(&mut self, partition: usize) {
        if let Some(slot) = core::mem::take(&mut self.queues[partition].ready_on).get() {
            self.connections[slot].ready.remove(&mut self.queues, partition, ready_hooks);
        }
    }

    pub(crate) fn abandon_ready(&mut self, mut ready: List) {
        while let Some(partition) = ready.pop_front(&mut self.queues, ready_hooks) {
            self.queues[partition].ready_on = Link::NONE;
        }
    }

    /// The batch would be sent now if there were a connection.
    pub(crate) fn goes_now(&self, index: usize, now: Instant) -> bool {
        let batch = &self.batches[index];
        let queue = &self.queues[batch.partition as usize];
        queue.in_flight == 0 && queue.retry_at <= now && (batch.phase != Phase::Open || self.is_due(index, now))
    }

    /// The batches of a request whose answer will not come.
    pub(crate) fn unanswered(&mut self, batches: Link, error: ConnectionError) {
        let mut at = batches;
        while let Some(index) = at.get() {
            at = self.batches[index].request_next;
            let failure = Failure { connection: Some(error), ..self.batches[index].last_failure };
            self.return_unanswered(index, failure);
        }
    }

    /// A batch was sent and not answered: it may be in the log. It is to be sent again as it is, unless its time is
    /// over and its outcome told.
    pub(crate) fn return_unanswered(&mut self, index: usize, failure: Failure) {
        self.batches[index].maybe_written = true;
        self.send_again(index, failure);
    }

    /// A batch comes back from a request to be sent again.
    pub(crate) fn send_again(&mut self, index: usize, failure: Failure) {
        let batch = &mut self.batches[index];
        debug_assert!(batch.phase == Phase::InFlight);
        batch.last_failure = failure;
        let queue = &mut self.queues[batch.partition as usize];
        queue.in_flight -= 1;
        if batch.outcome != Outcome::Pending {
            self.release(index);
            return;
        }
        batch.phase = Phase::Queued;
        queue.retrying = true;
        self.s.in_flight -= 1;
        self.s.queued += 1;
        // It was held because it might be in the log. It is not, and its time is over.
        if self.holds() && self.batches[index].held && !self.batches[index].maybe_written {
            self.conclude(index, Outcome::Failed(Failure { reason: Reason::Expired, ..failure }));
        }
    }

    /// The partition waits before it tries again (KIP-580).
    pub(crate) fn back_off(&mut self, partition: usize, now: Instant) {
        let random = self.random();
        let (base, max) = (self.settings.retry_backoff, self.settings.retry_backoff_max);
        let queue = &mut self.queues[partition];
        queue.failures = queue.failures.saturating_add(1);
        queue.retry_at = now.after_millis(backoff_millis(base, max, queue.failures, random));
        self.s.retry_scan_at = self.s.retry_scan_at.min(self.queues[partition].retry_at);
        self.wake_clock_by(self.queues[partition].retry_at);
    }

    /// Ends what can never be sent: of topics that are refused, and for partitions that were named before it was known
    /// that the topic does not have them.
    pub(crate) fn fail_hopeless(&mut self) {
        if !self.writes() {
            return;
        }
        for partition in 0..self.known_partitions() {
            let entry = &self.cluster.partitions[partition];
            // Whatever records went to, though they may have expired since.
            if !entry.pinned && self.queues[partition].batches.is_empty() {
                continue;
            }
            let topic = &self.cluster.topics[entry.topic()];
            match topic.state() {
                TopicState::Refused(code) => self.fail_unsent(partition, Failure::rejected(code)),
                TopicState::Known if entry.index as u32 >= topic.partition_count => {
                    let code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
                    let failure = Failure { reason: Reason::NoSuchPartition, code, connection: None };
                    self.fail_unsent(partition, failure);
                    // If nothing was ever sent to it there is nothing to remember: others may have its place.
                    let queue = &self.queues[partition];
                    let sent = queue.in_flight > 0 || queue.identified || queue.known_at > Instant::ZERO;
                    self.cluster.partitions[partition].pinned = sent;
                    let topic = &mut self.cluster.topics[self.cluster.partitions[partition].topic()];
                    if topic.sticky == Link::to(partition) {
                        topic.sticky = Link::NONE;
                    }
                }
                _ => {
                    if let Some(error) = self.cluster.no_place(partition) {
                        let (reason, connection) = (Reason::NoPlace, Some(error));
                        self.fail_unsent(partition, Failure { reason, code: ErrorCode::NONE, connection });
                    }
                }
            }
        }
    }

    /// Ends every batch of the partition that is not in flight.
    pub(crate) fn fail_unsent(&mut self, partition: usize, failure: Failure) {
        while let Some(index) = self.unsent(partition) {
            let outcome =
                if self.batches[index].maybe_written { Outcome::Unknown(failure) } else { Outcome::Failed(failure) };
            self.conclude(index, outcome);
        }
    }
}
