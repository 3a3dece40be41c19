//! A batch: a slot of the table, and while it is not settled a buffer with its bytes.
//!
//! A slot is not its buffer. The buffer goes home when the outcome is known; the slot remembers the outcome until it
//! is needed for another batch. There are more slots than buffers.

use super::error::Failure;
use super::queue::PartitionQueue;
use super::record::Record;
use crate::pool::{Hooks, Link, List};
use crate::records::{self, Compression, Fields, HEADER_BYTES, Sealing};
use crate::time::{Clock, Instant};
use core::ops::DerefMut;

/// What became of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Outcome {
    /// Not known yet.
    #[default]
    Pending,
    /// In the log.
    Written {
        /// Of its first record; -1 when only that it was written is known.
        base_offset: i64,
        /// Milliseconds since 1970 if the topic is set to LogAppendTime, else -1.
        log_append_time: i64,
    },
    /// Not in the log, and never will be.
    Failed(Failure),
    /// It may be in the log or not.
    Unknown(Failure),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    /// Remembers its last outcome until it is taken again.
    Free,
    /// Takes records.
    Open,
    /// Whole, waits to be sent or sent again.
    Queued,
    /// In a request that is outstanding. With an outcome already it is a tombstone: its time was over, but the broker
    /// may still write it.
    InFlight,
}

/// One slot of the table of batches.
pub struct Batch<B> {
    pub(crate) phase: Phase,
    /// Counts the batches that this slot has held, so that a delivery knows its own.
    pub(crate) generation: u32,
    /// Generations up to this include one that was not written and was forgotten unread; zero if there is none.
    pub(crate) forgotten: u32,
    /// Absent while a connection writes it.
    pub(crate) buffer: Option<B>,
    pub(crate) length: u32,
    pub(crate) count: u32,
    /// Records of a failed or unknown batch whose outcome nobody has asked for.
    pub(crate) unread: u32,
    /// Place in the table of partitions.
    pub(crate) partition: u16,
    /// Of the first record among all of its partition's, wrapping.
    pub(crate) first_ordinal: u32,
    pub(crate) opened_at: Instant,
    /// In the order of opening; a flush waits for those up to its own.
    pub(crate) serial: u32,
    /// That of its first record.
    pub(crate) base_timestamp: i64,
    /// The first record had none of its own and got the date of the opening; others that have none get the same.
    pub(crate) dated: bool,
    pub(crate) max_timestamp: i64,
    /// Sequence, producer id and epoch are its own from the first sending until its partition is renumbered.
    pub(crate) sequenced: bool,
    pub(crate) sequence: i32,
    /// The buffer's header is filled in.
    pub(crate) sealed: bool,
    /// It has the bytes that it is sent with, and is not compressed any more.
    #[cfg(feature = "compression")]
    pub(crate) packed: bool,
    #[cfg(feature = "compression")]
    pub(crate) compression: Compression,
    /// An attempt ended without an answer that rules out that it was written.
    pub(crate) maybe_written: bool,
    pub(crate) attempts: u8,
    /// What the last attempt was answered with.
    pub(crate) last_failure: Failure,
    /// The next batch of the request that carries it.
    pub(crate) request_next: Link,
    pub(crate) outcome: Outcome,
    /// Tasks that wait for the outcome.
    pub(crate) waiters: List,
    /// In its partition's queue, or in a list of free slots.
    pub(crate) queue: Hooks,
    /// Among all that have no outcome, oldest first; or, if `held`, among those.
    pub(crate) age: Hooks,
    pub(crate) held: bool,
    /// Among the open ones that wait for more records, oldest first.
    pub(crate) linger: Hooks,
    pub(crate) lingers: bool,
}

impl<B> Batch<B> {
    /// A slot that has held nothing.
    pub const EMPTY: Batch<B> = Batch {
        phase: Phase::Free,
        generation: 0,
        forgotten: 0,
        buffer: None,
        length: 0,
        count: 0,
        unread: 0,
        partition: 0,
        first_ordinal: 0,
        opened_at: Instant::ZERO,
        serial: 0,
        base_timestamp: 0,
        dated: false,
        max_timestamp: 0,
        sequenced: false,
        sequence: 0,
        sealed: false,
        #[cfg(feature = "compression")]
        packed: false,
        #[cfg(feature = "compression")]
        compression: Compression::None,
        maybe_written: false,
        attempts: 0,
        last_failure: Failure::NONE,
        request_next: Link::NONE,
        outcome: Outcome::Pending,
        waiters: List::EMPTY,
        queue: Hooks::NONE,
        age: Hooks::NONE,
        held: false,
        linger: Hooks::NONE,
        lingers: false,
    };

