//! The server's side, but for the lock and the clock.

use demitasse_core::records::codec::NoCodec;
use demitasse_core::{
    Batch, BrokerEntry, Capacities, Chunk, Clock, Connection, Inflater, Instant, Lock, Never, PartitionEntry,
    PartitionQueue, Platform, Position, Request, Settings, State, Tables, TopicEntry, Waiter,
};
use shuttle::sync::Mutex;

/// See the module.
pub enum Scheduled {}

impl Platform for Scheduled {
    type Buffer = Box<[u8]>;
    type Buffers = Vec<Option<Box<[u8]>>>;
    type Batches = Vec<Batch<Box<[u8]>>>;
    type Partitions = Vec<PartitionEntry>;
    type Queues = Vec<PartitionQueue>;
    type Topics = Vec<TopicEntry>;
    type Names = Vec<u8>;
    type Brokers = Vec<BrokerEntry>;
    type Hosts = Vec<u8>;
    type Connections = Vec<Connection>;
    type Requests = Vec<Request>;
    type Waiters = Vec<Waiter>;
    type Positions = Vec<Position>;
    type Chunks = Vec<Chunk<Self::Buffer>>;
    type Decompress = NoCodec;
    type Inflater = Never<Inflater<Self::Buffer, NoCodec>>;
    type Settings = Settings;
    type Lock = ScheduledLock<State<Scheduled>>;
    type Clock = StandingClock;
}

/// At each taking another thread may have its turn.
pub struct ScheduledLock<T>(Mutex<T>);

impl<T> ScheduledLock<T> {
    /// Locks `value`.
    pub fn new(value: T) -> Self {
        ScheduledLock(Mutex::new(value))
    }
}

impl<T> Lock<T> for ScheduledLock<T> {
    fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        f(&mut self.0.lock().unwrap())
    }
}

/// It always shows the same.
#[derive(Clone, Copy)]
pub struct StandingClock;

impl Clock for StandingClock {
    fn now(&self) -> Instant {
        Instant::from_micros(1_000_000)
    }

    fn wall_millis(&self) -> Option<i64> {
        Some(1_760_000_000_000)
    }
}

fn table<T>(entries: u16, empty: impl Fn() -> T) -> Vec<T> {
    (0..entries).map(|_| empty()).collect()
}

/// Empty tables of these capacities; with chunks they are a consumer's.
pub fn tables(c: &Capacities, chunks: u16) -> Tables<Scheduled> {
    Tables {
        buffers: table(c.buffers, || None),
        batches: table(c.batches, || Batch::EMPTY),
        partitions: table(c.partitions, || PartitionEntry::EMPTY),
        queues: table(c.partitions, || PartitionQueue::EMPTY),
        topics: table(c.topics, || TopicEntry::EMPTY),
        names: vec![0; c.topics as usize * c.topic_name_bytes as usize],
        brokers: table(c.brokers, || BrokerEntry::EMPTY),
        hosts: vec![0; c.brokers as usize * c.host_bytes as usize],
        connections: table(c.connections, || Connection::EMPTY),
        requests: table(c.connections * c.requests, || Request::EMPTY),
        waiters: table(c.waiters, || Waiter::EMPTY),
        positions: table(if chunks > 0 { c.partitions } else { 0 }, || Position::EMPTY),
        chunks: table(chunks, || Chunk::EMPTY),
    }
}
