//! Metadata, key 3, versions 7 to 13: brokers, topics, partitions and who leads them.

use super::items::{self, Stages};
use super::{ApiKey, ErrorCode, count, flexible, since};
use crate::wire::{FLEXIBLE, ReadError, Reader, Skip, Step, Steps, Writer};

/// The first version that tells the ids of topics (KIP-516).
pub const TELLS_IDS: i16 = 10;

/// Writes the body of `MetadataRequest` for `count` topics by name; 0 asks for brokers only.
///
/// With `allow_auto_topic_creation` the broker may create topics that do not exist, if it is configured so.
/// An iterator with fewer names than `count` makes a message that cannot be expressed; further names are
/// left out.
pub fn request(
    writer: &mut Writer<'_>,
    version: i16,
    count: usize,
    topics: impl Iterator<Item: AsRef<[u8]>>,
    allow_auto_topic_creation: bool,
) {
    let flexible = flexible(ApiKey::Metadata, version);
    writer.array_length(flexible, count);
    let mut left = count;
    for name in topics.take(count) {
        if since(version, 10) {
            // All zero: the topic is known by its name.
            writer.uuid(&[0; 16]);
        }
        writer.string(flexible, name);
        writer.no_tags(flexible);
        left = left.wrapping_sub(1);
    }
    if left > 0 {
        writer.cannot_express();
    }
    options(writer, version, allow_auto_topic_creation);
}

/// Writes the body of `MetadataRequest` for all topics that the client may see.
pub fn request_all(writer: &mut Writer<'_>, version: i16, allow_auto_topic_creation: bool) {
    writer.null_array(flexible(ApiKey::Metadata, version));
    options(writer, version, allow_auto_topic_creation);
}

fn options(writer: &mut Writer<'_>, version: i16, allow_auto_topic_creation: bool) {
    writer.bool(allow_auto_topic_creation);
    if since(version, 8) && version <= 10 {
        // IncludeClusterAuthorizedOperations
        writer.bool(false);
    }
    if since(version, 8) {
        // IncludeTopicAuthorizedOperations
        writer.bool(false);
    }
    writer.no_tags(flexible(ApiKey::Metadata, version));
}

/// A piece of `MetadataResponse`, in the order of the message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Item<'a> {
    /// How long the broker asks for silence, in milliseconds.
    Throttle(i32),
    /// A live broker.
    Broker {
        /// Its id, unique in the cluster.
        node_id: i32,
        /// Where clients reach it on the listener that was asked; nobody has looked whether it is UTF-8.
        host: &'a [u8],
        /// The port that goes with `host`.
        port: i32,
    },
    /// The id of the controller, -1 when unknown; behind all brokers.
    Controller(i32),
    /// A topic; its partitions follow.
    Topic {
        /// Whether the topic can be used.
        error: ErrorCode,
        /// Its name, to be compared; empty when the broker sends none (an id that it does not know, version 12 and later).
        name: &'a [u8],
        /// Its id, by which Fetch 13 and later names it; all zero when the broker sends none (before version 10).
        #[cfg(not(feature = "one-version"))]
        id: [u8; 16],
        /// Whether the topic is Kafka's own.
        is_internal: bool,
        /// How many [`Item::Partition`] the message claims to have for it.
        partitions: u32,
    },
    /// A partition of the last topic.
    Partition {
        /// Whether the partition has a leader that can be reached.
        error: ErrorCode,
        /// Its number within the topic.
        index: i32,
        /// The broker that leads it, -1 for none.
        leader: i32,
        /// The epoch of that leadership, -1 when unknown. An epoch lower than one seen before is stale.
        leader_epoch: i32,
    },
    /// An error of the request as a whole, behind all topics (version 13 and later).
    Error(ErrorCode),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Throttle,
    BrokerCount,
    Broker,
    Controller,
    TopicCount,
    Topic,
    Partition,
    Error,
    Done,
}

/// Reads `MetadataResponse` item by item.
#[derive(Clone, Copy, Debug)]
pub struct ResponseReader {
    version: i16,
    stage: Stage,
    /// Brokers, then topics, still to come.
    outer: u32,
    partitions: u32,
    skip: Skip,
}

impl ResponseReader {
    /// A reader at the start of the body of the answer to a request of this version.
    pub const fn new(version: i16) -> Self {
        ResponseReader { version, stage: Stage::Throttle, outer: 0, partitions: 0, skip: Skip::NONE }
    }

