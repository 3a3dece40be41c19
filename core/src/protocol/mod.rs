//! One file an API: the versions it speaks, the request writer, the resumable response reader; four answers about offsets,
//! which have the same shape, share [`TopicReader`].
//!
//! Source of truth: the message definitions in `common/message/` of Apache Kafka's `kafka-clients` 4.3.1.
//!
//! # Reading a response
//!
//! A device has a few hundred bytes to receive into, and a response may have megabytes. So each response is
//! read as a stream of small items. A reader is a few words without a borrow: it is asked for the
//! [next](metadata::ResponseReader::next) item with a *window*, the bytes received and not yet consumed.
//! An item is either whole in the window or it is [`Incomplete`](crate::wire::ReadError::Incomplete) and
//! nothing of it is consumed: then compact, receive more and ask again. What nobody wants (replica lists,
//! unknown tagged fields, texts) is consumed in whatever pieces it arrives and needs no room.
//!
//! The caller bounds the window by the frame's end, and takes `Incomplete` with the whole rest of the frame
//! in the window as malformed. Bytes behind the `None` that ends the body belong to nobody. After an error
//! other than `Incomplete` the reader's state means nothing.
//!
//! ```
//! use demitasse_core::protocol::produce::{Item, ResponseReader};
//! use demitasse_core::wire::ReadError;
//!
//! // No topics, throttled for 7 ms: a response of Produce 7, as two segments bring it.
//! let (first, second) = ([0, 0, 0, 0, 0, 0], [0, 7]);
//! let mut reader = ResponseReader::new(7);
//! let mut window = &first[..];
//! assert_eq!(reader.next(&mut window), Err(ReadError::Incomplete));
//! assert_eq!(window, [0, 0]); // what waits for the rest
//! let both = [window, &second[..]].concat();
//! let mut window = &both[..];
//! assert_eq!(reader.next(&mut window), Ok(Some(Item::Throttle(7))));
//! assert_eq!(reader.next(&mut window), Ok(None));
//! ```

pub mod api_versions;
pub mod create_topics;
mod error_code;
pub mod fetch;
pub mod find_coordinator;
pub mod init_producer_id;
mod items;
pub mod list_offsets;
pub mod metadata;
pub mod offset_commit;
pub mod offset_fetch;
pub mod offset_for_leader_epoch;
pub mod produce;
mod topics;

pub use error_code::ErrorCode;
pub use topics::{TopicItem, TopicReader};

use crate::wire::{FLEXIBLE, Overflow, ReadError, Reader, Writer};

/// The APIs that this client speaks, with their keys.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(i16)]
pub enum ApiKey {
    /// Appends record batches.
    Produce = 0,
    /// Reads record batches.
    Fetch = 1,
    /// Finds offsets by position or by time.
    ListOffsets = 2,
    /// Lists brokers, topics, partitions and their leaders.
    Metadata = 3,
    /// Keeps positions under a group's name.
    OffsetCommit = 8,
    /// Tells the positions kept under a group's name.
    OffsetFetch = 9,
    /// Names the broker that keeps a group.
    FindCoordinator = 10,
    /// Lists the APIs of a broker and their versions.
    ApiVersions = 18,
    /// Creates topics.
    CreateTopics = 19,
    /// Hands out producer ids and epochs.
    InitProducerId = 22,
    /// Tells where the records of a leader epoch end.
    OffsetForLeaderEpoch = 23,
}

/// Which records of transactions a consumer sees: Kafka's `isolation.level`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(i8)]
pub enum IsolationLevel {
    /// All of them, also those of transactions that are not decided or were aborted.
    #[default]
    ReadUncommitted = 0,
    /// Those of committed transactions, up to the first one that is not decided.
    ReadCommitted = 1,
}

/// The lowest and highest version of an API that this client speaks, both inclusive.
///
/// The lowest is the first that carries all we need (some compatible services top out there); the highest is
/// the last that changes nothing we would have to know more for (Produce 13 and OffsetCommit 10 name topics by id).
///
/// With the feature `one-version` it is the lowest alone; none of these is flexible.
pub const fn versions(key: ApiKey) -> (i16, i16) {
    let (oldest, newest) = match key {
        ApiKey::Produce => (7, 12),
        ApiKey::Fetch => (11, 17),
        ApiKey::ListOffsets => (1, 9),
        ApiKey::Metadata => (7, 13),
        ApiKey::OffsetCommit => (6, 9),
        ApiKey::OffsetFetch => (5, 9),
        ApiKey::FindCoordinator => (1, 4),
        ApiKey::ApiVersions => (0, 4),
        ApiKey::CreateTopics => (2, 7),
        ApiKey::InitProducerId => (0, 5),
        ApiKey::OffsetForLeaderEpoch => (3, 4),
    };
    (oldest, if cfg!(feature = "one-version") { oldest } else { newest })
}

