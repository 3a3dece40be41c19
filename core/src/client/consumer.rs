//! The handle of those who read.

use super::wait::{self, RoomSeat};
use super::{Io, Producer, Scratch};
use crate::consumer::{CommitError, ConsumeError, Cursor, Fullness, Gauges, Lent, Start, Step};
use crate::producer::{Topic, TopicError};
use crate::records::read::{Headers, Record};
use crate::state::{Counters, MemoryPlan, Platform, StartError};
use core::cell::RefCell;
use core::future::{Future, poll_fn};
use core::task::{Context, Poll, ready};
use core::time::Duration;

/// A consumer: what all handles and the driver share, as with [`Producer`], whose driver it is.
///
/// Records are read where they landed: [`Consumer::poll`] lends a chunk of them, and takes it back when it is dropped.
pub struct Consumer<P: Platform> {
    client: Producer<P>,
}

impl<P: Platform> Consumer<P> {
    /// A consumer over storage that is locked in `lock`. It reads nothing before it is started.
    pub const fn new(lock: P::Lock, clock: P::Clock) -> Self {
        Consumer { client: Producer::new(lock, clock) }
    }

    /// Hands the chunks' buffers over. Before the start, once.
    pub fn lend(&self, buffers: impl Iterator<Item = P::Buffer>) {
        self.client.lend(buffers);
    }

    /// Hands over what compressed batches are read with. Without it a compressed batch is an error of its partition. Before
    /// the start, once.
    pub fn lend_inflater(&self, inflater: P::Inflater) {
        self.client.with(|state| state.lend_inflater(inflater));
    }

    /// As [`Producer::start`].
    ///
    /// # Errors
    /// As there.
    pub fn start(
        &self,
        settings: P::Settings,
        bootstrap: &[(&str, u16)],
        scratch: (usize, usize),
        random: u32,
    ) -> Result<(), StartError> {
        self.client.start(settings, bootstrap, scratch, random)
    }

    /// As [`Producer::topic`].
    pub fn topic(&self, name: &str) -> Result<Topic, TopicError> {
        self.client.topic(name)
    }

    /// As [`Producer::partitions`].
    pub fn partitions(&self, topic: Topic) -> Option<u32> {
        self.client.partitions(topic)
    }

    /// As [`Consumer::partitions`], and waits until it is known, `default.api.timeout.ms` at most.
    ///
    /// # Errors
    /// The cluster refuses the topic, or has told nothing of it in that time; or every seat is taken, if the settings say to refuse
    /// then.
    pub async fn wait_partitions(&self, topic: Topic) -> Result<u32, TopicError> {
        let deadline = self.client.with(|state| self.client.now().after_millis(state.max_block()));
        let mut seat = RoomSeat::new(&self.client);
        poll_fn(|cx| {
            let (mut replaced, times) = (None, (self.client.now(), deadline));
            let wait = self
                .client
                .with(|state| state.poll_partition_count(topic, times, &mut seat.seat, cx.waker(), &mut replaced));
            drop(replaced);
            let refused = || TopicError::TooManyWaiters { capacity: self.client.look(|state| state.seats_in_all()) };
            wait::pending(wait, cx, || Err(refused()))
        })
        .await
    }

    /// As [`Producer::with_name`].
    pub fn with_name<R>(&self, topic: Topic, f: impl FnOnce(&str) -> R) -> R {
        self.client.with_name(topic, f)
    }

    /// Reads a partition from now on, from `start`; again from there if it is read already.
    ///
    /// # Errors
    /// All places for partitions are taken, or the topic is another client's. A topic that does not exist is waited for, without
    /// an error; a partition that its topic does not have is an error of [`Consumer::poll`].
    pub fn assign(&self, topic: Topic, partition: i32, start: Start) -> Result<(), TopicError> {
        self.client.with(|state| state.read_from(topic, partition, start))
    }

