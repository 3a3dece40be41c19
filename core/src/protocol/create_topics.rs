//! CreateTopics, key 19, versions 2 to 7.

use super::items::{self, Stages};
use super::{ApiKey, ErrorCode, count, flexible, since};
use crate::wire::{ReadError, Reader, Skip, Step, Steps, Writer};

/// The most bytes of an error message that a reader hands out; the rest is passed over.
pub const MESSAGE_BYTES: usize = 256;

/// A topic to be created.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NewTopic<'a> {
    /// Its name.
    pub name: &'a str,
    /// How many partitions; -1 leaves it to the broker (version 4 and later, KIP-464).
    pub num_partitions: i32,
    /// How many replicas of each; -1 leaves it to the broker (version 4 and later, KIP-464).
    pub replication_factor: i16,
    /// Configuration entries: name, value.
    pub configs: &'a [(&'a str, &'a str)],
}

/// Writes the body of `CreateTopicsRequest` for one topic.
///
/// The broker waits `timeout_ms` at most for the topic to be there. With `validate_only` it only says
/// whether it would create it.
pub fn request(writer: &mut Writer<'_>, version: i16, topic: &NewTopic<'_>, timeout_ms: i32, validate_only: bool) {
    let flexible = flexible(ApiKey::CreateTopics, version);
    writer.array_length(flexible, 1);
    writer.string(flexible, topic.name);
    writer.i32(topic.num_partitions);
    writer.i16(topic.replication_factor);
    // No replicas assigned by hand.
    writer.array_length(flexible, 0);
    writer.array_length(flexible, topic.configs.len());
    for (name, value) in topic.configs {
        writer.string(flexible, name);
        writer.string(flexible, value);
        writer.no_tags(flexible);
    }
    writer.no_tags(flexible);
    writer.i32(timeout_ms);
    writer.bool(validate_only);
    writer.no_tags(flexible);
}

/// A piece of `CreateTopicsResponse`, in the order of the message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Item<'a> {
    /// How long the broker asks for silence, in milliseconds.
    Throttle(i32),
    /// What became of a topic.
    Topic {
        /// Its name.
        name: &'a str,
        /// The outcome.
        error: ErrorCode,
    },
    /// The broker's words on the last topic, cut at [`MESSAGE_BYTES`]; left out when there are none.
    Message(&'a str),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Throttle,
    Count,
    Topic,
    MessageLength,
    Message,
    AfterMessage,
    ConfigCount,
    Config,
    Done,
}

/// Reads `CreateTopicsResponse` item by item.
#[derive(Clone, Copy, Debug)]
pub struct ResponseReader {
    version: i16,
    stage: Stage,
    topics: u32,
    /// Bytes of the error message, then configuration entries, still to come.
    inner: u32,
    skip: Skip,
}

impl ResponseReader {
    /// A reader at the start of the body of the answer to a request of this version.
    pub const fn new(version: i16) -> Self {
        ResponseReader { version, stage: Stage::Throttle, topics: 0, inner: 0, skip: Skip::NONE }
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

    fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    fn step<'a>(&mut self, reader: &mut Reader<'a>) -> Result<Option<Item<'a>>, ReadError> {
        let flexible = flexible(ApiKey::CreateTopics, self.version);
        Ok(match self.stage {
            Stage::Throttle => {
                let throttle = reader.i32()?;
                self.stage = Stage::Count;
                Some(Item::Throttle(throttle))
            }
            Stage::Count => {
                self.topics = count(reader, flexible)?;
                self.stage = Stage::Topic;
                None
            }
            Stage::Topic if self.topics > 0 => {
                let name = reader.string(flexible)?;
                if since(self.version, 7) {
                    reader.uuid()?;
                }
                let error = ErrorCode(reader.i16()?);
                self.topics = self.topics.wrapping_sub(1);
                self.stage = Stage::MessageLength;
                Some(Item::Topic { name, error })
            }
            Stage::Topic => {
                self.skip = Skip::plan(flexible, Steps::TAGS);
                self.stage = Stage::Done;
                None
            }
            Stage::MessageLength => {
                self.inner = reader.string_length(flexible)?.unwrap_or(0) as u32;
                self.stage = if self.inner > 0 { Stage::Message } else { Stage::AfterMessage };
                None
            }
            Stage::Message => {
                let head = (self.inner as usize).min(MESSAGE_BYTES);
                let text = text(reader.bytes(head)?, head < self.inner as usize)?;
                self.skip = Skip::bytes(self.inner.wrapping_sub(head as u32));
                self.stage = Stage::AfterMessage;
                Some(Item::Message(text))
            }
            Stage::AfterMessage if since(self.version, 5) => {
                // NumPartitions, ReplicationFactor.
                self.skip = Skip::plan(flexible, const { Steps::new(&[Step::Four, Step::Two]) });
                self.stage = Stage::ConfigCount;
                None
            }
            Stage::AfterMessage => {
                self.stage = Stage::Topic;
                None
            }
            Stage::ConfigCount => {
                self.inner = reader.array_length(flexible)?.unwrap_or(0);
                self.stage = Stage::Config;
                None
            }
            Stage::Config if self.inner > 0 => {
                self.inner = self.inner.wrapping_sub(1);
                // Name, Value, ReadOnly and ConfigSource, IsSensitive.
                self.skip = Skip::plan(
                    flexible,
                    const { Steps::new(&[Step::String, Step::String, Step::Two, Step::One, Step::Tags]) },
                );
                None
            }
            Stage::Config => {
                self.skip = Skip::plan(flexible, Steps::TAGS);
                self.stage = Stage::Topic;
                None
            }
            Stage::Done => None,
        })
    }
}

/// The text in `bytes`, without a last character that was cut in two.
fn text(bytes: &[u8], cut: bool) -> Result<&str, ReadError> {
    match core::str::from_utf8(bytes) {
        Ok(text) => Ok(text),
        Err(error) if cut && error.error_len().is_none() => {
            let whole = bytes.get(..error.valid_up_to()).unwrap_or(&[]);
            core::str::from_utf8(whole).map_err(|_| ReadError::Malformed)
        }
        Err(_) => Err(ReadError::Malformed),
    }
}
