//! What a partition makes of producer ids, epochs and sequences.

use demitasse_broker::{Options, Release, error};

use crate::client::*;

fn options(release: Release) -> Options {
    Options { release, ..Options::default() }
}

#[test]
fn batches_in_sequence_are_appended() {
    for release in Release::ALL {
        let (mut cluster, connection) = single(options(release));
        assert_eq!(outcome(&mut cluster, connection, &batch(5, 0, 0, 3)), (0, 0));
        assert_eq!(outcome(&mut cluster, connection, &batch(5, 0, 3, 1)), (0, 3));
        assert_eq!(outcome(&mut cluster, connection, &batch(5, 0, 4, 2)), (0, 4));
        assert_eq!(cluster.partition(TOPIC, 0).unwrap().end_offset(), 6);
        assert_eq!(cluster.partition(TOPIC, 0).unwrap().next_sequence(5), Some((0, 6)));
        assert_eq!(values(&cluster, 0), ["0+0", "0+1", "0+2", "3+0", "4+0", "4+1"]);
    }
}

#[test]
fn batches_without_a_producer_id_have_no_sequence() {
    let (mut cluster, connection) = single(Options::default());
    for offset in 0..3 {
        let answer = outcome(&mut cluster, connection, &batch(-1, -1, -1, 1));
        assert_eq!(answer, (0, offset));
    }
}

#[test]
fn each_of_the_last_five_batches_is_a_duplicate_with_its_offset() {
    for release in Release::ALL {
        let (mut cluster, connection) = single(options(release));
        for sequence in 0..6 {
            let batch = batch(5, 0, sequence * 2, 2);
            assert_eq!(outcome(&mut cluster, connection, &batch), (0, i64::from(sequence) * 2));
        }
        for sequence in 1..6 {
            let answer = produce(&mut cluster, connection, &batch(5, 0, sequence * 2, 2));
            assert_eq!((answer.error_code, answer.base_offset), (0, i64::from(sequence) * 2));
            // Kafka's quirk: the timestamp of the batch, even with CreateTime.
            assert_eq!(answer.log_append_time_ms, 1_001);
        }
        assert_eq!(cluster.counters().duplicates, 5);
        assert_eq!(cluster.partition(TOPIC, 0).unwrap().end_offset(), 12);
        // The sixth last is out of the window: no Kafka of these releases says DUPLICATE_SEQUENCE_NUMBER.
        let answer = outcome(&mut cluster, connection, &batch(5, 0, 0, 2));
        assert_eq!(answer, (error::OUT_OF_ORDER_SEQUENCE_NUMBER, -1));
        assert_eq!(cluster.counters().out_of_order, 1);
    }
}

#[test]
fn a_duplicate_needs_both_ends_of_its_range() {
    let (mut cluster, connection) = single(Options::default());
    assert_eq!(outcome(&mut cluster, connection, &batch(5, 0, 0, 3)).0, 0);
    for (sequence, count) in [(0, 2), (0, 4), (1, 2), (2, 1)] {
        let answer = outcome(&mut cluster, connection, &batch(5, 0, sequence, count));
        assert_eq!(answer, (error::OUT_OF_ORDER_SEQUENCE_NUMBER, -1));
    }
}

#[test]
fn a_gap_is_out_of_order_until_it_is_filled() {
    let (mut cluster, connection) = single(Options::default());
    assert_eq!(outcome(&mut cluster, connection, &batch(5, 0, 0, 1)), (0, 0));
    // Five in flight, of which the first is lost.
    for sequence in 2..6 {
        let answer = outcome(&mut cluster, connection, &batch(5, 0, sequence, 1));
        assert_eq!(answer, (error::OUT_OF_ORDER_SEQUENCE_NUMBER, -1));
    }
    for sequence in 1..6 {
        let answer = outcome(&mut cluster, connection, &batch(5, 0, sequence, 1));
        assert_eq!(answer, (0, i64::from(sequence)));
    }
    assert_eq!(values(&cluster, 0), ["0+0", "1+0", "2+0", "3+0", "4+0", "5+0"]);
}

