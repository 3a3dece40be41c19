//! CreateTopics.

use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse};
use uuid::Uuid;

use crate::cluster::Cluster;
use crate::error;
use crate::fault::Forced;
use crate::options::{Release, TopicOptions};
use crate::request::{Answer, Context, Request, is_valid_topic_name};

/// More partitions of one topic are refused: a request of a few bytes should not take all memory.
const MAX_PARTITIONS: i32 = 100_000;

impl Cluster {
    pub(crate) fn create_topics(
        &mut self,
        request: &Request<'_>,
        context: &Context,
        forced: Option<&Forced>,
    ) -> Option<Answer> {
        let body = request.decode::<CreateTopicsRequest>()?;
        let mut results = Vec::with_capacity(body.topics.len());
        for topic in &body.topics {
            let created = match forced {
                Some(forced) if !forced.applied => Err(forced.code),
                _ => self.create_one(topic, body.validate_only, context),
            };
            let created = match forced {
                Some(forced) => Err(forced.code),
                None => created,
            };
            let mut result = CreatableTopicResult::default().with_name(topic.name.clone());
            match created {
                Err(code) => result.error_code = code,
                Ok((partitions, replication)) if context.version >= 5 => {
                    result.num_partitions = partitions;
                    result.replication_factor = replication;
                    result.configs = Some(Vec::new());
                }
                Ok(_) => {}
            }
            if context.version >= 7 {
                let id = self.topics.get(topic.name.as_str()).map(|topic| topic.id);
                result.topic_id = id.filter(|_| result.error_code == 0).unwrap_or(Uuid::nil());
            }
            results.push(result);
        }
        let response = CreateTopicsResponse::default().with_throttle_time_ms(context.throttle_ms).with_topics(results);
        Some(Answer::frame(context, &response))
    }

    /// Gives the number of partitions and replicas.
    fn create_one(
        &mut self,
        topic: &CreatableTopic,
        validate_only: bool,
        context: &Context,
    ) -> Result<(i32, i16), i16> {
        // Before KRaft a broker that was not the controller said so.
        if self.options.release <= Release::V2_8 && context.node != self.controller() {
            return Err(error::NOT_CONTROLLER);
        }
        let name = topic.name.as_str();
        if self.denied_topics.contains(name) {
            return Err(error::TOPIC_AUTHORIZATION_FAILED);
        }
        if !is_valid_topic_name(name) {
            return Err(error::INVALID_TOPIC_EXCEPTION);
        }
        if self.topics.contains_key(name) {
            return Err(error::TOPIC_ALREADY_EXISTS);
        }
        let defaults = context.version >= 4;
        let nodes = self.nodes.len() as i16;
        if topic.assignments.len() > MAX_PARTITIONS as usize {
            return Err(error::INVALID_PARTITIONS);
        }
        let (partitions, replication) = if topic.assignments.is_empty() {
            let partitions = match topic.num_partitions {
                -1 if defaults => self.options.default_partitions.max(1),
                partitions @ 1..=MAX_PARTITIONS => partitions,
                _ => return Err(error::INVALID_PARTITIONS),
            };
            let replication = match topic.replication_factor {
                -1 if defaults => self.options.replication_factor.clamp(1, nodes),
                factor if (1..=nodes).contains(&factor) => factor,
                _ => return Err(error::INVALID_REPLICATION_FACTOR),
            };
            (partitions, replication)
        } else {
            // The assignment itself is not followed: partitions lie as they always do here.
            let replicas = topic.assignments[0].broker_ids.len().clamp(1, nodes as usize);
            (topic.assignments.len() as i32, replicas as i16)
        };
        let mut options = TopicOptions { replication_factor: Some(replication), ..TopicOptions::default() };
        for config in &topic.configs {
            let value = config.value.as_deref().unwrap_or("");
            configure(&mut options, &config.name, value).ok_or(error::INVALID_CONFIG)?;
        }
        if !validate_only {
            let known_at_ms = context.now_ms.saturating_add(self.options.creation_ms);
            self.insert_topic(name, partitions, options, known_at_ms);
        }
        Ok((partitions, replication))
    }
}

/// Takes over the settings that mean something here; others are accepted without effect.
fn configure(options: &mut TopicOptions, name: &str, value: &str) -> Option<()> {
    match name {
        "message.timestamp.type" => {
            options.log_append_time = match value {
                "CreateTime" => false,
                "LogAppendTime" => true,
                _ => return None,
            }
        }
        "cleanup.policy" => {
            options.compacted = value.split(',').any(|policy| policy.trim() == "compact");
        }
        "max.message.bytes" => options.max_message_bytes = Some(value.parse().ok()?),
        "min.insync.replicas" => options.min_insync_replicas = Some(value.parse().ok()?),
        "message.timestamp.after.max.ms" => {
            options.timestamp_after_max_ms = Some(value.parse().ok()?);
        }
        _ => {}
    }
    Some(())
}
