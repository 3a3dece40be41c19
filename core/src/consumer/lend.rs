//! Chunks between the state, the connection's task and the caller: moved, never shared.

use super::assign::Start;
use super::cursor::Cursor;
use super::inflate::Stopped;
use super::segment::{SEGMENT_BYTES, Segment};
use super::table::{Holder, Reading, chunk_hooks};
use super::verify;
use super::{ConsumeError, ConsumeFault};
use crate::exchange::Topic;
use crate::pool::Seat;
use crate::records::read::{Batch, BatchError, Fault};
use crate::state::{Platform, State, Wait};
use crate::time::Instant;
use core::task::Waker;

/// A chunk in the hands of a connection's task, which reads from the stream straight into it.
pub(crate) struct Landing<B> {
    pub(crate) buffer: B,
    pub(crate) chunk: u16,
    /// Where the next bytes go, and how many.
    pub(crate) from: usize,
    pub(crate) wanted: usize,
}

/// A chunk in the hands of who verifies it.
pub(crate) struct Unverified<B> {
    pub(crate) buffer: B,
    pub(crate) chunk: u16,
    pub(crate) filled: usize,
    /// Whether what is compressed can be read, and batches that are larger than a chunk.
    pub(crate) inflates: bool,
    pub(crate) streams: bool,
    /// Whether only records of transactions that were committed are wanted.
    pub(crate) committed: bool,
    /// If it is a piece of such a batch: the checksum of those before, and where in the buffer it begins.
    pub(crate) piece: Option<(u32, usize)>,
}

/// A chunk in the hands of the caller, and what decompresses its batches, if any are compressed.
pub(crate) struct Lent<P: Platform> {
    pub(crate) buffer: P::Buffer,
    pub(crate) chunk: u16,
    pub(crate) number: u32,
    pub(crate) filled: usize,
    /// Whether the checksum of what is in it is known to be right.
    pub(crate) verified: bool,
    pub(crate) inflater: Option<P::Inflater>,
}

/// A chunk for the caller, and where in it the handing out is: apart, since that goes on in the caller's hands.
pub(crate) type Loan<P> = (Lent<P>, Cursor);

impl<P: Platform> State<P> {
    /// Whether records are what comes next over the connection.
    pub(crate) fn brings_records(&self, slot: usize) -> bool {
        self.connections[slot].receive.records_left() > 0
    }

    /// The chunk that records are coming for, if more of them are to come than have been taken.
    pub(crate) fn take_landing(&mut self, slot: usize) -> Option<Landing<P::Buffer>> {
        if !self.brings_records(slot) {
            return None;
        }
        let index = self.chunk_of(slot)?;
        let chunk = &mut self.chunks[index];
        if chunk.wanted == 0 {
            return None;
        }
        let buffer = chunk.buffer.take()?;
        Some(Landing { buffer, chunk: index as u16, from: chunk.end as usize, wanted: chunk.wanted as usize })
    }

    /// So many bytes of records have been read into the chunk.
    pub(crate) fn landed(&mut self, slot: usize, chunk: u16, buffer: P::Buffer, count: usize) {
        let index = chunk as usize;
        let Some(chunk) = self.chunks.get_mut(index) else { return };
        chunk.buffer = Some(buffer);
        if chunk.holder == Holder::Request {
            self.chunk_filled(slot, index, count as u32);
        }
    }

    /// A chunk that is to be verified, and how much of it.
    pub(crate) fn take_unverified(&mut self, slot: usize) -> Option<Unverified<P::Buffer>> {
        let index = core::mem::take(&mut self.connections[slot].verify).get()?;
        let (inflates, streams) = (self.s.consumer.inflater_bytes > 0, self.streams());
        let committed = self.reads_committed();
        let chunk = &mut self.chunks[index];
        let (filled, piece) = (chunk.filled as usize, chunk.stream.unsummed());
        let buffer = chunk.buffer.take()?;
        Some(Unverified { buffer, chunk: index as u16, filled, inflates, streams, committed, piece })
    }

    /// What was found in it is taken over, and the chunk waits to be handed out.
    pub(crate) fn verified(&mut self, chunk: u16, buffer: P::Buffer, compressed: bool) {
        let index = chunk as usize;
        let filled = self.chunks[index].filled as usize;
        let mut rest = buffer.get(..filled).unwrap_or(&[]);
        while let Some(segment) = Segment::read(rest) {
            self.take_over(&segment, rest);
            rest = rest.get(segment.bytes()..).unwrap_or(&[]);
        }
        if compressed {
            self.s.consumer.inflated_chunks = self.s.consumer.inflated_chunks.wrapping_add(1).max(1);
            self.chunks[index].number = self.s.consumer.inflated_chunks;
        }
        self.chunks[index].buffer = Some(buffer);
        self.queue_chunk(index);
    }

