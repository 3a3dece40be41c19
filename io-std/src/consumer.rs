//! The handle of those who read, and how it is built.

use crate::codec::{Decoders, Packing};
use crate::driver::{self, Driven};
use crate::guard;
use crate::heap::{Heap, MutexLock, tables};
use crate::metrics::Latencies;
use crate::net::{StdClock, TokioIo};
use crate::producer::{BuildError, addresses};
use demitasse_core::protocol::IsolationLevel;
use demitasse_core::{
    CHUNK_BYTES_MIN, Capacities, CommitError, Config, ConsumeError, Counters, Fetched, Gauges, Inflater, MemoryPlan,
    OffsetReset, Records, Scratch, Setting, Settings, Sizing, Start, StartError, State, Topic, TopicError,
};
use futures_core::Stream;
use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

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

/// Settings and capacities of a consumer, typed or by Kafka's property names.
#[derive(Clone, Debug)]
#[must_use = "nothing runs before it is started"]
pub struct ConsumerBuilder {
    bootstrap: Vec<(String, u16)>,
    config: Config,
    sizing: Sizing,
    fetch_memory: u64,
    chunk_bytes: u32,
    /// What can only be told at the start.
    wrong: Option<String>,
    /// If none is set, as large as a chunk.
    window_bytes: Option<u32>,
}

/// Room for some four hundred partitions of a topic in one request. More are asked for one request after the other.
const FRAME_BYTES: u32 = 16 * 1024;

/// What a fetch of the largest batch that a broker takes by itself needs, and then some.
const CHUNK_BYTES: u32 = 1024 * 1024 + 64 * 1024;

/// Chunks, at most: their numbers have sixteen bits.
const CHUNKS_MAX: u64 = 1 << 15;

impl ConsumerBuilder {
    /// The defaults: 16 MiB of fetch memory in chunks of 1 MiB and 64 KiB, 16 connections, 64 brokers, 64 topics, 1,024
    /// partitions. Reading makes no topics (`allow.auto.create.topics`).
    pub fn new() -> Self {
        let sizing = Sizing {
            buffer_memory: 0,
            batch_size: 0,
            partitions: 1024,
            topics: 64,
            brokers: 64,
            connections: 16,
            max_in_flight: 1,
            waiters: 64,
        };
        let mut config = Config::new();
        config.idempotence = false;
        config.max_in_flight = 1;
        // Who mistypes a name is not to make a topic by reading it.
        config.allow_auto_create_topics = false;
        ConsumerBuilder {
            bootstrap: Vec::new(),
            config,
            sizing,
            fetch_memory: 16 << 20,
            chunk_bytes: CHUNK_BYTES,
            wrong: None,
            window_bytes: None,
        }
    }

    /// Sets a property by Kafka's name, as in `fetch.max.wait.ms` and `100`: those of
    /// [`Setting::ALL`](demitasse_core::Setting::ALL), and `bootstrap.servers`, `fetch.memory.bytes` (or
    /// `queued.max.messages.kbytes`), `fetch.chunk.bytes`, `fetch.decompression.bytes`, `fetch.stream.large.batches`,
    /// `fetch.min.bytes`, `fetch.max.wait.ms`, `isolation.level` and `auto.offset.reset`.
    ///
    /// # Errors
    /// The name is unknown, or the value is none that it takes; the text names both.
    pub fn set(mut self, name: &str, value: &str) -> Result<Self, BuildError> {
        let wrong = |expected: &str| BuildError::Property(format!("{name}: {value:?} is not {expected}"));
        let trimmed = value.trim();
        let number = || trimmed.parse::<u64>().map_err(|_| wrong("a number"));
        match name {
            "bootstrap.servers" => self.bootstrap = addresses(value)?,
            "fetch.memory.bytes" => self.fetch_memory = number()?,
            "queued.max.messages.kbytes" => self.fetch_memory = number()?.saturating_mul(1024),
            "fetch.chunk.bytes" => self.chunk_bytes = trimmed.parse().map_err(|_| wrong("a number of bytes"))?,
            "fetch.decompression.bytes" => {
                self.window_bytes = Some(trimmed.parse().map_err(|_| wrong("a number of bytes"))?);
            }
            "fetch.stream.large.batches" => {
                self.config.stream_large_batches = trimmed.parse().map_err(|_| wrong("true or false"))?;
            }
            "fetch.min.bytes" => {
                self.config.fetch_min_bytes = trimmed.parse().map_err(|_| wrong("a number of bytes"))?
            }
            "fetch.max.wait.ms" => self.config.fetch_max_wait = Duration::from_millis(number()?),
            "isolation.level" => {
                self.config.isolation_level = match trimmed {
                    "read_uncommitted" => IsolationLevel::ReadUncommitted,
                    "read_committed" => IsolationLevel::ReadCommitted,
                    _ => return Err(wrong("read_uncommitted or read_committed")),
                }
            }
            "auto.offset.reset" => {
                self.config.offset_reset = match trimmed {
                    "earliest" => OffsetReset::Earliest,
                    "latest" => OffsetReset::Latest,
                    "none" => OffsetReset::None,
                    _ => return Err(wrong("earliest, latest or none")),
                }
            }
            _ => Setting::set(&mut self.config, &mut self.sizing, name, value)
                .map_err(|error| BuildError::Property(error.to_string()))?,
        }
        Ok(self)
    }

    /// `bootstrap.servers`: `host:port`, several with commas between.
    pub fn bootstrap_servers(mut self, servers: &str) -> Self {
        // What is wrong with it shows at the start, like everything else.
        self.bootstrap = addresses(servers).unwrap_or_else(|_| vec![(servers.to_owned(), 0)]);
        self
    }

