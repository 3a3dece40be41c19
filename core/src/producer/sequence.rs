//! Numbering: which sequence a batch is sent with, and when a partition starts again under a new epoch (KIP-360).
//!
//! The broker takes batches of a partition only in sequence, and knows a batch that it has by its sequence. Hence:
//!
//! - A batch gets its number when it is first sent, and keeps it for every retry.
//! - Whether something is missing before a batch is not remembered but seen: its number is not the one that follows
//!   the batch before it, or, for the first, the last acknowledged one.
//! - If something is missing, the partition's remaining batches are numbered again from zero under the next epoch. But
//!   a batch that may be in the log is never numbered again, since that could write it twice: it is sent once more as
//!   it was, and the answer tells. If it was written, so was what seemed missing, and nothing needs to be done. If not,
//!   the broker says so, because its predecessor is not there either; and then it may be numbered again. The same goes
//!   for one behind the batch before which something is missing: a log that was made anew may have taken it alone.
//! - A broker that does not know the producer takes whatever sequence comes first. So a partition's first batch goes
//!   alone, the first after a pause in which the broker may have forgotten it, and the first after an answer that it is
//!   wanted elsewhere, where the topic may have been made anew: if a second one were under way, and only the first
//!   refused, the second would be written before it.

use super::batch::sequence_after;
use super::{Identity, Platform, State};
use crate::time::Instant;

/// A broker that acknowledged a batch so recently has not forgotten its producer. Kafka forgets after a day by default,
/// and looks every ten minutes; of a producer whose records have no date it forgets at the next look.
const KNOWN_MILLIS: u32 = 60_000;

impl<P: Platform> State<P> {
    /// Makes sure that the batch has the number under which it may go out now. False: it may not go out now.
    pub(super) fn number(&mut self, index: usize, now: Instant) -> bool {
        if !self.settings.idempotence {
            return true;
        }
        let partition = self.batches[index].partition as usize;
        if !self.identify(partition, now) {
            return false;
        }
        if self.follows(index) {
            self.assign(index);
            return true;
        }
        if self.queues[partition].in_flight > 0 {
            // What is in flight may yet fill the gap, or be refused because of it.
            return false;
        }
        if self.batches[index].maybe_written {
            return true;
        }
        if !self.renumber(partition, now) {
            return false;
        }
        self.assign(index);
        true
    }

    /// How many batches of the partition may be in flight now.
    pub(super) fn window(&self, partition: usize, now: Instant) -> u8 {
        let known_at = self.queues[partition].known_at;
        let known = known_at > Instant::ZERO && now <= known_at.after_millis(KNOWN_MILLIS);
        if known || !self.settings.idempotence { self.s.max_in_flight } else { 1 }
    }

    /// The batch of the partition that goes next: the first that is not in flight, or, if that is to be numbered again and a
    /// later one may be in the log, the later one, to learn whether it is.
    pub(super) fn next_in_sequence(&self, partition: usize) -> Option<usize> {
        let first = self.unsent(partition)?;
        if self.queues[partition].in_flight > 0 || self.follows(first) {
            return Some(first);
        }
        let mut at = Some(first);
        while let Some(index) = at {
            if self.batches[index].maybe_written {
                return Some(index);
            }
            at = self.batches[index].queue.next().get();
        }
        Some(first)
    }

    /// The partition writes under a producer id. False: there is none yet.
    fn identify(&mut self, partition: usize, now: Instant) -> bool {
        if self.queues[partition].identified {
            return true;
        }
        if self.s.identity != Identity::Known {
            self.want_identity(now);
            return false;
        }
        let queue = &mut self.queues[partition];
        queue.identified = true;
        (queue.producer_id, queue.epoch) = (self.s.producer_id, self.s.producer_epoch);
        (queue.next_sequence, queue.expected_sequence) = (0, 0);
        true
    }

    /// Whether nothing is missing between the batch and what went before it.
    fn follows(&self, index: usize) -> bool {
        let batch = &self.batches[index];
        let queue = &self.queues[batch.partition as usize];
        let before = match batch.queue.previous().get() {
            Some(previous) => {
                let previous = &self.batches[previous];
                previous.sequenced.then(|| sequence_after(previous.sequence, previous.count))
            }
            None => Some(queue.expected_sequence),
        };
        before == Some(if batch.sequenced { batch.sequence } else { queue.next_sequence })
    }

    fn assign(&mut self, index: usize) {
        let batch = &mut self.batches[index];
        if !batch.sequenced {
            let queue = &mut self.queues[batch.partition as usize];
            (batch.sequenced, batch.sequence, batch.sealed) = (true, queue.next_sequence, false);
            queue.next_sequence = sequence_after(queue.next_sequence, batch.count);
        }
    }

    /// All batches of the partition are numbered again under the next epoch. False: epochs are used up, and a new
    /// producer id is not there yet.
    ///
    /// Only while nothing is in flight and every batch is known not to be in the log.
    fn renumber(&mut self, partition: usize, now: Instant) -> bool {
        let queue = &mut self.queues[partition];
        debug_assert!(queue.in_flight == 0);
        if queue.epoch == i16::MAX {
            if self.s.identity == Identity::Known && self.s.producer_id == queue.producer_id {
                self.s.identity = Identity::Wanted;
            }
            if self.s.identity != Identity::Known {
                self.want_identity(now);
                return false;
            }
            (queue.producer_id, queue.epoch) = (self.s.producer_id, self.s.producer_epoch);
            queue.known_at = Instant::ZERO;
        } else {
            queue.epoch += 1;
        }
        (queue.next_sequence, queue.expected_sequence) = (0, 0);
        let mut at = queue.batches.first();
        self.s.counters.epoch_bumps += 1;
        info!("partition {}: numbered again under epoch {}", self.cluster.partitions[partition].index, queue.epoch);
        while let Some(index) = at {
            let batch = &mut self.batches[index];
            debug_assert!(!batch.maybe_written);
            batch.sequenced = false;
            at = batch.queue.next().get();
        }
        true
    }

    fn want_identity(&mut self, now: Instant) {
        if self.s.identity == Identity::Wanted {
            self.wake_clock_by(now.max(self.s.identity_at));
        }
    }
}
