//! Frames: the shape of requests checked before they are decoded, and responses encoded.
//!
//! The codec crate reserves memory for as many elements as an array claims to have, so a hostile length would take the
//! process down. [`is_sound`] walks the bytes first, and every length in a request that passes is backed by bytes.

use kafka_protocol::messages::ResponseHeader;
use kafka_protocol::protocol::{Encodable, HeaderVersion};

use crate::options::Api;

enum Kind {
    /// That many bytes.
    Fixed(usize),
    Text,
    Records,
    Array(&'static Shape),
    /// An array of elements of that many bytes, without tagged fields.
    Plain(usize),
    /// An array of texts, without tagged fields.
    Texts,
}

/// A field, and the first and last version that have it.
struct Field(i16, i16, Kind);

struct Shape {
    fields: &'static [Field],
    /// Tagged fields that the codec decodes without looking at their stated size: tag and true size.
    tags: &'static [(u32, usize)],
}

const LAST: i16 = i16::MAX;

const fn shape(fields: &'static [Field]) -> Shape {
    Shape { fields, tags: &[] }
}

static PRODUCE: Shape = shape(&[
    Field(3, LAST, Kind::Text),
    Field(0, LAST, Kind::Fixed(2 + 4)),
    Field(0, LAST, Kind::Array(&PRODUCE_TOPIC)),
]);
static PRODUCE_TOPIC: Shape = shape(&[
    Field(0, 12, Kind::Text),
    Field(13, LAST, Kind::Fixed(16)),
    Field(0, LAST, Kind::Array(&PRODUCE_PARTITION)),
]);
static PRODUCE_PARTITION: Shape = shape(&[Field(0, LAST, Kind::Fixed(4)), Field(0, LAST, Kind::Records)]);

static FETCH: Shape = shape(&[
    Field(0, 14, Kind::Fixed(4)),
    Field(0, LAST, Kind::Fixed(4 + 4 + 4 + 1)),
    Field(7, LAST, Kind::Fixed(4 + 4)),
    Field(0, LAST, Kind::Array(&FETCH_TOPIC)),
    Field(7, LAST, Kind::Array(&FORGOTTEN_TOPIC)),
    Field(11, LAST, Kind::Text),
]);
static FETCH_TOPIC: Shape =
    shape(&[Field(0, 12, Kind::Text), Field(13, LAST, Kind::Fixed(16)), Field(0, LAST, Kind::Array(&FETCH_PARTITION))]);
static FETCH_PARTITION: Shape = Shape {
    fields: &[
        Field(0, LAST, Kind::Fixed(4)),
        Field(9, LAST, Kind::Fixed(4)),
        Field(0, LAST, Kind::Fixed(8)),
        Field(12, LAST, Kind::Fixed(4)),
        Field(5, LAST, Kind::Fixed(8)),
        Field(0, LAST, Kind::Fixed(4)),
    ],
    tags: &[(0, 16), (1, 8)],
};
static FORGOTTEN_TOPIC: Shape =
    shape(&[Field(0, 12, Kind::Text), Field(13, LAST, Kind::Fixed(16)), Field(0, LAST, Kind::Plain(4))]);

static LIST_OFFSETS: Shape = shape(&[
    Field(0, LAST, Kind::Fixed(4)),
    Field(2, LAST, Kind::Fixed(1)),
    Field(0, LAST, Kind::Array(&LIST_OFFSETS_TOPIC)),
    Field(10, LAST, Kind::Fixed(4)),
]);
static LIST_OFFSETS_TOPIC: Shape =
    shape(&[Field(0, LAST, Kind::Text), Field(0, LAST, Kind::Array(&LIST_OFFSETS_PARTITION))]);
static LIST_OFFSETS_PARTITION: Shape =
    shape(&[Field(0, LAST, Kind::Fixed(4)), Field(4, LAST, Kind::Fixed(4)), Field(0, LAST, Kind::Fixed(8))]);

static METADATA: Shape = shape(&[
    Field(0, LAST, Kind::Array(&METADATA_TOPIC)),
    Field(4, LAST, Kind::Fixed(1)),
    Field(8, 10, Kind::Fixed(1)),
    Field(8, LAST, Kind::Fixed(1)),
]);
static METADATA_TOPIC: Shape = shape(&[Field(10, LAST, Kind::Fixed(16)), Field(0, LAST, Kind::Text)]);

static API_VERSIONS: Shape = shape(&[Field(3, LAST, Kind::Text), Field(3, LAST, Kind::Text)]);

static CREATE_TOPICS: Shape = shape(&[
    Field(0, LAST, Kind::Array(&CREATE_TOPIC)),
    Field(0, LAST, Kind::Fixed(4)),
    Field(1, LAST, Kind::Fixed(1)),
]);
static CREATE_TOPIC: Shape = shape(&[
    Field(0, LAST, Kind::Text),
    Field(0, LAST, Kind::Fixed(4 + 2)),
    Field(0, LAST, Kind::Array(&CREATE_ASSIGNMENT)),
    Field(0, LAST, Kind::Array(&CREATE_CONFIG)),
]);
static CREATE_ASSIGNMENT: Shape = shape(&[Field(0, LAST, Kind::Fixed(4)), Field(0, LAST, Kind::Plain(4))]);
static CREATE_CONFIG: Shape = shape(&[Field(0, LAST, Kind::Text), Field(0, LAST, Kind::Text)]);

static INIT_PRODUCER_ID: Shape =
    shape(&[Field(0, LAST, Kind::Text), Field(0, LAST, Kind::Fixed(4)), Field(3, LAST, Kind::Fixed(8 + 2))]);

static FIND_COORDINATOR: Shape =
    shape(&[Field(0, 3, Kind::Text), Field(1, LAST, Kind::Fixed(1)), Field(4, LAST, Kind::Texts)]);

static OFFSET_COMMIT: Shape = shape(&[
    Field(0, LAST, Kind::Text),
    Field(1, LAST, Kind::Fixed(4)),
    Field(1, LAST, Kind::Text),
    Field(7, LAST, Kind::Text),
    Field(2, 4, Kind::Fixed(8)),
    Field(0, LAST, Kind::Array(&OFFSET_COMMIT_TOPIC)),
]);
static OFFSET_COMMIT_TOPIC: Shape =
    shape(&[Field(0, LAST, Kind::Text), Field(0, LAST, Kind::Array(&OFFSET_COMMIT_PARTITION))]);
static OFFSET_COMMIT_PARTITION: Shape =
    shape(&[Field(0, LAST, Kind::Fixed(4 + 8)), Field(6, LAST, Kind::Fixed(4)), Field(0, LAST, Kind::Text)]);

static OFFSET_FETCH: Shape = shape(&[
    Field(0, 7, Kind::Text),
    Field(0, 7, Kind::Array(&OFFSET_FETCH_TOPIC)),
    Field(8, LAST, Kind::Array(&OFFSET_FETCH_GROUP)),
    Field(7, LAST, Kind::Fixed(1)),
]);
static OFFSET_FETCH_TOPIC: Shape = shape(&[Field(0, LAST, Kind::Text), Field(0, LAST, Kind::Plain(4))]);
static OFFSET_FETCH_GROUP: Shape = shape(&[
    Field(8, LAST, Kind::Text),
    Field(9, LAST, Kind::Text),
    Field(9, LAST, Kind::Fixed(4)),
    Field(8, LAST, Kind::Array(&OFFSET_FETCH_TOPIC)),
]);

static OFFSET_FOR_LEADER_EPOCH: Shape =
    shape(&[Field(3, LAST, Kind::Fixed(4)), Field(0, LAST, Kind::Array(&OFFSET_FOR_LEADER_EPOCH_TOPIC))]);
static OFFSET_FOR_LEADER_EPOCH_TOPIC: Shape =
    shape(&[Field(0, LAST, Kind::Text), Field(0, LAST, Kind::Array(&OFFSET_FOR_LEADER_EPOCH_PARTITION))]);
static OFFSET_FOR_LEADER_EPOCH_PARTITION: Shape =
    shape(&[Field(0, LAST, Kind::Fixed(4)), Field(2, LAST, Kind::Fixed(4)), Field(0, LAST, Kind::Fixed(4))]);

struct Walker<'a> {
    bytes: &'a [u8],
    version: i16,
    flexible: bool,
}

