//! Batches that are larger than a chunk, and not compressed: they come through it piece by piece.
//!
//! The chunk goes to and fro between the connection and the caller. While the caller has it, or is to fetch it, nothing is read
//! from the connection: what is to come waits in the network. A record that is cut is moved to the front, and the next bytes go
//! behind it. Whoever keeps a piece for longer than `request.timeout.ms`, or than half a second while somebody waits for the
//! connection's slot, or the group or a place for an answer over it, loses the rest: the connection passes it over, and the batch
//! is asked for again.
//!
//! The checksum grows with the pieces and is known with the last one: a wrong one is told then, and of the last piece
//! nothing is handed out.

use super::segment::{SEGMENT_BYTES, Segment};
use super::table::{Holder, Reading};
use super::verify::skipped;
use super::{ConsumeFault, Cursor};
use crate::connection::Phase;
use crate::exchange::HOLD_MILLIS;
use crate::pool::Link;
use crate::records::read::{BatchHeader, Fault};
use crate::records::{CRC_FROM, Compression};
use crate::state::{Platform, State};
use crate::time::Instant;

/// A batch on its way through a chunk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stream {
    /// The connection slot over which it comes; none if there is no such batch, or its rest will not come.
    slot: Link,
    /// Its transaction was aborted: nobody wants the records.
    skipped: bool,
    /// Bytes of it that have not come yet.
    left: u32,
    /// From here on the bytes in the chunk are not in the checksum.
    unsummed: u32,
    crc: u32,
    stored: u32,
    /// The offset behind it, and its leader's epoch.
    next: i64,
    epoch: i32,
}

impl Stream {
    pub(crate) const NONE: Stream =
        Stream { slot: Link::NONE, skipped: false, left: 0, unsummed: 0, crc: 0, stored: 0, next: 0, epoch: 0 };

    /// A batch of which `here` bytes are in a chunk, from `at` on, and `to_come` more bytes of records are in the answer; None
    /// if it is whole, or cannot be read in pieces.
    fn begin(slot: usize, bytes: &[u8], at: usize, to_come: u32) -> Option<(Stream, BatchHeader)> {
        let header = BatchHeader::read(bytes).ok()?;
        let left = header.length.checked_sub(bytes.len() as u32).filter(|left| (1..=to_come).contains(left))?;
        let stream = Stream {
            slot: Link::to(slot),
            skipped: false,
            left,
            unsummed: at.saturating_add(CRC_FROM) as u32,
            crc: 0,
            stored: header.crc,
            next: header.next_offset(),
            epoch: header.leader_epoch,
        };
        (header.compression == Compression::None && !header.is_control()).then_some((stream, header))
    }

    pub(crate) fn is_none(&self) -> bool {
        self.slot.is_none()
    }

    /// Whether all that was handed out of it so far has a checksum that is known to be right.
    pub(crate) fn is_verified(&self) -> bool {
        self.left == 0
    }

    /// The checksum so far, and from where on the chunk's bytes go on with it.
    pub(crate) fn unsummed(&self) -> Option<(u32, usize)> {
        (!self.is_none()).then_some((self.crc, self.unsummed as usize))
    }
}

impl<P: Platform> State<P> {
    /// Whether batches go through a chunk in pieces. Asked wherever that would make a difference: with settings that are fixed
    /// there is then no code for it.
    pub(crate) fn streams(&self) -> bool {
        self.settings.stream_large_batches
    }

    /// There is no room for more records in the chunk, or no more are wanted: if they are a piece of a batch, it is to be
    /// handed out before the connection reads on.
    pub(super) fn chunk_landed(&mut self, slot: usize, index: usize) {
        let chunk = &mut self.chunks[index];
        if chunk.wanted > 0 || chunk.stream.is_none() && !self.begin_stream(slot, index) {
            return;
        }
        let chunk = &mut self.chunks[index];
        (chunk.holder, chunk.filled) = (Holder::Verifier, chunk.end);
        self.connections[slot].verify = Link::to(index);
    }

