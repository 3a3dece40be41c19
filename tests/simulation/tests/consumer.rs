//! The consumer against the model broker, in virtual time.

use demitasse_broker::{Action, Api, Cluster, Options, Release, Rule, error};
use demitasse_core::{
    Capacities, Config, ConsumeFault, Consumer, OffsetReset, Producer, Record, Scratch, Sizing, Start, State, Topic,
};
use demitasse_simulation::executor::Executor;
use demitasse_simulation::network::{FIRST_PORT, Network, Weather, millis};
use demitasse_simulation::platform::{CellLock, Simulated, SimulatedClock, tables_with};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

const SECOND: u64 = 1_000_000;
const CHUNK_BYTES: u32 = 2048;
const PARTITIONS: i32 = 3;

/// What was read: partition, offset, value.
type Read = (i32, i64, Vec<u8>);

struct Bench {
    executor: Executor,
    network: Network,
    producer: Rc<Producer<Simulated>>,
    consumer: Rc<Consumer<Simulated>>,
    read: Rc<RefCell<Vec<Read>>>,
    faults: Rc<RefCell<Vec<(i32, i64, ConsumeFault)>>>,
}

fn sizing() -> Sizing {
    Sizing {
        buffer_memory: 64 * 512,
        batch_size: 512,
        partitions: 8,
        topics: 2,
        brokers: 4,
        connections: 3,
        max_in_flight: 5,
        waiters: 8,
    }
}

impl Bench {
    fn new(release: Release, nodes: u16, chunks: u16, config: Config, weather: Weather) -> Bench {
        let mut executor = Executor::new();
        let time = executor.time.clone();
        let ports = (FIRST_PORT..FIRST_PORT + nodes).collect();
        let options = Options { nodes: nodes as usize, host: "broker".into(), ports, release, ..Options::default() };
        let mut cluster = Cluster::new(options);
        cluster.advance(millis(0));
        cluster.create_topic("t", PARTITIONS);
        let network = Network::new(cluster, weather, 1, time.clone());
        executor.spawn(network.clone().pump());
        let clock = || SimulatedClock { time: time.clone(), wall_offset: Rc::new(Cell::new(0)) };

        let capacities = Capacities::derive(&sizing());
        let lock = |chunks| CellLock::new(State::new(tables_with(&capacities, chunks)));
        let producer = Rc::new(Producer::new(lock(0), clock()));
        let buffer = |bytes: u32| vec![0; bytes as usize].into_boxed_slice();
        producer.lend((0..capacities.buffers).map(|_| buffer(capacities.batch_bytes)));
        let scratch = (capacities.frame_bytes as usize, capacities.receive_bytes as usize);
        let bootstrap = [("broker", FIRST_PORT)];
        producer.start(&config_with(|config| config.linger = Duration::ZERO), &bootstrap, scratch, 1).unwrap();

        let consumer = Rc::new(Consumer::new(lock(chunks), clock()));
        let batches = (0..capacities.buffers).map(|_| buffer(capacities.batch_bytes));
        consumer.lend(batches.chain((0..chunks).map(|_| buffer(CHUNK_BYTES))));
        consumer.start(&config, &bootstrap, scratch, 2).unwrap();

        let mut bench = Bench { executor, network, producer, consumer, read: Rc::default(), faults: Rc::default() };
        bench.run(capacities);
        bench
    }

    fn run(&mut self, capacities: Capacities) {
        let scratch = move || (vec![0; capacities.frame_bytes as usize], vec![0; capacities.receive_bytes as usize]);
        for slot in 0..capacities.connections as usize {
            let (producer, network) = (self.producer.clone(), self.network.clone());
            self.executor.spawn(async move {
                let (mut frame, mut receive) = scratch();
                let scratch = Scratch { frame: &mut frame, receive: &mut receive };
                producer.run_connection(&network, slot, scratch).await;
            });
            let (consumer, network) = (self.consumer.clone(), self.network.clone());
            self.executor.spawn(async move {
                let (mut frame, mut receive) = scratch();
                let scratch = Scratch { frame: &mut frame, receive: &mut receive };
                consumer.run_connection(&network, slot, scratch).await;
            });
        }
        let (producer, network) = (self.producer.clone(), self.network.clone());
        self.executor.spawn(async move { producer.run_clock(&network).await });
        let (consumer, network) = (self.consumer.clone(), self.network.clone());
        self.executor.spawn(async move { consumer.run_clock(&network).await });
    }

