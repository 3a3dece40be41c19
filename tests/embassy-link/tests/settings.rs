//! What a board may be told wrongly: an error that says what and how large.

use demitasse_broker::Options;
use demitasse_embassy_link_tests::executor::now;
use demitasse_embassy_link_tests::workload::spawn;
use demitasse_embassy_link_tests::world::{PORT, TOPIC, World};
use demitasse_embassy_link_tests::{Weather, names};
use demitasse_io_embassy::{
    Acks, CapacityError, Config, ConfigError, ConnectionError, ConsumeFault, DeliveryFailure, Fault, Producer, Reason,
    Record, SendError, Sizes, Start, StartError, Storage, TopicError, consumer_storage, storage,
};
use embassy_futures::select::select;
use std::time::Duration;

storage! { static KAFKA: { batch_bytes: 512, buffers: 2, topics: 1, topic_name_bytes: 16, host_bytes: 16, brokers: 2 } }

/// What `send` says when it has waited in vain for a broker.
fn sent_to(bootstrap: (&str, u16)) -> (SendError, Producer) {
    let mut world = World::new(Weather { latency: 1000, ..Weather::default() }, 1);
    let mut config = Config::new();
    config.max_block = Duration::from_secs(15);
    let kafka = demitasse_embassy_link_tests::workload::again(&KAFKA, Storage::new());
    let (producer, runner) = kafka.start(world.stack, &config, &[bootstrap], 1).unwrap();
    spawn(&mut world, runner);
    let topic = producer.topic(TOPIC).unwrap();
    let start = now();
    let error = world.executor.run(60, producer.send(topic, &Record::new(b"x"))).unwrap_err();
    assert_eq!(now() - start, 15_000_000);
    println!("{bootstrap:?}: {error}");
    (error, producer)
}

fn connection(error: SendError) -> Option<ConnectionError> {
    match error {
        SendError::Timeout { connection, .. } => connection,
        other => panic!("{other}"),
    }
}

#[test]
fn an_unknown_host() {
    let (error, producer) = sent_to(("nobody.local", PORT));
    assert_eq!(connection(error), Some(ConnectionError::Resolve));
    // Who does not wait is told, too.
    let error = producer.try_send(producer.topic(TOPIC).unwrap(), &Record::new(b"x")).unwrap_err();
    assert!(matches!(error, SendError::TopicPending { connection: Some(ConnectionError::Resolve), .. }), "{error}");
}

#[test]
fn a_port_without_a_broker() {
    assert_eq!(connection(sent_to((names::NAME, 9)).0), Some(ConnectionError::Refused));
    assert_eq!(connection(sent_to(("10.0.0.2", 9)).0), Some(ConnectionError::Refused));
}

#[test]
fn an_address_without_a_broker() {
    assert_eq!(connection(sent_to(("10.0.0.77", PORT)).0), Some(ConnectionError::ConnectTimeout));
}

#[test]
fn an_address_without_a_way_to_it() {
    assert_eq!(connection(sent_to(("0.0.0.0", PORT)).0), Some(ConnectionError::Unreachable));
}

#[test]
fn what_is_larger_than_its_place() {
    let mut world = World::new(Weather::default(), 1);
    let kafka = demitasse_embassy_link_tests::workload::again(&KAFKA, Storage::new());
    let (producer, runner) = kafka.start(world.stack, &Config::new(), &[("10.0.0.2", PORT)], 1).unwrap();
    spawn(&mut world, runner);
    let long = producer.topic("a-name-of-17-byte").unwrap_err();
    assert_eq!(long, TopicError::NameTooLong { length: 17, capacity: 16 });
    let topic = producer.topic(TOPIC).unwrap();
    assert_eq!(producer.topic("another"), Err(TopicError::TooManyTopics { capacity: 1 }));
    let error = world.executor.run(10, producer.send(topic, &Record::new(&[7; 600]))).unwrap_err();
    println!("{error}");
    let SendError::RecordTooLarge { needed, capacity } = error else { panic!("{error}") };
    assert_eq!((needed > 600, capacity), (true, 512));
    let written = async {
        let delivery = producer.send(topic, &Record::new(&[7; 400])).await.unwrap();
        producer.wait(delivery).await.unwrap()
    };
    assert_eq!(world.executor.run(10, written).offset, Some(0));
}

