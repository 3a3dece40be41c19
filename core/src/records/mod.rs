//! Record batches of magic 2, written in place and read in place (KIP-98).
//!
//! A batch buffer starts with room for the header ([`HEADER_BYTES`]); records are [appended](append) behind it
//! in their final form, and [`seal`] fills in the header. Nothing is moved or copied again. What comes from a
//! broker is read by [`read`]; what is compressed goes through a [`codec`] first.

mod batch;
pub mod codec;
pub mod crc32c;
#[cfg(feature = "lz4")]
pub mod lz4;
pub mod partitioning;
pub mod read;
mod record;

#[cfg(feature = "consumer")]
pub(crate) use batch::CRC_FROM;
pub use batch::{HEADER_BYTES, Sealing, seal, write_crc, write_header};
pub use record::{
    Fields, Header, MAX_HEADER_OVERHEAD, MAX_RECORD_OVERHEAD, append, encoded_length, max_record_overhead,
};

use core::fmt;

/// How the records of a batch are compressed: Kafka's `compression.type`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Compression {
    /// Not at all.
    None = 0,
    /// By gzip (RFC 1952).
    Gzip = 1,
    /// By Snappy, in one block or in the frames of `snappy-java`.
    Snappy = 2,
    /// By LZ4, in its frame format.
    Lz4 = 3,
    /// By Zstandard (KIP-110).
    Zstd = 4,
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Snappy => "snappy",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        })
    }
}

/// What a reversed CRC makes of each value in the `shift`ed low bits of a byte.
#[expect(clippy::indexing_slicing, reason = "runs in the compiler only")]
const fn crc_table<const N: usize>(polynomial: u32, shift: u32) -> [u32; N] {
    let mut table = [0u32; N];
    let mut at = 0;
    while at < N {
        let mut crc = (at as u32) << shift;
        let mut bit = 0u32;
        while bit < 8 {
            crc = (crc >> 1) ^ (polynomial & (crc & 1).wrapping_neg());
            bit = bit.wrapping_add(1);
        }
        table[at] = crc;
        at = at.wrapping_add(1);
    }
    table
}

/// Two small tables, one for each half of a byte.
const fn crc_halves(polynomial: u32) -> [[u32; 16]; 2] {
    [crc_table(polynomial, 0), crc_table(polynomial, 4)]
}

fn crc_by_halves([low, high]: &[[u32; 16]; 2], crc: u32, bytes: &[u8]) -> u32 {
    crc_by(|byte| entry(low, byte & 0xf) ^ entry(high, byte >> 4 & 0xf), crc, bytes)
}

fn crc_by_bytes(table: &[u32; 256], crc: u32, bytes: &[u8]) -> u32 {
    crc_by(|byte| entry(table, byte & 0xff), crc, bytes)
}

/// Four bytes a round, written out: on a small processor the loop and the loads cost as much as the tables.
#[inline]
fn crc_by(entry: impl Fn(u32) -> u32, crc: u32, bytes: &[u8]) -> u32 {
    let step = |crc: u32| (crc >> 8) ^ entry(crc);
    let (words, rest) = bytes.as_chunks::<4>();
    let crc = words.iter().fold(crc, |crc, word| step(step(step(step(crc ^ u32::from_le_bytes(*word))))));
    rest.iter().fold(crc, |crc, byte| step(crc ^ u32::from(*byte)))
}

/// An entry that is there by construction: the check falls away.
#[inline]
fn entry<const N: usize>(table: &[u32; N], at: u32) -> u32 {
    table.get(at as usize).copied().unwrap_or(0)
}
