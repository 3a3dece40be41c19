//! Kafka's primitive types over byte slices: integers, varints, strings, arrays, tagged fields.
//!
//! The encodings are those of the [protocol guide](https://kafka.apache.org/protocol#protocol_types). From its
//! flexible versions on (KIP-482) a message has *compact* lengths (an unsigned varint of the length plus
//! one, 0 for null) and a section of tagged fields at the end of every structure; the older ones have
//! lengths of two bytes (strings) or four (arrays, bytes), -1 for null. One `flexible: bool` tells them apart.

mod reader;
mod skip;
mod varint;
mod writer;

pub use reader::{ReadError, Reader};
pub use skip::{Skip, Step, Steps};
pub use varint::{unsigned_varint_len, varint_len, varlong_len};
pub(crate) use varint::{zigzag32, zigzag64};
pub use writer::{Overflow, Writer};

/// The longest string of the protocol, in bytes: the brokers refuse longer ones in compact form, too.
pub const MAX_STRING_BYTES: usize = i16::MAX as usize;

/// Whether there are flexible versions at all: without them, no code for compact lengths and tagged fields.
pub(crate) const FLEXIBLE: bool = !cfg!(feature = "one-version");
