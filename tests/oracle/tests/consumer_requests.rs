//! Requests of a consumer written by demitasse, decoded by `kafka-protocol`: every version, every field.

mod common;

use common::exchange::{exchanged, head};
use common::{for_versions, name, topic_name};
use demitasse_core::protocol::{
    ApiKey, IsolationLevel, fetch, find_coordinator, list_offsets, offset_commit, offset_fetch,
    offset_for_leader_epoch, versions,
};
use kafka_protocol::messages::{self as oracle, TopicName};
use kafka_protocol::protocol::StrBytes;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use std::collections::BTreeMap;
use uuid::Uuid;

/// Topics by name, with partitions of which a test says what they have.
type Topics<P> = BTreeMap<TopicName, Vec<P>>;

fn topics<P: Strategy>(partition: impl Fn() -> P) -> impl Strategy<Value = Topics<P::Value>>
where
    P::Value: Clone,
{
    btree_map(topic_name(), vec(partition(), 1..4), 0..4)
}

/// The partitions in a plain row.
fn row<P>(topics: &Topics<P>) -> impl Iterator<Item = (&str, &P)> + Clone {
    topics.iter().flat_map(|(name, partitions)| partitions.iter().map(|partition| (name.as_str(), partition)))
}

/// The message's topics, from functions that make a partition and a topic of it.
fn of<P, M, T>(topics: &Topics<P>, partition: impl Fn(&P) -> M, topic: impl Fn(&TopicName, Vec<M>) -> T) -> Vec<T> {
    topics.iter().map(|(name, row)| topic(name, row.iter().map(&partition).collect())).collect()
}

fn isolation() -> impl Strategy<Value = IsolationLevel> {
    prop_oneof![Just(IsolationLevel::ReadUncommitted), Just(IsolationLevel::ReadCommitted)]
}

/// An id for a name, different for different names.
fn id(name: &str) -> [u8; 16] {
    let mut id = [7; 16];
    for (place, byte) in id.iter_mut().zip((name.len() as u64).to_be_bytes()) {
        *place = byte;
    }
    for (at, byte) in name.bytes().enumerate() {
        id[8 + at % 8] = id[8 + at % 8].wrapping_mul(31).wrapping_add(byte);
    }
    id
}

fn fetch_topic(name: &str) -> fetch::Topic<'_> {
    fetch::Topic { name: name.as_bytes(), id: id(name) }
}

#[test]
fn fetch_request() {
    use oracle::fetch_request::*;
    for_versions(
        versions(ApiKey::Fetch),
        |_| {
            let numbers = (any::<i32>(), any::<i32>(), any::<i32>(), isolation(), any::<i32>(), any::<i32>());
            let partition = || (any::<i32>(), any::<i32>(), any::<i64>(), any::<i32>(), any::<i32>());
            (head(), numbers, topics(partition), topics(any::<i32>), name())
        },
        |version, (head, numbers, wanted, forgotten, rack_id)| {
            let (max_wait_ms, min_bytes, max_bytes, isolation_level, session_id, session_epoch) = numbers;
            let settings = fetch::Settings {
                max_wait_ms,
                min_bytes,
                max_bytes,
                isolation_level,
                session_id,
                session_epoch,
                rack_id: rack_id.as_bytes(),
            };
            let partitions = row(&wanted).map(|(name, of)| fetch::Partition {
                topic: fetch_topic(name),
                index: of.0,
                current_leader_epoch: of.1,
                fetch_offset: of.2,
                last_fetched_epoch: of.3,
                max_bytes: of.4,
            });
            let gone = row(&forgotten).map(|(name, index)| (fetch_topic(name), *index));
            let read: oracle::FetchRequest = exchanged(ApiKey::Fetch, version, &head, |w| {
                fetch::request(w, version, &settings, partitions.clone(), gone.clone());
            });
            let by_id = version >= 13;
            let named = |name: &TopicName| if by_id { TopicName::default() } else { name.clone() };
            let with_id = |name: &TopicName| if by_id { Uuid::from_bytes(id(name)) } else { Uuid::nil() };
            let expected = oracle::FetchRequest::default()
                .with_max_wait_ms(max_wait_ms)
                .with_min_bytes(min_bytes)
                .with_max_bytes(max_bytes)
                .with_isolation_level(isolation_level as i8)
                .with_session_id(session_id)
                .with_session_epoch(session_epoch)
                .with_rack_id(rack_id)
                .with_topics(of(
                    &wanted,
                    |of| {
                        FetchPartition::default()
                            .with_partition(of.0)
                            .with_current_leader_epoch(of.1)
                            .with_fetch_offset(of.2)
                            .with_last_fetched_epoch(if version >= 12 { of.3 } else { -1 })
                            .with_log_start_offset(-1)
                            .with_partition_max_bytes(of.4)
                    },
                    |name, row| {
                        FetchTopic::default().with_topic(named(name)).with_topic_id(with_id(name)).with_partitions(row)
                    },
                ))
                .with_forgotten_topics_data(of(
                    &forgotten,
                    |index| *index,
                    |name, row| {
                        let topic = ForgottenTopic::default().with_topic(named(name));
                        topic.with_topic_id(with_id(name)).with_partitions(row)
                    },
                ));
            assert_eq!(read, expected);
        },
    );
}

