//! Where a reading begins and goes on: what is known of it, and what is kept.

use crate::bench::{Bench, GROUP, SECOND, calm, config_with, grouped};
use crate::large::{batch, values, write};
use demitasse_broker::{Action, Api, Release, Rule, error};
use demitasse_core::protocol::IsolationLevel;
use demitasse_core::{Capacities, Config, ConsumeFault, Consumer, Sizing, Start, State, TopicError, WaitersFull};
use demitasse_simulation::executor::Abandon;
use demitasse_simulation::platform::{CellLock, Simulated, SimulatedClock, tables_with};
use demitasse_simulation::rewrite::rewrite;
use kafka_protocol::messages::{ApiKey, ApiVersionsResponse, FetchResponse};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

const UNSTABLE_OFFSET_COMMIT: i16 = 88;

/// What was fetched ahead lies in the queue, and who waits for the place need not poll.
#[test]
fn a_place_is_found_while_something_of_the_partition_waits() {
    let mut bench = Bench::new(Release::V4_3, 1, 2, Config::new(), calm());
    let topic = bench.topic();
    bench.send(0, (0..10).map(|i| vec![i; 50]));
    bench.advance(2 * SECOND);
    bench.consumer.assign(topic, 0, Start::Beginning).unwrap();
    bench.advance(2 * SECOND);
    bench.consumer.seek(topic, 0, Start::End);
    let found = Rc::new(Cell::new(None));
    let (consumer, there) = (bench.consumer.clone(), found.clone());
    bench.executor.spawn(async move { there.set(Some(consumer.wait_position(topic, 0).await)) });
    bench.advance(600 * SECOND);
    assert_eq!(found.get(), Some(Ok(10)));
}

/// Who waits for a place when the consumer is closed is told.
#[test]
fn who_waits_for_a_place_hears_of_the_close() {
    let mut bench = Bench::new(Release::V4_3, 1, 2, Config::new(), calm());
    let topic = bench.topic();
    let silence = Rule::new(Action::Silence).api(Api::ListOffsets).times(u64::MAX);
    bench.network.world.borrow_mut().cluster.add_rule(silence);
    bench.consumer.assign(topic, 0, Start::End).unwrap();
    let (consumer, fault) = (bench.consumer.clone(), Rc::new(Cell::new(None)));
    let told = fault.clone();
    bench
        .executor
        .spawn(async move { told.set(consumer.wait_position(topic, 0).await.err().map(|error| error.fault)) });
    bench.advance(5 * SECOND);
    let consumer = bench.consumer.clone();
    let close = bench.executor.spawn(async move { consumer.close().await.unwrap() });
    bench.advance(600 * SECOND);
    assert!(bench.executor.is_done(close));
    assert_eq!(fault.get(), Some(ConsumeFault::Closed));
}

/// Whoever commits meanwhile, what is lent may still be worked on: none of its partitions is further until it was given back.
#[test]
fn what_is_lent_is_not_committed_before_it_is_given_back() {
    let mut bench = Bench::new(Release::V4_3, 1, 2, grouped(), calm());
    let topic = bench.topic();
    for partition in 0..3 {
        bench.send(partition, (0..3).map(|i| vec![i; 50]));
    }
    bench.advance(2 * SECOND);
    (0..3).for_each(|partition| bench.consumer.assign(topic, partition, Start::Beginning).unwrap());
    bench.advance(2 * SECOND);
    let kept = |bench: &Bench| {
        let world = bench.network.world.borrow();
        (0..3).filter_map(|partition| world.cluster.committed(GROUP, "t", partition)).map(|kept| kept.0).sum::<i64>()
    };
    let (consumer, time, read) = (bench.consumer.clone(), bench.executor.time.clone(), Rc::new(Cell::new(0)));
    let count = read.clone();
    bench.executor.spawn(async move {
        let mut loans = 0;
        while let Ok(Some(fetched)) = consumer.poll(100).await {
            loans += 1;
            let partitions: Vec<_> = fetched.records().map(|record| record.partition).collect();
            count.set(count.get() + partitions.len());
            assert!(loans > 1 || partitions.first() != partitions.last(), "the first loan is of one partition");
            time.sleep(10 * SECOND).await;
        }
    });
    for expected in [0, 9] {
        let consumer = bench.consumer.clone();
        bench.executor.spawn(async move { consumer.commit().await.unwrap() });
        bench.advance(5 * SECOND);
        let positions: Option<i64> = (0..3).map(|partition| bench.consumer.position(topic, partition)).sum();
        assert_eq!((kept(&bench), positions), (expected, Some(expected)));
        bench.advance(30 * SECOND);
        assert_eq!(read.get(), 9);
    }
}

