//! A record into a batch: the one copy that it ever gets.

use super::batch::Phase;
use super::batch::{age_hooks, linger_hooks, queue_hooks};
use super::deliver::{Delivery, FORGET_MARKS_AFTER};
use super::record::{Destination, Record};
use super::refused::Refused;
use super::{Partitioner, Platform, State};
use crate::records::{self, Fields, HEADER_BYTES, MAX_RECORD_OVERHEAD};
use crate::time::Clock;
use core::slice;

/// What a record takes at most beyond its size as the first of a batch with the batch's own timestamp: larger varints
/// for its index (4 more) and its timestamp (9 more), and for its length in consequence (1 more).
const INDEX_AND_TIME_BYTES: usize = 14;

impl<P: Platform> State<P> {
    /// Appends one record; `clock` is read only if a batch must be opened.
    #[inline]
    pub(crate) fn append(
        &mut self,
        to: Destination,
        record: &Record<'_>,
        clock: &impl Clock,
    ) -> Result<Delivery, Refused> {
        let (place, sticky) = self.place(to, record.key)?;
        self.append_at(place, sticky, slice::from_ref(record), clock)
    }

    /// Appends to the partition at `place` as many of the records as its batch still takes, at least one; how many is in
    /// the delivery. If the partition is the sticky one, a full batch makes another the sticky one (KIP-480), and so does one
    /// that is under way.
    #[inline]
    fn append_at(
        &mut self,
        place: usize,
        sticky: bool,
        records: &[Record<'_>],
        clock: &impl Clock,
    ) -> Result<Delivery, Refused> {
        if let Some(index) = self.open_batch(place)
            && let Some(delivery) = self.fill(index, place, sticky, records, clock)
        {
            return Ok(delivery);
        }
        self.append_behind(place, sticky, records, clock)
    }

    /// As before, when there is no open batch, or one that is full.
    #[inline(never)]
    fn append_behind(
        &mut self,
        mut place: usize,
        sticky: bool,
        records: &[Record<'_>],
        clock: &impl Clock,
    ) -> Result<Delivery, Refused> {
        let Some(first) = records.first() else { return Err(Refused::EmptySlice) };
        if sticky && self.open_batch(place).is_none() && self.is_busy(place) {
            place = self.leave_sticky(place)?;
        }
        while let Some(index) = self.open_batch(place) {
            if let Some(delivery) = self.fill(index, place, sticky, records, clock) {
                return Ok(delivery);
            }
            if self.batches[index].count == 0 {
                return Err(too_large(first));
            }
            self.seal(index);
            self.reconsider(place);
            if sticky {
                place = self.leave_sticky(place)?;
            }
        }
        let index = self.open(place, first, clock)?;
        self.fill(index, place, sticky, records, clock).ok_or_else(|| too_large(first))
    }

    /// The batch of the partition that takes records.
    #[inline]
    fn open_batch(&self, place: usize) -> Option<usize> {
        let last = self.queues[place].batches.last()?;
        (self.batches[last].phase == Phase::Open).then_some(last)
    }

    /// Appends to a batch as many of the records as it still takes; `None` if that is none.
    #[inline]
    fn fill(
        &mut self,
        index: usize,
        place: usize,
        sticky: bool,
        records: &[Record<'_>],
        clock: &impl Clock,
    ) -> Option<Delivery> {
        let batch = &mut self.batches[index];
        let (before, bytes) = (batch.count, batch.length);
        let timestamp = batch.take(records, clock);
        let (count, bytes) = (batch.count - before, batch.length - bytes);
        if count == 0 {
            return None;
        }
        let (first, generation) = (batch.first_ordinal.wrapping_add(before), batch.generation);
        let queue = &mut self.queues[place];
        queue.appended = queue.appended.wrapping_add(count);
        self.s.counters.records = self.s.counters.records.wrapping_add(count as usize);
        if sticky {
            self.count_sticky(place, bytes);
        }
        Some(Delivery { slot: index as u16, place: place as u16, generation, first, count, timestamp })
    }

    /// Takes a buffer and a slot for a new batch of the partition at `place`.
    fn open(&mut self, place: usize, record: &Record<'_>, clock: &impl Clock) -> Result<usize, Refused> {
        // Nearly always it fits with room to spare, and nobody needs to know exactly.
        let most = (self.s.batch_bytes as usize).saturating_sub(HEADER_BYTES);
        let surely = most_bytes(slice::from_ref(record)).is_some_and(|bytes| bytes <= most);
        if !surely && record_bytes(record) > most {
            return Err(too_large(record));
        }
        if self.pool().free() == 0 || (self.s.free_batches.is_empty() && self.s.free_unread.is_empty()) {
            self.s.counters.full = self.s.counters.full.wrapping_add(1);
            return Err(Refused::Full);
        }
        let Some(buffer) = self.pool().take() else { return Err(Refused::Full) };
        let Some(index) = self.take_slot() else {
            self.pool().give(buffer);
            return Err(Refused::Full);
        };
        let now = clock.now();
        let serial = self.s.next_serial;
        self.s.next_serial = serial.wrapping_add(1);
        if serial.wrapping_sub(self.s.flush_serial) > FORGET_MARKS_AFTER {
            self.s.flushing = false;
        }
        let queue = &mut self.queues[place];
        let first_ordinal = queue.appended;
        if queue.forgotten.is_some_and(|end| first_ordinal.wrapping_sub(end) > FORGET_MARKS_AFTER) {
            queue.forgotten = None;
        }
        self.batches[index].open(buffer, place, first_ordinal, serial, now);
        self.queues[place].batches.push_back(&mut self.batches, index, queue_hooks);
        self.s.age.push_back(&mut self.batches, index, age_hooks);
        self.s.batches_level.take();
        self.s.open += 1;
        if self.settings.linger == 0 {
            self.reconsider(place);
        } else {
            self.s.lingering.push_back(&mut self.batches, index, linger_hooks);
            self.batches[index].lingers = true;
            self.wake_clock_by(now.after_millis(self.settings.linger));
        }
        self.wake_clock_by(now.after_millis(self.settings.delivery_timeout));
        Ok(index)
    }

    /// No more records: it waits to be sent.
    pub(super) fn seal(&mut self, index: usize) {
        debug_assert!(self.batches[index].phase == Phase::Open);
        self.end_linger(index);
        self.batches[index].phase = Phase::Queued;
        self.s.open -= 1;
        self.s.queued += 1;
    }

    /// The batch is due, whether it is full or not.
    pub(super) fn end_linger(&mut self, index: usize) {
        if core::mem::take(&mut self.batches[index].lingers) {
            self.s.lingering.remove(&mut self.batches, index, linger_hooks);
        }
    }

    /// Appends many records to one partition: all of them or none.
    pub(crate) fn append_slice(
        &mut self,
        to: Destination,
        records: &[Record<'_>],
        clock: &impl Clock,
    ) -> Result<Delivery, Refused> {
        let keyed = to.partition.is_none() && self.settings.partitioner != Partitioner::Sticky;
        if keyed && records.iter().any(|r| r.key.is_some()) {
            return Err(Refused::KeysInSlice);
        }
        let (place, sticky) = self.place(to, None)?;
        self.fits(place, records)?;
        let mut rest = records;
        let mut whole: Option<Delivery> = None;
        while !rest.is_empty() {
            // The sticky partition changes only between slices.
            let delivery = self.append_at(place, false, rest, clock)?;
            rest = rest.get(delivery.count as usize..).unwrap_or(&[]);
            match &mut whole {
                Some(whole) => whole.count += delivery.count,
                None => whole = Some(delivery),
            }
        }
        if sticky {
            let bytes: usize = records.iter().map(record_bytes).sum();
            self.count_sticky(place, bytes as u32);
        }
        whole.ok_or(Refused::EmptySlice)
    }

    /// Whether all records fit behind each other into the partition's open batch and the free buffers.
    fn fits(&mut self, place: usize, records: &[Record<'_>]) -> Result<(), Refused> {
        let capacity = self.s.batch_bytes as usize;
        let open = self.queues[place].batches.last().map(|last| &self.batches[last]);
        let left = open.filter(|b| b.phase == Phase::Open).map_or(0, |b| capacity.saturating_sub(b.length as usize));
        // Nearly always there is room to spare: then nobody needs to know how much.
        if most_bytes(records).is_some_and(|bytes| bytes <= left) {
            return Ok(());
        }
        let fits_nowhere = |record: &&Record<'_>| record_bytes(record).saturating_add(HEADER_BYTES) > capacity;
        if let Some(record) = records.iter().find(fits_nowhere) {
            return Err(too_large(record));
        }
        let slots = self.batches.len().saturating_sub(self.s.batches_level.used as usize);
        let free = self.pool().free().min(slots);
        let needed = batches_needed(records, left, capacity);
        if needed <= free {
            return Ok(());
        }
        let buffers = self.buffers.len();
        if needed > buffers && batches_needed(records, 0, capacity) > buffers {
            return Err(Refused::SliceTooLarge { needed: needed.min(u16::MAX as usize) as u16 });
        }
        self.s.counters.full = self.s.counters.full.wrapping_add(1);
        Err(Refused::Full)
    }
}

/// How many new batches these records need when the open one has `left` bytes, each record counted as it would stand at
/// the end of the largest batch, with any timestamp: never fewer than they will take.
fn batches_needed(records: &[Record<'_>], left: usize, capacity: usize) -> usize {
    let (mut left, mut batches) = (left, 0);
    for record in records {
        let bytes = record_bytes(record) + INDEX_AND_TIME_BYTES;
        if bytes > left {
            batches += 1;
            left = capacity.saturating_sub(HEADER_BYTES);
        }
        left = left.saturating_sub(bytes);
    }
    batches
}

fn too_large(record: &Record<'_>) -> Refused {
    let needed = record_bytes(record).saturating_add(HEADER_BYTES);
    Refused::RecordTooLarge { needed: u32::try_from(needed).unwrap_or(u32::MAX) }
}

/// What records without headers take at the very most; `None` if one has headers.
fn most_bytes(records: &[Record<'_>]) -> Option<usize> {
    let length = |field: Option<&[u8]>| field.map_or(0, <[u8]>::len);
    records.iter().try_fold(0usize, |sum, record| {
        let fields = length(record.key).saturating_add(length(record.value));
        record.headers.is_empty().then(|| sum.saturating_add(fields).saturating_add(MAX_RECORD_OVERHEAD))
    })
}

/// Bytes of the record as the first of a batch.
pub(crate) fn record_bytes(record: &Record<'_>) -> usize {
    let fields = Fields { key: record.key, value: record.value, headers: record.headers, timestamp_delta: 0 };
    records::encoded_length(0, &fields)
}
