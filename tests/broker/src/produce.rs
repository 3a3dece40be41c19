//! Produce: batches checked, judged by their producer's state, and appended, in the order of Kafka's own checks.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::produce_request::PartitionProduceData;
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, TopicProduceResponse,
};
use kafka_protocol::messages::{BrokerId, ProduceRequest, ProduceResponse};
use kafka_protocol::protocol::StrBytes;

use crate::batch::{self, Refusal, Rules};
use crate::cluster::Cluster;
use crate::error;
use crate::fault::Forced;
use crate::log::LogBatch;
use crate::options::Release;
use crate::producer_state::{Expiration, Sequenced, Verdict, increment_sequence};
use crate::request::{Answer, Context, Request};
use crate::topic::Topic;

/// A batch that is in the log, now or since before.
struct Appended {
    base_offset: i64,
    log_append_time: i64,
}

impl Cluster {
    pub(crate) fn produce(
        &mut self,
        request: &Request<'_>,
        context: &Context,
        forced: Option<&Forced>,
    ) -> Option<Answer> {
        let body = request.decode::<ProduceRequest>()?;
        let acks = body.acks;
        let by_id = context.version >= 13;
        let whole = refusal_of_all(&body);
        let mut failed = false;
        let mut hinted = Vec::new();
        let mut topics = Vec::with_capacity(body.topic_data.len());
        for topic in body.topic_data {
            let mut response = TopicProduceResponse::default()
                .with_partition_responses(Vec::with_capacity(topic.partition_data.len()));
            // A topic is taken out of the map's reach by name: by id the name is looked up first.
            let looked_up;
            let name: Option<&str> = if by_id {
                looked_up = self.topic_names.get(&topic.topic_id).cloned();
                looked_up.as_deref()
            } else {
                Some(&topic.name)
            };
            for data in topic.partition_data {
                let index = data.index;
                let forced = forced.filter(|forced| forced.concerns(name.unwrap_or(""), index));
                let outcome = match (name, forced, whole) {
                    (_, Some(forced), _) if !forced.applied => Err(Refusal::new(forced.code)),
                    (_, _, Some(code)) => Err(Refusal::new(code)),
                    (None, _, _) => Err(Refusal::new(error::UNKNOWN_TOPIC_ID)),
                    (Some(name), _, _) => self.append(name, data, acks, context),
                };
                let outcome = match forced {
                    Some(forced) => Err(Refusal::new(forced.code)),
                    None => outcome,
                };
                failed |= outcome.is_err();
                let start = name.and_then(|name| self.partition(name, index));
                let start = start.map_or(-1, |partition| partition.start_offset());
                let mut answer = partition_answer(index, outcome, start, context.version);
                if answer.error_code == error::NOT_LEADER_OR_FOLLOWER && context.version >= 10 {
                    answer.current_leader = self.leader_hint(name.unwrap_or(""), answer.index, &mut hinted);
                }
                response.partition_responses.push(answer);
            }
            if by_id {
                response.topic_id = topic.topic_id;
            } else {
                response.name = topic.name;
            }
            topics.push(response);
        }
        if acks == 0 {
            // Nobody waits for an answer, so the only way to tell of an error is to hang up.
            return Some(Answer { close: failed, ..Answer::default() });
        }
        let response = ProduceResponse::default()
            .with_responses(topics)
            .with_throttle_time_ms(context.throttle_ms)
            .with_node_endpoints(self.endpoints(&hinted));
        Some(Answer::frame(context, &response))
    }

    /// KIP-951: who leads the partition, and since which epoch; the leader is `hinted` at.
    pub(crate) fn current_leader(&self, topic: &str, index: i32, hinted: &mut Vec<i32>) -> Option<(i32, i32)> {
        let partition = self.partition(topic, index)?;
        let (leader, epoch) = (partition.leader(), partition.leader_epoch());
        if leader >= 0 && !hinted.contains(&leader) {
            hinted.push(leader);
        }
        Some((leader, epoch))
    }

    fn leader_hint(&self, topic: &str, index: i32, hinted: &mut Vec<i32>) -> LeaderIdAndEpoch {
        let Some((leader, epoch)) = self.current_leader(topic, index, hinted) else { return Default::default() };
        LeaderIdAndEpoch::default().with_leader_id(BrokerId(leader)).with_leader_epoch(epoch)
    }

