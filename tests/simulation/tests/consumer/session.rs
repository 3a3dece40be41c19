//! What a broker remembers of a reader, nearer replicas, and logs that lose what was read.

use crate::bench::{Bench, PARTITIONS, SECOND, calm, config_with};
use demitasse_broker::{Action, Api, Release, Rule, error};
use demitasse_core::{Config, ConsumeFault, Start};
use std::time::Duration;

const FETCH: [u8; 2] = [0, 1];

/// The lengths of all Fetch requests so far, in their order on each connection.
fn fetches(bench: &Bench) -> Vec<usize> {
    let world = bench.network.world.borrow();
    let frames = world.cluster.captured().into_iter().flatten();
    frames.filter(|frame| frame.starts_with(&FETCH)).map(|frame| frame.len()).collect()
}

#[test]
fn a_broker_is_told_a_place_once() {
    for release in [Release::V4_3, Release::V2_6] {
        let mut bench = Bench::new(release, 1, 4, Config::new(), calm());
        bench.network.world.borrow_mut().cluster.capture();
        let topic = bench.topic();
        (0..PARTITIONS).for_each(|partition| bench.consumer.assign(topic, partition, Start::Beginning).unwrap());
        bench.poll(100, 0);
        bench.advance(10 * SECOND);
        let idle = fetches(&bench);
        let (first, last) = (idle[0], idle[idle.len() - 1]);
        assert!(last + 3 * 24 <= first, "{idle:?}: nothing is new in the last ones");
        bench.send(1, (0..5).map(|i| vec![i; 50]));
        bench.advance(3 * SECOND);
        assert_eq!(bench.offsets(1), [0, 1, 2, 3, 4]);
        let busy = fetches(&bench);
        let longest = busy[idle.len()..].iter().max().unwrap();
        assert!(*longest < first && *longest > last, "{busy:?}: one partition was named");
        // A paused one is forgotten, and comes back.
        bench.consumer.pause(topic, 2);
        bench.send(2, (0..5).map(|i| vec![i; 50]));
        bench.advance(3 * SECOND);
        assert!(bench.offsets(2).is_empty());
        bench.consumer.resume(topic, 2);
        bench.advance(3 * SECOND);
        assert_eq!(bench.offsets(2), [0, 1, 2, 3, 4]);
    }
}

/// A request has room for some of them only. Each further one waited for as long as all that were asked for had nothing.
#[test]
fn many_partitions_are_asked_for_within_one_wait() {
    const WIDE: i32 = 40;
    let other = "o".repeat(200);
    for release in [Release::V4_3, Release::V2_6] {
        for partition in (0..WIDE).step_by(7) {
            let mut bench = Bench::new(release, 1, 4, Config::new(), calm());
            for (name, partitions) in [("wide", WIDE), (&other, 20)] {
                bench.network.world.borrow_mut().cluster.create_topic(name, partitions);
                let topic = bench.consumer.topic(name).unwrap();
                (0..partitions)
                    .for_each(|partition| bench.consumer.assign(topic, partition, Start::Beginning).unwrap());
            }
            bench.poll(100, 0);
            bench.advance(2 * SECOND);
            bench.send_to("wide", partition, [vec![1]].into_iter());
            // One wait, of which the model's broker does not wake for new records.
            bench.advance(SECOND * 6 / 10);
            assert_eq!(bench.offsets(partition), [0], "{release:?}, partition {partition}");
            assert_eq!(bench.consumer.counters().connections_lost, 0, "a request was larger than thought");
        }
    }
}