#[test]
fn five_in_flight_are_all_retried_after_their_answers_were_lost() {
    let (mut cluster, connection) = single(Options::default());
    for _ in 0..2 {
        for sequence in 0..5 {
            let answer = outcome(&mut cluster, connection, &batch(5, 0, sequence, 1));
            assert_eq!(answer, (0, i64::from(sequence)));
        }
    }
    assert_eq!(cluster.counters().appended_batches, 5);
    assert_eq!(cluster.counters().duplicates, 5);
}

#[test]
fn sequences_wrap_to_zero() {
    let (mut cluster, connection) = single(Options::default());
    let most = i32::MAX;
    assert_eq!(outcome(&mut cluster, connection, &batch(5, 0, most - 3, 2)), (0, 0));
    // From MAX - 1 over MAX to 0, in one batch.
    assert_eq!(outcome(&mut cluster, connection, &batch(5, 0, most - 1, 3)), (0, 2));
    assert_eq!(outcome(&mut cluster, connection, &batch(5, 0, most - 1, 3)), (0, 2));
    assert_eq!(cluster.counters().duplicates, 1);
    assert_eq!(outcome(&mut cluster, connection, &batch(5, 0, 1, 1)), (0, 5));

    let (mut cluster, connection) = single(Options::default());
    assert_eq!(outcome(&mut cluster, connection, &batch(5, 0, most, 1)), (0, 0));
    assert_eq!(outcome(&mut cluster, connection, &batch(5, 0, 0, 1)), (0, 1));
}

#[test]
fn epochs_fence_and_begin_anew() {
    for release in Release::ALL {
        let (mut cluster, connection) = single(options(release));
        assert_eq!(outcome(&mut cluster, connection, &batch(5, 3, 0, 2)), (0, 0));
        let old = outcome(&mut cluster, connection, &batch(5, 2, 0, 1));
        assert_eq!(old, (error::INVALID_PRODUCER_EPOCH, -1));
        let not_zero = outcome(&mut cluster, connection, &batch(5, 4, 2, 1));
        assert_eq!(not_zero, (error::OUT_OF_ORDER_SEQUENCE_NUMBER, -1));
        assert_eq!(cluster.partition(TOPIC, 0).unwrap().next_sequence(5), Some((3, 2)));
        // The same sequences in a new epoch are other records.
        assert_eq!(outcome(&mut cluster, connection, &batch(5, 4, 0, 2)), (0, 2));
        assert_eq!(cluster.counters().duplicates, 0);
        let fenced = outcome(&mut cluster, connection, &batch(5, 3, 0, 2));
        assert_eq!(fenced, (error::INVALID_PRODUCER_EPOCH, -1));
    }
}

#[test]
fn producers_do_not_know_of_each_other() {
    let (mut cluster, connection) = single(Options::default());
    assert_eq!(outcome(&mut cluster, connection, &batch(5, 0, 0, 1)), (0, 0));
    assert_eq!(outcome(&mut cluster, connection, &batch(6, 0, 0, 1)), (0, 1));
    assert_eq!(outcome(&mut cluster, connection, &batch(5, 0, 1, 1)), (0, 2));
}

#[test]
fn a_forgotten_producer_may_go_on_except_in_2_1() {
    for release in Release::ALL {
        let (mut cluster, connection) = single(options(release));
        assert_eq!(outcome(&mut cluster, connection, &batch(5, 0, 0, 1)), (0, 0));
        assert!(cluster.forget_producer(TOPIC, 0, 5));
        assert!(!cluster.forget_producer(TOPIC, 0, 5));
        let answer = outcome(&mut cluster, connection, &batch(5, 0, 1, 1));
        if release == Release::V2_1 {
            assert_eq!(answer, (error::UNKNOWN_PRODUCER_ID, -1));
            assert_eq!(outcome(&mut cluster, connection, &batch(5, 1, 0, 1)), (0, 1));
        } else {
            assert_eq!(answer, (0, 1));
            assert_eq!(outcome(&mut cluster, connection, &batch(5, 0, 2, 1)), (0, 2));
        }
    }
}

