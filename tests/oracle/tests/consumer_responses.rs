//! Responses to a consumer written by `kafka-protocol`, read by demitasse: every version, cut everywhere, with tagged
//! fields that nobody knows and texts longer than any window.

mod common;

use bytes::Bytes;
use common::*;
use demitasse_core::protocol::{ApiKey, ErrorCode, TopicItem, fetch, find_coordinator, flexible, versions};
use demitasse_oracle_tests::fetched::{Fetched, read_fetch};
use demitasse_oracle_tests::{AnyReader, check};
use kafka_protocol::messages::{self as oracle, TopicName};
use oracle::fetch_response::{
    AbortedTransaction, EpochEndOffset, FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData,
    SnapshotId,
};
use proptest::collection::vec;
use proptest::prelude::*;
use uuid::Uuid;

fn fetch_partition(version: i16) -> impl Strategy<Value = PartitionData> {
    let flexible = flexible(ApiKey::Fetch, version);
    let numbers = (any::<i32>(), any::<i16>(), any::<i64>(), any::<i64>(), any::<i64>(), broker());
    let aborted = proptest::option::of(vec((any::<i64>(), any::<i64>(), tags(flexible)), 0..4));
    let records = proptest::option::of(prop_oneof![vec(any::<u8>(), 0..20), vec(any::<u8>(), 120..700)]);
    let diverging = proptest::option::of((any::<i32>(), any::<i64>(), tags(flexible)));
    let leader = proptest::option::of((broker(), any::<i32>(), tags(flexible)));
    let snapshot = proptest::option::of((any::<i64>(), any::<i32>(), tags(flexible)));
    (numbers, aborted, records, (diverging, leader, snapshot), tags(flexible)).prop_map(
        move |((index, error, high, stable, start, replica), aborted, records, (diverging, leader, snapshot), tags)| {
            let aborted = aborted.map(|list| {
                list.into_iter()
                    .map(|(id, offset, tags)| {
                        let of = AbortedTransaction::default().with_producer_id(id.into()).with_first_offset(offset);
                        of.with_unknown_tagged_fields(tags)
                    })
                    .collect()
            });
            let mut partition = PartitionData::default()
                .with_partition_index(index)
                .with_error_code(error)
                .with_high_watermark(high)
                .with_last_stable_offset(stable)
                .with_log_start_offset(start)
                .with_aborted_transactions(aborted)
                .with_preferred_read_replica(replica)
                .with_records(records.map(Bytes::from))
                .with_unknown_tagged_fields(tags);
            if flexible {
                if let Some((epoch, offset, tags)) = diverging {
                    partition.diverging_epoch = EpochEndOffset::default().with_epoch(epoch).with_end_offset(offset);
                    partition.diverging_epoch.unknown_tagged_fields = tags;
                }
                if let Some((id, epoch, tags)) = leader {
                    partition.current_leader = LeaderIdAndEpoch::default().with_leader_id(id).with_leader_epoch(epoch);
                    partition.current_leader.unknown_tagged_fields = tags;
                }
                if let Some((offset, epoch, tags)) = snapshot {
                    partition.snapshot_id = SnapshotId::default().with_end_offset(offset).with_epoch(epoch);
                    partition.snapshot_id.unknown_tagged_fields = tags;
                }
            }
            partition
        },
    )
}

fn fetch_response(version: i16) -> impl Strategy<Value = oracle::FetchResponse> {
    let flexible = flexible(ApiKey::Fetch, version);
    let topic = (topic_name(), any::<u128>(), vec(fetch_partition(version), 0..4), tags(flexible));
    let node = (broker(), name(), any::<i32>(), skipped(), tags(flexible));
    let start = (any::<i32>(), any::<i16>(), any::<i32>());
    (start, vec(topic, 0..3), vec(node, 0..4), tags(flexible)).prop_map(
        move |((throttle, error, session), topics, nodes, tags)| {
            let mut response = oracle::FetchResponse::default()
                .with_throttle_time_ms(throttle)
                .with_error_code(error)
                .with_session_id(session)
                .with_unknown_tagged_fields(tags);
            for (name, id, partitions, tags) in topics {
                let topic = FetchableTopicResponse::default().with_partitions(partitions);
                let topic = match version {
                    13.. => topic.with_topic_id(Uuid::from_u128(id)),
                    _ => topic.with_topic(name),
                };
                response.responses.push(topic.with_unknown_tagged_fields(tags));
            }
            if version >= 16 {
                for (id, host, port, rack, tags) in nodes {
                    let node = NodeEndpoint::default().with_node_id(id).with_host(host).with_port(port);
                    response.node_endpoints.push(node.with_rack(rack).with_unknown_tagged_fields(tags));
                }
            }
            response
        },
    )
}

