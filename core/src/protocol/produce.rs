//! Produce, key 0, versions 7 to 12: appends record batches (KIP-98, KIP-467, KIP-951).
//!
//! The request is written in pieces, because the batches are not copied into it: they stay in their buffers
//! and are gathered into the stream by the write itself.
//!
//! ```text
//! request_header, request_start
//!     topic_start                      for each topic
//!         partition_start              for each of its partitions
//!             <the batch, elsewhere>
//!         partition_end
//!     topic_end
//! request_end, patch_frame_length
//! ```

use super::items::{self, Stages, Tags};
use super::{ApiKey, ErrorCode, count, flexible, since};
use crate::wire::{FLEXIBLE, ReadError, Reader, Skip, Step, Steps, Writer};

/// Starts the body of `ProduceRequest`, of `topics` topics, outside of any transaction.
///
/// `acks` is -1 (all replicas in sync), 1 (the leader) or 0: then the broker sends no response at all.
/// `timeout_ms` is how long the leader may wait for the others.
pub fn request_start(writer: &mut Writer<'_>, version: i16, acks: i16, timeout_ms: i32, topics: usize) {
    let flexible = flexible(ApiKey::Produce, version);
    // No transactional id.
    writer.nullable_string(flexible, None);
    writer.i16(acks);
    writer.i32(timeout_ms);
    writer.array_length(flexible, topics);
}

/// Starts a topic of `partitions` partitions; its name as bytes, which are text.
pub fn topic_start(writer: &mut Writer<'_>, version: i16, name: &[u8], partitions: usize) {
    let flexible = flexible(ApiKey::Produce, version);
    writer.string(flexible, name);
    writer.array_length(flexible, partitions);
}

/// Starts a partition: `batch_length` bytes of record batches come next.
pub fn partition_start(writer: &mut Writer<'_>, version: i16, index: i32, batch_length: usize) {
    writer.i32(index);
    writer.array_length(flexible(ApiKey::Produce, version), batch_length);
}

/// Ends a partition, behind its batches.
pub fn partition_end(writer: &mut Writer<'_>, version: i16) {
    writer.no_tags(flexible(ApiKey::Produce, version));
}

/// Ends a topic, behind its partitions.
pub fn topic_end(writer: &mut Writer<'_>, version: i16) {
    writer.no_tags(flexible(ApiKey::Produce, version));
}

/// Ends the request, behind its topics.
pub fn request_end(writer: &mut Writer<'_>, version: i16) {
    writer.no_tags(flexible(ApiKey::Produce, version));
}

/// A piece of `ProduceResponse`, in the order of the message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Item<'a> {
    /// A topic; its partitions follow.
    Topic {
        /// The bytes of its name: they are only compared, with every batch, so nobody looks whether they are text.
        name: &'a [u8],
        /// How many [`Item::Partition`] the message claims to have for it.
        partitions: u32,
    },
    /// What became of the batches of a partition of the last topic.
    Partition {
        /// The partition's number.
        index: i32,
        /// The outcome.
        error: ErrorCode,
        /// The offset of the first record, -1 when it is not known.
        base_offset: i64,
        /// When the broker appended it, in milliseconds since 1970; -1 when the topic keeps the records' own
        /// timestamps.
        log_append_time: i64,
        /// The first offset that the partition still has, -1 when unknown.
        log_start_offset: i64,
    },
    /// A record that caused the batch of the last partition to be dropped (version 8 and later, KIP-467).
    RecordError {
        /// The record's index in its batch.
        batch_index: i32,
    },
    /// Who leads the last partition now, when it is not the broker that was asked (version 10 and later,
    /// KIP-951).
    CurrentLeader {
        /// The broker's id, -1 for unknown.
        leader_id: i32,
        /// The epoch of its leadership, -1 for unknown.
        leader_epoch: i32,
    },
    /// How long the broker asks for silence, in milliseconds; behind all topics.
    Throttle(i32),
    /// Where a broker named by a [`Item::CurrentLeader`] is reached (version 10 and later, KIP-951).
    NodeEndpoint {
        /// The broker's id.
        node_id: i32,
        /// Its host.
        host: &'a [u8],
        /// Its port.
        port: i32,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    TopicCount,
    Topic,
    Partition,
    RecordErrorCount,
    RecordError,
    PartitionTagCount,
    PartitionTag,
    CurrentLeader,
    Throttle,
    TagCount,
    Tag,
    EndpointCount,
    Endpoint,
    Done,
}

/// How a partition that was written ends in a flexible version: no record errors, no message, no tagged
/// fields. Taken in one step, since on the way of every batch it is the only end that matters.
const NOTHING_MORE: &[u8] = &[1, 0, 0];

/// Reads `ProduceResponse` item by item.
#[derive(Clone, Copy, Debug)]
pub struct ResponseReader {
    version: i16,
    stage: Stage,
    topics: u32,
    partitions: u32,
    /// Record errors or endpoints still to come.
    inner: u32,
    tags: Tags,
    skip: Skip,
}

impl ResponseReader {
    /// A reader at the start of the body of the answer to a request of this version.
    pub const fn new(version: i16) -> Self {
        ResponseReader {
            version,
            stage: Stage::TopicCount,
            topics: 0,
            partitions: 0,
            inner: 0,
            tags: Tags::NONE,
            skip: Skip::NONE,
        }
    }

