//! A record as a line of JSON. Nothing is lost: bytes that are no text are written as base64.

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use demitasse_io_std::Consumed;
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

/// Writes `record` and a newline to the front of `to`; the bytes taken, or None if there is not enough room.
pub(crate) fn write(record: &Consumed<'_>, to: &mut [u8]) -> Option<usize> {
    let room = to.len();
    let mut rest = to;
    // The only error there can be is that the slice is full.
    serde_json::to_writer(&mut rest, &Line(record)).ok()?;
    *rest.split_off_first_mut()? = b'\n';
    Some(room - rest.len())
}

struct Line<'a>(&'a Consumed<'a>);

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Consumed { partition, offset, timestamp, key, value, .. } = self.0;
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("partition", partition)?;
        map.serialize_entry("offset", offset)?;
        map.serialize_entry("timestamp", timestamp)?;
        map.serialize_entry("key", &key.map(Bytes))?;
        map.serialize_entry("value", &value.map(Bytes))?;
        if !self.0.headers.is_empty() {
            map.serialize_entry("headers", &Headers(self.0))?;
        }
        map.end()
    }
}

/// Pairs of name and value, in order: a name may come twice.
struct Headers<'a>(&'a Consumed<'a>);

impl Serialize for Headers<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut sequence = to.serialize_seq(None)?;
        for header in self.0.headers {
            sequence.serialize_element(&(Bytes(header.key), header.value.map(Bytes)))?;
        }
        sequence.end()
    }
}

/// Text as a string; what is no text as `{"base64": ..}`.
struct Bytes<'a>(&'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if let Ok(text) = std::str::from_utf8(self.0) {
            return to.serialize_str(text);
        }
        let mut map = to.serialize_map(Some(1))?;
        map.serialize_entry("base64", &Encoded(self.0))?;
        map.end()
    }
}

struct Encoded<'a>(&'a [u8]);

impl Serialize for Encoded<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&Base64Display::new(self.0, &STANDARD))
    }
}
