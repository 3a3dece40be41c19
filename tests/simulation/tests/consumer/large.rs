//! Batches that are larger than a chunk.

use crate::bench::{Bench, PARTITIONS, SECOND, calm, config_with};
use demitasse_broker::Release;
use demitasse_core::records::read::Fault;
use demitasse_core::{Config, ConsumeFault, Start};
use demitasse_simulation::network::Weather;
use demitasse_simulation::reading;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// The largest value that a chunk of the bench has room for: beside it are its segment's 44 bytes and its record's 9.
const LARGEST: usize = 2048 - 44 - 9;

pub(crate) fn batch(values: &[Vec<u8>]) -> Vec<u8> {
    reading::batch(values, false)
}

pub(crate) fn write(bench: &Bench, partition: i32, batch: &[u8]) {
    bench.network.world.borrow_mut().cluster.append_batch("t", partition, batch).unwrap();
}

pub(crate) fn values(count: usize, bytes: impl Fn(usize) -> usize) -> Vec<Vec<u8>> {
    (0..count).map(|i| vec![i as u8; bytes(i)]).collect()
}

#[test]
fn they_are_read_once_and_in_order() {
    for (release, chunks, max) in [(Release::V2_6, 1, 1000), (Release::V2_8, 2, 1), (Release::V4_3, 1, 7)] {
        for piece in [0, 1, 100] {
            let mut bench = Bench::new(release, 1, chunks, Config::new(), Weather { piece, ..calm() });
            let mut written = vec![Vec::new(); PARTITIONS as usize];
            for (partition, written) in (0..).zip(&mut written) {
                bench.consumer.assign(bench.topic(), partition, Start::Beginning).unwrap();
                for sizes in [|_| 5, |i| 20 + i * 37 % 900, |i| if i == 3 { LARGEST } else { i }] {
                    let values = values(40, sizes);
                    write(&bench, partition, &batch(&values));
                    written.extend(values);
                }
            }
            bench.poll(max, 0);
            bench.advance(60 * SECOND);
            for (partition, written) in (0..).zip(&written) {
                let read = bench.read.borrow();
                let read = read.iter().filter(|read| read.0 == partition).map(|read| (read.1, &read.2));
                assert!(read.eq((0..).zip(written)), "{release:?} {chunks} {max} {piece}");
                assert_eq!(bench.consumer.position(bench.topic(), partition), Some(120));
            }
            assert!(bench.faults.borrow().is_empty());
            bench.consumer.audit().unwrap();
        }
    }
}

/// What is wrong with a batch shows with its last piece: of that nothing is handed out, and what was handed out before was
/// said to be unverified. The others go on.
#[test]
fn a_wrong_checksum_is_told_at_the_end() {
    let mut bench = Bench::new(Release::V4_3, 1, 2, Config::new(), calm());
    let topic = bench.topic();
    let mut wrong = batch(&values(20, |_| 500));
    let at = wrong.len() - 400;
    wrong[at] ^= 1;
    write(&bench, 0, &batch(&values(20, |_| 500)));
    write(&bench, 0, &wrong);
    write(&bench, 1, &batch(&values(3, |_| 500)));
    (0..2).for_each(|partition| bench.consumer.assign(topic, partition, Start::Beginning).unwrap());
    let verified = Rc::new(RefCell::new(Vec::new()));
    let (consumer, faults, seen) = (bench.consumer.clone(), bench.faults.clone(), verified.clone());
    bench.executor.spawn(async move {
        loop {
            match consumer.poll(1000).await {
                Ok(None) => return,
                Ok(Some(fetched)) => {
                    let own = fetched.records().filter(|record| record.partition == 0);
                    seen.borrow_mut().extend(own.map(|record| (record.offset, record.verified)));
                }
                Err(error) => faults.borrow_mut().push((error.partition, error.offset, error.fault)),
            }
        }
    });
    bench.advance(60 * SECOND);
    let verified = verified.borrow();
    assert!(verified.iter().map(|seen| seen.0).eq(0..verified.len() as i64));
    let (sound, unsound) = verified.split_at(20);
    // Of the first batch only the last piece came with a checksum that was known to be right.
    let unverified = sound.iter().filter(|seen| !seen.1).count();
    assert!((10..20).contains(&unverified) && sound[unverified..].iter().all(|seen| seen.1));
    assert!(!unsound.is_empty() && unsound.len() < 20 && unsound.iter().all(|seen| !seen.1));
    let faults = bench.faults.borrow();
    let [(0, offset, ConsumeFault::Corrupt(Fault::Crc { .. }))] = faults[..] else { panic!("{faults:?}") };
    assert_eq!(offset, verified.len() as i64);
    assert_eq!(bench.consumer.position(topic, 1), Some(3));
}

