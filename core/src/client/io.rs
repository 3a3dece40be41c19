//! What the driver needs from the world: streams, sleep, and if there is one a faster CRC.
//!
//! No `Send` bound anywhere: whether a driver may move between threads follows from the concrete types of a side.

use crate::connection::ConnectionError;
#[cfg(feature = "compression")]
use crate::records::Compression;
use crate::time::Instant;
use embedded_io_async::{Read, Write};

/// The world, for one client.
pub trait Io {
    /// A connection to a broker.
    type Stream: Stream;

    /// Connects to `host` (a name or an address, as the user or a broker wrote it: nobody has looked whether it is UTF-8) and
    /// `port`. If the name has several addresses, each is tried.
    ///
    /// The driver drops the future when `socket.connection.setup.timeout.ms` has passed; nothing may be left behind.
    async fn connect(&self, host: &[u8], port: u16) -> Result<Self::Stream, ConnectionError>;

    /// Waits until the clock shows `at`. It may be [`Instant::NEVER`]: then it does not end.
    async fn sleep_until(&self, at: Instant);

    /// CRC-32C (Castagnoli) of bytes that end with `bytes` and had the checksum `crc` before them; 0 for none. The default
    /// is the core's own table; a side with a better one uses it.
    fn crc32c_append(&self, crc: u32, bytes: &[u8]) -> u32 {
        crate::records::crc32c::crc32c_append(crc, bytes)
    }

    /// Compresses the records of a batch into `output`, as large as [`Scratch::packing`](crate::Scratch::packing) has it; how
    /// many bytes they become, or None if it cannot be done or there is no room: then the batch is sent as it is, as it is when
    /// it does not become smaller. Called by the connection's task, with nothing locked.
    ///
    /// The default is the core's LZ4, if it has it: the last [`lz4::TABLE_BYTES`](crate::records::lz4::TABLE_BYTES) of `output`
    /// are then its memory.
    #[cfg(feature = "compression")]
    fn compress(&self, compression: Compression, input: &[u8], output: &mut [u8]) -> Option<usize> {
        match compression {
            #[cfg(feature = "lz4")]
            Compression::Lz4 => crate::records::lz4::compress_within(input, output),
            _ => {
                let _ = (input, output);
                None
            }
        }
    }

    /// A batch of `records` was acknowledged `micros` microseconds after it was opened. For whoever keeps statistics;
    /// called with the state locked, so it must be short and must not call the client.
    fn delivered(&self, micros: u64, records: u32) {
        let _ = (micros, records);
    }
}

/// A connection that splits into its two directions.
pub trait Stream {
    /// The direction from the broker. Its `read` must be cancel-safe: a dropped future has taken no byte.
    type Reader<'a>: Read
    where
        Self: 'a;
    /// The direction to the broker.
    type Writer<'a>: GatherWrite
    where
        Self: 'a;

    /// Both directions at once.
    fn split(&mut self) -> (Self::Reader<'_>, Self::Writer<'_>);
}

/// Writing pieces that lie apart.
///
/// Nothing is flushed: on TCP a written byte is on its way. A side that buffers (TLS) flushes at the end of each call.
pub trait GatherWrite: Write {
    /// Writes all of `pieces`, in order. The default writes one after the other; a side whose network takes many at
    /// once should.
    async fn write_gathered(&mut self, pieces: &[&[u8]]) -> Result<(), Self::Error> {
        for piece in pieces {
            self.write_all(piece).await?;
        }
        Ok(())
    }
}