    pub(crate) fn open(&mut self, buffer: B, partition: usize, first_ordinal: u32, serial: u32, now: Instant) {
        *self = Batch {
            phase: Phase::Open,
            generation: self.generation.wrapping_add(1).max(1),
            forgotten: self.forgotten,
            buffer: Some(buffer),
            length: HEADER_BYTES as u32,
            partition: partition as u16,
            first_ordinal,
            opened_at: now,
            serial,
            ..Batch::EMPTY
        };
    }

    /// What goes into its header.
    pub(crate) fn sealing(&self, queue: &PartitionQueue) -> Sealing {
        let (producer_id, producer_epoch, base_sequence) =
            if self.sequenced { (queue.producer_id, queue.epoch, self.sequence) } else { (-1, -1, -1) };
        Sealing {
            #[cfg(feature = "compression")]
            compression: self.compression,
            #[cfg(not(feature = "compression"))]
            compression: Compression::None,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            producer_id,
            producer_epoch,
            base_sequence,
            records: self.count,
        }
    }

    pub(crate) fn is_pending(&self) -> bool {
        self.outcome == Outcome::Pending && self.phase != Phase::Free
    }

    /// Appends the records as long as they fit; the timestamp of the first. The first record of a batch says what its
    /// base timestamp is, as the record format has it, so the clock has no say in the bytes of records that bring their
    /// own time.
    #[inline]
    pub(crate) fn take(&mut self, records: &[Record<'_>], clock: &impl Clock) -> i64
    where
        B: DerefMut<Target = [u8]>,
    {
        let mut first = None;
        let Some(buffer) = self.buffer.as_deref_mut() else { return -1 };
        for record in records {
            let timestamp = match record.timestamp {
                Some(timestamp) => timestamp,
                None if self.dated => self.base_timestamp,
                None => clock.wall_millis().unwrap_or(-1),
            };
            if self.count == 0 {
                (self.base_timestamp, self.dated) = (timestamp, record.timestamp.is_none());
                self.max_timestamp = timestamp;
            }
            let fields = Fields {
                key: record.key,
                value: record.value,
                headers: record.headers,
                timestamp_delta: timestamp.wrapping_sub(self.base_timestamp),
            };
            let Some(end) = records::append(buffer, self.length as usize, self.count, &fields) else { break };
            self.length = end as u32;
            self.count += 1;
            self.max_timestamp = self.max_timestamp.max(timestamp);
            first.get_or_insert(timestamp);
        }
        first.unwrap_or(-1)
    }

    /// How many of the `count` records from ordinal `first` on are in this batch.
    pub(crate) fn overlap(&self, first: u32, count: u32) -> u32 {
        let start = self.first_ordinal.wrapping_sub(first) as i32;
        let end = i64::from(start) + i64::from(self.count);
        let (from, to) = (i64::from(start).max(0), end.min(i64::from(count)));
        (to - from).max(0) as u32
    }
}

pub(crate) fn queue_hooks<B>(batch: &mut Batch<B>) -> &mut Hooks {
    &mut batch.queue
}
pub(crate) fn age_hooks<B>(batch: &mut Batch<B>) -> &mut Hooks {
    &mut batch.age
}
pub(crate) fn linger_hooks<B>(batch: &mut Batch<B>) -> &mut Hooks {
    &mut batch.linger
}

/// The sequence number `count` records after `sequence`: after 2^31 - 1 comes 0.
pub(crate) const fn sequence_after(sequence: i32, count: u32) -> i32 {
    ((sequence as u32).wrapping_add(count) & 0x7fff_ffff) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_wrap_to_zero() {
        assert_eq!(sequence_after(0, 7), 7);
        assert_eq!(sequence_after(i32::MAX, 1), 0);
        assert_eq!(sequence_after(i32::MAX - 1, 4), 2);
    }

    #[test]
    fn overlap_counts_shared_records_also_around_the_wrap() {
        let batch = |first_ordinal, count| Batch::<()> { first_ordinal, count, ..Batch::EMPTY };
        assert_eq!(batch(10, 5).overlap(12, 100), 3);
        assert_eq!(batch(10, 5).overlap(0, 11), 1);
        assert_eq!(batch(10, 5).overlap(0, 10), 0);
        assert_eq!(batch(10, 5).overlap(15, 10), 0);
        assert_eq!(batch(10, 50).overlap(20, 3), 3);
        assert_eq!(batch(u32::MAX - 1, 4).overlap(u32::MAX, 2), 2);
        assert_eq!(batch(1, 4).overlap(u32::MAX, 3), 1);
    }
}
