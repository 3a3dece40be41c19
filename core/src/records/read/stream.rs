//! A batch that is larger than any buffer, record by record as it streams by.

use super::fault::{BatchError, Corrupt, Fault};
use super::header::BatchHeader;
use super::record::{Record, RecordCursor};
use crate::records::batch::CRC_FROM;
use crate::records::{Compression, HEADER_BYTES};

/// Reads a batch that is not compressed without ever having it whole.
///
/// Only the record that is read must fit into the window; one that does not shows by an
/// [`Incomplete`](BatchError::Incomplete) that needs more than there can be.
///
/// **The checksum comes last.** It covers the whole batch, so records have been handed out before anybody can know that
/// their bytes are sound: who acts on them at once, acts on what a broken disk or memory may have changed. Lengths,
/// counts and offsets are checked as ever.
#[derive(Clone, Copy, Debug)]
pub struct BatchStream {
    cursor: RecordCursor,
    base_offset: i64,
    stored: u32,
    /// That of the bytes so far.
    crc: u32,
}

impl BatchStream {
    /// Takes the header of a batch from the window.
    ///
    /// `crc` goes on with a CRC-32C: [`crc32c_append`](crate::records::crc32c::crc32c_append) or a faster one.
    pub fn begin(
        window: &mut &[u8],
        crc: impl FnOnce(u32, &[u8]) -> u32,
    ) -> Result<(BatchHeader, BatchStream), BatchError> {
        let header = BatchHeader::read(window)?;
        if header.compression != Compression::None {
            return Err(Corrupt { offset: header.base_offset, fault: Fault::Compressed(header.compression) }.into());
        }
        let (bytes, rest) = window.split_at_checked(HEADER_BYTES).unwrap_or((window, &[]));
        let cursor = RecordCursor::new(&header, header.records_length());
        let crc = crc(0, bytes.get(CRC_FROM..).unwrap_or(&[]));
        *window = rest;
        Ok((header, BatchStream { cursor, base_offset: header.base_offset, stored: header.crc, crc }))
    }

    /// The next record, or None when the batch is over and its checksum was right; an error is final unless it is
    /// [`Incomplete`](BatchError::Incomplete).
    ///
    /// `window` begins where the last call left it. What is in it behind the batch is left alone.
    pub fn next<'a>(
        &mut self,
        window: &mut &'a [u8],
        crc: impl FnOnce(u32, &[u8]) -> u32,
    ) -> Result<Option<Record<'a>>, BatchError> {
        let before = *window;
        let record = self.cursor.next(window)?;
        let consumed = before.len().saturating_sub(window.len());
        if record.is_some() {
            self.crc = crc(self.crc, before.get(..consumed).unwrap_or(before));
        } else if self.crc != self.stored {
            let fault = Fault::Crc { stored: self.stored, computed: self.crc };
            return Err(Corrupt { offset: self.base_offset, fault }.into());
        }
        Ok(record)
    }

    /// Bytes of the batch that have not been read.
    pub fn bytes_left(&self) -> u32 {
        self.cursor.bytes_left()
    }
}
