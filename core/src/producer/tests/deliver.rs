//! What is told of a delivery, and for how long.

use super::*;
use core::time::Duration;

/// More records than half a 32-bit number can count, and then some.
const FAR: u32 = (1 << 31) + 100;

/// One batch failed, somebody asked, and every slot has been used again since.
fn with_a_forgotten_failure() -> (Rig, Delivery) {
    let mut rig = Rig::new(SMALL, &config());
    let failed = rig.exchange(0, ErrorCode::MESSAGE_TOO_LARGE);
    assert!(rig.state.outcome(&failed).unwrap().is_err());
    for _ in 0..SMALL.batches {
        rig.exchange(0, ErrorCode::NONE);
    }
    (rig, failed)
}

/// The mark that a failure had been forgotten stayed for ever: half a turn of the record counter later every slice
/// seemed to lie before it.
#[test]
fn a_forgotten_failure_does_not_spoil_slices_when_the_count_of_records_wraps() {
    let (mut rig, _) = with_a_forgotten_failure();
    assert_eq!(rig.state.queues[0].forgotten, Some(1));
    rig.state.queues[0].appended = FAR;
    let records = [Record::new(b"x"), Record::new(b"y")];
    let delivery = rig.state.append_slice(Topic(0).partition(0), &records, &rig.clock).ok().unwrap();
    assert_eq!(rig.write(), Some(1));
    rig.judge(0, ErrorCode::NONE);
    rig.end_answer();
    assert!(rig.state.outcome(&delivery).unwrap().is_ok());
}

/// Who asks after a failure has come and gone in the same slot cannot be told from who asks for the failure once more.
#[test]
fn a_success_in_front_of_a_forgotten_failure_is_not_known() {
    let mut rig = Rig::new(SMALL, &config());
    let written = rig.exchange(0, ErrorCode::NONE);
    for _ in 1..SMALL.batches {
        rig.exchange(0, ErrorCode::NONE);
    }
    let failed = rig.exchange(0, ErrorCode::MESSAGE_TOO_LARGE);
    assert_eq!(failed.slot, written.slot);
    assert!(rig.state.outcome(&written).unwrap().is_ok() && rig.state.outcome(&failed).unwrap().is_err());
    for _ in 0..SMALL.batches {
        rig.exchange(0, ErrorCode::NONE);
    }
    for delivery in [written, failed] {
        assert_eq!(rig.state.outcome(&delivery).unwrap().unwrap_err().cause, DeliveryFailure::Forgotten);
    }
    assert_eq!(rig.state.counters().forgotten_failures, 0);
}

/// The same, of the generations of one slot.
#[test]
fn a_forgotten_failure_does_not_spoil_its_slot_when_the_generation_wraps() {
    let (mut rig, failed) = with_a_forgotten_failure();
    let slot = failed.slot as usize;
    assert_eq!(rig.state.batches[slot].forgotten, failed.generation);
    rig.state.batches[slot].generation = failed.generation.wrapping_add(FAR);
    let in_slot = |rig: &mut Rig| loop {
        let delivery = rig.exchange(0, ErrorCode::NONE);
        if delivery.slot as usize == slot {
            return delivery;
        }
    };
    let delivery = in_slot(&mut rig);
    in_slot(&mut rig);
    assert!(rig.state.outcome(&delivery).unwrap().is_ok());
}

/// Its place was taken for an index without a look, and panicked where there are fewer.
#[test]
fn a_delivery_of_a_larger_producer_names_no_partition_and_does_no_harm() {
    let foreign = Rig::new(Sizes { partitions: 9, ..SMALL }, &config()).send(8);
    let mut rig = Rig::new(SMALL, &config());
    let own = rig.exchange(0, ErrorCode::NONE);
    assert_eq!((own.slot, own.generation), (foreign.slot, foreign.generation));
    assert_eq!(rig.state.outcome(&foreign).unwrap().unwrap().partition, -1);
}

