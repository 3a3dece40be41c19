//! Answers that are altered on their way: transactions that were aborted, if one believes it, and offsets that go back.

use crate::bench::{Bench, SECOND, calm, config_with};
use crate::large::{batch, values, write};
use demitasse_broker::Release;
use demitasse_core::protocol::IsolationLevel;
use demitasse_core::records::read::Fault;
use demitasse_core::{Config, ConsumeFault, Start};
use demitasse_simulation::reading::marker;
use kafka_protocol::messages::fetch_response::{AbortedTransaction, EpochEndOffset, PartitionData};
use kafka_protocol::messages::{FetchResponse, ListOffsetsResponse};
use kafka_protocol::protocol::{Decodable, Encodable};
use std::cell::Cell;
use std::rc::Rc;

const PRODUCER: i64 = 7;
const TRANSACTIONAL: u8 = 1 << 4;

/// A batch of that producer's transaction.
fn transactional(values: &[Vec<u8>]) -> Vec<u8> {
    let mut batch = batch(values);
    batch[22] |= TRANSACTIONAL;
    batch[43..51].copy_from_slice(&PRODUCER.to_be_bytes());
    let crc = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    batch
}

/// From now on each partition of an answer that has records is altered.
fn alter(bench: &Bench, alter: impl Fn(&mut PartitionData) + 'static) {
    let has_records = |of: &PartitionData| of.records.as_ref().is_some_and(|records| !records.is_empty());
    alter_answers(
        bench,
        |_| true,
        move |of| {
            if has_records(of) {
                alter(of)
            }
        },
    );
}

/// From now on each partition of the answers to such Fetch requests is altered.
fn alter_answers(
    bench: &Bench,
    concerns: impl Fn(&[u8]) -> bool + 'static,
    alter: impl Fn(&mut PartitionData) + 'static,
) {
    bench.network.world.borrow_mut().liar = Some(Box::new(move |request, answer| {
        let fetch = request[..2] == FETCH && concerns(request);
        if fetch {
            altered::<FetchResponse>(request, &answer, |response| {
                let partitions = response.responses.iter_mut().flat_map(|topic| &mut topic.partitions);
                partitions.for_each(&alter);
            })
        } else {
            answer
        }
    }));
}

const FETCH: [u8; 2] = [0, 1];
const LIST_OFFSETS: [u8; 2] = [0, 2];

fn altered<R: Decodable + Encodable>(request: &[u8], answer: &[u8], alter: impl FnOnce(&mut R)) -> Vec<u8> {
    let version = i16::from_be_bytes([request[2], request[3]]);
    // Flexible versions have tagged fields in the header too.
    let header = 8 + usize::from(version >= if request[..2] == FETCH { 12 } else { 6 });
    let mut response = R::decode(&mut &answer[header..], version).unwrap();
    alter(&mut response);
    let mut changed = answer[..header].to_vec();
    response.encode(&mut changed, version).unwrap();
    let length = changed.len() as u32 - 4;
    changed[..4].copy_from_slice(&length.to_be_bytes());
    changed
}

/// Who is told nothing of use asks again, but not at once, and goes on when it is told.
fn a_place_is_looked_for_with_a_backoff(lie: fn(&mut ListOffsetsResponse)) {
    let mut bench = Bench::new(Release::V4_3, 1, 2, Config::new(), calm());
    bench.send(0, (0..10).map(|i| vec![i; 50]));
    let asked = Rc::new(Cell::new(0));
    let times = asked.clone();
    bench.network.world.borrow_mut().liar = Some(Box::new(move |request, answer| {
        if request[..2] != LIST_OFFSETS {
            return answer;
        }
        times.set(times.get() + 1);
        altered(request, &answer, lie)
    }));
    bench.consumer.assign(bench.topic(), 0, Start::Beginning).unwrap();
    bench.poll(100, 0);
    bench.advance(30 * SECOND);
    assert!((10..100).contains(&asked.get()), "asked {} times", asked.get());
    bench.network.world.borrow_mut().liar = None;
    bench.advance(5 * SECOND);
    assert_eq!(bench.offsets(0), Vec::from_iter(0..10));
}

#[test]
fn a_place_that_an_answer_leaves_out_is_looked_for_with_a_backoff() {
    a_place_is_looked_for_with_a_backoff(|answer| answer.topics.clear());
}

#[test]
fn a_log_without_a_beginning_is_looked_for_with_a_backoff() {
    a_place_is_looked_for_with_a_backoff(|answer| {
        answer.topics.iter_mut().flat_map(|topic| &mut topic.partitions).for_each(|partition| partition.offset = -1);
    });
}

/// It lists so many aborted transactions: the first is the producer's.
fn abort(partition: &mut PartitionData, count: i64) {
    let of = |number: i64| AbortedTransaction::default().with_producer_id((PRODUCER + number).into());
    partition.aborted_transactions = Some((0..count).map(of).collect());
}

fn bench(aborted: i64) -> Bench {
    let config = config_with(|config| config.isolation_level = IsolationLevel::ReadCommitted);
    let mut bench = Bench::new(Release::V4_3, 1, 1, config, calm());
    bench.consumer.assign(bench.topic(), 0, Start::Beginning).unwrap();
    alter(&bench, move |partition| abort(partition, aborted));
    bench.poll(1000, 0);
    bench
}

