//! Each release offers its versions, answers every one of them, and closes on others.

use demitasse_broker::{Api, Cluster, Options, Release, error};
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::Request;
use uuid::Uuid;

use crate::client::*;

fn cluster(release: Release) -> Cluster {
    let mut cluster =
        Cluster::new(Options { nodes: 3, release, racks: vec!["a".to_owned(), "b".to_owned()], ..Options::default() });
    assert!(cluster.create_topic(TOPIC, 2));
    cluster
}

fn api_versions() -> ApiVersionsRequest {
    ApiVersionsRequest::default()
        .with_client_software_name(text("demitasse"))
        .with_client_software_version(text("0.1.0"))
}

fn metadata() -> MetadataRequest {
    let topic = MetadataRequestTopic::default().with_name(Some(name(TOPIC)));
    MetadataRequest::default().with_topics(Some(vec![topic]))
}

/// Sends the request in every version that the codec can write; each offered one is answered, each other closes.
fn every_version<R: Request>(
    release: Release,
    api: Api,
    body: impl Fn(&Cluster, i16) -> R,
    check: impl Fn(R::Response, i16),
) {
    for version in R::VERSIONS.min..=R::VERSIONS.max {
        let mut cluster = cluster(release);
        let connection = cluster.connect(1).unwrap();
        let body = body(&cluster, version);
        let (reply, response) = if release.offers(api, version) {
            call_at(&mut cluster, connection, version, &body, 0)
        } else {
            (cluster.handle(connection, &encode(version, 7, &body), 0), None)
        };
        match response {
            Some(response) => {
                assert!(!reply.close);
                check(response, version);
                assert_eq!(cluster.requests(api), 1);
            }
            None => {
                assert!(!release.offers(api, version));
                assert_eq!((reply.bytes, reply.close), (None, true), "{api:?} {version}");
                assert!(!cluster.is_connected(connection));
                assert_eq!(cluster.counters().refused_requests, 1);
            }
        }
    }
}

#[test]
fn every_offered_version_is_answered_and_every_other_closes() {
    for release in Release::ALL {
        let metadata = |_: &Cluster, _| metadata();
        every_version(release, Api::Metadata, metadata, |response, version| {
            assert_eq!(response.brokers.len(), 3);
            assert_eq!(response.topics.len(), 1);
            assert_eq!(response.topics[0].error_code, 0);
            let partition = &response.topics[0].partitions[1];
            assert_eq!(partition.leader_id, BrokerId(2));
            assert_eq!(partition.leader_epoch, if version >= 7 { 0 } else { -1 });
            assert_eq!(response.topics[0].topic_id.is_nil(), version < 10);
        });
        let produce = |cluster: &Cluster, version| {
            let request = produce_request(-1, 0, batch(5, 0, 0, 1).bytes());
            if version >= 13 { by_id(cluster, request) } else { request }
        };
        every_version(release, Api::Produce, produce, |response, _| {
            let answer = only(response);
            assert_eq!((answer.error_code, answer.base_offset), (0, 0));
        });
        let init = |_: &Cluster, _| InitProducerIdRequest::default().with_transactional_id(None);
        every_version(release, Api::InitProducerId, init, |response, _| {
            assert_eq!(response.error_code, 0);
            assert_eq!((response.producer_id, response.producer_epoch), (ProducerId(0), 0));
        });
        let create = |_: &Cluster, _| {
            let topic =
                CreatableTopic::default().with_name(name("made")).with_num_partitions(2).with_replication_factor(3);
            CreateTopicsRequest::default().with_topics(vec![topic])
        };
        every_version(release, Api::CreateTopics, create, |response, _| {
            assert_eq!(response.topics[0].error_code, 0);
        });
        let list = |_: &Cluster, _| {
            let partition = ListOffsetsPartition::default().with_timestamp(-1);
            let topic = ListOffsetsTopic::default().with_name(name(TOPIC)).with_partitions(vec![partition]);
            ListOffsetsRequest::default().with_topics(vec![topic])
        };
        every_version(release, Api::ListOffsets, list, |response, _| {
            assert_eq!(response.topics[0].partitions[0].error_code, 0);
            assert_eq!(response.topics[0].partitions[0].offset, 0);
        });
        let fetch = |cluster: &Cluster, version| {
            let topic =
                FetchTopic::default().with_partitions(vec![FetchPartition::default().with_partition_max_bytes(100)]);
            let topic = match version {
                13.. => topic.with_topic_id(Uuid::from_bytes(cluster.topic_id(TOPIC).unwrap())),
                _ => topic.with_topic(name(TOPIC)),
            };
            FetchRequest::default().with_max_bytes(100).with_topics(vec![topic])
        };
        every_version(release, Api::Fetch, fetch, |response, _| {
            assert_eq!(response.responses[0].partitions[0].error_code, 0);
        });
    }
}