    fn begin_stream(&mut self, slot: usize, index: usize) -> bool {
        let receive = &self.connections[slot].receive;
        let to_come = receive.records_left();
        let Some(place) = receive.partition.get().filter(|_| to_come > 0 && self.streams()) else {
            return false;
        };
        let position = &mut self.positions[place];
        let wanted = position.asked == Link::to(slot) && position.reading == Reading::Going;
        let chunk = &mut self.chunks[index];
        let Some(buffer) = chunk.buffer.as_mut().filter(|_| wanted && chunk.filled == 0) else { return false };
        let records = chunk.end.saturating_sub(SEGMENT_BYTES as u32).saturating_sub(chunk.transactions);
        let segment = Segment::arrived(place, position, chunk.transactions, records);
        let at = segment.records_at();
        let bytes = buffer.get(at..chunk.end as usize).unwrap_or(&[]);
        let Some((mut stream, header)) = Stream::begin(slot, bytes, at, to_come) else { return false };
        if stream.next <= segment.offset {
            // `verify` says what is wrong with it.
            return false;
        }
        stream.skipped = skipped(&header, buffer.get_mut(SEGMENT_BYTES..at).unwrap_or(&mut []), &[]);
        segment.write(buffer);
        chunk.stream = stream;
        position.held = position.held.saturating_add(1);
        true
    }

    /// So many bytes have come for the batch that goes through the chunk, if one does.
    pub(super) fn stream_landed(&mut self, index: usize, count: u32) {
        let stream = &mut self.chunks[index].stream;
        stream.left = stream.left.saturating_sub(count);
    }

    /// A piece has been added to the checksum, and waits to be handed out.
    pub(crate) fn piece_verified(&mut self, chunk: u16, mut buffer: P::Buffer, crc: u32, now: Instant) {
        let index = chunk as usize;
        let chunk = &mut self.chunks[index];
        (chunk.stream.crc, chunk.stream.unsummed) = (crc, chunk.filled);
        let (stream, filled) = (chunk.stream, chunk.filled);
        let Some(mut segment) = Segment::read(&buffer) else { return };
        segment.records = filled.saturating_sub(segment.records_at() as u32);
        let last = stream.left == 0;
        let sound = !last || stream.crc == stream.stored;
        segment.sound = if sound && !stream.skipped { segment.records } else { 0 };
        if last && sound {
            (segment.next, segment.epoch) = (stream.next, stream.epoch);
        }
        segment.write(&mut buffer);
        chunk.cursor.resume(&segment, filled);
        chunk.buffer = Some(buffer);
        if let Some(slot) = stream.slot.get() {
            self.connections[slot].brought_at = now;
        }
        if last {
            self.take_over(&segment, &[]);
            self.end_stream(index, now);
        }
        if !sound {
            let fault = Fault::Crc { stored: stream.stored, computed: stream.crc };
            self.stop_segment(&segment, (segment.next, ConsumeFault::Corrupt(fault)));
        }
        if stream.skipped && !last {
            return self.piece_over(index, &segment, segment.records_at() as u32, now);
        }
        self.postpone(stream.slot, now);
        self.queue_chunk(index);
    }

    /// The caller has read all whole records of a piece; the cut one was moved to the front.
    pub(crate) fn give_back_piece(&mut self, chunk: u16, buffer: P::Buffer, cursor: Cursor, now: Instant) {
        let index = chunk as usize;
        self.s.consumer.callers = self.s.consumer.callers.saturating_sub(1);
        let segment = cursor.segment(&buffer);
        let chunk = &mut self.chunks[index];
        (chunk.buffer, chunk.cursor) = (Some(buffer), cursor);
        if let Some(segment) = segment {
            self.piece_over(index, &segment, cursor.end(), now);
        }
    }

    /// The connection goes on reading behind the first `end` bytes of the chunk, unless the rest will not come, or nobody
    /// wants it.
    fn piece_over(&mut self, index: usize, segment: &Segment, end: u32, now: Instant) {
        let (place, capacity) = (segment.place as usize, self.s.consumer.chunk_bytes);
        let wanted = self.positions.get(place).is_some_and(|position| position.generation == segment.generation);
        let chunk = &mut self.chunks[index];
        if wanted && !chunk.stream.is_none() {
            (chunk.holder, chunk.filled, chunk.end) = (Holder::Request, 0, end);
            chunk.wanted = chunk.stream.left.min(capacity.saturating_sub(end));
            chunk.stream.unsummed = end;
            let slot = chunk.stream.slot;
            return self.go_on(slot, now);
        }
        self.end_stream(index, now);
        self.cut_off(place);
        self.free_chunk(index);
        self.reread(place);
    }

