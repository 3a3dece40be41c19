//! Fewer connections than there are brokers, and brokers of which nothing comes.

use crate::bench::{Bench, GROUP, SECOND, calm, config_with, grouped};
use crate::large::{batch, values, write};
use demitasse_broker::{Action, Api, Release, Rule, error};
use demitasse_core::{Config, ConnectionError, Start, TopicError};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

/// One slot, and the coordinator says that it is none while nothing is to be fetched.
#[test]
fn one_slot_and_a_coordinator_that_is_none_any_more() {
    let mut bench = Bench::with_connections(1, Release::V3_9, 3, 2, grouped());
    bench.send(0, (0..10).map(|i| vec![i; 50]));
    bench.advance(5 * SECOND);
    bench.network.world.borrow_mut().cluster.move_coordinator(GROUP, 2);
    let moved = Rule::new(Action::Error(error::NOT_COORDINATOR)).api(Api::OffsetFetch).times(1);
    bench.network.world.borrow_mut().cluster.add_rule(moved);
    bench.consumer.assign(bench.topic(), 0, Start::Committed).unwrap();
    bench.poll(100, 0);
    bench.advance(60 * SECOND);
    assert_eq!(bench.offsets(0), (0..10).collect::<Vec<_>>());
}

/// Many slots; all is paused for longer than idle connections live, commits keep the coordinator's alive, and it moves.
#[test]
fn all_paused_and_a_coordinator_that_moves() {
    let mut config = grouped();
    config.connections_max_idle = Duration::from_secs(20);
    config.max_block = Duration::from_secs(60);
    let mut bench = Bench::new(Release::V3_9, 3, 2, config, calm());
    bench.network.world.borrow_mut().cluster.move_coordinator(GROUP, 2);
    bench.send(0, (0..10).map(|i| vec![i; 50]));
    bench.consumer.assign(bench.topic(), 0, Start::Beginning).unwrap();
    bench.poll(100, 0);
    bench.advance(5 * SECOND);
    bench.consumer.pause(bench.topic(), 0);
    let outcomes = Rc::new(RefCell::new(Vec::new()));
    for round in 0..12 {
        if round == 9 {
            bench.network.world.borrow_mut().cluster.move_coordinator(GROUP, 3);
        }
        let (consumer, outcomes) = (bench.consumer.clone(), outcomes.clone());
        bench.executor.spawn(async move {
            let outcome = consumer.commit().await;
            outcomes.borrow_mut().push(outcome);
        });
        bench.advance(10 * SECOND);
    }
    bench.advance(70 * SECOND);
    assert_eq!(*outcomes.borrow(), [Ok(()); 12]);
}

/// One slot: what was to be recalled is not any more, so nobody has anything to ask the coordinator.
#[test]
fn one_slot_and_nothing_to_recall_any_more() {
    for committing in [false, true] {
        let mut bench = Bench::with_connections(1, Release::V3_9, 1, 2, grouped());
        let topic = bench.topic();
        bench.send(0, (0..10).map(|i| vec![i; 50]));
        bench.advance(5 * SECOND);
        // The coordinator is known from a commit.
        bench.consumer.assign(topic, 0, Start::Beginning).unwrap();
        bench.advance(2 * SECOND);
        let consumer = bench.consumer.clone();
        bench.executor.spawn(async move { consumer.commit().await.unwrap() });
        bench.advance(5 * SECOND);
        bench.consumer.unassign(topic, 0);
        if committing {
            // Nothing is to be committed.
            let consumer = bench.consumer.clone();
            bench.executor.spawn(async move { consumer.commit().await.unwrap() });
            bench.advance(SECOND);
            bench.consumer.assign(topic, 0, Start::Beginning).unwrap();
        } else {
            bench.consumer.assign(topic, 0, Start::Committed).unwrap();
            bench.consumer.seek(topic, 0, Start::Beginning);
        }
        bench.poll(100, 0);
        bench.advance(60 * SECOND);
        assert_eq!(bench.offsets(0), (0..10).collect::<Vec<_>>());
    }
}

/// One slot, and a commit in the midst of a batch that comes in pieces: the connection waits with the next piece for the caller,
/// and he for his commit. It took `request.timeout.ms`.
#[test]
fn one_slot_and_a_commit_in_the_midst_of_a_large_batch() {
    let mut bench = Bench::with_connections(1, Release::V4_3, 2, 1, grouped());
    let topic = bench.topic();
    bench.network.world.borrow_mut().cluster.move_coordinator(GROUP, 2);
    (0..2).for_each(|_| write(&bench, 0, &batch(&values(60, |_| 500))));
    bench.consumer.assign(topic, 0, Start::Beginning).unwrap();
    let (consumer, time, told) = (bench.consumer.clone(), bench.executor.time.clone(), Rc::new(Cell::new((0, 0))));
    let committed = told.clone();
    bench.executor.spawn(async move {
        for number in 0..120 {
            let fetched = consumer.poll(1).await.unwrap().unwrap();
            assert_eq!(fetched.records().next().map(|record| record.offset), Some(number));
            drop(fetched);
            let since = time.now();
            consumer.commit().await.unwrap();
            let took = time.now() - since;
            committed.set((number + 1, committed.get().1.max(took)));
        }
    });
    bench.advance(300 * SECOND);
    let (committed, slowest) = told.get();
    assert!(committed == 120 && slowest < 3 * SECOND, "{committed} commits, the slowest took {slowest} us");
}

