//! LZ4 in its frame format, as Kafka's batches carry it: without an allocator, for devices.
//!
//! Written from the format's descriptions (`lz4_Frame_format.md`, `lz4_Block_format.md`).

mod decode;
mod encode;
#[cfg(test)]
mod tests;
mod xxh32;

pub use decode::Lz4;
pub use encode::{TABLE, TABLE_BYTES, compress, compress_within};

/// What a frame begins with.
const MAGIC: [u8; 4] = 0x184d_2204u32.to_le_bytes();

/// Bits of the first byte behind it: the version, what the blocks refer to, and what stands where.
const VERSION_MASK: u8 = 0xc0;
const VERSION: u8 = 1 << 6;
const INDEPENDENT: u8 = 1 << 5;
const BLOCK_CHECKSUMS: u8 = 1 << 4;
const CONTENT_SIZE: u8 = 1 << 3;
const CONTENT_CHECKSUM: u8 = 1 << 2;
const DICTIONARY: u8 = 1;

/// The bit of a block's length that says that its bytes stand as they are.
const STORED: u32 = 1 << 31;

/// The shortest match, and how far back one may begin.
const MIN_MATCH: usize = 4;
const MAX_DISTANCE: usize = 65_535;
