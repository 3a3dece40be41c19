//! What the records of a compressed batch go through, as a side brings it.

use super::Compression;
use core::fmt;

/// Decoders of compressed records, one stream at a time, into a window that the caller empties from the front.
///
/// All memory is taken when it is made. Whatever the bytes are, it ends, and without a panic.
pub trait Decompress {
    /// Whether there is a decoder for it. Batches for which there is none are errors of their partition.
    fn supports(compression: Compression) -> bool;

    /// Bytes that it takes at most, beside the window.
    fn memory(&self) -> usize {
        0
    }

    /// Another stream begins; what was left of the one before is forgotten.
    fn begin(&mut self, compression: Compression) -> Result<(), CodecError>;

    /// How many bytes in front of the next one it may refer to: these must stay in the window, as far as there were any.
    fn history(&self) -> usize {
        0
    }

    /// Goes on with a stream of which `input` is all the rest. What comes of it goes into `window` from `filled` on, and
    /// in front of that stand those bytes of the same stream that came last. It ends with the stream, or when it wants more room.
    fn decompress(&mut self, input: &[u8], window: &mut [u8], filled: usize) -> Result<Progress, CodecError>;
}

/// How far a decoder has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// Bytes of the input that are done with.
    pub consumed: usize,
    /// Bytes that were written into the window.
    pub produced: usize,
    /// What there is to do.
    pub next: Next,
}

/// What there is to do for a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// It is over, with all of its input.
    Ended,
    /// To be called again when so many bytes are free in the window: at least 1.
    Room(usize),
}

/// What is wrong with compressed bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum CodecError {
    /// They are not what the codec writes.
    Malformed,
    /// They end before the stream does.
    Cut,
    /// There are more behind the end of the stream.
    NotOver,
    /// A checksum of the codec's own is not that of what it covers.
    Checksum,
    /// They refer back further than is kept.
    Window {
        /// Bytes that would have to be kept; at most 4 GiB are told.
        needed: u32,
        /// Bytes that are.
        capacity: u32,
    },
    /// There is no such decoder.
    Unsupported,
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CodecError::Malformed => f.write_str("the bytes are not of this codec"),
            CodecError::Cut => f.write_str("the bytes are over before the stream is"),
            CodecError::NotOver => f.write_str("there are bytes behind the end of the stream"),
            CodecError::Checksum => f.write_str("the codec's own checksum is another"),
            CodecError::Window { needed, capacity } => {
                write!(
                    f,
                    "it refers back up to {needed} bytes, at most {capacity} are kept: write it with a lower level"
                )
            }
            CodecError::Unsupported => f.write_str("there is no decoder for it here"),
        }
    }
}

impl core::error::Error for CodecError {}

/// No decoder at all: for who reads nothing, or nothing that is compressed.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCodec;

impl Decompress for NoCodec {
    fn supports(_: Compression) -> bool {
        false
    }

    fn begin(&mut self, _: Compression) -> Result<(), CodecError> {
        Err(CodecError::Unsupported)
    }

    fn decompress(&mut self, _: &[u8], _: &mut [u8], _: usize) -> Result<Progress, CodecError> {
        Err(CodecError::Unsupported)
    }
}