/// The items of a partition.
fn partition_items(partition: &PartitionData, expected: &mut Vec<String>) {
    expected.push(shown(fetch::Item::Partition {
        index: partition.partition_index,
        error: ErrorCode(partition.error_code),
        high_watermark: partition.high_watermark,
        last_stable_offset: partition.last_stable_offset,
        log_start_offset: partition.log_start_offset,
    }));
    for aborted in partition.aborted_transactions.iter().flatten() {
        expected.push(shown(fetch::Item::AbortedTransaction {
            producer_id: aborted.producer_id.0,
            first_offset: aborted.first_offset,
        }));
    }
    expected.push(shown(fetch::Item::Records {
        preferred_read_replica: partition.preferred_read_replica.0,
        length: partition.records.as_ref().map_or(0, Bytes::len) as u32,
    }));
    let diverging = &partition.diverging_epoch;
    if *diverging != EpochEndOffset::default() {
        expected.push(shown(fetch::Item::DivergingEpoch { epoch: diverging.epoch, end_offset: diverging.end_offset }));
    }
    let leader = &partition.current_leader;
    if *leader != LeaderIdAndEpoch::default() {
        let (leader_id, leader_epoch) = (leader.leader_id.0, leader.leader_epoch);
        expected.push(shown(fetch::Item::CurrentLeader { leader_id, leader_epoch }));
    }
}

fn fetch_items(response: &oracle::FetchResponse) -> Vec<String> {
    let mut expected = vec![shown(fetch::Item::Start {
        throttle_ms: response.throttle_time_ms,
        error: ErrorCode(response.error_code),
        session_id: response.session_id,
    })];
    for topic in &response.responses {
        expected.push(shown(fetch::Item::Topic {
            name: topic.topic.as_bytes(),
            id: topic.topic_id.into_bytes(),
            partitions: topic.partitions.len() as u32,
        }));
        for partition in &topic.partitions {
            partition_items(partition, &mut expected);
        }
    }
    for node in &response.node_endpoints {
        let (node_id, host, port) = (node.node_id.0, &*node.host, node.port);
        expected.push(shown(fetch::Item::NodeEndpoint { node_id, host: host.as_bytes(), port }));
    }
    expected
}

#[test]
fn fetch_response_whose_records_nobody_wants() {
    for_versions(versions(ApiKey::Fetch), fetch_response, |version, response| {
        let expected = fetch_items(&response);
        check(AnyReader::new(ApiKey::Fetch, version), &encoded(&response, version), &expected, ROOM);
    });
}

#[test]
fn fetch_response_whose_records_are_taken() {
    for_versions(versions(ApiKey::Fetch), fetch_response, |version, response| {
        let bytes = encoded(&response, version);
        let partitions = response.responses.iter().flat_map(|topic| &topic.partitions);
        let records: Vec<_> = partitions.map(|of| of.records.as_deref().unwrap_or(&[]).to_vec()).collect();
        let expected = Fetched { items: fetch_items(&response), records, end: Ok(()) };
        for step in [1, 2, 7, 100, bytes.len()] {
            for aside in [false, true] {
                assert_eq!(read_fetch(version, &bytes, step, aside), expected, "{step}, {aside}");
            }
        }
    });
}

/// A topic with its partitions, each with tagged fields.
type Topic<P> = (TopicName, Vec<(P, Tags)>, Tags);

fn topics<P: Strategy>(flexible: bool, partition: impl Fn() -> P) -> impl Strategy<Value = Vec<Topic<P::Value>>> {
    vec((topic_name(), vec((partition(), tags(flexible)), 0..4), tags(flexible)), 0..4)
}

/// The items of a topic.
fn topic_items(name: &str, partitions: Vec<TopicItem<'_>>, expected: &mut Vec<String>) {
    expected.push(shown(TopicItem::Topic { name: name.as_bytes(), partitions: partitions.len() as u32 }));
    expected.extend(partitions.into_iter().map(shown));
}

