//! Bytes that come back, as frames and as items of responses.
//!
//! Whatever part of a response has arrived is read at once; what is not complete stays in the receive buffer for the
//! next call. So a response may be far larger than the buffer, only one item of it may not.

use super::{ConnectionError, Request};
use crate::cluster::MetadataReading;
use crate::pool::Link;
use crate::protocol::{self, ApiKey, api_versions, init_producer_id, metadata, produce};
#[cfg(feature = "consumer")]
use crate::protocol::{TopicItem, TopicReader, fetch, find_coordinator};
use crate::wire::{FLEXIBLE, ReadError, Skip};

/// No response is larger: it is Kafka's own limit for requests, and far above any that we ask for. What claims to be
/// larger is another protocol.
const MAX_FRAME_BYTES: u32 = 100 * 1024 * 1024;

/// The response that is being read.
///
/// With a tag of its own, not in a niche: that is zero in an empty connection, whose table stays in `.bss`.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(crate) enum Body {
    ApiVersions(api_versions::ResponseReader),
    Metadata(metadata::ResponseReader),
    InitProducerId(init_producer_id::ResponseReader),
    Produce(produce::ResponseReader),
    #[cfg(feature = "consumer")]
    Fetch(fetch::ResponseReader),
    #[cfg(feature = "consumer")]
    ByTopic(TopicReader),
    #[cfg(feature = "consumer")]
    FindCoordinator(find_coordinator::ResponseReader),
}

/// As [`Body`], with a tag of its own.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Stage {
    Length,
    CorrelationId,
    HeaderTags(Skip),
    Body,
    Rest,
}

/// Where in the stream of responses a connection is.
#[derive(Clone, Copy)]
pub(crate) struct Receive {
    stage: Stage,
    /// Bytes of the frame that have not been consumed.
    left: u32,
    body: Body,
    /// What the items read so far say about those to come.
    pub(crate) metadata: MetadataReading,
    pub(crate) topic: Link,
    pub(crate) partition: Link,
}

/// What the client is for, as far as the compiler knows it: it leaves out answers that then nobody can get.
#[derive(Clone, Copy)]
pub(crate) struct Purpose {
    pub(crate) writes: bool,
    #[cfg(feature = "consumer")]
    pub(crate) has_group: bool,
}