/// Three brokers, two slots, and a backlog at one broker; the second may be out of reach. Records read of 2,000 in ten
/// seconds, and connections opened meanwhile.
fn read_a_backlog(reachable: bool, chunks: u16) -> (usize, usize) {
    let mut bench = Bench::with_connections(2, Release::V3_9, 3, chunks, Config::new());
    let topic = bench.topic();
    for partition in 0..3 {
        bench.network.world.borrow_mut().cluster.move_leader("t", partition, partition + 1);
        bench.consumer.assign(topic, partition, Start::Beginning).unwrap();
    }
    bench.poll(100, 0);
    bench.advance(10 * SECOND);
    if !reachable {
        let hang_up = Rule::new(Action::DropBefore).node(2).times(u64::MAX);
        bench.network.world.borrow_mut().cluster.add_rule(hang_up);
    }
    bench.advance(20 * SECOND);
    let opened = bench.consumer.counters().connections_opened;
    (0..2000).for_each(|_| write(&bench, 0, &batch(&values(1, |_| 1000))));
    bench.advance(10 * SECOND);
    (bench.offsets(0).len(), bench.consumer.counters().connections_opened - opened)
}

#[test]
fn a_broker_that_is_out_of_reach_does_not_hold_up_the_others() {
    for chunks in [1, 2] {
        let (all, none) = (read_a_backlog(true, chunks), read_a_backlog(false, chunks));
        assert_eq!(all.0, 2000, "{chunks} chunks: all can be reached");
        assert!(none.0 * 2 > all.0, "{chunks} chunks: {none:?} of 2,000, and {all:?} if all can be reached");
        assert!(all.1 < 2000, "{chunks} chunks: {all:?} connections in ten seconds");
    }
}

/// A broker whose Fetch is older than what is spoken.
#[test]
fn an_old_broker_is_told_of() {
    let config = config_with(|config| config.max_block = Duration::from_secs(10));
    let mut bench = Bench::new(Release::V2_1, 1, 1, config, calm());
    let (consumer, topic, told) = (bench.consumer.clone(), bench.topic(), Rc::new(RefCell::new(None)));
    let outcome = told.clone();
    bench.executor.spawn(async move { *outcome.borrow_mut() = Some(consumer.wait_partitions(topic).await) });
    bench.advance(60 * SECOND);
    let fetch = Some(ConnectionError::UnsupportedVersion { api_key: 1 });
    let told = told.take();
    assert!(matches!(told, Some(Err(TopicError::NotKnown { connection, .. })) if connection == fetch), "{told:?}");
}

/// `fetch.max.wait.ms` is longer than `request.timeout.ms`.
#[test]
fn a_wait_longer_than_a_timeout() {
    let config = config_with(|config| {
        config.fetch_max_wait = Duration::from_secs(60);
        config.request_timeout = Duration::from_secs(30);
    });
    let mut bench = Bench::new(Release::V4_3, 1, 2, config, calm());
    bench.consumer.assign(bench.topic(), 0, Start::Beginning).unwrap();
    bench.poll(100, 0);
    bench.advance(600 * SECOND);
    assert_eq!(bench.consumer.counters().connections_lost, 0);
}

/// Each connection gives way after a request, which has room for some of the broker's partitions only: the next one there
/// begins with those that were left out, whatever others asked for meanwhile.
#[test]
fn partitions_that_were_left_out_have_their_turn_over_the_next_connection() {
    for (connections, nodes, partitions) in [(1, 2, 50), (2, 3, 50), (2, 3, 60), (2, 4, 60)] {
        let mut bench = Bench::with_connections(connections, Release::V2_6, nodes, 1, Config::new());
        let names = ["wide".to_owned(), "o".repeat(200)];
        for name in &names {
            bench.network.world.borrow_mut().cluster.create_topic(name, partitions / 2);
            let topic = bench.consumer.topic(name).unwrap();
            (0..partitions / 2).for_each(|index| bench.consumer.assign(topic, index, Start::Beginning).unwrap());
        }
        bench.poll(100, 0);
        bench.advance(60 * SECOND);
        for name in &names {
            (0..partitions / 2).for_each(|partition| bench.send_to(name, partition, [vec![1]].into_iter()));
        }
        bench.advance(60 * SECOND);
        let missing: Vec<_> = (0..partitions / 2).filter(|&partition| bench.offsets(partition) != [0, 0]).collect();
        assert!(missing.is_empty(), "{connections} slots, {nodes} nodes, {partitions} partitions: {missing:?}");
    }
}
