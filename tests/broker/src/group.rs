//! FindCoordinator, OffsetCommit and OffsetFetch: positions kept under a group's name. No members.

use std::collections::BTreeMap;

use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{
    BrokerId, FindCoordinatorRequest, FindCoordinatorResponse, OffsetCommitRequest, OffsetCommitResponse,
    OffsetFetchRequest, OffsetFetchResponse, TopicName,
};

use crate::cluster::Cluster;
use crate::error;
use crate::fault::Forced;
use crate::request::{Answer, Context, Request};

/// A group: where it is kept, and its positions by topic and partition: offset and leader epoch.
#[derive(Debug, Clone, Default)]
pub(crate) struct Group {
    /// The node that a test has chosen.
    node: Option<i32>,
    positions: BTreeMap<(String, i32), (i64, i32)>,
    commits: u64,
}

/// Partitions asked for, by topic; `None` for all.
type Asked = Option<Vec<(TopicName, Vec<i32>)>>;

/// Partition, offset and leader epoch, by topic.
type Positions = Vec<(TopicName, Vec<(i32, i64, i32)>)>;

impl Cluster {
    /// Lets another node keep a group. Its positions go with it.
    pub fn move_coordinator(&mut self, group: &str, node: i32) {
        self.groups.entry(group.to_owned()).or_default().node = Some(node);
    }

    /// The position that a group keeps: the offset, and the leader epoch of the record before it.
    pub fn committed(&self, group: &str, topic: &str, partition: i32) -> Option<(i64, i32)> {
        self.groups.get(group)?.positions.get(&(topic.to_owned(), partition)).copied()
    }

    /// How often positions of a group were written.
    pub fn commits(&self, group: &str) -> u64 {
        self.groups.get(group).map_or(0, |group| group.commits)
    }

    /// The node that keeps a group: the one that was chosen if it is up, else the first one that is.
    fn coordinator(&self, group: &str) -> Option<i32> {
        let chosen = self.groups.get(group).and_then(|group| group.node).filter(|node| self.is_up(*node));
        chosen.or_else(|| self.nodes_up().next())
    }

    fn kept_here(&self, group: &str, context: &Context) -> i16 {
        match self.coordinator(group) {
            _ if group.is_empty() => error::INVALID_GROUP_ID,
            Some(node) if node == context.node => error::NONE,
            _ => error::NOT_COORDINATOR,
        }
    }

    pub(crate) fn find_coordinator(
        &mut self,
        request: &Request<'_>,
        context: &Context,
        forced: Option<&Forced>,
    ) -> Option<Answer> {
        let body = request.decode::<FindCoordinatorRequest>()?;
        let keys = if context.version >= 4 { body.coordinator_keys } else { vec![body.key] };
        let mut response = FindCoordinatorResponse::default().with_throttle_time_ms(if context.version >= 1 {
            context.throttle_ms
        } else {
            0
        });
        for key in keys {
            let node = self.coordinator(&key).and_then(|node| self.node(node));
            let code = match (forced, node) {
                (Some(forced), _) => forced.code,
                _ if body.key_type != 0 => error::INVALID_REQUEST,
                _ if key.is_empty() => error::INVALID_GROUP_ID,
                (None, None) => error::COORDINATOR_NOT_AVAILABLE,
                (None, Some(_)) => error::NONE,
            };
            let (id, host, port) = match node.filter(|_| code == error::NONE) {
                Some(node) => (node.id, node.host.clone(), node.port),
                None => (-1, Default::default(), -1),
            };
            if context.version >= 4 {
                let coordinator = Coordinator::default().with_key(key).with_error_code(code);
                let coordinator = coordinator.with_node_id(BrokerId(id)).with_host(host).with_port(port);
                response.coordinators.push(coordinator);
            } else {
                response = response.with_error_code(code).with_node_id(BrokerId(id)).with_host(host).with_port(port);
            }
        }
        Some(Answer::frame(context, &response))
    }