/// Whether a version has compact lengths and tagged fields (KIP-482).
#[cfg_attr(not(feature = "one-version"), inline(never))]
pub const fn flexible(key: ApiKey, version: i16) -> bool {
    FLEXIBLE
        && version
            >= match key {
                ApiKey::Fetch => 12,
                ApiKey::Produce | ApiKey::Metadata => 9,
                ApiKey::OffsetCommit => 8,
                ApiKey::ListOffsets | ApiKey::OffsetFetch => 6,
                ApiKey::OffsetForLeaderEpoch => 4,
                ApiKey::ApiVersions | ApiKey::FindCoordinator => 3,
                ApiKey::CreateTopics => 5,
                ApiKey::InitProducerId => 2,
            }
}

/// Whether `version` is `first` or later, where the lowest version that we speak is not.
#[inline]
const fn since(version: i16, first: i16) -> bool {
    FLEXIBLE && version >= first
}

/// Writes four bytes for the frame's length, 0 for now, and the request header: `RequestHeader` version 2 when
/// the version is flexible, else 1.
///
/// The writer stands at the start of its buffer: the length is patched there.
pub fn request_header(
    writer: &mut Writer<'_>,
    key: ApiKey,
    version: i16,
    correlation_id: i32,
    client_id: Option<&[u8]>,
) {
    writer.i32(0);
    writer.i16(key as i16);
    writer.i16(version);
    writer.i32(correlation_id);
    // The client id keeps its old form even in the flexible header: older brokers must be able to read it.
    writer.nullable_string(false, client_id);
    writer.no_tags(flexible(key, version));
}

/// Sets the length of the frame that starts at the writer's first byte.
///
/// `total` counts all of the frame in bytes, its four bytes of length included; it is larger than what the
/// writer holds when record batches are gathered in between.
pub fn patch_frame_length(writer: &mut Writer<'_>, total: usize) {
    match i32::try_from(total.saturating_sub(4)) {
        Ok(length) => writer.patch_i32(0, length),
        Err(_) => writer.cannot_express(),
    }
}

/// Ends a frame that is in the writer as a whole: sets its length, tells its bytes.
pub fn finish_frame(mut writer: Writer<'_>) -> Result<usize, Overflow> {
    let total = writer.position();
    patch_frame_length(&mut writer, total);
    writer.finish()
}

/// Whether the response header ends with tagged fields ([`Skip::tags`](crate::wire::Skip::tags)) after the
/// correlation id.
///
/// Those of ApiVersions never do: a client must be able to read it before it knows what the broker speaks.
pub const fn response_header_tags(key: ApiKey, version: i16) -> bool {
    flexible(key, version) && !matches!(key, ApiKey::ApiVersions)
}

/// Reads the count of an array that may not be null.
fn count(reader: &mut Reader<'_>, flexible: bool) -> Result<u32, ReadError> {
    reader.array_length(flexible)?.ok_or(ReadError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(feature = "one-version", ignore = "of versions that it does not speak")]
    fn a_frame_is_patched_and_counted() {
        let mut buffer = [0xaau8; 64];
        let mut writer = Writer::new(&mut buffer);
        request_header(&mut writer, ApiKey::Metadata, 9, 7, Some(b"cup"));
        assert_eq!(finish_frame(writer), Ok(18));
        assert_eq!(buffer[..18], [0, 0, 0, 14, 0, 3, 0, 9, 0, 0, 0, 7, 0, 3, b'c', b'u', b'p', 0]);

        let mut small = [0u8; 17];
        let mut writer = Writer::new(&mut small);
        request_header(&mut writer, ApiKey::Metadata, 9, 7, Some(b"cup"));
        assert_eq!(finish_frame(writer), Err(Overflow { needed: 18, capacity: 17 }));
    }

    #[test]
    fn a_gathered_frame_counts_what_lies_elsewhere() {
        let mut buffer = [0u8; 32];
        let mut writer = Writer::new(&mut buffer);
        request_header(&mut writer, ApiKey::Produce, 7, 1, None);
        let total = writer.position() + 1000;
        patch_frame_length(&mut writer, total);
        assert_eq!(writer.finish(), Ok(14));
        assert_eq!(buffer[..4], 1010i32.to_be_bytes());
    }

    #[test]
    fn a_frame_beyond_31_bits_is_refused() {
        let mut buffer = [0u8; 32];
        let mut writer = Writer::new(&mut buffer);
        patch_frame_length(&mut writer, usize::MAX);
        assert_eq!(writer.finish(), Err(Overflow { needed: usize::MAX, capacity: 32 }));
    }
}