/// Nobody sees a record of it, and nobody polls for its pieces.
#[test]
fn a_batch_that_is_larger_than_a_chunk_is_passed_over() {
    let mut bench = bench(1);
    write(&bench, 0, &batch(&values(3, |_| 100)));
    write(&bench, 0, &transactional(&values(30, |_| 500)));
    write(&bench, 0, &batch(&values(30, |_| 500)));
    write(&bench, 0, &marker(PRODUCER, true));
    bench.advance(10 * SECOND);
    assert_eq!(bench.offsets(0), (0..3).chain(33..63).collect::<Vec<_>>());
    assert!(bench.faults.borrow().is_empty());
    bench.consumer.audit().unwrap();
}

/// Also if nothing of it is handed out its checksum counts: without it nobody knows where it ends.
#[test]
fn a_wrong_checksum_is_told_of_what_is_passed_over_too() {
    let mut bench = bench(1);
    let mut wrong = transactional(&values(30, |_| 500));
    wrong[10_000] ^= 1;
    write(&bench, 0, &wrong);
    write(&bench, 0, &marker(PRODUCER, true));
    bench.advance(10 * SECOND);
    assert!(bench.offsets(0).is_empty());
    let faults = bench.faults.borrow();
    assert!(matches!(faults[..], [(0, 0, ConsumeFault::Corrupt(_))]), "{faults:?}");
}

#[test]
fn more_of_them_than_a_chunk_can_list_are_told() {
    for (count, fault) in [(120, None), (122, Some(ConsumeFault::TooManyAborted { fits: 121 }))] {
        let mut bench = bench(count);
        write(&bench, 0, &batch(&values(3, |_| 5)));
        bench.advance(10 * SECOND);
        assert_eq!(bench.faults.borrow().first().map(|fault| fault.2), fault);
        assert_eq!(bench.offsets(0).len(), if fault.is_none() { 3 } else { 0 });
    }
}

/// The offset of a batch is not in its checksum. One that was read already, or is in front of the one before, is told.
#[test]
fn offsets_that_go_back_are_told() {
    // In a batch that fits into a chunk, and in one that does not.
    for bytes in [100, 900] {
        let mut bench = Bench::new(Release::V4_3, 1, 1, Config::new(), calm());
        write(&bench, 0, &batch(&values(3, |_| 100)));
        bench.consumer.assign(bench.topic(), 0, Start::Beginning).unwrap();
        bench.poll(1000, 0);
        bench.advance(5 * SECOND);
        assert_eq!(bench.offsets(0), [0, 1, 2]);
        alter(&bench, |partition| {
            let records = partition.records.as_mut().unwrap();
            let mut altered = records.to_vec();
            altered[..8].fill(0);
            *records = altered.into();
        });
        write(&bench, 0, &batch(&values(3, |_| bytes)));
        bench.advance(5 * SECOND);
        let faults = bench.faults.borrow();
        assert_eq!(*faults, [(0, 3, ConsumeFault::Corrupt(Fault::OffsetsGoBack { expected: 3 }))], "{bytes}");
        assert_eq!(bench.offsets(0), [0, 1, 2]);
    }
}

/// Of a batch that was damaged on the way the offset is no more to be believed than the rest.
#[test]
fn a_damaged_offset_is_not_committed() {
    const GROUP: &str = "group";
    let config = config_with(|config| config.group_id = GROUP.try_into().unwrap());
    let mut bench = Bench::new(Release::V4_3, 1, 1, config, calm());
    let topic = bench.topic();
    write(&bench, 0, &batch(&values(3, |_| 100)));
    bench.consumer.assign(topic, 0, Start::Beginning).unwrap();
    bench.poll(1000, 0);
    bench.advance(5 * SECOND);
    alter(&bench, |partition| {
        let mut altered = partition.records.as_ref().unwrap().to_vec();
        altered[..8].fill(0x33);
        altered[17..21].fill(0x33);
        partition.records = Some(altered.into());
    });
    write(&bench, 0, &batch(&values(3, |_| 100)));
    bench.advance(5 * SECOND);
    assert!(matches!(bench.faults.borrow()[..], [(0, 3, ConsumeFault::Corrupt(_))]), "{:?}", bench.faults.borrow());
    assert_eq!(bench.consumer.position(topic, 0), Some(3));
    let consumer = bench.consumer.clone();
    bench.executor.spawn(async move { consumer.close().await.unwrap() });
    bench.advance(2 * SECOND);
    let committed = bench.network.world.borrow().cluster.committed(GROUP, "t", 0);
    assert_eq!(committed.map(|(offset, _)| offset), Some(3));
}

/// A follower that has lost the end of its log (it came back from a power cut) says so of itself; the leader has all.
#[test]
fn a_replica_that_lags_is_no_truncation() {
    let config = config_with(|config| config.client_rack = "r2".try_into().unwrap());
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
    // Whoever is of that rack is sent away by the leader, which never has records for it: what is left is the replica.
    let of_rack = |request: &[u8]| request.windows(2).any(|of| of == b"r2");
    alter_answers(&bench, of_rack, |partition| {
        if partition.preferred_read_replica.0 < 0 && partition.error_code == 0 {
            (partition.records, partition.high_watermark) = (Some(Default::default()), 7);
            if cfg!(feature = "server") {
                partition.diverging_epoch = EpochEndOffset::default().with_epoch(1).with_end_offset(7);
            } else {
                // In a device's version it can only say that it has no such offset.
                partition.error_code = 1;
            }
        }
    });
    bench.send(0, (0..10).map(|i| vec![i; 50]));
    bench.advance(5 * SECOND);
    assert!(bench.faults.borrow().is_empty(), "{:?}", bench.faults.borrow());
    assert_eq!(bench.offsets(0).len(), 20);
}
