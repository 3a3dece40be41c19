//! What is read, in order, whatever happens to brokers and networks.

use crate::bench::{Bench, PARTITIONS, Read, SECOND, calm, config_with};
use crate::large::{batch, write};
use demitasse_broker::{Action, Api, Release, Rule, error};
use demitasse_core::{Config, ConsumeFault, OffsetReset, Start};
use demitasse_simulation::network::Weather;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

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

/// The way to the brokers has changed, and nothing but the caller knows it: a broker that is silent would be waited for.
#[test]
fn who_disconnects_goes_on_over_new_connections() {
    let mut bench = Bench::new(Release::V4_3, 3, 2, Config::new(), calm());
    for partition in 0..PARTITIONS {
        bench.consumer.assign(bench.topic(), partition, Start::Beginning).unwrap();
    }
    bench.poll(13, 0);
    let mut opened = 0;
    for round in 1..=5 {
        for partition in 0..PARTITIONS {
            bench.send(partition, (0..20).map(|i| vec![i; 100]));
        }
        bench.consumer.disconnect();
        bench.advance(5 * SECOND);
        for partition in 0..PARTITIONS {
            assert_eq!(bench.offsets(partition), (0..20 * round).collect::<Vec<_>>());
        }
        let before = std::mem::replace(&mut opened, bench.consumer.counters().connections_opened);
        assert!(opened > before, "{opened}");
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

#[test]
fn a_poll_hands_out_less_the_fuller_what_comes_after_it_is() {
    let mut bench = Bench::new(Release::V4_3, 1, 4, Config::new(), calm());
    let topic = bench.topic();
    bench.consumer.assign(topic, 0, Start::Beginning).unwrap();
    bench.send(0, (0..200).map(|_| vec![0; 1]));
    bench.advance(3 * SECOND);
    let sizes = Rc::new(RefCell::new(Vec::new()));
    let (consumer, found) = (bench.consumer.clone(), sizes.clone());
    bench.executor.spawn(async move {
        for fullness in [0.0, 0.5, 1.0, f64::NAN, -1.0] {
            consumer.set_fullness(fullness);
            let fetched = consumer.poll(40).await.unwrap().unwrap();
            let gauges = consumer.gauges();
            assert!(gauges.bytes_held > 0 && gauges.bytes_held + gauges.bytes_in_flight <= gauges.memory);
            // A chunk may end before the most is reached.
            assert!(fetched.records().count() <= gauges.poll_size as usize);
            found.borrow_mut().push(gauges.poll_size);
        }
    });
    bench.advance(3 * SECOND);
    assert_eq!(*sizes.borrow(), [40, 20, 10, 10, 40]);
}

/// Also for who asks for none at a time: nothing was handed out then, at once and without end.
#[test]
fn records_one_by_one_and_loans_in_a_stream() {
    for most in [7, 0] {
        let mut bench = Bench::new(Release::V4_3, 1, 2, Config::new(), calm());
        let topic = bench.topic();
        bench.consumer.assign(topic, 0, Start::Beginning).unwrap();
        bench.send(0, (0..100).map(|i| vec![i; 30]));
        let read = Rc::new(RefCell::new(Vec::new()));
        let (consumer, found) = (bench.consumer.clone(), read.clone());
        bench.executor.spawn(async move {
            let mut records = consumer.records(most);
            for _ in 0..40 {
                let record = records.next(|record| (record.offset, record.value.map(<[u8]>::to_vec))).await;
                found.borrow_mut().push(record.unwrap().unwrap());
            }
            // What the loan still had comes with the next.
            drop(records);
            let mut batches = consumer.batches(most);
            while found.borrow().len() < 100 {
                let fetched = std::future::poll_fn(|cx| batches.poll_next(cx)).await.unwrap().unwrap();
                let values = fetched.records().map(|record| (record.offset, record.value.map(<[u8]>::to_vec)));
                found.borrow_mut().extend(values);
            }
            let consumer = consumer.clone();
            consumer.close_in_background();
            assert!(std::future::poll_fn(|cx| batches.poll_next(cx)).await.is_none());
            found.borrow_mut().push((-1, None));
        });
        bench.advance(5 * SECOND);
        let mut expected: Vec<_> = (0..100).map(|i| (i, Some(vec![i as u8; 30]))).collect();
        expected.push((-1, None));
        assert_eq!(*read.borrow(), expected);
    }
}

/// Kafka 3.7 and later say with "not here" who leads instead (KIP-951), in versions that a device does not speak: nobody else
/// need be asked.
#[test]
fn a_leader_is_learnt_from_an_answer() {
    for (release, hints) in [(Release::V2_8, 0), (Release::V4_3, usize::from(cfg!(feature = "server")))] {
        let mut bench = Bench::with(release, 3, 2, Config::new(), calm(), |options| options.replication_factor = 1);
        let topic = bench.topic();
        bench.network.world.borrow_mut().cluster.move_leader("t", 0, 1);
        bench.consumer.assign(topic, 0, Start::Beginning).unwrap();
        bench.poll(100, 0);
        write(&bench, 0, &batch(&[vec![1; 50]]));
        bench.advance(5 * SECOND);
        let metadata = bench.consumer.counters().metadata_responses;
        bench.network.world.borrow_mut().cluster.move_leader("t", 0, 2);
        write(&bench, 0, &batch(&[vec![2; 50]]));
        bench.advance(SECOND);
        assert_eq!((bench.offsets(0), bench.consumer.counters().leader_hints), (vec![0, 1], hints), "{release:?}");
        assert!(bench.consumer.counters().metadata_responses <= metadata + 1, "{release:?}");
    }
}

/// Another topic of the same name has another id (KIP-516). What was read is not in its log: that is told where brokers tell of
/// it, else the reset policy decides.
#[test]
fn a_topic_that_is_made_anew_can_be_read_on() {
    for release in [Release::V2_6, Release::V2_8, Release::V3_9, Release::V4_3] {
        let config = config_with(|config| config.offset_reset = OffsetReset::Earliest);
        let mut bench = Bench::new(release, 3, 2, config, calm());
        bench.consumer.assign(bench.topic(), 0, Start::Beginning).unwrap();
        bench.poll(100, 0);
        (0..10).for_each(|value| write(&bench, 0, &batch(&[vec![value; 50]])));
        bench.advance(5 * SECOND);
        assert_eq!(bench.offsets(0).len(), 10);
        bench.network.world.borrow_mut().cluster.delete_topic("t");
        bench.advance(SECOND);
        bench.network.world.borrow_mut().cluster.create_topic("t", PARTITIONS);
        bench.advance(20 * SECOND);
        let told = release >= Release::V2_8 && cfg!(feature = "server");
        if told {
            assert_eq!(*bench.faults.borrow(), [(0, 10, ConsumeFault::Truncated { end_offset: 0 })], "{release:?}");
            bench.consumer.seek(bench.topic(), 0, Start::Beginning);
        }
        (0..3).for_each(|value| write(&bench, 0, &batch(&[vec![value; 50]])));
        bench.advance(20 * SECOND);
        assert_eq!(bench.offsets(0)[10..], [0, 1, 2], "{release:?}");
        assert_eq!(bench.faults.borrow().len(), usize::from(told), "{release:?}");
    }
}

/// As many records may be in the new log, before anybody looks, as were read of the old one: brokers find no fault with that, but
/// those in front of the reader's place would be passed over without a word.
#[test]
#[cfg(feature = "server")]
fn a_topic_that_is_made_anew_and_filled_is_told() {
    for more in [0, 5] {
        let mut bench = Bench::new(Release::V4_3, 3, 2, config_with(|_| ()), calm());
        bench.consumer.assign(bench.topic(), 0, Start::Beginning).unwrap();
        bench.consumer.assign(bench.topic(), 1, Start::Beginning).unwrap();
        bench.poll(100, 0);
        (0..10).for_each(|value| write(&bench, 0, &batch(&[vec![value; 50]])));
        bench.advance(5 * SECOND);
        assert_eq!(bench.offsets(0).len(), 10);
        bench.consumer.pause(bench.topic(), 0);
        bench.network.world.borrow_mut().cluster.delete_topic("t");
        bench.network.world.borrow_mut().cluster.create_topic("t", PARTITIONS);
        (0..10 + more).for_each(|value| write(&bench, 0, &batch(&[vec![value; 50]])));
        bench.advance(5 * SECOND);
        bench.consumer.resume(bench.topic(), 0);
        bench.advance(20 * SECOND);
        // Nothing was read of the other partition, so nothing is lost.
        assert_eq!(*bench.faults.borrow(), [(0, 10, ConsumeFault::Truncated { end_offset: 0 })], "{more}");
        bench.consumer.seek(bench.topic(), 0, Start::Beginning);
        bench.advance(20 * SECOND);
        assert_eq!(bench.offsets(0)[10..], Vec::from_iter(0..10 + i64::from(more)));
        assert_eq!(bench.faults.borrow().len(), 1);
        // Who says where to go on means the new log.
        let (known, before) = (bench.faults.borrow().len(), bench.offsets(0).len());
        bench.consumer.pause(bench.topic(), 0);
        bench.network.world.borrow_mut().cluster.delete_topic("t");
        bench.network.world.borrow_mut().cluster.create_topic("t", PARTITIONS);
        (0..10).for_each(|value| write(&bench, 0, &batch(&[vec![value; 50]])));
        bench.consumer.seek(bench.topic(), 0, Start::Offset(5));
        bench.consumer.resume(bench.topic(), 0);
        bench.advance(20 * SECOND);
        assert_eq!(bench.offsets(0)[before..], [5, 6, 7, 8, 9]);
        assert_eq!(bench.faults.borrow().len(), known);
    }
}

/// The same while the reader waits for more. In its first half second it reads by the topic's name: the question for the id stands
/// behind a Fetch that waits.
#[test]
#[cfg(feature = "server")]
fn a_topic_that_is_made_anew_and_filled_under_a_waiting_reader_is_told() {
    for (after, gap) in [(600, 0), (700, 50), (1_000, 1_000), (5_000, 0)] {
        let mut bench = Bench::new(Release::V4_3, 3, 2, config_with(|_| ()), calm());
        bench.consumer.assign(bench.topic(), 0, Start::Beginning).unwrap();
        (0..10).for_each(|value| write(&bench, 0, &batch(&[vec![value; 50]])));
        bench.poll(100, 0);
        while bench.offsets(0).len() < 10 {
            bench.advance(SECOND / 1000);
        }
        bench.advance(after * SECOND / 1000);
        bench.network.world.borrow_mut().cluster.delete_topic("t");
        bench.advance(gap * SECOND / 1000);
        bench.network.world.borrow_mut().cluster.create_topic("t", PARTITIONS);
        (0..20).for_each(|value| write(&bench, 0, &batch(&[vec![value; 50]])));
        bench.advance(20 * SECOND);
        let told = bench.faults.borrow();
        assert_eq!(*told, [(0, 10, ConsumeFault::Truncated { end_offset: 0 })], "{after} ms after, {gap} ms gone");
        assert_eq!(bench.offsets(0).len(), 10);
    }
}

/// The first request of a session may be under way when another id of its topic becomes known: then it is given up as soon as it is
/// there. Else its broker would tell for ever of what nobody knows.
#[test]
fn a_session_that_is_asked_for_while_a_topic_is_made_anew_is_asked_for_again() {
    for wait in 0..10 {
        let config = config_with(|config| {
            config.metadata_max_age = Duration::from_millis(200);
            config.fetch_max_wait = Duration::from_millis(10);
            config.offset_reset = OffsetReset::Earliest;
        });
        let mut bench = Bench::new(Release::V4_3, 2, 3, config, calm());
        let late = Rule::new(Action::Delay(3_000)).api(Api::Fetch).node(1).times(1);
        bench.network.world.borrow_mut().cluster.add_rule(late);
        (0..2).for_each(|partition| bench.consumer.assign(bench.topic(), partition, Start::Beginning).unwrap());
        bench.poll(100, 0);
        bench.advance(SECOND / 2 + wait * SECOND / 20);
        bench.network.world.borrow_mut().cluster.delete_topic("t");
        bench.network.world.borrow_mut().cluster.create_topic("t", PARTITIONS);
        bench.advance(2 * SECOND);
        (0..2).for_each(|partition| write(&bench, partition, &batch(&[vec![7; 50]])));
        bench.advance(20 * SECOND);
        assert_eq!((bench.offsets(0), bench.offsets(1)), (vec![0], vec![0]), "{wait}");
    }
}