/// The same where a record cannot be read: those in front of it may still be worked on when that shows. A pause meanwhile does
/// not make them come again, nor passes over what is wrong.
#[test]
fn what_is_in_front_of_a_fault_is_not_committed_before_it_is_given_back() {
    for pauses in [false, true] {
        let mut bench = Bench::new(Release::V4_3, 1, 2, grouped(), calm());
        let topic = bench.topic();
        write(&bench, 0, &batch(&values(4, |i| if i == 3 { 3000 } else { 50 })));
        bench.consumer.assign(topic, 0, Start::Beginning).unwrap();
        let (consumer, time) = (bench.consumer.clone(), bench.executor.time.clone());
        let (read, faults) = (bench.read.clone(), bench.faults.clone());
        bench.executor.spawn(async move {
            loop {
                match consumer.poll(100).await {
                    Ok(None) => return,
                    Ok(Some(fetched)) => {
                        let own = fetched.records().map(|record| (record.partition, record.offset, Vec::new()));
                        read.borrow_mut().extend(own);
                        time.sleep(10 * SECOND).await;
                    }
                    Err(error) => faults.borrow_mut().push((error.partition, error.offset, error.fault)),
                }
            }
        });
        bench.advance(2 * SECOND);
        assert_eq!(bench.offsets(0), [0, 1, 2]);
        for expected in [0, 3] {
            let consumer = bench.consumer.clone();
            bench.executor.spawn(async move { consumer.commit().await.unwrap() });
            bench.advance(2 * SECOND);
            let kept = bench.network.world.borrow().cluster.committed(GROUP, "t", 0).map(|kept| kept.0);
            assert_eq!((kept, bench.consumer.position(topic, 0)), (Some(expected), Some(expected)), "pauses: {pauses}");
            if pauses && expected == 0 {
                bench.consumer.pause(topic, 0);
                bench.consumer.resume(topic, 0);
            }
            bench.advance(20 * SECOND);
        }
        assert_eq!(bench.offsets(0), [0, 1, 2], "pauses: {pauses}");
        assert!(
            matches!(bench.faults.borrow()[..], [(0, 3, ConsumeFault::RecordTooLarge { .. })]),
            "{:?}",
            bench.faults
        );
        bench.consumer.audit().unwrap();
    }
}

/// A place that was never found has no offset to be kept: what the group has stays.
#[test]
fn a_place_that_was_never_found_is_not_committed() {
    let mut bench = Bench::new(Release::V4_3, 1, 2, grouped(), calm());
    let topic = bench.topic();
    bench.send(0, (0..10).map(|i| vec![i; 50]));
    bench.consumer.assign(topic, 0, Start::Beginning).unwrap();
    bench.poll(100, 0);
    bench.advance(5 * SECOND);
    let consumer = bench.consumer.clone();
    bench.executor.spawn(async move { consumer.commit().await.unwrap() });
    bench.advance(5 * SECOND);
    let kept = |bench: &Bench| bench.network.world.borrow().cluster.committed(GROUP, "t", 0).map(|kept| kept.0);
    assert_eq!(kept(&bench), Some(10));
    let refuse = Rule::new(Action::Error(error::TOPIC_AUTHORIZATION_FAILED)).api(Api::ListOffsets).times(1);
    bench.network.world.borrow_mut().cluster.add_rule(refuse);
    bench.consumer.assign(topic, 0, Start::Timestamp(5)).unwrap();
    bench.advance(5 * SECOND);
    let consumer = bench.consumer.clone();
    bench.executor.spawn(async move { consumer.close().await.unwrap() });
    bench.advance(5 * SECOND);
    assert_eq!(kept(&bench), Some(10));
}

