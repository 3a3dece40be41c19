//! What went wrong once, and must not again: tests on the state alone, by what they are about.

extern crate std;

use super::*;
use crate::cluster::{BrokerEntry, PartitionEntry, TopicEntry, Versions};
use crate::config::{Config, Settings};
use crate::connection::{Connection, ConnectionError, Phase, Request};
use crate::consumer::{Chunk, Inflater, Position};
use crate::exchange::Topic;
use crate::pool::{Empty, Link, Never, Waiter};
use crate::protocol::{ApiKey, ErrorCode, produce};
use crate::records::codec::NoCodec;
use crate::state::{CapacityError, Lock, StartError, Tables};
use crate::time::{Clock, Instant};
use core::cell::{Cell, RefCell};
use core::task::Waker;
use std::boxed::Box;
use std::vec::Vec;
use std::{format, vec};

mod answer;
mod append;
mod deliver;
mod send;
mod start;

/// Tables on the heap.
pub(crate) enum Heap {}

impl Platform for Heap {
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
    type Positions = Empty<Position>;
    type Chunks = Empty<Chunk<Self::Buffer>>;
    type Decompress = NoCodec;
    type Inflater = Never<Inflater<Self::Buffer, NoCodec>>;
    type Settings = Settings;
    type Lock = CellLock;
    type Clock = ManualClock;
}

pub(crate) struct CellLock(RefCell<State<Heap>>);

impl Lock<State<Heap>> for CellLock {
    fn with<R>(&self, f: impl FnOnce(&mut State<Heap>) -> R) -> R {
        f(&mut self.0.borrow_mut())
    }
}

/// Milliseconds since 1970 at the clock's zero.
const EPOCH_MILLIS: i64 = 1_000_000;

/// Milliseconds that pass when a test says so.
pub(crate) struct ManualClock(Cell<u64>);

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        at_millis(self.0.get())
    }

    fn wall_millis(&self) -> Option<i64> {
        Some(EPOCH_MILLIS + self.0.get() as i64)
    }
}

fn at_millis(millis: u64) -> Instant {
    Instant::from_micros(millis * 1000)
}

fn table<T>(entries: usize, empty: impl Fn() -> T) -> Vec<T> {
    (0..entries).map(|_| empty()).collect()
}

/// How many of what a test needs.
pub(crate) struct Sizes {
    pub(crate) buffers: usize,
    pub(crate) batches: usize,
    pub(crate) partitions: usize,
    pub(crate) topics: usize,
}

pub(crate) const SMALL: Sizes = Sizes { buffers: 4, batches: 8, partitions: 3, topics: 2 };

const BATCH_BYTES: usize = 200;
const FRAME_BYTES: usize = 400;

/// Nothing waits for more records.
fn config() -> Config {
    Config { linger: core::time::Duration::ZERO, ..Config::new() }
}

/// The state of a producer, with a test in the place of its driver and of its only broker.
pub(crate) struct Rig {
    pub(crate) state: State<Heap>,
    clock: ManualClock,
    frame: Vec<u8>,
}

impl Rig {
    /// A producer that is not started and has no buffers.
    pub(crate) fn unstarted(sizes: Sizes) -> Rig {
        let state = State::new(Tables {
            buffers: table(sizes.buffers, || None),
            batches: table(sizes.batches, || Batch::EMPTY),
            partitions: table(sizes.partitions, || PartitionEntry::EMPTY),
            queues: table(sizes.partitions, || PartitionQueue::EMPTY),
            topics: table(sizes.topics, || TopicEntry::EMPTY),
            names: vec![0; 16 * sizes.topics],
            brokers: table(4, || BrokerEntry::EMPTY),
            hosts: vec![0; 64],
            connections: table(2, || Connection::EMPTY),
            requests: table(16, || Request::EMPTY),
            waiters: table(8, || Waiter::EMPTY),
            positions: Empty::NEW,
            chunks: Empty::NEW,
        });
        Rig { state, clock: ManualClock(Cell::new(1)), frame: vec![0; FRAME_BYTES] }
    }

    fn lend(&mut self, buffers: usize) {
        self.state.lend(&mut (0..buffers).map(|_| vec![0; BATCH_BYTES].into_boxed_slice()));
    }

    fn start(&mut self, config: &Config) -> Result<(), StartError> {
        self.state.start(Settings::new(config)?, &[("b", 9092)], (FRAME_BYTES, 400), 7)
    }

