//! Responses written by `kafka-protocol`, read by demitasse: every version, cut everywhere, with tagged
//! fields that nobody knows and texts longer than any window.

mod common;

use common::*;
use demitasse_core::protocol::{
    ApiKey, ErrorCode, api_versions, create_topics, flexible, init_producer_id, metadata, produce,
    response_header_tags, versions,
};
use demitasse_core::wire::{Reader, Skip};
use demitasse_oracle_tests::{APIS, AnyReader, check, read_whole};
use kafka_protocol::messages as oracle;
use kafka_protocol::protocol::{HeaderVersion, StrBytes};
use oracle::api_versions_response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};
use oracle::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use oracle::metadata_response::{MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic};
use oracle::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, TopicProduceResponse,
};
use proptest::collection::vec;
use proptest::prelude::*;
use uuid::Uuid;

#[test]
fn response_header() {
    fn header_version(key: ApiKey, version: i16) -> i16 {
        match key {
            ApiKey::Produce => oracle::ProduceResponse::header_version(version),
            ApiKey::Fetch => oracle::FetchResponse::header_version(version),
            ApiKey::ListOffsets => oracle::ListOffsetsResponse::header_version(version),
            ApiKey::Metadata => oracle::MetadataResponse::header_version(version),
            ApiKey::OffsetCommit => oracle::OffsetCommitResponse::header_version(version),
            ApiKey::OffsetFetch => oracle::OffsetFetchResponse::header_version(version),
            ApiKey::FindCoordinator => oracle::FindCoordinatorResponse::header_version(version),
            ApiKey::ApiVersions => oracle::ApiVersionsResponse::header_version(version),
            ApiKey::CreateTopics => oracle::CreateTopicsResponse::header_version(version),
            ApiKey::InitProducerId => oracle::InitProducerIdResponse::header_version(version),
            ApiKey::OffsetForLeaderEpoch => oracle::OffsetForLeaderEpochResponse::header_version(version),
        }
    }
    for &key in APIS {
        for_versions(
            versions(key),
            |version| (any::<i32>(), tags(response_header_tags(key, version))),
            |version, (id, tags)| {
                let header_version = header_version(key, version);
                assert_eq!(header_version, i16::from(response_header_tags(key, version)));
                let header = oracle::ResponseHeader::default().with_correlation_id(id).with_unknown_tagged_fields(tags);
                let bytes = encoded(&header, header_version);
                let mut reader = Reader::new(&bytes);
                assert_eq!(reader.i32(), Ok(id));
                let mut window = reader.remaining();
                if response_header_tags(key, version) {
                    assert_eq!(Skip::tags().feed(&mut window), Ok(()));
                }
                assert!(window.is_empty());
            },
        );
    }
}

#[test]
fn api_versions_response() {
    for_versions(
        versions(ApiKey::ApiVersions),
        |version| {
            let flexible = flexible(ApiKey::ApiVersions, version);
            let range = (any::<i16>(), any::<i16>(), any::<i16>(), tags(flexible));
            let supported = (name(), any::<i16>(), any::<i16>(), tags(flexible));
            let finalized = (name(), any::<i16>(), any::<i16>(), tags(flexible));
            let features = (vec(supported, 0..3), any::<i64>(), vec(finalized, 0..3), any::<bool>());
            (any::<i16>(), vec(range, 0..6), any::<i32>(), features, tags(flexible))
        },
        |version, (error, ranges, throttle, (supported, epoch, finalized, ready), tags)| {
            let mut expected = vec![shown(api_versions::Item::Error(ErrorCode(error)))];
            let mut response = oracle::ApiVersionsResponse::default().with_error_code(error);
            for (key, min, max, tags) in ranges {
                expected.push(shown(api_versions::Item::Range { key, min, max }));
                response.api_keys.push(
                    ApiVersion::default()
                        .with_api_key(key)
                        .with_min_version(min)
                        .with_max_version(max)
                        .with_unknown_tagged_fields(tags),
                );
            }
            if version >= 1 {
                expected.push(shown(api_versions::Item::Throttle(throttle)));
                response.throttle_time_ms = throttle;
            }
            if version >= 3 {
                for (name, min, max, tags) in supported {
                    response.supported_features.push(
                        SupportedFeatureKey::default()
                            .with_name(name)
                            .with_min_version(min)
                            .with_max_version(max)
                            .with_unknown_tagged_fields(tags),
                    );
                }
                for (name, min, max, tags) in finalized {
                    response.finalized_features.push(
                        FinalizedFeatureKey::default()
                            .with_name(name)
                            .with_min_version_level(min)
                            .with_max_version_level(max)
                            .with_unknown_tagged_fields(tags),
                    );
                }
                response.finalized_features_epoch = epoch;
                response.zk_migration_ready = ready;
                response.unknown_tagged_fields = tags;
            }
            if error != ErrorCode::UNSUPPORTED_VERSION.0 {
                check(AnyReader::new(ApiKey::ApiVersions, version), &encoded(&response, version), &expected, 16);
            }
        },
    );
}