    /// Reads it no more. Its place in the table stays its own, so that it can be assigned again; another partition does not get it.
    pub fn unassign(&self, topic: Topic, partition: i32) {
        self.client.with(|state| state.unassign(topic, partition));
    }

    /// Goes on from another place. What was fetched before is passed over.
    pub fn seek(&self, topic: Topic, partition: i32, start: Start) {
        self.client.with(|state| state.seek_to(topic, partition, start));
    }

    /// Nothing of the partition is fetched or handed out until it is resumed. It keeps its place.
    pub fn pause(&self, topic: Topic, partition: i32) {
        self.client.with(|state| state.pause(topic, partition, true));
    }

    /// Ends a pause.
    pub fn resume(&self, topic: Topic, partition: i32) {
        self.client.with(|state| state.pause(topic, partition, false));
    }

    /// The offset of the next record of the partition, if it is known.
    pub fn position(&self, topic: Topic, partition: i32) -> Option<i64> {
        self.client.with(|state| state.position(topic, partition))
    }

    /// As [`Consumer::position`], and waits until it is known.
    ///
    /// # Errors
    /// The partition cannot be read, see [`Consumer::poll`]; told here, it is not told there. Or it is
    /// not assigned, or no more.
    pub async fn wait_position(&self, topic: Topic, partition: i32) -> Result<i64, ConsumeError> {
        let mut seat = RoomSeat::new(&self.client);
        poll_fn(|cx| {
            let mut replaced = None;
            let wait = self
                .client
                .with(|state| state.poll_position(topic, partition, &mut seat.seat, cx.waker(), &mut replaced));
            drop(replaced);
            wait::or_spin(wait, cx)
        })
        .await
    }

    /// How many records are behind the position, as far as the last answer said.
    pub fn lag(&self, topic: Topic, partition: i32) -> Option<u64> {
        self.client.with(|state| state.lag(topic, partition))
    }

    /// The offset that the group keeps for the partition, if it was asked for or committed.
    pub fn committed(&self, topic: Topic, partition: i32) -> Option<i64> {
        self.client.with(|state| state.committed(topic, partition))
    }

    /// Lets the group keep where the reading of every partition is: behind the records that were handed out and given
    /// back. Ends when the broker has it.
    ///
    /// # Errors
    /// There is no group, the broker refuses, or `default.api.timeout.ms` is over.
    ///
    /// # Cancellation
    /// Dropped, what is to be committed is still sent.
    pub async fn commit(&self) -> Result<(), CommitError> {
        let before = self.client.with(|state| state.commit())?;
        self.committed_all(before).await
    }

    /// As [`Consumer::commit`], for these partitions and offsets alone: those of the next records to read after a start. Who
    /// calls it says himself what is done with: a close commits nothing more.
    ///
    /// # Errors
    /// As there, a partition that is not assigned, and an offset below 0: then none is committed.
    pub async fn commit_offsets(&self, offsets: &[(Topic, i32, i64)]) -> Result<(), CommitError> {
        let before = self.client.with(|state| state.commit_offsets(offsets))?;
        self.committed_all(before).await
    }

    async fn committed_all(&self, refused_before: u32) -> Result<(), CommitError> {
        let deadline = self.client.with(|state| self.client.now().after_millis(state.max_block()));
        let mut seat = RoomSeat::new(&self.client);
        poll_fn(|cx| {
            let (mut replaced, times) = (None, (self.client.now(), deadline));
            let wait = self
                .client
                .with(|state| state.poll_commit(refused_before, times, &mut seat.seat, cx.waker(), &mut replaced));
            drop(replaced);
            wait::pending(wait, cx, || Err(CommitError::TooManyWaiters))
        })
        .await
    }

    /// How full what comes after the consumer is, from 0 to 1: from now on a poll hands out at most
    /// `max * (1 - fullness)` records, rounded down, and `poll.min.records` of them all the same. Less than 0 counts as 0;
    /// more than 1, and what is no number, as 1.
    pub fn set_fullness(&self, fullness: f64) {
        self.client.with(|state| state.s.consumer.fullness = Some(Fullness::of(fullness)));
    }

