//! The consumer's tables: what it knows of each partition, and the chunks that fetched bytes land in.

use super::ConsumeFault;
use super::session::Told;
use super::stream::Stream;
use crate::pool::{Hooks, Link};
use crate::time::Instant;
use core::num::NonZeroU64;

/// What there is to do for a partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Reading {
    /// Nobody reads it.
    Unassigned = 0,
    /// The offset to begin at is what the group has kept, and is not known yet.
    Recalling,
    /// The offset to begin at is not known yet.
    Looking,
    /// It is read.
    Going,
    /// It has another leader, and whether that one's log has what was read is not known yet.
    Checking,
    /// It cannot be read on; somebody must decide.
    Failed,
}

/// An offset, but for `i64::MAX`, which no log reaches: an `Option` of it takes eight bytes, zero for none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Offset(NonZeroU64);

impl Offset {
    pub(crate) fn new(offset: i64) -> Offset {
        Offset(NonZeroU64::new((offset ^ i64::MAX) as u64).unwrap_or(NonZeroU64::MIN))
    }

    pub(crate) fn get(self) -> i64 {
        self.0.get() as i64 ^ i64::MAX
    }
}

/// What a consumer knows of one partition; stands at the same place as the partition's entry in the cluster's table.
#[derive(Debug)]
pub struct Position {
    pub(crate) reading: Reading,
    /// Nothing is fetched, and nothing handed out.
    pub(crate) paused: bool,
    /// A loan has come to records of it: they count when it is over.
    pub(crate) lent: bool,
    /// Grows with every jump and every pause: what was fetched before it is passed over.
    pub(crate) generation: u32,
    /// That of the last jump: what was handed out of older ones does not move the position.
    pub(crate) jumped: u32,
    /// The offset of the next record to hand out, and the epoch of the one before it, -1 for unknown.
    pub(crate) next: i64,
    pub(crate) next_epoch: i32,
    /// The offset to fetch from: behind what is there already.
    pub(crate) fetch: i64,
    /// The epoch of the last record fetched, -1 for unknown.
    pub(crate) epoch: i32,
    /// While the offset is looked for: what ListOffsets takes: a time, or a position. While a log is checked: the epoch of the
    /// leader that was asked.
    pub(crate) target: i64,
    /// The connection slot over which a request for it is out.
    pub(crate) asked: Link,
    /// Scratch while a request is put together: it goes with this one; its session is to forget it.
    pub(crate) fresh: bool,
    pub(crate) forgotten: bool,
    /// The connection slot whose session knows of it, and what.
    pub(crate) told_by: Link,
    pub(crate) told: Told,
    /// The node to read from instead of the leader, plus one, and until when; 0 for the leader, see `session`.
    pub(crate) replica: u32,
    pub(crate) replica_until: Instant,
    /// The leader's epoch, plus one, in which what was read was last known to be in the log.
    pub(crate) checked: u32,
    /// Of the id of the topic that it was read of last, if that went by its id; 0 for unknown.
    #[cfg(not(feature = "one-version"))]
    pub(super) read_of: u32,
    /// Segments of it that were fetched and not yet handed out to their end.
    pub(crate) held: u16,
    /// Answers in a row that failed; the backoff grows with it.
    pub(crate) failures: u8,
    pub(crate) retry_at: Instant,
    /// As the last answer said; with `read_committed` the last stable offset. -1 for unknown.
    pub(crate) high_watermark: i64,
    /// What the group keeps, as far as known; what it is to keep, with the epoch of the record before; and what a request
    /// that is out has asked it to.
    pub(crate) committed: Option<Offset>,
    pub(crate) commit: Option<(Offset, i32)>,
    pub(crate) committing: Option<(Offset, i32)>,
    /// Of one that has failed: what has not been told yet. Of others: what is wrong behind what is still to be handed out,
    /// and at which offset.
    pub(super) fault: Option<ConsumeFault>,
    pub(super) fault_at: i64,
}

impl Position {
    /// Of a partition that nobody reads.
    pub const EMPTY: Position = Position {
        reading: Reading::Unassigned,
        paused: false,
        lent: false,
        generation: 0,
        jumped: 0,
        next: 0,
        next_epoch: 0,
        fetch: 0,
        epoch: 0,
        target: 0,
        asked: Link::NONE,
        fresh: false,
        forgotten: false,
        told_by: Link::NONE,
        told: Told::NOTHING,
        replica: 0,
        replica_until: Instant::ZERO,
        checked: 0,
        #[cfg(not(feature = "one-version"))]
        read_of: 0,
        held: 0,
        failures: 0,
        retry_at: Instant::ZERO,
        high_watermark: 0,
        committed: None,
        commit: None,
        committing: None,
        fault: None,
        fault_at: 0,
    };

    /// Whether the next offset to hand out is known.
    pub(super) fn is_known(&self) -> bool {
        // One that failed before it was found has none.
        self.next >= 0 && matches!(self.reading, Reading::Going | Reading::Checking | Reading::Failed)
    }

    /// What was fetched before is passed over; what was handed out of it counts, unless there was a jump since.
    pub(super) fn renew(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        // Generations are compared by the sign of their difference: the jump must not be too far back.
        if self.generation.wrapping_sub(self.jumped) > 1 << 30 {
            self.jumped = self.generation.wrapping_sub(1 << 29);
        }
    }

    /// It will fail at this offset, once what is sound in front of it has been handed out.
    #[inline(never)]
    pub(super) fn expect_failure(&mut self, (offset, fault): (i64, ConsumeFault)) {
        if self.reading != Reading::Failed {
            (self.fault, self.fault_at) = (Some(fault), offset);
        }
    }

