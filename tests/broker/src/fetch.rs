//! Fetch, ListOffsets and OffsetForLeaderEpoch: reading what is in the logs, of transactions too.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::fetch_request::FetchPartition;
use kafka_protocol::messages::fetch_response::{
    AbortedTransaction, EpochEndOffset as DivergingEpoch, FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint,
    PartitionData,
};
use kafka_protocol::messages::list_offsets_request::ListOffsetsPartition;
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
use kafka_protocol::messages::{
    BrokerId, FetchRequest, FetchResponse, ListOffsetsRequest, ListOffsetsResponse, OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse, TopicName,
};
use std::collections::BTreeMap;
use uuid::Uuid;

use crate::cluster::{Cluster, Node};
use crate::error;
use crate::fault::Forced;
use crate::inspect::PartitionInfo;
use crate::request::{Answer, Context, Request};

/// When there are so many, nobody gets another: as with `max.incremental.fetch.session.cache.slots`.
const SESSIONS_MAX: usize = 1000;

/// `isolation.level`: only what no open transaction is in front of.
const READ_COMMITTED: i8 = 1;

/// The fetch sessions (KIP-227) of all nodes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sessions {
    last: i32,
    of: BTreeMap<i32, Session>,
}

#[derive(Debug, Clone)]
struct Session {
    node: i32,
    by_id: bool,
    /// The one that the next request must have.
    epoch: i32,
    wanted: Vec<Wanted>,
}

/// A partition that is asked for, and what was told of it last: high watermark and log start.
#[derive(Debug, Clone)]
struct Wanted {
    name: Option<String>,
    id: Uuid,
    partition: FetchPartition,
    told: Option<(i64, i64)>,
}

impl Wanted {
    fn is(&self, other: &Wanted) -> bool {
        self.is_of(&other.name, other.id) && self.partition.partition == other.partition.partition
    }

    /// Whether it is of the topic of that id, or of that name where there is none: a name may not be known any more.
    fn is_of(&self, name: &Option<String>, id: Uuid) -> bool {
        self.id == id && (!id.is_nil() || self.name == *name)
    }
}

