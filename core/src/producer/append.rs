//! A record into a batch: the one copy that it ever gets.

use super::batch::Phase;
use super::batch::{age_hooks, linger_hooks, queue_hooks};
use super::deliver::{Delivery, FORGET_MARKS_AFTER, Wait};
use super::record::{Destination, Record, Topic};
use super::{Partitioner, Platform, SendError, State, TopicError, Usage};
use crate::cluster::{TopicState, find_place};
use crate::pool::{Link, Seat};
use crate::protocol::ErrorCode;
use crate::records::{self, Fields, HEADER_BYTES, MAX_RECORD_OVERHEAD, partitioning};
use crate::time::{Clock, Instant};
use core::slice;
use core::task::Waker;

/// What a record takes at most beyond its size as the first of a batch with the batch's own timestamp: larger varints
/// for its index (4 more) and its timestamp (9 more), and for its length in consequence (1 more).
const INDEX_AND_TIME_BYTES: usize = 14;

/// Partitions that are looked at for one with nothing under way, when all have something.
const BUSY_LOOKS: u32 = 8;

/// Why a record could not be appended now or at all. Small, since it stands in every result of the hot path; the
/// [`SendError`] that users see is made from it when there is one.
#[derive(Clone, Copy)]
pub(crate) enum Refused {
    /// No buffer or slot is free.
    Full,
    TopicPending,
    // All others are for good.
    Closed,
    UnknownTopic,
    Denied(ErrorCode),
    NoSuchPartition {
        partition: i32,
        partitions: u32,
    },
    TooManyPartitions,
    RecordTooLarge {
        needed: u32,
    },
    SliceTooLarge {
        needed: u16,
    },
    KeysInSlice,
    EmptySlice,
}

impl Refused {
    /// Whether waiting does not help.
    pub(crate) fn is_for_good(self) -> bool {
        !matches!(self, Refused::Full | Refused::TopicPending)
    }
}

impl<P: Platform> State<P> {
    /// Takes a topic into the table, so that metadata is asked for it.
    pub(crate) fn topic(&mut self, name: &str) -> Result<Topic, TopicError> {
        let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if !(1..=249).contains(&name.len()) || matches!(name, "." | "..") || !name.bytes().all(legal) {
            return Err(TopicError::InvalidName);
        }
        let capacity = self.cluster.names.cell_bytes();
        if name.len() > capacity {
            let (length, capacity) = (name.len() as u16, capacity as u16);
            return Err(TopicError::NameTooLong { length, capacity });
        }
        let known = self.cluster.find_topic(name.as_bytes());
        let index = match known {
            Some(index) => index,
            None => {
                let added = self.cluster.add_topic(name.as_bytes());
                let index = added.ok_or(TopicError::TooManyTopics { capacity: self.cluster.topics.len() as u16 })?;
                self.cluster.metadata.want(Instant::ZERO);
                self.wake_clock();
                index
            }
        };
        Ok(Topic(index as u16))
    }

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
            self.s.counters.full += 1;
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

    /// The place of the partition that the record goes to, and whether that is the sticky one.
    #[inline]
    fn place(&mut self, to: Destination, key: Option<&[u8]>) -> Result<(usize, bool), Refused> {
        if self.s.closing || !self.s.started {
            return Err(Refused::Closed);
        }
        let topic = to.topic.0 as usize;
        let entry = self.cluster.topics.get(topic).filter(|entry| entry.is_used());
        let Some(entry) = entry else { return Err(Refused::UnknownTopic) };
        let (state, count) = (entry.state(), entry.partition_count);
        if let TopicState::Refused(code) = state {
            // Whoever refused it may have changed their mind. As often as somebody tries, but for the backoff.
            self.want_metadata(Instant::ZERO);
            return Err(Refused::Denied(code));
        }
        if let Some(partition) = to.partition {
            // Before the count is known the caller is believed: records wait in the batch for the first metadata.
            if partition < 0 || (count > 0 && partition as u32 >= count) {
                self.want_metadata(Instant::ZERO);
                return Err(Refused::NoSuchPartition { partition, partitions: count });
            }
            return Ok((self.pinned(topic, partition)?, false));
        }
        if count == 0 {
            return Err(Refused::TopicPending);
        }
        let partition = match (key, self.settings.partitioner) {
            (Some(key), Partitioner::Murmur2) => partitioning::java_partition(key, count),
            (Some(key), Partitioner::Crc32) if !key.is_empty() => partitioning::librdkafka_partition(key, count),
            _ => return Ok((self.sticky(topic)?, true)),
        };
        Ok((self.pinned(topic, partition as i32)?, false))
    }