#[test]
fn api_versions_of_a_broker_that_does_not_know_the_version() {
    for ranges in [vec![], vec![(18, 0, 2)], vec![(0, 3, 9), (18, 0, 3)]] {
        let mut response = oracle::ApiVersionsResponse::default().with_error_code(ErrorCode::UNSUPPORTED_VERSION.0);
        let mut expected = vec![shown(api_versions::Item::Error(ErrorCode::UNSUPPORTED_VERSION))];
        for (key, min, max) in ranges {
            expected.push(shown(api_versions::Item::Range { key, min, max }));
            response.api_keys.push(ApiVersion::default().with_api_key(key).with_min_version(min).with_max_version(max));
        }
        let bytes = encoded(&response, 0);
        for version in 0..=4 {
            check(AnyReader::new(ApiKey::ApiVersions, version), &bytes, &expected, 8);
        }
    }
}

#[test]
fn init_producer_id_response() {
    for_versions(
        versions(ApiKey::InitProducerId),
        |version| {
            let tags = tags(flexible(ApiKey::InitProducerId, version));
            (any::<i32>(), any::<i16>(), any::<i64>(), any::<i16>(), tags)
        },
        |version, (throttle_ms, error, producer_id, producer_epoch, tags)| {
            let response = oracle::InitProducerIdResponse::default()
                .with_throttle_time_ms(throttle_ms)
                .with_error_code(error)
                .with_producer_id(producer_id.into())
                .with_producer_epoch(producer_epoch)
                .with_unknown_tagged_fields(tags);
            let error = ErrorCode(error);
            let item = init_producer_id::Item::Done { throttle_ms, error, producer_id, producer_epoch };
            check(AnyReader::new(ApiKey::InitProducerId, version), &encoded(&response, version), &[shown(item)], 17);
        },
    );
}

fn metadata_partition(version: i16) -> impl Strategy<Value = MetadataResponsePartition> {
    let ids = (any::<i16>(), any::<i32>(), broker(), any::<i32>());
    let lists = (brokers(), brokers(), brokers(), tags(flexible(ApiKey::Metadata, version)));
    (ids, lists).prop_map(|((error, index, leader, epoch), (replicas, isr, offline, tags))| {
        MetadataResponsePartition::default()
            .with_error_code(error)
            .with_partition_index(index)
            .with_leader_id(leader)
            .with_leader_epoch(epoch)
            .with_replica_nodes(replicas)
            .with_isr_nodes(isr)
            .with_offline_replicas(offline)
            .with_unknown_tagged_fields(tags)
    })
}

fn metadata_topic(version: i16) -> impl Strategy<Value = MetadataResponseTopic> {
    let id = any::<u128>().prop_map(Uuid::from_u128);
    let partitions = vec(metadata_partition(version), 0..4);
    let name = proptest::option::weighted(0.8, topic_name());
    let tags = tags(flexible(ApiKey::Metadata, version));
    (any::<i16>(), name, id, any::<bool>(), partitions, any::<i32>(), tags).prop_map(
        move |(error, name, id, internal, partitions, operations, tags)| {
            let mut topic = MetadataResponseTopic::default()
                .with_error_code(error)
                .with_name(name)
                .with_is_internal(internal)
                .with_partitions(partitions)
                .with_unknown_tagged_fields(tags);
            if version >= 8 {
                topic.topic_authorized_operations = operations;
            }
            if version >= 10 {
                topic.topic_id = id;
            }
            if version < 12 {
                topic.name.get_or_insert_default();
            }
            topic
        },
    )
}