impl Cluster {
    /// The partition, if this node leads it and the client's leader epoch is the current one.
    fn readable(
        &self,
        topic: &str,
        partition: i32,
        leader_epoch: i32,
        context: &Context,
    ) -> Result<PartitionInfo<'_>, i16> {
        if self.denied_topics.contains(topic) {
            return Err(error::TOPIC_AUTHORIZATION_FAILED);
        }
        if self.is_hidden(topic, context.node) {
            return Err(error::UNKNOWN_TOPIC_OR_PARTITION);
        }
        let partition = self.partition(topic, partition).ok_or(error::UNKNOWN_TOPIC_OR_PARTITION)?;
        if partition.leader() != context.node {
            return Err(error::NOT_LEADER_OR_FOLLOWER);
        }
        match leader_epoch {
            -1 => Ok(partition),
            epoch if epoch < partition.leader_epoch() => Err(error::FENCED_LEADER_EPOCH),
            epoch if epoch > partition.leader_epoch() => Err(error::UNKNOWN_LEADER_EPOCH),
            _ => Ok(partition),
        }
    }

    pub(crate) fn list_offsets(
        &mut self,
        request: &Request<'_>,
        context: &Context,
        forced: Option<&Forced>,
    ) -> Option<Answer> {
        let body = request.decode::<ListOffsetsRequest>()?;
        let committed = body.isolation_level == READ_COMMITTED;
        let topics = (body.topics.into_iter())
            .map(|topic| {
                let partitions = (topic.partitions.iter())
                    .map(|wanted| {
                        let index = wanted.partition_index;
                        let found = match forced.filter(|of| of.concerns(&topic.name, index)) {
                            Some(forced) => Err(forced.code),
                            None => self.find_offset(&topic.name, wanted, committed, context),
                        };
                        let answer = ListOffsetsPartitionResponse::default().with_partition_index(index);
                        match found {
                            Err(code) => answer.with_error_code(code),
                            Ok((offset, timestamp, epoch)) => answer
                                .with_offset(offset)
                                .with_timestamp(timestamp)
                                .with_leader_epoch(if context.version >= 4 { epoch } else { -1 }),
                        }
                    })
                    .collect();
                ListOffsetsTopicResponse::default().with_name(topic.name).with_partitions(partitions)
            })
            .collect();
        let response = ListOffsetsResponse::default()
            .with_throttle_time_ms(if context.version >= 2 { context.throttle_ms } else { 0 })
            .with_topics(topics);
        Some(Answer::frame(context, &response))
    }

    /// Offset, timestamp and leader epoch.
    fn find_offset(
        &self,
        topic: &str,
        wanted: &ListOffsetsPartition,
        committed: bool,
        context: &Context,
    ) -> Result<(i64, i64, i32), i16> {
        let epoch = if context.version >= 4 { wanted.current_leader_epoch } else { -1 };
        let partition = self.readable(topic, wanted.partition_index, epoch, context)?;
        let nothing = (-1, -1, -1);
        let end = if committed { partition.stable_offset() } else { partition.end_offset() };
        Ok(match wanted.timestamp {
            -1 => (end, -1, partition.leader_epoch()),
            // Also the earliest that is not tiered away, which is all of it.
            -2 | -4 => {
                let first = partition.batches().next();
                let epoch = first.map_or(partition.leader_epoch(), |batch| batch.leader_epoch());
                (partition.start_offset(), -1, epoch)
            }
            -3 => {
                let latest = partition.batches().rev().max_by_key(|batch| batch.max_timestamp());
                latest.map_or(nothing, |batch| {
                    let record = batch.records().find(|record| record.timestamp == batch.max_timestamp());
                    let offset = record.map_or(batch.last_offset(), |record| record.offset);
                    (offset, batch.max_timestamp(), batch.leader_epoch())
                })
            }
            timestamp if timestamp >= 0 => {
                let start_offset = partition.start_offset();
                let mut batches = partition.batches().filter(|batch| batch.max_timestamp() >= timestamp);
                let found = batches.find_map(|batch| {
                    // A compressed batch is not looked into.
                    if batch.records().next().is_none() {
                        let offset = batch.base_offset().max(start_offset);
                        return Some((offset, batch.max_timestamp(), batch.leader_epoch()));
                    }
                    // What is left of one that was compacted may be in front of the log's beginning.
                    let record = batch
                        .records()
                        .find(|record| record.timestamp >= timestamp && record.offset >= start_offset)?;
                    Some((record.offset, record.timestamp, batch.leader_epoch()))
                });
                found.filter(|found| found.0 < end).unwrap_or(nothing)
            }
            _ => nothing,
        })
    }

    pub(crate) fn offset_for_leader_epoch(
        &mut self,
        request: &Request<'_>,
        context: &Context,
        forced: Option<&Forced>,
    ) -> Option<Answer> {
        let body = request.decode::<OffsetForLeaderEpochRequest>()?;
        let topics = (body.topics.into_iter())
            .map(|topic| {
                let partitions = (topic.partitions.iter())
                    .map(|wanted| {
                        let index = wanted.partition;
                        let found = match forced.filter(|of| of.concerns(&topic.topic, index)) {
                            Some(forced) => Err(forced.code),
                            None => self.readable(&topic.topic, index, wanted.current_leader_epoch, context),
                        };
                        let answer = EpochEndOffset::default().with_partition(index);
                        match found.map(|partition| epoch_end(&partition, wanted.leader_epoch)) {
                            Err(code) => answer.with_error_code(code),
                            Ok((epoch, end)) => answer.with_leader_epoch(epoch).with_end_offset(end),
                        }
                    })
                    .collect();
                OffsetForLeaderTopicResult::default().with_topic(topic.topic).with_partitions(partitions)
            })
            .collect();
        let response = OffsetForLeaderEpochResponse::default()
            .with_throttle_time_ms(if context.version >= 2 { context.throttle_ms } else { 0 })
            .with_topics(topics);
        Some(Answer::frame(context, &response))
    }

    /// Forgets every fetch session, as a broker does that needs their places for others.
    pub fn forget_fetch_sessions(&mut self) {
        self.sessions.of.clear();
    }

    /// What a request asks for, and the session that it is of; or the code for the whole of it.
    fn session(&mut self, body: FetchRequest, context: &Context) -> Result<(Vec<Wanted>, Option<i32>), i16> {
        let by_id = context.version >= 13;
        let named = |name: &TopicName, id: Uuid| match by_id {
            true => (self.topic_names.get(&id).cloned(), id),
            false => (Some(name.to_string()), id),
        };
        let mut wanted = Vec::new();
        for topic in &body.topics {
            let (name, id) = named(&topic.topic, topic.topic_id);
            let one = |partition: &FetchPartition| Wanted {
                name: name.clone(),
                id,
                partition: partition.clone(),
                told: None,
            };
            wanted.extend(topic.partitions.iter().map(one));
        }
        let forgotten: Vec<(Option<String>, Uuid, Vec<i32>)> = (body.forgotten_topics_data.into_iter())
            .map(|topic| {
                let (name, id) = named(&topic.topic, topic.topic_id);
                (name, id, topic.partitions)
            })
            .collect();
        if body.session_epoch == -1 {
            self.sessions.of.remove(&body.session_id);
            return Ok((wanted, None));
        }
        if body.session_epoch == 0 {
            self.sessions.of.remove(&body.session_id);
            if self.sessions.of.len() >= SESSIONS_MAX {
                return Ok((wanted, None));
            }
            self.sessions.last += 1;
            let id = self.sessions.last;
            self.sessions.of.insert(id, Session { node: context.node, by_id, epoch: 1, wanted: wanted.clone() });
            return Ok((wanted, Some(id)));
        }
        let session = self.sessions.of.get_mut(&body.session_id).filter(|session| session.node == context.node);
        let session = session.ok_or(error::FETCH_SESSION_ID_NOT_FOUND)?;
        if session.epoch != body.session_epoch {
            return Err(error::INVALID_FETCH_SESSION_EPOCH);
        }
        if session.by_id != by_id {
            return Err(error::FETCH_SESSION_TOPIC_ID_ERROR);
        }
        session.epoch = session.epoch.checked_add(1).unwrap_or(1);
        session.wanted.retain(|one| {
            let gone = |(name, id, partitions): &(Option<String>, Uuid, Vec<i32>)| {
                one.is_of(name, *id) && partitions.contains(&one.partition.partition)
            };
            !forgotten.iter().any(gone)
        });
        for one in wanted {
            match session.wanted.iter_mut().find(|other| other.is(&one)) {
                Some(other) => other.partition = one.partition,
                None => session.wanted.push(one),
            }
        }
        Ok((session.wanted.clone(), Some(body.session_id)))
    }

    pub(crate) fn fetch(
        &mut self,
        request: &Request<'_>,
        context: &Context,
        forced: Option<&Forced>,
    ) -> Option<Answer> {
        let body = request.decode::<FetchRequest>()?;
        let by_id = context.version >= 13;
        let (max_wait, min_bytes, max_bytes) = (body.max_wait_ms, body.min_bytes, body.max_bytes);
        let committed = body.isolation_level == READ_COMMITTED;
        let rack = body.rack_id.clone();
        let incremental = body.session_epoch > 0;
        let mut response = FetchResponse::default().with_throttle_time_ms(context.throttle_ms);
        let (wanted, session) = match self.session(body, context) {
            Ok(found) => found,
            Err(code) => return Some(Answer::frame(context, &response.with_error_code(code))),
        };
        let mut left = usize::try_from(max_bytes).unwrap_or(0);
        let (mut read, mut failed, mut hinted) = (0, false, Vec::new());
        let mut told = Vec::new();
        let mut answers: Vec<(Wanted, PartitionData)> = Vec::new();
        for one in wanted {
            let forced = forced.filter(|of| of.concerns(one.name.as_deref().unwrap_or(""), one.partition.partition));
            let found = match (&one.name, forced) {
                (_, Some(forced)) => Err(forced.code),
                (None, None) => Err(error::UNKNOWN_TOPIC_ID),
                // A session may know the name of a topic that was deleted since, and made again.
                (Some(name), None) if self.topics.get(name).is_some_and(|topic| by_id && topic.id != one.id) => {
                    Err(error::INCONSISTENT_TOPIC_ID)
                }
                // The first batch always goes out whole, whatever the limits.
                (Some(name), None) => {
                    let limits = Limits { bytes: left, first: read == 0, committed };
                    self.read(name, &one.partition, &rack, &limits, context)
                }
            };
            let answer = PartitionData::default().with_partition_index(one.partition.partition);
            let answer = match found {
                Err(code) => {
                    failed = true;
                    let hint = (matches!(code, error::NOT_LEADER_OR_FOLLOWER | error::FENCED_LEADER_EPOCH)
                        && context.version >= 16)
                        .then(|| self.current_leader(one.name.as_deref()?, one.partition.partition, &mut hinted));
                    let leader = hint.flatten().map_or_else(LeaderIdAndEpoch::default, |(leader, epoch)| {
                        LeaderIdAndEpoch::default().with_leader_id(BrokerId(leader)).with_leader_epoch(epoch)
                    });
                    let answer = answer.with_error_code(code).with_high_watermark(-1).with_current_leader(leader);
                    answer.with_records(Some(Bytes::new()))
                }
                Ok((partition, found)) => {
                    let answer = answer
                        .with_high_watermark(partition.end_offset())
                        .with_last_stable_offset(partition.stable_offset())
                        .with_log_start_offset(partition.start_offset());
                    match found {
                        Found::Records(records, until) => {
                            read += records.len();
                            left = left.saturating_sub(records.len());
                            let aborted = partition.aborted_transactions(one.partition.fetch_offset, until);
                            let aborted = aborted.map(|(producer_id, first_offset)| {
                                let of = AbortedTransaction::default().with_producer_id(producer_id.into());
                                of.with_first_offset(first_offset)
                            });
                            let aborted = committed.then(|| aborted.collect());
                            answer.with_aborted_transactions(aborted).with_records(Some(records))
                        }
                        Found::Nearer(node) => {
                            failed = true;
                            answer.with_preferred_read_replica(BrokerId(node)).with_records(Some(Bytes::new()))
                        }
                        Found::Diverging(epoch, end_offset) => {
                            failed = true;
                            let diverging = DivergingEpoch::default().with_epoch(epoch).with_end_offset(end_offset);
                            answer.with_diverging_epoch(diverging).with_records(Some(Bytes::new()))
                        }
                    }
                }
            };
            let news = (answer.high_watermark, answer.log_start_offset);
            let is_news = answer.records.as_ref().is_some_and(|records| !records.is_empty())
                || answer.error_code != error::NONE
                || answer.diverging_epoch.epoch >= 0
                || answer.preferred_read_replica.0 >= 0
                || one.told != Some(news);
            told.push((one.clone(), news));
            if !incremental || is_news {
                answers.push((one, answer));
            }
        }
        if let Some(session) = session.and_then(|id| self.sessions.of.get_mut(&id)) {
            for (one, news) in told {
                if let Some(one) = session.wanted.iter_mut().find(|other| other.is(&one)) {
                    one.told = Some(news);
                }
            }
        }
        for (one, answer) in answers {
            let same = |last: &&mut FetchableTopicResponse| match by_id {
                true => last.topic_id == one.id,
                false => Some(last.topic.as_str()) == one.name.as_deref(),
            };
            if let Some(last) = response.responses.last_mut().filter(same) {
                last.partitions.push(answer);
                continue;
            }
            let mut topic = FetchableTopicResponse::default().with_partitions(vec![answer]);
            if by_id {
                topic.topic_id = one.id;
            } else {
                topic.topic = TopicName(one.name.unwrap_or_default().into());
            }
            response.responses.push(topic);
        }
        let enough = read >= usize::try_from(min_bytes).unwrap_or(0);
        let wait_ms = if failed || enough { 0 } else { u64::try_from(max_wait).unwrap_or(0) };
        response.session_id = session.unwrap_or(0);
        let endpoint = |node: &Node| {
            let endpoint = NodeEndpoint::default().with_node_id(BrokerId(node.id)).with_rack(node.rack.clone());
            endpoint.with_host(node.host.clone()).with_port(node.port)
        };
        response.node_endpoints = hinted.iter().filter_map(|&id| self.node(id)).map(endpoint).collect();
        Some(Answer { wait_ms, ..Answer::frame(context, &response) })
    }

    fn nearer(&self, partition: &PartitionInfo<'_>, rack: &str) -> Option<i32> {
        let is_there = |node: &i32| self.node(*node).is_some_and(|node| node.up && node.rack.as_deref() == Some(rack));
        if is_there(&partition.leader()) {
            return None;
        }
        partition.in_sync().iter().copied().find(is_there)
    }

    fn read(
        &self,
        topic: &str,
        wanted: &FetchPartition,
        rack: &str,
        limits: &Limits,
        context: &Context,
    ) -> Result<(PartitionInfo<'_>, Found), i16> {
        let epoch = if context.version >= 9 { wanted.current_leader_epoch } else { -1 };
        let partition = match self.partition(topic, wanted.partition) {
            // Since Kafka 2.4 a replica in sync serves consumers too; here it has all that the leader has.
            Some(partition) if context.version >= 11 && partition.leader() != context.node => {
                let leader = Context { node: partition.leader(), ..*context };
                let follows = partition.in_sync().contains(&context.node);
                let partition = self.readable(topic, wanted.partition, epoch, &leader)?;
                if follows { partition } else { return Err(error::NOT_LEADER_OR_FOLLOWER) }
            }
            _ => self.readable(topic, wanted.partition, epoch, context)?,
        };
        if partition.leader() == context.node
            && !rack.is_empty()
            && let Some(node) = self.nearer(&partition, rack)
        {
            return Ok((partition, Found::Nearer(node)));
        }
        if context.version >= 12 && wanted.last_fetched_epoch >= 0 {
            let (epoch, end) = epoch_end(&partition, wanted.last_fetched_epoch);
            if epoch < 0 {
                return Err(error::OFFSET_OUT_OF_RANGE);
            }
            if epoch < wanted.last_fetched_epoch || end < wanted.fetch_offset {
                return Ok((partition, Found::Diverging(epoch, end)));
            }
        }
        if !(partition.start_offset()..=partition.end_offset()).contains(&wanted.fetch_offset) {
            return Err(error::OFFSET_OUT_OF_RANGE);
        }
        let limit = limits.bytes.min(usize::try_from(wanted.partition_max_bytes).unwrap_or(0));
        let end = if limits.committed { partition.stable_offset() } else { partition.end_offset() };
        let (mut records, mut until) = (BytesMut::new(), wanted.fetch_offset);
        for batch in partition.batches_from(wanted.fetch_offset).take_while(|batch| batch.last_offset() < end) {
            let alone = limits.first && records.is_empty();
            let room = limit.saturating_sub(records.len());
            if alone || batch.bytes().len() <= room {
                records.extend_from_slice(batch.bytes());
                until = batch.last_offset() + 1;
                continue;
            }
            if self.options.cut_batches {
                records.extend_from_slice(&batch.bytes()[..room]);
            }
            break;
        }
        Ok((partition, Found::Records(records.freeze(), until)))
    }
}