    /// Polls for ever, at most so many records at once, with so long a pause after each.
    fn poll(&mut self, max: u32, pause: u64) {
        let (consumer, read, faults) = (self.consumer.clone(), self.read.clone(), self.faults.clone());
        let time = self.executor.time.clone();
        self.executor.spawn(async move {
            loop {
                match consumer.poll(max).await {
                    Ok(None) => return,
                    Ok(Some(fetched)) => {
                        let mut count = 0;
                        for record in fetched.records() {
                            let value = record.value.unwrap_or(&[]).to_vec();
                            read.borrow_mut().push((record.partition, record.offset, value));
                            count += 1;
                        }
                        assert!(count <= max);
                    }
                    Err(error) => faults.borrow_mut().push((error.partition, error.offset, error.fault)),
                }
                time.sleep(pause).await;
            }
        });
    }

    fn topic(&self) -> Topic {
        self.consumer.topic("t").unwrap()
    }

    fn send(&mut self, partition: i32, values: impl Iterator<Item = Vec<u8>>) {
        let to = self.producer.topic("t").unwrap().partition(partition);
        let (producer, values): (_, Vec<_>) = (self.producer.clone(), values.collect());
        self.executor.spawn(async move {
            for value in values {
                producer.send(to, &Record::new(&value)).await.unwrap();
            }
        });
    }

    fn advance(&mut self, micros: u64) {
        let until = self.executor.time.now() + micros;
        self.executor.spawn(self.executor.time.sleep_until(until));
        while self.executor.step(until, 100_000).unwrap() {}
    }

    /// The offsets that were read of a partition.
    fn offsets(&self, partition: i32) -> Vec<i64> {
        self.read.borrow().iter().filter(|read| read.0 == partition).map(|read| read.1).collect()
    }
}

fn config_with(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::new();
    change(&mut config);
    config
}

fn calm() -> Weather {
    Weather { latency: 500, ..Weather::default() }
}

#[test]
fn every_record_is_read_once_and_in_order() {
    for (release, nodes) in [(Release::V2_8, 1), (Release::V3_9, 3), (Release::V4_3, 3)] {
        for (chunks, max) in [(1, 7), (2, 1), (4, 1000)] {
            let mut bench = Bench::new(release, nodes, chunks, Config::new(), calm());
            for partition in 0..PARTITIONS {
                bench.consumer.assign(bench.topic(), partition, Start::Beginning).unwrap();
                bench.send(partition, (0..200).map(move |i| vec![i as u8; 1 + (i * 7) % 300]));
            }
            bench.poll(max, 0);
            bench.advance(60 * SECOND);
            for partition in 0..PARTITIONS {
                assert_eq!(bench.offsets(partition), (0..200).collect::<Vec<_>>(), "{release:?} {chunks} {max}");
                assert_eq!(bench.consumer.position(bench.topic(), partition), Some(200));
                assert_eq!(bench.consumer.lag(bench.topic(), partition), Some(0));
            }
            let right = |(_, offset, value): &Read| *value == vec![*offset as u8; 1 + (*offset as usize * 7) % 300];
            assert!(bench.read.borrow().iter().all(right));
            assert!(bench.faults.borrow().is_empty());
        }
    }
}