#[test]
fn a_session_that_is_lost_begins_anew() {
    let mut bench = Bench::new(Release::V4_3, 2, 2, Config::new(), calm());
    let topic = bench.topic();
    for partition in 0..PARTITIONS {
        bench.consumer.assign(topic, partition, Start::Beginning).unwrap();
        bench.send(partition, (0..100).map(|i| vec![i; 100]));
    }
    bench.poll(7, 5_000);
    for round in 0..20 {
        bench.advance(SECOND / 10);
        let world = &mut bench.network.world.borrow_mut().cluster;
        match round % 3 {
            0 => world.forget_fetch_sessions(),
            1 => drop(world.add_rule(Rule::new(Action::Error(error::INVALID_FETCH_SESSION_EPOCH)).api(Api::Fetch))),
            _ => {}
        }
    }
    bench.advance(60 * SECOND);
    for partition in 0..PARTITIONS {
        assert_eq!(bench.offsets(partition), (0..100).collect::<Vec<_>>());
    }
    assert!(bench.faults.borrow().is_empty());
}

#[test]
fn a_nearer_replica_is_read_from_until_it_is_gone() {
    let config = config_with(|config| {
        config.client_rack = "r2".try_into().unwrap();
        // Of a node that dies nothing is heard but silence.
        config.request_timeout = Duration::from_secs(2);
    });
    let mut bench = Bench::with(Release::V3_9, 2, 2, config, calm(), |options| {
        options.racks = vec!["r1".into(), "r2".into()];
        options.replication_factor = 2;
    });
    let topic = bench.topic();
    bench.network.world.borrow_mut().cluster.move_leader("t", 0, 1);
    bench.consumer.assign(topic, 0, Start::Beginning).unwrap();
    bench.poll(100, 0);
    bench.send(0, (0..10).map(|i| vec![i; 50]));
    bench.advance(5 * SECOND);
    assert_eq!(bench.offsets(0).len(), 10);
    // The leader fails every Fetch now; the replica is read all the same.
    let failing = Rule::new(Action::Error(error::KAFKA_STORAGE_ERROR)).api(Api::Fetch).node(1).times(u64::MAX);
    let failing = bench.network.world.borrow_mut().cluster.add_rule(failing);
    bench.send(0, (0..10).map(|i| vec![i; 50]));
    bench.advance(5 * SECOND);
    assert_eq!(bench.offsets(0).len(), 20);
    bench.network.world.borrow_mut().cluster.remove_rule(failing);

    let now = bench.executor.time.now();
    bench.network.world.borrow_mut().cluster.node_down(2, now / 1000);
    bench.send(0, (0..10).map(|i| vec![i; 50]));
    bench.advance(10 * SECOND);
    assert_eq!(bench.offsets(0), (0..30).collect::<Vec<_>>());
}

#[test]
fn a_log_that_lost_what_was_read_is_told() {
    for release in [Release::V2_8, Release::V4_3, Release::V2_6] {
        let mut bench = Bench::new(release, 1, 2, Config::new(), calm());
        let topic = bench.topic();
        (0..2).for_each(|partition| bench.consumer.assign(topic, partition, Start::Beginning).unwrap());
        bench.poll(100, 0);
        for value in 0..10u8 {
            bench.send(0, std::iter::once(vec![value; 50]));
            bench.advance(SECOND / 2);
        }
        bench.advance(3 * SECOND);
        assert_eq!(bench.offsets(0).len(), 10);
        bench.network.world.borrow_mut().cluster.lose_records("t", 0, 7);
        // The producer does not hear of it, and goes on; then the log is as long as it was, with other records.
        bench.send(1, (0..5).map(|i| vec![i; 50]));
        bench.advance(5 * SECOND);
        assert_eq!(*bench.faults.borrow(), [(0, 10, ConsumeFault::Truncated { end_offset: 7 })], "{release:?}");
        assert_eq!(bench.offsets(1).len(), 5, "the others go on");
        bench.consumer.seek(topic, 0, Start::Offset(7));
        bench.send(0, (0..5).map(|i| vec![i; 50]));
        bench.advance(5 * SECOND);
        assert_eq!(bench.offsets(0)[10..], (7..12).collect::<Vec<_>>(), "{release:?}");
    }
}