    /// The place of a partition from now on: its sequences must not be forgotten.
    fn pinned(&mut self, topic: usize, partition: i32) -> Result<usize, Refused> {
        if let Some(place) = find_place(&self.cluster.partitions, topic, partition)
            && self.cluster.partitions[place].pinned
        {
            return Ok(place);
        }
        let added = self.cluster.add_partition(topic, partition, true);
        let place = added.ok_or(Refused::TooManyPartitions)?;
        if self.cluster.partitions[place].leader < 0 {
            self.cluster.topics[topic].wanted = true;
            self.want_metadata(Instant::ZERO);
        }
        Ok(place)
    }

    /// The partition that records without a key go to now.
    fn sticky(&mut self, topic: usize) -> Result<usize, Refused> {
        let entry = &self.cluster.topics[topic];
        if let Some(place) = entry.sticky.get()
            && entry.sticky_bytes < self.s.batch_bytes
            && (self.cluster.partitions[place].index as u32) < entry.partition_count
        {
            return Ok(place);
        }
        let (count, before) = (entry.partition_count, entry.sticky);
        let start = self.random() % count.max(1);
        let (mut choice, mut best) = (None, (false, false));
        // A partition that has a leader, is not the one before and has nothing under way; failing that, whatever there is.
        // More than there are places for cannot be found anyway.
        for step in 0..count.min(self.cluster.partitions.len() as u32) {
            let Some(place) = self.cluster.find_partition(topic, ((start + step) % count) as i32) else { continue };
            let leads = self.cluster.partitions[place].leader >= 0 && (Link::to(place) != before || count == 1);
            let rank = (leads, !self.is_busy(place));
            if choice.is_none() || rank > best {
                (choice, best) = (Some(place), rank);
            }
            if rank == (true, true) || best.0 && step >= BUSY_LOOKS {
                break;
            }
        }
        let index = choice.map_or(start as i32, |place| self.cluster.partitions[place].index);
        let place = self.pinned(topic, index).or_else(|refused| self.placed(topic, start, before).ok_or(refused))?;
        let entry = &mut self.cluster.topics[topic];
        (entry.sticky, entry.sticky_bytes) = (Link::to(place), 0);
        Ok(place)
    }

    /// A partition of the topic that has a place, when there is no place for another: one that has a leader and is not the one
    /// before, if there is one.
    #[cold]
    fn placed(&self, topic: usize, start: u32, before: Link) -> Option<usize> {
        let (known, count) = (self.known_partitions(), self.cluster.topics[topic].partition_count);
        let mut choice = None;
        for step in 0..known {
            let place = (start as usize + step) % known;
            let entry = &self.cluster.partitions[place];
            if entry.topic() != topic || entry.index as u32 >= count {
                continue;
            }
            choice = Some(place);
            if entry.leader >= 0 && Link::to(place) != before {
                break;
            }
        }
        choice
    }

    /// Another partition becomes the sticky one.
    fn leave_sticky(&mut self, place: usize) -> Result<usize, Refused> {
        let topic = self.cluster.partitions[place].topic();
        self.cluster.topics[topic].sticky = Link::NONE;
        self.sticky(topic)
    }

    /// Whether a batch that is opened there comes behind others, while those of another partition may go at once. Java's client
    /// also weighs partitions by what waits for them (KIP-794). A device has few connections, and nothing to gain.
    fn is_busy(&self, place: usize) -> bool {
        cfg!(feature = "scaling") && !self.queues[place].batches.is_empty()
    }

    fn count_sticky(&mut self, place: usize, bytes: u32) {
        let topic = self.cluster.partitions[place].topic();
        let entry = &mut self.cluster.topics[topic];
        entry.sticky_bytes = entry.sticky_bytes.saturating_add(bytes);
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
        self.s.counters.full += 1;
        Err(Refused::Full)
    }

    pub(crate) fn partition_count(&self, topic: Topic) -> Option<u32> {
        self.cluster.topics.get(topic.0 as usize).map(|t| t.partition_count).filter(|&count| count > 0)
    }

