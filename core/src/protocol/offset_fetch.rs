//! OffsetFetch, key 9, versions 5 to 9: the positions kept under a group's name.
//!
//! 5 is the first that gives the leader epoch back. From 7 on a broker can be told to hold back positions that an open
//! transaction may change, from 8 on (KIP-709) a request may name many groups; here it names one. 9 is the last that
//! names topics by name.

use super::{ApiKey, flexible, since, topics};
use crate::wire::Writer;

/// Writes the body of `OffsetFetchRequest` for these partitions (topic, number) of one group; neighbours of the same
/// topic share its entry.
///
/// With `require_stable` positions that an open transaction may change give
/// [`UNSTABLE_OFFSET_COMMIT`](super::ErrorCode::UNSTABLE_OFFSET_COMMIT): for read_committed (version 7 and later).
///
/// The answer is for [`TopicReader`](super::TopicReader).
pub fn request<'t>(
    writer: &mut Writer<'_>,
    version: i16,
    group: &[u8],
    require_stable: bool,
    partitions: impl Iterator<Item = (&'t [u8], i32)>,
) {
    let flexible = flexible(ApiKey::OffsetFetch, version);
    around(writer, version, group, require_stable, |writer| {
        topics::write(writer, flexible, partitions, |of| of.0, |writer, partition| writer.i32(partition.1));
    });
}

/// Writes the body of `OffsetFetchRequest` for all partitions of which one group has a position.
pub fn request_all(writer: &mut Writer<'_>, version: i16, group: &[u8], require_stable: bool) {
    let flexible = flexible(ApiKey::OffsetFetch, version);
    around(writer, version, group, require_stable, |writer| writer.null_array(flexible));
}

fn around(
    writer: &mut Writer<'_>,
    version: i16,
    group: &[u8],
    require_stable: bool,
    topics: impl FnOnce(&mut Writer<'_>),
) {
    let flexible = flexible(ApiKey::OffsetFetch, version);
    if since(version, 8) {
        writer.array_length(flexible, 1);
    }
    writer.string(flexible, group);
    if since(version, 9) {
        // Not a member, and of no epoch.
        writer.nullable_string(flexible, None);
        writer.i32(-1);
    }
    topics(writer);
    if since(version, 8) {
        writer.no_tags(flexible);
    }
    if since(version, 7) {
        writer.bool(require_stable);
    }
    writer.no_tags(flexible);
}