/// What is to be committed is committed before what was is recalled.
#[test]
fn a_commit_goes_before_a_recall() {
    let mut bench = Bench::new(Release::V4_3, 1, 2, grouped(), calm());
    let topic = bench.topic();
    bench.send(0, (0..10).map(|i| vec![i; 50]));
    bench.consumer.assign(topic, 0, Start::Beginning).unwrap();
    bench.poll(100, 0);
    bench.advance(5 * SECOND);
    let consumer = bench.consumer.clone();
    bench.executor.spawn(async move {
        let _ = Abandon::after(1, consumer.commit()).await;
        consumer.unassign(topic, 0);
        consumer.assign(topic, 0, Start::Committed).unwrap();
    });
    bench.advance(5 * SECOND);
    assert_eq!(bench.offsets(0).len(), 10, "what was committed is recalled");
}

/// A position that an open transaction may yet change holds up the recall of its partition, not the commits of others.
#[test]
fn commits_do_not_wait_for_what_cannot_be_recalled() {
    let mut config = grouped();
    config.isolation_level = IsolationLevel::ReadCommitted;
    config.max_block = Duration::from_secs(30);
    let mut bench = Bench::new(Release::V4_3, 1, 2, config, calm());
    let topic = bench.topic();
    bench.send(0, (0..10).map(|i| vec![i; 50]));
    bench.consumer.assign(topic, 0, Start::Beginning).unwrap();
    bench.poll(100, 0);
    bench.advance(5 * SECOND);
    let unstable = Rule::new(Action::Error(UNSTABLE_OFFSET_COMMIT)).api(Api::OffsetFetch).times(u64::MAX);
    bench.network.world.borrow_mut().cluster.add_rule(unstable);
    bench.consumer.assign(topic, 1, Start::Committed).unwrap();
    bench.advance(SECOND);
    let outcome = Rc::new(Cell::new(None));
    let (consumer, told) = (bench.consumer.clone(), outcome.clone());
    bench.executor.spawn(async move { told.set(Some(consumer.commit().await)) });
    bench.advance(60 * SECOND);
    assert_eq!(outcome.get(), Some(Ok(())));
}

/// A first answer of the old leader comes after metadata has told of the new one, whose log lacks
/// some of it; before Kafka 2.7.
#[test]
fn the_first_answer_is_of_the_leader_that_was_asked() {
    for (first, release) in [(true, Release::V2_6), (false, Release::V2_6), (true, Release::V2_8)] {
        let config = config_with(|config| {
            config.metadata_max_age = Duration::from_millis(100);
            config.request_timeout = Duration::from_secs(5);
        });
        let mut bench = Bench::new(release, 3, 5, config, calm());
        let topic = bench.topic();
        bench.network.world.borrow_mut().cluster.move_leader("t", 0, 2);
        bench.network.world.borrow_mut().cluster.move_leader("t", 1, 1);
        bench.network.world.borrow_mut().cluster.move_leader("t", 2, 3);
        bench.consumer.assign(topic, 1, Start::Beginning).unwrap();
        bench.advance(SECOND);
        bench.consumer.assign(topic, 2, Start::Beginning).unwrap();
        bench.advance(SECOND);
        for value in 0..10u8 {
            write(&bench, 0, &batch(&[vec![value; 50]]));
        }
        if !first {
            bench.consumer.assign(topic, 0, Start::Offset(0)).unwrap();
            bench.poll(1, 0);
            bench.advance(5 * SECOND);
            for value in 0..10u8 {
                write(&bench, 0, &batch(&[vec![value; 50]]));
            }
        }
        let had = bench.offsets(0).len() as i64;
        bench.network.world.borrow_mut().cluster.add_rule(Rule::new(Action::Delay(1000)).api(Api::Fetch).node(2));
        if first {
            bench.consumer.assign(topic, 0, Start::Offset(0)).unwrap();
            bench.poll(100, 0);
        }
        bench.advance(SECOND / 4);
        let end = had + 10;
        bench.network.world.borrow_mut().cluster.lose_records("t", 0, end - 5);
        for value in 0..10u8 {
            write(&bench, 0, &batch(&[vec![100 + value; 50]]));
        }
        bench.advance(10 * SECOND);
        let told = bench.faults.borrow().iter().any(|fault| matches!(fault.2, ConsumeFault::Truncated { .. }));
        assert!(told, "first {first} {release:?}: passed over, and nobody was told: {:?}", bench.offsets(0));
    }
}

