//! Batches that are compressed, written by the client and read by it, with brokers between that look into them.

use crate::bench::{Bench, PARTITIONS, SECOND, calm, config_with};
use demitasse_broker::Release;
use demitasse_core::{Compression, Config, ConsumeFault, Start};
use demitasse_simulation::network::Weather;
use std::time::Duration;

fn compressing() -> Config {
    config_with(|config| config.compression = Compression::Lz4)
}

fn value(i: usize) -> Vec<u8> {
    vec![i as u8; 1 + (i * 7) % 300]
}

fn all_there(bench: &Bench, records: i64) {
    for partition in 0..PARTITIONS {
        assert_eq!(bench.offsets(partition), (0..records).collect::<Vec<_>>(), "partition {partition}");
    }
    assert!(bench.read.borrow().iter().all(|(_, offset, read)| *read == value(*offset as usize)));
    assert!(bench.faults.borrow().is_empty(), "{:?}", bench.faults.borrow());
}

#[test]
fn every_record_is_read_once_and_in_order() {
    for (chunks, max, pollers) in [(1, 7, 1), (2, 1, 1), (4, 1000, 1), (3, 5, 3)] {
        let mut bench = Bench::new(Release::V4_3, 3, chunks, compressing(), calm());
        for partition in 0..PARTITIONS {
            bench.consumer.assign(bench.topic(), partition, Start::Beginning).unwrap();
            bench.send(partition, (0..200).map(value));
        }
        (0..pollers).for_each(|poller| bench.poll(max, poller * 300));
        bench.advance(60 * SECOND);
        // Several tasks take turns with one window, and partitions are each in the hands of one.
        all_there(&bench, 200);
        let memory = bench.consumer.memory();
        assert_eq!((memory.decompression.capacity, memory.decompression.used), (1, 1));
        let compressed = |partition: i32| {
            let world = bench.network.world.borrow();
            let partition = world.cluster.partition("t", partition).unwrap();
            partition.batches().filter(|batch| batch.bytes()[22] & 7 == 3).count()
        };
        assert!((0..PARTITIONS).all(|partition| compressed(partition) > 10));
    }
}

#[test]
fn bad_weather_loses_and_doubles_nothing() {
    for piece in [0, 17] {
        let weather = Weather { latency: 3_000, jitter: 20_000, piece, cut: 100, cut_within: 3_000, ..calm() };
        let mut config = compressing();
        config.request_timeout = Duration::from_secs(2);
        let mut bench = Bench::new(Release::V3_9, 3, 2, config, weather);
        for partition in 0..PARTITIONS {
            bench.consumer.assign(bench.topic(), partition, Start::Offset(0)).unwrap();
            bench.send(partition, (0..100).map(value));
        }
        bench.poll(13, 10_000);
        bench.advance(300 * SECOND);
        all_there(&bench, 100);
    }
}

/// A seek into the middle of a batch hands out what is behind it, and nothing before.
#[test]
fn a_batch_is_entered_anywhere() {
    let mut bench = Bench::new(Release::V4_3, 1, 2, compressing(), calm());
    let topic = bench.topic();
    bench.send(0, (0..50).map(value));
    bench.advance(2 * SECOND);
    bench.poll(3, 100);
    for start in [0, 1, 17, 31, 49] {
        bench.read.borrow_mut().clear();
        bench.consumer.assign(topic, 0, Start::Offset(start)).unwrap();
        bench.advance(2 * SECOND);
        assert_eq!(bench.offsets(0), (start..50).collect::<Vec<_>>());
    }
    bench.consumer.seek(topic, 0, Start::Offset(20));
    bench.advance(3_000);
    bench.consumer.seek(topic, 0, Start::Offset(5));
    bench.read.borrow_mut().clear();
    bench.advance(2 * SECOND);
    assert_eq!(bench.offsets(0).last(), Some(&49));
    assert_eq!(bench.offsets(0).iter().filter(|&&offset| offset == 5).count(), 1);
}

/// A batch whose window is too small is told with the sizes; what is in front of it, and the others, go on.
#[test]
fn a_batch_that_becomes_too_large_stops_its_partition_alone() {
    let mut bench = Bench::with_window(128, compressing());
    let topic = bench.topic();
    for partition in 0..2 {
        bench.consumer.assign(topic, partition, Start::Beginning).unwrap();
    }
    bench.send(0, (0..3).map(|i| vec![i; 20]));
    bench.advance(SECOND);
    bench.send(0, std::iter::once(vec![b'x'; 300]));
    bench.send(1, (0..3).map(|i| vec![i; 20]));
    bench.poll(10, 0);
    bench.advance(5 * SECOND);
    assert_eq!((bench.offsets(0), bench.offsets(1)), (vec![0, 1, 2], vec![0, 1, 2]));
    let faults = bench.faults.borrow().clone();
    let &[(0, 3, ConsumeFault::RecordTooLarge { needed, capacity: 128 })] = &faults[..] else { panic!("{faults:?}") };
    assert!(needed > 300 && needed < 330, "{needed}");
    bench.consumer.seek(topic, 0, Start::Offset(4));
    bench.send(0, std::iter::once(vec![1; 20]));
    bench.advance(5 * SECOND);
    assert_eq!(bench.offsets(0), [0, 1, 2, 4]);
}

/// Without a window a compressed batch is a fault of its partition.
#[test]
fn without_a_window_it_is_said_so() {
    let mut bench = Bench::with_window(0, compressing());
    bench.consumer.assign(bench.topic(), 0, Start::Beginning).unwrap();
    bench.send(0, std::iter::once(vec![b'x'; 300]));
    bench.poll(10, 0);
    bench.advance(5 * SECOND);
    assert_eq!(*bench.faults.borrow(), [(0, 0, ConsumeFault::Compressed(Compression::Lz4))]);
}
