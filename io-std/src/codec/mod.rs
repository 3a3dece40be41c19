//! The codecs of compressed batches, all of whose memory is taken when they are made.
//!
//! Each is somebody else's crate, in the form that takes bytes from one slice to another. The frames of LZ4 are
//! the core's, and so is what compresses to it: the crate allocates for each block; it decompresses those that fit whole.

mod encoder;
#[cfg(feature = "gzip")]
mod gzip;
#[cfg(feature = "snappy")]
mod snappy;
#[cfg(all(test, feature = "gzip", feature = "snappy", feature = "lz4", feature = "zstd"))]
mod tests;
#[cfg(feature = "zstd")]
mod zstd;

pub(crate) use encoder::{Encoder, Packing};

use demitasse_core::records::Compression;
use demitasse_core::records::codec::{CodecError, Decompress, Progress};

/// A decoder for each codec that the crate was built with: what a [`Consumer`](crate::Consumer) reads with.
pub struct Decoders {
    current: Compression,
    #[cfg(feature = "gzip")]
    gzip: gzip::Gunzip,
    #[cfg(feature = "snappy")]
    snappy: snappy::Unsnappy,
    #[cfg(feature = "lz4")]
    lz4: demitasse_core::records::lz4::Lz4,
    #[cfg(feature = "zstd")]
    zstd: zstd::Unzstd,
}

impl Decoders {
    /// One of each.
    pub fn new() -> Self {
        Decoders {
            current: Compression::None,
            #[cfg(feature = "gzip")]
            gzip: gzip::Gunzip::new(),
            #[cfg(feature = "snappy")]
            snappy: snappy::Unsnappy::new(),
            #[cfg(feature = "lz4")]
            lz4: demitasse_core::records::lz4::Lz4::new(),
            #[cfg(feature = "zstd")]
            zstd: zstd::Unzstd::new(),
        }
    }
}

impl Default for Decoders {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Decoders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoders").field("current", &self.current).finish_non_exhaustive()
    }
}

/// Bytes that the decoders take at most: gzip's window and tables, and zstd's.
const DECODERS_BYTES: usize =
    if cfg!(feature = "gzip") { 64 << 10 } else { 0 } + if cfg!(feature = "zstd") { 9 << 20 } else { 0 };

impl Decompress for Decoders {
    fn supports(compression: Compression) -> bool {
        match compression {
            Compression::None => false,
            Compression::Gzip => cfg!(feature = "gzip"),
            Compression::Snappy => cfg!(feature = "snappy"),
            Compression::Lz4 => cfg!(feature = "lz4"),
            Compression::Zstd => cfg!(feature = "zstd"),
        }
    }

    fn memory(&self) -> usize {
        DECODERS_BYTES
    }

    fn begin(&mut self, compression: Compression) -> Result<(), CodecError> {
        self.current = compression;
        match compression {
            #[cfg(feature = "gzip")]
            Compression::Gzip => {
                self.gzip.begin();
                Ok(())
            }
            #[cfg(feature = "snappy")]
            Compression::Snappy => {
                self.snappy.begin();
                Ok(())
            }
            #[cfg(feature = "lz4")]
            Compression::Lz4 => self.lz4.begin(compression),
            #[cfg(feature = "zstd")]
            Compression::Zstd => {
                self.zstd.begin();
                Ok(())
            }
            _ => Err(CodecError::Unsupported),
        }
    }

    fn history(&self) -> usize {
        match self.current {
            #[cfg(feature = "lz4")]
            Compression::Lz4 => self.lz4.history(),
            _ => 0,
        }
    }

    fn decompress(&mut self, input: &[u8], window: &mut [u8], filled: usize) -> Result<Progress, CodecError> {
        match self.current {
            #[cfg(feature = "lz4")]
            Compression::Lz4 => self.lz4.decompress_with(input, window, filled, |block, history, room| {
                lz4_flex::block::decompress_into_with_dict(block, room, history).ok()
            }),
            #[cfg(any(feature = "gzip", feature = "snappy", feature = "zstd"))]
            current => {
                let output = window.get_mut(filled..).unwrap_or(&mut []);
                match current {
                    #[cfg(feature = "gzip")]
                    Compression::Gzip => self.gzip.decompress(input, output),
                    #[cfg(feature = "snappy")]
                    Compression::Snappy => self.snappy.decompress(input, output),
                    #[cfg(feature = "zstd")]
                    Compression::Zstd => self.zstd.decompress(input, output),
                    _ => Err(CodecError::Unsupported),
                }
            }
            #[cfg(not(any(feature = "gzip", feature = "snappy", feature = "zstd")))]
            _ => {
                let _ = (input, window, filled);
                Err(CodecError::Unsupported)
            }
        }
    }
}
