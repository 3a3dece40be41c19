//! Requests written by demitasse, decoded by `kafka-protocol`: every version, every field.

mod common;

use bytes::Bytes;
use common::exchange::{decoded, exchanged, frame, head};
use common::{for_versions, name, topic_name};
use demitasse_core::protocol::{
    ApiKey, api_versions, create_topics, init_producer_id, metadata, produce, request_header, versions,
};
use demitasse_core::wire::Writer;
use kafka_protocol::messages as oracle;
use kafka_protocol::protocol::{Decodable, StrBytes};
use proptest::collection::vec;
use proptest::prelude::*;

#[test]
fn api_versions_request() {
    for_versions(
        versions(ApiKey::ApiVersions),
        |_| head(),
        |version, head| {
            let read: oracle::ApiVersionsRequest =
                exchanged(ApiKey::ApiVersions, version, &head, |w| api_versions::request(w, version));
            let mut expected = oracle::ApiVersionsRequest::default();
            if version >= 3 {
                expected.client_software_name = StrBytes::from_static_str("demitasse");
                expected.client_software_version = StrBytes::from_static_str(api_versions::CLIENT_SOFTWARE_VERSION);
            }
            assert_eq!(read, expected);
        },
    );
}

#[test]
fn init_producer_id_request() {
    for_versions(
        versions(ApiKey::InitProducerId),
        |_| head(),
        |version, head| {
            let read: oracle::InitProducerIdRequest =
                exchanged(ApiKey::InitProducerId, version, &head, |w| init_producer_id::request(w, version));
            let expected = oracle::InitProducerIdRequest::default()
                .with_transactional_id(None)
                .with_transaction_timeout_ms(i32::MAX)
                .with_producer_id((-1).into())
                .with_producer_epoch(-1);
            assert_eq!(read, expected);
        },
    );
}

#[test]
fn metadata_request() {
    for_versions(
        versions(ApiKey::Metadata),
        |_| (head(), proptest::option::of(vec(topic_name(), 0..4)), any::<bool>()),
        |version, (head, topics, create)| {
            let read: oracle::MetadataRequest = exchanged(ApiKey::Metadata, version, &head, |w| match &topics {
                None => metadata::request_all(w, version, create),
                Some(topics) => {
                    metadata::request(w, version, topics.len(), topics.iter().map(|name| name.as_str()), create)
                }
            });
            let topics = topics.map(|names| {
                names
                    .into_iter()
                    .map(|name| oracle::metadata_request::MetadataRequestTopic::default().with_name(Some(name)))
                    .collect()
            });
            let expected = oracle::MetadataRequest::default()
                .with_topics(topics)
                .with_allow_auto_topic_creation(create)
                .with_include_cluster_authorized_operations(false)
                .with_include_topic_authorized_operations(false);
            assert_eq!(read, expected);
        },
    );
}

#[test]
fn metadata_request_with_a_wrong_count() {
    let mut buffer = [0u8; 64];
    let mut writer = Writer::new(&mut buffer);
    metadata::request(&mut writer, 9, 2, ["only one"].into_iter(), true);
    assert!(writer.finish().is_err());

    let mut more = [0u8; 64];
    let mut writer = Writer::new(&mut more);
    metadata::request(&mut writer, 9, 1, ["one", "two"].into_iter(), true);
    let length = writer.finish().expect("the first only");
    let read = oracle::MetadataRequest::decode(&mut Bytes::copy_from_slice(&more[..length]), 9).expect("a body");
    assert_eq!(read.topics.expect("topics").len(), 1);
}

#[test]
fn produce_request() {
    let partition = || (any::<i32>(), vec(any::<u8>(), 0..300));
    for_versions(
        versions(ApiKey::Produce),
        |_| {
            let topics = vec((topic_name(), vec(partition(), 0..4)), 0..3);
            (head(), -1..=1i16, any::<i32>(), topics)
        },
        |version, (head, acks, timeout_ms, topics)| {
            let bytes = frame(|w| {
                request_header(w, ApiKey::Produce, version, head.0, head.1.as_deref().map(str::as_bytes));
                produce::request_start(w, version, acks, timeout_ms, topics.len());
                for (name, partitions) in &topics {
                    produce::topic_start(w, version, name.as_bytes(), partitions.len());
                    for (index, batch) in partitions {
                        produce::partition_start(w, version, *index, batch.len());
                        w.bytes(batch);
                        produce::partition_end(w, version);
                    }
                    produce::topic_end(w, version);
                }
                produce::request_end(w, version);
            });
            let read: oracle::ProduceRequest = decoded(bytes, ApiKey::Produce, version, head.0, head.1.as_ref());
            let topics = topics
                .iter()
                .map(|(name, partitions)| {
                    let partitions = partitions
                        .iter()
                        .map(|(index, batch)| {
                            oracle::produce_request::PartitionProduceData::default()
                                .with_index(*index)
                                .with_records(Some(Bytes::copy_from_slice(batch)))
                        })
                        .collect();
                    oracle::produce_request::TopicProduceData::default()
                        .with_name(name.clone())
                        .with_partition_data(partitions)
                })
                .collect();
            let expected = oracle::ProduceRequest::default()
                .with_transactional_id(None)
                .with_acks(acks)
                .with_timeout_ms(timeout_ms)
                .with_topic_data(topics);
            assert_eq!(read, expected);
        },
    );
}

#[test]
fn create_topics_request() {
    for_versions(
        versions(ApiKey::CreateTopics),
        |_| {
            let configs = vec((name(), name()), 0..4);
            (head(), topic_name(), any::<i32>(), any::<i16>(), configs, any::<i32>(), any::<bool>())
        },
        |version, (head, name, num_partitions, replication_factor, configs, timeout_ms, validate_only)| {
            let entries: Vec<(&str, &str)> = configs.iter().map(|(name, value)| (&**name, &**value)).collect();
            let topic = create_topics::NewTopic { name: &name, num_partitions, replication_factor, configs: &entries };
            let read: oracle::CreateTopicsRequest = exchanged(ApiKey::CreateTopics, version, &head, |w| {
                create_topics::request(w, version, &topic, timeout_ms, validate_only)
            });
            let configs = configs
                .into_iter()
                .map(|(name, value)| {
                    oracle::create_topics_request::CreatableTopicConfig::default()
                        .with_name(name)
                        .with_value(Some(value))
                })
                .collect();
            let topic = oracle::create_topics_request::CreatableTopic::default()
                .with_name(name)
                .with_num_partitions(num_partitions)
                .with_replication_factor(replication_factor)
                .with_configs(configs);
            let expected = oracle::CreateTopicsRequest::default()
                .with_topics(vec![topic])
                .with_timeout_ms(timeout_ms)
                .with_validate_only(validate_only);
            assert_eq!(read, expected);
        },
    );
}
