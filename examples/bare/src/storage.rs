//! Where the memory lies: vectors here; on a device, arrays in a `static` (see `io-embassy/src/storage.rs`).

use crate::io::Network;
use demitasse_core::records::codec::NoCodec;
use demitasse_core::{
    Batch, BrokerEntry, Capacities, Chunk, Connection, Empty, Inflater, Never, PartitionEntry, PartitionQueue,
    Platform, Position, Request, Settings, State, Tables, TopicEntry, Waiter,
};
use std::cell::RefCell;

/// This program's side of the trait.
pub enum Bare {}

impl Platform for Bare {
    type Buffer = Vec<u8>;
    type Buffers = Vec<Option<Vec<u8>>>;
    type Batches = Vec<Batch<Vec<u8>>>;
    type Partitions = Vec<PartitionEntry>;
    type Queues = Vec<PartitionQueue>;
    type Topics = Vec<TopicEntry>;
    type Names = Vec<u8>;
    type Brokers = Vec<BrokerEntry>;
    type Hosts = Vec<u8>;
    type Connections = Vec<Connection>;
    type Requests = Vec<Request>;
    type Waiters = Vec<Waiter>;
    type Positions = Empty<Position>;
    type Chunks = Empty<Chunk<Self::Buffer>>;
    type Decompress = NoCodec;
    type Inflater = Never<Inflater<Self::Buffer, NoCodec>>;
    type Settings = Settings;
    type Lock = Lock;
    type Clock = Network;
}

/// One thread, no interrupt handler that sends: a cell is lock enough.
pub struct Lock(RefCell<State<Bare>>);

impl Lock {
    pub(crate) fn new(state: State<Bare>) -> Self {
        Lock(RefCell::new(state))
    }
}

impl demitasse_core::Lock<State<Bare>> for Lock {
    fn with<R>(&self, f: impl FnOnce(&mut State<Bare>) -> R) -> R {
        f(&mut self.0.borrow_mut())
    }
}

fn table<T>(entries: u16, empty: impl Fn() -> T) -> Vec<T> {
    (0..entries).map(|_| empty()).collect()
}

/// Tables of these capacities, empty.
pub(crate) fn tables(c: &Capacities) -> Tables<Bare> {
    Tables {
        buffers: table(c.buffers, || None),
        batches: table(c.batches, || Batch::EMPTY),
        partitions: table(c.partitions, || PartitionEntry::EMPTY),
        queues: table(c.partitions, || PartitionQueue::EMPTY),
        topics: table(c.topics, || TopicEntry::EMPTY),
        names: vec![0; usize::from(c.topics) * usize::from(c.topic_name_bytes)],
        brokers: table(c.brokers, || BrokerEntry::EMPTY),
        hosts: vec![0; usize::from(c.brokers) * usize::from(c.host_bytes)],
        connections: table(c.connections, || Connection::EMPTY),
        requests: table(c.connections * c.requests, || Request::EMPTY),
        waiters: table(c.waiters, || Waiter::EMPTY),
        positions: Empty::NEW,
        chunks: Empty::NEW,
    }
}