impl<'a> Walker<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(count)?;
        self.bytes = rest;
        Some(taken)
    }

    /// As lenient as the codec, which gives up after five bytes: both have to see the same lengths.
    fn varint(&mut self) -> Option<u32> {
        let mut value = 0;
        for index in 0..5 {
            let byte = u32::from(self.take(1)?[0]);
            value |= (byte & 0x7f) << (index * 7);
            if byte < 0x80 {
                break;
            }
        }
        Some(value)
    }

    /// A length, of which null is 0 here: the codec tells where null may not be.
    fn length(&mut self, fixed_width: usize) -> Option<usize> {
        if self.flexible {
            return Some((self.varint()? as usize).saturating_sub(1));
        }
        let bytes = self.take(fixed_width)?;
        let length = match *bytes {
            [high, low] => i32::from(i16::from_be_bytes([high, low])),
            [a, b, c, d] => i32::from_be_bytes([a, b, c, d]),
            _ => return None,
        };
        usize::try_from(length.max(0)).ok()
    }

    fn walk(&mut self, shape: &Shape) -> Option<()> {
        for Field(from, to, kind) in shape.fields {
            if self.version < *from || self.version > *to {
                continue;
            }
            match kind {
                Kind::Fixed(size) => {
                    self.take(*size)?;
                }
                Kind::Text => {
                    let length = self.length(2)?;
                    self.take(length)?;
                }
                Kind::Records => {
                    let length = self.length(4)?;
                    self.take(length)?;
                }
                Kind::Array(element) => {
                    for _ in 0..self.length(4)? {
                        self.walk(element)?;
                    }
                }
                Kind::Texts => {
                    for _ in 0..self.length(4)? {
                        let length = self.length(2)?;
                        self.take(length)?;
                    }
                }
                Kind::Plain(size) => {
                    let length = self.length(4)?;
                    self.take(length.checked_mul(*size)?)?;
                }
            }
        }
        if self.flexible {
            for _ in 0..self.varint()? {
                let tag = self.varint()?;
                let size = self.varint()? as usize;
                let known = shape.tags.iter().find(|(known, _)| *known == tag);
                if known.is_some_and(|(_, true_size)| *true_size != size) {
                    return None;
                }
                self.take(size)?;
            }
        }
        Some(())
    }
}