    /// `group.id`: under whose name positions are kept. At most 128 bytes; a longer one is refused at the start.
    pub fn group(mut self, id: &str) -> Self {
        match id.try_into() {
            Ok(id) => self.config.group_id = id,
            Err(error) => self.wrong = Some(format!("group.id: {error}")),
        }
        self
    }

    /// `fetch.memory.bytes`: all that is fetched or asked for, together.
    pub fn fetch_memory(mut self, bytes: u64) -> Self {
        self.fetch_memory = bytes;
        self
    }

    /// `fetch.decompression.bytes`: the window that compressed batches are decompressed into. The largest of their records
    /// must fit, and for lz4 64 KiB more; a batch need not. By default as large as a chunk; 0 for none, and no compressed
    /// batch can be read.
    pub fn decompression_bytes(mut self, bytes: u32) -> Self {
        self.window_bytes = Some(bytes);
        self
    }

    /// `isolation.level`.
    pub fn isolation_level(mut self, level: IsolationLevel) -> Self {
        self.config.isolation_level = level;
        self
    }

    /// `auto.offset.reset`.
    pub fn offset_reset(mut self, reset: OffsetReset) -> Self {
        self.config.offset_reset = reset;
        self
    }

    /// All other settings, to change any of them.
    pub fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    /// The capacities as they will be, and the number of chunks, at most 32,768; a start refuses more.
    pub fn plan(&self) -> (Capacities, u16) {
        let capacities = Capacities { frame_bytes: FRAME_BYTES, ..Capacities::derive(&self.sizing).without_batches() };
        (capacities, self.chunks().min(CHUNKS_MAX) as u16)
    }

    fn chunks(&self) -> u64 {
        self.fetch_memory.checked_div(self.chunk_bytes.into()).unwrap_or(0)
    }

    /// Allocates all memory and starts: on the tokio runtime that this is called in, which must have IO and time (`enable_all`),
    /// or else on a thread of its own.
    ///
    /// # Errors
    /// Settings or capacities contradict each other; the sizes are in the error.
    pub fn start(self) -> Result<Consumer, BuildError> {
        if let Some((address, _)) = self.bootstrap.iter().find(|(host, port)| host.is_empty() || *port == 0) {
            return Err(BuildError::Address(address.clone()));
        }
        if let Some(wrong) = self.wrong {
            return Err(BuildError::Property(wrong));
        }
        let (capacities, chunks) = self.plan();
        let (memory, chunk) = (self.fetch_memory, self.chunk_bytes);
        if (chunk as usize) < CHUNK_BYTES_MIN {
            let text = format!("fetch.chunk.bytes is {chunk}, a batch of one record needs {CHUNK_BYTES_MIN}");
            return Err(BuildError::Property(text));
        }
        if chunks == 0 {
            let text = format!(
                "fetch.memory.bytes (or queued.max.messages.kbytes) is {memory} bytes, less than one chunk of {chunk} \
                 (fetch.chunk.bytes)"
            );
            return Err(BuildError::Property(text));
        }
        if self.chunks() > CHUNKS_MAX {
            let text = format!(
                "fetch.memory.bytes (or queued.max.messages.kbytes) is {memory} bytes, more than {CHUNKS_MAX} chunks of \
                 {chunk}: raise fetch.chunk.bytes"
            );
            return Err(BuildError::Property(text));
        }
        // Kafka counts them in 31 bits.
        if chunk > i32::MAX as u32 {
            return Err(BuildError::Property(format!("fetch.chunk.bytes is {chunk}, it may be at most {}", i32::MAX)));
        }
        capacities.check().map_err(|error| BuildError::Start(StartError::Capacity(error)))?;
        let clock = StdClock::start();
        let core = demitasse_core::Consumer::new(MutexLock::new(State::new(tables(&capacities, chunks))), clock);
        // Not touched: the first free chunk is always the next to be used, so who keeps up has few of them resident, and who
        // falls behind no more than all.
        let buffer = |bytes: u32| vec![0; bytes as usize].into_boxed_slice();
        core.lend((0..chunks).map(|_| buffer(self.chunk_bytes)));
        let window = self.window_bytes.unwrap_or(self.chunk_bytes);
        if window > 0 {
            core.lend_inflater(Box::new(Inflater::new(Decoders::new(), buffer(window))));
        }
        let bootstrap: Vec<_> = self.bootstrap.iter().map(|(host, port)| (host.as_str(), *port)).collect();
        let scratch = (capacities.frame_bytes as usize, capacities.receive_bytes as usize);
        let random = RandomState::new().hash_one(std::process::id()) as u32;
        let settings = Settings::new(&self.config).map_err(|error| BuildError::Start(error.into()))?;
        core.start(settings, &bootstrap, scratch, random).map_err(BuildError::Start)?;
        let shared = Arc::new(Shared { core });
        let io = TokioIo { clock, latencies: Arc::new(Latencies::new()), encoder: None };
        driver::start(&shared, &io, capacities, Packing::NONE).map_err(|error| BuildError::Thread(error.kind()))?;
        Ok(Consumer(Arc::new(Handle(shared))))
    }
}

impl Default for ConsumerBuilder {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_asked_for_is_refused() {
        for (name, value) in [("fetch.chunk.bytes", "2147483648"), ("fetch.max.wait.ms", "4294967296000")] {
            let builder = Consumer::builder().bootstrap_servers("127.0.0.1:1").fetch_memory(3 << 30);
            let error = builder.set(name, value).and_then(ConsumerBuilder::start).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}
