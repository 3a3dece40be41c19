//! The other direction: what one connection compresses its batches with.

use super::Decoders;
use demitasse_core::records::codec::Decompress;
use demitasse_core::{Capacities, Compression, Config, Pool};

/// What batches are compressed by, if at all, and how large they are before.
#[derive(Clone, Copy)]
pub(crate) struct Packing {
    compression: Compression,
    level: Option<i32>,
    batch_bytes: usize,
}

impl Packing {
    /// For who writes nothing.
    pub(crate) const NONE: Packing = Packing { compression: Compression::None, level: None, batch_bytes: 0 };

    pub(crate) fn new(config: &Config, capacities: &Capacities) -> Packing {
        let (compression, batch_bytes) = (config.compression, capacities.batch_bytes as usize);
        Packing { compression, level: config.compression_levels.of(compression), batch_bytes }
    }

    /// Whether the crate was built with what it takes.
    pub(crate) fn is_possible(&self) -> bool {
        self.compression == Compression::None || Decoders::supports(self.compression)
    }

    pub(crate) fn compression(&self) -> Compression {
        self.compression
    }

    /// An encoder for one connection, with all its memory.
    pub(crate) fn encoder(&self) -> Option<Encoder> {
        Encoder::new(self.compression, self.level, self.batch_bytes)
    }

    /// Bytes that one connection needs for a compressed batch while it is written: so many that no codec runs out of them
    /// before it is clear that the batch does not become smaller.
    pub(crate) fn scratch_bytes(&self) -> usize {
        if self.compression == Compression::None { 0 } else { self.batch_bytes + self.batch_bytes / 6 + 1024 }
    }

    /// What it takes for so many connections.
    pub(crate) fn pool(&self, connections: u16) -> Pool {
        let bytes = self.encoder().map_or(0, |encoder| encoder.memory()) + self.scratch_bytes();
        let capacity = if bytes == 0 { 0 } else { connections.into() };
        Pool { entry_bytes: bytes as u32, capacity, used: 0, high_water: 0 }
    }
}

/// An encoder of one codec at one level.
pub(crate) enum Encoder {
    #[cfg(feature = "gzip")]
    Gzip(Box<super::gzip::Gzip>),
    #[cfg(feature = "snappy")]
    Snappy(Box<super::snappy::Snappy>),
    #[cfg(feature = "lz4")]
    Lz4(Box<[[u8; 2]; demitasse_core::records::lz4::TABLE]>),
    #[cfg(feature = "zstd")]
    Zstd(super::zstd::Zstd),
}

impl Encoder {
    /// One with all its memory for batches of up to `batch_bytes`; `None` without compression, or if the crate was built without
    /// this one.
    #[allow(unused_variables, reason = "not every codec asks for all of it")]
    pub(crate) fn new(compression: Compression, level: Option<i32>, batch_bytes: usize) -> Option<Encoder> {
        match compression {
            #[cfg(feature = "gzip")]
            Compression::Gzip => Some(Encoder::Gzip(Box::new(super::gzip::Gzip::new(level)))),
            #[cfg(feature = "snappy")]
            Compression::Snappy => Some(Encoder::Snappy(Box::new(super::snappy::Snappy::new()))),
            #[cfg(feature = "lz4")]
            Compression::Lz4 => Some(Encoder::Lz4(Box::new([[0; 2]; demitasse_core::records::lz4::TABLE]))),
            #[cfg(feature = "zstd")]
            Compression::Zstd => Some(Encoder::Zstd(super::zstd::Zstd::new(level, batch_bytes))),
            _ => None,
        }
    }

    /// Bytes that it takes.
    pub(crate) fn memory(&self) -> usize {
        match self {
            #[cfg(feature = "gzip")]
            Encoder::Gzip(_) => super::gzip::Gzip::BYTES,
            #[cfg(feature = "snappy")]
            Encoder::Snappy(_) => super::snappy::Snappy::BYTES,
            #[cfg(feature = "lz4")]
            Encoder::Lz4(table) => size_of_val(&**table),
            #[cfg(feature = "zstd")]
            Encoder::Zstd(encoder) => encoder.memory(),
            #[cfg(not(any(feature = "gzip", feature = "snappy", feature = "lz4", feature = "zstd")))]
            _ => 0,
        }
    }

    /// How many bytes `input` takes in `output`; none if there is no room.
    #[allow(unused_variables, reason = "there may be no codec")]
    pub(crate) fn compress(&mut self, input: &[u8], output: &mut [u8]) -> Option<usize> {
        match self {
            #[cfg(feature = "gzip")]
            Encoder::Gzip(encoder) => encoder.compress(input, output),
            #[cfg(feature = "snappy")]
            Encoder::Snappy(encoder) => encoder.compress(input, output),
            #[cfg(feature = "lz4")]
            Encoder::Lz4(table) => demitasse_core::records::lz4::compress(input, output, table),
            #[cfg(feature = "zstd")]
            Encoder::Zstd(encoder) => encoder.compress(input, output),
            #[cfg(not(any(feature = "gzip", feature = "snappy", feature = "lz4", feature = "zstd")))]
            _ => None,
        }
    }
}
