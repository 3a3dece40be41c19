//! The handle, and how it is built.

use crate::block_on::block_on;
use crate::codec::Packing;
use crate::driver::{self, Driven};
use crate::guard;
use crate::heap::{Heap, MutexLock, tables};
use crate::metrics::{Latencies, Metrics};
use crate::net::{StdClock, TokioIo};
use demitasse_core::{
    Acks, Capacities, Compression, Config, Delivery, DeliveryError, Destination, MemoryPlan, Name, Partitioner, Pool,
    Receipt, Record, Scratch, SendError, Setting, Settings, Sizing, StartError, State, Topic, TopicError,
    UnknownOutcome, WaitersFull,
};
use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

/// A producer's handle: cheap to clone, and usable from many tasks and threads at once.
///
/// Methods that wait are futures, for any executor; the `_blocking` ones are for plain threads. The producer's own work
/// runs on the tokio runtime that it was started in, or on a thread of its own. If that runtime ends first, it is closed: what was
/// taken is not sent, and who waits is told.
///
/// Dropping the last handle never blocks: what was taken is sent in the background, for `delivery.timeout.ms` at most,
/// as long as the runtime lives. To know that it was, [`Producer::close`].
#[derive(Clone)]
pub struct Producer(Arc<Handle>);

struct Handle {
    shared: Arc<Shared>,
    delivery_timeout: Duration,
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

    /// Ends what is held of a delivery, see [`UnknownOutcome::Hold`]: its outcome is "unknown" from now on. How many
    /// records it was for; none if nothing of it is held.
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
        block_on(self.send(to, record))
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
        block_on(self.send_slice(to, records))
    }

    /// [`Producer::wait`] for a plain thread, which it blocks.
    ///
    /// # Errors
    /// Those of [`Producer::wait`].
    pub fn wait_blocking(&self, delivery: Delivery) -> Result<Receipt, DeliveryError> {
        block_on(self.wait(delivery))
    }

    /// [`Producer::flush`] for a plain thread, which it blocks.
    ///
    /// # Errors
    /// Those of [`Producer::flush`].
    pub fn flush_blocking(&self) -> Result<(), SendError> {
        block_on(self.flush())
    }

    /// [`Producer::close`] for a plain thread, which it blocks.
    pub fn close_blocking(&self, patience: Duration) {
        block_on(self.close(patience));
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

/// Settings and capacities, typed or by Kafka's property names.
#[derive(Clone, Debug)]
#[must_use = "nothing runs before it is started"]
pub struct Builder {
    bootstrap: Vec<(String, u16)>,
    config: Config,
    sizing: Sizing,
    adjust: Option<Capacities>,
    idempotence_set: bool,
}

/// Why a producer could not be built.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// A property was not taken: an unknown name, or a value that it does not take.
    Property(String),
    /// An address of the bootstrap list is not `host:port`.
    Address(String),
    /// Settings or capacities contradict each other.
    Start(StartError),
    /// The thread for the producer's own work could not be made.
    Thread(std::io::ErrorKind),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuildError::Property(text) => f.write_str(text),
            BuildError::Address(address) => write!(f, "bootstrap.servers: {address:?} is not host:port"),
            BuildError::Start(error) => error.fmt(f),
            BuildError::Thread(kind) => write!(f, "no thread for the producer: {kind}"),
        }
    }
}

impl std::error::Error for BuildError {}

impl Builder {
    /// The defaults of a server: those of Kafka's Java client, but for these.
    ///
    /// `batch.size` is 64 KiB, not 16: a buffer does not grow, so it is also the largest record that can be sent.
    /// `buffer.memory` is 10 MiB, not 32: all of it is touched at the start, and 160 batches under way are enough for 100
    /// MB/s to a broker that takes 100 ms; more is a matter of one setting.
    /// 16 connections, 64 brokers, 64 topics, 1,024 partitions and 1,024 waiting tasks are the ceilings; each can be
    /// set (`connections.max` and so on).
    pub fn new() -> Self {
        let sizing = Sizing {
            buffer_memory: 10 * 1024 * 1024,
            batch_size: 64 * 1024,
            partitions: 1024,
            topics: 64,
            brokers: 64,
            connections: 16,
            max_in_flight: 5,
            waiters: 1024,
        };
        Builder { bootstrap: Vec::new(), config: Config::new(), sizing, adjust: None, idempotence_set: false }
    }

