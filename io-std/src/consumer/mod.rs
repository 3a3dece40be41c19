//! The handle of those who read.

mod builder;

pub use builder::ConsumerBuilder;

use crate::driver::Driven;
use crate::guard;
use crate::heap::Heap;
use crate::net::TokioIo;
use demitasse_core::{
    CommitError, ConsumeError, Counters, Fetched, Gauges, MemoryPlan, Records, Scratch, Start, Topic, TopicError,
};
use futures_core::Stream;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// A consumer's handle: cheap to clone, and usable from many tasks at once.
///
/// Its own work runs on the tokio runtime that it was started in, or on a thread of its own. If that runtime ends first, it is
/// closed: nothing more is committed, and who waits is told.
///
/// Partitions are assigned by hand. All bytes that were fetched and not yet handed out, and all that were asked for, are
/// together never more than `fetch.memory.bytes`, whatever the backlog.
///
/// ```no_run
/// use demitasse_io_std::{Consumer, Start};
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let consumer = Consumer::builder().bootstrap_servers("localhost:9092").start()?;
/// let readings = consumer.topic("readings")?;
/// consumer.assign(readings, 0, Start::Beginning)?;
/// while let Some(fetched) = consumer.poll(500).await? {
///     for record in fetched.records() {
///         println!("{}: {:?}", record.offset, record.value);
///     }
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Consumer(Arc<Handle>);

struct Handle(Arc<Shared>);

struct Shared {
    core: demitasse_core::Consumer<Heap>,
}

impl Driven for Shared {
    fn run_clock(&self, io: &TokioIo) -> impl Future<Output = ()> + Send {
        self.core.run_clock(io)
    }

    fn run_connection(&self, io: &TokioIo, slot: usize, scratch: Scratch<'_>) -> impl Future<Output = ()> + Send {
        self.core.run_connection(io, slot, scratch)
    }

    fn abandon(&self) {
        self.core.client().abandon();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.core.close_in_background();
    }
}

impl Consumer {
    /// Begins to build a consumer.
    pub fn builder() -> ConsumerBuilder {
        ConsumerBuilder::new()
    }

    /// The topic of this name. Whether it exists shows later.
    ///
    /// # Errors
    /// The name is illegal, or all places are taken.
    pub fn topic(&self, name: &str) -> Result<Topic, TopicError> {
        self.core().topic(name)
    }

    /// The name of a topic.
    pub fn topic_name(&self, topic: Topic) -> String {
        self.core().with_name(topic, str::to_owned)
    }

    /// How many partitions the topic has; `None` while that is not known.
    pub fn partitions(&self, topic: Topic) -> Option<u32> {
        self.core().partitions(topic)
    }

    /// As [`Consumer::partitions`], and waits until it is known, `default.api.timeout.ms` at most.
    ///
    /// # Errors
    /// The cluster refuses the topic, or has told nothing of it in that time.
    pub fn wait_partitions(&self, topic: Topic) -> impl Future<Output = Result<u32, TopicError>> + Send {
        guard::guarded(self.core().wait_partitions(topic))
    }

    /// Reads a partition from now on; again from `start` if it is read already.
    ///
    /// # Errors
    /// All places for partitions are taken, or the topic is another client's.
    pub fn assign(&self, topic: Topic, partition: i32, start: Start) -> Result<(), TopicError> {
        self.core().assign(topic, partition, start)
    }

    /// Reads it no more. Its place in the table stays its own, so that it can be assigned again; another partition does not get it.
    pub fn unassign(&self, topic: Topic, partition: i32) {
        self.core().unassign(topic, partition);
    }

    /// Goes on from another place; also after an error of that partition.
    pub fn seek(&self, topic: Topic, partition: i32, start: Start) {
        self.core().seek(topic, partition, start);
    }

    /// Nothing of it is handed out until it is resumed. It keeps its place, and lets go of its memory.
    pub fn pause(&self, topic: Topic, partition: i32) {
        self.core().pause(topic, partition);
    }

    /// Ends a pause.
    pub fn resume(&self, topic: Topic, partition: i32) {
        self.core().resume(topic, partition);
    }

    /// The offset of the next record of the partition, if it is known.
    pub fn position(&self, topic: Topic, partition: i32) -> Option<i64> {
        self.core().position(topic, partition)
    }

    /// As [`Consumer::position`], and waits until it is known.
    ///
    /// # Errors
    /// The partition cannot be read, see [`Consumer::poll`]; told here, it is not told there. Or it is
    /// not assigned, or no more.
    pub fn wait_position(
        &self,
        topic: Topic,
        partition: i32,
    ) -> impl Future<Output = Result<i64, ConsumeError>> + Send {
        guard::guarded(self.core().wait_position(topic, partition))
    }

    /// How many records are behind the position, as far as the last answer said.
    pub fn lag(&self, topic: Topic, partition: i32) -> Option<u64> {
        self.core().lag(topic, partition)
    }