    fn endpoints(&self, nodes: &[i32]) -> Vec<NodeEndpoint> {
        (nodes.iter())
            .filter_map(|id| self.node(*id))
            .map(|node| {
                NodeEndpoint::default()
                    .with_node_id(BrokerId(node.id))
                    .with_host(node.host.clone())
                    .with_port(node.port)
                    .with_rack(node.rack.clone())
            })
            .collect()
    }

    fn append(
        &mut self,
        topic_name: &str,
        data: PartitionProduceData,
        acks: i16,
        context: &Context,
    ) -> Result<Appended, Refusal> {
        if self.denied_topics.contains(topic_name) {
            return Err(Refusal::new(error::TOPIC_AUTHORIZATION_FAILED));
        }
        let unknown = || Refusal::new(error::UNKNOWN_TOPIC_OR_PARTITION);
        if self.is_hidden(topic_name, context.node) {
            return Err(match context.version {
                ..13 => unknown(),
                _ => Refusal::new(error::UNKNOWN_TOPIC_ID),
            });
        }
        let disk_full = self.node(context.node).is_some_and(|node| node.disk_full);
        let release = self.options.release;
        let topic = self.topics.get_mut(topic_name).ok_or_else(unknown)?;
        let rules = rules(&self.options, topic, context);
        let min_in_sync = (topic.options.min_insync_replicas).unwrap_or(self.options.min_insync_replicas);
        let log_append_time = topic.options.log_append_time;
        let partition = topic.partition_mut(data.index).ok_or_else(unknown)?;

        let bytes = data.records.unwrap_or_default();
        let refuse = |refusal| as_of(release, refusal);
        let batch = batch::find(&bytes, context.version >= 7).map_err(refuse)?;
        if !matches!(acks, -1..=1) {
            return Err(Refusal::new(error::INVALID_REQUIRED_ACKS));
        }
        if partition.leadership.leader != context.node {
            return Err(Refusal::new(error::NOT_LEADER_OR_FOLLOWER));
        }
        if disk_full {
            return Err(Refusal::new(error::KAFKA_STORAGE_ERROR));
        }
        if acks == -1 && partition.leadership.in_sync.len() < min_in_sync {
            return Err(Refusal::new(error::NOT_ENOUGH_REPLICAS));
        }
        let header = batch::check(batch, &rules).map_err(refuse)?;
        let size = batch.len();

        let sequenced = (header.producer_id >= 0).then(|| Sequenced {
            producer_id: header.producer_id,
            epoch: header.producer_epoch,
            first_sequence: header.base_sequence,
            last_sequence: increment_sequence(header.base_sequence, header.last_offset_delta),
        });
        if let Some(sequenced) = sequenced {
            let expiration = Expiration {
                after_ms: self.options.producer_id_expiration_ms,
                check_ms: self.options.producer_id_expiration_check_ms,
            };
            let refuse_unknown = release <= Release::V2_1;
            let verdict = (partition.producers).check(sequenced, context.now_ms, expiration, refuse_unknown);
            match verdict {
                Verdict::Append => {}
                Verdict::Duplicate(known) => {
                    self.counters.duplicates += 1;
                    return Ok(Appended {
                        base_offset: known.base_offset,
                        // Kafka answers the batch's own timestamp here, whatever the topic's timestamp type.
                        log_append_time: known.timestamp,
                    });
                }
                Verdict::Refuse(code) => {
                    if code == error::OUT_OF_ORDER_SEQUENCE_NUMBER {
                        self.counters.out_of_order += 1;
                    }
                    return Err(Refusal::new(code));
                }
            }
        }

        let base_offset = partition.log.end_offset();
        let last_offset = base_offset + i64::from(header.last_offset_delta);
        let leader_epoch = partition.leadership.leader_epoch;
        let now_ms = i64::try_from(context.now_ms).unwrap_or(i64::MAX);
        // The codec has copied these bytes from the request for us alone, so they are written in place.
        let mut bytes = bytes.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
        bytes.truncate(size);
        batch::stamp(&mut bytes, base_offset, leader_epoch);
        let mut max_timestamp = header.max_timestamp;
        if log_append_time {
            batch::stamp_append_time(&mut bytes, header.attributes, now_ms);
            max_timestamp = now_ms;
        }
        if let Some(sequenced) = sequenced {
            (partition.producers).record(sequenced, base_offset, last_offset, max_timestamp, context.now_ms);
        }
        partition.log.append(LogBatch {
            base_offset,
            last_offset,
            leader_epoch,
            max_timestamp,
            producer_id: header.producer_id,
            producer_epoch: header.producer_epoch,
            base_sequence: header.base_sequence,
            plain: batch::decompressed(&bytes).ok().flatten(),
            bytes: Bytes::from(bytes),
        });
        self.log_bytes += size;
        self.counters.appended_batches += 1;
        self.counters.appended_records += header.count as u64;
        self.retain();
        Ok(Appended { base_offset, log_append_time: if log_append_time { now_ms } else { -1 } })
    }

