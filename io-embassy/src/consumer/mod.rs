//! The handle of those who read.

mod sizes;
mod storage;

pub use sizes::ConsumerSizes;
pub use storage::ConsumerStorage;

use crate::platform::{Client, Shape, Shared};
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use demitasse_core::{CommitError, ConsumeError, Consumed, Counters, Gauges, MemoryPlan, Start, Topic, TopicError};
use futures_core::Stream;

/// A consumer's handle: a reference, to be copied into as many tasks as there are on one executor.
///
/// Partitions are assigned by hand, and read in turn; a record is handed out when the CRC of its whole batch was found
/// right, unless the batch is larger than a chunk: see [`Consumed::verified`]. Its [`crate::Runner`] must run beside the
/// tasks that use it. It is not `Send`, as [`crate::Producer`] is not.
///
/// It is named after the storage, as [`crate::Producer`] is.
pub struct Consumer<P: Shape = Shared>(&'static Client<P>);

impl<P: Shape> Consumer<P> {
    pub(crate) const fn new(client: &'static Client<P>) -> Self {
        Consumer(client)
    }

    /// The topic of this name. It takes one of the places for topics, for good. Whether it exists shows later.
    ///
    /// # Errors
    /// The name is illegal or too long, or all places are taken.
    pub fn topic(self, name: &str) -> Result<Topic, TopicError> {
        self.0.topic(name)
    }

    /// Runs `f` on the name of a topic; `f` must not call the consumer.
    pub fn with_topic_name<R>(self, topic: Topic, f: impl FnOnce(&str) -> R) -> R {
        self.0.with_name(topic, f)
    }

    /// How many partitions the topic has; `None` while that is not known.
    pub fn partitions(self, topic: Topic) -> Option<u32> {
        self.0.partitions(topic)
    }

    /// As [`Consumer::partitions`], and waits until it is known, `max_block` of the settings at most.
    ///
    /// # Errors
    /// The cluster refuses the topic, or has told nothing of it in that time.
    pub fn wait_partitions(self, topic: Topic) -> impl Future<Output = Result<u32, TopicError>> {
        self.0.wait_partitions(topic)
    }

    /// Reads a partition from now on; again from `start` if it is read already.
    ///
    /// # Errors
    /// All places for partitions are taken, or the topic is another client's. A partition that is not there yet is waited for,
    /// without an error.
    pub fn assign(self, topic: Topic, partition: i32, start: Start) -> Result<(), TopicError> {
        self.0.assign(topic, partition, start)
    }

    /// Reads it no more. Its place in the table stays its own, so that it can be assigned again; another partition does not get it.
    pub fn unassign(self, topic: Topic, partition: i32) {
        self.0.unassign(topic, partition);
    }

    /// Goes on from another place; also after an error of that partition.
    pub fn seek(self, topic: Topic, partition: i32, start: Start) {
        self.0.seek(topic, partition, start);
    }

    /// Nothing of it is handed out until it is resumed. It keeps its place, and lets go of its memory.
    pub fn pause(self, topic: Topic, partition: i32) {
        self.0.pause(topic, partition);
    }

    /// Ends a pause.
    pub fn resume(self, topic: Topic, partition: i32) {
        self.0.resume(topic, partition);
    }

    /// The offset of the next record of the partition, if it is known: what to keep where the device keeps its settings,
    /// and to begin at after the next start ([`Start::Offset`]), if no group keeps it.
    pub fn position(self, topic: Topic, partition: i32) -> Option<i64> {
        self.0.position(topic, partition)
    }

    /// As [`Consumer::position`], and waits until it is known.
    ///
    /// # Errors
    /// The partition cannot be read, see [`Consumer::poll`]; told here, it is not told there. Or it is
    /// not assigned, or no more.
    pub fn wait_position(self, topic: Topic, partition: i32) -> impl Future<Output = Result<i64, ConsumeError>> {
        self.0.wait_position(topic, partition)
    }

    /// How many records are behind the position, as far as the last answer said.
    pub fn lag(self, topic: Topic, partition: i32) -> Option<u64> {
        self.0.lag(topic, partition)
    }

    /// How full what comes after the consumer is, from 0 to 1: from now on a poll hands out at most
    /// `max * (1 - fullness)` records, rounded down, and `poll_min_records` of the settings all the same.
    pub fn set_fullness(self, fullness: f64) {
        self.0.set_fullness(fullness);
    }

    /// What there is to see at this moment.
    pub fn gauges(self) -> Gauges {
        self.0.gauges()
    }

    /// Waits for records of any partition, and lends at most `max` of them. They stay where they landed; what was iterated
    /// over counts as read when the loan is dropped. `None` when the consumer is closed.
    ///
    /// A loan keeps its chunk: with one chunk nothing is fetched meanwhile.
    ///
    /// # Errors
    /// A partition cannot be read on. It stops alone, and is told once; [`Consumer::seek`] makes it go on.
    ///
    /// # Cancellation
    /// Dropped before it is ready, nothing was lent.
    pub async fn poll(self, max: u32) -> Result<Option<Fetched<P>>, ConsumeError> {
        Ok(self.0.poll(max).await?.map(Fetched))
    }

    /// Records one by one, over polls of `max` of them; 0 counts as 1.
    pub fn records(self, max: u32) -> Records<P> {
        Records(self.0.records(max))
    }

    /// A stream of loans, each of at most `max` records (0 counts as 1), as [`Consumer::poll`] lends them.
    pub fn batches(self, max: u32) -> Batches<P> {
        Batches(self.0.batches(max))
    }

    /// The offset that the group keeps for the partition, if it was asked for or committed.
    pub fn committed(self, topic: Topic, partition: i32) -> Option<i64> {
        self.0.committed(topic, partition)
    }

    /// Lets the group of the settings keep where the reading of every partition is: behind the records that were handed
    /// out and given back. Ends when the broker has it.
    ///
    /// # Errors
    /// There is no group, the broker refuses, or `max_block` of the settings is over.
    ///
    /// # Cancellation
    /// Dropped, what is to be committed is still sent.
    pub fn commit(self) -> impl Future<Output = Result<(), CommitError>> {
        self.0.commit()
    }

    /// As [`Consumer::commit`], for these partitions and offsets alone: those of the next records to read after a start. Who
    /// calls it says himself what is done with: a close commits nothing more.
    ///
    /// # Errors
    /// As there, a partition that is not assigned, and an offset below 0: then none is committed.
    pub fn commit_offsets(self, offsets: &[(Topic, i32, i64)]) -> impl Future<Output = Result<(), CommitError>> {
        self.0.commit_offsets(offsets)
    }

    /// Commits if there is a group and nobody has used [`Consumer::commit_offsets`], and reads no more. The runner ends, its
    /// connections closed.
    ///
    /// # Errors
    /// Those of the commit. It is closed all the same.
    pub fn close(self) -> impl Future<Output = Result<(), CommitError>> {
        self.0.close()
    }

    /// Lets go of every connection, as if the network had cut it: what is outstanding is asked for again over new ones. For when
    /// the way to the brokers has changed, another address from DHCP say.
    pub fn disconnect(self) {
        self.0.disconnect();
    }

    /// All memory, pool by pool: bytes, use, and the most that was ever in use.
    pub fn memory(self) -> MemoryPlan {
        self.0.memory()
    }

    /// Counters since the start.
    pub fn counters(self) -> Counters {
        self.0.counters()
    }
}

impl<P: Shape> Clone for Consumer<P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P: Shape> Copy for Consumer<P> {}

crate::shown_by_name!("Consumer", [P: Shape] Consumer<P>);

/// Records that are lent. What was iterated over counts as read when this is dropped; the rest comes with the next poll.
///
/// No record outlives it:
///
/// ```compile_fail
/// # async fn example(consumer: demitasse_io_embassy::Consumer) {
/// let fetched = consumer.poll(1).await.unwrap().unwrap();
/// let record = fetched.records().next();
/// drop(fetched);
/// println!("{record:?}");
/// # }
/// ```
pub struct Fetched<P: Shape = Shared>(demitasse_core::Fetched<'static, P>);

impl<P: Shape> Fetched<P> {
    /// The records. Iterating again goes on where the last one ended.
    pub fn records(&self) -> impl Iterator<Item = Consumed<'_>> {
        self.0.records()
    }
}

crate::shown_by_name!("Fetched", [P: Shape] Fetched<P>);

/// Records one by one. Dropped, what was not handed out comes with the next poll of anybody.
pub struct Records<P: Shape = Shared>(demitasse_core::Records<'static, P>);

impl<P: Shape> Records<P> {
    /// Waits for the next record, of any partition, and hands it to `read`; `None` when the consumer is closed.
    ///
    /// # Errors
    /// A partition cannot be read on, see [`Consumer::poll`].
    ///
    /// # Cancellation
    /// Dropped before it is ready, no record was handed out.
    pub fn next<R>(
        &mut self,
        read: impl FnOnce(Consumed<'_>) -> R,
    ) -> impl Future<Output = Result<Option<R>, ConsumeError>> {
        self.0.next(read)
    }
}

crate::shown_by_name!("Records", [P: Shape] Records<P>);

/// A stream of loans, which ends when the consumer is closed. Each should be dropped before the next is asked for: with
/// fewer chunks than loans nobody has anything to fetch into.
///
/// An error is of one partition, and the stream goes on after it.
pub struct Batches<P: Shape = Shared>(demitasse_core::Batches<'static, P>);

impl<P: Shape> Stream for Batches<P> {
    type Item = Result<Fetched<P>, ConsumeError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next(cx).map(|next| Some(next?.map(Fetched)))
    }
}

crate::shown_by_name!("Batches", [P: Shape] Batches<P>);