/// Whether every length in a request's body is backed by bytes and none are left over.
pub(crate) fn is_sound(api: Api, version: i16, body: &[u8]) -> bool {
    let shape = match api {
        Api::Produce => &PRODUCE,
        Api::Fetch => &FETCH,
        Api::ListOffsets => &LIST_OFFSETS,
        Api::Metadata => &METADATA,
        Api::OffsetCommit => &OFFSET_COMMIT,
        Api::OffsetFetch => &OFFSET_FETCH,
        Api::FindCoordinator => &FIND_COORDINATOR,
        Api::OffsetForLeaderEpoch => &OFFSET_FOR_LEADER_EPOCH,
        Api::ApiVersions => &API_VERSIONS,
        Api::CreateTopics => &CREATE_TOPICS,
        Api::InitProducerId => &INIT_PRODUCER_ID,
    };
    let mut walker = Walker { bytes: body, version, flexible: version >= api.flexible_from() };
    walker.walk(shape).is_some() && walker.bytes.is_empty()
}

/// A whole response frame, length first. `None` only if the codec cannot encode it, which would be a mistake of ours.
pub(crate) fn frame<R: Encodable + HeaderVersion>(correlation_id: i32, response: &R, version: i16) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(128);
    bytes.extend_from_slice(&[0; 4]);
    ResponseHeader::default()
        .with_correlation_id(correlation_id)
        .encode(&mut bytes, R::header_version(version))
        .ok()?;
    response.encode(&mut bytes, version).ok()?;
    let length = u32::try_from(bytes.len() - 4).ok()?;
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    Some(bytes)
}