    /// Sets a property by Kafka's name, as in `linger.ms` and `5`. [`Setting::ALL`] lists them, `bootstrap.servers`
    /// goes here too.
    ///
    /// # Errors
    /// The name is unknown, or the value is none that it takes; the text names both.
    pub fn set(mut self, name: &str, value: &str) -> Result<Self, BuildError> {
        if name == "bootstrap.servers" {
            self.bootstrap = addresses(value)?;
            return Ok(self);
        }
        Setting::set(&mut self.config, &mut self.sizing, name, value)
            .map_err(|e| BuildError::Property(e.to_string()))?;
        self.idempotence_set |= name == "enable.idempotence";
        Ok(self)
    }

    /// `bootstrap.servers`: `host:port`, several with commas between.
    pub fn bootstrap_servers(mut self, servers: &str) -> Self {
        // What is wrong with it shows at the start, like everything else.
        self.bootstrap = addresses(servers).unwrap_or_else(|_| vec![(servers.to_owned(), 0)]);
        self
    }

    /// `client.id`, at most 64 bytes; a longer one is cut.
    pub fn client_id(mut self, id: &str) -> Self {
        let mut end = id.len().min(64);
        while !id.is_char_boundary(end) {
            end -= 1;
        }
        self.config.client_id = Name::new(&id[..end]);
        self
    }

    /// `acks`. Other than all, it turns idempotence off unless that is set.
    pub fn acks(mut self, acks: Acks) -> Self {
        self.config.acks = acks;
        self
    }

    /// `enable.idempotence`.
    pub fn idempotence(mut self, on: bool) -> Self {
        self.config.idempotence = on;
        self.idempotence_set = true;
        self
    }

    /// `linger.ms`.
    pub fn linger(mut self, linger: Duration) -> Self {
        self.config.linger = linger;
        self
    }

    /// `delivery.timeout.ms`.
    pub fn delivery_timeout(mut self, timeout: Duration) -> Self {
        self.config.delivery_timeout = timeout;
        self
    }

    /// `max.block.ms`.
    pub fn max_block(mut self, timeout: Duration) -> Self {
        self.config.max_block = timeout;
        self
    }

    /// `connections.per.broker.min` and `connections.per.broker.max`: a broker has the least, and more while they do not
    /// suffice. Both 1 at first. `connections.max` must have room for those of all brokers.
    pub fn connections_per_broker(mut self, connections: RangeInclusive<u8>) -> Self {
        self.config.connections_per_broker_min = *connections.start();
        self.config.connections_per_broker_max = *connections.end();
        self
    }

    /// What happens to a batch whose time is over while it may be in the log.
    pub fn unknown_outcome(mut self, choice: UnknownOutcome) -> Self {
        self.config.unknown_outcome = choice;
        self
    }

    /// `batch.size`, in bytes: one buffer, and the largest record that can be sent with its batch.
    pub fn batch_size(mut self, bytes: u32) -> Self {
        self.sizing.batch_size = bytes;
        self
    }

    /// `buffer.memory`, in bytes: all buffers together.
    pub fn buffer_memory(mut self, bytes: u64) -> Self {
        self.sizing.buffer_memory = bytes;
        self
    }