    /// How many partitions the topic has, once that is known.
    #[cfg(feature = "consumer")]
    pub(crate) fn poll_partition_count(
        &mut self,
        topic: Topic,
        (now, deadline): (Instant, Instant),
        seat: &mut Seat,
        waker: &Waker,
        replaced: &mut Option<Waker>,
    ) -> Wait<Result<u32, TopicError>> {
        let index = topic.0 as usize;
        let Some(entry) = self.cluster.topics.get(index) else {
            return Wait::Ready(Err(TopicError::NotKnown { code: ErrorCode::NONE, connection: None }));
        };
        match entry.state() {
            TopicState::Known => return Wait::Ready(Ok(entry.partition_count)),
            TopicState::Refused(code) => return Wait::Ready(Err(TopicError::Refused(code))),
            TopicState::Pending(code) if deadline <= now || self.s.closing => {
                return Wait::Ready(Err(TopicError::NotKnown { code, connection: self.s.trouble }));
            }
            TopicState::Pending(_) => {}
        }
        if !entry.wanted && self.cluster.metadata.failures == 0 {
            self.cluster.topics[index].wanted = true;
            self.want_metadata(now);
        }
        self.wait_for_room(seat, waker, replaced, deadline)
    }

    pub(crate) fn with_topic_name<R>(&mut self, topic: Topic, f: impl FnOnce(&str) -> R) -> R {
        f(core::str::from_utf8(self.cluster.name(topic.0 as usize)).unwrap_or_default())
    }

    /// Waits for room, or for news of a topic, until `deadline`.
    pub(crate) fn wait_for_room<T>(
        &mut self,
        seat: &mut Seat,
        waker: &Waker,
        replaced: &mut Option<Waker>,
        deadline: Instant,
    ) -> Wait<T> {
        let mut room = self.s.room;
        let seated = self.seats().wait(seat, &mut room, waker, replaced, deadline);
        self.s.room = room;
        self.wake_clock_by(deadline);
        if seated { Wait::Seated } else { self.no_seat() }
    }

    /// Gives up a seat of those who wait for room.
    pub(crate) fn leave_room(&mut self, seat: &mut Seat) -> Option<Waker> {
        let mut room = self.s.room;
        let waker = self.seats().leave(seat, Some(&mut room));
        self.s.room = room;
        waker
    }

    /// How long `send` may wait.
    pub(crate) fn max_block(&self) -> u32 {
        self.settings.max_block
    }

    /// The error of a `try_send`, or of a `send` for which waiting does not help.
    #[inline(never)]
    pub(crate) fn refusal(&self, refused: Refused, to: Destination, requested: u32) -> SendError {
        match refused {
            Refused::Full => SendError::Full(self.usage(requested)),
            Refused::TopicPending => SendError::TopicPending { code: self.topic_code(to), connection: self.s.trouble },
            Refused::Closed => SendError::Closed,
            Refused::UnknownTopic => SendError::UnknownTopic,
            Refused::Denied(code) => SendError::TopicRefused { code },
            Refused::NoSuchPartition { partition, partitions } => SendError::NoSuchPartition { partition, partitions },
            Refused::TooManyPartitions => {
                SendError::TooManyPartitions { capacity: self.cluster.partitions.len() as u16 }
            }
            Refused::RecordTooLarge { needed } => SendError::RecordTooLarge { needed, capacity: self.s.batch_bytes },
            Refused::SliceTooLarge { needed } => {
                SendError::SliceTooLarge { needed, capacity: self.buffers.len() as u16 }
            }
            Refused::KeysInSlice => SendError::KeysInSlice,
            Refused::EmptySlice => SendError::EmptySlice,
        }
    }

    /// The error of a `send` that has waited in vain.
    pub(crate) fn timeout(&self, refused: Refused, to: Destination, requested: u32) -> SendError {
        let topic = match refused {
            Refused::TopicPending => Some(self.topic_code(to)),
            _ => None,
        };
        let usage = self.usage(requested);
        SendError::Timeout { waited: self.settings.max_block, usage, topic, connection: self.s.trouble }
    }

    fn topic_code(&self, to: Destination) -> ErrorCode {
        self.cluster.topics.get(to.topic.0 as usize).map_or(ErrorCode::NONE, |t| t.error())
    }

    fn usage(&self, requested: u32) -> Usage {
        let batch_bytes = u64::from(self.s.batch_bytes);
        Usage {
            requested,
            in_use: batch_bytes * u64::from(self.s.buffers_level.used),
            capacity: batch_bytes * self.buffers.len() as u64,
            open: self.s.open,
            queued: self.s.queued,
            in_flight: self.s.in_flight,
        }
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
