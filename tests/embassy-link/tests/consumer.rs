//! What was written is read once, in order, in a few KB: over good cables and bad ones.

use demitasse_broker::{Api, Options};
use demitasse_embassy_link_tests::Weather;
use demitasse_embassy_link_tests::executor::now;
use demitasse_embassy_link_tests::workload::{again, send, spawn, value};
use demitasse_embassy_link_tests::world::{PORT, TOPIC, World};
use demitasse_io_embassy::{
    Config, ConsumeFault, Consumer, ConsumerStorage, OffsetReset, Producer, Record, Start, StartError, Storage, Topic,
    consumer_storage, storage,
};
use embassy_time::Timer;
use futures_core::Stream;
use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

const GOOD: Weather = Weather { latency: 500, loss: 0, corruption: 0, duplication: 0, reordering: 0 };
const BAD: Weather = Weather { latency: 200_000, loss: 50, corruption: 10, duplication: 10, reordering: 20 };
const BROKER: &[(&str, u16)] = &[("10.0.0.2", PORT)];

consumer_storage! {
    /// One partition in 4 KB.
    static COMMANDS: {}
}
storage! { static KAFKA: { batch_bytes: 1024, buffers: 4 } }

/// A consumer in storage of its own, and the topic.
fn consumer(world: &mut World, config: &Config) -> (Consumer, Topic) {
    let (consumer, runner) = again(&COMMANDS, ConsumerStorage::new()).start(world.stack, config, BROKER, 2).unwrap();
    spawn(world, runner);
    (consumer, consumer.topic(TOPIC).unwrap())
}

fn producer(world: &mut World) -> Producer {
    let (producer, runner) = again(&KAFKA, Storage::new()).start(world.stack, &Config::new(), BROKER, 1).unwrap();
    spawn(world, runner);
    producer
}

/// Reads records with these numbers, at the offsets of the same number, and no others.
async fn read(consumer: Consumer, from: u32, to: u32) {
    let mut next = from;
    while next < to {
        let fetched = consumer.poll(to - next).await.unwrap().unwrap();
        for record in fetched.records() {
            assert_eq!((record.partition, record.offset), (0, i64::from(next)));
            assert_eq!(record.value, Some(&value(next)[..]), "record {next}");
            next += 1;
        }
    }
}

#[test]
fn one_partition_in_four_kilobytes() {
    let mut world = World::new(GOOD, 1);
    let (consumer, mut runner) = COMMANDS.start(world.stack, &Config::new(), BROKER, 1).unwrap();
    println!("storage of {} bytes, future of {}", COMMANDS.memory_bytes(), size_of_val(&runner.run()));
    assert_eq!((COMMANDS.buffer_bytes() > 4096, consumer.gauges().memory), (true, 4096));
    spawn(&mut world, runner);
    let topic = consumer.topic(TOPIC).unwrap();
    consumer.assign(topic, 0, Start::Beginning).unwrap();
    assert_eq!(world.executor.run(10, consumer.wait_partitions(topic)), Ok(1));
    assert_eq!(world.executor.run(10, consumer.wait_position(topic, 0)), Ok(0));
    // Who only reads needs no producer id.
    assert_eq!(world.cluster.borrow().requests(Api::InitProducerId), 0);

    let producer = producer(&mut world);
    world.executor.spawn(async move { drop(send(producer, 0..2000).await) });
    world.executor.run(60, read(consumer, 0, 2000));
    assert_eq!((consumer.position(topic, 0), consumer.lag(topic, 0)), (Some(2000), Some(0)));
    let counters = consumer.counters();
    assert_eq!((counters.connections_opened, counters.connections_lost), (1, 0));

    // Nothing is handed out any more; the broker learns of it once it has done what it was asked for last.
    world.executor.run(10, consumer.close()).unwrap();
    assert!(world.executor.run(10, consumer.poll(1)).unwrap().is_none());
    world.executor.run(10, producer.close(Duration::from_secs(10)));
    world.executor.run(10, Timer::after_secs(1));
    assert_eq!(world.cluster.borrow().connections(1), 0);
    let twice = COMMANDS.start(world.stack, &Config::new(), BROKER, 1).map(drop);
    assert_eq!(twice, Err(StartError::AlreadyStarted));
}