/// Its topic was taken for an index without a look: a panic where there are fewer, else a partition of no topic.
#[test]
fn a_topic_of_another_client_is_refused() {
    let bench = Bench::new(Release::V4_3, 1, 2, Config::new(), calm());
    let others = ["a", "b"].map(|name| bench.producer.topic(name).unwrap());
    assert_eq!(bench.topic(), others[0], "names do not count, places do");
    assert_eq!(bench.consumer.assign(others[1], 0, Start::Beginning), Err(TopicError::UnknownTopic));

    let sizing = Sizing {
        buffer_memory: 0,
        batch_size: 0,
        partitions: 4,
        topics: 1,
        brokers: 1,
        connections: 1,
        max_in_flight: 1,
        waiters: 1,
    };
    let capacities = Capacities::derive(&sizing).without_batches();
    let clock = SimulatedClock { time: bench.executor.time.clone(), wall_offset: Rc::default() };
    let smaller = Consumer::<Simulated>::new(CellLock::new(State::new(tables_with(&capacities, 1))), clock);
    assert_eq!(smaller.assign(others[1], 0, Start::Beginning), Err(TopicError::UnknownTopic));
}

/// It was said that the cluster had told nothing of the topic in time, at once.
#[test]
fn who_finds_no_seat_to_wait_for_partitions_is_told_so() {
    let config = config_with(|config| config.waiters_full = WaitersFull::Refuse);
    let mut bench = Bench::new(Release::V4_3, 1, 2, config, calm());
    (0..8).for_each(|_| bench.poll(1, 0));
    bench.advance(SECOND);
    let (consumer, told) = (bench.consumer.clone(), Rc::new(Cell::new(None)));
    let (topic, tells) = (bench.consumer.topic("nobody-made-it").unwrap(), told.clone());
    bench.executor.spawn(async move { tells.set(Some(consumer.wait_partitions(topic).await)) });
    bench.advance(1);
    assert_eq!(told.get(), Some(Err(TopicError::TooManyWaiters { capacity: 8 })));
}

/// What a loan has gone through counts when it is over, also of a partition that is paused meanwhile and not the last of the loan.
#[test]
fn what_was_handed_out_before_a_pause_does_not_come_twice() {
    let mut bench = Bench::new(Release::V4_3, 1, 2, Config::new(), calm());
    let topic = bench.topic();
    for partition in 0..3 {
        bench.send(partition, (0..3).map(|i| vec![i; 50]));
    }
    bench.advance(2 * SECOND);
    (0..3).for_each(|partition| bench.consumer.assign(topic, partition, Start::Offset(0)).unwrap());
    bench.advance(2 * SECOND);
    let (consumer, lent) = (bench.consumer.clone(), Rc::new(RefCell::new(Vec::new())));
    let all = lent.clone();
    bench.executor.spawn(async move {
        let fetched = consumer.poll(100).await.unwrap().unwrap();
        all.borrow_mut().extend(fetched.records().map(|record| record.partition));
        (0..3).for_each(|partition| consumer.pause(topic, partition));
        drop(fetched);
        (0..3).for_each(|partition| consumer.resume(topic, partition));
    });
    bench.advance(SECOND);
    assert_eq!(lent.borrow().len(), 9, "of all partitions: {lent:?}");
    let positions: Vec<_> = (0..3).map(|partition| bench.consumer.position(topic, partition)).collect();
    assert_eq!(positions, [Some(3); 3]);
    bench.poll(100, 0);
    bench.advance(5 * SECOND);
    assert_eq!(*bench.read.borrow(), []);
}

/// A broker that says where its log begins, and then that it has no such offset, was asked both in turn as fast as the network is.
#[test]
fn an_offset_that_is_never_there_is_looked_for_with_a_backoff() {
    let mut bench = Bench::new(Release::V3_9, 1, 2, grouped(), calm());
    let topic = bench.topic();
    bench.send(0, (0..10).map(|i| vec![i; 50]));
    bench.advance(2 * SECOND);
    let asked = Rc::new(Cell::new(0));
    let times = asked.clone();
    bench.network.world.borrow_mut().liar = Some(Box::new(move |request, answer| {
        if request[..2] != (ApiKey::Fetch as i16).to_be_bytes() {
            return answer;
        }
        times.set(times.get() + 1);
        let version = i16::from_be_bytes([request[2], request[3]]);
        rewrite(version, &answer, if version >= 12 { 9 } else { 8 }, |answer: &mut FetchResponse| {
            for partition in answer.responses.iter_mut().flat_map(|topic| &mut topic.partitions) {
                (partition.error_code, partition.records) = (error::OFFSET_OUT_OF_RANGE, None);
            }
        })
    }));
    bench.consumer.assign(topic, 0, Start::Beginning).unwrap();
    bench.poll(100, 0);
    bench.advance(30 * SECOND);
    assert!((10..100).contains(&asked.get()), "asked {} times", asked.get());
    bench.network.world.borrow_mut().liar = None;
    bench.advance(5 * SECOND);
    assert_eq!(bench.offsets(0).len(), 10);
}