    /// What there is to see at this moment.
    pub fn gauges(&self) -> Gauges {
        self.client.with(|state| state.gauges())
    }

    /// Waits for records, of any partition, and lends at most `max` of them, or less, see [`Consumer::set_fullness`];
    /// `None` when the consumer is closed.
    ///
    /// # Errors
    /// A partition cannot be read on; it stops alone, and is told once.
    ///
    /// # Cancellation
    /// Dropped before it is ready, nothing was lent.
    pub async fn poll(&self, max: u32) -> Result<Option<Fetched<'_, P>>, ConsumeError> {
        let mut seat = RoomSeat::new(&self.client);
        poll_fn(|cx| self.poll_fetched(&mut seat, cx, max)).await
    }

    /// Not inlined: the copies of a loan on its way would weigh on the stack of the caller's task.
    #[inline(never)]
    pub(super) fn poll_fetched<'c>(
        &'c self,
        seat: &mut RoomSeat<'c, P>,
        cx: &mut Context<'_>,
        max: u32,
    ) -> Poll<Result<Option<Fetched<'c, P>>, ConsumeError>> {
        loop {
            let mut replaced = None;
            let wait = self.client.with(|state| state.poll_records(&mut seat.seat, cx.waker(), &mut replaced));
            drop(replaced);
            let Some((lent, cursor)) = ready!(wait::or_spin(wait, cx))? else { return Poll::Ready(Ok(None)) };
            let mut fetched = Fetched::new(self, lent, cursor, max);
            if fetched.prepare() {
                return Poll::Ready(Ok(Some(fetched)));
            }
        }
    }

    /// The client below it, for what runs it: [`Producer::run_clock`] and [`Producer::run_connection`]. So a side whose
    /// producers and consumers share a driver has its machine code once.
    pub fn client(&self) -> &Producer<P> {
        &self.client
    }

    /// As [`Producer::run_clock`].
    pub fn run_clock(&self, io: &impl Io) -> impl Future<Output = ()> {
        self.client.run_clock(io)
    }

    /// As [`Producer::run_connection`].
    pub fn run_connection(&self, io: &impl Io, slot: usize, scratch: Scratch<'_>) -> impl Future<Output = ()> {
        self.client.run_connection(io, slot, scratch)
    }

    /// Commits as [`Consumer::commit`] does if there is a group and nobody has used [`Consumer::commit_offsets`], reads no more,
    /// and lets the driver's futures end.
    ///
    /// # Errors
    /// Those of the commit. It is closed all the same.
    ///
    /// # Cancellation
    /// Dropped, what is to be committed is still sent, and it is not closed.
    pub async fn close(&self) -> Result<(), CommitError> {
        let committed = match self.client.with(|state| state.last_commit()) {
            Ok(before) => self.committed_all(before).await,
            Err(CommitError::NoGroup) => Ok(()),
            Err(error) => Err(error),
        };
        self.client.close(Duration::ZERO).await;
        committed
    }

    /// As [`Consumer::close`], but nothing is committed, and nobody waits for it.
    pub fn close_in_background(&self) {
        self.client.close_in_background(Duration::ZERO);
    }

    /// As [`Producer::disconnect`].
    pub fn disconnect(&self) {
        self.client.disconnect();
    }

    /// For tests: whether all tables agree with each other.
    ///
    /// # Errors
    /// The first rule that does not hold.
    #[cfg(feature = "audit")]
    pub fn audit(&self) -> Result<(), &'static str> {
        self.client.audit()?;
        self.client.with(|state| state.audit_reading())
    }

    /// All memory, pool by pool.
    pub fn memory(&self) -> MemoryPlan {
        self.client.memory()
    }

    /// Counters since the start.
    pub fn counters(&self) -> Counters {
        self.client.counters()
    }
}

