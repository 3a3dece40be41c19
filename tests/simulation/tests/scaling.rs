//! Connections to one broker are opened and closed as the load asks, in virtual time.
//!
//! The broker takes 20 ms for each request of a connection, one after the other, as Kafka does; a request is full with one
//! batch. So what a connection carries is known, and more of them carry more.

use demitasse_broker::{Action, Api, Rule};
use demitasse_core::Record;
use demitasse_simulation::rig::{Rig, Setup};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

const SECOND: u64 = 1_000_000;
const REQUEST_MILLIS: u64 = 20;
const PARTITIONS: i32 = 8;
/// With the batch and the record around it one request.
const VALUE_BYTES: usize = 400;

struct Bench {
    rig: Rig,
    sending: Rc<Cell<bool>>,
    /// Microseconds from the taking to the acknowledgement of each record, since they were asked for last.
    latencies: Rc<RefCell<Vec<u64>>>,
}

impl Bench {
    fn new(least: u8, most: u8) -> Bench {
        let mut setup = Setup { partitions: PARTITIONS, request_millis: REQUEST_MILLIS, ..Setup::default() };
        setup.config.linger = Duration::ZERO;
        setup.config.max_request_size = 512;
        (setup.config.connections_per_broker_min, setup.config.connections_per_broker_max) = (least, most);
        setup.sizing.connections = 5;
        setup.sizing.buffer_memory = 64 * 512;
        setup.sizing.waiters = 64;
        let mut rig = Rig::new(setup);
        rig.run(&rig.network.clone());
        Bench { rig, sending: Rc::new(Cell::new(false)), latencies: Rc::default() }
    }

    /// To each partition as much as there is room for, until told otherwise.
    fn begin(&mut self) {
        self.sending.set(true);
        for partition in 0..PARTITIONS {
            let (producer, to) = (self.rig.producer.clone(), self.rig.partition(partition));
            let (sending, latencies) = (self.sending.clone(), self.latencies.clone());
            let time = self.rig.executor.time.clone();
            self.rig.executor.spawn(async move {
                let mut under_way = VecDeque::new();
                while sending.get() || !under_way.is_empty() {
                    while sending.get() && under_way.len() < 6 {
                        let delivery = producer.send(to, &Record::new(&[7; VALUE_BYTES])).await.unwrap();
                        under_way.push_back((delivery, time.now()));
                    }
                    let Some((delivery, taken)) = under_way.pop_front() else { return };
                    producer.wait(delivery).await.unwrap();
                    latencies.borrow_mut().push(time.now() - taken);
                }
            });
        }
    }

    fn connections(&self) -> u32 {
        self.rig.producer.memory().connections.used
    }

    /// Records acknowledged within so many seconds, and the 99th percentile of their times in milliseconds.
    fn measure(&mut self, seconds: u64) -> (usize, u64) {
        let before = self.rig.producer.counters().acknowledged;
        self.latencies.take();
        self.rig.advance(seconds * SECOND);
        let mut latencies = self.latencies.take();
        latencies.sort_unstable();
        let p99 = latencies.get(latencies.len() * 99 / 100).copied().unwrap_or(0) / 1000;
        (self.rig.producer.counters().acknowledged - before, p99)
    }

    /// What is in the log: each record once, whatever happened.
    fn all_is_well(&mut self) {
        self.sending.set(false);
        self.rig.advance(30 * SECOND);
        let counters = self.rig.producer.counters();
        assert_eq!((counters.records, counters.failed, counters.unknown), (counters.acknowledged, 0, 0));
        let world = self.rig.network.world.borrow();
        let end = |partition| world.cluster.partition("t", partition).unwrap().end_offset();
        let log = (0..PARTITIONS).map(end).sum::<i64>() as usize;
        assert_eq!(log, counters.acknowledged);
        assert_eq!(counters.epoch_bumps + counters.retries, 0, "nothing was out of order");
    }
}

#[test]
fn throughput_grows_with_the_connections() {
    let one = {
        let mut bench = Bench::new(1, 1);
        bench.begin();
        bench.measure(5);
        bench.measure(10).0
    };
    assert!((480..=500).contains(&one), "{one} records in 10 s over one connection");
    for connections in 2..=4 {
        let mut bench = Bench::new(1, connections);
        bench.begin();
        bench.measure(20);
        assert_eq!(bench.connections(), u32::from(connections));
        let (more, _) = bench.measure(10);
        let least = one * usize::from(connections) * 8 / 10;
        assert!(more >= least, "{more} records over {connections} connections, {one} over one");
        bench.all_is_well();
    }
}

#[test]
fn calm_closes_all_but_one_within_half_a_minute() {
    let mut bench = Bench::new(1, 4);
    bench.begin();
    bench.measure(20);
    assert_eq!(bench.connections(), 4);
    bench.sending.set(false);
    bench.measure(30);
    assert_eq!(bench.connections(), 1);
    assert_eq!(bench.rig.producer.counters().connections_retired, 3);
    bench.all_is_well();
}

#[test]
fn fifty_ups_and_downs_lose_nothing_and_nobody_waits_long() {
    let mut bench = Bench::new(1, 4);
    let mut ups = 0;
    while ups < 50 {
        bench.begin();
        // Until the first connection is added, then until all are.
        let (_, usual) = bench.measure(1);
        let (_, changing) = bench.measure(12);
        assert!(changing <= 2 * usual, "p99 {changing} ms while connections were added, {usual} ms before");
        bench.sending.set(false);
        bench.measure(25);
        ups = bench.rig.producer.counters().connections_added;
    }
    assert!(bench.rig.producer.counters().connections_retired >= 48);
    bench.all_is_well();
}

#[test]
fn one_that_cannot_be_opened_leaves_its_slot_and_the_others_alone() {
    let mut bench = Bench::new(1, 3);
    bench.begin();
    bench.measure(1);
    let refuse = Rule::new(Action::DropBefore).api(Api::ApiVersions).times(u64::MAX);
    bench.rig.network.world.borrow_mut().cluster.add_rule(refuse);
    let (taken, _) = bench.measure(10);
    assert!(taken > 480, "{taken} records in 10 s while no second connection could be had");
    assert!(bench.rig.producer.counters().connections_lost > 0);
    bench.all_is_well();
    assert_eq!(bench.connections(), 1);
}