    /// What was handed out of a batch stays so; the rest is asked for again.
    fn cut_off(&mut self, place: usize) {
        let Some(position) = self.positions.get_mut(place) else { return };
        position.held = position.held.saturating_sub(1);
        if position.fetch < position.next {
            (position.fetch, position.epoch) = (position.next, position.next_epoch);
        }
    }

    /// The chunk through which what the connection brings goes in pieces.
    fn streaming_chunk(&mut self, slot: usize) -> Option<usize> {
        if !self.streams() {
            return None;
        }
        let ring = self.connections[slot].ring;
        let index = ring.front(self.places(slot))?.batches.get()?;
        (self.chunks.get(index)?.stream.slot == Link::to(slot)).then_some(index)
    }

    /// Whether the connection must not read: a piece of what it brings is on its way to the caller and back.
    pub(crate) fn holds_back(&mut self, slot: usize) -> bool {
        self.streaming_chunk(slot).is_some_and(|index| self.chunks[index].holder != Holder::Request)
    }

    /// Until when the caller may keep a piece at most, if somebody waits for the connection's slot, or the group or a place for an
    /// answer behind it. It may be himself, who commits in the midst of a batch, or seeks.
    pub(crate) fn held_until(&mut self, slot: usize) -> Instant {
        let connection = &self.connections[slot];
        let waited_for = connection.phase == Phase::Draining || connection.looking || self.group_waits_for(slot);
        if !waited_for || self.kept_chunk(slot).is_none() {
            return Instant::NEVER;
        }
        self.connections[slot].brought_at.after_millis(HOLD_MILLIS)
    }

    /// The chunk of a piece that the caller has, or is to have. Before it is verified it is the connection's: since when it is
    /// there is not known, and as a batch of its own it would be none.
    fn kept_chunk(&mut self, slot: usize) -> Option<usize> {
        self.streaming_chunk(slot).filter(|&index| matches!(self.chunks[index].holder, Holder::Queue | Holder::Caller))
    }

    /// The caller keeps a piece for too long: the connection passes the rest over.
    pub(crate) fn let_go(&mut self, slot: usize, now: Instant) {
        if let Some(index) = self.kept_chunk(slot) {
            self.end_stream(index, now);
        }
    }

    /// No more of a batch comes through the chunk: its connection goes on with what is behind.
    pub(super) fn end_stream(&mut self, index: usize, now: Instant) {
        if !self.streams() {
            return;
        }
        let link = core::mem::take(&mut self.chunks[index].stream.slot);
        let Some(slot) = link.get() else { return };
        let ring = self.connections[slot].ring;
        if let Some(request) = ring.front_mut(self.places(slot)) {
            request.batches = Link::NONE;
        }
        self.go_on(link, now);
    }

    fn go_on(&mut self, slot: Link, now: Instant) {
        self.postpone(slot, now);
        if let Some(slot) = slot.get() {
            self.wake_connection(slot);
        }
    }

    /// The answers to all that is outstanding on the connection may take `request.timeout.ms` from now on: nobody has read
    /// what the broker had to say.
    fn postpone(&mut self, slot: Link, now: Instant) {
        let Some(slot) = slot.get() else { return };
        let deadline = now.after_millis(self.settings.request_timeout);
        let ring = self.connections[slot].ring;
        ring.postpone(self.places(slot), deadline);
        self.wake_clock_by(deadline);
    }

    /// The request that a batch came for is lost with its connection. Whether the chunk was the request's.
    pub(super) fn stream_lost(&mut self, index: usize) -> bool {
        let streams = self.streams();
        let chunk = &mut self.chunks[index];
        let ours = chunk.holder == Holder::Request;
        // What a caller has of it is still good, and one that is verified is dropped by who knows of it.
        if !streams || core::mem::take(&mut chunk.stream.slot).is_none() || !ours {
            return ours;
        }
        if let Some(segment) = chunk.buffer.as_ref().and_then(|buffer| Segment::read(buffer)) {
            self.cut_off(segment.place as usize);
        }
        true
    }
}
