//! CRC-32C (Castagnoli), the checksum of a record batch.
//!
//! Two kinds of tables, the same result: 128 bytes, two look-ups a byte, for devices where flash is dear, and 1 KiB, one
//! look-up a byte, with the cargo feature `crc-table-1k`. What is not used is not linked. A server hands a
//! function with the processor's own instruction to [`seal`](super::seal) instead.

/// The polynomial, bits reversed.
const POLYNOMIAL: u32 = 0x82f6_3b78;

static HALVES: [[u32; 16]; 2] = super::crc_halves(POLYNOMIAL);
static BYTES: [u32; 256] = super::crc_table(POLYNOMIAL, 0);

/// A checksum in the making, for bytes that come in pieces.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Crc32c(u32);

impl Crc32c {
    /// The checksum of no bytes yet.
    pub const fn new() -> Self {
        Crc32c(!0)
    }

    /// Goes on with the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0 = if cfg!(feature = "crc-table-1k") {
            super::crc_by_bytes(&BYTES, self.0, bytes)
        } else {
            super::crc_by_halves(&HALVES, self.0, bytes)
        };
    }

    /// The checksum of all bytes so far.
    pub const fn value(self) -> u32 {
        !self.0
    }
}

impl Default for Crc32c {
    fn default() -> Self {
        Crc32c::new()
    }
}

/// The checksum of `bytes`, with the table that the crate was built for.
pub fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = Crc32c::new();
    crc.update(bytes);
    crc.value()
}

/// The checksum of bytes that end with `bytes` and had the checksum `crc` before them; 0 for none.
pub fn crc32c_append(crc: u32, bytes: &[u8]) -> u32 {
    let mut crc = Crc32c(!crc);
    crc.update(bytes);
    crc.value()
}

/// The checksum of `bytes` with the tables of 128 bytes.
pub fn crc32c_small(bytes: &[u8]) -> u32 {
    !super::crc_by_halves(&HALVES, !0, bytes)
}

/// The checksum of `bytes` with the table of 1 KiB.
pub fn crc32c_large(bytes: &[u8]) -> u32 {
    !super::crc_by_bytes(&BYTES, !0, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_vectors() {
        // RFC 3720, B.4; the first is the usual check value.
        let ascending: [u8; 32] = core::array::from_fn(|at| at as u8);
        let descending: [u8; 32] = core::array::from_fn(|at| 31 - at as u8);
        for (bytes, expected) in [
            (&b"123456789"[..], 0xe306_9283),
            (&[], 0),
            (&[0; 32], 0x8a91_36aa),
            (&[0xff; 32], 0x62a8_ab43),
            (&ascending, 0x46dd_794e),
            (&descending, 0x113f_db5c),
        ] {
            assert_eq!(crc32c_small(bytes), expected);
            assert_eq!(crc32c_large(bytes), expected);
            assert_eq!(crc32c(bytes), expected);
        }
    }

    #[test]
    fn pieces_give_the_same() {
        let bytes = b"123456789";
        for at in 0..=bytes.len() {
            let mut crc = Crc32c::new();
            crc.update(&bytes[..at]);
            crc.update(&bytes[at..]);
            assert_eq!(crc.value(), 0xe306_9283);
            assert_eq!(crc32c_append(crc32c(&bytes[..at]), &bytes[at..]), 0xe306_9283);
        }
    }
}