/// Who asked after a topic and was refused was told so for `metadata.max.age.ms`, five minutes, after the right had come.
#[test]
fn a_topic_that_is_allowed_after_all_is_told_of_soon() {
    let mut bench = Bench::new(Release::V4_3, 1, 2, Config::new(), calm());
    bench.network.world.borrow_mut().cluster.deny_topic("t");
    let topic = bench.topic();
    let ask = |bench: &mut Bench| {
        let (consumer, told) = (bench.consumer.clone(), Rc::new(Cell::new(None)));
        let tells = told.clone();
        bench.executor.spawn(async move { tells.set(Some(consumer.wait_partitions(topic).await.ok())) });
        bench.advance(SECOND);
        told.get()
    };
    assert_eq!(ask(&mut bench), Some(None));
    bench.network.world.borrow_mut().cluster.allow_topic("t");
    assert_eq!((ask(&mut bench), ask(&mut bench)), (Some(None), Some(Some(3))));
}

/// Who waits for a place hears of it also if it is somebody else who says it, and not the broker.
#[test]
fn who_waits_for_a_place_hears_of_a_seek() {
    let mut bench = Bench::new(Release::V4_3, 1, 2, Config::new(), calm());
    let topic = bench.topic();
    let silence = Rule::new(Action::Silence).api(Api::ListOffsets).times(u64::MAX);
    bench.network.world.borrow_mut().cluster.add_rule(silence);
    bench.consumer.assign(topic, 0, Start::End).unwrap();
    let found = Rc::new(Cell::new(None));
    let (consumer, there) = (bench.consumer.clone(), found.clone());
    bench.executor.spawn(async move { there.set(Some(consumer.wait_position(topic, 0).await)) });
    bench.advance(SECOND);
    bench.consumer.seek(topic, 0, Start::Offset(0));
    bench.advance(SECOND);
    assert_eq!(found.get(), Some(Ok(0)));
}

/// Beside a broker before Kafka 2.7, which is asked whether its log has what was read, there is a later one, whose answers to Fetch say
/// so: it was waited for to be asked, too, and never was.
#[test]
fn a_partition_that_moves_to_a_later_broker_is_read_on() {
    let config = config_with(|config| config.metadata_max_age = Duration::from_millis(100));
    let mut bench = Bench::new(Release::V3_9, 2, 4, config, calm());
    let topic = bench.topic();
    let old = Rc::new(Cell::new(true));
    let is_old = old.clone();
    bench.network.world.borrow_mut().liar = Some(Box::new(move |request, answer| {
        if request[..2] != (ApiKey::ApiVersions as i16).to_be_bytes() || !is_old.get() {
            return answer;
        }
        let version = i16::from_be_bytes([request[2], request[3]]);
        rewrite(version, &answer, 8, |answer: &mut ApiVersionsResponse| {
            for api in answer.api_keys.iter_mut().filter(|api| api.api_key == ApiKey::Fetch as i16) {
                api.max_version = 11;
            }
        })
    }));
    for (partition, node) in [(0, 1), (1, 2), (2, 1)] {
        bench.network.world.borrow_mut().cluster.move_leader("t", partition, node);
        bench.send(partition, (0..5).map(|i| vec![i; 50]));
    }
    bench.poll(100, 0);
    for partition in [2, 1, 0] {
        bench.consumer.assign(topic, partition, Start::Beginning).unwrap();
        bench.advance(2 * SECOND);
        old.set(false);
    }
    assert_eq!(bench.offsets(0).len(), 5);
    bench.network.world.borrow_mut().cluster.move_leader("t", 0, 2);
    bench.advance(2 * SECOND);
    bench.send(0, (0..5).map(|i| vec![i; 50]));
    bench.advance(60 * SECOND);
    assert_eq!(bench.offsets(0).len(), 10);
}