    /// The next item, or None at the end of the body; see [the module](super) for the window.
    pub fn next<'a>(&mut self, window: &mut &'a [u8]) -> Result<Option<Item<'a>>, ReadError> {
        items::next(self, window)
    }

    fn topic<'a>(&mut self, reader: &mut Reader<'a>, flexible: bool) -> Result<Item<'a>, ReadError> {
        let error = ErrorCode(reader.i16()?);
        let name = match reader.nullable_text(flexible)? {
            None if !since(self.version, 12) => return Err(ReadError::Malformed),
            name => name.unwrap_or(&[]),
        };
        #[cfg(not(feature = "one-version"))]
        let id = if since(self.version, TELLS_IDS) { reader.uuid()? } else { [0; 16] };
        let is_internal = reader.bool()?;
        let partitions = count(reader, flexible)?;
        self.outer = self.outer.wrapping_sub(1);
        self.partitions = partitions;
        self.stage = Stage::Partition;
        Ok(Item::Topic {
            error,
            name,
            #[cfg(not(feature = "one-version"))]
            id,
            is_internal,
            partitions,
        })
    }

    fn partition<'a>(&mut self, reader: &mut Reader<'_>, flexible: bool) -> Result<Item<'a>, ReadError> {
        let mut part = reader.part::<14>()?;
        let item = Item::Partition {
            error: ErrorCode(part.i16()?),
            index: part.i32()?,
            leader: part.i32()?,
            leader_epoch: part.i32()?,
        };
        self.partitions = self.partitions.wrapping_sub(1);
        // Replicas, those in sync, those offline.
        self.skip =
            Skip::plan(flexible, const { Steps::new(&[Step::I32Array, Step::I32Array, Step::I32Array, Step::Tags]) });
        Ok(item)
    }
}

/// The operations that the client is authorized for, and the end of what has them.
const OPERATIONS: Steps = Steps::new(&[Step::Four, Step::Tags]);

impl Stages for ResponseReader {
    type Item<'a> = Item<'a>;

    fn skip(&mut self) -> &mut Skip {
        &mut self.skip
    }

    fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// Reads one piece. Changes nothing of itself before the last read that can fail.
    fn step<'a>(&mut self, reader: &mut Reader<'a>) -> Result<Option<Item<'a>>, ReadError> {
        let flexible = flexible(ApiKey::Metadata, self.version);
        Ok(match self.stage {
            Stage::Throttle => {
                let throttle = reader.i32()?;
                self.stage = Stage::BrokerCount;
                Some(Item::Throttle(throttle))
            }
            Stage::BrokerCount => {
                self.outer = count(reader, flexible)?;
                self.stage = Stage::Broker;
                None
            }
            Stage::Broker if self.outer > 0 => {
                let item = Item::Broker { node_id: reader.i32()?, host: reader.text(flexible)?, port: reader.i32()? };
                self.outer = self.outer.wrapping_sub(1);
                // The rack.
                self.skip = Skip::plan(flexible, const { Steps::new(&[Step::String, Step::Tags]) });
                Some(item)
            }
            Stage::Broker => {
                // The cluster id.
                self.skip = Skip::plan(flexible, const { Steps::new(&[Step::String]) });
                self.stage = Stage::Controller;
                None
            }
            Stage::Controller => {
                let controller = reader.i32()?;
                self.stage = Stage::TopicCount;
                Some(Item::Controller(controller))
            }
            Stage::TopicCount => {
                self.outer = count(reader, flexible)?;
                self.stage = Stage::Topic;
                None
            }
            Stage::Topic if self.outer > 0 => Some(self.topic(reader, flexible)?),
            Stage::Partition if self.partitions > 0 => Some(self.partition(reader, flexible)?),
            Stage::Partition => {
                self.skip = if since(self.version, 8) { Skip::plan(flexible, OPERATIONS) } else { Skip::NONE };
                self.stage = Stage::Topic;
                None
            }
            Stage::Topic if since(self.version, 13) => {
                self.stage = Stage::Error;
                None
            }
            Stage::Topic => {
                // The operations that the client is authorized for in the cluster.
                let steps = if since(self.version, 8) && self.version <= 10 { OPERATIONS } else { Steps::TAGS };
                self.skip = Skip::plan(flexible, steps);
                self.stage = Stage::Done;
                None
            }
            Stage::Error if FLEXIBLE => {
                let error = ErrorCode(reader.i16()?);
                self.skip = Skip::tags();
                self.stage = Stage::Done;
                Some(Item::Error(error))
            }
            Stage::Error | Stage::Done => None,
        })
    }
}