    /// The next item, or None at the end of the body; see [the module](super) for the window.
    pub fn next<'a>(&mut self, window: &mut &'a [u8]) -> Result<Option<Item<'a>>, ReadError> {
        items::next(self, window)
    }

    /// What version 7 does not have.
    fn newer_step<'a>(
        &mut self,
        stage: Stage,
        reader: &mut Reader<'a>,
        flexible: bool,
    ) -> Result<Option<Item<'a>>, ReadError> {
        match stage {
            Stage::RecordErrorCount => {
                self.inner = count(reader, flexible)?;
                self.stage = Stage::RecordError;
            }
            Stage::RecordError if self.inner > 0 => {
                let batch_index = reader.i32()?;
                self.inner = self.inner.wrapping_sub(1);
                self.skip = Skip::plan(flexible, const { Steps::new(&[Step::String, Step::Tags]) });
                return Ok(Some(Item::RecordError { batch_index }));
            }
            Stage::RecordError => {
                // The error message.
                if self.version >= 10 {
                    self.skip = Skip::plan(flexible, const { Steps::new(&[Step::String]) });
                    self.stage = Stage::PartitionTagCount;
                } else {
                    self.skip = Skip::plan(flexible, const { Steps::new(&[Step::String, Step::Tags]) });
                    self.stage = Stage::Partition;
                }
            }
            Stage::PartitionTagCount => {
                self.tags = Tags::read(reader)?;
                self.stage = Stage::PartitionTag;
            }
            Stage::PartitionTag => self.tag(reader, Stage::CurrentLeader, Stage::Partition)?,
            Stage::CurrentLeader => {
                let item = Item::CurrentLeader { leader_id: reader.i32()?, leader_epoch: reader.i32()? };
                self.skip = Skip::tags();
                self.stage = Stage::PartitionTag;
                return Ok(Some(item));
            }
            Stage::TagCount => {
                self.tags = Tags::read(reader)?;
                self.stage = Stage::Tag;
            }
            Stage::Tag => self.tag(reader, Stage::EndpointCount, Stage::Done)?,
            Stage::EndpointCount => {
                self.inner = count(reader, flexible)?;
                self.stage = Stage::Endpoint;
            }
            Stage::Endpoint if self.inner > 0 => {
                let item =
                    Item::NodeEndpoint { node_id: reader.i32()?, host: reader.text(flexible)?, port: reader.i32()? };
                self.inner = self.inner.wrapping_sub(1);
                // The rack.
                self.skip = Skip::plan(flexible, const { Steps::new(&[Step::String, Step::Tags]) });
                return Ok(Some(item));
            }
            Stage::Endpoint => self.stage = Stage::Tag,
            _ => {}
        }
        Ok(None)
    }

    /// Reads the head of a tagged field and goes on with its value: that of tag 0 is `known`, every other is
    /// passed over. Behind the last field goes on with `after`.
    fn tag(&mut self, reader: &mut Reader<'_>, known: Stage, after: Stage) -> Result<(), ReadError> {
        match self.tags.next(reader)? {
            Some((0, _)) => self.stage = known,
            Some((_, length)) => self.skip = Skip::bytes(length),
            None => self.stage = after,
        }
        Ok(())
    }
}

impl Stages for ResponseReader {
    type Item<'a> = Item<'a>;

    fn skip(&mut self) -> &mut Skip {
        &mut self.skip
    }

    fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    fn step<'a>(&mut self, reader: &mut Reader<'a>) -> Result<Option<Item<'a>>, ReadError> {
        let flexible = flexible(ApiKey::Produce, self.version);
        Ok(match self.stage {
            Stage::TopicCount => {
                self.topics = count(reader, flexible)?;
                self.stage = Stage::Topic;
                None
            }
            Stage::Topic if self.topics > 0 => {
                let name = reader.text(flexible)?;
                let partitions = count(reader, flexible)?;
                self.topics = self.topics.wrapping_sub(1);
                self.partitions = partitions;
                self.stage = Stage::Partition;
                Some(Item::Topic { name, partitions })
            }
            Stage::Topic => {
                self.stage = Stage::Throttle;
                None
            }
            Stage::Partition if self.partitions > 0 => {
                let mut part = reader.part::<30>()?;
                let item = Item::Partition {
                    index: part.i32()?,
                    error: ErrorCode(part.i16()?),
                    base_offset: part.i64()?,
                    log_append_time: part.i64()?,
                    log_start_offset: part.i64()?,
                };
                self.partitions = self.partitions.wrapping_sub(1);
                if flexible && reader.remaining().starts_with(NOTHING_MORE) {
                    reader.bytes(NOTHING_MORE.len())?;
                } else if since(self.version, 8) {
                    self.stage = Stage::RecordErrorCount;
                }
                Some(item)
            }
            Stage::Partition => {
                self.skip = Skip::plan(flexible, Steps::TAGS);
                self.stage = Stage::Topic;
                None
            }
            Stage::Throttle => {
                let throttle = reader.i32()?;
                if since(self.version, 10) {
                    self.stage = Stage::TagCount;
                } else {
                    self.skip = Skip::plan(flexible, Steps::TAGS);
                    self.stage = Stage::Done;
                }
                Some(Item::Throttle(throttle))
            }
            Stage::Done => None,
            stage if FLEXIBLE => self.newer_step(stage, reader, flexible)?,
            _ => return Err(ReadError::Malformed),
        })
    }
}