#[test]
fn api_versions_tells_what_is_offered_in_every_version() {
    for release in Release::ALL {
        let (_, highest) = release.versions(Api::ApiVersions);
        for version in 0..=highest {
            let mut cluster = cluster(release);
            let connection = cluster.connect(1).unwrap();
            let response = call(&mut cluster, connection, version, &api_versions());
            assert_eq!(response.error_code, 0);
            assert_eq!(response.api_keys.len(), Api::ALL.len());
            for (range, api) in response.api_keys.iter().zip(Api::ALL) {
                assert_eq!(range.api_key, api.key());
                assert_eq!((range.min_version, range.max_version), release.versions(api));
            }
        }
    }
}

#[test]
fn an_unknown_version_of_api_versions_is_answered_in_version_0() {
    for (release, version, own) in [(Release::V2_1, 3, 0), (Release::V2_8, 4, 1), (Release::V4_3, 4, 1)] {
        let mut cluster = cluster(release);
        let connection = cluster.connect(1).unwrap();
        let mut frame = encode(version, 7, &api_versions());
        if release == Release::V4_3 {
            // A version that nobody knows yet, with a body that nobody can read.
            frame[2..4].copy_from_slice(&99i16.to_be_bytes());
            frame.extend_from_slice(b"of the future");
        }
        let reply = cluster.handle(connection, &frame, 0);
        assert!(!reply.close);
        let response: ApiVersionsResponse = decode(0, 7, &reply.bytes.unwrap());
        assert_eq!(response.error_code, error::UNSUPPORTED_VERSION);
        assert_eq!(response.api_keys.len(), own);
        if own == 1 {
            let (_, highest) = release.versions(Api::ApiVersions);
            assert_eq!(response.api_keys[0].api_key, Api::ApiVersions.key());
            assert_eq!(response.api_keys[0].max_version, highest);
        }
        // The connection goes on.
        let response = call(&mut cluster, connection, 2, &api_versions());
        assert_eq!(response.error_code, 0);
    }
}

#[test]
fn a_client_without_a_proper_name_is_refused() {
    let mut cluster = cluster(Release::V4_3);
    let connection = cluster.connect(1).unwrap();
    for bad in ["", "-a", "a b", "a."] {
        let request = api_versions().with_client_software_name(text(bad));
        let response = call(&mut cluster, connection, 3, &request);
        assert_eq!(response.error_code, error::INVALID_REQUEST);
    }
}

#[test]
fn producer_ids_are_issued_once_and_transactions_refused() {
    let mut cluster = cluster(Release::V4_3);
    let connection = cluster.connect(1).unwrap();
    let request = InitProducerIdRequest::default()
        .with_transactional_id(None)
        .with_producer_id(ProducerId(0))
        .with_producer_epoch(3);
    for id in 0..3 {
        let response = call(&mut cluster, connection, 4, &request);
        assert_eq!((response.producer_id, response.producer_epoch), (ProducerId(id), 0));
    }
    let transactional = request.clone().with_transactional_id(Some(TransactionalId(text("t"))));
    let response = call(&mut cluster, connection, 4, &transactional);
    assert_eq!(response.error_code, error::TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    cluster.set_idempotent_write_denied(true);
    let response = call(&mut cluster, connection, 4, &request);
    assert_eq!(response.error_code, error::CLUSTER_AUTHORIZATION_FAILED);
    assert_eq!(response.producer_id, ProducerId(-1));
}

#[test]
fn create_topics_checks_what_it_is_asked() {
    let mut cluster = cluster(Release::V2_8);
    let first = cluster.connect(1).unwrap();
    let second = cluster.connect(2).unwrap();
    let request = |topic: CreatableTopic| CreateTopicsRequest::default().with_topics(vec![topic]);
    let good = CreatableTopic::default().with_name(name("made")).with_num_partitions(-1).with_replication_factor(-1);
    let mut error_of = |connection, version, topic: CreatableTopic| {
        call(&mut cluster, connection, version, &request(topic)).topics[0].error_code
    };
    assert_eq!(error_of(second, 4, good.clone()), error::NOT_CONTROLLER);
    assert_eq!(error_of(first, 3, good.clone()), error::INVALID_PARTITIONS);
    let zero = good.clone().with_num_partitions(0);
    assert_eq!(error_of(first, 4, zero), error::INVALID_PARTITIONS);
    let four = good.clone().with_replication_factor(4);
    assert_eq!(error_of(first, 4, four), error::INVALID_REPLICATION_FACTOR);
    let bad_name = good.clone().with_name(name("a/b"));
    assert_eq!(error_of(first, 4, bad_name), error::INVALID_TOPIC_EXCEPTION);
    let existing = good.clone().with_name(name(TOPIC));
    assert_eq!(error_of(first, 4, existing), error::TOPIC_ALREADY_EXISTS);
    assert_eq!(error_of(first, 7, good.clone()), 0);
    assert_eq!(error_of(first, 7, good), error::TOPIC_ALREADY_EXISTS);
    assert_eq!(cluster.partitions("made"), 1);
}