    /// Drops the oldest batches of the largest partitions while the cluster holds more than it should. A sixteenth more
    /// than needed goes, so that the largest partition is not looked for at every append.
    fn retain(&mut self) {
        let Some(limit) = self.options.retention_bytes else {
            return;
        };
        if self.log_bytes <= limit {
            return;
        }
        let goal = limit - limit / 16;
        let forgets = self.options.release <= Release::V2_1;
        while self.log_bytes > goal {
            let largest = (self.topics.values_mut())
                .flat_map(|topic| &mut topic.partitions)
                .max_by_key(|partition| partition.log.size());
            let Some(partition) = largest else { return };
            let surplus = self.log_bytes - goal;
            let mut freed = 0;
            // At least one batch, at most half of this partition before another may be the largest.
            let most = surplus.min(partition.log.size() / 2).max(1);
            while freed < most
                && let Some(end) = partition.log.oldest_batch_end()
            {
                freed += partition.log.delete_before(end);
            }
            if forgets {
                partition.producers.forget_before(partition.log.start_offset());
            }
            if freed == 0 {
                return;
            }
            self.log_bytes -= freed;
        }
    }
}

fn rules(options: &crate::Options, topic: &Topic, context: &Context) -> Rules {
    let now_ms = i64::try_from(context.now_ms).unwrap_or(i64::MAX);
    Rules {
        max_message_bytes: topic.options.max_message_bytes.unwrap_or(options.max_message_bytes),
        compacted: topic.options.compacted,
        latest_timestamp: (topic.options.timestamp_after_max_ms)
            .filter(|_| !topic.options.log_append_time)
            .map(|after| now_ms.saturating_add(after)),
    }
}

/// Kafka 2.1 had no `INVALID_RECORD`: it said that the message was corrupt.
fn as_of(release: Release, refusal: Refusal) -> Refusal {
    if release <= Release::V2_1 && refusal.error == error::INVALID_RECORD {
        return Refusal { error: error::CORRUPT_MESSAGE, at_log: false, ..refusal };
    }
    refusal
}

/// What Kafka refuses all partitions of a request for.
fn refusal_of_all(body: &ProduceRequest) -> Option<i16> {
    let partitions = body.topic_data.iter().flat_map(|topic| &topic.partition_data);
    for bytes in partitions.filter_map(|data| data.records.as_ref()) {
        match batch::is_transactional(bytes) {
            Err(refusal) => return Some(refusal.error),
            Ok(true) if body.transactional_id.is_none() => {
                return Some(error::TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
            }
            Ok(_) => {}
        }
    }
    None
}

fn partition_answer(
    index: i32,
    outcome: Result<Appended, Refusal>,
    log_start_offset: i64,
    version: i16,
) -> PartitionProduceResponse {
    let answer = PartitionProduceResponse::default().with_index(index);
    match outcome {
        Ok(appended) => answer
            .with_base_offset(appended.base_offset)
            .with_log_append_time_ms(appended.log_append_time)
            .with_log_start_offset(log_start_offset),
        Err(refusal) => {
            let start = match refusal.at_log {
                true => log_start_offset,
                false => -1,
            };
            let answer = answer
                .with_error_code(refusal.error)
                .with_base_offset(-1)
                .with_log_append_time_ms(-1)
                .with_log_start_offset(start);
            if version < 8 || refusal.records.is_empty() {
                return answer;
            }
            let records = (refusal.records.into_iter())
                .map(|(index, message)| {
                    BatchIndexAndErrorMessage::default()
                        .with_batch_index(index)
                        .with_batch_index_error_message(Some(StrBytes::from_static_str(message)))
                })
                .collect();
            let message = "One or more records have been rejected";
            answer.with_record_errors(records).with_error_message(Some(StrBytes::from_static_str(message)))
        }
    }
}
