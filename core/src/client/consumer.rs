//! The handle of those who read.

use super::wait::{self, RoomSeat};
use super::{Fetched, Io, Producer, Scratch};
use crate::consumer::{CommitError, ConsumeError, Fullness, Gauges, Start};
use crate::exchange::{Topic, TopicError};
use crate::state::{Counters, MemoryPlan, Platform, StartError};
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

    async fn committed_all(&self, before: (u16, u16)) -> Result<(), CommitError> {
        let deadline = self.client.with(|state| self.client.now().after_millis(state.max_block()));
        let mut seat = RoomSeat::new(&self.client);
        poll_fn(|cx| {
            let (mut replaced, times) = (None, (self.client.now(), deadline));
            let wait =
                self.client.with(|state| state.poll_commit(before, times, &mut seat.seat, cx.waker(), &mut replaced));
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

    /// The client below it, for what starts and runs it: [`Producer::start`], [`Producer::run_clock`] and
    /// [`Producer::run_connection`]. So a side whose producers and consumers share a driver has its machine code once.
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
