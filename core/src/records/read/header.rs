//! The header of a batch, read.

use super::fault::{BatchError, Corrupt, Fault};
use crate::records::{Compression, HEADER_BYTES};
use crate::wire::{ReadError, Reader};

/// Bytes in front of those that the length counts: the base offset and the length itself.
const LENGTH_END: usize = 12;

/// Bytes up to the magic and with it, in every format that there ever was.
const MAGIC_END: usize = 17;

const LOG_APPEND_TIME: i16 = 1 << 3;
const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;

/// The header of a batch. Its numbers agree with each other; whether they agree with the records shows when these are
/// read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BatchHeader {
    /// The offset that the records' differences count from. After compaction there need be no record with it.
    pub base_offset: i64,
    /// Bytes of the whole batch, from the base offset on: at least [`HEADER_BYTES`].
    pub length: u32,
    /// The epoch of the leader that wrote it, -1 for unknown.
    pub leader_epoch: i32,
    /// CRC-32C of the bytes from the attributes on.
    pub crc: u32,
    /// How the records are compressed.
    pub compression: Compression,
    /// All flags as they were sent.
    pub attributes: i16,
    /// The offset of the last record less `base_offset`, 0 or more. Compaction keeps it, even if the record is gone.
    pub last_offset_delta: i32,
    /// What the records' timestamps count from, in milliseconds since 1970.
    pub base_timestamp: i64,
    /// The largest timestamp, in milliseconds since 1970.
    pub max_timestamp: i64,
    /// The producer's id, -1 for none.
    pub producer_id: i64,
    /// The producer's epoch, -1 for none.
    pub producer_epoch: i16,
    /// The sequence number of the first record, -1 for none.
    pub base_sequence: i32,
    /// How many records there are: 0, when compaction has left nothing, up to `last_offset_delta` + 1.
    pub records: u32,
}

impl BatchHeader {
    /// Reads the header at the start of `bytes`, of which [`HEADER_BYTES`] must be there; the records need not.
    pub fn read(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
        let (base_offset, length) = prefix(bytes)?;
        let corrupt = |fault| Corrupt { offset: base_offset, fault };
        let Some(bytes) = bytes.get(LENGTH_END..HEADER_BYTES) else {
            return Err(BatchError::Incomplete { needed: HEADER_BYTES });
        };
        // All there: it cannot fail.
        let fields = fields(Reader::new(bytes), base_offset, length);
        let (mut header, count, compression) = fields.map_err(|_| BatchError::Incomplete { needed: HEADER_BYTES })?;
        header.compression = match compression {
            0 => Compression::None,
            1 => Compression::Gzip,
            2 => Compression::Snappy,
            3 => Compression::Lz4,
            4 => Compression::Zstd,
            number => return Err(corrupt(Fault::UnknownCompression(number)).into()),
        };
        let delta = header.last_offset_delta;
        if delta < 0 {
            return Err(corrupt(Fault::LastOffsetDelta(delta)).into());
        }
        // The offset behind the last one must be a number, too.
        if base_offset < 0 || i64::MAX.wrapping_sub(base_offset) <= i64::from(delta) {
            return Err(corrupt(Fault::Offset).into());
        }
        header.records = match u32::try_from(count) {
            Ok(records) if i64::from(records) <= i64::from(delta).wrapping_add(1) => records,
            _ => return Err(corrupt(Fault::RecordCount(count)).into()),
        };
        Ok(header)
    }

    /// The offset behind the batch's last one: where the next batch may begin.
    pub const fn next_offset(&self) -> i64 {
        self.base_offset.wrapping_add(self.last_offset_delta as i64).wrapping_add(1)
    }

    /// Bytes of the batch behind its header: the records, or what they are compressed to.
    pub const fn records_length(&self) -> u32 {
        self.length.saturating_sub(HEADER_BYTES as u32)
    }

    /// Whether all timestamps are `max_timestamp`, when the broker appended the batch: `LogAppendTime`.
    pub const fn has_log_append_time(&self) -> bool {
        self.attributes & LOG_APPEND_TIME != 0
    }

    /// Whether the records belong to a transaction.
    pub const fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    /// Whether the records are the cluster's own, such as the [end of a transaction](super::Marker): not for users.
    pub const fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }
}

/// Reads base offset and length of the batch that starts `bytes`, once it is clear that it has magic 2.
fn prefix(bytes: &[u8]) -> Result<(i64, u32), BatchError> {
    let incomplete = |_| BatchError::Incomplete { needed: MAGIC_END };
    let mut reader = Reader::new(bytes).part::<MAGIC_END>().map_err(incomplete)?;
    let base_offset = reader.i64().map_err(incomplete)?;
    let length = reader.i32().map_err(incomplete)?;
    reader.i32().map_err(incomplete)?;
    let fault = match reader.i8().map_err(incomplete)? {
        // A length that is negative is far beyond this, too.
        2 if length >= (HEADER_BYTES - LENGTH_END) as i32 => {
            return Ok((base_offset, (length as u32).saturating_add(LENGTH_END as u32)));
        }
        2 => Fault::BatchLength(length),
        magic @ 0..=1 => Fault::OldFormat(magic),
        magic => Fault::UnknownFormat(magic),
    };
    Err(Corrupt { offset: base_offset, fault }.into())
}

/// Reads what is behind the length: a header without its compression and count of records, and both as they are stored.
fn fields(mut reader: Reader<'_>, base_offset: i64, length: u32) -> Result<(BatchHeader, i32, u8), ReadError> {
    let mut reader = reader.part::<{ HEADER_BYTES - LENGTH_END }>()?;
    let leader_epoch = reader.i32()?;
    // The magic, which is known.
    reader.i8()?;
    let crc = reader.u32()?;
    let attributes = reader.i16()?;
    let header = BatchHeader {
        base_offset,
        length,
        leader_epoch,
        crc,
        compression: Compression::None,
        attributes,
        last_offset_delta: reader.i32()?,
        base_timestamp: reader.i64()?,
        max_timestamp: reader.i64()?,
        producer_id: reader.i64()?,
        producer_epoch: reader.i16()?,
        base_sequence: reader.i32()?,
        records: 0,
    };
    Ok((header, reader.i32()?, (attributes & 7) as u8))
}