#[test]
fn a_producer_expires_at_a_check_by_its_own_timestamps() {
    let day = 86_400_000;
    let check = 600_000;
    let at = |timestamp: i64| BatchSpec { timestamp, ..batch(5, 0, 0, 1) };
    let next = |timestamp: i64| BatchSpec { timestamp, ..batch(5, 0, 9, 1) };
    // A clock that is right: forgotten a day later at the next check, not before.
    let begin = 10 * check;
    let (mut cluster, connection) = single(Options::default());
    let appended = produce_at(&mut cluster, connection, at(begin as i64).bytes(), begin);
    assert_eq!(appended.error_code, 0);
    let early = next(begin as i64).bytes();
    let refused = produce_at(&mut cluster, connection, early.clone(), begin + day - 1);
    assert_eq!(refused.error_code, error::OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_eq!(produce_at(&mut cluster, connection, early, begin + day).error_code, 0);

    // A clock that stands at zero while the broker's does not: forgotten at the next check.
    let begin = 100 * day + 1;
    let (mut cluster, connection) = single(Options::default());
    assert_eq!(produce_at(&mut cluster, connection, at(0).bytes(), begin).error_code, 0);
    let refused = produce_at(&mut cluster, connection, next(0).bytes(), begin + check - 2);
    assert_eq!(refused.error_code, error::OUT_OF_ORDER_SEQUENCE_NUMBER);
    let taken = produce_at(&mut cluster, connection, next(0).bytes(), begin + check - 1);
    assert_eq!(taken.error_code, 0);
}

#[test]
fn deleted_records_forget_their_producer_only_in_2_1() {
    for release in Release::ALL {
        let (mut cluster, connection) = single(options(release));
        assert_eq!(outcome(&mut cluster, connection, &batch(5, 0, 0, 2)), (0, 0));
        assert!(cluster.delete_records(TOPIC, 0, 2));
        let partition = cluster.partition(TOPIC, 0).unwrap();
        assert_eq!((partition.start_offset(), partition.end_offset()), (2, 2));
        assert_eq!(partition.batches().count(), 0);
        let answer = produce(&mut cluster, connection, &batch(5, 0, 2, 1));
        if release == Release::V2_1 {
            assert_eq!(answer.error_code, error::UNKNOWN_PRODUCER_ID);
        } else {
            assert_eq!((answer.error_code, answer.base_offset), (0, 2));
            assert_eq!(answer.log_start_offset, 2);
        }
    }
}

#[test]
fn a_new_leader_knows_the_sequences() {
    let (mut cluster, first) = single(Options { nodes: 3, ..Options::default() });
    assert_eq!(outcome(&mut cluster, first, &batch(5, 0, 0, 1)), (0, 0));
    assert!(cluster.move_leader(TOPIC, 0, 2));
    let second = cluster.connect(2).unwrap();
    assert_eq!(outcome(&mut cluster, second, &batch(5, 0, 0, 1)), (0, 0));
    assert_eq!(cluster.counters().duplicates, 1);
    assert_eq!(outcome(&mut cluster, second, &batch(5, 0, 1, 1)), (0, 1));
    let epochs: Vec<i32> = (cluster.partition(TOPIC, 0).unwrap().batches()).map(|batch| batch.leader_epoch()).collect();
    assert_eq!(epochs, [0, 1]);
}

#[test]
fn lost_records_leave_their_producers_where_the_log_ends() {
    let (mut cluster, connection) = single(Options::default());
    for sequence in 0..8 {
        assert_eq!(outcome(&mut cluster, connection, &batch(5, 0, sequence * 2, 2)).0, 0);
    }
    assert_eq!(outcome(&mut cluster, connection, &batch(6, 0, 0, 1)).0, 0);
    assert_eq!(outcome(&mut cluster, connection, &batch(5, 1, 0, 1)).0, 0);
    // The batch that holds offset 7 goes, and all behind it.
    assert!(cluster.lose_records(TOPIC, 0, 7));
    let partition = cluster.partition(TOPIC, 0).unwrap();
    assert_eq!((partition.end_offset(), partition.leader_epoch()), (6, 1));
    assert_eq!(partition.next_sequence(5), Some((0, 6)));
    assert_eq!(partition.next_sequence(6), None);
    let lost = outcome(&mut cluster, connection, &batch(5, 0, 16, 1));
    assert_eq!(lost, (error::OUT_OF_ORDER_SEQUENCE_NUMBER, -1));
    assert_eq!(outcome(&mut cluster, connection, &batch(5, 0, 4, 2)), (0, 4));
    assert_eq!(cluster.counters().duplicates, 1);
    assert_eq!(outcome(&mut cluster, connection, &batch(5, 0, 6, 2)), (0, 6));
}
