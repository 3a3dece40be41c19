//! Fetch and ListOffsets.

use demitasse_broker::{Cluster, ConnectionId, Options, error};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{FetchRequest, ListOffsetsRequest};
use kafka_protocol::records::RecordBatchDecoder;

use crate::client::*;

fn fetch(offset: i64, max_bytes: i32) -> FetchRequest {
    let partition = FetchPartition::default().with_fetch_offset(offset).with_partition_max_bytes(max_bytes);
    let topic = FetchTopic::default().with_topic(name(TOPIC)).with_partitions(vec![partition]);
    FetchRequest::default().with_max_wait_ms(500).with_min_bytes(1).with_max_bytes(1_000_000).with_topics(vec![topic])
}

fn filled() -> (Cluster, ConnectionId) {
    let (mut cluster, connection) = single(Options::default());
    for sequence in 0..4 {
        let batch = BatchSpec { timestamp: 1_000 * i64::from(sequence), ..batch(5, 0, sequence * 2, 2) };
        assert_eq!(outcome(&mut cluster, connection, &batch).0, 0);
    }
    (cluster, connection)
}

fn fetched(cluster: &mut Cluster, connection: ConnectionId, request: &FetchRequest) -> (u64, PartitionData) {
    let (reply, response) = call_at(cluster, connection, 11, request, 10_000);
    let response = response.unwrap();
    assert_eq!(response.session_id, 0);
    let mut topic = response.responses.into_iter().next().unwrap();
    (reply.at_ms, topic.partitions.remove(0))
}

fn values_of(data: &PartitionData) -> Vec<String> {
    let mut bytes = data.records.clone().unwrap();
    let sets = RecordBatchDecoder::decode_all(&mut bytes).unwrap();
    (sets.iter().flat_map(|set| &set.records))
        .map(|record| String::from_utf8(record.value.clone().unwrap().to_vec()).unwrap())
        .collect()
}

#[test]
fn a_fetch_gives_whole_batches_from_the_one_asked_for() {
    let (mut cluster, connection) = filled();
    let (at_ms, data) = fetched(&mut cluster, connection, &fetch(3, 1_000_000));
    assert_eq!((at_ms, data.error_code, data.high_watermark), (10_000, 0, 8));
    assert_eq!(values_of(&data), ["2+0", "2+1", "4+0", "4+1", "6+0", "6+1"]);
    // One batch comes whatever the limit.
    let (_, data) = fetched(&mut cluster, connection, &fetch(0, 1));
    assert_eq!(values_of(&data), ["0+0", "0+1"]);
}

#[test]
fn a_fetch_at_the_end_waits_and_beyond_it_fails() {
    let (mut cluster, connection) = filled();
    let (at_ms, data) = fetched(&mut cluster, connection, &fetch(8, 100));
    assert_eq!((at_ms, data.error_code, data.records.unwrap().len()), (10_500, 0, 0));
    let (at_ms, data) = fetched(&mut cluster, connection, &fetch(9, 100));
    assert_eq!((at_ms, data.error_code), (10_500, error::OFFSET_OUT_OF_RANGE));
    cluster.delete_records(TOPIC, 0, 3);
    let (_, data) = fetched(&mut cluster, connection, &fetch(2, 100));
    assert_eq!(data.error_code, error::OFFSET_OUT_OF_RANGE);
    let (_, data) = fetched(&mut cluster, connection, &fetch(3, 100));
    assert_eq!((data.error_code, data.log_start_offset), (0, 3));
}

#[test]
fn leader_epochs_are_compared() {
    let (mut cluster, connection) = filled();
    for (epoch, expected) in [(0, error::FENCED_LEADER_EPOCH), (1, 0), (2, error::UNKNOWN_LEADER_EPOCH)] {
        if epoch == 0 {
            assert!(cluster.move_leader(TOPIC, 0, 1));
        }
        let mut request = fetch(0, 100);
        request.topics[0].partitions[0].current_leader_epoch = epoch;
        let (_, data) = fetched(&mut cluster, connection, &request);
        assert_eq!(data.error_code, expected);
    }
}

#[test]
fn a_session_tells_news_only() {
    let (mut cluster, connection) = filled();
    let mut request = fetch(0, 1_000_000);
    (request.session_id, request.session_epoch) = (9, 1);
    let response = call(&mut cluster, connection, 11, &request);
    assert_eq!(response.error_code, error::FETCH_SESSION_ID_NOT_FOUND);

    (request.session_id, request.session_epoch) = (0, 0);
    let response = call(&mut cluster, connection, 11, &request);
    let session = response.session_id;
    assert!(session > 0 && response.responses.len() == 1);
    let mut next = fetch(8, 1_000_000);
    (next.session_id, next.session_epoch) = (session, 1);
    assert!(call(&mut cluster, connection, 11, &next).responses.is_empty());
    // The same epoch again is of another world.
    assert_eq!(call(&mut cluster, connection, 11, &next).error_code, error::INVALID_FETCH_SESSION_EPOCH);
    (next.session_epoch, next.topics) = (2, Vec::new());
    cluster.delete_records(TOPIC, 0, 3);
    let response = call(&mut cluster, connection, 11, &next);
    assert_eq!(response.responses[0].partitions[0].log_start_offset, 3);
    let forgotten = ForgottenTopic::default().with_topic(name(TOPIC)).with_partitions(vec![0]);
    (next.session_epoch, next.forgotten_topics_data) = (3, vec![forgotten]);
    cluster.delete_records(TOPIC, 0, 4);
    assert!(call(&mut cluster, connection, 11, &next).responses.is_empty());
    cluster.forget_fetch_sessions();
    next.session_epoch = 4;
    assert_eq!(call(&mut cluster, connection, 11, &next).error_code, error::FETCH_SESSION_ID_NOT_FOUND);
}

