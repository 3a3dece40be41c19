//! OffsetFetch, key 9, versions 5 to 9: the positions kept under a group's name.
//!
//! 5 is the first that gives the leader epoch back. From 7 on a broker can be told to hold back positions that an open
//! transaction may change, from 8 on (KIP-709) a request may name many groups; here it names one. 9 is the last that
//! names topics by name.

use super::items::{self, Piece, Stages};
use super::{ApiKey, ErrorCode, count, flexible, since, topics};
use crate::wire::{FLEXIBLE, ReadError, Reader, Skip, Step, Steps, Writer};

/// Writes the body of `OffsetFetchRequest` for these partitions (topic, number) of one group; neighbours of the same
/// topic share its entry.
///
/// With `require_stable` positions that an open transaction may change give
/// [`UNSTABLE_OFFSET_COMMIT`](ErrorCode::UNSTABLE_OFFSET_COMMIT): for read_committed (version 7 and later).
pub fn request<'t>(
    writer: &mut Writer<'_>,
    version: i16,
    group: &[u8],
    require_stable: bool,
    partitions: impl Iterator<Item = (&'t [u8], i32)>,
) {
    let flexible = flexible(ApiKey::OffsetFetch, version);
    around(writer, version, group, require_stable, |writer| {
        topics::write(writer, flexible, partitions, |of| of.0, |writer, partition| writer.i32(partition.1));
    });
}

/// Writes the body of `OffsetFetchRequest` for all partitions of which one group has a position.
pub fn request_all(writer: &mut Writer<'_>, version: i16, group: &[u8], require_stable: bool) {
    let flexible = flexible(ApiKey::OffsetFetch, version);
    around(writer, version, group, require_stable, |writer| writer.null_array(flexible));
}

fn around(
    writer: &mut Writer<'_>,
    version: i16,
    group: &[u8],
    require_stable: bool,
    topics: impl FnOnce(&mut Writer<'_>),
) {
    let flexible = flexible(ApiKey::OffsetFetch, version);
    if since(version, 8) {
        writer.array_length(flexible, 1);
    }
    writer.string(flexible, group);
    if since(version, 9) {
        // Not a member, and of no epoch.
        writer.nullable_string(flexible, None);
        writer.i32(-1);
    }
    topics(writer);
    if since(version, 8) {
        writer.no_tags(flexible);
    }
    if since(version, 7) {
        writer.bool(require_stable);
    }
    writer.no_tags(flexible);
}

/// A piece of `OffsetFetchResponse`, in the order of the message. The words that a commit may carry are passed over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Item<'a> {
    /// How long the broker asks for silence, in milliseconds.
    Throttle(i32),
    /// A topic; its partitions follow.
    Topic {
        /// Its name.
        name: &'a [u8],
        /// How many [`Item::Partition`] the message claims to have for it.
        partitions: u32,
    },
    /// A partition of the last topic.
    Partition(Position),
    /// The outcome for the group as a whole, behind its topics.
    Group(ErrorCode),
}

/// The position that is kept for a partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Position {
    /// The partition's number.
    pub index: i32,
    /// Whether the rest counts.
    pub error: ErrorCode,
    /// The offset to go on from, -1 when none is kept.
    pub offset: i64,
    /// The epoch of the last record done with, -1 for unknown.
    pub leader_epoch: i32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Throttle,
    GroupCount,
    Group,
    TopicCount,
    Topic,
    Partition,
    Error,
    Done,
}

/// Reads `OffsetFetchResponse` item by item.
#[derive(Clone, Copy, Debug)]
pub struct ResponseReader {
    version: i16,
    stage: Stage,
    groups: u32,
    topics: u32,
    partitions: u32,
    /// What was read before its error came. The offset as bytes: as a number it would make every connection 16 bytes larger,
    /// which has room for any one of these readers.
    index: i32,
    leader_epoch: i32,
    offset: [u8; 8],
    skip: Skip,
}

impl ResponseReader {
    /// A reader at the start of the body of the answer to a request of this version.
    pub const fn new(version: i16) -> Self {
        ResponseReader {
            version,
            stage: Stage::Throttle,
            groups: 0,
            topics: 0,
            partitions: 0,
            index: 0,
            leader_epoch: 0,
            offset: [0; 8],
            skip: Skip::NONE,
        }
    }

    /// The next item, or None at the end of the body; see [the module](super) for the window.
    pub fn next<'a>(&mut self, window: &mut &'a [u8]) -> Result<Option<Item<'a>>, ReadError> {
        items::next(self, window)
    }
}

impl Stages for ResponseReader {
    type Item<'a> = Item<'a>;

    fn skip(&mut self) -> &mut Skip {
        &mut self.skip
    }

    fn step<'a>(&mut self, reader: &mut Reader<'a>) -> Result<Piece<Item<'a>>, ReadError> {
        let flexible = flexible(ApiKey::OffsetFetch, self.version);
        match self.stage {
            Stage::Throttle => {
                let throttle = reader.i32()?;
                self.stage = if since(self.version, 8) { Stage::GroupCount } else { Stage::TopicCount };
                return Ok(Piece::Item(Item::Throttle(throttle)));
            }
            Stage::GroupCount | Stage::Group if !FLEXIBLE => return Ok(Piece::End),
            Stage::GroupCount => {
                self.groups = count(reader, flexible)?;
                self.stage = Stage::Group;
            }
            Stage::Group if self.groups > 0 => {
                self.groups = self.groups.wrapping_sub(1);
                // Its name.
                self.skip = Skip::plan(flexible, const { Steps::new(&[Step::String]) });
                self.stage = Stage::TopicCount;
            }
            Stage::Group => {
                self.skip = Skip::plan(flexible, Steps::TAGS);
                self.stage = Stage::Done;
            }
            Stage::TopicCount => {
                self.topics = count(reader, flexible)?;
                self.stage = Stage::Topic;
            }
            Stage::Topic if self.topics > 0 => {
                let (name, partitions) = (reader.text(flexible)?, count(reader, flexible)?);
                self.topics = self.topics.wrapping_sub(1);
                self.partitions = partitions;
                self.stage = Stage::Partition;
                return Ok(Piece::Item(Item::Topic { name, partitions }));
            }
            Stage::Topic => {
                let error = ErrorCode(reader.i16()?);
                self.skip = Skip::plan(flexible, Steps::TAGS);
                self.stage = if since(self.version, 8) { Stage::Group } else { Stage::Done };
                return Ok(Piece::Item(Item::Group(error)));
            }
            Stage::Partition if self.partitions > 0 => {
                let mut part = reader.part::<16>()?;
                let (index, offset, leader_epoch) = (part.i32()?, part.i64()?, part.i32()?);
                (self.index, self.offset, self.leader_epoch) = (index, offset.to_ne_bytes(), leader_epoch);
                self.partitions = self.partitions.wrapping_sub(1);
                // The words that came with the commit.
                self.skip = Skip::plan(flexible, const { Steps::new(&[Step::String]) });
                self.stage = Stage::Error;
            }
            Stage::Partition => {
                self.skip = Skip::plan(flexible, Steps::TAGS);
                self.stage = Stage::Topic;
            }
            Stage::Error => {
                let error = ErrorCode(reader.i16()?);
                self.skip = Skip::plan(flexible, Steps::TAGS);
                self.stage = Stage::Partition;
                let (index, leader_epoch, offset) = (self.index, self.leader_epoch, i64::from_ne_bytes(self.offset));
                return Ok(Piece::Item(Item::Partition(Position { index, error, offset, leader_epoch })));
            }
            Stage::Done => return Ok(Piece::End),
        }
        Ok(Piece::Silent)
    }
}
