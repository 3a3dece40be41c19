//! Storage from the heap, allocated once at the start; the lock is a mutex.

use crate::codec::Decoders;
use crate::net::StdClock;
use demitasse_core::{
    Batch, BrokerEntry, Capacities, Chunk, Connection, Inflater, Lock, PartitionEntry, PartitionQueue, Platform,
    Position, Request, Settings, State, Tables, TopicEntry, Waiter,
};
use std::sync::Mutex;

/// A batch buffer.
pub type Buffer = Box<[u8]>;

/// The server's side of [`Platform`].
#[derive(Debug)]
pub enum Heap {}

impl Platform for Heap {
    type Buffer = Buffer;
    type Buffers = Box<[Option<Buffer>]>;
    type Batches = Box<[Batch<Buffer>]>;
    type Partitions = Box<[PartitionEntry]>;
    type Queues = Box<[PartitionQueue]>;
    type Topics = Box<[TopicEntry]>;
    type Names = Box<[u8]>;
    type Brokers = Box<[BrokerEntry]>;
    type Hosts = Box<[u8]>;
    type Connections = Box<[Connection]>;
    type Requests = Box<[Request]>;
    type Waiters = Box<[Waiter]>;
    type Positions = Box<[Position]>;
    type Chunks = Box<[Chunk<Buffer>]>;
    type Decompress = Decoders;
    type Inflater = Box<Inflater<Buffer, Decoders>>;
    type Settings = Settings;
    type Lock = MutexLock<State<Heap>>;
    type Clock = StdClock;
}

fn table<T>(entries: impl Into<usize>, empty: impl Fn() -> T) -> Box<[T]> {
    (0..entries.into()).map(|_| empty()).collect()
}

/// The tables for these capacities, all empty; with chunks they are a consumer's.
pub(crate) fn tables(c: &Capacities, chunks: u16) -> Tables<Heap> {
    let cells = |entries: u16, bytes: u16| vec![0; entries as usize * bytes as usize].into_boxed_slice();
    Tables {
        buffers: table(c.buffers, || None),
        batches: table(c.batches, || Batch::EMPTY),
        partitions: table(c.partitions, || PartitionEntry::EMPTY),
        queues: table(c.partitions, || PartitionQueue::EMPTY),
        topics: table(c.topics, || TopicEntry::EMPTY),
        names: cells(c.topics, c.topic_name_bytes),
        brokers: table(c.brokers, || BrokerEntry::EMPTY),
        hosts: cells(c.brokers, c.host_bytes),
        connections: table(c.connections, || Connection::EMPTY),
        requests: table(c.connections as usize * c.requests as usize, || Request::EMPTY),
        waiters: table(c.waiters, || Waiter::EMPTY),
        positions: table(if chunks > 0 { c.partitions } else { 0 }, || Position::EMPTY),
        chunks: table(chunks, || Chunk::EMPTY),
    }
}

/// The one lock, as a mutex. It is held for an append or a poll, never across IO.
#[derive(Debug)]
pub struct MutexLock<T>(Mutex<T>);

impl<T> MutexLock<T> {
    pub(crate) fn new(value: T) -> Self {
        MutexLock(Mutex::new(value))
    }
}

impl<T> Lock<T> for MutexLock<T> {
    #[inline]
    fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        // The state is sound at every instant at which a panic could leave it: only the caller's own closure of
        // `send_each` can panic under the lock, between two records.
        f(&mut self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}
