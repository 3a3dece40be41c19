//! Fetch, key 1, versions 11 to 17: reads record batches (KIP-74, KIP-227, KIP-320, KIP-392, KIP-516, KIP-595, KIP-951).
//!
//! 11 is the first that asks for the closest replica, and where many compatible services top out. From 12 on the broker
//! tells of a truncated log by itself, from 13 on topics go by their ids, from 16 on an answer names the new leader's
//! address. 18 is for replicas alone.
//!
//! The records of a response are no item. [`Item::Records`] says how many bytes of them come next: the caller takes
//! these from the stream itself, in any pieces, wherever it wants them, and [tells](ResponseReader::taken) the reader.
//!
//! ```
//! use demitasse_core::protocol::fetch::{Item, ResponseReader};
//!
//! // Version 11, one topic `t`, its partition 0, 4 bytes of records.
//! let mut body = [0u8; 67];
//! body[13] = 1;
//! body[15..=16].copy_from_slice(&[1, b't']);
//! body[20] = 1;
//! body[62] = 4;
//! let mut reader = ResponseReader::new(11);
//! let mut window = &body[..];
//! let length = loop {
//!     match reader.next(&mut window) {
//!         Ok(Some(Item::Records { length, .. })) => break length,
//!         item => assert!(matches!(item, Ok(Some(_)))),
//!     }
//! };
//! assert_eq!((length, window.len()), (4, 4));
//! window = &window[3..]; // these went into the caller's own buffer
//! reader.taken(3);
//! assert_eq!(reader.records_left(), 1); // nobody wants it: passed over
//! assert_eq!(reader.next(&mut window), Ok(None));
//! ```

use super::items::{self, Stages, Tags};
use super::topics::{self, Called};
use super::{ApiKey, ErrorCode, IsolationLevel, count, flexible, since};
use crate::wire::{FLEXIBLE, ReadError, Reader, Skip, Step, Steps, Writer};

/// The first version in which a broker tells of a truncated log by itself, see [`Item::DivergingEpoch`].
pub const TELLS_OF_TRUNCATION: i16 = 12;

/// The session id of a request that is of no session, or asks for one; and of an answer that gives none.
pub const NO_SESSION: i32 = 0;

/// The epoch that asks for a new session, with [`NO_SESSION`] or with the id of an old one that it replaces.
pub const NEW_SESSION: i32 = 0;

/// The epoch of a request that wants no session, or ends the one that it names.
pub const NO_EPOCH: i32 = -1;

/// The epoch of the request after that of `epoch` in the same session (KIP-227).
pub const fn next_epoch(epoch: i32) -> i32 {
    match epoch {
        NO_EPOCH => NO_EPOCH,
        i32::MAX => 1,
        epoch => epoch.wrapping_add(1),
    }
}

/// What goes for a request as a whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings<'a> {
    /// How long the broker may wait for `min_bytes`, in milliseconds.
    pub max_wait_ms: i32,
    /// The broker answers as soon as it has that many bytes of records.
    pub min_bytes: i32,
    /// The most bytes of records. The first batch comes whole all the same (KIP-74).
    pub max_bytes: i32,
    /// Which records are seen.
    pub isolation_level: IsolationLevel,
    /// The session, or [`NO_SESSION`].
    pub session_id: i32,
    /// The session's epoch, [`NEW_SESSION`] or [`NO_EPOCH`]; see [`next_epoch`].
    pub session_epoch: i32,
    /// The client's rack, empty for none: the broker may name a closer replica (KIP-392).
    pub rack_id: &'a [u8],
}

/// The last version in which topics go by their names.
pub const BY_NAME: i16 = 12;

/// A partition to read from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Partition<'t> {
    /// Its topic, by name up to version 12, by id from 13 on.
    pub topic: Topic<'t>,
    /// The partition's number.
    pub index: i32,
    /// The epoch of the leader as the client knows it, -1 for unknown: another one is refused.
    pub current_leader_epoch: i32,
    /// The offset to read from.
    pub fetch_offset: i64,
    /// The epoch of the last record that was read, -1 for none: by it the broker finds out that the log was truncated
    /// since (version 12 and later).
    pub last_fetched_epoch: i32,
    /// The most bytes of records; if it is the first of the answer, its first batch comes whole all the same.
    pub max_bytes: i32,
}