    pub(super) fn queue_chunk(&mut self, index: usize) {
        self.chunks[index].holder = Holder::Queue;
        let mut queue = self.s.consumer.full_chunks;
        queue.push_back(&mut self.chunks, index, chunk_hooks);
        self.s.consumer.full_chunks = queue;
        self.tell_room();
    }

    pub(super) fn take_over(&mut self, segment: &Segment, bytes: &[u8]) {
        let place = segment.place as usize;
        let Some(position) = self.positions.get_mut(place) else { return };
        if position.generation != segment.generation {
            return;
        }
        position.fetch = segment.next;
        if segment.epoch >= 0 {
            position.epoch = segment.epoch;
        }
        if segment.fault == verify::SOUND {
            return;
        }
        let at = segment.records_at().saturating_add(segment.sound as usize);
        let capacity = self.s.consumer.chunk_bytes.saturating_sub(SEGMENT_BYTES as u32);
        let (offset, fault) = what_is_wrong(segment, bytes.get(at..).unwrap_or(&[]), capacity);
        self.positions[place].expect_failure((offset, fault));
    }

    /// The next chunk to hand out, or an error of a partition; else the task is woken when there is something.
    pub(crate) fn poll_records(
        &mut self,
        seat: &mut Seat,
        waker: &Waker,
        replaced: &mut Option<Waker>,
    ) -> Wait<Result<Option<Loan<P>>, ConsumeError>> {
        if let Some(error) = self.take_fault() {
            return Wait::Ready(Err(error));
        }
        if let Some(lent) = self.take_full() {
            return Wait::Ready(Ok(Some(lent)));
        }
        if self.s.closing {
            return Wait::Ready(Ok(None));
        }
        self.wait_for_room(seat, waker, replaced, Instant::NEVER)
    }

    /// The first chunk that can be read now: what is compressed waits for the inflater, if another task has it.
    fn take_full(&mut self) -> Option<Loan<P>> {
        let mut queue = self.s.consumer.full_chunks;
        let mut at = queue.first();
        while let Some(index) = at
            && self.chunks[index].number != 0
            && self.inflater.is_none()
        {
            at = self.chunks[index].hooks.next().get();
        }
        let index = at?;
        queue.remove(&mut self.chunks, index, chunk_hooks);
        self.s.consumer.full_chunks = queue;
        let chunk = &mut self.chunks[index];
        chunk.holder = Holder::Caller;
        self.s.consumer.callers += 1;
        let (number, filled, cursor) = (chunk.number, chunk.filled as usize, chunk.cursor);
        let inflater = if number == 0 { None } else { self.inflater.take() };
        let verified = chunk.stream.is_verified();
        let buffer = chunk.buffer.take()?;
        Some((Lent { buffer, chunk: index as u16, number, filled, verified, inflater }, cursor))
    }

    /// The window that compressed batches are read through, and their decoders. Before the start, once.
    pub(crate) fn lend_inflater(&mut self, inflater: P::Inflater) {
        self.s.consumer.inflater_bytes = inflater.memory();
        self.inflater = Some(inflater);
    }

    /// The caller is done with a chunk, at that time, or with as much of it as it wanted.
    pub(crate) fn give_back(
        &mut self,
        chunk: u16,
        buffer: P::Buffer,
        inflater: Option<P::Inflater>,
        cursor: Cursor,
        over: Option<Instant>,
    ) {
        if inflater.is_some() {
            self.inflater = inflater;
            self.tell_room();
        }
        let index = chunk as usize;
        self.s.consumer.callers = self.s.consumer.callers.saturating_sub(1);
        let chunk = &mut self.chunks[index];
        chunk.buffer = Some(buffer);
        if let Some(now) = over {
            self.end_stream(index, now);
            return self.free_chunk(index);
        }
        (chunk.cursor, chunk.holder) = (cursor, Holder::Queue);
        let mut queue = self.s.consumer.full_chunks;
        queue.push_front(&mut self.chunks, index, chunk_hooks);
        self.s.consumer.full_chunks = queue;
        self.tell_room();
    }

    /// What a chunk has is not wanted, or nobody verifies it: its partitions are asked for again.
    pub(crate) fn drop_chunk(&mut self, index: usize) {
        let mut from = 0;
        while let Some(segment) = self.segment_at(index, from) {
            from += segment.bytes();
            if let Some(position) = self.positions.get_mut(segment.place as usize) {
                position.held = position.held.saturating_sub(1);
            }
        }
        self.free_chunk(index);
        self.reread_all();
    }

    pub(super) fn segment_at(&self, chunk: usize, from: usize) -> Option<Segment> {
        let chunk = self.chunks.get(chunk)?;
        Segment::read(chunk.buffer.as_ref()?.get(from..chunk.filled as usize)?)
    }

