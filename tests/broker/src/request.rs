//! One request on its way through the cluster: its header, its body, and what a handler answers.

use kafka_protocol::messages::RequestHeader;
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion};

use crate::options::{Api, Options};
use crate::wire;

/// What a handler needs to know of the request besides its body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context {
    pub(crate) node: i32,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
    pub(crate) now_ms: u64,
    pub(crate) throttle_ms: i32,
}

/// What a handler gives.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) frame: Option<Vec<u8>>,
    pub(crate) close: bool,
    /// Time that the broker takes on purpose: a Fetch that waits for data.
    pub(crate) wait_ms: u64,
}

impl Answer {
    pub(crate) fn close() -> Answer {
        Answer { close: true, ..Answer::default() }
    }

    pub(crate) fn frame<R>(context: &Context, response: &R) -> Answer
    where
        R: Encodable + HeaderVersion,
    {
        match wire::frame(context.correlation_id, response, context.version) {
            Some(frame) => Answer { frame: Some(frame), ..Answer::default() },
            None => {
                debug_assert!(false, "a response of ours cannot be encoded");
                Answer::close()
            }
        }
    }
}

/// One request: its header read, its body not yet.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) api: Api,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
    /// Whether the release offers this version: always, but for ApiVersions.
    pub(crate) offered: bool,
    body: &'a [u8],
}

impl<'a> Request<'a> {
    pub(crate) fn read(bytes: &'a [u8], options: &Options) -> Option<Request<'a>> {
        let (key, rest) = bytes.split_first_chunk::<2>()?;
        let (version, rest) = rest.split_first_chunk::<2>()?;
        let (correlation_id, _) = rest.split_first_chunk::<4>()?;
        let api = Api::from_key(i16::from_be_bytes(*key))?;
        let version = i16::from_be_bytes(*version);
        let correlation_id = i32::from_be_bytes(*correlation_id);
        let offered = options.release.offers(api, version);
        if !offered {
            // Kafka reads no further in an ApiVersions request that is too new.
            return (api == Api::ApiVersions).then_some(Request { api, version, correlation_id, offered, body: &[] });
        }
        let mut body = bytes;
        let header_version = if version >= api.flexible_from() { 2 } else { 1 };
        RequestHeader::decode(&mut body, header_version).ok()?;
        Some(Request { api, version, correlation_id, offered, body })
    }

    /// The body, if it is what its API and version want, without a byte left over.
    pub(crate) fn decode<R: Decodable>(&self) -> Option<R> {
        if !wire::is_sound(self.api, self.version, self.body) {
            return None;
        }
        R::decode(&mut &*self.body, self.version).ok()
    }
}

/// Kafka's rule for topic names.
pub(crate) fn is_valid_topic_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 249
        && name != "."
        && name != ".."
        && (name.bytes()).all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}
