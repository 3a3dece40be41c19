//! Partitions by topic: the shape that the messages about offsets share.

use super::items::{self, Stages};
use super::{ApiKey, ErrorCode, count, flexible, since};
use crate::wire::{FLEXIBLE, ReadError, Reader, Skip, Step, Steps, Writer};

/// What a message calls a topic.
pub(super) trait Called: Copy {
    /// Whether it is the same topic.
    fn is(&self, other: &Self) -> bool;

    /// Writes what stands in front of the topic's partitions.
    fn write(&self, writer: &mut Writer<'_>, flexible: bool);
}

/// Its name.
impl Called for &[u8] {
    fn is(&self, other: &Self) -> bool {
        self == other
    }

    fn write(&self, writer: &mut Writer<'_>, flexible: bool) {
        writer.string(flexible, self);
    }
}

/// Writes an array of topics, each with an array of its partitions, from a plain list of partitions.
///
/// Neighbours in the list that are of the same topic share its entry. `partition` writes one of them, the end of its
/// structure included.
pub(super) fn write<T: Called, P>(
    writer: &mut Writer<'_>,
    flexible: bool,
    partitions: impl Iterator<Item = P>,
    topic: impl Fn(&P) -> T,
    partition: impl Fn(&mut Writer<'_>, &P),
) {
    let mut list = List { flexible, topics: 0, at: writer.begin_array(flexible), last: None };
    for of in partitions {
        list.partition(writer, topic(&of));
        partition(writer, &of);
    }
    list.end_topic(writer);
    writer.end_array(flexible, list.at, list.topics);
}

/// How far [`write`] is: apart from it, because that is there once for each message.
struct List<T> {
    flexible: bool,
    topics: usize,
    at: usize,
    /// The topic that is being written, where its partitions begin, and how many there are.
    last: Option<(T, usize, usize)>,
}

impl<T: Called> List<T> {
    /// Another partition follows, of this topic.
    #[inline(never)]
    fn partition(&mut self, writer: &mut Writer<'_>, topic: T) {
        match &mut self.last {
            Some((last, _, partitions)) if last.is(&topic) => *partitions = partitions.wrapping_add(1),
            _ => {
                self.end_topic(writer);
                self.topics = self.topics.wrapping_add(1);
                topic.write(writer, self.flexible);
                self.last = Some((topic, writer.begin_array(self.flexible), 1));
            }
        }
    }

    #[inline(never)]
    fn end_topic(&mut self, writer: &mut Writer<'_>) {
        if let Some((_, at, partitions)) = self.last.take() {
            writer.end_array(self.flexible, at, partitions);
            writer.no_tags(self.flexible);
        }
    }
}

/// A piece of `ListOffsetsResponse`, `OffsetCommitResponse`, `OffsetFetchResponse` or `OffsetForLeaderEpochResponse`, in the
/// order of the message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TopicItem<'a> {
    /// How long the broker asks for silence, in milliseconds.
    Throttle(i32),
    /// A topic; its partitions follow.
    Topic {
        /// Its name.
        name: &'a [u8],
        /// How many [`TopicItem::Partition`] the message claims to have for it.
        partitions: u32,
    },
    /// What is said of a partition of the last topic.
    Partition {
        /// The partition's number.
        index: i32,
        /// The outcome.
        error: ErrorCode,
        /// ListOffsets: the timestamp of the record that was found; -1 when no record was asked for, or none is as late.
        timestamp: i64,
        /// ListOffsets: the record's offset, or that of the position; -1 when no record is as late. OffsetForLeaderEpoch: the
        /// offset behind the last record of the epoch, -1 when unknown; a position beyond it is on records that are gone.
        /// OffsetFetch: the offset to go on from, -1 when none is kept.
        offset: i64,
        /// ListOffsets: the epoch in which the record was written, -1 for unknown. OffsetForLeaderEpoch: the latest epoch up to
        /// the one asked for that the log has, -1 when it has none. OffsetFetch: that of the last record done with, -1 for
        /// unknown.
        leader_epoch: i32,
    },
    /// OffsetFetch: the outcome for the group as a whole, behind its topics.
    Group(ErrorCode),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Throttle,
    /// From OffsetFetch 8 on: a list of groups, each with its topics.
    GroupCount,
    Group,
    TopicCount,
    Topic,
    Partition,
    /// OffsetFetch: the outcome for a partition, behind words that came with the commit.
    Error,
    Done,
}

/// Reads a response that has a throttle time, topics, and partitions in them, item by item: ListOffsets, which has no throttle
/// time before version 2, OffsetCommit, OffsetForLeaderEpoch, or OffsetFetch, whose words that a commit may carry are passed
/// over.
#[derive(Clone, Copy, Debug)]
pub struct TopicReader {
    api: ApiKey,
    version: i16,
    stage: Stage,
    groups: u32,
    topics: u32,
    partitions: u32,
    /// What was read before its error came. The offset as bytes: as a number it would make every connection 16 bytes larger,
    /// which has room for any reader.
    index: i32,
    leader_epoch: i32,
    offset: [u8; 8],
    skip: Skip,
}

impl TopicReader {
    /// A reader at the start of the body of the answer to a request of this API and version.
    pub const fn new(api: ApiKey, version: i16) -> Self {
        let throttles = !matches!(api, ApiKey::ListOffsets) || since(version, 2);
        let stage = if throttles { Stage::Throttle } else { Stage::TopicCount };
        TopicReader {
            api,
            version,
            stage,
            groups: 0,
            topics: 0,
            partitions: 0,
            index: 0,
            leader_epoch: 0,
            offset: [0; 8],
            skip: Skip::NONE,
        }
    }