    /// Whether a segment is still wanted: from which offset on, and of which topic and partition.
    #[inline(never)]
    pub(crate) fn begin_segment(&mut self, segment: &Segment) -> Option<(i64, Topic, i32)> {
        let position = self.positions.get_mut(segment.place as usize)?;
        let entry = self.cluster.partitions.get(segment.place as usize)?;
        // Only a liar has a partition twice in an answer: of the second nothing is known until the first counts.
        let wanted =
            position.generation == segment.generation && position.reading != Reading::Unassigned && !position.lent;
        position.lent |= wanted;
        wanted.then(|| (position.next, Topic(entry.topic() as u16), entry.index))
    }

    /// A loan is over that has gone through these segments. What was handed out counts from now on: until then somebody may work
    /// on it, and it must not be committed. `within` is the segment that it ends in, the offset of the next record, and the epoch
    /// of the last one.
    #[inline(never)]
    pub(crate) fn loan_over(&mut self, mut passed: &[u8], within: Option<(Segment, i64, i32)>) {
        if let Some((segment, next, epoch)) = within {
            self.handed_out(&segment, next, epoch);
        }
        while let Some(segment) = Segment::read(passed) {
            let read = self.take_lent(&segment);
            self.end_of_segment(&segment, read);
            passed = passed.get(segment.bytes()..).unwrap_or(&[]);
        }
        if let Some((segment, ..)) = within {
            self.take_lent(&segment);
        }
    }

    fn take_lent(&mut self, segment: &Segment) -> bool {
        self.positions.get_mut(segment.place as usize).is_some_and(|position| core::mem::take(&mut position.lent))
    }

    /// Everything up to `next` was handed out; `epoch` is that of the last record. Also if the partition was paused
    /// meanwhile, but not if somebody has gone elsewhere.
    #[inline(never)]
    pub(crate) fn handed_out(&mut self, segment: &Segment, next: i64, epoch: i32) {
        if let Some(position) = self.positions.get_mut(segment.place as usize)
            && segment.generation.wrapping_sub(position.jumped) as i32 >= 0
            && next > position.next
        {
            (position.next, position.next_epoch) = (next, epoch);
            // A pause has let go of what was fetched: it is fetched again from here.
            if segment.generation != position.generation && position.fetch < next {
                (position.fetch, position.epoch) = (next, epoch);
            }
        }
    }

    /// The rest of the segment cannot be read, although its batches arrived as they were written.
    pub(crate) fn stop_segment(&mut self, segment: &Segment, stopped: Stopped) {
        // What is behind it does not count as read.
        self.take_lent(segment);
        if let Some(position) = self.positions.get_mut(segment.place as usize)
            && position.generation == segment.generation
        {
            position.expect_failure(stopped);
        }
    }

    /// Nothing of the segment is wanted any more: because it was `read`, or because it was not wanted to begin with.
    pub(crate) fn end_of_segment(&mut self, segment: &Segment, read: bool) {
        let place = segment.place as usize;
        let Some(position) = self.positions.get_mut(place) else { return };
        position.held = position.held.saturating_sub(1);
        if position.generation == segment.generation {
            match position.take_expected() {
                Some((offset, fault)) => self.fail_reading(place, offset, fault),
                None if segment.next > position.next => {
                    (position.next, position.next_epoch) = (segment.next, segment.epoch);
                }
                None => {}
            }
        } else if read {
            self.handed_out(segment, segment.next, segment.epoch);
        }
        self.reread(place);
    }

    /// For a partition that fails, jumps from where it stands.
    pub(crate) fn seek_to(&mut self, topic: Topic, partition: i32, start: Start) {
        if let Some(place) = crate::cluster::find_place(&self.cluster.partitions, topic.0 as usize, partition)
            && self.positions.get(place).is_some_and(|position| position.reading != Reading::Unassigned)
        {
            self.jump(place, start);
        }
    }
}

/// What is wrong with the batch at the front of `bytes`, and the offset.
fn what_is_wrong(segment: &Segment, bytes: &[u8], capacity: u32) -> (i64, ConsumeFault) {
    let batch = Batch::read(bytes);
    match (segment.fault, batch) {
        (verify::TOO_LARGE, _) => (segment.offset, ConsumeFault::BatchTooLarge { needed: segment.detail, capacity }),
        (verify::WRONG_CRC, Ok(batch)) => {
            let fault = Fault::Crc { stored: batch.header.crc, computed: segment.detail };
            // Its own offset, which no checksum covers, is no more to be believed: a position made of it would be committed.
            (segment.next, ConsumeFault::Corrupt(fault))
        }
        (verify::GOES_BACK, _) => {
            let fault = Fault::OffsetsGoBack { expected: segment.next };
            (segment.next, ConsumeFault::Corrupt(fault))
        }
        (_, Err(BatchError::Corrupt(corrupt))) => (segment.next, ConsumeFault::Corrupt(corrupt.fault)),
        (_, Ok(batch)) => (batch.header.base_offset, ConsumeFault::Compressed(batch.header.compression)),
        (_, Err(BatchError::Incomplete { .. })) => (segment.next, ConsumeFault::Corrupt(Fault::BatchLength(0))),
    }
}
