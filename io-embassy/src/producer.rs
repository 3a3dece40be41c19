//! The handle.

use crate::platform::{Core, Shape, Shared};
use core::future::Future;
use core::time::Duration;
use demitasse_core::{
    Counters, Delivery, DeliveryError, Destination, MemoryPlan, Receipt, Record, SendError, Topic, TopicError,
};

/// A producer's handle: a reference, to be copied into as many tasks as there are on one executor.
///
/// Its [`crate::Runner`] must run beside the tasks that use it. It is not `Send`: an executor of another priority, or
/// another core, talks to it through a channel.
///
/// It is named after the storage: `Producer<Kafka>` where `storage!` was given the name `Kafka`. Without a name it is
/// `Producer` with one connection, `Producer<Shared<2>>` with two.
pub struct Producer<P: Shape = Shared>(&'static Core<P>);

impl<P: Shape> Producer<P> {
    pub(crate) const fn new(core: &'static Core<P>) -> Self {
        Producer(core)
    }

    /// The topic of this name, for `send`. It takes one of the places for topics, for good; asking again for the same
    /// topic costs only the search.
    ///
    /// # Errors
    /// The name is illegal or too long, or all places are taken. Whether the topic exists shows later.
    pub fn topic(self, name: &str) -> Result<Topic, TopicError> {
        self.0.topic(name)
    }

    /// Runs `f` on the name of a topic; `f` must not call the producer.
    pub fn with_topic_name<R>(self, topic: Topic, f: impl FnOnce(&str) -> R) -> R {
        self.0.with_name(topic, f)
    }

    /// How many partitions the topic has; `None` while that is not known.
    pub fn partitions(self, topic: Topic) -> Option<u32> {
        self.0.partitions(topic)
    }

    /// Takes a record if there is room, else refuses at once.
    ///
    /// # Errors
    /// [`SendError::Full`] and [`SendError::TopicPending`] are for now; all others stay. Whatever the error, the record
    /// was not taken.
    pub fn try_send(self, to: impl Into<Destination>, record: &Record<'_>) -> Result<Delivery, SendError> {
        self.0.try_send(to.into(), record)
    }

    /// Takes a record, waiting for room and for news of the topic, `max.block.ms` at most.
    ///
    /// # Errors
    /// [`SendError::Timeout`] when it has waited in vain; others at once. Whatever the error, the record was not taken.
    ///
    /// # Cancellation
    /// Dropped before it is ready, the record was not taken.
    pub fn send(
        self,
        to: impl Into<Destination>,
        record: &Record<'_>,
    ) -> impl Future<Output = Result<Delivery, SendError>> {
        self.0.send(to.into(), record)
    }

    /// Takes many records for one partition under one taking of the lock: all of them or none. They are one delivery.
    ///
    /// # Errors
    /// As [`Producer::try_send`]; [`SendError::KeysInSlice`] if the partitioner would spread the records by their keys.
    pub fn try_send_slice(self, to: impl Into<Destination>, records: &[Record<'_>]) -> Result<Delivery, SendError> {
        self.0.try_send_slice(to.into(), records)
    }

    /// As [`Producer::try_send_slice`], waiting as [`Producer::send`] does.
    ///
    /// # Cancellation
    /// Dropped before it is ready, none of the records was taken.
    pub fn send_slice(
        self,
        to: impl Into<Destination>,
        records: &[Record<'_>],
    ) -> impl Future<Output = Result<Delivery, SendError>> {
        self.0.send_slice(to.into(), records)
    }

    /// Takes records for any partitions of a topic, as many under one taking of the lock as there is room for, and calls
    /// `taken` with the delivery of each; `taken` must not call the producer: that panics.
    ///
    /// # Errors
    /// Those of [`Producer::send`], for the first record for which `taken` was not called; none after it was taken.
    ///
    /// # Cancellation
    /// Dropped before it is ready, those records were taken for which `taken` was called, and no others.
    pub fn send_each(
        self,
        to: impl Into<Destination>,
        records: &[Record<'_>],
        taken: impl FnMut(Delivery),
    ) -> impl Future<Output = Result<(), SendError>> {
        self.0.send_each(to.into(), records, taken)
    }

    /// The outcome of a delivery, if it is known.
    pub fn outcome(self, delivery: &Delivery) -> Option<Result<Receipt, DeliveryError>> {
        self.0.outcome(delivery)
    }

    /// Waits for the outcome of a delivery: `delivery.timeout.ms` at most.
    ///
    /// # Errors
    /// Records were refused, or nobody can tell whether they were written: see the counts.
    ///
    /// # Cancellation
    /// Dropping it changes nothing for the records; it may be waited for again.
    pub fn wait(self, delivery: Delivery) -> impl Future<Output = Result<Receipt, DeliveryError>> {
        self.0.wait(delivery)
    }

    /// Ends what is held of a delivery, see [`crate::UnknownOutcome::Hold`]: its outcome is "unknown" from now on. How many
    /// records it was for; none if nothing of it is held.
    pub fn give_up(self, delivery: &Delivery) -> u32 {
        self.0.give_up(delivery)
    }

    /// Sends without lingering what was taken before this call, and waits until the outcome of all of it is known, good
    /// or bad.
    ///
    /// # Errors
    /// Only that every seat for waiting tasks is taken, if the settings say to refuse then.
    ///
    /// # Cancellation
    /// Dropping it changes nothing for the records.
    pub fn flush(self) -> impl Future<Output = Result<(), SendError>> {
        self.0.flush()
    }

    /// Takes no more records from any handle, sends what was taken and waits for the outcomes, `patience` at most. What
    /// has none by then gets one: failed if it was never sent, else unknown. The runner ends, its connections closed.
    ///
    /// With `acks=0` there are no answers to wait for: what was just written may be lost with the connection.
    ///
    /// # Cancellation
    /// The producer closes all the same.
    pub fn close(self, patience: Duration) -> impl Future<Output = ()> {
        self.0.close(patience)
    }

    /// Tells the date, in milliseconds since 1970-01-01 UTC: records taken from now on carry it. It goes on by the
    /// monotonic clock; tell it again now and then if that drifts.
    pub fn set_wall_clock(self, unix_millis: i64) {
        self.0.clock().set_wall(unix_millis);
    }

    /// Lets go of every connection, as if the network had cut it: what is outstanding is sent again over new ones. For when
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

impl<P: Shape> Clone for Producer<P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P: Shape> Copy for Producer<P> {}

crate::shown_by_name!("Producer", [P: Shape] Producer<P>);
