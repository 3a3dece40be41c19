//! Partitions by topic: the shape that the messages about offsets share.

use super::items::{self, Piece, Stages};
use super::{ApiKey, count, flexible};
use crate::wire::{ReadError, Reader, Skip, Steps, Writer};
use core::marker::PhantomData;

/// Writes an array of topics, each with an array of its partitions, from a plain list of partitions.
///
/// Neighbours in the list that are of the `same` topic share its entry. `topic` writes what stands in front of a topic's
/// partitions, `partition` one of them, the end of its structure included.
pub(super) fn write<P, I: Iterator<Item = P> + Clone>(
    writer: &mut Writer<'_>,
    flexible: bool,
    partitions: I,
    same: impl Fn(&P, &P) -> bool,
    topic: impl Fn(&mut Writer<'_>, &P),
    partition: impl Fn(&mut Writer<'_>, &P),
) {
    let mut topics = 0usize;
    let mut rest = partitions.clone();
    while let Some(first) = rest.next() {
        rest = behind(rest, |other| same(&first, other)).1;
        topics = topics.wrapping_add(1);
    }
    writer.array_length(flexible, topics);
    let mut rest = partitions;
    while let Some(first) = rest.next() {
        let (others, next) = behind(rest.clone(), |other| same(&first, other));
        topic(writer, &first);
        writer.array_length(flexible, others.saturating_add(1));
        partition(writer, &first);
        for other in rest.take(others) {
            partition(writer, &other);
        }
        writer.no_tags(flexible);
        rest = next;
    }
}

/// [`write`] where topics go by their names.
pub(super) fn write_by_name<P, I: Iterator<Item = P> + Clone>(
    writer: &mut Writer<'_>,
    flexible: bool,
    partitions: I,
    name: impl Fn(&P) -> &[u8],
    partition: impl Fn(&mut Writer<'_>, &P),
) {
    let same = |one: &P, other: &P| name(one) == name(other);
    write(writer, flexible, partitions, same, |writer, first| writer.string(flexible, name(first)), partition);
}

/// How many at the front of `rest` are of the same topic, and what is behind them.
fn behind<P, I: Iterator<Item = P> + Clone>(mut rest: I, same: impl Fn(&P) -> bool) -> (usize, I) {
    let mut passed = 0usize;
    loop {
        let here = rest.clone();
        match rest.next() {
            Some(other) if same(&other) => passed = passed.wrapping_add(1),
            _ => return (passed, here),
        }
    }
}

/// A piece of a response about partitions by topic, in the order of the message; `P` is what it says of a partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TopicItem<'a, P> {
    /// How long the broker asks for silence, in milliseconds.
    Throttle(i32),
    /// A topic; its partitions follow.
    Topic {
        /// Its name.
        name: &'a [u8],
        /// How many [`TopicItem::Partition`] the message claims to have for it.
        partitions: u32,
    },
    /// A partition of the last topic.
    Partition(P),
}

/// What a response says of one partition.
pub trait AboutPartition: Sized {
    /// Whose response it is.
    const API: ApiKey;

    /// The first version that begins with the throttle time.
    const THROTTLE_FROM: i16 = 0;

    /// Reads it, but for the tagged fields behind it.
    fn read(reader: &mut Reader<'_>, version: i16) -> Result<Self, ReadError>;
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Throttle,
    TopicCount,
    Topic,
    Partition,
    Done,
}

/// Reads a response that has a throttle time, topics, partitions in them, and nothing else, item by item.
#[derive(Clone, Copy, Debug)]
pub struct TopicReader<P> {
    version: i16,
    stage: Stage,
    topics: u32,
    partitions: u32,
    skip: Skip,
    about: PhantomData<P>,
}

impl<P: AboutPartition> TopicReader<P> {
    /// A reader at the start of the body of the answer to a request of this version.
    pub const fn new(version: i16) -> Self {
        TopicReader {
            version,
            stage: if version >= P::THROTTLE_FROM { Stage::Throttle } else { Stage::TopicCount },
            topics: 0,
            partitions: 0,
            skip: Skip::NONE,
            about: PhantomData,
        }
    }

    /// The next item, or None at the end of the body; see [the module](super) for the window.
    pub fn next<'a>(&mut self, window: &mut &'a [u8]) -> Result<Option<TopicItem<'a, P>>, ReadError> {
        items::next(self, window)
    }
}

impl<P: AboutPartition> Stages for TopicReader<P> {
    type Item<'a> = TopicItem<'a, P>;

    fn skip(&mut self) -> &mut Skip {
        &mut self.skip
    }

    fn step<'a>(&mut self, reader: &mut Reader<'a>) -> Result<Piece<TopicItem<'a, P>>, ReadError> {
        let flexible = flexible(P::API, self.version);
        Ok(match self.stage {
            Stage::Throttle => {
                let throttle = reader.i32()?;
                self.stage = Stage::TopicCount;
                Piece::Item(TopicItem::Throttle(throttle))
            }
            Stage::TopicCount => {
                self.topics = count(reader, flexible)?;
                self.stage = Stage::Topic;
                Piece::Silent
            }
            Stage::Topic if self.topics > 0 => {
                let (name, partitions) = (reader.text(flexible)?, count(reader, flexible)?);
                self.topics = self.topics.wrapping_sub(1);
                self.partitions = partitions;
                self.stage = Stage::Partition;
                Piece::Item(TopicItem::Topic { name, partitions })
            }
            Stage::Partition if self.partitions > 0 => {
                let partition = P::read(reader, self.version)?;
                self.partitions = self.partitions.wrapping_sub(1);
                self.skip = Skip::plan(flexible, Steps::TAGS);
                Piece::Item(TopicItem::Partition(partition))
            }
            Stage::Topic | Stage::Partition => {
                self.skip = Skip::plan(flexible, Steps::TAGS);
                self.stage = if self.stage == Stage::Partition { Stage::Topic } else { Stage::Done };
                Piece::Silent
            }
            Stage::Done => Piece::End,
        })
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
        write_by_name(&mut writer, true, list.into_iter(), |of| of.0, |writer, of| writer.i8(of.1));
        let end = writer.finish().unwrap();
        // Three topics: two partitions, one, one.
        assert_eq!(buffer[..end], [4, 2, b'a', 3, 1, 2, 0, 2, b'b', 2, 3, 0, 2, b'a', 2, 4, 0]);

        let mut writer = Writer::new(&mut buffer);
        let nothing = core::iter::empty::<()>();
        write(&mut writer, false, nothing, |_, _| true, |_, _| panic!("no topic"), |_, _| panic!("no partition"));
        assert_eq!(writer.finish(), Ok(4));
        assert_eq!(buffer[..4], [0; 4]);
    }
}