    /// A producer with an identity that knows the cluster: topic 0 is `t`, and all places in the table are its
    /// partitions'. Node 1 leads them and is connected over slot 0.
    fn new(sizes: Sizes, config: &Config) -> Rig {
        let (buffers, partitions) = (sizes.buffers, sizes.partitions);
        let mut rig = Rig::unstarted(sizes);
        rig.lend(buffers);
        rig.start(config).unwrap();
        let state = &mut rig.state;
        state.topic("t").unwrap();
        state.cluster.broker(1, b"b", 9092);
        state.cluster.topic(b"t", ErrorCode::NONE, partitions as u32);
        for index in 0..partitions {
            let place = state.cluster.add_partition(0, index as i32, false).unwrap();
            state.cluster.partition(place, 1, 0);
        }
        (state.s.identity, state.s.producer_id) = (Identity::Known, 5);
        state.stand_connected(0, 0);
        state.cluster.metadata.refresh_at = Instant::NEVER;
        rig
    }

    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn pass(&mut self, millis: u64) {
        self.clock.0.set(self.clock.0.get() + millis);
    }

    /// The clock's task looks; until when it sleeps.
    fn tick(&mut self) -> Instant {
        let now = self.now();
        self.state.tick(now, Waker::noop(), &mut None).unwrap()
    }

    fn append(&mut self, to: impl Into<Destination>, record: &Record<'_>) -> Result<Delivery, Refused> {
        self.state.append(to.into(), record, &self.clock)
    }

    fn try_send(&mut self, partition: i32) -> Result<Delivery, Refused> {
        self.append(Topic(0).partition(partition), &Record::new(b"x"))
    }

    fn send(&mut self, partition: i32) -> Delivery {
        self.try_send(partition).unwrap_or_else(|_| panic!("a record for partition {partition} was refused"))
    }

    /// The place of one of the topic's partitions.
    fn place(&mut self, partition: i32) -> usize {
        self.state.cluster.find_partition(0, partition).unwrap()
    }

    /// What a slot is to write next, if anything: a request, or a part of one.
    fn begin_write(&mut self, slot: usize) -> Option<Outgoing<Box<[u8]>>> {
        let mut outgoing = Outgoing::EMPTY;
        let some = self.state.next(slot, self.clock.now(), &mut self.frame, &mut outgoing);
        some.then_some(outgoing)
    }

    /// It has been written; how many batches it was.
    fn end_write(&mut self, slot: usize, outgoing: Outgoing<Box<[u8]>>) -> usize {
        let now = self.now();

        let mut batches = 0;
        for taken in outgoing.batches.into_iter().flatten() {
            self.state.put_back(taken.slot, taken.generation, taken.buffer);
            batches += 1;
        }
        self.state.written(slot, now);
        batches
    }

    /// Both, over slot 0.
    fn write(&mut self) -> Option<usize> {
        let outgoing = self.begin_write(0)?;
        Some(self.end_write(0, outgoing))
    }

    fn produce_item(&mut self, item: produce::Item<'_>) {
        let now = self.now();
        self.state.produce_item(0, item, now, &mut |_, _| {});
    }

    /// What an answer to the oldest request says of one partition.
    fn judge(&mut self, partition: i32, error: ErrorCode) {
        self.produce_item(produce::Item::Topic { name: b"t", partitions: 1 });
        let (base_offset, log_append_time, log_start_offset) = (1, -1, 0);
        let index = partition;
        self.produce_item(produce::Item::Partition { index, error, base_offset, log_append_time, log_start_offset });
    }

    /// The answer to the oldest request is over.
    fn end_answer(&mut self) {
        let now = self.now();
        self.state.answered(0, now);
    }

    /// A record in a request of its own, and the broker's answer to it.
    fn exchange(&mut self, partition: i32, error: ErrorCode) -> Delivery {
        let delivery = self.send(partition);
        assert_eq!(self.write(), Some(1));
        self.judge(partition, error);
        self.end_answer();
        delivery
    }
}

/// Everything the client may ask for.
fn all_versions() -> Versions {
    let mut versions = Versions::NONE;
    for api in [ApiKey::Produce, ApiKey::Metadata, ApiKey::InitProducerId] {
        versions.offer(api as i16, 0, 100);
    }
    versions
}

impl State<Heap> {
    /// A connection over which everything has been negotiated.
    fn stand_connected(&mut self, slot: usize, broker: usize) {
        self.serve(slot, true);
        let connection = &mut self.connections[slot];
        connection.open(broker, Instant::NEVER, all_versions(), 3);
        (connection.phase, connection.api_versions_sent, connection.assumed) = (Phase::Negotiating, true, false);
        self.cluster.brokers[broker].connection = Link::to(slot);
        self.activate(slot, at_millis(1));
    }
}
