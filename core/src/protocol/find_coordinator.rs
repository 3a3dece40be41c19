//! FindCoordinator, key 10, versions 1 to 4: which broker keeps a group.
//!
//! 1 is the first with a throttle time, at the place where all later ones have it. From 4 on (KIP-699) a request may name
//! many groups; here it names one. 5 and 6 change nothing for groups.

use super::items::{self, Stages};
use super::{ApiKey, ErrorCode, count, flexible, since};
use crate::wire::{FLEXIBLE, ReadError, Reader, Skip, Step, Steps, Writer};

/// Writes the body of `FindCoordinatorRequest` for one group.
pub fn request(writer: &mut Writer<'_>, version: i16, group: &[u8]) {
    let flexible = flexible(ApiKey::FindCoordinator, version);
    if !since(version, 4) {
        writer.string(flexible, group);
    }
    // The key is that of a group, not of a transaction.
    writer.i8(0);
    if since(version, 4) {
        writer.array_length(flexible, 1);
        writer.string(flexible, group);
    }
    writer.no_tags(flexible);
}

/// A piece of `FindCoordinatorResponse`, in the order of the message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Item<'a> {
    /// How long the broker asks for silence, in milliseconds.
    Throttle(i32),
    /// The broker that keeps the group.
    Coordinator {
        /// Whether it is known; the rest counts only then.
        error: ErrorCode,
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
    Throttle,
    /// Up to version 3: one group's error, then its broker.
    Error,
    Broker,
    /// From version 4 on: a list of groups, each error behind the broker.
    Count,
    Key,
    Coordinator,
    Done,
}

/// Reads `FindCoordinatorResponse` item by item.
#[derive(Clone, Copy, Debug)]
pub struct ResponseReader {
    version: i16,
    stage: Stage,
    /// Groups still to come.
    groups: u32,
    /// What was said before the broker came.
    error: ErrorCode,
    skip: Skip,
}

impl ResponseReader {
    /// A reader at the start of the body of the answer to a request of this version.
    pub const fn new(version: i16) -> Self {
        ResponseReader { version, stage: Stage::Throttle, groups: 0, error: ErrorCode::NONE, skip: Skip::NONE }
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
        let flexible = flexible(ApiKey::FindCoordinator, self.version);
        Ok(match self.stage {
            Stage::Throttle => {
                let throttle = reader.i32()?;
                self.stage = if since(self.version, 4) { Stage::Count } else { Stage::Error };
                Some(Item::Throttle(throttle))
            }
            Stage::Error => {
                self.error = ErrorCode(reader.i16()?);
                // The error message.
                self.skip = Skip::plan(flexible, const { Steps::new(&[Step::String]) });
                self.stage = Stage::Broker;
                None
            }
            Stage::Broker => {
                let (node_id, host, port) = (reader.i32()?, reader.text(flexible)?, reader.i32()?);
                self.skip = Skip::plan(flexible, Steps::TAGS);
                self.stage = Stage::Done;
                Some(Item::Coordinator { error: self.error, node_id, host, port })
            }
            // Of flexible versions alone, all but the last.
            _ if !FLEXIBLE => None,
            Stage::Count => {
                self.groups = count(reader, flexible)?;
                self.stage = Stage::Key;
                None
            }
            Stage::Key if self.groups > 0 => {
                self.groups = self.groups.wrapping_sub(1);
                self.skip = Skip::plan(flexible, const { Steps::new(&[Step::String]) });
                self.stage = Stage::Coordinator;
                None
            }
            Stage::Key => {
                self.skip = Skip::plan(flexible, Steps::TAGS);
                self.stage = Stage::Done;
                None
            }
            Stage::Coordinator => {
                let (node_id, host, port) = (reader.i32()?, reader.text(flexible)?, reader.i32()?);
                let error = ErrorCode(reader.i16()?);
                // The error message.
                self.skip = Skip::plan(flexible, const { Steps::new(&[Step::String, Step::Tags]) });
                self.stage = Stage::Key;
                Some(Item::Coordinator { error, node_id, host, port })
            }
            Stage::Done => None,
        })
    }
}
