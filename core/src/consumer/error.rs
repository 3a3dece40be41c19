//! What can be wrong with the reading of a partition. It stops that partition alone.

use crate::connection::ConnectionError;
use crate::exchange::Topic;
use crate::protocol::ErrorCode;
use crate::records::Compression;
use crate::records::codec::CodecError;
use crate::records::read::Fault;
use core::fmt;

/// Why a partition cannot be read on, and where. The others go on; this one after a `seek`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ConsumeError {
    /// The topic.
    pub topic: Topic,
    /// The partition's number.
    pub partition: i32,
    /// The offset of the next record that would have been handed out, or of what is wrong; -1 if no place is known yet.
    pub offset: i64,
    /// What is wrong.
    pub fault: ConsumeFault,
}

/// What is wrong with a partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
#[repr(u8)]
pub enum ConsumeFault {
    /// The bytes of a batch are not what they should be.
    // Not 0, so that no fault at all is: an empty table then takes nothing in flash.
    Corrupt(Fault) = 1,
    /// A batch is larger than a chunk, and compressed, or not to be streamed: `fetch.chunk.bytes` must be larger.
    BatchTooLarge {
        /// Bytes of the batch.
        needed: u32,
        /// Bytes of a chunk, less what it needs for itself.
        capacity: u32,
    },
    /// More transactions were aborted in what is to be read than a chunk can list, and `read_committed` needs to know all:
    /// `fetch.chunk.bytes` must be larger.
    TooManyAborted {
        /// How many a chunk can list, with room for one record.
        fits: u32,
    },
    /// A batch is compressed in a way that cannot be read here.
    Compressed(Compression),
    /// The compressed bytes of a batch cannot be read.
    Decompression(Compression, CodecError),
    /// A record of a batch that is read in pieces is larger than what holds a piece. For a compressed batch that is the window,
    /// and a piece may be what must be decompressed at once: `fetch.decompression.bytes` must be larger; else the chunk:
    /// `fetch.chunk.bytes`.
    RecordTooLarge {
        /// Bytes that are needed, as far as they are known.
        needed: u32,
        /// Bytes there are, less those of the chunk's own, or those that the codec refers back to.
        capacity: u32,
    },
    /// A batch becomes larger than any that is meant well: more than 64 MiB and more than 1,024 times what it was.
    ExpandsTooFar {
        /// Its compressed bytes.
        compressed: u32,
        /// The bytes that they may become.
        limit: u32,
    },
    /// The log has no such offset, and `auto.offset.reset` is none.
    OffsetOutOfRange,
    /// What was read is not in the log any more: an unclean election has taken it away, or the topic was deleted and made
    /// again. The log goes on with other records from `end_offset` on.
    Truncated {
        /// The offset behind the last record that the log and the reader have in common.
        end_offset: i64,
    },
    /// Nobody reads the partition, so that it has no position.
    Unassigned,
    /// It had failed before its position was known, and a poll told why.
    ToldBefore,
    /// The consumer was closed before the position was known.
    Closed,
    /// The group keeps no position of the partition, and `auto.offset.reset` is none.
    NotCommitted,
    /// The topic has fewer partitions.
    NoSuchPartition {
        /// How many it has.
        partitions: u32,
    },
    /// There is no place for the address of the partition's leader, or of the group's coordinator; with the sizes.
    NoPlace(ConnectionError),
    /// The broker's last word.
    Refused(ErrorCode),
}

/// Why positions could not be committed. They are as they were, or somewhere between; what is read goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum CommitError {
    /// `group.id` is not set.
    NoGroup,
    /// It is no partition that is or was assigned.
    Unassigned {
        /// Its topic.
        topic: Topic,
        /// Its number.
        partition: i32,
    },
    /// No record has such an offset; kept, it would be as if nothing was.
    NegativeOffset {
        /// The topic.
        topic: Topic,
        /// The partition's number.
        partition: i32,
        /// What was to be committed.
        offset: i64,
    },
    /// The broker's last word on one of them at least. `UNKNOWN_MEMBER_ID`: members use the group, and nobody else may
    /// commit for it.
    Refused(ErrorCode),
    /// Not within `default.api.timeout.ms`. It is still tried; another commit goes before it.
    TimedOut {
        /// What was in the way to the group's coordinator last, if anything was.
        connection: Option<ConnectionError>,
    },
    /// Every seat for a waiting task is taken: raise `waiters.max`. It is still tried.
    TooManyWaiters,
    /// The consumer was closed.
    Closed,
}

