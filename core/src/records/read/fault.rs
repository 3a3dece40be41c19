//! What can be wrong with batches, and where.

use crate::records::Compression;
use core::fmt;

/// Why a batch or a record could not be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum BatchError {
    /// The bytes end before it does. Nothing was consumed: more of them may complete it.
    Incomplete {
        /// Bytes that there must be, counted from its first: that many allow at least a step.
        needed: usize,
    },
    /// No further byte can make it valid.
    Corrupt(Corrupt),
}

impl From<Corrupt> for BatchError {
    fn from(corrupt: Corrupt) -> Self {
        BatchError::Corrupt(corrupt)
    }
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BatchError::Incomplete { needed } => write!(f, "it is cut: {needed} bytes are needed"),
            BatchError::Corrupt(corrupt) => corrupt.fmt(f),
        }
    }
}

impl core::error::Error for BatchError {}

/// Bytes that are not what they claim to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Corrupt {
    /// The offset of the record, or the first one of the batch, as far as the bytes say it.
    pub offset: i64,
    /// What is wrong.
    pub fault: Fault,
}

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at offset {}: {}", self.offset, self.fault)
    }
}

impl core::error::Error for Corrupt {}

/// What is wrong with a batch or a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Fault {
    /// A message set of magic 0 or 1, as producers before Kafka 0.11 wrote them. They are not read here.
    OldFormat(
        /// The magic.
        i8,
    ),
    /// A magic that is not known.
    UnknownFormat(
        /// The magic.
        i8,
    ),
    /// The batch's length is too small for its header, or negative.
    BatchLength(
        /// The length as it is stored, without its own four bytes and the base offset.
        i32,
    ),
    /// The base offset is negative, or the offset of the last record is more than can be counted.
    Offset,
    /// The difference between the last offset and the base offset is negative.
    LastOffsetDelta(
        /// The difference.
        i32,
    ),
    /// The count of records is negative, or more than the batch has offsets.
    RecordCount(
        /// The count.
        i32,
    ),
    /// The number of the compression is not known.
    UnknownCompression(
        /// The number.
        u8,
    ),
    /// The records are compressed, and it is not their decompressed bytes that are read.
    Compressed(
        /// How.
        Compression,
    ),
    /// The batch starts in front of where the one before it ends.
    OffsetsGoBack {
        /// The offset behind the one before it.
        expected: i64,
    },
    /// The checksum is not that of the bytes.
    Crc {
        /// The one in the batch.
        stored: u32,
        /// That of the bytes.
        computed: u32,
    },
    /// The record's length is negative, or more than the batch has left.
    RecordLength(
        /// The length; -1 when it is no number at all.
        i32,
    ),
    /// A part of the record is no number, or longer than the record.
    Malformed(
        /// Which.
        Part,
    ),
    /// The record's offset is not behind the one before it, or behind the last one of its batch.
    OffsetDelta(
        /// Its difference to the base offset.
        i32,
    ),
    /// There are bytes behind the record's last header.
    RecordNotOver(
        /// How many.
        u32,
    ),
    /// The bytes of the batch are over, but not its count of records.
    RecordsMissing(
        /// How many are missing.
        u32,
    ),
    /// The count of records is reached, but not the end of the batch's bytes.
    BatchNotOver(
        /// How many bytes there are behind.
        u32,
    ),
    /// A record of a control batch does not say what it is.
    ControlRecord,
}

/// A part of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Part {
    /// The attributes.
    Attributes,
    /// The timestamp's difference to the base timestamp.
    Timestamp,
    /// The offset's difference to the base offset.
    Offset,
    /// The key.
    Key,
    /// The value.
    Value,
    /// The count of headers.
    HeaderCount,
    /// The key of a header.
    HeaderKey,
    /// The value of a header.
    HeaderValue,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::OldFormat(magic) => write!(
                f,
                "a message set of magic {magic}, from before Kafka 0.11: only record batches of magic 2 are read"
            ),
            Fault::UnknownFormat(magic) => write!(f, "a batch of unknown magic {magic}"),
            Fault::BatchLength(length) => write!(f, "a batch with a length of {length}"),
            Fault::Offset => f.write_str("a batch whose offsets are out of range"),
            Fault::LastOffsetDelta(delta) => write!(f, "a batch that ends {delta} behind its base offset"),
            Fault::RecordCount(count) => write!(f, "a batch of {count} records, which is not what its offsets allow"),
            Fault::UnknownCompression(number) => write!(f, "a batch of unknown compression {number}"),
            Fault::Compressed(compression) => write!(f, "records compressed by {compression} are read as they are"),
            Fault::OffsetsGoBack { expected } => write!(f, "a batch where offset {expected} or later is due"),
            Fault::Crc { stored, computed } => {
                write!(f, "a batch with checksum {stored:#010x} whose bytes have {computed:#010x}")
            }
            Fault::RecordLength(length) => {
                write!(f, "a record with a length of {length}, which its batch has not left")
            }
            Fault::Malformed(part) => write!(f, "a record whose {part} does not fit into it"),
            Fault::OffsetDelta(delta) => write!(f, "a record {delta} behind the base offset, which is out of turn"),
            Fault::RecordNotOver(bytes) => write!(f, "a record with {bytes} bytes behind its last header"),
            Fault::RecordsMissing(records) => write!(f, "the batch is over, but {records} records of it are missing"),
            Fault::BatchNotOver(bytes) => write!(f, "a batch with {bytes} bytes behind its last record"),
            Fault::ControlRecord => f.write_str("a control record that does not say what it is"),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::Attributes => "attributes",
            Part::Timestamp => "timestamp",
            Part::Offset => "offset",
            Part::Key => "key",
            Part::Value => "value",
            Part::HeaderCount => "count of headers",
            Part::HeaderKey => "header key",
            Part::HeaderValue => "header value",
        })
    }
}