/// A topic, by what the versions call it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Topic<'t> {
    /// Its name: up to version 12.
    pub name: &'t [u8],
    /// Its id: from version 13 on. Where it is not known (all zero), 12 is the highest version that will do.
    pub id: [u8; 16],
}

/// A topic in a request of this version.
#[derive(Clone, Copy)]
struct InVersion<'t>(i16, Topic<'t>);

impl Called for InVersion<'_> {
    fn is(&self, InVersion(_, other): &Self) -> bool {
        let InVersion(version, topic) = self;
        if since(*version, 13) { topic.id == other.id } else { topic.name == other.name }
    }

    fn write(&self, writer: &mut Writer<'_>, flexible: bool) {
        let InVersion(version, topic) = self;
        if since(*version, 13) { writer.uuid(&topic.id) } else { writer.string(flexible, topic.name) }
    }
}

/// Writes the body of `FetchRequest` for `partitions`, which the broker serves in this order; neighbours of the same
/// topic share its entry.
///
/// In a session these are the partitions that are new or have another position than the broker knows, and `forgotten`
/// (topic, partition) those that it shall no longer read from.
pub fn request<'t>(
    writer: &mut Writer<'_>,
    version: i16,
    settings: &Settings<'_>,
    partitions: impl Iterator<Item = Partition<'t>>,
    forgotten: impl Iterator<Item = (Topic<'t>, i32)>,
) {
    let flexible = flexible(ApiKey::Fetch, version);
    if !since(version, 15) {
        // Not a replica.
        writer.i32(-1);
    }
    writer.i32(settings.max_wait_ms);
    writer.i32(settings.min_bytes);
    writer.i32(settings.max_bytes);
    writer.i8(settings.isolation_level as i8);
    writer.i32(settings.session_id);
    writer.i32(settings.session_epoch);
    topics::write(
        writer,
        flexible,
        partitions,
        |partition| InVersion(version, partition.topic),
        |writer, partition| self::partition(writer, version, partition),
    );
    let topic = |of: &(Topic<'t>, i32)| InVersion(version, of.0);
    topics::write(writer, flexible, forgotten, topic, |writer, (_, index)| writer.i32(*index));
    writer.string(flexible, settings.rack_id);
    writer.no_tags(flexible);
}

fn partition(writer: &mut Writer<'_>, version: i16, partition: &Partition<'_>) {
    writer.i32(partition.index);
    writer.i32(partition.current_leader_epoch);
    writer.i64(partition.fetch_offset);
    if since(version, 12) {
        writer.i32(partition.last_fetched_epoch);
    }
    // The log start offset, which only a replica has.
    writer.i64(-1);
    writer.i32(partition.max_bytes);
    writer.no_tags(flexible(ApiKey::Fetch, version));
}

/// A piece of `FetchResponse`, in the order of the message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Item<'a> {
    /// Always the first.
    Start {
        /// How long the broker asks for silence, in milliseconds.
        throttle_ms: i32,
        /// An error of the request as a whole, such as a session that the broker does not know.
        error: ErrorCode,
        /// The session, or [`NO_SESSION`].
        session_id: i32,
    },
    /// A topic; its partitions follow.
    Topic {
        /// Its name; empty from version 13 on.
        name: &'a [u8],
        /// Its id; all zero up to version 12.
        id: [u8; 16],
        /// How many [`Item::Partition`] the message claims to have for it.
        partitions: u32,
    },
    /// A partition of the last topic.
    Partition {
        /// The partition's number.
        index: i32,
        /// Whether it could be read.
        error: ErrorCode,
        /// The offset behind the last record that all replicas in sync have; -1 on error.
        high_watermark: i64,
        /// The offset behind the last record whose transaction is decided; -1 when unknown.
        last_stable_offset: i64,
        /// The first offset that the partition still has; -1 when unknown.
        log_start_offset: i64,
    },
    /// A transaction that was aborted and whose records may be among those to come; only where
    /// [`IsolationLevel::ReadCommitted`] was asked for. In no promised order.
    AbortedTransaction {
        /// The producer's id.
        producer_id: i64,
        /// The offset of the transaction's first record.
        first_offset: i64,
    },
    /// The bytes of record batches of the last partition come next, once for each partition; see
    /// [`ResponseReader::taken`].
    Records {
        /// The broker to read from the next time, -1 for the leader (KIP-392).
        preferred_read_replica: i32,
        /// How many bytes.
        length: u32,
    },
    /// The last partition's log was truncated below the position of the request: it has other records from here on
    /// (version 12 and later, KIP-595).
    DivergingEpoch {
        /// The latest epoch up to the one of the request that the log still has.
        epoch: i32,
        /// The offset behind its last record.
        end_offset: i64,
    },
    /// Who leads the last partition now, when it is not the broker that was asked (version 12 and later).
    CurrentLeader {
        /// The broker's id, -1 for unknown.
        leader_id: i32,
        /// The epoch of its leadership, -1 for unknown.
        leader_epoch: i32,
    },
    /// Where a broker named by a [`Item::CurrentLeader`] is reached (version 16 and later, KIP-951); behind all topics.
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
    Start,
    TopicCount,
    Topic,
    Partition,
    AbortedCount,
    Aborted,
    Records,
    PartitionTagCount,
    PartitionTag,
    DivergingEpoch,
    CurrentLeader,
    TagCount,
    Tag,
    EndpointCount,
    Endpoint,
    Done,
}

