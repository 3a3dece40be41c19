//! What a leader checks in a batch before it looks at its producer.

use demitasse_broker::{Options, Release, TopicOptions, error};
use kafka_protocol::records::{Compression, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions};

use crate::client::*;

/// Appends what was made of a good batch and gives the error.
fn error_of(change: impl FnOnce(&mut Vec<u8>)) -> i16 {
    let (mut cluster, connection) = single(Options::default());
    let mut bytes = batch(5, 0, 0, 2).bytes();
    change(&mut bytes);
    let error = produce_at(&mut cluster, connection, bytes, 0).error_code;
    let appended = cluster.partition(TOPIC, 0).unwrap().end_offset() > 0;
    assert_eq!(appended, error == 0);
    error
}

fn resealed(change: impl FnOnce(&mut Vec<u8>)) -> i16 {
    error_of(|bytes| {
        change(bytes);
        seal(bytes);
    })
}

#[test]
fn broken_batches_are_refused_as_kafka_does() {
    assert_eq!(error_of(|_| {}), 0);
    assert_eq!(error_of(|bytes| bytes.clear()), error::INVALID_RECORD);
    // Cut anywhere, it is not a batch.
    assert_eq!(error_of(|bytes| bytes.truncate(70)), error::INVALID_RECORD);
    assert_eq!(error_of(|bytes| bytes.truncate(11)), error::INVALID_RECORD);
    assert_eq!(error_of(|bytes| bytes[16] = 1), error::INVALID_RECORD);
    assert_eq!(error_of(|bytes| bytes[16] = 3), error::CORRUPT_MESSAGE);
    assert_eq!(error_of(|bytes| bytes[11] = 5), error::CORRUPT_MESSAGE);
    assert_eq!(error_of(|bytes| *bytes.last_mut().unwrap() ^= 1), error::CORRUPT_MESSAGE);
    assert_eq!(error_of(|bytes| bytes[7] = 1), error::INVALID_RECORD);
    assert_eq!(error_of(|bytes| bytes.extend_from_slice(&batch(5, 0, 2, 1).bytes())), error::INVALID_RECORD);
    // The start of a cut batch behind a whole one is ignored.
    assert_eq!(error_of(|bytes| bytes.extend_from_slice(&[0; 11])), 0);

    assert_eq!(resealed(|bytes| bytes[26] = 2), error::INVALID_RECORD);
    assert_eq!(resealed(|bytes| bytes[60] = 3), error::INVALID_RECORD);
    assert_eq!(
        resealed(|bytes| {
            bytes[26] = 0;
            bytes[60] = 1;
        }),
        error::INVALID_RECORD
    );
    assert_eq!(resealed(|bytes| bytes[53] = 0x80), error::INVALID_RECORD);
    // The control bit, the transactional bit without a transactional id, a compression nobody knows.
    assert_eq!(resealed(|bytes| bytes[22] = 0x20), error::INVALID_RECORD);
    assert_eq!(resealed(|bytes| bytes[22] = 0x10), error::TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    assert_eq!(resealed(|bytes| bytes[22] = 7), error::UNKNOWN_SERVER_ERROR);
    // A compressed batch is taken by its header.
    assert_eq!(resealed(|bytes| bytes[22] = 4), 0);
    // Offset delta of the first record; its length.
    assert_eq!(resealed(|bytes| bytes[64] = 4), error::INVALID_RECORD);
    assert_eq!(resealed(|bytes| bytes[61] = 2), error::INVALID_RECORD);
}

#[test]
fn kafka_2_1_called_invalid_records_corrupt() {
    let (mut cluster, connection) = single(Options { release: Release::V2_1, ..Options::default() });
    let mut bytes = batch(5, 0, 0, 2).bytes();
    bytes[60] = 3;
    seal(&mut bytes);
    let answer = produce_at(&mut cluster, connection, bytes, 0);
    assert_eq!(answer.error_code, error::CORRUPT_MESSAGE);
}

#[test]
fn the_largest_batch_is_taken_and_one_byte_more_is_not() {
    let size = batch(5, 0, 0, 2).bytes().len();
    for (limit, expected) in [(size, 0), (size - 1, error::MESSAGE_TOO_LARGE)] {
        let (mut cluster, connection) = single(Options { max_message_bytes: limit, ..Options::default() });
        assert_eq!(outcome(&mut cluster, connection, &batch(5, 0, 0, 2)).0, expected);
        // Too large comes before duplicate, and a refused batch leaves no state.
        assert_eq!(outcome(&mut cluster, connection, &batch(5, 0, 0, 2)).0, expected);
    }
}

#[test]
fn record_errors_name_the_records() {
    let (mut cluster, connection) = single(Options::default());
    let compacted = TopicOptions { compacted: true, ..TopicOptions::default() };
    assert!(cluster.create_topic_with("compacted", 1, compacted));
    let without_keys = BatchSpec { key: None, ..batch(5, 0, 0, 2) };
    let mut request = produce_request(1, 0, without_keys.bytes());
    request.topic_data[0].name = name("compacted");
    let answer = only(call(&mut cluster, connection, 8, &request));
    assert_eq!(answer.error_code, error::INVALID_RECORD);
    let named: Vec<i32> = answer.record_errors.iter().map(|error| error.batch_index).collect();
    assert_eq!(named, [0, 1]);
    assert!(answer.error_message.is_some());
    let answer = only(call(&mut cluster, connection, 7, &request));
    assert_eq!(answer.error_code, error::INVALID_RECORD);

    let strict = TopicOptions { timestamp_after_max_ms: Some(500), ..TopicOptions::default() };
    assert!(cluster.create_topic_with("strict", 1, strict));
    request = produce_request(1, 0, batch(5, 0, 0, 2).bytes());
    request.topic_data[0].name = name("strict");
    let (_, response) = call_at(&mut cluster, connection, 8, &request, 500);
    let answer = only(response.unwrap());
    assert_eq!(answer.error_code, error::INVALID_TIMESTAMP);
    assert_eq!(answer.record_errors.len(), 1);
    assert_eq!(answer.record_errors[0].batch_index, 1);
}

#[test]
fn the_log_holds_the_bytes_that_were_sent_but_for_what_the_leader_sets() {
    let (mut cluster, connection) = single(Options::default());
    outcome(&mut cluster, connection, &batch(4, 0, 0, 2));
    let sent = batch(5, 7, 0, 2).bytes();
    assert_eq!(produce_at(&mut cluster, connection, sent.clone(), 0).base_offset, 2);
    let partition = cluster.partition(TOPIC, 0).unwrap();
    let kept = partition.batches().nth(1).unwrap();
    assert_eq!(kept.bytes()[8..12], sent[8..12]);
    assert_eq!(kept.bytes()[16..], sent[16..]);
    assert_eq!(kept.bytes()[..8], 2i64.to_be_bytes());
    assert_eq!((kept.producer_id(), kept.producer_epoch(), kept.base_sequence()), (5, 7, 0));
    let record = partition.records_from(3).next().unwrap();
    assert_eq!((record.offset, record.timestamp), (3, 1_001));
    assert_eq!(record.key, Some(&b"key"[..]));
    assert_eq!(record.headers().collect::<Vec<_>>(), [(&b"header"[..], None)]);
}

#[test]
fn log_append_time_is_the_brokers() {
    let (mut cluster, connection) = single(Options::default());
    cluster.delete_topic(TOPIC);
    let options = TopicOptions { log_append_time: true, ..TopicOptions::default() };
    assert!(cluster.create_topic_with(TOPIC, 1, options));
    let answer = produce_at(&mut cluster, connection, batch(5, 0, 0, 2).bytes(), 77_000);
    assert_eq!(answer.log_append_time_ms, 77_000);
    let kept = cluster.partition(TOPIC, 0).unwrap().batches().next().unwrap();
    assert!(kept.records().all(|record| record.timestamp == 77_000));
    // Another reader finds the checksum right.
    RecordBatchDecoder::decode(&mut copy(kept.bytes()).freeze()).unwrap();
}

#[test]
fn another_encoder_and_decoder_agree() {
    let (mut cluster, connection) = single(Options::default());
    let mut ours = batch(5, 0, 0, 3).bytes().as_slice().to_vec();
    let decoded = RecordBatchDecoder::decode(&mut copy(&ours).freeze()).unwrap();
    ours.clear();
    let mut foreign = bytes::BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    RecordBatchEncoder::encode(&mut foreign, &decoded.records, &options).unwrap();
    let answer = produce_at(&mut cluster, connection, foreign.to_vec(), 0);
    assert_eq!(answer.error_code, 0);
    assert_eq!(values(&cluster, 0), ["0+0", "0+1", "0+2"]);
}

#[test]
fn acks_decide_who_is_waited_for() {
    let (mut cluster, connection) = single(Options { nodes: 3, min_insync_replicas: 2, ..Options::default() });
    let request = |acks| produce_request(acks, 0, batch(-1, -1, -1, 1).bytes());
    let answer = only(call(&mut cluster, connection, 9, &request(2)));
    assert_eq!(answer.error_code, error::INVALID_REQUIRED_ACKS);
    assert!(cluster.set_in_sync(TOPIC, 0, &[1]));
    let answer = only(call(&mut cluster, connection, 9, &request(-1)));
    assert_eq!(answer.error_code, error::NOT_ENOUGH_REPLICAS);
    let answer = only(call(&mut cluster, connection, 9, &request(1)));
    assert_eq!(answer.error_code, 0);
    assert!(cluster.set_in_sync(TOPIC, 0, &[1, 3]));
    let answer = only(call(&mut cluster, connection, 9, &request(-1)));
    assert_eq!(answer.error_code, 0);
    assert_eq!(cluster.partition(TOPIC, 0).unwrap().end_offset(), 2);

    // acks=0: no answer, and an error hangs up.
    let (reply, _) = call_at(&mut cluster, connection, 9, &request(0), 0);
    assert_eq!((reply.bytes, reply.close), (None, false));
    assert_eq!(cluster.partition(TOPIC, 0).unwrap().end_offset(), 3);
    assert!(cluster.move_leader(TOPIC, 0, 2));
    let (reply, _) = call_at(&mut cluster, connection, 9, &request(0), 0);
    assert_eq!((reply.bytes, reply.close), (None, true));
    assert!(!cluster.is_connected(connection));
}

#[test]
fn a_batch_that_cannot_be_told_apart_refuses_the_whole_request() {
    let (mut cluster, connection) = single(Options::default());
    cluster.delete_topic(TOPIC);
    cluster.create_topic(TOPIC, 2);
    let mut broken = batch(5, 0, 0, 1).bytes();
    broken[16] = 3;
    let mut request = produce_request(-1, 0, batch(5, 0, 0, 1).bytes());
    let mut second = produce_request(-1, 1, broken);
    let second = second.topic_data[0].partition_data.remove(0);
    request.topic_data[0].partition_data.push(second);
    let response = call(&mut cluster, connection, 9, &request);
    for partition in &response.responses[0].partition_responses {
        assert_eq!(partition.error_code, error::CORRUPT_MESSAGE);
    }
}

#[test]
fn errors_of_the_log_tell_where_it_starts() {
    let (mut cluster, connection) = single(Options::default());
    outcome(&mut cluster, connection, &batch(5, 0, 0, 4));
    cluster.delete_records(TOPIC, 0, 3);
    let answer = produce(&mut cluster, connection, &batch(5, 0, 9, 1));
    assert_eq!(answer.error_code, error::OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_eq!(answer.log_start_offset, 3);
    cluster.set_disk_full(1, true);
    let answer = produce(&mut cluster, connection, &batch(5, 0, 4, 1));
    assert_eq!(answer.error_code, error::KAFKA_STORAGE_ERROR);
    assert_eq!(answer.log_start_offset, -1);
}
