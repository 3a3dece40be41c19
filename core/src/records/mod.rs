//! Record batches of magic 2, written in place (KIP-98).
//!
//! A batch buffer starts with room for the header ([`HEADER_BYTES`]); records are [appended](append) behind it
//! in their final form, and [`seal`] fills in the header. Nothing is moved or copied again.

mod batch;
pub mod crc32c;
pub mod partitioning;
mod record;

pub use batch::{HEADER_BYTES, Sealing, seal};
pub use record::{
    Fields, Header, MAX_HEADER_OVERHEAD, MAX_RECORD_OVERHEAD, append, encoded_length, max_record_overhead,
};

/// The table of a reversed CRC that takes `bits` at a time; `N` is two to that power.
#[expect(clippy::indexing_slicing, reason = "runs in the compiler only")]
const fn crc_table<const N: usize>(polynomial: u32, bits: u32) -> [u32; N] {
    let mut table = [0u32; N];
    let mut at = 0;
    while at < N {
        let mut crc = at as u32;
        let mut bit = 0;
        while bit < bits {
            crc = (crc >> 1) ^ (polynomial & (crc & 1).wrapping_neg());
            bit = bit.wrapping_add(1);
        }
        table[at] = crc;
        at = at.wrapping_add(1);
    }
    table
}

fn crc_nibbles(table: &[u32; 16], mut crc: u32, bytes: &[u8]) -> u32 {
    for byte in bytes {
        crc ^= u32::from(*byte);
        crc = (crc >> 4) ^ entry(table, crc & 0xf);
        crc = (crc >> 4) ^ entry(table, crc & 0xf);
    }
    crc
}

fn crc_bytes(table: &[u32; 256], mut crc: u32, bytes: &[u8]) -> u32 {
    for byte in bytes {
        crc ^= u32::from(*byte);
        crc = (crc >> 8) ^ entry(table, crc & 0xff);
    }
    crc
}

/// An entry that is there by construction: the check falls away.
#[inline]
fn entry<const N: usize>(table: &[u32; N], at: u32) -> u32 {
    table.get(at as usize).copied().unwrap_or(0)
}