#[test]
fn list_offsets_request() {
    use oracle::list_offsets_request::*;
    for_versions(
        versions(ApiKey::ListOffsets),
        |_| (head(), isolation(), topics(|| (any::<i32>(), any::<i32>(), any::<i64>()))),
        |version, (head, isolation, topics)| {
            let partitions = row(&topics).map(|(topic, of)| list_offsets::Partition {
                topic: topic.as_bytes(),
                index: of.0,
                current_leader_epoch: of.1,
                timestamp: of.2,
            });
            let read: oracle::ListOffsetsRequest = exchanged(ApiKey::ListOffsets, version, &head, |w| {
                list_offsets::request(w, version, isolation, partitions.clone());
            });
            let expected = oracle::ListOffsetsRequest::default()
                .with_replica_id((-1).into())
                .with_isolation_level(if version >= 2 { isolation as i8 } else { 0 })
                .with_topics(of(
                    &topics,
                    |of| {
                        ListOffsetsPartition::default()
                            .with_partition_index(of.0)
                            .with_current_leader_epoch(if version >= 4 { of.1 } else { -1 })
                            .with_timestamp(of.2)
                    },
                    |name, row| ListOffsetsTopic::default().with_name(name.clone()).with_partitions(row),
                ));
            assert_eq!(read, expected);
        },
    );
}

#[test]
fn offset_for_leader_epoch_request() {
    use oracle::offset_for_leader_epoch_request::*;
    for_versions(
        versions(ApiKey::OffsetForLeaderEpoch),
        |_| (head(), topics(|| (any::<i32>(), any::<i32>(), any::<i32>()))),
        |version, (head, topics)| {
            let partitions = row(&topics).map(|(topic, of)| offset_for_leader_epoch::Partition {
                topic: topic.as_bytes(),
                index: of.0,
                current_leader_epoch: of.1,
                leader_epoch: of.2,
            });
            let key = ApiKey::OffsetForLeaderEpoch;
            let read: oracle::OffsetForLeaderEpochRequest = exchanged(key, version, &head, |w| {
                offset_for_leader_epoch::request(w, version, partitions.clone());
            });
            let expected = oracle::OffsetForLeaderEpochRequest::default().with_replica_id((-1).into()).with_topics(of(
                &topics,
                |of| {
                    OffsetForLeaderPartition::default()
                        .with_partition(of.0)
                        .with_current_leader_epoch(of.1)
                        .with_leader_epoch(of.2)
                },
                |name, row| OffsetForLeaderTopic::default().with_topic(name.clone()).with_partitions(row),
            ));
            assert_eq!(read, expected);
        },
    );
}

