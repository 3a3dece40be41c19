//! OffsetForLeaderEpoch, key 23, versions 3 and 4: where an epoch ends in the leader's log (KIP-320).
//!
//! So a consumer finds out, after a change of leaders, whether what it has read is still there. 3 is the first that a
//! client may use with the rights of a consumer; 4 is the flexible form of it.

use super::topics::{self, AboutPartition, TopicReader};
use super::{ApiKey, ErrorCode, TopicItem, flexible};
use crate::wire::{ReadError, Reader, Writer};

/// A partition to be asked about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Partition<'t> {
    /// Its topic's name.
    pub topic: &'t [u8],
    /// The partition's number.
    pub index: i32,
    /// The epoch of the leader as the client knows it, -1 for unknown: another one is refused.
    pub current_leader_epoch: i32,
    /// The epoch of the last record that was read.
    pub leader_epoch: i32,
}

/// Writes the body of `OffsetForLeaderEpochRequest`; neighbours of the same topic share its entry.
pub fn request<'t>(writer: &mut Writer<'_>, version: i16, partitions: impl Iterator<Item = Partition<'t>> + Clone) {
    let flexible = flexible(ApiKey::OffsetForLeaderEpoch, version);
    // Not a replica.
    writer.i32(-1);
    topics::write_by_name(
        writer,
        flexible,
        partitions,
        |of| of.topic,
        |writer, partition| {
            writer.i32(partition.index);
            writer.i32(partition.current_leader_epoch);
            writer.i32(partition.leader_epoch);
            writer.no_tags(flexible);
        },
    );
    writer.no_tags(flexible);
}

/// Where the epoch ends in a partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EpochEnd {
    /// The outcome.
    pub error: ErrorCode,
    /// The partition's number.
    pub index: i32,
    /// The latest epoch up to the one asked for that the log has, -1 when it has none.
    pub leader_epoch: i32,
    /// The offset behind the last record of it, -1 when unknown. A position beyond it is on records that are gone.
    pub end_offset: i64,
}

impl AboutPartition for EpochEnd {
    const API: ApiKey = ApiKey::OffsetForLeaderEpoch;

    fn read(reader: &mut Reader<'_>, _: i16) -> Result<Self, ReadError> {
        Ok(EpochEnd {
            error: ErrorCode(reader.i16()?),
            index: reader.i32()?,
            leader_epoch: reader.i32()?,
            end_offset: reader.i64()?,
        })
    }
}

/// A piece of `OffsetForLeaderEpochResponse`.
pub type Item<'a> = TopicItem<'a, EpochEnd>;

/// Reads `OffsetForLeaderEpochResponse` item by item.
pub type ResponseReader = TopicReader<EpochEnd>;
