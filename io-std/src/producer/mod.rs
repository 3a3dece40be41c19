//! The handle of those who write.

mod builder;

pub use builder::Builder;

use crate::block_on::block_on;
use crate::driver::Driven;
use crate::guard;
use crate::heap::Heap;
use crate::metrics::{Latencies, Metrics};
use crate::net::TokioIo;
use demitasse_core::{
    Delivery, DeliveryError, Destination, MemoryPlan, Pool, Receipt, Record, Scratch, SendError, Topic, TopicError,
};
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// A producer's handle: cheap to clone, and usable from many tasks and threads at once.
///
/// Methods that wait are futures, for any executor; the `_blocking` ones are for plain threads. The producer's own work
/// runs on the tokio runtime that it was started in, or on a thread of its own. If that runtime ends first, it is closed: what was
/// taken is not sent, and who waits is told.
///
/// If that runtime has one thread only, as in `#[tokio::test]`, a task of it that waits in a `_blocking` method waits for
/// itself. They panic then, as tokio's own do; as long as nobody runs such a runtime, nothing is sent.
///
/// Dropping the last handle never blocks: what was taken is sent in the background, for `delivery.timeout.ms` at most,
/// as long as the runtime lives. To know that it was, [`Producer::close`].
#[derive(Clone)]
pub struct Producer(Arc<Handle>);

struct Handle {
    shared: Arc<Shared>,
    delivery_timeout: Duration,
    /// The runtime that its work is on, if that has one thread only.
    home: Option<tokio::runtime::Id>,
}

struct Shared {
    core: demitasse_core::Producer<Heap>,
    latencies: Arc<Latencies>,
    /// What the connections compress with.
    compression: Pool,
}

impl Driven for Shared {
    fn run_clock(&self, io: &TokioIo) -> impl Future<Output = ()> + Send {
        self.core.run_clock(io)
    }

    fn run_connection(&self, io: &TokioIo, slot: usize, scratch: Scratch<'_>) -> impl Future<Output = ()> + Send {
        self.core.run_connection(io, slot, scratch)
    }

    fn abandon(&self) {
        self.core.abandon();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.core.close_in_background(self.delivery_timeout);
    }
}

impl Producer {
    /// Begins to build a producer.
    ///
    /// ```no_run
    /// use demitasse_io_std::{Producer, Record};
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let producer = Producer::builder().bootstrap_servers("localhost:9092").start()?;
    /// let readings = producer.topic("readings")?;
    /// let delivery = producer.send(readings, &Record::new(b"21.5").key(b"kitchen")).await?;
    /// println!("offset {:?}", producer.wait(delivery).await?.offset);
    /// producer.close(std::time::Duration::from_secs(10)).await;
    /// # Ok(()) }
    /// ```
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// The topic of this name, for `send`. It takes one of the places for topics, for good; asking again for the same
    /// topic costs only the search.
    ///
    /// # Errors
    /// The name is illegal, or all places are taken. Whether the topic exists shows later.
    pub fn topic(&self, name: &str) -> Result<Topic, TopicError> {
        guard::client(|| self.core().topic(name))
    }

    /// The name of a topic.
    pub fn topic_name(&self, topic: Topic) -> String {
        self.core().with_name(topic, str::to_owned)
    }

    /// How many partitions the topic has; `None` while that is not known.
    pub fn partitions(&self, topic: Topic) -> Option<u32> {
        self.core().partitions(topic)
    }

    /// Takes a record if there is room, else refuses at once.
    ///
    /// # Errors
    /// [`SendError::Full`] and [`SendError::TopicPending`] are for now; all others stay. Whatever the error, the record
    /// was not taken.
    #[inline]
    pub fn try_send(&self, to: impl Into<Destination>, record: &Record<'_>) -> Result<Delivery, SendError> {
        guard::client(|| self.core().try_send(to, record))
    }

