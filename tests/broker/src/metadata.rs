//! Metadata: which brokers, topics, partitions and leaders there are, as one node sees them.

use std::collections::BTreeSet;

use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{BrokerId, MetadataRequest, MetadataResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use crate::cluster::Cluster;
use crate::error;
use crate::fault::Forced;
use crate::options::{Release, TopicOptions};
use crate::request::{Answer, Context, Request, is_valid_topic_name};
use crate::topic::Leadership;

impl Cluster {
    pub(crate) fn metadata(
        &mut self,
        request: &Request<'_>,
        context: &Context,
        forced: Option<&Forced>,
    ) -> Option<Answer> {
        let version = context.version;
        let body = request.decode::<MetadataRequest>()?;
        // Kafka answers these two with an error that has no place in the response: the connection ends either way.
        let by_id_too_early = |topic: &kafka_protocol::messages::metadata_request::MetadataRequestTopic| {
            topic.name.is_none() || !topic.topic_id.is_nil()
        };
        if version < 12 && body.topics.iter().flatten().any(by_id_too_early) {
            return None;
        }
        if let Some(forced) = forced
            && !forced.applied
        {
            return Some(self.forced_metadata(&body, context, forced.code));
        }
        let all = match &body.topics {
            None => true,
            Some(topics) => version == 0 && topics.is_empty(),
        };
        let mut topics = Vec::new();
        if all {
            topics.extend(self.all_topics(context));
        } else {
            // Kafka takes the topics as a set: one that is asked for twice is answered once.
            let mut seen = BTreeSet::new();
            for topic in body.topics.iter().flatten() {
                if !seen.insert((&topic.name, topic.topic_id)) {
                    continue;
                }
                let answer = match &topic.name {
                    _ if !topic.topic_id.is_nil() => self.topic_by_id(topic.topic_id, context),
                    Some(name) => {
                        let may_create = version < 4 || body.allow_auto_topic_creation;
                        self.topic_by_name(name, may_create, context)
                    }
                    None => return None,
                };
                topics.push(answer);
            }
        }
        if let Some(forced) = forced {
            for topic in &mut topics {
                topic.error_code = forced.code;
                topic.partitions.clear();
            }
        }
        Some(self.metadata_answer(topics, context))
    }

    fn metadata_answer(&self, topics: Vec<MetadataResponseTopic>, context: &Context) -> Answer {
        let stale = self.node(context.node).and_then(|node| node.stale.as_ref());
        let controller = stale.map_or_else(|| self.controller(), |stale| stale.controller);
        let brokers = (self.nodes.iter())
            .filter(|node| stale.map_or(node.up, |stale| stale.brokers.contains(&node.id)))
            .map(|node| {
                MetadataResponseBroker::default()
                    .with_node_id(BrokerId(node.id))
                    .with_host(node.host.clone())
                    .with_port(node.port)
                    .with_rack(node.rack.clone())
            })
            .collect();
        let response = MetadataResponse::default()
            .with_throttle_time_ms(context.throttle_ms)
            .with_brokers(brokers)
            .with_cluster_id(Some(StrBytes::from_string(self.options.cluster_id.clone())))
            .with_controller_id(BrokerId(controller))
            .with_topics(topics);
        Answer::frame(context, &response)
    }

    /// Version 13 has a place for an error of the whole request; before it every topic carries the error.
    fn forced_metadata(&self, body: &MetadataRequest, context: &Context, code: i16) -> Answer {
        if context.version >= 13 {
            let response = MetadataResponse::default().with_throttle_time_ms(context.throttle_ms).with_error_code(code);
            return Answer::frame(context, &response);
        }
        let topics = (body.topics.iter().flatten())
            .map(|topic| {
                let mut answer = without_partitions(code, None, topic.topic_id);
                answer.name = topic.name.clone();
                if answer.name.is_none() && context.version < 12 {
                    answer.name = Some(TopicName::default());
                }
                answer
            })
            .collect();
        self.metadata_answer(topics, context)
    }

    fn all_topics(&self, context: &Context) -> Vec<MetadataResponseTopic> {
        if let Some(stale) = self.node(context.node).and_then(|node| node.stale.as_ref()) {
            return (stale.topics.iter())
                .filter(|(name, _)| !self.denied_topics.contains(*name))
                .map(|(name, view)| described(name, view.id, view.partitions.iter()))
                .collect();
        }
        (self.topics.iter())
            .filter(|(name, topic)| {
                topic.known_at_ms <= context.now_ms
                    && !self.denied_topics.contains(*name)
                    && !self.is_hidden(name, context.node)
            })
            .map(|(name, topic)| {
                let leaderships = topic.partitions.iter().map(|partition| &partition.leadership);
                described(name, topic.id, leaderships)
            })
            .collect()
    }

    fn topic_by_id(&self, id: Uuid, context: &Context) -> MetadataResponseTopic {
        let unknown = || without_partitions(error::UNKNOWN_TOPIC_ID, None, id);
        let stale = self.node(context.node).and_then(|node| node.stale.as_ref());
        let name = match stale {
            Some(stale) => (stale.topics.iter()).find(|(_, view)| view.id == id).map(|(name, _)| name),
            None => self.topic_names.get(&id),
        };
        match name {
            None => unknown(),
            Some(name) if self.denied_topics.contains(name) => {
                without_partitions(error::TOPIC_AUTHORIZATION_FAILED, None, id)
            }
            Some(name) => self.known_topic(name, context).unwrap_or_else(unknown),
        }
    }

    /// A topic that this node knows at this time.
    fn known_topic(&self, name: &str, context: &Context) -> Option<MetadataResponseTopic> {
        if self.is_hidden(name, context.node) {
            return None;
        }
        if let Some(stale) = self.node(context.node).and_then(|node| node.stale.as_ref()) {
            let view = stale.topics.get(name)?;
            return Some(described(name, view.id, view.partitions.iter()));
        }
        let topic = self.topics.get(name)?;
        if topic.known_at_ms > context.now_ms {
            return None;
        }
        let leaderships = topic.partitions.iter().map(|partition| &partition.leadership);
        Some(described(name, topic.id, leaderships))
    }

    fn topic_by_name(&mut self, name: &TopicName, may_create: bool, context: &Context) -> MetadataResponseTopic {
        let refused = |code| without_partitions(code, Some(name), Uuid::nil());
        if self.denied_topics.contains(name.as_str()) {
            return refused(error::TOPIC_AUTHORIZATION_FAILED);
        }
        if let Some(known) = self.known_topic(name, context) {
            return known;
        }
        if !is_valid_topic_name(name) {
            return refused(error::INVALID_TOPIC_EXCEPTION);
        }
        if self.is_hidden(name, context.node) || !may_create || !self.options.auto_create_topics {
            return refused(error::UNKNOWN_TOPIC_OR_PARTITION);
        }
        if !self.topics.contains_key(name.as_str()) {
            let partitions = self.options.default_partitions.max(1);
            let known_at_ms = context.now_ms.saturating_add(self.options.creation_ms);
            self.insert_topic(name, partitions, TopicOptions::default(), known_at_ms);
        }
        // Even the request that creates a topic is told that there is none yet.
        refused(match self.options.release {
            Release::V2_1 => error::LEADER_NOT_AVAILABLE,
            _ => error::UNKNOWN_TOPIC_OR_PARTITION,
        })
    }
}

fn without_partitions(code: i16, name: Option<&TopicName>, id: Uuid) -> MetadataResponseTopic {
    MetadataResponseTopic::default().with_error_code(code).with_name(name.cloned()).with_topic_id(id)
}

fn described<'a>(name: &str, id: Uuid, partitions: impl Iterator<Item = &'a Leadership>) -> MetadataResponseTopic {
    let ids = |nodes: &[i32]| nodes.iter().copied().map(BrokerId).collect::<Vec<_>>();
    let partitions = partitions
        .enumerate()
        .map(|(index, leadership)| {
            MetadataResponsePartition::default()
                .with_error_code(match leadership.leader {
                    -1 => error::LEADER_NOT_AVAILABLE,
                    _ => error::NONE,
                })
                .with_partition_index(index as i32)
                .with_leader_id(BrokerId(leadership.leader))
                .with_leader_epoch(leadership.leader_epoch)
                .with_replica_nodes(ids(&leadership.replicas))
                .with_isr_nodes(ids(&leadership.in_sync))
        })
        .collect();
    MetadataResponseTopic::default()
        .with_name(Some(TopicName(StrBytes::from_string(name.to_owned()))))
        .with_topic_id(id)
        .with_partitions(partitions)
}
