//! Every error code at every API: once, again and again, and for as long as anybody waits. Each record has the one
//! outcome that the code stands for, in time; what is told is true; nothing is doubled or out of order; the partition
//! beside it goes on; and when the errors stop all goes on.

mod hello;
mod metadata;
mod produce;

use demitasse_broker::{Action, Api, Release, Rule, RuleId};
use demitasse_core::{Delivery, DeliveryFailure, ErrorCode, Failure, Record};
use demitasse_simulation::rig::{Rig, Setup};
use std::time::Duration;

const SECOND: u64 = 1_000_000;

/// Of the client, in seconds.
const DELIVERY_TIMEOUT: u64 = 4;

/// A client goes on so soon after the last error, in seconds.
const RECOVERY: u64 = 3;

/// So many fill a batch.
const VALUE_BYTES: usize = 300;

/// All codes that Kafka has, and some that it has not yet.
fn codes() -> impl Iterator<Item = ErrorCode> {
    let known = (-1..).map(ErrorCode).take_while(|code| code.name() != "UNKNOWN");
    known.filter(|code| !code.is_none()).chain([134, 999, i16::MAX, -2, i16::MIN].map(ErrorCode))
}

/// What became of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Pending,
    Written,
    Failed(Failure),
    Unknown(Failure),
}

/// A client that has sent a record to each of two partitions.
struct Story {
    name: String,
    rig: Rig,
    /// When each record was sent, to which partition.
    sent: Vec<(u64, i32, Delivery)>,
    outcomes: Vec<Fate>,
}

impl Story {
    /// One whose client is not run yet.
    fn unbegun(name: String, release: Release) -> Story {
        let mut setup = Setup { release, partitions: 2, ..Setup::default() };
        setup.config.linger = Duration::ZERO;
        setup.config.delivery_timeout = Duration::from_secs(DELIVERY_TIMEOUT);
        setup.config.max_block = Duration::from_secs(DELIVERY_TIMEOUT);
        setup.config.metadata_max_age = Duration::from_secs(2);
        Story { name, rig: Rig::new(setup), sent: Vec::new(), outcomes: Vec::new() }
    }

    fn begun(name: String, release: Release) -> Story {
        let mut story = Story::unbegun(name, release);
        story.run();
        for partition in 0..2 {
            story.send(partition);
        }
        story.rig.advance(SECOND);
        assert!((0..2).all(|record| story.fate(record) == Fate::Written), "{}: everyday life", story.name);
        story
    }

    fn run(&mut self) {
        self.rig.run(&self.rig.network.clone());
    }

    /// Its number.
    fn send(&mut self, partition: i32) -> usize {
        let number = self.sent.len();
        let mut value = [b'.'; VALUE_BYTES];
        value[0] = number as u8;
        let taken = self.rig.producer.try_send(self.rig.partition(partition), &Record::new(&value));
        let delivery = taken.unwrap_or_else(|error| panic!("{}: record {number}: {error}", self.name));
        self.sent.push((self.rig.now(), partition, delivery));
        number
    }

    fn rule(&mut self, rule: Rule) -> RuleId {
        self.rig.network.world.borrow_mut().cluster.add_rule(rule)
    }

    /// From now on every answer of the API has this error.
    fn always(&mut self, api: Api, code: ErrorCode) -> RuleId {
        self.rule(Rule::new(Action::Error(code.0)).api(api).times(u64::MAX))
    }

    fn remove(&mut self, rule: RuleId) {
        self.rig.network.world.borrow_mut().cluster.remove_rule(rule);
    }

    fn fate(&self, record: usize) -> Fate {
        match self.rig.producer.outcome(&self.sent[record].2) {
            None => Fate::Pending,
            Some(Ok(_)) => Fate::Written,
            Some(Err(error)) => match error.cause {
                DeliveryFailure::Failure(failure) if error.failed == 1 => Fate::Failed(failure),
                DeliveryFailure::Failure(failure) => Fate::Unknown(failure),
                cause => panic!("{}: record {record}: {cause:?}", self.name),
            },
        }
    }

    /// Until every record has its outcome, which must be in time.
    fn settle(&mut self) {
        let late = |&(at, ..): &(u64, i32, Delivery)| at + DELIVERY_TIMEOUT * SECOND + SECOND / 10;
        while let Some(open) = (0..self.sent.len()).find(|&record| self.fate(record) == Fate::Pending) {
            let late = late(&self.sent[open]);
            assert!(self.rig.now() < late, "{}: record {open} has no outcome", self.name);
            self.rig.advance(SECOND / 10);
        }
        self.outcomes = (0..self.sent.len()).map(|record| self.fate(record)).collect();
    }

    /// The errors are over: all goes on, and all that was told is true.
    fn end(mut self) {
        self.rig.advance(RECOVERY * SECOND);
        let fresh = [self.send(0), self.send(1)];
        self.rig.advance(SECOND);
        for record in fresh {
            let fate = self.fate(record);
            assert_eq!(fate, Fate::Written, "{}: recovered? {:?}", self.name, self.rig.producer.counters());
        }
        let producer = self.rig.producer.clone();
        let close = self.rig.executor.spawn(async move { producer.close(Duration::from_secs(1)).await });
        self.rig.advance(SECOND);
        assert!(self.rig.executor.is_done(close), "{}: close", self.name);
        let memory = self.rig.producer.memory();
        for pool in [memory.buffers, memory.batches, memory.waiters, memory.connections] {
            assert!(pool.used == 0 && pool.high_water <= pool.capacity, "{}: {memory:?}", self.name);
        }
        self.truthful();
        self.bounded();
    }

    fn truthful(&self) {
        let logs = [self.log(0), self.log(1)];
        for log in &logs {
            assert!(log.is_sorted_by(|a, b| a < b), "{}: doubled or out of order: {log:?}", self.name);
        }
        for (record, (_, partition, _)) in self.sent.iter().enumerate() {
            let (there, fate) = (logs[*partition as usize].contains(&(record as u8)), self.fate(record));
            let true_ = match fate {
                Fate::Pending => false,
                Fate::Written => there,
                Fate::Failed(_) => !there,
                Fate::Unknown(_) => true,
            };
            assert!(true_, "{}: record {record} is in the log: {there}; told was {fate:?}", self.name);
        }
    }

    /// The numbers of the records in a log, as they stand there; one without a number does not count.
    fn log(&self, partition: i32) -> Vec<u8> {
        let world = self.rig.network.world.borrow();
        let log = world.cluster.partition("t", partition).unwrap();
        log.records().filter_map(|record| record.value.unwrap().first().copied()).collect()
    }

    /// Nobody asks in a circle.
    fn bounded(&self) {
        let world = self.rig.network.world.borrow();
        let seconds = self.rig.now() / SECOND;
        for api in [Api::Produce, Api::Metadata, Api::InitProducerId, Api::ApiVersions] {
            let requests = world.cluster.requests(api);
            assert!(requests <= 12 * seconds, "{}: {requests} requests {api:?} in {seconds} s", self.name);
        }
        assert!(self.rig.executor.polls() < 500 * seconds, "{}: {} polls", self.name, self.rig.executor.polls());
    }
}