    /// How full what comes after the consumer is, from 0 to 1: from now on a poll hands out at most
    /// `max * (1 - fullness)` records, rounded down, and `poll.min.records` (10) of them all the same. Less than 0 counts
    /// as 0; more than 1, and what is no number, as 1.
    ///
    /// ```no_run
    /// # async fn example(consumer: demitasse_io_std::Consumer, buffer: Vec<u8>) -> Result<(), Box<dyn std::error::Error>> {
    /// consumer.set_fullness(buffer.len() as f64 / buffer.capacity() as f64);
    /// let fetched = consumer.poll(10_000).await?;
    /// # Ok(()) }
    /// ```
    pub fn set_fullness(&self, fullness: f64) {
        self.core().set_fullness(fullness);
    }

    /// What there is to see at this moment.
    pub fn gauges(&self) -> Gauges {
        self.core().gauges()
    }

    /// What has happened since the start.
    pub fn counters(&self) -> Counters {
        self.core().counters()
    }

    /// Waits for records of any partition, and lends at most `max` of them, or less, see [`Consumer::set_fullness`]. They stay
    /// where they landed; what was iterated over counts as read when the loan is dropped. `None` when the consumer is closed.
    ///
    /// # Errors
    /// A partition cannot be read on. It stops alone, and is told once; [`Consumer::seek`] makes it go on.
    ///
    /// # Cancellation
    /// Dropped before it is ready, nothing was lent.
    pub fn poll(&self, max: u32) -> impl Future<Output = Result<Option<Fetched<'_, Heap>>, ConsumeError>> + Send {
        guard::guarded(self.core().poll(max))
    }

    /// The offset that the group keeps for the partition, if it was asked for or committed.
    pub fn committed(&self, topic: Topic, partition: i32) -> Option<i64> {
        self.core().committed(topic, partition)
    }

    /// Lets the group (`group.id`) keep where the reading of every partition is: behind the records that were handed out
    /// and given back. Ends when the broker has it. Nothing is committed but by this call and its kin, and at the close.
    ///
    /// # Errors
    /// There is no group, the broker refuses, or `default.api.timeout.ms` is over.
    ///
    /// # Cancellation
    /// Dropped, what is to be committed is still sent.
    pub fn commit(&self) -> impl Future<Output = Result<(), CommitError>> + Send {
        guard::guarded(self.core().commit())
    }

    /// As [`Consumer::commit`], for these partitions and offsets alone: those of the next records to read after a start. Who
    /// calls it says himself what is done with: a close commits nothing more.
    ///
    /// # Errors
    /// As there, a partition that is not assigned, and an offset below 0: then none is committed.
    pub fn commit_offsets(
        &self,
        offsets: &[(Topic, i32, i64)],
    ) -> impl Future<Output = Result<(), CommitError>> + Send {
        guard::guarded(self.core().commit_offsets(offsets))
    }

    /// Records one by one, over polls of `max` of them; 0 counts as 1.
    ///
    /// ```no_run
    /// # async fn example(consumer: demitasse_io_std::Consumer) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut records = consumer.records(500);
    /// while let Some(bytes) = records.next(|record| record.value.map_or(0, <[u8]>::len)).await? {
    ///     println!("{bytes} bytes");
    /// }
    /// # Ok(()) }
    /// ```
    pub fn records(&self, max: u32) -> Records<'_, Heap> {
        self.core().records(max)
    }

    /// A stream of loans, each of at most `max` records (0 counts as 1), as [`Consumer::poll`] lends them.
    pub fn batches(&self, max: u32) -> Batches<'_> {
        Batches(self.core().batches(max))
    }

    /// Commits if there is a group and nobody has used [`Consumer::commit_offsets`], reads no more and lets go of all
    /// connections.
    ///
    /// # Errors
    /// Those of the commit. It is closed all the same.
    pub fn close(&self) -> impl Future<Output = Result<(), CommitError>> + Send {
        guard::guarded(self.core().close())
    }

    /// Lets go of every connection, as if the network had cut it: what is outstanding is asked for again over new ones. For
    /// when the caller knows that the way to the brokers has changed, and for tests.
    pub fn disconnect(&self) {
        guard::client(|| self.core().disconnect());
    }

    /// All memory, pool by pool.
    pub fn memory(&self) -> MemoryPlan {
        self.core().memory()
    }

    fn core(&self) -> &demitasse_core::Consumer<Heap> {
        &self.0.0.core
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer").finish_non_exhaustive()
    }
}

/// A stream of loans, which ends when the consumer is closed. Each should be dropped before the next is asked for: with
/// fewer chunks than loans nobody has anything to fetch into.
///
/// An error is of one partition, and the stream goes on after it.
#[derive(Debug)]
pub struct Batches<'c>(demitasse_core::Batches<'c, Heap>);

impl<'c> Stream for Batches<'c> {
    type Item = Result<Fetched<'c, Heap>, ConsumeError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next(cx)
    }
}