    /// `compression.type`: what batches are compressed by, as long as that makes them smaller. The crate must have been built
    /// with it. The caller's thread does nothing for it.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.config.compression = compression;
        self
    }

    /// `partitioner.class`.
    pub fn partitioner(mut self, partitioner: Partitioner) -> Self {
        self.config.partitioner = partitioner;
        self
    }

    /// What happens when more tasks wait than there are seats for.
    pub fn waiters_full(mut self, choice: WaitersFull) -> Self {
        self.config.waiters_full = choice;
        self
    }

    /// All settings, to change any of them.
    pub fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    /// The numbers that all capacities follow from, to change any of them.
    pub fn sizing_mut(&mut self) -> &mut Sizing {
        &mut self.sizing
    }

    /// Every capacity by hand, instead of those that follow from the other settings.
    pub fn capacities(mut self, capacities: Capacities) -> Self {
        self.adjust = Some(capacities);
        self
    }

    /// The capacities as they will be, and the memory that they take, without starting anything.
    pub fn plan(&self) -> (Capacities, MemoryPlan) {
        let capacities = self.adjust.unwrap_or_else(|| Capacities::derive(&self.sizing));
        let compression = Packing::new(&self.config, &capacities).pool(capacities.connections);
        (capacities, MemoryPlan { compression, ..MemoryPlan::of::<crate::heap::Buffer>(&capacities) })
    }

    /// Allocates all memory and starts: on the tokio runtime that this is called in, or else on a thread of its own. It
    /// does not wait for a broker. The runtime must have IO and time (`enable_all`): in one that has not, the producer's first
    /// task panics, and it is closed.
    ///
    /// # Errors
    /// Settings or capacities contradict each other; the sizes are in the error.
    pub fn start(self) -> Result<Producer, BuildError> {
        if let Some((address, _)) = self.bootstrap.iter().find(|(host, port)| host.is_empty() || *port == 0) {
            return Err(BuildError::Address(address.clone()));
        }
        let (capacities, _) = self.plan();
        capacities.check().map_err(|error| BuildError::Start(StartError::Capacity(error)))?;
        let mut config = self.config;
        config.idempotence &= config.acks == Acks::All || self.idempotence_set;

        let packing = Packing::new(&config, &capacities);
        if !packing.is_possible() {
            let text = format!("compression.type: this program was built without {}", packing.compression());
            return Err(BuildError::Property(text));
        }
        let clock = StdClock::start();
        let core = demitasse_core::Producer::new(MutexLock::new(State::new(tables(&capacities, 0))), clock);
        // Filled, and not with zeros: else the system would hand the memory out only when it is first used, and what the
        // process takes would grow for as long as that goes on.
        core.lend((0..capacities.buffers).map(|_| vec![1; capacities.batch_bytes as usize].into_boxed_slice()));
        let bootstrap: Vec<_> = self.bootstrap.iter().map(|(host, port)| (host.as_str(), *port)).collect();
        let scratch = (capacities.frame_bytes as usize, capacities.receive_bytes as usize);
        let random = RandomState::new().hash_one(std::process::id()) as u32;
        let settings = Settings::new(&config).map_err(|error| BuildError::Start(error.into()))?;
        core.start(settings, &bootstrap, scratch, random).map_err(BuildError::Start)?;

        let latencies = Arc::new(Latencies::new());
        let compression = packing.pool(capacities.connections);
        let shared = Arc::new(Shared { core, latencies, compression });
        let io = TokioIo { clock, latencies: shared.latencies.clone(), encoder: None };
        driver::start(&shared, &io, capacities, packing).map_err(|error| BuildError::Thread(error.kind()))?;
        Ok(Producer(Arc::new(Handle { shared, delivery_timeout: config.delivery_timeout })))
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

pub(crate) fn addresses(servers: &str) -> Result<Vec<(String, u16)>, BuildError> {
    let address = |text: &str| {
        let text = text.trim();
        let (host, port) = text.rsplit_once(':')?;
        // An IPv6 address stands in brackets.
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let port = port.parse().ok().filter(|&port: &u16| port > 0)?;
        // Neither of them is in a host's name: perhaps it is a URL.
        (!host.is_empty() && !host.contains(['/', ' '])).then(|| (host.to_owned(), port))
    };
    servers.split(',').map(|text| address(text).ok_or_else(|| BuildError::Address(text.trim().to_owned()))).collect()
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

    #[test]
    fn addresses_are_hosts_and_ports() {
        assert_eq!(addresses("a:1, b.c:65535").unwrap(), [("a".to_owned(), 1), ("b.c".to_owned(), 65535)]);
        assert_eq!(addresses("[::1]:9092").unwrap(), [("::1".to_owned(), 9092)]);
        for wrong in ["", "a", "a:", ":1", "a:0", "a:65536", "a:1,,b:2", "PLAINTEXT://a:1", "a b:1"] {
            assert!(matches!(addresses(wrong), Err(BuildError::Address(_))), "{wrong}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused_by_name_and_with_sizes() {
        let text = |result: Result<Builder, BuildError>| result.unwrap_err().to_string();
        assert_eq!(text(Builder::new().set("lingr.ms", "5")), "unknown property lingr.ms");
        assert!(text(Builder::new().set("linger.ms", "soon")).contains("linger.ms"));
        let error = Builder::new().bootstrap_servers("a:1").buffer_memory(1000).start().unwrap_err().to_string();
        assert!(error.contains("buffer.memory / batch.size") && error.contains("at least 1"), "{error}");
        let error = Builder::new().bootstrap_servers("a:1").acks(Acks::Leader).idempotence(true).start().unwrap_err();
        assert!(error.to_string().contains("acks"), "{error}");
        assert!(Builder::new().bootstrap_servers("a:1").acks(Acks::Leader).start().is_ok());
    }
}