/// Who asks what became of a record whose connection was lost is told how it was lost.
#[test]
fn an_outcome_names_what_became_of_the_connection() {
    let config = Config { delivery_timeout: Duration::from_secs(1), ..config() };
    let mut rig = Rig::new(SMALL, &config);
    let delivery = rig.send(0);
    assert_eq!(rig.write(), Some(1));
    let now = rig.now();
    rig.state.closed(0, ConnectionError::RequestTimeout, now);
    rig.pass(1001);
    rig.tick();
    let error = rig.state.outcome(&delivery).unwrap().unwrap_err();
    let DeliveryFailure::Failure(failure) = error.cause else { panic!("{error:?}") };
    assert_eq!((error.unknown, failure.connection), (1, Some(ConnectionError::RequestTimeout)));
}

#[test]
fn deliveries_of_neighbours_in_a_batch_are_one() {
    let mut rig = Rig::new(SMALL, &config());
    let mut all = rig.send(0);
    assert!(!all.clone().join(&all));
    let next = rig.send(0);
    assert!(all.join(&next) && !all.join(&next));
    assert_eq!(all.count(), 2);
    assert_eq!(rig.write(), Some(1));
    assert_eq!(rig.state.outcome(&all), None);
    rig.judge(0, ErrorCode::NONE);
    rig.end_answer();
    assert_eq!(rig.state.outcome(&all).unwrap().unwrap().count, 2);
}

/// The offset of a later record of the batch was counted past the end: a panic where that is looked for, else an offset below zero.
#[test]
fn an_offset_that_cannot_be_counted_is_not_known() {
    let mut rig = Rig::new(SMALL, &config());
    let deliveries = [rig.send(0), rig.send(0)];
    assert_eq!(rig.write(), Some(1));
    rig.produce_item(produce::Item::Topic { name: b"t", partitions: 1 });
    let (index, error, log_append_time, log_start_offset) = (0, ErrorCode::NONE, -1, 0);
    let base_offset = i64::MAX;
    rig.produce_item(produce::Item::Partition { index, error, base_offset, log_append_time, log_start_offset });
    rig.end_answer();
    let offsets = deliveries.map(|delivery| rig.state.outcome(&delivery).unwrap().unwrap().offset);
    assert_eq!(offsets, [Some(i64::MAX), None]);
}

/// The mark of the last flush stayed for ever: half a turn of the count of batches later nothing lingered any more.
#[test]
fn a_flush_of_long_ago_does_not_keep_batches_from_lingering_when_their_count_wraps() {
    let mut rig = Rig::new(SMALL, &Config { linger: Duration::from_secs(1), ..config() });
    rig.send(0);
    rig.state.flush();
    assert_eq!(rig.write(), Some(1));
    rig.judge(0, ErrorCode::NONE);
    rig.end_answer();
    rig.state.s.next_serial = rig.state.s.next_serial.wrapping_add(FAR);
    rig.send(0);
    rig.state.reconsider(0);
    assert_eq!(rig.write(), None, "it lingers");
}

/// The same of a slice, whose last batch was looked at in a slot that there is not.
#[test]
fn a_slice_of_a_larger_producer_does_no_harm() {
    let mut larger = Rig::new(Sizes { batches: 2 * SMALL.batches, ..SMALL }, &config());
    for _ in 0..SMALL.batches {
        larger.exchange(0, ErrorCode::NONE);
    }
    let records = [Record::new(b"x"), Record::new(b"y")];
    let foreign = larger.state.append_slice(Topic(0).partition(0), &records, &larger.clock).ok().unwrap();
    let mut rig = Rig::new(SMALL, &config());
    assert!(foreign.slot as usize >= SMALL.batches);
    let error = rig.state.outcome(&foreign).unwrap().unwrap_err();
    assert_eq!((error.unknown, error.cause), (2, DeliveryFailure::Forgotten));
}
