//! Bytes that no client of good will sends: nothing panics, nothing is reserved that was only claimed.

use demitasse_broker::{Api, Cluster, Options, Release};
use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::Request;

use crate::client::*;

fn cluster() -> Cluster {
    let mut cluster = Cluster::new(Options::default());
    cluster.create_topic(TOPIC, 1);
    cluster
}

/// One request of each offered version of an API, with every array filled.
fn frames_of<R: Request>(api: Api, body: impl Fn(i16) -> R, frames: &mut Vec<Vec<u8>>) {
    let (lowest, highest) = Release::V4_3.versions(api);
    for version in lowest..=highest {
        frames.push(encode(version, 7, &body(version)));
    }
}

fn frames() -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    frames_of(Api::Produce, |_| produce_request(-1, 0, batch(5, 0, 0, 2).bytes()), &mut frames);
    let topic = MetadataRequestTopic::default().with_name(Some(name(TOPIC)));
    let metadata = MetadataRequest::default().with_topics(Some(vec![topic]));
    frames_of(Api::Metadata, |_| metadata.clone(), &mut frames);
    frames_of(Api::ApiVersions, |_| ApiVersionsRequest::default(), &mut frames);
    let init = InitProducerIdRequest::default().with_transactional_id(None);
    frames_of(Api::InitProducerId, |_| init.clone(), &mut frames);
    let topic = CreatableTopic::default()
        .with_name(name("made"))
        .with_assignments(vec![CreatableReplicaAssignment::default().with_broker_ids(vec![BrokerId(1)])])
        .with_configs(vec![CreatableTopicConfig::default().with_name(text("a")).with_value(None)]);
    let create = CreateTopicsRequest::default().with_topics(vec![topic]);
    frames_of(Api::CreateTopics, |_| create.clone(), &mut frames);
    let topic =
        ListOffsetsTopic::default().with_name(name(TOPIC)).with_partitions(vec![ListOffsetsPartition::default()]);
    let list = ListOffsetsRequest::default().with_topics(vec![topic]);
    frames_of(Api::ListOffsets, |_| list.clone(), &mut frames);
    let fetch = |version| {
        let topic = FetchTopic::default()
            .with_topic(name(TOPIC))
            .with_partitions(vec![FetchPartition::default().with_partition_max_bytes(9)]);
        let mut request = FetchRequest::default().with_max_bytes(9).with_topics(vec![topic]);
        if version >= 7 {
            let forgotten = ForgottenTopic::default().with_partitions(vec![1]);
            request.forgotten_topics_data = vec![forgotten];
        }
        request
    };
    frames_of(Api::Fetch, fetch, &mut frames);
    frames
}

#[test]
fn cut_and_lengthened_requests_close_the_connection() {
    for frame in frames() {
        let mut cluster = cluster();
        let whole = cluster.connect(1).unwrap();
        assert!(!cluster.handle(whole, &frame, 0).close);
        for length in 0..frame.len() {
            let connection = cluster.connect(1).unwrap();
            let reply = cluster.handle(connection, &frame[..length], 0);
            assert_eq!((reply.bytes, reply.close), (None, true));
        }
        let mut longer = frame.clone();
        longer.push(0);
        let reply = cluster.handle(whole, &longer, 0);
        assert_eq!((reply.bytes, reply.close), (None, true));
    }
}

#[test]
fn changed_bytes_do_no_harm() {
    // Every byte of every request set to the values that lengths and counts trip over, and four at once.
    for frame in frames() {
        let mut cluster = cluster();
        let mut connection = cluster.connect(1).unwrap();
        let mut send = |frame: &[u8]| {
            if !cluster.is_connected(connection) {
                connection = cluster.connect(1).unwrap();
            }
            cluster.handle(connection, frame, 0);
        };
        for at in 0..frame.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff, frame[at] ^ 1, frame[at].wrapping_add(1)] {
                let mut changed = frame.clone();
                changed[at] = value;
                send(&changed);
                for value in [0x7f, 0xff] {
                    let end = frame.len().min(at + 4);
                    changed[at..end].fill(value);
                    send(&changed);
                }
            }
        }
    }
}

#[test]
fn requests_of_other_apis_close_the_connection() {
    let mut cluster = cluster();
    for key in (-2..100).filter(|key| Api::from_key(*key).is_none()) {
        let connection = cluster.connect(1).unwrap();
        let mut frame = key.to_be_bytes().to_vec();
        frame.extend_from_slice(&[0, 0, 0, 0, 0, 1, 0xff, 0xff]);
        assert!(cluster.handle(connection, &frame, 0).close);
    }
}

#[test]
fn changed_batches_with_a_right_checksum_do_no_harm() {
    let (mut cluster, connection) = single(Options::default());
    let good = batch(-1, -1, -1, 3).bytes();
    for at in 0..good.len() {
        for value in 0..=255 {
            let mut bytes = good.clone();
            bytes[at] = value;
            seal(&mut bytes);
            let _ = produce_at(&mut cluster, connection, bytes, 0);
        }
    }
    // What got in can be read.
    let partition = cluster.partition(TOPIC, 0).unwrap();
    for record in partition.records() {
        let _ = record.headers().count();
    }
}