/// What may be read at most.
struct Limits {
    bytes: usize,
    /// There is nothing in the answer yet: then a batch goes out whole, however large it is.
    first: bool,
    /// Only what no open transaction is in front of.
    committed: bool,
}

/// What there is behind an offset.
enum Found {
    /// Batches, and the offset behind the last that is whole.
    Records(Bytes, i64),
    /// This replica is in the client's rack, and the leader is not (KIP-392).
    Nearer(i32),
    /// The log has other records than those that were read: the last epoch that both know, and where it ends here.
    Diverging(i32, i64),
}

/// The last epoch up to the one asked for, and the offset behind its last record; -1 for both if the epoch is of a future
/// that the log does not know.
fn epoch_end(partition: &PartitionInfo<'_>, epoch: i32) -> (i32, i64) {
    if epoch == partition.leader_epoch() {
        return (epoch, partition.end_offset());
    }
    if epoch < 0 || epoch > partition.leader_epoch() {
        return (-1, -1);
    }
    let higher = partition.batches().find(|batch| batch.leader_epoch() > epoch);
    let end = higher.map_or(partition.end_offset(), |batch| batch.base_offset());
    let known = partition.batches().rfind(|batch| batch.leader_epoch() <= epoch);
    (known.map_or(epoch, |batch| batch.leader_epoch()), end)
}