    /// Takes what will make it fail, and the offset.
    pub(super) fn take_expected(&mut self) -> Option<(i64, ConsumeFault)> {
        let fault = if self.reading == Reading::Failed { None } else { self.fault.take() };
        fault.map(|fault| (self.fault_at, fault))
    }

    /// It has failed. Whether there is one error more to tell.
    pub(super) fn fail(&mut self, offset: i64, fault: ConsumeFault) -> bool {
        let more = !self.is_untold();
        (self.reading, self.fault, self.next) = (Reading::Failed, Some(fault), offset.max(self.next));
        more
    }

    /// Whether it has failed, and nobody has been told.
    pub(super) fn is_untold(&self) -> bool {
        self.reading == Reading::Failed && self.fault.is_some()
    }

    /// Takes what is to be told, and the offset.
    pub(super) fn take_untold(&mut self) -> Option<(i64, ConsumeFault)> {
        let fault = if self.is_untold() { self.fault.take() } else { None }?;
        let offset = self.next;
        if let ConsumeFault::Truncated { end_offset } = fault {
            // Behind this the log has other records, which nobody has read: they are not to be committed.
            (self.next, self.next_epoch) = (offset.min(end_offset), -1);
            self.renew();
            self.jumped = self.generation;
        }
        Some((offset, fault))
    }

    /// Nobody reads it any more: what was fetched is passed over, what is to be committed is not. Answers that failed have done so
    /// wherever it goes on.
    pub(super) fn leave(&mut self) {
        let Position { held, told_by, told, failures, committed, commit, committing, .. } = *self;
        let generation = self.generation.wrapping_add(1);
        // All of it is zero: field by field, a copy of what is not set below would stand in flash.
        *self = const { Position::EMPTY };
        (self.held, self.told_by, self.told, self.failures) = (held, told_by, told, failures);
        (self.committed, self.commit, self.committing) = (committed, commit, committing);
        (self.generation, self.jumped) = (generation, generation);
    }
}

/// Who has a chunk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Holder {
    /// Nobody.
    Nobody = 0,
    /// A request that is out.
    Request,
    /// It is full, and its connection's task is to verify it.
    Verifier,
    /// The queue of what is to be handed out.
    Queue,
    /// The caller.
    Caller,
}

/// A buffer for the answer to one Fetch request: segments, one a partition, see `segment`.
///
/// All fetch memory is chunks. A request takes one before it is sent, so what was fetched and what was asked for together
/// are never more than there is.
#[derive(Debug)]
pub struct Chunk<B> {
    /// None while the connection's task or the caller has it.
    pub(crate) buffer: Option<B>,
    pub(crate) holder: Holder,
    /// Bytes of whole segments.
    pub(crate) filled: u32,
    /// Bytes up to where the segment that is being received ends so far; no more than `filled` if there is none.
    pub(crate) end: u32,
    /// Bytes of records that are to come for that segment and have room.
    pub(crate) wanted: u32,
    /// Bytes of aborted transactions in it.
    pub(crate) transactions: u32,
    /// Of the chunk among all that have compressed batches; 0 if it has none.
    pub(crate) number: u32,
    pub(crate) cursor: super::Cursor,
    /// Partitions of the answer that have brought records so far.
    pub(crate) shares: u16,
    pub(crate) stream: Stream,
    pub(crate) hooks: Hooks,
}

impl<B> Chunk<B> {
    /// One without a buffer.
    pub const EMPTY: Chunk<B> = Chunk {
        buffer: None,
        holder: Holder::Nobody,
        filled: 0,
        end: 0,
        wanted: 0,
        transactions: 0,
        number: 0,
        cursor: super::Cursor::NOWHERE,
        shares: 0,
        stream: Stream::NONE,
        hooks: Hooks::NONE,
    };

    pub(crate) fn reset(&mut self, holder: Holder) {
        self.holder = holder;
        (self.filled, self.end, self.wanted, self.transactions) = (0, 0, 0, 0);
        (self.number, self.cursor) = (0, super::Cursor::START);
        (self.shares, self.stream) = (0, Stream::NONE);
    }
}

pub(crate) fn chunk_hooks<B>(chunk: &mut Chunk<B>) -> &mut Hooks {
    &mut chunk.hooks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_offset_that_a_log_may_have_is_kept() {
        for offset in [-1, 0, 1, i64::MAX - 1, i64::MIN] {
            assert_eq!(Offset::new(offset).get(), offset);
        }
        assert_eq!(Offset::new(i64::MAX).get(), i64::MAX - 1);
        assert_eq!(size_of::<Option<Offset>>(), 8);
    }

    #[test]
    fn what_is_wrong_further_on_does_not_replace_what_has_failed() {
        let mut position = Position { reading: Reading::Going, ..Position::EMPTY };
        position.expect_failure((7, ConsumeFault::NotCommitted));
        assert!(!position.is_untold());
        assert_eq!(position.take_expected(), Some((7, ConsumeFault::NotCommitted)));
        assert!(position.fail(7, ConsumeFault::NotCommitted));
        position.expect_failure((9, ConsumeFault::OffsetOutOfRange));
        assert_eq!(position.take_expected(), None);
        assert!(!position.fail(5, ConsumeFault::OffsetOutOfRange), "one error is told, the last");
        assert_eq!(position.take_untold(), Some((7, ConsumeFault::OffsetOutOfRange)));
        assert_eq!((position.take_untold(), position.next), (None, 7));
    }

    #[test]
    fn any_number_of_pauses_is_no_jump() {
        let mut position = Position { generation: (1 << 31) - 5, ..Position::EMPTY };
        for _ in 0..10 {
            let handed_out = position.generation;
            position.renew();
            position.renew();
            assert!(handed_out.wrapping_sub(position.jumped).cast_signed() >= 0, "{position:?}");
        }
    }
}