#[test]
fn metadata_response() {
    for_versions(
        versions(ApiKey::Metadata),
        |version| {
            let flexible = flexible(ApiKey::Metadata, version);
            let node = (broker(), name(), any::<i32>(), skipped(), tags(flexible));
            let topics = vec(metadata_topic(version), 0..4);
            let end = (any::<i32>(), any::<i16>(), tags(flexible));
            (any::<i32>(), vec(node, 0..4), skipped(), broker(), topics, end)
        },
        |version, (throttle, nodes, cluster_id, controller, topics, (operations, error, tags))| {
            let mut expected = vec![shown(metadata::Item::Throttle(throttle))];
            let mut response = oracle::MetadataResponse::default()
                .with_throttle_time_ms(throttle)
                .with_cluster_id(cluster_id)
                .with_controller_id(controller)
                .with_unknown_tagged_fields(tags);
            for (node_id, host, port, rack, tags) in nodes {
                expected.push(shown(metadata::Item::Broker { node_id: node_id.0, host: host.as_bytes(), port }));
                response.brokers.push(
                    MetadataResponseBroker::default()
                        .with_node_id(node_id)
                        .with_host(host)
                        .with_port(port)
                        .with_rack(rack)
                        .with_unknown_tagged_fields(tags),
                );
            }
            expected.push(shown(metadata::Item::Controller(controller.0)));
            for topic in &topics {
                expected.push(shown(metadata::Item::Topic {
                    error: ErrorCode(topic.error_code),
                    name: topic.name.as_ref().map_or(&[], |name| name.as_bytes()),
                    id: topic.topic_id.into_bytes(),
                    is_internal: topic.is_internal,
                    partitions: topic.partitions.len() as u32,
                }));
                for partition in &topic.partitions {
                    expected.push(shown(metadata::Item::Partition {
                        error: ErrorCode(partition.error_code),
                        index: partition.partition_index,
                        leader: partition.leader_id.0,
                        leader_epoch: partition.leader_epoch,
                    }));
                }
            }
            response.topics = topics;
            if (8..=10).contains(&version) {
                response.cluster_authorized_operations = operations;
            }
            if version >= 13 {
                response.error_code = error;
                expected.push(shown(metadata::Item::Error(ErrorCode(error))));
            }
            check(AnyReader::new(ApiKey::Metadata, version), &encoded(&response, version), &expected, ROOM);
        },
    );
}

#[test]
fn metadata_of_a_topic_without_a_name() {
    for (version, fine) in [(9, false), (11, false), (12, true), (13, true)] {
        // The oracle refuses to write it before version 12: the length is made null by hand.
        let topic = MetadataResponseTopic::default().with_name(Some(Default::default()));
        let response = oracle::MetadataResponse::default().with_topics(vec![topic]);
        let mut bytes = encoded(&response, version).to_vec();
        // Throttle, no brokers, no cluster id, the controller, one topic, its error.
        let at = 4 + 1 + 1 + 4 + 1 + 2;
        assert_eq!(bytes[at], 1);
        bytes[at] = 0;
        assert_eq!(read_whole(AnyReader::new(ApiKey::Metadata, version), &bytes).end.is_ok(), fine, "{version}");
    }
}

fn produce_partition(version: i16) -> impl Strategy<Value = PartitionProduceResponse> {
    let flexible = flexible(ApiKey::Produce, version);
    let numbers = (any::<i32>(), any::<i16>(), any::<i64>(), any::<i64>(), any::<i64>());
    let record = (any::<i32>(), skipped(), tags(flexible));
    let leader = proptest::option::of((broker(), any::<i32>(), tags(flexible)));
    (numbers, vec(record, 0..4), skipped(), leader, tags(flexible)).prop_map(
        move |((index, error, base_offset, append_time, start_offset), records, message, leader, tags)| {
            let mut partition = PartitionProduceResponse::default()
                .with_index(index)
                .with_error_code(error)
                .with_base_offset(base_offset)
                .with_log_append_time_ms(append_time)
                .with_log_start_offset(start_offset)
                .with_unknown_tagged_fields(tags);
            if version >= 8 {
                partition.error_message = message;
                for (index, message, tags) in records {
                    partition.record_errors.push(
                        BatchIndexAndErrorMessage::default()
                            .with_batch_index(index)
                            .with_batch_index_error_message(message)
                            .with_unknown_tagged_fields(tags),
                    );
                }
            }
            if version >= 10
                && let Some((id, epoch, tags)) = leader
            {
                partition.current_leader = LeaderIdAndEpoch::default()
                    .with_leader_id(id)
                    .with_leader_epoch(epoch)
                    .with_unknown_tagged_fields(tags);
            }
            partition
        },
    )
}

