//! InitProducerId, key 22, versions 0 to 5: a producer id and epoch (KIP-98, KIP-360).

use super::{ApiKey, ErrorCode, flexible, since};
use crate::wire::{ReadError, Reader, Skip, Steps, Writer};

/// Writes the body of `InitProducerIdRequest` for an idempotent producer without transactions, as the Java
/// client does: no transactional id, the longest time-out, and no producer id of its own to go on with.
pub fn request(writer: &mut Writer<'_>, version: i16) {
    let flexible = flexible(ApiKey::InitProducerId, version);
    writer.nullable_string(flexible, None);
    writer.i32(i32::MAX);
    if since(version, 3) {
        writer.i64(-1);
        writer.i16(-1);
    }
    writer.no_tags(flexible);
}

/// A piece of `InitProducerIdResponse`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Item {
    /// All of it.
    Done {
        /// How long the broker asks for silence, in milliseconds.
        throttle_ms: i32,
        /// The outcome.
        error: ErrorCode,
        /// The producer id, -1 on error.
        producer_id: i64,
        /// The producer epoch, -1 on error in newer brokers, 0 in older ones.
        producer_epoch: i16,
    },
}

/// Reads `InitProducerIdResponse`.
#[derive(Clone, Copy, Debug)]
pub struct ResponseReader {
    version: i16,
    done: bool,
    skip: Skip,
}

impl ResponseReader {
    /// A reader at the start of the body of the answer to a request of this version.
    pub const fn new(version: i16) -> Self {
        ResponseReader { version, done: false, skip: Skip::NONE }
    }

    /// The next item, or None at the end of the body; see [the module](super) for the window.
    pub fn next(&mut self, window: &mut &[u8]) -> Result<Option<Item>, ReadError> {
        self.skip.feed(window)?;
        if self.done {
            return Ok(None);
        }
        let mut reader = Reader::new(window);
        let mut part = reader.part::<16>()?;
        let item = Item::Done {
            throttle_ms: part.i32()?,
            error: ErrorCode(part.i16()?),
            producer_id: part.i64()?,
            producer_epoch: part.i16()?,
        };
        *window = reader.remaining();
        self.skip = Skip::plan(flexible(ApiKey::InitProducerId, self.version), Steps::TAGS);
        self.done = true;
        Ok(Some(item))
    }
}