    pub(crate) fn offset_commit(
        &mut self,
        request: &Request<'_>,
        context: &Context,
        forced: Option<&Forced>,
    ) -> Option<Answer> {
        let body = request.decode::<OffsetCommitRequest>()?;
        let name = body.group_id.0.to_string();
        let mut code = self.kept_here(&name, context);
        if code == error::NONE && (body.generation_id_or_member_epoch >= 0 || !body.member_id.is_empty()) {
            code = error::UNKNOWN_MEMBER_ID;
        }
        let mut topics = Vec::with_capacity(body.topics.len());
        for topic in body.topics {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for wanted in topic.partitions {
                let index = wanted.partition_index;
                let met = forced.filter(|of| of.concerns(&topic.name, index));
                let exists = self.partition(&topic.name, index).is_some();
                let own = if exists || code != error::NONE { code } else { error::UNKNOWN_TOPIC_OR_PARTITION };
                if own == error::NONE && met.is_none_or(|forced| forced.applied) {
                    let epoch = if context.version >= 6 { wanted.committed_leader_epoch } else { -1 };
                    let group = self.groups.entry(name.clone()).or_default();
                    group.positions.insert((topic.name.to_string(), index), (wanted.committed_offset, epoch));
                    group.commits += 1;
                }
                let answer = OffsetCommitResponsePartition::default().with_partition_index(index);
                partitions.push(answer.with_error_code(met.map_or(own, |forced| forced.code)));
            }
            topics.push(OffsetCommitResponseTopic::default().with_name(topic.name).with_partitions(partitions));
        }
        let response = OffsetCommitResponse::default()
            .with_throttle_time_ms(if context.version >= 3 { context.throttle_ms } else { 0 })
            .with_topics(topics);
        Some(Answer::frame(context, &response))
    }

    pub(crate) fn offset_fetch(
        &mut self,
        request: &Request<'_>,
        context: &Context,
        forced: Option<&Forced>,
    ) -> Option<Answer> {
        let body = request.decode::<OffsetFetchRequest>()?;
        let mut response = OffsetFetchResponse::default().with_throttle_time_ms(if context.version >= 3 {
            context.throttle_ms
        } else {
            0
        });
        if context.version < 8 {
            let asked =
                body.topics.map(|topics| topics.into_iter().map(|of| (of.name, of.partition_indexes)).collect());
            let (code, found) = self.positions(&body.group_id.0, asked, context, forced);
            response.error_code = code;
            response.topics = (found.into_iter())
                .map(|(name, positions)| {
                    let partition = |(index, offset, epoch)| {
                        let answer = OffsetFetchResponsePartition::default().with_partition_index(index);
                        answer
                            .with_committed_offset(offset)
                            .with_committed_leader_epoch(epoch)
                            .with_metadata(Some("".into()))
                    };
                    let partitions = positions.into_iter().map(partition).collect();
                    OffsetFetchResponseTopic::default().with_name(name).with_partitions(partitions)
                })
                .collect();
        }
        for group in body.groups {
            let asked =
                group.topics.map(|topics| topics.into_iter().map(|of| (of.name, of.partition_indexes)).collect());
            let (code, found) = self.positions(&group.group_id.0, asked, context, forced);
            let topics = (found.into_iter())
                .map(|(name, positions)| {
                    let partition = |(index, offset, epoch)| {
                        let answer = OffsetFetchResponsePartitions::default().with_partition_index(index);
                        answer
                            .with_committed_offset(offset)
                            .with_committed_leader_epoch(epoch)
                            .with_metadata(Some("".into()))
                    };
                    let partitions = positions.into_iter().map(partition).collect();
                    OffsetFetchResponseTopics::default().with_name(name).with_partitions(partitions)
                })
                .collect();
            let answer = OffsetFetchResponseGroup::default().with_group_id(group.group_id).with_error_code(code);
            response.groups.push(answer.with_topics(topics));
        }
        Some(Answer::frame(context, &response))
    }

    /// The positions asked for, by topic: partition, offset, leader epoch; -1 for those that are not kept.
    fn positions(&self, name: &str, asked: Asked, context: &Context, forced: Option<&Forced>) -> (i16, Positions) {
        let code = forced.map_or_else(|| self.kept_here(name, context), |forced| forced.code);
        if code != error::NONE {
            return (code, Vec::new());
        }
        let kept = self.groups.get(name).map(|group| group.positions.clone()).unwrap_or_default();
        let asked = asked.unwrap_or_else(|| {
            let mut all: Vec<(TopicName, Vec<i32>)> = Vec::new();
            for (topic, index) in kept.keys() {
                match all.last_mut() {
                    Some((last, indexes)) if last.0.as_str() == topic => indexes.push(*index),
                    _ => all.push((TopicName(topic.clone().into()), vec![*index])),
                }
            }
            all
        });
        let found = |(topic, indexes): (TopicName, Vec<i32>)| {
            let position = |index: i32| {
                let (offset, epoch) = kept.get(&(topic.0.to_string(), index)).copied().unwrap_or((-1, -1));
                (index, offset, epoch)
            };
            let positions = indexes.into_iter().map(position).collect();
            (topic, positions)
        };
        (error::NONE, asked.into_iter().map(found).collect())
    }
}
