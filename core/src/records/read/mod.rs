//! Record batches of magic 2, read where they lie: nothing is copied, nothing looked at before somebody asks for it.
//!
//! What a fetch brings is a row of batches, the last one often cut. [`Batches`] goes from one to the next by their headers
//! alone; a [`Batch`] checks its CRC, if it is asked to, and hands out its records. One that is compressed hands out its
//! [`payload`](Batch::payload); [`Records::new`] reads what became of it. Who hands out a few records at a time and cannot
//! keep the bytes borrowed in between has a [`RecordCursor`]. A batch that is too large for any buffer goes through a
//! [`BatchStream`].
//!
//! Whatever the bytes are, there is an end, and what is wrong is said with the offset: [`Corrupt`].
//!
//! ```
//! use demitasse_core::records::crc32c::crc32c;
//! use demitasse_core::records::read::{BatchError, Batches};
//! use demitasse_core::records::{Compression, Fields, HEADER_BYTES, Sealing, append, seal};
//!
//! // A batch of one record.
//! let mut bytes = [0u8; 80];
//! let fields = Fields { key: None, value: Some(b"hello"), headers: &[], timestamp_delta: 0 };
//! let end = append(&mut bytes, HEADER_BYTES, 0, &fields).unwrap();
//! let sealing = Sealing {
//!     compression: Compression::None,
//!     base_timestamp: 1_700_000_000_000,
//!     max_timestamp: 1_700_000_000_000,
//!     producer_id: -1,
//!     producer_epoch: -1,
//!     base_sequence: -1,
//!     records: 1,
//! };
//! seal(&mut bytes[..end], &sealing, crc32c);
//!
//! let mut batches = Batches::new(&bytes[..end]);
//! let batch = batches.next()?.expect("one batch");
//! batch.check_crc(crc32c)?;
//! for record in batch.records() {
//!     let record = record?;
//!     assert_eq!((record.offset, record.value), (0, Some(&b"hello"[..])));
//! }
//! assert!(batches.next()?.is_none());
//!
//! let cut = Batches::new(&bytes[..end - 1]).next().map(|_| ());
//! assert_eq!(cut, Err(BatchError::Incomplete { needed: end }));
//! # Ok::<(), BatchError>(())
//! ```

mod fault;
mod header;
mod record;
mod stream;
#[cfg(test)]
mod tests;

pub use fault::{BatchError, Corrupt, Fault, Part};
pub use header::BatchHeader;
pub use record::{Headers, Marker, Record, RecordCursor, RecordHeader};
pub use stream::BatchStream;

use super::batch::CRC_FROM;
use super::{Compression, HEADER_BYTES};

/// The batches in a slice, one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Batches<'a> {
    rest: &'a [u8],
    /// The next one may not begin in front of this.
    least: i64,
}

impl<'a> Batches<'a> {
    /// Those that `bytes` begin with.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Batches { rest: bytes, least: 0 }
    }

    /// Those that `bytes` go on with behind a batch whose [`next_offset`](BatchHeader::next_offset) this is.
    pub const fn behind(next_offset: i64, bytes: &'a [u8]) -> Self {
        Batches { rest: bytes, least: next_offset }
    }

    /// The next batch, or None when the bytes are over. Not an [`Iterator`], because of what it may say of the last one:
    /// [`Incomplete`](BatchError::Incomplete), when it is cut.
    ///
    /// Its first records may be in front of the offset that was asked for: a broker sends whole batches.
    #[allow(clippy::should_implement_trait, reason = "see above")]
    pub fn next(&mut self) -> Result<Option<Batch<'a>>, BatchError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let batch = Batch::read(self.rest)?;
        if batch.header.base_offset < self.least {
            return Err(batch.corrupt(Fault::OffsetsGoBack { expected: self.least }).into());
        }
        self.least = batch.header.next_offset();
        self.rest = self.rest.get(batch.bytes.len()..).unwrap_or(&[]);
        Ok(Some(batch))
    }

    /// The bytes of batches that have not been read.
    pub const fn remaining(&self) -> &'a [u8] {
        self.rest
    }
}

/// One whole batch.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// Its header.
    pub header: BatchHeader,
    bytes: &'a [u8],
}

impl<'a> Batch<'a> {
    /// The batch at the start of `bytes`, which may go on behind it.
    pub fn read(bytes: &'a [u8]) -> Result<Batch<'a>, BatchError> {
        let header = BatchHeader::read(bytes)?;
        let needed = header.length as usize;
        let bytes = bytes.get(..needed).ok_or(BatchError::Incomplete { needed })?;
        Ok(Batch { header, bytes })
    }

    /// Whether the stored checksum is that of the bytes. `crc` is CRC-32C, this crate's
    /// [`crc32c`](super::crc32c::crc32c) or a faster one.
    pub fn check_crc(&self, crc: impl FnOnce(&[u8]) -> u32) -> Result<(), Corrupt> {
        let (stored, computed) = (self.header.crc, crc(self.bytes.get(CRC_FROM..).unwrap_or(&[])));
        if stored == computed { Ok(()) } else { Err(self.corrupt(Fault::Crc { stored, computed })) }
    }

    /// The bytes behind the header: the records, or what they are compressed to.
    pub fn payload(&self) -> &'a [u8] {
        self.bytes.get(HEADER_BYTES..).unwrap_or(&[])
    }

    /// The records of a batch that is not compressed; of another one the only thing that comes is
    /// [`Fault::Compressed`].
    pub fn records(&self) -> Records<'a> {
        let fault = match self.header.compression {
            Compression::None => None,
            compression => Some(Fault::Compressed(compression)),
        };
        Records { fault, ..Records::new(&self.header, self.payload()) }
    }

    fn corrupt(&self, fault: Fault) -> Corrupt {
        Corrupt { offset: self.header.base_offset, fault }
    }
}

/// The records of a batch, as an iterator, which ends behind the first error.
#[derive(Clone, Copy, Debug)]
pub struct Records<'a> {
    cursor: RecordCursor,
    rest: &'a [u8],
    /// Comes instead of the first record.
    fault: Option<Fault>,
}

impl<'a> Records<'a> {
    /// The records in `bytes`: the [payload](Batch::payload) of the batch with this header, decompressed. All of the
    /// bytes must be records.
    pub fn new(header: &BatchHeader, bytes: &'a [u8]) -> Self {
        // No buffer is larger than that; if one were, it would not end where the records do.
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        Records { cursor: RecordCursor::new(header, length), rest: bytes, fault: None }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, Corrupt>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let fault = match self.fault.take() {
            Some(fault) => self.cursor.corrupt(fault),
            None => match self.cursor.next(&mut self.rest) {
                Ok(record) => return record.map(Ok),
                Err(BatchError::Corrupt(corrupt)) => corrupt,
                // Only if there were more bytes than the cursor can count.
                Err(BatchError::Incomplete { .. }) => {
                    self.cursor.corrupt(Fault::RecordsMissing(self.cursor.records_left()))
                }
            },
        };
        self.cursor.end();
        Some(Err(fault))
    }
}
