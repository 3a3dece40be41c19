//! The header of a batch.

use super::Compression;

/// Bytes of a batch in front of its first record.
pub const HEADER_BYTES: usize = 61;

/// Where the bytes that the CRC covers start: at the attributes.
pub(crate) const CRC_FROM: usize = 21;

/// What goes into the header of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sealing {
    /// What the records are compressed by.
    pub compression: Compression,
    /// What the records' timestamp deltas count from, in milliseconds since 1970.
    pub base_timestamp: i64,
    /// The largest timestamp of a record, in milliseconds since 1970.
    pub max_timestamp: i64,
    /// The producer's id, -1 for none.
    pub producer_id: i64,
    /// The producer's epoch, -1 for none.
    pub producer_epoch: i16,
    /// The sequence number of the first record, -1 for none.
    pub base_sequence: i32,
    /// How many records there are, 1 to `i32::MAX`.
    pub records: u32,
}

/// Fills in the header of a batch, which is exactly `batch`: header and records, nothing behind.
///
/// `crc` is CRC-32C, this crate's [`crc32c`](super::crc32c::crc32c) or a faster one. Sealing again with other
/// values (a new epoch and sequence) is allowed. A slice shorter than [`HEADER_BYTES`] is left as it is.
pub fn seal(batch: &mut [u8], sealing: &Sealing, crc: impl FnOnce(&[u8]) -> u32) {
    write_header(batch, sealing);
    write_crc(batch, crc);
}

/// The first half of [`seal`]: the whole header but its CRC.
pub fn write_header(batch: &mut [u8], sealing: &Sealing) {
    let length = batch.len();
    let Some((header, _)) = batch.split_first_chunk_mut::<HEADER_BYTES>() else {
        return;
    };
    let records = sealing.records as i32;
    let mut rest: &mut [u8] = header;
    // The broker gives the base offset.
    put(&mut rest, 0i64.to_be_bytes());
    put(&mut rest, (length.wrapping_sub(12) as i32).to_be_bytes());
    // The leader epoch is the broker's, too.
    put(&mut rest, (-1i32).to_be_bytes());
    put(&mut rest, [2]);
    put(&mut rest, [0; 4]);
    // Attributes: CreateTime, no transaction, no control batch.
    put(&mut rest, (sealing.compression as i16).to_be_bytes());
    put(&mut rest, records.wrapping_sub(1).to_be_bytes());
    put(&mut rest, sealing.base_timestamp.to_be_bytes());
    put(&mut rest, sealing.max_timestamp.to_be_bytes());
    put(&mut rest, sealing.producer_id.to_be_bytes());
    put(&mut rest, sealing.producer_epoch.to_be_bytes());
    put(&mut rest, sealing.base_sequence.to_be_bytes());
    put(&mut rest, records.to_be_bytes());
}

/// The second half of [`seal`]: the CRC, which covers the header as it stands and all records.
pub fn write_crc(batch: &mut [u8], crc: impl FnOnce(&[u8]) -> u32) {
    if batch.len() < HEADER_BYTES {
        return;
    }
    if let Some((head, covered)) = batch.split_at_mut_checked(CRC_FROM)
        && let Some(place) = head.last_chunk_mut::<4>()
    {
        *place = crc(covered).to_be_bytes();
    }
}

#[inline]
fn put<const N: usize>(rest: &mut &mut [u8], bytes: [u8; N]) {
    if let Some((place, after)) = core::mem::take(rest).split_first_chunk_mut::<N>() {
        *place = bytes;
        *rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::{Fields, append, crc32c::crc32c};

    const SEALING: Sealing = Sealing {
        compression: Compression::None,
        base_timestamp: 0x0102,
        max_timestamp: 0x0304,
        producer_id: 5,
        producer_epoch: 6,
        base_sequence: 7,
        records: 1,
    };

    #[test]
    fn the_header_is_where_kafka_wants_it() {
        let mut buffer = [0xeeu8; 80];
        let fields = Fields { key: None, value: Some(b"v"), headers: &[], timestamp_delta: 0 };
        let end = append(&mut buffer, HEADER_BYTES, 0, &fields).unwrap();
        let batch = &mut buffer[..end];
        seal(batch, &SEALING, crc32c);
        assert_eq!(end, 69);
        assert_eq!(batch[..17], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 57, 255, 255, 255, 255, 2]);
        assert_eq!(batch[17..21], crc32c(&batch[21..]).to_be_bytes());
        assert_eq!(batch[21..27], [0; 6]);
        assert_eq!(batch[27..43], [0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 3, 4]);
        assert_eq!(batch[43..61], [0, 0, 0, 0, 0, 0, 0, 5, 0, 6, 0, 0, 0, 7, 0, 0, 0, 1]);
    }

    #[test]
    fn sealing_again_forgets_the_first_time() {
        let mut once = [3u8; 70];
        let mut twice = once;
        seal(&mut once, &SEALING, crc32c);
        seal(&mut twice, &Sealing { producer_epoch: -1, base_sequence: i32::MAX, records: 9, ..SEALING }, crc32c);
        seal(&mut twice, &SEALING, crc32c);
        assert_eq!(once, twice);
    }

    #[test]
    fn too_short_is_left_alone() {
        let mut short = [9u8; 60];
        seal(&mut short, &SEALING, |_| panic!("no bytes to cover"));
        assert_eq!(short, [9u8; 60]);
    }
}