#[test]
fn bad_weather_loses_and_doubles_nothing() {
    for piece in [0, 1, 17] {
        let weather = Weather { latency: 3_000, jitter: 20_000, piece, cut: 100, cut_within: 3_000, ..calm() };
        let config = config_with(|config| config.request_timeout = Duration::from_secs(2));
        let mut bench = Bench::new(Release::V3_9, 3, 2, config, weather);
        for partition in 0..PARTITIONS {
            bench.consumer.assign(bench.topic(), partition, Start::Offset(0)).unwrap();
            bench.send(partition, (0..100).map(|i| vec![i; 100]));
        }
        bench.poll(13, 10_000);
        bench.advance(300 * SECOND);
        for partition in 0..PARTITIONS {
            assert_eq!(bench.offsets(partition), (0..100).collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_leader_that_moves_is_followed() {
    let mut bench = Bench::new(Release::V3_9, 3, 3, Config::new(), calm());
    bench.consumer.assign(bench.topic(), 0, Start::Beginning).unwrap();
    bench.poll(100, 0);
    for round in 0..6 {
        bench.send(0, (0..10).map(|i| vec![i; 50]));
        bench.advance(5 * SECOND);
        assert_eq!(bench.offsets(0).len(), 10 * (round + 1));
        bench.network.world.borrow_mut().cluster.move_leader("t", 0, 1 + (round as i32 + 1) % 3);
    }
    assert_eq!(bench.offsets(0), (0..60).collect::<Vec<_>>());
}

#[test]
fn places_are_found_by_position_and_kept_over_pauses() {
    let mut bench = Bench::new(Release::V4_3, 1, 2, Config::new(), calm());
    let topic = bench.topic();
    bench.send(0, (0..50).map(|i| vec![i; 10]));
    bench.advance(2 * SECOND);
    bench.consumer.assign(topic, 0, Start::End).unwrap();
    bench.poll(5, 1000);
    bench.advance(2 * SECOND);
    assert!(bench.offsets(0).is_empty());
    bench.send(0, (0..3).map(|i| vec![i; 10]));
    bench.advance(2 * SECOND);
    assert_eq!(bench.offsets(0), [50, 51, 52]);

    bench.consumer.seek(topic, 0, Start::Offset(40));
    bench.advance(6_000);
    bench.consumer.pause(topic, 0);
    let at = bench.consumer.position(topic, 0).unwrap();
    bench.advance(2 * SECOND);
    assert_eq!(bench.consumer.position(topic, 0), Some(at), "nothing is handed out");
    bench.consumer.resume(topic, 0);
    bench.advance(2 * SECOND);
    assert_eq!(bench.offsets(0)[3..], (40..53).collect::<Vec<_>>());
    bench.consumer.unassign(topic, 0);
    bench.send(0, (0..3).map(|i| vec![i; 10]));
    bench.advance(2 * SECOND);
    assert_eq!(bench.offsets(0).len(), 3 + 13);
}

#[test]
fn what_cannot_be_read_stops_its_partition_alone() {
    for reset in [OffsetReset::None, OffsetReset::Earliest] {
        let config = config_with(|config| config.offset_reset = reset);
        let mut bench = Bench::new(Release::V4_3, 1, 2, config, calm());
        let topic = bench.topic();
        bench.consumer.assign(topic, 0, Start::Offset(1000)).unwrap();
        bench.consumer.assign(topic, 1, Start::Beginning).unwrap();
        bench.poll(5, 0);
        (0..2).for_each(|partition| bench.send(partition, (0..10).map(|i| vec![i; 10])));
        bench.advance(5 * SECOND);
        assert_eq!(bench.offsets(1), (0..10).collect::<Vec<_>>());
        let faults = bench.faults.borrow().clone();
        match reset {
            OffsetReset::None => {
                assert_eq!(faults, [(0, 1000, ConsumeFault::OffsetOutOfRange)]);
                bench.consumer.seek(topic, 0, Start::Beginning);
                bench.advance(5 * SECOND);
            }
            _ => assert!(faults.is_empty()),
        }
        assert_eq!(bench.offsets(0), (0..10).collect::<Vec<_>>());
    }
}

#[test]
fn errors_of_a_broker_are_tried_again() {
    for code in [error::NOT_LEADER_OR_FOLLOWER, error::UNKNOWN_TOPIC_OR_PARTITION, error::KAFKA_STORAGE_ERROR] {
        let mut bench = Bench::new(Release::V4_3, 1, 2, Config::new(), calm());
        bench.consumer.assign(bench.topic(), 0, Start::Beginning).unwrap();
        for api in [Api::Fetch, Api::ListOffsets] {
            bench.network.world.borrow_mut().cluster.add_rule(Rule::new(Action::Error(code)).api(api).times(3));
        }
        bench.poll(5, 0);
        bench.send(0, (0..10).map(|i| vec![i; 10]));
        bench.advance(20 * SECOND);
        assert_eq!(bench.offsets(0), (0..10).collect::<Vec<_>>());
    }
}