    /// Which of the messages it reads.
    pub const fn api(&self) -> ApiKey {
        self.api
    }

    /// The next item, or None at the end of the body; see [the module](super) for the window.
    pub fn next<'a>(&mut self, window: &mut &'a [u8]) -> Result<Option<TopicItem<'a>>, ReadError> {
        items::next(self, window)
    }

    /// Reads what OffsetFetch says of a partition, but for its error.
    fn position(&mut self, reader: &mut Reader<'_>, flexible: bool) -> Result<(), ReadError> {
        let mut part = reader.part::<16>()?;
        let (index, offset, leader_epoch) = (part.i32()?, part.i64()?, part.i32()?);
        (self.index, self.offset, self.leader_epoch) = (index, offset.to_ne_bytes(), leader_epoch);
        self.skip = Skip::plan(flexible, const { Steps::new(&[Step::String]) });
        self.stage = Stage::Error;
        Ok(())
    }

    /// Reads what the others say of a partition, but for the tagged fields behind it.
    fn partition<'a>(&self, reader: &mut Reader<'_>) -> Result<TopicItem<'a>, ReadError> {
        let (mut timestamp, mut offset, mut leader_epoch) = (-1, -1, -1);
        let (index, error);
        if self.api == ApiKey::OffsetForLeaderEpoch {
            let mut part = reader.part::<18>()?;
            (error, index, leader_epoch, offset) = (part.i16()?, part.i32()?, part.i32()?, part.i64()?);
        } else {
            let mut part = reader.part::<6>()?;
            (index, error) = (part.i32()?, part.i16()?);
            if self.api == ApiKey::ListOffsets {
                let mut part = reader.part::<16>()?;
                (timestamp, offset) = (part.i64()?, part.i64()?);
                if since(self.version, 4) {
                    leader_epoch = reader.i32()?;
                }
            }
        }
        Ok(TopicItem::Partition { index, error: ErrorCode(error), timestamp, offset, leader_epoch })
    }
}

impl Stages for TopicReader {
    type Item<'a> = TopicItem<'a>;

    fn skip(&mut self) -> &mut Skip {
        &mut self.skip
    }

    fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    fn step<'a>(&mut self, reader: &mut Reader<'a>) -> Result<Option<TopicItem<'a>>, ReadError> {
        let flexible = flexible(self.api, self.version);
        let positions = self.api == ApiKey::OffsetFetch;
        match self.stage {
            Stage::Throttle => {
                let throttle = reader.i32()?;
                let groups = positions && since(self.version, 8);
                self.stage = if groups { Stage::GroupCount } else { Stage::TopicCount };
                return Ok(Some(TopicItem::Throttle(throttle)));
            }
            Stage::GroupCount | Stage::Group if !FLEXIBLE => {}
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
            Stage::TopicCount => {
                self.topics = count(reader, flexible)?;
                self.stage = Stage::Topic;
            }
            Stage::Topic if self.topics > 0 => {
                let (name, partitions) = (reader.text(flexible)?, count(reader, flexible)?);
                self.topics = self.topics.wrapping_sub(1);
                self.partitions = partitions;
                self.stage = Stage::Partition;
                return Ok(Some(TopicItem::Topic { name, partitions }));
            }
            Stage::Topic if positions => {
                let error = ErrorCode(reader.i16()?);
                self.skip = Skip::plan(flexible, Steps::TAGS);
                self.stage = if since(self.version, 8) { Stage::Group } else { Stage::Done };
                return Ok(Some(TopicItem::Group(error)));
            }
            Stage::Partition if self.partitions > 0 && positions => {
                self.position(reader, flexible)?;
                self.partitions = self.partitions.wrapping_sub(1);
            }
            Stage::Partition if self.partitions > 0 => {
                let item = self.partition(reader)?;
                self.partitions = self.partitions.wrapping_sub(1);
                self.skip = Skip::plan(flexible, Steps::TAGS);
                return Ok(Some(item));
            }
            Stage::Error => {
                let error = ErrorCode(reader.i16()?);
                self.skip = Skip::plan(flexible, Steps::TAGS);
                self.stage = Stage::Partition;
                let (index, leader_epoch, offset) = (self.index, self.leader_epoch, i64::from_ne_bytes(self.offset));
                return Ok(Some(TopicItem::Partition { index, error, timestamp: -1, offset, leader_epoch }));
            }
            Stage::Group | Stage::Topic | Stage::Partition => {
                self.skip = Skip::plan(flexible, Steps::TAGS);
                self.stage = if self.stage == Stage::Partition { Stage::Topic } else { Stage::Done };
            }
            Stage::Done => {}
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_share_a_topic() {
        let list: [(&[u8], i8); 4] = [(b"a", 1), (b"a", 2), (b"b", 3), (b"a", 4)];
        let mut buffer = [0u8; 64];
        let mut writer = Writer::new(&mut buffer);
        write(&mut writer, true, list.into_iter(), |of| of.0, |writer, of| writer.i8(of.1));
        let end = writer.finish().unwrap();
        // Three topics: two partitions, one, one.
        assert_eq!(buffer[..end], [4, 2, b'a', 3, 1, 2, 0, 2, b'b', 2, 3, 0, 2, b'a', 2, 4, 0]);

        let mut writer = Writer::new(&mut buffer);
        let nothing = core::iter::empty::<&[u8]>();
        write(&mut writer, false, nothing, |name| *name, |_, _| panic!("no partition"));
        assert_eq!(writer.finish(), Ok(4));
        assert_eq!(buffer[..4], [0; 4]);
    }
}
