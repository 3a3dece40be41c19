//! The client's side of the simulation: heap tables, a lock that cannot be taken twice, and the run's clock.

use crate::executor::Time;
#[cfg(not(feature = "server"))]
use demitasse_core::records::codec::NoCodec;
#[cfg(feature = "server")]
use demitasse_core::records::lz4::Lz4;
use demitasse_core::{
    Batch, BrokerEntry, Capacities, Chunk, Clock, Connection, Inflater, Instant, Lock, PartitionEntry, PartitionQueue,
    Platform, Position, Request, Settings, State, Tables, TopicEntry, Waiter,
};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Milliseconds since 1970 at which every run begins.
pub const EPOCH_MILLIS: i64 = 1_760_000_000_000;

/// What reads compressed batches.
#[cfg(feature = "server")]
pub type Codec = Lz4;
/// What reads compressed batches.
#[cfg(not(feature = "server"))]
pub type Codec = NoCodec;

/// See the module.
pub enum Simulated {}

impl Platform for Simulated {
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
    type Chunks = Vec<Chunk<Box<[u8]>>>;
    type Decompress = Codec;
    type Inflater = Box<Inflater<Self::Buffer, Codec>>;
    type Settings = Settings;
    type Lock = CellLock<State<Simulated>>;
    type Clock = SimulatedClock;
}

/// Panics when it is taken while it is held.
pub struct CellLock<T>(RefCell<T>);

impl<T> CellLock<T> {
    /// Locks `value`.
    pub fn new(value: T) -> Self {
        CellLock(RefCell::new(value))
    }
}

impl<T> Lock<T> for CellLock<T> {
    fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        f(&mut self.0.borrow_mut())
    }
}

/// The run's time; the wall clock may be moved.
#[derive(Clone)]
pub struct SimulatedClock {
    /// The run's time.
    pub time: Time,
    /// Milliseconds by which the wall clock is wrong.
    pub wall_offset: Rc<Cell<i64>>,
}

impl Clock for SimulatedClock {
    fn now(&self) -> Instant {
        Instant::from_micros(self.time.now())
    }

    fn wall_millis(&self) -> Option<i64> {
        Some(EPOCH_MILLIS + (self.time.now() / 1000) as i64 + self.wall_offset.get())
    }
}

fn table<T>(entries: u16, empty: impl Fn() -> T) -> Vec<T> {
    (0..entries).map(|_| empty()).collect()
}

/// Empty tables of these capacities, for a producer.
pub fn tables(c: &Capacities) -> Tables<Simulated> {
    tables_with(c, 0)
}

/// With so many chunks, for a consumer.
pub fn tables_with(c: &Capacities, chunks: u16) -> Tables<Simulated> {
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
