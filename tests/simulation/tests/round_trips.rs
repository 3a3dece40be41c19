//! How many round trips it takes until a record is acknowledged, counted by a network that is slow and nothing else.

use demitasse_broker::Release;
use demitasse_core::Record;
use demitasse_simulation::rig::{Rig, Setup};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

const ROUND_TRIP: u64 = 200_000;

struct Bench {
    rig: Rig,
}

impl Bench {
    fn new(release: Release) -> Bench {
        // Partition 0 is led by node 1, which is the bootstrap broker, partition 1 by node 2.
        let mut setup = Setup { nodes: 2, release, partitions: 2, latency: ROUND_TRIP / 2, ..Setup::default() };
        setup.config.linger = Duration::ZERO;
        setup.config.connections_max_idle = Duration::from_secs(5);
        setup.sizing.connections = 2;
        let mut rig = Rig::new(setup);
        rig.run(&rig.network.clone());
        Bench { rig }
    }

    /// Round trips from the call of send to the acknowledgement.
    fn send(&mut self, partition: i32) -> f64 {
        let (producer, to) = (self.rig.producer.clone(), self.rig.partition(partition));
        let executor = &mut self.rig.executor;
        let time = executor.time.clone();
        let begin = time.now();
        let end = Rc::new(Cell::new(0));
        let ended = end.clone();
        let task = executor.spawn(async move {
            let delivery = producer.send(to, &Record::new(b"x")).await.unwrap();
            producer.wait(delivery).await.unwrap();
            ended.set(time.now());
        });
        loop {
            // What can run now, and only if that was not enough, time.
            executor.step(executor.time.now(), 10_000).unwrap();
            if executor.is_done(task) {
                break;
            }
            assert!(executor.step(begin + 60_000_000, 10_000).unwrap());
        }
        (end.get() - begin) as f64 / ROUND_TRIP as f64
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
    bench.rig.advance(10_000_000); // Idle connections are closed after five seconds.
    about(bench.send(0), 2.0);
    about(bench.send(1), 2.0);
}

#[test]
fn an_old_broker_is_asked_in_the_ordinary_way() {
    // What newer brokers are asked at once makes it close; then ApiVersions 0 and the rest one after the other.
    let mut bench = Bench::new(Release::V2_1);
    assert!(bench.send(0) < 8.0);
    bench.rig.advance(10_000_000);
    // What it told is remembered; only ApiVersions 3 is refused, and asked again on the way.
    about(bench.send(0), 2.0);
}