#[test]
fn find_coordinator_request() {
    for_versions(
        versions(ApiKey::FindCoordinator),
        |_| (head(), name()),
        |version, (head, group)| {
            let read: oracle::FindCoordinatorRequest = exchanged(ApiKey::FindCoordinator, version, &head, |w| {
                find_coordinator::request(w, version, group.as_bytes())
            });
            let expected = oracle::FindCoordinatorRequest::default();
            let expected = match version {
                4.. => expected.with_coordinator_keys(vec![group]),
                _ => expected.with_key(group),
            };
            assert_eq!(read, expected);
        },
    );
}

#[test]
fn offset_commit_request() {
    use oracle::offset_commit_request::*;
    for_versions(
        versions(ApiKey::OffsetCommit),
        |_| {
            let position = || (any::<i32>(), any::<i64>(), any::<i32>(), proptest::option::of(name()));
            (head(), name(), topics(position))
        },
        |version, (head, group, topics)| {
            let positions = row(&topics).map(|(topic, of)| offset_commit::Position {
                topic: topic.as_bytes(),
                index: of.0,
                offset: of.1,
                leader_epoch: of.2,
                metadata: of.3.as_deref(),
            });
            let read: oracle::OffsetCommitRequest = exchanged(ApiKey::OffsetCommit, version, &head, |w| {
                offset_commit::request(w, version, group.as_bytes(), positions.clone());
            });
            let expected = oracle::OffsetCommitRequest::default()
                .with_group_id(group.into())
                .with_generation_id_or_member_epoch(-1)
                .with_member_id(StrBytes::default())
                .with_group_instance_id(None)
                .with_topics(of(
                    &topics,
                    |of| {
                        OffsetCommitRequestPartition::default()
                            .with_partition_index(of.0)
                            .with_committed_offset(of.1)
                            .with_committed_leader_epoch(of.2)
                            .with_committed_metadata(of.3.clone())
                    },
                    |name, row| OffsetCommitRequestTopic::default().with_name(name.clone()).with_partitions(row),
                ));
            assert_eq!(read, expected);
        },
    );
}

#[test]
fn offset_fetch_request() {
    use oracle::offset_fetch_request::*;
    for_versions(
        versions(ApiKey::OffsetFetch),
        |_| (head(), name(), proptest::option::of(topics(any::<i32>)), any::<bool>()),
        |version, (head, group, topics, stable)| {
            let read: oracle::OffsetFetchRequest = exchanged(ApiKey::OffsetFetch, version, &head, |w| match &topics {
                None => offset_fetch::request_all(w, version, group.as_bytes(), stable),
                Some(topics) => {
                    let partitions = row(topics).map(|(name, index)| (name.as_bytes(), *index));
                    offset_fetch::request(w, version, group.as_bytes(), stable, partitions);
                }
            });
            let expected = oracle::OffsetFetchRequest::default().with_require_stable(version >= 7 && stable);
            let index = |index: &i32| *index;
            let expected = if version >= 8 {
                let topics = topics.map(|topics| {
                    of(&topics, index, |name, row| {
                        OffsetFetchRequestTopics::default().with_name(name.clone()).with_partition_indexes(row)
                    })
                });
                let group = OffsetFetchRequestGroup::default().with_group_id(group.into()).with_topics(topics);
                expected.with_groups(vec![group.with_member_id(None).with_member_epoch(-1)])
            } else {
                let topics = topics.map(|topics| {
                    of(&topics, index, |name, row| {
                        OffsetFetchRequestTopic::default().with_name(name.clone()).with_partition_indexes(row)
                    })
                });
                expected.with_group_id(group.into()).with_topics(topics)
            };
            assert_eq!(read, expected);
        },
    );
}
