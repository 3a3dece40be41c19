//! Answers that are altered on their way: aborted transactions, of which the model knows nothing, and offsets that go back.

use crate::bench::{Bench, SECOND, calm, config_with};
use crate::large::{batch, values, write};
use demitasse_broker::Release;
use demitasse_core::protocol::IsolationLevel;
use demitasse_core::records::read::Fault;
use demitasse_core::{Config, ConsumeFault, Start};
use kafka_protocol::messages::FetchResponse;
use kafka_protocol::messages::fetch_response::{AbortedTransaction, PartitionData};
use kafka_protocol::protocol::{Decodable, Encodable};

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
    bench.network.world.borrow_mut().liar = Some(Box::new(move |request, answer| {
        if request[..2] != [0, 1] {
            return answer;
        }
        let (version, header) = (i16::from_be_bytes([request[2], request[3]]), 9);
        let mut body = &answer[header..];
        let mut response = FetchResponse::decode(&mut body, version).unwrap();
        let partitions = response.responses.iter_mut().flat_map(|topic| &mut topic.partitions);
        partitions.filter(|of| of.records.as_ref().is_some_and(|records| !records.is_empty())).for_each(&alter);
        let mut changed = answer[..header].to_vec();
        response.encode(&mut changed, version).unwrap();
        let length = changed.len() as u32 - 4;
        changed[..4].copy_from_slice(&length.to_be_bytes());
        changed
    }));
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
    bench.advance(10 * SECOND);
    assert!(bench.offsets(0).is_empty());
    let faults = bench.faults.borrow();
    assert!(matches!(faults[..], [(0, 0, ConsumeFault::Corrupt(_))]), "{faults:?}");
}

#[test]
fn more_of_them_than_a_chunk_can_list_are_told() {
    for (count, fault) in [(120, None), (126, Some(ConsumeFault::TooManyAborted { fits: 125 }))] {
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