#[test]
fn list_offsets_response() {
    use oracle::list_offsets_response::*;
    for_versions(
        versions(ApiKey::ListOffsets),
        |version| {
            let flexible = flexible(ApiKey::ListOffsets, version);
            let found = || (any::<i32>(), any::<i16>(), any::<i64>(), any::<i64>(), any::<i32>());
            (any::<i32>(), topics(flexible, found), tags(flexible))
        },
        |version, (throttle, topics, tags)| {
            let mut expected = Vec::new();
            let mut response = oracle::ListOffsetsResponse::default().with_unknown_tagged_fields(tags);
            if version >= 2 {
                response.throttle_time_ms = throttle;
                expected.push(shown(TopicItem::Throttle(throttle)));
            }
            for (name, partitions, tags) in topics {
                let mut topic = ListOffsetsTopicResponse::default().with_unknown_tagged_fields(tags);
                let mut founds = Vec::new();
                for ((index, error, timestamp, offset, epoch), tags) in partitions {
                    let leader_epoch = if version >= 4 { epoch } else { -1 };
                    let error = ErrorCode(error);
                    founds.push(TopicItem::Partition { index, error, timestamp, offset, leader_epoch });
                    topic.partitions.push(
                        ListOffsetsPartitionResponse::default()
                            .with_partition_index(index)
                            .with_error_code(error.0)
                            .with_timestamp(timestamp)
                            .with_offset(offset)
                            .with_leader_epoch(leader_epoch)
                            .with_unknown_tagged_fields(tags),
                    );
                }
                topic_items(&name, founds, &mut expected);
                response.topics.push(topic.with_name(name));
            }
            check(AnyReader::new(ApiKey::ListOffsets, version), &encoded(&response, version), &expected, ROOM);
        },
    );
}

#[test]
fn offset_for_leader_epoch_response() {
    use oracle::offset_for_leader_epoch_response::*;
    for_versions(
        versions(ApiKey::OffsetForLeaderEpoch),
        |version| {
            let flexible = flexible(ApiKey::OffsetForLeaderEpoch, version);
            let end = || (any::<i16>(), any::<i32>(), any::<i32>(), any::<i64>());
            (any::<i32>(), topics(flexible, end), tags(flexible))
        },
        |version, (throttle, topics, tags)| {
            let mut expected = vec![shown(TopicItem::Throttle(throttle))];
            let mut response = oracle::OffsetForLeaderEpochResponse::default()
                .with_throttle_time_ms(throttle)
                .with_unknown_tagged_fields(tags);
            for (name, partitions, tags) in topics {
                let mut topic = OffsetForLeaderTopicResult::default().with_unknown_tagged_fields(tags);
                let mut ends = Vec::new();
                for ((error, index, leader_epoch, end_offset), tags) in partitions {
                    let error = ErrorCode(error);
                    let (timestamp, offset) = (-1, end_offset);
                    ends.push(TopicItem::Partition { index, error, timestamp, offset, leader_epoch });
                    topic.partitions.push(
                        EpochEndOffset::default()
                            .with_error_code(error.0)
                            .with_partition(index)
                            .with_leader_epoch(leader_epoch)
                            .with_end_offset(end_offset)
                            .with_unknown_tagged_fields(tags),
                    );
                }
                topic_items(&name, ends, &mut expected);
                response.topics.push(topic.with_topic(name));
            }
            let reader = AnyReader::new(ApiKey::OffsetForLeaderEpoch, version);
            check(reader, &encoded(&response, version), &expected, ROOM);
        },
    );
}

#[test]
fn offset_commit_response() {
    use oracle::offset_commit_response::*;
    for_versions(
        versions(ApiKey::OffsetCommit),
        |version| {
            let flexible = flexible(ApiKey::OffsetCommit, version);
            (any::<i32>(), topics(flexible, || (any::<i32>(), any::<i16>())), tags(flexible))
        },
        |version, (throttle, topics, tags)| {
            let mut expected = vec![shown(TopicItem::Throttle(throttle))];
            let mut response = oracle::OffsetCommitResponse::default()
                .with_throttle_time_ms(throttle)
                .with_unknown_tagged_fields(tags);
            for (name, partitions, tags) in topics {
                let mut topic = OffsetCommitResponseTopic::default().with_unknown_tagged_fields(tags);
                let mut kept = Vec::new();
                for ((index, error), tags) in partitions {
                    let (error, timestamp, offset, leader_epoch) = (ErrorCode(error), -1, -1, -1);
                    kept.push(TopicItem::Partition { index, error, timestamp, offset, leader_epoch });
                    let error = error.0;
                    let partition = OffsetCommitResponsePartition::default().with_partition_index(index);
                    topic.partitions.push(partition.with_error_code(error).with_unknown_tagged_fields(tags));
                }
                topic_items(&name, kept, &mut expected);
                response.topics.push(topic.with_name(name));
            }
            check(AnyReader::new(ApiKey::OffsetCommit, version), &encoded(&response, version), &expected, ROOM);
        },
    );
}