#[test]
fn what_cannot_start() {
    storage! { static ONCE: { brokers: 1, host_bytes: 16 } }
    let world = World::new(Weather::default(), 1);
    let fresh = || demitasse_embassy_link_tests::workload::again(&ONCE, Storage::new());
    let start = |config: &Config, bootstrap: &[_]| fresh().start(world.stack, config, bootstrap, 1).map(drop);

    let long = start(&Config::new(), &[("a-name-of-17-byte", 1)]).unwrap_err();
    let capacity = |what, given, needed| StartError::Capacity(CapacityError { what, given, needed, at_most: false });
    assert_eq!(long, capacity("host_bytes", 16, 17));
    assert_eq!(start(&Config::new(), &[("a", 1), ("b", 1)]), Err(capacity("brokers", 1, 2)));
    assert!(matches!(
        start(&Config::new(), &[]),
        Err(StartError::Config(ConfigError { name: "bootstrap.servers", .. }))
    ));
    let mut config = Config::new();
    config.acks = Acks::Leader;
    assert!(matches!(start(&config, &[("a", 1)]), Err(StartError::Config(ConfigError { name: "acks", .. }))));

    assert!(ONCE.start(world.stack, &Config::new(), &[("a", 1)], 1).is_ok());
    let twice = ONCE.start(world.stack, &Config::new(), &[("a", 1)], 1).map(drop);
    assert_eq!(twice, Err(StartError::AlreadyStarted));
}

#[test]
fn sizes_follow_from_each_other() {
    let sizes = Sizes { batch_bytes: 500, topics: 3, ..Sizes::DEFAULT }.filled();
    assert_eq!((sizes.buffers, sizes.batches, sizes.max_in_flight), (4, 8, 2));
    assert_eq!(sizes.socket_send_bytes, 500 + sizes.frame_bytes);
    assert_eq!(sizes.capacities().check(), Ok(()));
    let absurd = Sizes { buffers: usize::MAX, topics: usize::MAX, topic_name_bytes: usize::MAX, ..Sizes::DEFAULT };
    assert!(absurd.filled().capacities().check().is_err());
}

#[test]
fn a_consumer_may_have_no_seats_as_a_producer_may() {
    // The compiler had no room for as many seats as stand for none.
    consumer_storage! { static WITHOUT_SEATS: { waiters: Sizes::NONE } }
    consumer_storage! { static WITH_SEATS: { waiters: 1 } }
    assert!(WITHOUT_SEATS.memory_bytes() < WITH_SEATS.memory_bytes());
}

/// The storage was taken all the same, and who came with another address was told that it had been started before.
#[test]
fn a_start_that_failed_may_be_tried_again() {
    storage! { static ONCE: { brokers: 1, host_bytes: 15 } }
    let world = World::new(Weather::default(), 1);
    let start = |bootstrap: &[_]| ONCE.start(world.stack, &Config::new(), bootstrap, 1).map(drop);
    assert!(matches!(start(&[]), Err(StartError::Config(_))));
    assert!(matches!(start(&[("a-name-that-is-too-long", 1)]), Err(StartError::Capacity(_))));
    assert_eq!(start(&[("10.0.0.2", PORT)]), Ok(()));

    consumer_storage! { static READER: { brokers: 1 } }
    let mut config = Config::new();
    let mut start = |max_in_flight| {
        config.max_in_flight = max_in_flight;
        READER.start(world.stack, &config, &[("10.0.0.2", PORT)], 1).map(drop)
    };
    assert!(matches!(start(6), Err(StartError::Config(_))));
    assert_eq!(start(5), Ok(()));
}

/// Six leaders, and places for three brokers: who writes to the others, or reads from them, is told soon, and how many there are.
#[test]
fn more_leaders_than_places_for_brokers() {
    storage! { static WRITER: { partitions: 12, brokers: 3, buffers: 12 } }
    consumer_storage! { static READER: { partitions: 12, brokers: 3, host_bytes: 15 } }
    let nodes: Vec<i32> = (1..=6).flat_map(|node| [node; 4]).collect();
    let options = Options { nodes: 6, ..Options::default() };
    let mut world = World::with::<26>(Weather { latency: 500, ..Weather::default() }, options, 12, &nodes);
    let (producer, runner) = WRITER.start(world.stack, &Config::new(), &[("10.0.0.2", PORT)], 1).unwrap();
    spawn(&mut world, runner);
    let topic = producer.topic(TOPIC).unwrap();
    let (mut written, mut refused) = (0, Vec::new());
    let start = now();
    world.executor.run(100, async {
        let mut deliveries = Vec::new();
        for partition in 0..12 {
            deliveries.push(producer.send(topic.partition(partition), &Record::new(b"x")).await.unwrap());
        }
        for delivery in deliveries {
            match producer.wait(delivery).await {
                Ok(_) => written += 1,
                Err(error) => refused.push(error.cause),
            }
        }
    });
    assert!(now() - start < 10_000_000, "{} us", now() - start);
    assert_eq!((written, refused.len()), (6, 6));
    for cause in refused {
        let DeliveryFailure::Failure(failure) = cause else { panic!("{cause:?}") };
        let no_place = ConnectionError::NoPlace { host_bytes: 40, brokers: 3 };
        assert_eq!((failure.reason, failure.connection), (Reason::NoPlace, Some(no_place)));
        assert_eq!(failure.fault(), Fault::Setting);
        println!("{failure}");
    }

    let (consumer, runner) = READER.start(world.stack, &Config::new(), &[("10.0.0.2", PORT)], 2).unwrap();
    spawn(&mut world, runner);
    let topic = consumer.topic(TOPIC).unwrap();
    (0..12).for_each(|partition| consumer.assign(topic, partition, Start::Beginning).unwrap());
    let (mut read, mut faults) = (0, 0);
    world.executor.run(100, async {
        while read + faults < 12 {
            match consumer.poll(10).await {
                Ok(fetched) => read += fetched.unwrap().records().count(),
                Err(error) => {
                    let no_place = ConnectionError::NoPlace { host_bytes: 15, brokers: 3 };
                    assert_eq!(error.fault, ConsumeFault::NoPlace(no_place));
                    faults += 1;
                }
            }
        }
    });
    assert_eq!((read, faults), (6, 6));
}

