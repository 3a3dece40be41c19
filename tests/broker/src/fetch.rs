//! Fetch and ListOffsets: enough to read what is in the logs. No sessions, no followers, no transactions.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::fetch_request::FetchPartition;
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::list_offsets_request::ListOffsetsPartition;
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::{FetchRequest, FetchResponse, ListOffsetsRequest, ListOffsetsResponse};

use crate::cluster::Cluster;
use crate::error;
use crate::fault::Forced;
use crate::inspect::PartitionInfo;
use crate::request::{Answer, Context, Request};

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
        let topics = (body.topics.into_iter())
            .map(|topic| {
                let partitions = (topic.partitions.iter())
                    .map(|wanted| {
                        let index = wanted.partition_index;
                        let found = match forced.filter(|of| of.concerns(&topic.name, index)) {
                            Some(forced) => Err(forced.code),
                            None => self.find_offset(&topic.name, wanted, context),
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
        context: &Context,
    ) -> Result<(i64, i64, i32), i16> {
        let epoch = if context.version >= 4 { wanted.current_leader_epoch } else { -1 };
        let partition = self.readable(topic, wanted.partition_index, epoch, context)?;
        let nothing = (-1, -1, -1);
        Ok(match wanted.timestamp {
            -1 => (partition.end_offset(), -1, partition.leader_epoch()),
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
                let batch = partition.batches().find(|batch| batch.max_timestamp() >= timestamp);
                batch.map_or(nothing, |batch| {
                    let start_offset = partition.start_offset();
                    let record =
                        (batch.records()).find(|record| record.timestamp >= timestamp && record.offset >= start_offset);
                    // A compressed batch is not looked into.
                    let (offset, timestamp) = record.map_or((batch.base_offset(), batch.max_timestamp()), |record| {
                        (record.offset, record.timestamp)
                    });
                    (offset, timestamp, batch.leader_epoch())
                })
            }
            _ => nothing,
        })
    }

    pub(crate) fn fetch(
        &mut self,
        request: &Request<'_>,
        context: &Context,
        forced: Option<&Forced>,
    ) -> Option<Answer> {
        let body = request.decode::<FetchRequest>()?;
        // Every answer says session 0, "no session", so that a client asks for everything every time.
        if body.session_id != 0 {
            let response = FetchResponse::default()
                .with_throttle_time_ms(context.throttle_ms)
                .with_error_code(error::FETCH_SESSION_ID_NOT_FOUND);
            return Some(Answer::frame(context, &response));
        }
        let by_id = context.version >= 13;
        let mut left = usize::try_from(body.max_bytes).unwrap_or(0);
        let mut read = 0;
        let mut failed = false;
        let mut topics = Vec::with_capacity(body.topics.len());
        for topic in body.topics {
            let name: Option<&str> = match by_id {
                true => self.topic_names.get(&topic.topic_id).map(String::as_str),
                false => Some(&topic.topic),
            };
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for wanted in &topic.partitions {
                let forced = forced.filter(|of| of.concerns(name.unwrap_or(""), wanted.partition));
                let found = match (name, forced) {
                    (_, Some(forced)) => Err(forced.code),
                    (None, None) => Err(error::UNKNOWN_TOPIC_ID),
                    // The first batch always goes out whole, whatever the limits.
                    (Some(name), None) => self.read(name, wanted, left, read == 0, context),
                };
                let answer = PartitionData::default().with_partition_index(wanted.partition);
                partitions.push(match found {
                    Err(code) => {
                        failed = true;
                        answer.with_error_code(code).with_high_watermark(-1).with_records(Some(Bytes::new()))
                    }
                    Ok((partition, records)) => {
                        read += records.len();
                        left = left.saturating_sub(records.len());
                        answer
                            .with_high_watermark(partition.end_offset())
                            .with_last_stable_offset(partition.end_offset())
                            .with_log_start_offset(partition.start_offset())
                            .with_records(Some(records))
                    }
                });
            }
            let mut response = FetchableTopicResponse::default().with_partitions(partitions);
            if by_id {
                response.topic_id = topic.topic_id;
            } else {
                response.topic = topic.topic;
            }
            topics.push(response);
        }
        let enough = read >= usize::try_from(body.min_bytes).unwrap_or(0);
        let wait_ms = match failed || enough {
            true => 0,
            false => u64::try_from(body.max_wait_ms).unwrap_or(0),
        };
        let response = FetchResponse::default().with_throttle_time_ms(context.throttle_ms).with_responses(topics);
        Some(Answer { wait_ms, ..Answer::frame(context, &response) })
    }

    fn read(
        &self,
        topic: &str,
        wanted: &FetchPartition,
        limit: usize,
        first: bool,
        context: &Context,
    ) -> Result<(PartitionInfo<'_>, Bytes), i16> {
        let epoch = if context.version >= 9 { wanted.current_leader_epoch } else { -1 };
        let partition = self.readable(topic, wanted.partition, epoch, context)?;
        if !(partition.start_offset()..=partition.end_offset()).contains(&wanted.fetch_offset) {
            return Err(error::OFFSET_OUT_OF_RANGE);
        }
        let limit = limit.min(usize::try_from(wanted.partition_max_bytes).unwrap_or(0));
        let mut records = BytesMut::new();
        for batch in partition.batches_from(wanted.fetch_offset) {
            let alone = first && records.is_empty();
            if !alone && records.len() + batch.bytes().len() > limit {
                break;
            }
            records.extend_from_slice(batch.bytes());
        }
        Ok((partition, records.freeze()))
    }
}
