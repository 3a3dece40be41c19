//! OffsetCommit, key 8, versions 6 to 9: keeps positions under a group's name, without being a member of it.
//!
//! 6 is the first that keeps the leader epoch (KIP-320), without which a truncated log goes unnoticed after a start. 9 is
//! the last that names topics by name.

use super::{ApiKey, flexible, since, topics};
use crate::wire::Writer;

/// A position to be kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Position<'t> {
    /// The name of the partition's topic.
    pub topic: &'t [u8],
    /// The partition's number.
    pub index: i32,
    /// The offset to go on from: that of the last record done with, plus one.
    pub offset: i64,
    /// The epoch of the last record done with, -1 for unknown.
    pub leader_epoch: i32,
    /// Any words of the caller, at most `offset.metadata.max.bytes` of the broker.
    pub metadata: Option<&'t str>,
}

/// Writes the body of `OffsetCommitRequest` as of a consumer that assigns its partitions itself: the group has no
/// members. Neighbours of the same topic share its entry.
///
/// The answer is for [`TopicReader`](super::TopicReader).
pub fn request<'t>(writer: &mut Writer<'_>, version: i16, group: &[u8], positions: impl Iterator<Item = Position<'t>>) {
    let flexible = flexible(ApiKey::OffsetCommit, version);
    writer.string(flexible, group);
    // No generation, no member.
    writer.i32(-1);
    writer.string(flexible, "");
    if since(version, 7) {
        // GroupInstanceId
        writer.nullable_string(flexible, None);
    }
    topics::write(
        writer,
        flexible,
        positions,
        |of| of.topic,
        |writer, position| {
            writer.i32(position.index);
            writer.i64(position.offset);
            writer.i32(position.leader_epoch);
            writer.nullable_string(flexible, position.metadata.map(str::as_bytes));
            writer.no_tags(flexible);
        },
    );
    writer.no_tags(flexible);
}
