//! ListOffsets, key 2, versions 1 to 9: offsets by position or by time (KIP-79, KIP-98, KIP-320, KIP-734).
//!
//! 1 is the first that gives one offset for one time, all that is needed, and everybody speaks it; isolation comes with 2,
//! leader epochs with 4. 10 and 11 concern storage in tiers alone.

use super::{ApiKey, IsolationLevel, flexible, since, topics};
use crate::wire::Writer;

/// Instead of a time: the end of the log, where the next record will be. Under [`IsolationLevel::ReadCommitted`] the
/// last stable offset (version 2 and later; version 1 does not know transactions).
pub const LATEST: i64 = -1;

/// Instead of a time: the first offset that the log still has.
pub const EARLIEST: i64 = -2;

/// Instead of a time: the record with the largest timestamp (version 7 and later).
pub const MAX_TIMESTAMP: i64 = -3;

/// A partition to be asked about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Partition<'t> {
    /// Its topic's name.
    pub topic: &'t [u8],
    /// The partition's number.
    pub index: i32,
    /// The epoch of the leader as the client knows it, -1 for unknown: another one is refused (version 4 and later).
    pub current_leader_epoch: i32,
    /// The first record not older than that, in milliseconds since 1970; or [`LATEST`], [`EARLIEST`], [`MAX_TIMESTAMP`].
    pub timestamp: i64,
}

/// Writes the body of `ListOffsetsRequest`; neighbours of the same topic share its entry.
///
/// Every partition must be asked of its leader. One that stands in a request twice is refused.
///
/// The answer is for [`TopicReader`](super::TopicReader).
pub fn request<'t>(
    writer: &mut Writer<'_>,
    version: i16,
    isolation_level: IsolationLevel,
    partitions: impl Iterator<Item = Partition<'t>>,
) {
    let flexible = flexible(ApiKey::ListOffsets, version);
    // Not a replica.
    writer.i32(-1);
    if since(version, 2) {
        writer.i8(isolation_level as i8);
    }
    topics::write(
        writer,
        flexible,
        partitions,
        |of| of.topic,
        |writer, partition| {
            writer.i32(partition.index);
            if since(version, 4) {
                writer.i32(partition.current_leader_epoch);
            }
            writer.i64(partition.timestamp);
            writer.no_tags(flexible);
        },
    );
    writer.no_tags(flexible);
}