#[test]
fn offset_fetch_response() {
    use oracle::offset_fetch_response::*;
    for_versions(
        versions(ApiKey::OffsetFetch),
        |version| {
            let flexible = flexible(ApiKey::OffsetFetch, version);
            let position = || (any::<i32>(), any::<i64>(), any::<i32>(), skipped(), any::<i16>());
            let group = (skipped(), topics(flexible, position), any::<i16>(), tags(flexible));
            let groups = if version >= 8 { 0..3 } else { 1..2 };
            (any::<i32>(), vec(group, groups), tags(flexible))
        },
        |version, (throttle, groups, tags)| {
            let mut expected = vec![shown(TopicItem::Throttle(throttle))];
            let mut response =
                oracle::OffsetFetchResponse::default().with_throttle_time_ms(throttle).with_unknown_tagged_fields(tags);
            for (group_id, topics, error, tags) in groups {
                let mut group = OffsetFetchResponseGroup::default()
                    .with_group_id(group_id.unwrap_or_default().into())
                    .with_error_code(error)
                    .with_unknown_tagged_fields(tags);
                for (name, partitions, tags) in topics {
                    let many = partitions.len() as u32;
                    expected.push(shown(TopicItem::Topic { name: name.as_bytes(), partitions: many }));
                    let topic = OffsetFetchResponseTopics::default().with_name(name).with_unknown_tagged_fields(tags);
                    let row = partitions.into_iter().map(|((index, offset, leader_epoch, words, error), tags)| {
                        expected.push(shown(TopicItem::Partition {
                            index,
                            error: ErrorCode(error),
                            timestamp: -1,
                            offset,
                            leader_epoch,
                        }));
                        OffsetFetchResponsePartitions::default()
                            .with_partition_index(index)
                            .with_committed_offset(offset)
                            .with_committed_leader_epoch(leader_epoch)
                            .with_metadata(words)
                            .with_error_code(error)
                            .with_unknown_tagged_fields(tags)
                    });
                    group.topics.push(topic.with_partitions(row.collect()));
                }
                expected.push(shown(TopicItem::Group(ErrorCode(error))));
                response.groups.push(group);
            }
            if version < 8 {
                let group = response.groups.remove(0);
                response.error_code = group.error_code;
                response.topics = group.topics.into_iter().map(without_groups).collect();
            }
            check(AnyReader::new(ApiKey::OffsetFetch, version), &encoded(&response, version), &expected, ROOM);
        },
    );
}

/// A topic as it is up to version 7.
fn without_groups(
    topic: oracle::offset_fetch_response::OffsetFetchResponseTopics,
) -> oracle::offset_fetch_response::OffsetFetchResponseTopic {
    use oracle::offset_fetch_response::*;
    let partitions = topic.partitions.into_iter().map(|of| {
        OffsetFetchResponsePartition::default()
            .with_partition_index(of.partition_index)
            .with_committed_offset(of.committed_offset)
            .with_committed_leader_epoch(of.committed_leader_epoch)
            .with_metadata(of.metadata)
            .with_error_code(of.error_code)
            .with_unknown_tagged_fields(of.unknown_tagged_fields)
    });
    OffsetFetchResponseTopic::default()
        .with_name(topic.name)
        .with_partitions(partitions.collect())
        .with_unknown_tagged_fields(topic.unknown_tagged_fields)
}

#[test]
fn find_coordinator_response() {
    for_versions(
        versions(ApiKey::FindCoordinator),
        |version| {
            let flexible = flexible(ApiKey::FindCoordinator, version);
            let groups = if version >= 4 { 0..3 } else { 1..2 };
            let group = (skipped(), broker(), name(), any::<i32>(), any::<i16>(), skipped(), tags(flexible));
            (any::<i32>(), vec(group, groups), tags(flexible))
        },
        |version, (throttle, groups, tags)| {
            let mut expected = vec![shown(find_coordinator::Item::Throttle(throttle))];
            let mut response = oracle::FindCoordinatorResponse::default()
                .with_throttle_time_ms(throttle)
                .with_unknown_tagged_fields(tags);
            for (group, id, host, port, error, message, tags) in groups {
                let (node_id, outcome) = (id.0, ErrorCode(error));
                let item = find_coordinator::Item::Coordinator { error: outcome, node_id, host: host.as_bytes(), port };
                expected.push(shown(item));
                if version >= 4 {
                    let of = oracle::find_coordinator_response::Coordinator::default()
                        .with_key(group.unwrap_or_default())
                        .with_node_id(id)
                        .with_host(host)
                        .with_port(port);
                    let of = of.with_error_code(error).with_error_message(message);
                    response.coordinators.push(of.with_unknown_tagged_fields(tags));
                } else {
                    response = response.with_node_id(id).with_host(host).with_port(port);
                    response = response.with_error_code(error).with_error_message(message);
                }
            }
            check(AnyReader::new(ApiKey::FindCoordinator, version), &encoded(&response, version), &expected, ROOM);
        },
    );
}
