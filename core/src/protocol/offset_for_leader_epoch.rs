//! OffsetForLeaderEpoch, key 23, versions 3 and 4: where an epoch ends in the leader's log (KIP-320).
//!
//! So a consumer finds out, after a change of leaders, whether what it has read is still there. 3 is the first that a
//! client may use with the rights of a consumer; 4 is the flexible form of it.

use super::{ApiKey, flexible, topics};
use crate::wire::Writer;

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
///
/// The answer is for [`TopicReader`](super::TopicReader).
pub fn request<'t>(writer: &mut Writer<'_>, version: i16, partitions: impl Iterator<Item = Partition<'t>>) {
    let flexible = flexible(ApiKey::OffsetForLeaderEpoch, version);
    // Not a replica.
    writer.i32(-1);
    topics::write(
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