impl fmt::Display for CommitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CommitError::NoGroup => f.write_str("group.id is not set"),
            CommitError::Unassigned { partition, .. } => write!(f, "partition {partition} is not assigned"),
            CommitError::NegativeOffset { partition, offset, .. } => {
                write!(f, "partition {partition}: {offset} is no offset")
            }
            CommitError::Refused(ErrorCode::UNKNOWN_MEMBER_ID) => {
                f.write_str("the broker refuses: the group is used by members, and nobody else may commit for it")
            }
            CommitError::Refused(code) => write!(f, "the broker refuses: {code}"),
            CommitError::TimedOut { connection } => {
                f.write_str("no answer within default.api.timeout.ms")?;
                connection.map_or(Ok(()), |error| write!(f, "; connection: {error}"))
            }
            CommitError::TooManyWaiters => f.write_str("every seat for a waiting task is taken: raise waiters.max"),
            CommitError::Closed => f.write_str("the consumer is closed"),
        }
    }
}

impl core::error::Error for CommitError {}

impl fmt::Display for ConsumeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "partition {}", self.partition)?;
        if self.offset >= 0 {
            write!(f, ", offset {}", self.offset)?;
        }
        f.write_str(": ")?;
        match self.fault {
            ConsumeFault::Corrupt(fault) => fault.fmt(f),
            ConsumeFault::BatchTooLarge { needed, capacity } => {
                write!(f, "a batch of {needed} bytes, a chunk has room for {capacity}: raise fetch.chunk.bytes")
            }
            ConsumeFault::TooManyAborted { fits } => {
                write!(f, "more aborted transactions than the {fits} that a chunk can list: raise fetch.chunk.bytes")
            }
            ConsumeFault::Compressed(compression) => {
                write!(f, "a batch compressed by {compression}, which is not read here")
            }
            ConsumeFault::Decompression(compression, error) => {
                write!(f, "a batch compressed by {compression}: {error}")
            }
            ConsumeFault::RecordTooLarge { needed, capacity } => write!(
                f,
                "a record needs {needed} bytes at once, there is room for {capacity}: raise fetch.chunk.bytes, or \
                 fetch.decompression.bytes if its batch is compressed"
            ),
            ConsumeFault::ExpandsTooFar { compressed, limit } => {
                write!(f, "a batch of {compressed} compressed bytes becomes more than {limit}")
            }
            ConsumeFault::OffsetOutOfRange => f.write_str("the log has no such offset; seek, or set auto.offset.reset"),
            ConsumeFault::Truncated { end_offset } => {
                write!(
                    f,
                    "the log has lost what was read of it behind offset {end_offset}: an unclean election, or the topic was \
                     made anew; seek to go on"
                )
            }
            ConsumeFault::Closed => f.write_str("the consumer is closed"),
            ConsumeFault::ToldBefore => f.write_str("it cannot be read, as a poll has told, and has no position; seek"),
            ConsumeFault::Unassigned => f.write_str("it is not assigned, and has no position"),
            ConsumeFault::NotCommitted => f.write_str("the group keeps no position; seek, or set auto.offset.reset"),
            ConsumeFault::NoSuchPartition { partitions } => write!(f, "the topic has {partitions} partitions only"),
            ConsumeFault::NoPlace(error) => write!(f, "{error}"),
            ConsumeFault::Refused(code) => write!(f, "the broker refuses: {code}"),
        }
    }
}

impl core::error::Error for ConsumeError {}