/// A record that is lent, until its [`Fetched`] is dropped.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Consumed<'a> {
    /// Its topic.
    pub topic: Topic,
    /// Its partition's number.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// Milliseconds since 1970: the producer's, or when the broker appended it.
    pub timestamp: i64,
    /// The key, None for null.
    pub key: Option<&'a [u8]>,
    /// The value, None for null.
    pub value: Option<&'a [u8]>,
    /// The headers, in order.
    pub headers: Headers<'a>,
    /// Whether the checksum of its batch is known to be right. False only while a batch that is larger than
    /// `fetch.chunk.bytes` streams by, see [`stream_large_batches`](crate::Config::stream_large_batches).
    pub verified: bool,
}

/// Records that are lent. What was iterated over counts as read when this is dropped; the rest comes with the next poll.
///
/// What is compressed is decompressed by the poll, a window at a time: the records end where the window does.
pub struct Fetched<'c, P: Platform> {
    consumer: &'c Consumer<P>,
    /// None once it was given back.
    lent: Option<Lent<P>>,
    progress: RefCell<Progress>,
    /// Where in the chunk the first segment begins that it has to do with.
    from: u32,
    /// Whether the records are those of a compressed batch.
    inflated: bool,
}

#[derive(Clone, Copy)]
struct Progress {
    cursor: Cursor,
    /// Records that may still be handed out.
    left: u32,
    /// The partition of the segment that is being read, and the first offset of it that is wanted.
    wanted: Option<(i64, Topic, i32)>,
    over: bool,
    /// The rest of a batch that streams by is to come.
    cut: bool,
}

impl Progress {
    /// Hands a record out, if it is wanted.
    #[inline]
    fn take<'a>(&mut self, record: Record<'a>, verified: bool) -> Option<Consumed<'a>> {
        let (from, topic, partition) = self.wanted.as_mut()?;
        if record.offset < *from {
            return None;
        }
        *from = record.offset + 1;
        self.left -= 1;
        let (topic, partition) = (*topic, *partition);
        let Record { offset, timestamp, key, value, headers } = record;
        Some(Consumed { topic, partition, offset, timestamp, key, value, headers, verified })
    }
}

impl<'c, P: Platform> Fetched<'c, P> {
    fn new(consumer: &'c Consumer<P>, lent: Lent<P>, cursor: Cursor, max: u32) -> Self {
        // Where a poll ended within a segment, the next one goes on, unless somebody has sought meanwhile.
        let segment = cursor.segment(&lent.buffer).filter(|_| !cursor.is_at_end());
        let (left, wanted) =
            consumer.client.with(|state| (state.pace(max), segment.and_then(|segment| state.begin_segment(&segment))));
        let mut progress = Progress { cursor, left, wanted, over: false, cut: false };
        if wanted.is_none() {
            progress.cursor.pass_over();
        }
        Fetched { consumer, lent: Some(lent), progress: RefCell::new(progress), from: cursor.passed(), inflated: false }
    }

    /// Goes up to the first record that is wanted, and has it decompressed if need be. False: there is none.
    fn prepare(&mut self) -> bool {
        let Some(Lent { buffer, filled, number, inflater, .. }) = &mut self.lent else { return true };
        let client = &self.consumer.client;
        let progress = self.progress.get_mut();
        while progress.left > 0 {
            let mut cursor = progress.cursor;
            match cursor.step(buffer, *filled) {
                Step::Record(record) if progress.wanted.is_none_or(|(from, ..)| record.offset >= from) => return true,
                Step::Record(_) => progress.cursor = cursor,
                Step::Compressed(segment, header) => {
                    progress.cursor = cursor;
                    let Some(((from, ..), inflater)) = progress.wanted.zip(inflater.as_mut()) else { return true };
                    let (payload, epoch) = (cursor.payload(buffer, &header), cursor.epoch());
                    match inflater.prepare((*number, cursor.at()), &header, payload, from) {
                        Ok(true) => {
                            progress.cursor.begin_batch(&header);
                            self.inflated = true;
                            return true;
                        }
                        Ok(false) => progress.cursor.pass_batch(&header),
                        Err(stopped) => {
                            progress.cursor.pass_over();
                            progress.wanted = None;
                            client.with(|state| {
                                state.handed_out(&segment, from, epoch);
                                state.stop_segment(&segment, stopped);
                            });
                        }
                    }
                }
                step => {
                    progress.cursor = cursor;
                    if !between(client, progress, step) {
                        return false;
                    }
                }
            }
        }
        true
    }

