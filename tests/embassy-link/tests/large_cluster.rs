//! A cluster that is much larger than the device: 200 brokers, 2,000 partitions, and 512 bytes to receive with.

use demitasse_broker::Options;
use demitasse_embassy_link_tests::workload::spawn;
use demitasse_embassy_link_tests::world::{PORT, TOPIC, World};
use demitasse_embassy_link_tests::{Weather, broker};
use demitasse_io_embassy::{Config, Record, Sizes, storage};

const BROKERS: usize = 200;
const PARTITIONS: i32 = 2000;
/// Metadata's key on the wire.
const METADATA: [u8; 2] = [0, 3];

/// Places for two partitions, three brokers, one connection.
const SIZES: Sizes = Sizes {
    batch_bytes: 512,
    buffers: 2,
    partitions: 2,
    brokers: 3,
    connections: 1,
    receive_bytes: 512,
    socket_receive_bytes: 512,
    ..Sizes::DEFAULT
}
.filled();

storage! {
    static KAFKA: {
        batch_bytes: SIZES.batch_bytes, buffers: SIZES.buffers, partitions: SIZES.partitions, brokers: SIZES.brokers,
        connections: SIZES.connections, receive_bytes: SIZES.receive_bytes,
        socket_receive_bytes: SIZES.socket_receive_bytes,
    }
}
// Whatever it keeps of an answer, and on its way there, is in here.
const _: () = assert!(KAFKA.memory_bytes() < 6 * 1024 + 512);

#[test]
fn a_device_needs_only_what_it_asked_for_of_a_large_cluster() {
    let nodes: Vec<i32> = (1..=BROKERS as i32).collect();
    let options = Options { nodes: BROKERS, ..Options::default() };
    let weather = Weather { latency: 500, ..Weather::default() };
    let mut world = World::with::<{ BROKERS + 2 }>(weather, options, PARTITIONS, &nodes);
    world.cluster.borrow_mut().capture();
    let (producer, runner) = KAFKA.start(world.stack, &Config::new(), &[("10.0.0.2", PORT)], 1).unwrap();
    spawn(&mut world, runner);
    let topic = producer.topic(TOPIC).unwrap();

    // A partition by number, led by a broker far down the list, and one by key.
    let (numbered, keyed) = world.executor.run(100, async {
        let numbered = producer.send(topic.partition(1999), &Record::new(b"numbered")).await.unwrap();
        let keyed = producer.send(topic, &Record::new(b"keyed").key(b"kitchen")).await.unwrap();
        (producer.wait(numbered).await.unwrap(), producer.wait(keyed).await.unwrap())
    });
    println!("{numbered:?}, {keyed:?}, {:?}", producer.counters());
    assert_eq!((numbered.partition, numbered.offset, keyed.offset), (1999, Some(0), Some(0)));
    assert_eq!(producer.partitions(topic), Some(PARTITIONS as u32));
    let mut cluster = world.cluster.borrow_mut();
    for (receipt, value) in [(numbered, &b"numbered"[..]), (keyed, b"keyed")] {
        let partition = cluster.partition(TOPIC, receipt.partition).unwrap();
        assert_ne!(partition.leader(), 1, "the bootstrap broker proves little");
        assert_eq!(partition.records().next().unwrap().value.unwrap(), value);
    }

    // The answers were that large: the last question, asked again.
    let asked: Vec<_> = cluster.captured().into_iter().flatten().filter(|frame| frame[..2] == METADATA).collect();
    let connection = cluster.connect(1).unwrap();
    let answer = cluster.handle(connection, asked.last().unwrap(), broker::EPOCH_MILLIS + 100_000).bytes.unwrap();
    println!("asked {} times for {} bytes; {} bytes of memory", asked.len(), answer.len(), KAFKA.memory_bytes());
    assert!(answer.len() > 80_000, "{}", answer.len());
    assert_eq!((SIZES.receive_bytes, SIZES.socket_receive_bytes), (512, 512));
    // Each new leader takes two questions: who it is, and where. More would be a circle.
    assert!(asked.len() <= 5, "asked {} times", asked.len());
}
