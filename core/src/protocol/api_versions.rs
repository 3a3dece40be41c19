//! ApiVersions, key 18, versions 0 to 4: which APIs a broker has (KIP-35, KIP-511).

use super::items::{self, Stages};
use super::{ApiKey, ErrorCode, count, flexible, since};
use crate::wire::{ReadError, Reader, Skip, Steps, Writer};

/// The name by which brokers count clients of this kind (`ClientSoftwareName`, KIP-511).
pub const CLIENT_SOFTWARE_NAME: &str = "demitasse";

/// The version that goes with [`CLIENT_SOFTWARE_NAME`]: this crate's.
pub const CLIENT_SOFTWARE_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Writes the body of `ApiVersionsRequest`.
pub fn request(writer: &mut Writer<'_>, version: i16) {
    if since(version, 3) {
        writer.string(true, CLIENT_SOFTWARE_NAME);
        writer.string(true, CLIENT_SOFTWARE_VERSION);
        writer.no_tags(true);
    }
}

/// A piece of `ApiVersionsResponse`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Item {
    /// Always the first. With [`ErrorCode::UNSUPPORTED_VERSION`] the ranges may follow (brokers from 2.4 on
    /// name at least that of ApiVersions itself) or not.
    Error(ErrorCode),
    /// The versions of one API that the broker offers, both inclusive.
    Range {
        /// The API's key; it need not be one of [`ApiKey`].
        key: i16,
        /// The lowest version.
        min: i16,
        /// The highest version.
        max: i16,
    },
    /// How long the broker asks for silence, in milliseconds (version 1 and later).
    Throttle(i32),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Error,
    Count,
    Range,
    Done,
}

/// Reads `ApiVersionsResponse` item by item.
#[derive(Clone, Copy, Debug)]
pub struct ResponseReader {
    version: i16,
    stage: Stage,
    ranges: u32,
    skip: Skip,
}

impl ResponseReader {
    /// A reader at the start of the body of the answer to a request of this version.
    pub const fn new(version: i16) -> Self {
        ResponseReader { version, stage: Stage::Error, ranges: 0, skip: Skip::NONE }
    }

    /// The next item, or None at the end of the body; see [the module](super) for the window.
    pub fn next(&mut self, window: &mut &[u8]) -> Result<Option<Item>, ReadError> {
        items::next(self, window)
    }
}

impl Stages for ResponseReader {
    type Item<'a> = Item;

    fn skip(&mut self) -> &mut Skip {
        &mut self.skip
    }

    fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    fn step(&mut self, reader: &mut Reader<'_>) -> Result<Option<Item>, ReadError> {
        let flexible = flexible(ApiKey::ApiVersions, self.version);
        Ok(match self.stage {
            Stage::Error => {
                let error = ErrorCode(reader.i16()?);
                if error == ErrorCode::UNSUPPORTED_VERSION {
                    // A broker that does not know the version answers in the one format that everybody
                    // reads, whatever was asked.
                    self.version = 0;
                }
                self.stage = Stage::Count;
                Some(Item::Error(error))
            }
            Stage::Count => {
                self.ranges = count(reader, flexible)?;
                self.stage = Stage::Range;
                None
            }
            Stage::Range if self.ranges > 0 => {
                let mut part = reader.part::<6>()?;
                let item = Item::Range { key: part.i16()?, min: part.i16()?, max: part.i16()? };
                self.ranges = self.ranges.wrapping_sub(1);
                self.skip = Skip::plan(flexible, Steps::TAGS);
                Some(item)
            }
            Stage::Range if since(self.version, 1) => {
                let throttle = reader.i32()?;
                self.skip = Skip::plan(flexible, Steps::TAGS);
                self.stage = Stage::Done;
                Some(Item::Throttle(throttle))
            }
            Stage::Range => {
                self.stage = Stage::Done;
                None
            }
            Stage::Done => None,
        })
    }
}