#[test]
fn produce_response() {
    for_versions(
        versions(ApiKey::Produce),
        |version| {
            let flexible = flexible(ApiKey::Produce, version);
            let topic = (topic_name(), vec(produce_partition(version), 0..5), tags(flexible));
            let node = (broker(), name(), any::<i32>(), skipped(), tags(flexible));
            (vec(topic, 0..4), any::<i32>(), vec(node, 0..4), tags(flexible))
        },
        |version, (topics, throttle, nodes, tags)| {
            let mut expected = Vec::new();
            let mut response =
                oracle::ProduceResponse::default().with_throttle_time_ms(throttle).with_unknown_tagged_fields(tags);
            for (name, partitions, tags) in topics {
                expected
                    .push(shown(produce::Item::Topic { name: name.as_bytes(), partitions: partitions.len() as u32 }));
                for partition in &partitions {
                    expected.push(shown(produce::Item::Partition {
                        index: partition.index,
                        error: ErrorCode(partition.error_code),
                        base_offset: partition.base_offset,
                        log_append_time: partition.log_append_time_ms,
                        log_start_offset: partition.log_start_offset,
                    }));
                    for record in &partition.record_errors {
                        expected.push(shown(produce::Item::RecordError { batch_index: record.batch_index }));
                    }
                    let leader = &partition.current_leader;
                    if *leader != LeaderIdAndEpoch::default() {
                        expected.push(shown(produce::Item::CurrentLeader {
                            leader_id: leader.leader_id.0,
                            leader_epoch: leader.leader_epoch,
                        }));
                    }
                }
                response.responses.push(
                    TopicProduceResponse::default()
                        .with_name(name)
                        .with_partition_responses(partitions)
                        .with_unknown_tagged_fields(tags),
                );
            }
            expected.push(shown(produce::Item::Throttle(throttle)));
            if version >= 10 {
                for (node_id, host, port, rack, tags) in nodes {
                    expected.push(shown(produce::Item::NodeEndpoint {
                        node_id: node_id.0,
                        host: host.as_bytes(),
                        port,
                    }));
                    response.node_endpoints.push(
                        NodeEndpoint::default()
                            .with_node_id(node_id)
                            .with_host(host)
                            .with_port(port)
                            .with_rack(rack)
                            .with_unknown_tagged_fields(tags),
                    );
                }
            }
            check(AnyReader::new(ApiKey::Produce, version), &encoded(&response, version), &expected, ROOM);
        },
    );
}

/// The part of a message that a reader hands out.
fn head_of(message: &str) -> &str {
    &message[..message.floor_char_boundary(create_topics::MESSAGE_BYTES)]
}

#[test]
fn create_topics_response() {
    for_versions(
        versions(ApiKey::CreateTopics),
        |version| {
            let flexible = flexible(ApiKey::CreateTopics, version);
            let config = (name(), skipped(), any::<bool>(), any::<i8>(), any::<bool>(), tags(flexible));
            let configs = proptest::option::of(vec(config, 0..4));
            let message = prop_oneof![
                3 => skipped(),
                // Around the cut, with characters of three bytes across it.
                1 => (80usize..90, 0usize..3).prop_map(|(many, shift)| {
                    Some(StrBytes::from_string("x".repeat(shift) + &"€".repeat(many)))
                }),
            ];
            let detail = (any::<i16>(), any::<i32>(), any::<i16>(), configs);
            let topic =
                (topic_name(), any::<u128>().prop_map(Uuid::from_u128), any::<i16>(), message, detail, tags(flexible));
            (any::<i32>(), vec(topic, 0..3), tags(flexible))
        },
        |version, (throttle, topics, tags)| {
            let mut expected = vec![shown(create_topics::Item::Throttle(throttle))];
            let mut response = oracle::CreateTopicsResponse::default()
                .with_throttle_time_ms(throttle)
                .with_unknown_tagged_fields(tags);
            for (name, id, error, message, (config_error, partitions, replication, configs), tags) in topics {
                expected.push(shown(create_topics::Item::Topic { name: &name, error: ErrorCode(error) }));
                if let Some(message) = message.as_ref().filter(|message| !message.is_empty()) {
                    expected.push(shown(create_topics::Item::Message(head_of(message))));
                }
                let mut topic = CreatableTopicResult::default()
                    .with_name(name)
                    .with_error_code(error)
                    .with_error_message(message)
                    .with_unknown_tagged_fields(tags);
                if version >= 5 {
                    topic.topic_config_error_code = config_error;
                    topic.num_partitions = partitions;
                    topic.replication_factor = replication;
                    topic.configs = configs.map(|configs| {
                        configs
                            .into_iter()
                            .map(|(name, value, read_only, source, sensitive, tags)| {
                                CreatableTopicConfigs::default()
                                    .with_name(name)
                                    .with_value(value)
                                    .with_read_only(read_only)
                                    .with_config_source(source)
                                    .with_is_sensitive(sensitive)
                                    .with_unknown_tagged_fields(tags)
                            })
                            .collect()
                    });
                }
                if version >= 7 {
                    topic.topic_id = id;
                }
                response.topics.push(topic);
            }
            check(AnyReader::new(ApiKey::CreateTopics, version), &encoded(&response, version), &expected, ROOM);
        },
    );
}