#[test]
fn offsets_are_found_by_time_and_at_both_ends() {
    let (mut cluster, connection) = filled();
    cluster.delete_records(TOPIC, 0, 1);
    let mut find = |timestamp| {
        let partition = ListOffsetsPartition::default().with_timestamp(timestamp);
        let topic = ListOffsetsTopic::default().with_name(name(TOPIC)).with_partitions(vec![partition]);
        let request = ListOffsetsRequest::default().with_topics(vec![topic]);
        let response = call(&mut cluster, connection, 7, &request);
        let partition = &response.topics[0].partitions[0];
        assert_eq!(partition.error_code, 0);
        (partition.offset, partition.timestamp)
    };
    assert_eq!(find(-1), (8, -1));
    assert_eq!(find(-2), (1, -1));
    assert_eq!(find(-3), (7, 3_001));
    assert_eq!(find(0), (1, 1));
    assert_eq!(find(1_001), (3, 1_001));
    assert_eq!(find(1_002), (4, 2_000));
    assert_eq!(find(9_999), (-1, -1));
}

/// Appends a batch of a producer's transaction, or the marker that ends it.
fn transact(cluster: &mut Cluster, producer_id: i64, aborted: Option<bool>) {
    let key: &[u8] = if aborted == Some(true) { &[0, 0, 0, 0] } else { &[0, 0, 0, 1] };
    let attributes = if aborted.is_some() { 0x30 } else { 0x10 };
    let spec = BatchSpec { attributes, key: Some(key), ..batch(producer_id, 0, 0, 1) };
    assert!(cluster.append_batch(TOPIC, 0, &spec.bytes()).is_some());
}

#[test]
fn who_reads_committed_records_sees_as_far_as_no_transaction_is_open() {
    let (mut cluster, connection) = single(Options::default());
    let see = |cluster: &mut Cluster, offset| {
        let mut request = fetch(offset, 1_000_000);
        request.isolation_level = 1;
        let (_, data) = fetched(cluster, connection, &request);
        let aborted = data.aborted_transactions.unwrap();
        let aborted: Vec<_> = aborted.iter().map(|of| (of.producer_id.0, of.first_offset)).collect();
        (data.last_stable_offset, data.records.unwrap().len(), aborted)
    };
    transact(&mut cluster, 1, None);
    transact(&mut cluster, 2, None);
    assert_eq!(see(&mut cluster, 0), (0, 0, vec![]));
    transact(&mut cluster, 1, Some(true));
    let (stable, bytes, aborted) = see(&mut cluster, 0);
    assert_eq!((stable, aborted), (1, vec![(1, 0)]));
    transact(&mut cluster, 2, Some(false));
    transact(&mut cluster, 1, None);
    transact(&mut cluster, 1, Some(false));
    // The same for who begins within the transaction, and nothing of it for who begins behind its end.
    assert_eq!(see(&mut cluster, 1).2, [(1, 0)]);
    assert_eq!(see(&mut cluster, 3), (6, 3 * bytes, vec![]));
    // Everybody else is told of all records, and nothing of transactions.
    let (_, data) = fetched(&mut cluster, connection, &fetch(0, 1_000_000));
    assert_eq!((data.records.unwrap().len(), data.aborted_transactions), (6 * bytes, None));
    // The end of a log takes ends of transactions along.
    cluster.lose_records(TOPIC, 0, 3);
    let log = cluster.partition(TOPIC, 0).unwrap();
    assert_eq!((log.stable_offset(), log.open_transactions().collect::<Vec<_>>()), (1, vec![2]));
}

#[test]
fn an_answer_is_cut_where_its_bytes_end() {
    let (mut cluster, connection) = single(Options { cut_batches: true, ..Options::default() });
    for sequence in 0..3 {
        assert_eq!(outcome(&mut cluster, connection, &batch(5, 0, sequence, 1)).0, 0);
    }
    let length = |max_bytes| fetched(&mut cluster.clone(), connection, &fetch(0, max_bytes)).1.records.unwrap().len();
    let one = length(1);
    assert_eq!([length(one as i32 + 10), length(2 * one as i32 - 1), length(10_000)], [one + 10, 2 * one - 1, 3 * one]);
}

#[test]
fn a_topic_that_was_made_again_is_another_one_to_a_session() {
    let (mut cluster, connection) = filled();
    let id = uuid::Uuid::from_bytes(cluster.topic_id(TOPIC).unwrap());
    let mut request = fetch(0, 1_000_000);
    request.topics[0].topic_id = id;
    (request.session_epoch, request.topics[0].topic) = (0, name(""));
    let session = call(&mut cluster, connection, 13, &request).session_id;
    cluster.delete_topic(TOPIC);
    assert!(cluster.create_topic(TOPIC, 1));
    (request.session_id, request.session_epoch) = (session, 1);
    request.topics.clear();
    let response = call(&mut cluster, connection, 13, &request);
    assert_eq!(response.responses[0].partitions[0].error_code, error::INCONSISTENT_TOPIC_ID);
    // It is forgotten by its id, whatever its name was.
    request.forgotten_topics_data = vec![ForgottenTopic::default().with_topic_id(id).with_partitions(vec![0])];
    request.session_epoch = 2;
    assert!(call(&mut cluster, connection, 13, &request).responses.is_empty());
}