/// Reads `FetchResponse` item by item.
#[derive(Clone, Copy, Debug)]
pub struct ResponseReader {
    version: i16,
    stage: Stage,
    topics: u32,
    partitions: u32,
    /// Aborted transactions or endpoints still to come.
    inner: u32,
    /// Bytes of records that nobody has taken.
    records: u32,
    tags: Tags,
    skip: Skip,
}

impl ResponseReader {
    /// A reader at the start of the body of the answer to a request of this version.
    pub const fn new(version: i16) -> Self {
        ResponseReader {
            version,
            stage: Stage::Start,
            topics: 0,
            partitions: 0,
            inner: 0,
            records: 0,
            tags: Tags::NONE,
            skip: Skip::NONE,
        }
    }

    /// The next item, or None at the end of the body; see [the module](super) for the window.
    ///
    /// Records that have not been [taken](Self::taken) are passed over.
    pub fn next<'a>(&mut self, window: &mut &'a [u8]) -> Result<Option<Item<'a>>, ReadError> {
        if self.records > 0 {
            self.skip = Skip::bytes(core::mem::take(&mut self.records));
        }
        items::next(self, window)
    }

    /// The bytes of records that come next in the stream. More than the frame has left is an answer that lies: the
    /// caller knows the frame.
    pub const fn records_left(&self) -> u32 {
        self.records
    }

    /// Says that the caller has taken the next `bytes` of the records itself, [`records_left`](Self::records_left) at
    /// the most.
    pub const fn taken(&mut self, bytes: u32) {
        self.records = self.records.saturating_sub(bytes);
    }

    /// Takes the records that are in the window.
    pub fn take<'a>(&mut self, window: &mut &'a [u8]) -> &'a [u8] {
        let here = window.len().min(self.records as usize);
        let (records, rest) = window.split_at_checked(here).unwrap_or((&[], window));
        *window = rest;
        self.taken(records.len() as u32);
        records
    }

    /// Reads the head of a tagged field and goes on with its value, where it is known. Others are passed over: a snapshot's id, which
    /// is for replicas, or what nobody knows yet.
    fn tag(&mut self, reader: &mut Reader<'_>, known: &[Stage], after: Stage) -> Result<(), ReadError> {
        match self.tags.next(reader)? {
            Some((tag, length)) => match known.get(tag as usize) {
                Some(&stage) => self.stage = stage,
                None => self.skip = Skip::bytes(length),
            },
            None => self.stage = after,
        }
        Ok(())
    }

    /// Ends a structure that is the value of a partition's tagged field.
    fn tag_value<'a>(&mut self, item: Item<'a>) -> Item<'a> {
        self.skip = Skip::tags();
        self.stage = Stage::PartitionTag;
        item
    }

    fn topic<'a>(&mut self, reader: &mut Reader<'a>, flexible: bool) -> Result<Item<'a>, ReadError> {
        let (name, id) =
            if since(self.version, 13) { (&[][..], reader.uuid()?) } else { (reader.text(flexible)?, [0; 16]) };
        let partitions = count(reader, flexible)?;
        self.topics = self.topics.wrapping_sub(1);
        self.partitions = partitions;
        self.stage = Stage::Partition;
        Ok(Item::Topic { name, id, partitions })
    }

    fn partition<'a>(&mut self, reader: &mut Reader<'_>) -> Result<Item<'a>, ReadError> {
        let mut part = reader.part::<30>()?;
        let item = Item::Partition {
            index: part.i32()?,
            error: ErrorCode(part.i16()?),
            high_watermark: part.i64()?,
            last_stable_offset: part.i64()?,
            log_start_offset: part.i64()?,
        };
        self.partitions = self.partitions.wrapping_sub(1);
        self.stage = Stage::AbortedCount;
        Ok(item)
    }

    fn records<'a>(&mut self, reader: &mut Reader<'_>, flexible: bool) -> Result<Item<'a>, ReadError> {
        let preferred_read_replica = reader.i32()?;
        // Null is the same as none.
        let length = reader.array_length(flexible)?.unwrap_or(0);
        self.records = length;
        self.stage = if flexible { Stage::PartitionTagCount } else { Stage::Partition };
        Ok(Item::Records { preferred_read_replica, length })
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

    #[inline(never)]
    fn step<'a>(&mut self, reader: &mut Reader<'a>) -> Result<Option<Item<'a>>, ReadError> {
        let flexible = flexible(ApiKey::Fetch, self.version);
        match self.stage {
            Stage::Start => {
                let mut part = reader.part::<10>()?;
                let (throttle_ms, error, session_id) = (part.i32()?, ErrorCode(part.i16()?), part.i32()?);
                self.stage = Stage::TopicCount;
                return Ok(Some(Item::Start { throttle_ms, error, session_id }));
            }
            Stage::TopicCount => {
                self.topics = count(reader, flexible)?;
                self.stage = Stage::Topic;
            }
            Stage::Topic if self.topics > 0 => return Ok(Some(self.topic(reader, flexible)?)),
            Stage::Topic if since(self.version, 16) => self.stage = Stage::TagCount,
            Stage::Topic => {
                self.skip = Skip::plan(flexible, Steps::TAGS);
                self.stage = Stage::Done;
            }
            Stage::Partition if self.partitions > 0 => return Ok(Some(self.partition(reader)?)),
            Stage::Partition => {
                self.skip = Skip::plan(flexible, Steps::TAGS);
                self.stage = Stage::Topic;
            }
            Stage::AbortedCount => {
                // Null where only read_committed would have some.
                self.inner = reader.array_length(flexible)?.unwrap_or(0);
                self.stage = Stage::Aborted;
            }
            Stage::Aborted if self.inner > 0 => {
                let mut part = reader.part::<16>()?;
                let item = Item::AbortedTransaction { producer_id: part.i64()?, first_offset: part.i64()? };
                self.inner = self.inner.wrapping_sub(1);
                self.skip = Skip::plan(flexible, Steps::TAGS);
                return Ok(Some(item));
            }
            Stage::Aborted => self.stage = Stage::Records,
            Stage::Records => return Ok(Some(self.records(reader, flexible)?)),
            // Of flexible versions alone, all but the last.
            _ if !FLEXIBLE => {}
            Stage::PartitionTagCount => {
                self.tags = Tags::read(reader)?;
                self.stage = Stage::PartitionTag;
            }
            Stage::PartitionTag => {
                self.tag(reader, &[Stage::DivergingEpoch, Stage::CurrentLeader], Stage::Partition)?
            }
            Stage::DivergingEpoch => {
                let item = Item::DivergingEpoch { epoch: reader.i32()?, end_offset: reader.i64()? };
                return Ok(Some(self.tag_value(item)));
            }
            Stage::CurrentLeader => {
                let item = Item::CurrentLeader { leader_id: reader.i32()?, leader_epoch: reader.i32()? };
                return Ok(Some(self.tag_value(item)));
            }
            Stage::TagCount => {
                self.tags = Tags::read(reader)?;
                self.stage = Stage::Tag;
            }
            Stage::Tag => self.tag(reader, &[Stage::EndpointCount], Stage::Done)?,
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
            Stage::Done => {}
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
