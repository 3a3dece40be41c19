//! Requests written by demitasse and decoded by `kafka-protocol`.

use super::name;
use bytes::{Buf, Bytes};
use demitasse_core::protocol::{self, ApiKey, finish_frame, request_header};
use demitasse_core::wire::Writer;
use kafka_protocol::protocol::{Decodable, HeaderVersion, StrBytes, decode_request_header_from_buffer};
use proptest::prelude::*;

/// Writes a frame, checks that counting and writing agree, that a byte less is refused with the size that was
/// needed, and that the length is right; gives back what is behind it.
pub fn frame(write: impl Fn(&mut Writer<'_>)) -> Bytes {
    let mut counting = Writer::counting();
    write(&mut counting);
    let needed = counting.position();

    let mut small = vec![0u8; needed - 1];
    let mut writer = Writer::new(&mut small);
    write(&mut writer);
    let overflow = finish_frame(writer).expect_err("a byte is missing");
    assert_eq!((overflow.needed, overflow.capacity), (needed, needed - 1));

    let mut buffer = vec![0u8; needed + 3];
    let mut writer = Writer::new(&mut buffer);
    write(&mut writer);
    assert_eq!(finish_frame(writer), Ok(needed));
    buffer.truncate(needed);
    let mut bytes = Bytes::from(buffer);
    assert_eq!(bytes.get_i32() as usize, needed - 4);
    bytes
}

/// Decodes a request with the oracle and wants nothing left over.
pub fn decoded<M: Decodable + HeaderVersion>(
    mut bytes: Bytes,
    key: ApiKey,
    version: i16,
    correlation_id: i32,
    client_id: Option<&StrBytes>,
) -> M {
    let header = decode_request_header_from_buffer(&mut bytes).expect("a header");
    assert_eq!(M::header_version(version), if protocol::flexible(key, version) { 2 } else { 1 });
    assert_eq!((header.request_api_key, header.request_api_version), (key as i16, version));
    assert_eq!((header.correlation_id, header.client_id.as_ref()), (correlation_id, client_id));
    assert!(header.unknown_tagged_fields.is_empty());
    let message = M::decode(&mut bytes, version).expect("a body");
    assert!(bytes.is_empty(), "{} bytes left over", bytes.len());
    message
}

pub type Head = (i32, Option<StrBytes>);

pub fn head() -> impl Strategy<Value = Head> {
    (any::<i32>(), proptest::option::of(name()))
}

/// Writes a request and decodes it.
pub fn exchanged<M: Decodable + HeaderVersion>(
    key: ApiKey,
    version: i16,
    (correlation_id, client_id): &Head,
    body: impl Fn(&mut Writer<'_>),
) -> M {
    let bytes = frame(|writer| {
        request_header(writer, key, version, *correlation_id, client_id.as_deref().map(str::as_bytes));
        body(writer);
    });
    decoded(bytes, key, version, *correlation_id, client_id.as_ref())
}