    /// Takes a record, waiting for room and for news of the topic, `max.block.ms` at most.
    ///
    /// # Errors
    /// [`SendError::Timeout`] when it has waited in vain; others at once. Whatever the error, the record was not taken.
    ///
    /// # Cancellation
    /// Dropped before it is ready, the record was not taken.
    pub fn send(
        &self,
        to: impl Into<Destination>,
        record: &Record<'_>,
    ) -> impl Future<Output = Result<Delivery, SendError>> + Send {
        guard::guarded(self.core().send(to.into(), record))
    }

    /// Takes many records for one partition under one taking of the lock: all of them or none. They are one delivery.
    ///
    /// # Errors
    /// As [`Producer::try_send`]; [`SendError::KeysInSlice`] if the partitioner would spread the records by their keys.
    pub fn try_send_slice(&self, to: impl Into<Destination>, records: &[Record<'_>]) -> Result<Delivery, SendError> {
        guard::client(|| self.core().try_send_slice(to, records))
    }

    /// As [`Producer::try_send_slice`], waiting as [`Producer::send`] does.
    ///
    /// # Cancellation
    /// Dropped before it is ready, none of the records was taken.
    pub fn send_slice(
        &self,
        to: impl Into<Destination>,
        records: &[Record<'_>],
    ) -> impl Future<Output = Result<Delivery, SendError>> + Send {
        guard::guarded(self.core().send_slice(to.into(), records))
    }

    /// Takes records for any partitions of a topic, as many under one taking of the lock as there is room for, and calls
    /// `taken` with the delivery of each; `taken` must not call the producer.
    ///
    /// # Errors
    /// Those of [`Producer::send`], for the first record for which `taken` was not called; none after it was taken.
    ///
    /// # Cancellation
    /// Dropped before it is ready, those records were taken for which `taken` was called, and no others.
    pub fn send_each(
        &self,
        to: impl Into<Destination>,
        records: &[Record<'_>],
        taken: impl FnMut(Delivery) + Send,
    ) -> impl Future<Output = Result<(), SendError>> + Send {
        guard::guarded(self.core().send_each(to.into(), records, taken))
    }

    /// The outcome of a delivery, if it is known.
    pub fn outcome(&self, delivery: &Delivery) -> Option<Result<Receipt, DeliveryError>> {
        guard::client(|| self.core().outcome(delivery))
    }

    /// Waits for the outcome of a delivery: `delivery.timeout.ms` at most.
    ///
    /// # Errors
    /// Records were refused, or nobody can tell whether they were written: see the counts.
    ///
    /// # Cancellation
    /// Dropping it changes nothing for the records; it may be waited for again.
    pub fn wait(&self, delivery: Delivery) -> impl Future<Output = Result<Receipt, DeliveryError>> + Send {
        guard::guarded(self.core().wait(delivery))
    }

    /// Ends what is held of a delivery, see [`UnknownOutcome::Hold`](crate::UnknownOutcome::Hold): its outcome is "unknown" from
    /// now on. How many records it was for; none if nothing of it is held.
    pub fn give_up(&self, delivery: &Delivery) -> u32 {
        guard::client(|| self.core().give_up(delivery))
    }

    /// Sends without lingering what was taken before this call, and waits until the outcome of all of it is known, good
    /// or bad.
    ///
    /// # Errors
    /// Only that every seat for waiting tasks is taken, if the settings say to refuse then.
    ///
    /// # Cancellation
    /// Dropping it changes nothing for the records.
    pub fn flush(&self) -> impl Future<Output = Result<(), SendError>> + Send {
        guard::guarded(self.core().flush())
    }

    /// Takes no more records from any handle, sends what was taken and waits for the outcomes, `patience` at most. What
    /// has none by then gets one: failed if it was never sent, else unknown.
    ///
    /// # Cancellation
    /// The producer closes all the same.
    pub fn close(&self, patience: Duration) -> impl Future<Output = ()> + Send {
        guard::guarded(self.core().close(patience))
    }

    /// [`Producer::send`] for a plain thread, which it blocks.
    ///
    /// # Errors
    /// Those of [`Producer::send`].
    pub fn send_blocking(&self, to: impl Into<Destination>, record: &Record<'_>) -> Result<Delivery, SendError> {
        block_on(self.0.home, self.send(to, record))
    }

    /// [`Producer::send_slice`] for a plain thread, which it blocks.
    ///
    /// # Errors
    /// Those of [`Producer::send_slice`].
    pub fn send_slice_blocking(
        &self,
        to: impl Into<Destination>,
        records: &[Record<'_>],
    ) -> Result<Delivery, SendError> {
        block_on(self.0.home, self.send_slice(to, records))
    }

    /// [`Producer::wait`] for a plain thread, which it blocks.
    ///
    /// # Errors
    /// Those of [`Producer::wait`].
    pub fn wait_blocking(&self, delivery: Delivery) -> Result<Receipt, DeliveryError> {
        block_on(self.0.home, self.wait(delivery))
    }

    /// [`Producer::flush`] for a plain thread, which it blocks.
    ///
    /// # Errors
    /// Those of [`Producer::flush`].
    pub fn flush_blocking(&self) -> Result<(), SendError> {
        block_on(self.0.home, self.flush())
    }

    /// [`Producer::close`] for a plain thread, which it blocks.
    pub fn close_blocking(&self, patience: Duration) {
        block_on(self.0.home, self.close(patience));
    }

    /// Lets go of every connection, as if the network had cut it: what is outstanding is sent again over new ones. For
    /// when the caller knows that the way to the brokers has changed, and for tests.
    pub fn disconnect(&self) {
        guard::client(|| self.core().disconnect());
    }

    /// All memory, pool by pool: bytes, use, and the most that was ever in use.
    pub fn memory(&self) -> MemoryPlan {
        let memory = self.core().memory();
        let Pool { entry_bytes, capacity, .. } = self.0.shared.compression;
        let (used, high_water) = (memory.connections.used.min(capacity), memory.connections.high_water.min(capacity));
        MemoryPlan { compression: Pool { entry_bytes, capacity, used, high_water }, ..memory }
    }

    /// Counters, pools and latencies.
    pub fn metrics(&self) -> Metrics {
        let (core, latencies) = (self.core(), &self.0.shared.latencies);
        Metrics { counters: core.counters(), memory: self.memory(), moving: core.moving(), latency: latencies.read() }
    }

    fn core(&self) -> &demitasse_core::Producer<Heap> {
        &self.0.shared.core
    }
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_can_be_shared_and_its_futures_sent() {
        fn shared<T: Clone + Send + Sync + 'static>() {}
        fn sent<T: Send>(_: &T) {}
        shared::<Producer>();
        let producer = Producer::builder().bootstrap_servers("127.0.0.1:1").start().unwrap();
        let topic = producer.topic("t").unwrap();
        let record = Record::new(b"v");
        sent(&producer.send(topic, &record));
        sent(&producer.send_slice(topic, &[record]));
        sent(&producer.flush());
    }

    /// It hung for ever.
    #[tokio::test]
    #[should_panic = "Cannot block the current thread from within a runtime"]
    async fn a_task_that_would_wait_for_itself_is_told() {
        let producer = Producer::builder().bootstrap_servers("127.0.0.1:1").start().unwrap();
        let topic = producer.topic("t").unwrap();
        let _ = producer.send_blocking(topic, &Record::new(b"v"));
    }

    /// Where others run its tasks, blocking is right.
    #[test]
    fn who_is_not_needed_may_wait() {
        let start = || Producer::builder().bootstrap_servers("127.0.0.1:1").start().unwrap();
        let of_own_thread = start();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            of_own_thread.close_blocking(Duration::ZERO);
            let producer = start();
            let close = move || producer.close_blocking(Duration::from_millis(1));
            tokio::task::spawn_blocking(close).await.unwrap();
        });
    }
}