#[test]
fn a_record_that_is_larger_than_a_chunk_is_told_with_the_sizes() {
    let mut bench = Bench::new(Release::V4_3, 1, 1, Config::new(), calm());
    write(&bench, 0, &batch(&values(4, |i| if i == 2 { LARGEST + 1 } else { 1000 })));
    write(&bench, 0, &batch(&values(1, |_| 10)));
    bench.consumer.assign(bench.topic(), 0, Start::Beginning).unwrap();
    bench.poll(1000, 0);
    bench.advance(5 * SECOND);
    assert_eq!(bench.offsets(0), [0, 1]);
    let fault = ConsumeFault::RecordTooLarge { needed: 2048 - 44 + 1, capacity: 2048 - 44 };
    assert_eq!(*bench.faults.borrow(), [(0, 2, fault)]);
    bench.consumer.seek(bench.topic(), 0, Start::Offset(4));
    bench.advance(5 * SECOND);
    assert_eq!(bench.offsets(0), [0, 1, 4]);
}

#[test]
fn who_wants_only_what_is_verified_is_told_with_the_sizes() {
    let config = config_with(|config| config.stream_large_batches = false);
    let mut bench = Bench::new(Release::V4_3, 1, 1, config, calm());
    let large = batch(&values(10, |_| 500));
    write(&bench, 0, &batch(&values(10, |_| 50)));
    write(&bench, 0, &large);
    bench.consumer.assign(bench.topic(), 0, Start::Beginning).unwrap();
    bench.poll(1000, 0);
    bench.advance(5 * SECOND);
    assert_eq!(bench.offsets(0), (0..10).collect::<Vec<_>>());
    let fault = ConsumeFault::BatchTooLarge { needed: large.len() as u32, capacity: 2048 - 44 };
    assert_eq!(*bench.faults.borrow(), [(0, 10, fault)]);
}

/// Whoever keeps a piece for long keeps nobody else from anything for longer than a request may take, and reads on from
/// where he was.
#[test]
fn a_piece_that_is_kept_holds_up_the_others_for_a_while_only() {
    let config = config_with(|config| config.request_timeout = Duration::from_secs(3));
    let mut bench = Bench::new(Release::V4_3, 1, 2, config, calm());
    let topic = bench.topic();
    write(&bench, 0, &batch(&values(40, |_| 500)));
    write(&bench, 1, &batch(&values(5, |_| 500)));
    bench.consumer.assign(topic, 0, Start::Beginning).unwrap();
    bench.advance(SECOND);
    // A piece waits to be handed out, and the broker's answer behind it.
    bench.consumer.assign(topic, 1, Start::End).unwrap();
    assert_eq!(bench.consumer.position(topic, 1), None);
    bench.advance(SECOND);
    assert_eq!(bench.consumer.position(topic, 1), Some(5));
    assert_eq!(bench.consumer.counters().connections_lost, 0);
    // Four seconds a piece: each is read after the batch was asked for again.
    bench.poll(1000, 4 * SECOND);
    bench.advance(400 * SECOND);
    assert_eq!(bench.offsets(0), (0..40).collect::<Vec<_>>());
    assert_eq!(bench.consumer.counters().connections_lost, 0);
}

/// He may be who waits for a place, in the midst of a batch: it took `request.timeout.ms`.
#[test]
fn a_place_is_found_behind_a_piece_that_waits() {
    for sought in [0, 1] {
        let mut bench = Bench::new(Release::V4_3, 1, 2, Config::new(), calm());
        let topic = bench.topic();
        write(&bench, 0, &batch(&values(40, |_| 500)));
        bench.consumer.assign(topic, 0, Start::Beginning).unwrap();
        bench.advance(SECOND);
        bench.consumer.assign(topic, sought, Start::End).unwrap();
        bench.advance(SECOND);
        assert_eq!(bench.consumer.position(topic, sought), Some(if sought == 0 { 40 } else { 0 }));
        bench.consumer.audit().unwrap();
    }
}

#[test]
fn what_is_paused_or_sought_lets_go_of_its_batch() {
    let mut bench = Bench::new(Release::V4_3, 1, 1, Config::new(), calm());
    let topic = bench.topic();
    (0..2).for_each(|partition| write(&bench, partition, &batch(&values(40, |_| 500))));
    bench.consumer.assign(topic, 0, Start::Beginning).unwrap();
    bench.poll(2, SECOND / 10);
    bench.advance(SECOND);
    bench.consumer.pause(topic, 0);
    let before = bench.offsets(0).len();
    assert!((1..40).contains(&before));
    bench.consumer.assign(topic, 1, Start::Beginning).unwrap();
    bench.advance(10 * SECOND);
    assert_eq!((bench.offsets(0).len(), bench.offsets(1).len()), (before, 40));
    bench.consumer.resume(topic, 0);
    bench.advance(SECOND / 2);
    bench.consumer.seek(topic, 0, Start::Offset(30));
    bench.advance(10 * SECOND);
    let read = bench.offsets(0);
    let (first, second) = read.split_at(read.len() - 10);
    assert!(first.iter().copied().eq(0..first.len() as i64) && first.len() < 30);
    assert!(second.iter().copied().eq(30..40));
}
