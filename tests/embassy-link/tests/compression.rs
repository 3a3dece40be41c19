//! LZ4 on a device, both ways: what is compressed there is in the log as what it was, and is read there.

use demitasse_embassy_link_tests::Weather;
use demitasse_embassy_link_tests::workload::{again, check, send, spawn, value};
use demitasse_embassy_link_tests::world::{PORT, TOPIC, World};
use demitasse_io_embassy::{
    Compression, Config, ConfigError, ConsumerStorage, Fixed, Start, StartError, Storage, consumer_storage, storage,
};
use std::time::Duration;

const GOOD: Weather = Weather { latency: 500, loss: 0, corruption: 0, duplication: 0, reordering: 0 };
const BAD: Weather = Weather { latency: 200_000, loss: 50, corruption: 10, duplication: 10, reordering: 20 };
const BROKER: &[(&str, u16)] = &[("10.0.0.2", PORT)];

storage! { static ROOMY: { batch_bytes: 1024, buffers: 4, compression_bytes: 2048 } }
storage! { static TIGHT: { batch_bytes: 1024, buffers: 4, compression_bytes: 1024 + 64 } }
storage! { static NONE: { batch_bytes: 1024, buffers: 4 } }
storage! { static TWO: Two<Lz4> { batch_bytes: 1024, buffers: 4, connections: 2, compression_bytes: 1536 } }
consumer_storage! { static COMMANDS: {} }

/// Settings that are compiled in.
struct Lz4;

impl Fixed for Lz4 {
    const CONFIG: Config = config(Compression::Lz4);
}

const fn config(compression: Compression) -> Config {
    let mut config = Config::new();
    config.compression = compression;
    config.linger = Duration::from_millis(100);
    config
}

/// How many batches are in the log, how many of them compressed, and how many bytes they are.
fn batches(world: &World) -> (usize, usize, usize) {
    let cluster = world.cluster.borrow();
    let log = cluster.partition(TOPIC, 0).unwrap();
    let compressed = log.batches().filter(|batch| batch.bytes()[22] & 7 == 3).count();
    (log.batches().count(), compressed, log.batches().map(|batch| batch.bytes().len()).sum())
}

#[test]
fn what_is_compressed_on_a_device_is_read_on_one() {
    let mut world = World::new(GOOD, 1);
    let (producer, runner) = ROOMY.start(world.stack, &config(Compression::Lz4), BROKER, 1).unwrap();
    assert_eq!(ROOMY.memory_bytes() - NONE.memory_bytes(), 2048);
    spawn(&mut world, runner);
    world.executor.run(60, send(producer, 0..1000));
    check(&world, 1000);
    let (all, compressed, bytes) = batches(&world);
    assert_eq!((all, compressed), (all, all));
    // Of 20 bytes 16 are always the same, and 7 that frame each change little.
    println!("{bytes} bytes in {all} batches");
    assert!(bytes < 1000 * 14, "{bytes} bytes in {all} batches");

    let (consumer, runner) = COMMANDS.start(world.stack, &Config::new(), BROKER, 2).unwrap();
    spawn(&mut world, runner);
    consumer.assign(consumer.topic(TOPIC).unwrap(), 0, Start::Beginning).unwrap();
    let read = async {
        let mut next = 0;
        while next < 1000 {
            for record in consumer.poll(100).await.unwrap().unwrap().records() {
                assert_eq!((record.offset, record.value), (i64::from(next), Some(&value(next)[..])));
                next += 1;
            }
        }
    };
    world.executor.run(60, read);
}

#[test]
fn in_bad_weather_too() {
    for seed in 0..3 {
        let mut world = World::new(BAD, seed);
        let (producer, runner) = again(&TWO, Storage::new()).start(world.stack, Lz4, BROKER, 1).unwrap();
        spawn(&mut world, runner);
        world.executor.run(3600, send(producer, 0..3000));
        check(&world, 3000);
        let (all, compressed, _) = batches(&world);
        assert!(compressed * 10 > all * 9, "{compressed} of {all}");
    }
}

#[test]
fn what_does_not_get_in_goes_as_it_is() {
    let mut world = World::new(GOOD, 1);
    let (producer, runner) = TIGHT.start(world.stack, &config(Compression::Lz4), BROKER, 1).unwrap();
    spawn(&mut world, runner);
    world.executor.run(60, send(producer, 0..500));
    check(&world, 500);
    let (all, compressed, _) = batches(&world);
    assert!(all > 0 && compressed == 0, "{compressed} of {all}");
}

#[test]
fn what_cannot_be_compressed_with_is_refused() {
    let world = World::new(GOOD, 1);
    let roomy =
        |compression| again(&ROOMY, Storage::new()).start(world.stack, &config(compression), BROKER, 1).map(drop);
    let none = |compression| again(&NONE, Storage::new()).start(world.stack, &config(compression), BROKER, 1).map(drop);
    let refused = |reason| Err(StartError::Config(ConfigError { name: "compression.type", reason }));
    assert_eq!(roomy(Compression::Zstd), refused("must be none or lz4"));
    assert_eq!(none(Compression::Gzip), refused("must be none or lz4"));
    assert_eq!(none(Compression::Lz4), refused("must be none: the storage has no compression_bytes"));
    assert_eq!((roomy(Compression::None), none(Compression::None)), (Ok(()), Ok(())));
    // Who only reads compresses nothing.
    let reader = again(&COMMANDS, ConsumerStorage::new());
    assert!(reader.start(world.stack, &config(Compression::Zstd), BROKER, 2).is_ok());
}