/// What was read.
pub(crate) enum Received<'a> {
    ApiVersions(api_versions::Item),
    Metadata(metadata::Item<'a>),
    InitProducerId(init_producer_id::Item),
    Produce(produce::Item<'a>),
    #[cfg(feature = "consumer")]
    Fetch(fetch::Item<'a>),
    /// To the request of this API.
    #[cfg(feature = "consumer")]
    ByTopic(ApiKey, TopicItem<'a>),
    #[cfg(feature = "consumer")]
    FindCoordinator(find_coordinator::Item<'a>),
    /// The response to the front request is complete.
    Done,
}

impl Receive {
    pub(crate) const START: Receive = Receive {
        stage: Stage::Length,
        left: 0,
        body: Body::ApiVersions(api_versions::ResponseReader::new(0)),
        metadata: MetadataReading::START,
        topic: Link::NONE,
        partition: Link::NONE,
    };

    /// Reads on in `window`, which is advanced; `front` is the request that is to be answered next.
    /// `None`: more bytes are needed.
    #[inline]
    pub(crate) fn next<'a>(
        &mut self,
        window: &mut &'a [u8],
        front: Option<&Request>,
        purpose: Purpose,
    ) -> Result<Option<Received<'a>>, ConnectionError> {
        loop {
            match &mut self.stage {
                Stage::Length => {
                    let Some((length, rest)) = window.split_first_chunk() else { return Ok(None) };
                    self.left = frame_length(*length)?;
                    *window = rest;
                    self.stage = Stage::CorrelationId;
                }
                Stage::CorrelationId => {
                    let Some((id, rest)) = window.split_first_chunk() else { return Ok(None) };
                    let request = front.ok_or(ConnectionError::OutOfStep)?;
                    if i32::from_be_bytes(*id) != request.correlation_id {
                        return Err(ConnectionError::OutOfStep);
                    }
                    *window = rest;
                    self.left -= 4;
                    self.begin(request);
                }
                Stage::HeaderTags(skip) => {
                    if FLEXIBLE && within(&mut self.left, window, |part| skip.feed(part))?.is_none() {
                        return Ok(None);
                    }
                    self.stage = Stage::Body;
                }
                Stage::Body => {
                    let body = &mut self.body;
                    match within(&mut self.left, window, |part| body.next(part, purpose))? {
                        None => return Ok(None),
                        Some(Some(item)) => return Ok(Some(item)),
                        // What a newer broker may have added behind the end is skipped.
                        Some(None) => self.stage = Stage::Rest,
                    }
                }
                Stage::Rest => {
                    let skipped = window.len().min(self.left as usize);
                    *window = window.get(skipped..).unwrap_or(&[]);
                    self.left -= skipped as u32;
                    if self.left > 0 {
                        return Ok(None);
                    }
                    self.stage = Stage::Length;
                    return Ok(Some(Received::Done));
                }
            }
        }
    }

    fn begin(&mut self, request: &Request) {
        let Request { api, version, .. } = *request;
        self.body = match api {
            ApiKey::Metadata => Body::Metadata(metadata::ResponseReader::new(version)),
            ApiKey::InitProducerId => Body::InitProducerId(init_producer_id::ResponseReader::new(version)),
            ApiKey::Produce => Body::Produce(produce::ResponseReader::new(version)),
            #[cfg(feature = "consumer")]
            ApiKey::Fetch => Body::Fetch(fetch::ResponseReader::new(version)),
            #[cfg(feature = "consumer")]
            ApiKey::ListOffsets | ApiKey::OffsetCommit | ApiKey::OffsetFetch | ApiKey::OffsetForLeaderEpoch => {
                Body::ByTopic(TopicReader::new(api, version))
            }
            #[cfg(feature = "consumer")]
            ApiKey::FindCoordinator => Body::FindCoordinator(find_coordinator::ResponseReader::new(version)),
            _ => Body::ApiVersions(api_versions::ResponseReader::new(version)),
        };
        (self.metadata, self.topic, self.partition) = (MetadataReading::START, Link::NONE, Link::NONE);
        let tags = protocol::response_header_tags(api, version);
        self.stage = if tags { Stage::HeaderTags(Skip::tags()) } else { Stage::Body };
    }

    /// Bytes of the frame that are to come.
    #[cfg(feature = "consumer")]
    pub(crate) fn frame_left(&self) -> u32 {
        self.left
    }

    /// Bytes of records that come next in the stream, for whoever wants them.
    #[cfg(feature = "consumer")]
    pub(crate) fn records_left(&self) -> u32 {
        match (&self.stage, &self.body) {
            (Stage::Body, Body::Fetch(reader)) => reader.records_left(),
            _ => 0,
        }
    }

    /// Somebody has taken so many of them.
    #[cfg(feature = "consumer")]
    pub(crate) fn records_taken(&mut self, bytes: u32) {
        if let Body::Fetch(reader) = &mut self.body {
            reader.taken(bytes);
            self.left = self.left.saturating_sub(bytes);
        }
    }

    /// Whether the next bytes are to be matched with a request.
    pub(crate) fn is_between_frames(&self) -> bool {
        matches!(self.stage, Stage::Length | Stage::CorrelationId)
    }
}

/// Runs `read` on what the window holds of a frame of which `left` bytes are to come. `None`: incomplete, more bytes are
/// needed.
#[inline]
fn within<'a, T>(
    left: &mut u32,
    window: &mut &'a [u8],
    read: impl FnOnce(&mut &'a [u8]) -> Result<T, ReadError>,
) -> Result<Option<T>, ConnectionError> {
    let before = window.len().min(*left as usize);
    let whole = before == *left as usize;
    let mut part = window.get(..before).unwrap_or(&[]);
    let result = read(&mut part);
    let consumed = before - part.len();
    *window = window.get(consumed..).unwrap_or(&[]);
    *left -= consumed as u32;
    match result {
        Ok(value) => Ok(Some(value)),
        Err(ReadError::Incomplete) if !whole => Ok(None),
        // The frame is over and the response is not.
        Err(ReadError::Incomplete | ReadError::Malformed) => Err(ConnectionError::Protocol),
    }
}

impl Body {
    #[inline]
    fn next<'a>(&mut self, part: &mut &'a [u8], purpose: Purpose) -> Result<Option<Received<'a>>, ReadError> {
        Ok(match self {
            Body::ApiVersions(reader) => reader.next(part)?.map(Received::ApiVersions),
            Body::Metadata(reader) => reader.next(part)?.map(Received::Metadata),
            Body::InitProducerId(_) | Body::Produce(_) if !purpose.writes => None,
            Body::InitProducerId(reader) => reader.next(part)?.map(Received::InitProducerId),
            Body::Produce(reader) => reader.next(part)?.map(Received::Produce),
            #[cfg(feature = "consumer")]
            Body::Fetch(reader) => reader.next(part)?.map(Received::Fetch),
            #[cfg(feature = "consumer")]
            Body::ByTopic(reader) => reader.next(part)?.map(|item| Received::ByTopic(reader.api(), item)),
            #[cfg(feature = "consumer")]
            Body::FindCoordinator(_) if !purpose.has_group => None,
            #[cfg(feature = "consumer")]
            Body::FindCoordinator(reader) => reader.next(part)?.map(Received::FindCoordinator),
        })
    }
}

pub(crate) fn frame_length(bytes: [u8; 4]) -> Result<u32, ConnectionError> {
    match (bytes, u32::from_be_bytes(bytes)) {
        (_, 4..=MAX_FRAME_BYTES) => Ok(u32::from_be_bytes(bytes)),
        ([b'H', b'T', b'T', b'P'], _) => Err(ConnectionError::Http),
        // A TLS record (alert or handshake) of any version.
        ([0x15 | 0x16, 3, _, _], _) => Err(ConnectionError::Tls),
        _ => Err(ConnectionError::Protocol),
    }
}