#[test]
fn nothing_is_lost_or_doubled_over_a_bad_cable() {
    let only = std::env::var("SEED").ok().map(|seed| seed.parse().expect("SEED must be a number"));
    for seed in only.map_or(1..9, |seed: u64| seed..seed + 1) {
        let mut world = World::new(BAD, seed);
        let (consumer, topic) = consumer(&mut world, &Config::new());
        consumer.assign(topic, 0, Start::Beginning).unwrap();
        let producer = producer(&mut world);
        world.executor.spawn(async move { drop(send(producer, 0..5000).await) });
        world.executor.run(2000, read(consumer, 0, 5000));
        let tally = world.cable.tally();
        println!("seed {seed}: {:?}, {tally:?}", consumer.counters());
        assert!(tally.lost > 20 && tally.corrupted > 2 && tally.doubled > 2 && tally.reordered > 2, "{tally:?}");
    }
}

#[test]
fn a_cable_that_is_out_for_a_minute() {
    let mut world = World::new(Weather { latency: 20_000, ..GOOD }, 3);
    let (consumer, topic) = consumer(&mut world, &Config::new());
    consumer.assign(topic, 0, Start::Beginning).unwrap();
    let producer = producer(&mut world);
    world.executor.run(60, send(producer, 0..100));
    world.executor.run(60, read(consumer, 0, 100));
    world.cable.plug(false);
    world.executor.run(100, Timer::after_secs(60));
    world.cable.plug(true);
    world.executor.spawn(async move { drop(send(producer, 100..200).await) });
    world.executor.run(60, read(consumer, 100, 200));
    assert!(consumer.counters().connections_lost > 0);
}

#[test]
fn a_stream_of_loans_ends_with_the_consumer() {
    let mut world = World::new(GOOD, 5);
    let (consumer, topic) = consumer(&mut world, &Config::new());
    consumer.assign(topic, 0, Start::Beginning).unwrap();
    let producer = producer(&mut world);
    world.executor.run(60, send(producer, 0..100));
    let stream = async {
        let (mut batches, mut next) = (consumer.batches(7), 0);
        while let Some(fetched) = poll_fn(|cx| Pin::new(&mut batches).poll_next(cx)).await {
            let fetched = fetched.unwrap();
            for record in fetched.records() {
                assert_eq!((record.offset, record.value), (i64::from(next), Some(&value(next)[..])));
                next += 1;
            }
            drop(fetched);
            if next == 100 {
                consumer.close().await.unwrap();
            }
        }
        next
    };
    assert_eq!(world.executor.run(60, stream), 100);
}

/// With one connection, which the coordinator and the partition's leader share in turn: it works, and takes many
/// connections.
#[test]
fn a_group_keeps_the_place_over_a_restart() {
    let mut config = Config::new();
    config.group_id = "board".try_into().unwrap();
    config.offset_reset = OffsetReset::Earliest;
    let mut world = World::new(GOOD, 4);
    let producer = producer(&mut world);
    world.executor.run(60, send(producer, 0..500));
    for (from, to) in [(0, 77), (77, 500)] {
        let (consumer, topic) = consumer(&mut world, &config);
        consumer.assign(topic, 0, Start::Committed).unwrap();
        world.executor.run(60, async {
            for from in (from..to).step_by(10) {
                read(consumer, from, to.min(from + 10)).await;
                consumer.commit().await.unwrap();
            }
        });
        println!("{} us, {:?}", now(), consumer.counters());
        world.executor.run(60, consumer.close()).unwrap();
        world.executor.run(10, Timer::after_secs(2));
    }
}

#[test]
fn one_by_one_and_what_was_not_handed_out_comes_again() {
    let mut world = World::new(GOOD, 7);
    let producer = producer(&mut world);
    world.executor.run(60, send(producer, 0..300));
    let (consumer, topic) = consumer(&mut world, &Config::new());
    consumer.assign(topic, 0, Start::Beginning).unwrap();
    for some in [0..1, 1..150, 150..300] {
        let mut records = consumer.records(25);
        for number in some {
            let read = records.next(|record| (record.offset, record.value == Some(&value(number))));
            assert_eq!(world.executor.run(60, read), Ok(Some((i64::from(number), true))));
        }
    }
}