    /// The records. Iterating again goes on where the last one ended.
    pub fn records(&self) -> impl Iterator<Item = Consumed<'_>> {
        core::iter::from_fn(|| self.next_record())
    }

    #[inline]
    pub(super) fn next_record(&self) -> Option<Consumed<'_>> {
        let lent = self.lent.as_ref()?;
        // Nobody has it between two records.
        let mut progress = self.progress.try_borrow_mut().ok()?;
        match &lent.inflater {
            Some(inflater) if self.inflated => {
                let record = if progress.left > 0 { inflater.next()? } else { return None };
                progress.take(record, lent.verified)
            }
            _ => self.advance(&mut progress, lent),
        }
    }

    #[inline]
    fn advance<'a>(&self, progress: &mut Progress, lent: &'a Lent<P>) -> Option<Consumed<'a>> {
        while progress.left > 0 {
            match progress.cursor.step(&lent.buffer, lent.filled) {
                Step::Record(record) => {
                    if let Some(record) = progress.take(record, lent.verified) {
                        return Some(record);
                    }
                }
                // It comes with the next poll.
                Step::Compressed(..) => return None,
                step => {
                    if !between(&self.consumer.client, progress, step) {
                        return None;
                    }
                }
            }
        }
        None
    }
}

/// What there is between the records of a chunk; false when it is over.
#[inline(never)]
fn between<P: Platform>(client: &Producer<P>, progress: &mut Progress, step: Step<'_>) -> bool {
    match step {
        Step::Record(_) | Step::Compressed(..) => {}
        Step::Segment(segment) => {
            progress.wanted = client.with(|state| state.begin_segment(&segment));
            if progress.wanted.is_none() {
                progress.cursor.pass_over();
            }
        }
        Step::SegmentEnd => progress.wanted = None,
        // The loan ends here: what it has gone through counts when it is over.
        Step::Stopped(segment, stopped) => {
            client.with(|state| state.stop_segment(&segment, stopped));
            return false;
        }
        Step::Cut => {
            progress.cut = true;
            return false;
        }
        Step::End => {
            progress.over = true;
            return false;
        }
    }
    true
}

impl<P: Platform> Drop for Fetched<'_, P> {
    fn drop(&mut self) {
        let Some(Lent { mut buffer, chunk, filled, inflater, .. }) = self.lent.take() else { return };
        let progress = self.progress.get_mut();
        // It may well be the last of its chunk.
        if self.inflated
            && inflater.as_ref().is_some_and(|inflater| inflater.is_over())
            && let Step::Compressed(_, header) = progress.cursor.step(&buffer, filled)
        {
            progress.cursor.pass_batch(&header);
        }
        let segment = progress.cursor.segment(&buffer);
        let client = &self.consumer.client;
        // If only ends of segments are left, the chunk is free at once and not after another poll.
        let over = progress.over || progress.cursor.is_over(&buffer, filled);
        let passed = if over { filled } else { progress.cursor.passed() as usize };
        if progress.cut {
            progress.cursor.compact(&mut buffer);
        }
        client.with(|state| {
            let within =
                segment.zip(progress.wanted).map(|(segment, (next, ..))| (segment, next, progress.cursor.epoch()));
            state.loan_over(buffer.get(self.from as usize..passed).unwrap_or(&[]), within);
            if progress.cut && state.streams() {
                return state.give_back_piece(chunk, buffer, progress.cursor, client.now());
            }
            state.give_back(chunk, buffer, inflater, progress.cursor, over.then(|| client.now()));
        });
    }
}
