//! The other direction: what one connection compresses its batches with.

use demitasse_core::records::Compression;

/// An encoder of one codec at one level.
pub(crate) enum Encoder {
    #[cfg(feature = "gzip")]
    Gzip(Box<super::gzip::Gzip>),
    #[cfg(feature = "snappy")]
    Snappy(Box<super::snappy::Snappy>),
    #[cfg(feature = "lz4")]
    Lz4(Box<[u16; demitasse_core::records::lz4::TABLE]>),
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
            Compression::Lz4 => Some(Encoder::Lz4(Box::new([0; demitasse_core::records::lz4::TABLE]))),
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