#[test]
fn a_batch_that_is_too_large_is_named_and_passed_over() {
    consumer_storage! { static SMALL: { chunk_bytes: 512 } }
    let mut world = World::new(GOOD, 5);
    let producer = producer(&mut world);
    world.executor.run(60, send(producer, 0..10));
    // All at once fill a batch of 1,024 bytes.
    world.executor.run(60, send(producer, 10..100));
    world.executor.run(60, send(producer, 100..105));
    let mut config = Config::new();
    config.stream_large_batches = false;
    let (consumer, runner) = SMALL.start(world.stack, &config, BROKER, 1).unwrap();
    spawn(&mut world, runner);
    let topic = consumer.topic(TOPIC).unwrap();
    consumer.assign(topic, 0, Start::Beginning).unwrap();
    world.executor.run(60, read(consumer, 0, 10));
    let error = world.executor.run(60, consumer.poll(1)).err().unwrap();
    println!("{error}");
    let ConsumeFault::BatchTooLarge { needed, capacity } = error.fault else { panic!("{error}") };
    assert_eq!((error.partition, error.offset, needed > 512, capacity), (0, 10, true, 512 - 44));
    consumer.seek(topic, 0, Start::Offset(100));
    world.executor.run(60, read(consumer, 100, 105));
}

#[test]
fn a_batch_that_is_too_large_is_read_in_pieces() {
    consumer_storage! { static PIECES: { chunk_bytes: 512 } }
    let mut world = World::new(GOOD, 6);
    let producer = producer(&mut world);
    world.executor.run(60, send(producer, 0..10));
    world.executor.run(60, send(producer, 10..100));
    world.executor.run(60, send(producer, 100..105));
    let (consumer, runner) = PIECES.start(world.stack, &Config::new(), BROKER, 1).unwrap();
    spawn(&mut world, runner);
    consumer.assign(consumer.topic(TOPIC).unwrap(), 0, Start::Beginning).unwrap();
    let mut records = consumer.records(25);
    let mut unverified = 0;
    for number in 0..105 {
        let read = records.next(|record| (record.offset, record.value == Some(&value(number)), record.verified));
        let Ok(Some((offset, right, verified))) = world.executor.run(60, read) else { panic!("{number}") };
        assert_eq!((offset, right), (i64::from(number), true));
        unverified += u32::from(!verified);
    }
    assert!((1..90).contains(&unverified), "{unverified}");
}

/// The connection gave way to the other broker and woke the clock for it, which had to leave it alone: there was more to read
/// over it once the caller was done. On a device both are one task, and that woke itself until the turn was over.
#[test]
fn a_caller_who_takes_his_time_while_another_broker_waits_for_the_connection() {
    consumer_storage! { static TURNS: { chunk_bytes: 512, partitions: 2, brokers: 3 } }
    let options = Options { nodes: 2, ..Options::default() };
    let mut world = World::with::<10>(GOOD, options, 2, &[1, 1, 1, 1, 2, 2, 2, 2]);
    let producer = producer(&mut world);
    world.executor.run(60, async {
        for number in 0..40 {
            let to = producer.topic(TOPIC).unwrap().partition(number % 2);
            let delivery = producer.send(to, &Record::new(&value(number as u32))).await.unwrap();
            producer.wait(delivery).await.unwrap();
        }
    });
    let (consumer, runner) = TURNS.start(world.stack, &Config::new(), BROKER, 1).unwrap();
    spawn(&mut world, runner);
    let topic = consumer.topic(TOPIC).unwrap();
    consumer.assign(topic, 0, Start::Beginning).unwrap();
    consumer.assign(topic, 1, Start::Beginning).unwrap();
    let (mut read, polls) = ([0; 2], world.executor.polls);
    world.executor.run(60, async {
        while read != [20; 2] {
            let fetched = consumer.poll(1).await.unwrap().unwrap();
            for record in fetched.records() {
                assert_eq!(record.offset, read[record.partition as usize]);
                read[record.partition as usize] += 1;
            }
            drop(fetched);
            Timer::after_millis(100).await;
        }
    });
    let polls = world.executor.polls - polls;
    println!("{polls} polls, {:?}", consumer.counters());
    assert!(polls < 1000, "{polls} polls");
}
