//! How many round trips it takes until a record is acknowledged, counted by a network that is slow and nothing else.

use demitasse_broker::{Cluster, Options, Release};
use demitasse_core::{Capacities, Config, Producer, Record, Scratch, Sizing, State};
use demitasse_simulation::executor::Executor;
use demitasse_simulation::network::{FIRST_PORT, Network, Weather, millis};
use demitasse_simulation::platform::{CellLock, Simulated, SimulatedClock, tables};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

const ROUND_TRIP: u64 = 200_000;

struct Bench {
    executor: Executor,
    producer: Rc<Producer<Simulated>>,
    network: Network,
    topic: demitasse_core::Topic,
}

impl Bench {
    fn new(release: Release) -> Bench {
        let executor = Executor::new();
        let time = executor.time.clone();
        let ports = vec![FIRST_PORT, FIRST_PORT + 1];
        let options = Options { nodes: 2, host: "broker".into(), ports, release, latency_ms: 0, ..Options::default() };
        let mut cluster = Cluster::new(options);
        cluster.advance(millis(0));
        // Partition 0 is led by node 1, which is the bootstrap broker, partition 1 by node 2.
        cluster.create_topic("t", 2);
        let weather = Weather { latency: ROUND_TRIP / 2, ..Weather::default() };
        let network = Network::new(cluster, weather, 1, time.clone());
        let sizing = Sizing {
            buffer_memory: 4096,
            batch_size: 512,
            partitions: 4,
            topics: 1,
            brokers: 4,
            connections: 2,
            max_in_flight: 5,
            waiters: 4,
        };
        let c = Capacities::derive(&sizing);
        let clock = SimulatedClock { time, wall_offset: Rc::new(Cell::new(0)) };
        let producer = Rc::new(Producer::new(CellLock::new(State::new(tables(&c))), clock));
        producer.lend((0..c.buffers).map(|_| vec![0; c.batch_bytes as usize].into_boxed_slice()));
        let mut config = Config::new();
        config.linger = Duration::ZERO;
        config.connections_max_idle = Duration::from_secs(5);
        let scratch = (c.frame_bytes as usize, c.receive_bytes as usize);
        producer.start(&config, &[("broker", FIRST_PORT)], scratch, 1).unwrap();
        let topic = producer.topic("t").unwrap();
        let mut bench = Bench { executor, producer, network, topic };
        bench.executor.spawn(bench.network.clone().pump());
        let (producer, network) = (bench.producer.clone(), bench.network.clone());
        bench.executor.spawn(async move { producer.run_clock(&network).await });
        for slot in 0..c.connections as usize {
            let (producer, network) = (bench.producer.clone(), bench.network.clone());
            bench.executor.spawn(async move {
                let (mut frame, mut receive) = (vec![0; scratch.0], vec![0; scratch.1]);
                producer.run_connection(&network, slot, Scratch { frame: &mut frame, receive: &mut receive }).await;
            });
        }
        bench
    }

    /// Round trips from the call of send to the acknowledgement.
    fn send(&mut self, partition: i32) -> f64 {
        let (producer, to) = (self.producer.clone(), self.topic.partition(partition));
        let time = self.executor.time.clone();
        let begin = time.now();
        let end = Rc::new(Cell::new(0));
        let ended = end.clone();
        let task = self.executor.spawn(async move {
            let delivery = producer.send(to, &Record::new(b"x")).await.unwrap();
            producer.wait(delivery).await.unwrap();
            ended.set(time.now());
        });
        loop {
            // What can run now, and only if that was not enough, time.
            self.executor.step(self.executor.time.now(), 10_000).unwrap();
            if self.executor.is_done(task) {
                break;
            }
            assert!(self.executor.step(begin + 60_000_000, 10_000).unwrap());
        }
        (end.get() - begin) as f64 / ROUND_TRIP as f64
    }

    fn sleep(&mut self, micros: u64) {
        let until = self.executor.time.now() + micros;
        while self.executor.step(until, 10_000).unwrap() {}
    }
}

fn about(round_trips: f64, expected: f64) {
    // The model counts in milliseconds, and the clock's task may take an instant.
    assert!((expected..expected + 0.1).contains(&round_trips), "{round_trips} round trips, not {expected}");
}

#[test]
fn three_from_nothing_when_the_bootstrap_broker_leads() {
    // Connect; ApiVersions, Metadata and InitProducerId at once; Produce.
    about(Bench::new(Release::V4_3).send(0), 3.0);
    about(Bench::new(Release::V2_8).send(0), 3.0);
}

#[test]
fn four_from_nothing_when_another_broker_leads() {
    about(Bench::new(Release::V4_3).send(1), 4.0);
}

#[test]
fn two_on_a_reconnect_and_one_on_a_connection_that_stands() {
    let mut bench = Bench::new(Release::V4_3);
    bench.send(0);
    about(bench.send(0), 1.0);
    bench.sleep(10_000_000); // Idle connections are closed after five seconds.
    about(bench.send(0), 2.0);
    about(bench.send(1), 2.0);
}

#[test]
fn an_old_broker_is_asked_in_the_ordinary_way() {
    // What newer brokers are asked at once makes it close; then ApiVersions 0 and the rest one after the other.
    let mut bench = Bench::new(Release::V2_1);
    assert!(bench.send(0) < 8.0);
    bench.sleep(10_000_000);
    // What it told is remembered; only ApiVersions 3 is refused, and asked again on the way.
    about(bench.send(0), 2.0);
}