/// Places for the bootstrap address and one leader, and for all partitions of the topic: one of them at a time. Leaders of the
/// others took the place, and that one's leader had none.
#[test]
fn leaders_of_partitions_that_nobody_needs_have_no_place() {
    storage! { static WRITER: { partitions: 3, brokers: 2 } }
    consumer_storage! { static READER: { partitions: 3, brokers: 2 } }
    let nodes: Vec<i32> = (1..=3).flat_map(|node| [node; 4]).collect();
    let options = Options { nodes: 3, ..Options::default() };
    let mut world = World::with::<14>(Weather { latency: 500, ..Weather::default() }, options, 3, &nodes);
    for partition in 0..3 {
        let writer = demitasse_embassy_link_tests::workload::again(&WRITER, Storage::new());
        let (producer, mut runner) = writer.start(world.stack, &Config::new(), &[("10.0.0.2", PORT)], 1).unwrap();
        let topic = producer.topic(TOPIC).unwrap();
        let written = async {
            let delivery = producer.send(topic.partition(partition), &Record::new(b"x")).await.unwrap();
            producer.wait(delivery).await.map(drop)
        };
        world.executor.run(100, select(runner.run(), written));
        assert_eq!(producer.counters().acknowledged, 1, "partition {partition}");
    }
    let (consumer, runner) = READER.start(world.stack, &Config::new(), &[("10.0.0.2", PORT)], 2).unwrap();
    spawn(&mut world, runner);
    let topic = consumer.topic(TOPIC).unwrap();
    for partition in 0..3 {
        consumer.assign(topic, partition, Start::Beginning).unwrap();
        let read = async { consumer.poll(10).await.map(|fetched| fetched.unwrap().records().count()) };
        assert_eq!(world.executor.run(100, read), Ok(1), "partition {partition}");
        consumer.unassign(topic, partition);
    }
}

/// What the broker says of itself leads nowhere, and the one slot is the bootstrap address' in between, which works.
#[test]
fn an_advertised_host_that_leads_nowhere() {
    storage! { static KAFKA: { host_bytes: 16 } }
    for (host, expected) in [
        ("nobody.local", ConnectionError::Resolve),
        ("10.0.0.77", ConnectionError::ConnectTimeout),
        ("a-host-that-is-longer-than-its-place", ConnectionError::NoPlace { host_bytes: 16, brokers: 3 }),
    ] {
        let options = Options { host: host.into(), ..Options::default() };
        let mut world = World::with::<10>(Weather { latency: 500, ..Weather::default() }, options, 1, &[1; 8]);
        let mut config = Config::new();
        config.delivery_timeout = Duration::from_secs(35);
        let kafka = demitasse_embassy_link_tests::workload::again(&KAFKA, Storage::new());
        let (producer, runner) = kafka.start(world.stack, &config, &[("10.0.0.2", PORT)], 1).unwrap();
        spawn(&mut world, runner);
        let written = async {
            let delivery = producer.send(producer.topic(TOPIC).unwrap(), &Record::new(b"x")).await.unwrap();
            producer.wait(delivery).await.unwrap_err().cause
        };
        let cause = world.executor.run(60, written);
        let DeliveryFailure::Failure(failure) = cause else { panic!("{host}: {cause:?}") };
        println!("{host}: {failure}");
        assert_eq!(failure.connection, Some(expected), "{host}");
    }
}
