//! What a chunk holds: the records of one partition after the other, each behind a few numbers that say whose they are.
//!
//! The numbers stand in the chunk itself, so that nothing else must be sized for the most partitions that an answer may have.

use super::table::Position;
use crate::records::HEADER_BYTES;

/// Bytes of a segment before its aborted transactions and its records.
pub(crate) const SEGMENT_BYTES: usize = 44;

/// Bytes of one aborted transaction: the producer's id and the offset of its first record.
pub(crate) const ABORTED_BYTES: usize = 16;

/// No chunk is of use that has fewer bytes: a segment with a batch of the shortest record.
pub const CHUNK_BYTES_MIN: usize = SEGMENT_BYTES + HEADER_BYTES + 7;

/// The beginning of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Segment {
    /// The partition's place in the tables, and the generation of its position when it was asked for.
    pub(crate) place: u16,
    pub(crate) generation: u32,
    /// Records in front of it are not wanted: a broker sends whole batches.
    pub(crate) offset: i64,
    /// How many transactions.
    pub(crate) aborted: u32,
    /// Bytes of records that arrived, and of those the ones in whole, sound batches.
    pub(crate) records: u32,
    pub(crate) sound: u32,
    /// The offset behind the last sound batch, and its leader's epoch.
    pub(crate) next: i64,
    pub(crate) epoch: i32,
    /// What is wrong behind the sound ones, see `verify`.
    pub(crate) fault: u16,
    pub(crate) detail: u32,
}

impl Segment {
    /// Reads the beginning of a segment, if there is one.
    pub(crate) fn read(bytes: &[u8]) -> Option<Segment> {
        let bytes: &[u8; SEGMENT_BYTES] = bytes.first_chunk()?;
        let mut at = Fields(bytes);
        Some(Segment {
            place: u16::from_le_bytes(at.take()),
            fault: u16::from_le_bytes(at.take()),
            generation: u32::from_le_bytes(at.take()),
            offset: i64::from_le_bytes(at.take()),
            aborted: u32::from_le_bytes(at.take()),
            records: u32::from_le_bytes(at.take()),
            sound: u32::from_le_bytes(at.take()),
            next: i64::from_le_bytes(at.take()),
            epoch: i32::from_le_bytes(at.take()),
            detail: u32::from_le_bytes(at.take()),
        })
    }

    /// One whose records have arrived, and nobody has looked at them.
    pub(crate) fn arrived(place: usize, position: &Position, transactions: u32, records: u32) -> Segment {
        Segment {
            place: place as u16,
            generation: position.generation,
            offset: position.fetch,
            aborted: transactions / ABORTED_BYTES as u32,
            records,
            sound: 0,
            next: position.fetch,
            epoch: -1,
            fault: 0,
            detail: 0,
        }
    }

    /// Writes it to the front of `bytes`; false if there is no room.
    pub(crate) fn write(&self, bytes: &mut [u8]) -> bool {
        let Some(bytes) = bytes.first_chunk_mut::<SEGMENT_BYTES>() else { return false };
        let mut rest = &mut bytes[..];
        let mut put = |field: &[u8]| {
            if let Some((here, behind)) = core::mem::take(&mut rest).split_at_mut_checked(field.len()) {
                here.copy_from_slice(field);
                rest = behind;
            }
        };
        put(&self.place.to_le_bytes());
        put(&self.fault.to_le_bytes());
        put(&self.generation.to_le_bytes());
        put(&self.offset.to_le_bytes());
        put(&self.aborted.to_le_bytes());
        put(&self.records.to_le_bytes());
        put(&self.sound.to_le_bytes());
        put(&self.next.to_le_bytes());
        put(&self.epoch.to_le_bytes());
        put(&self.detail.to_le_bytes());
        true
    }

    /// Where the records begin, counted from the segment's beginning.
    pub(crate) fn records_at(&self) -> usize {
        (self.aborted as usize).saturating_mul(ABORTED_BYTES).saturating_add(SEGMENT_BYTES)
    }

    /// All of its bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.records_at().saturating_add(self.records as usize)
    }
}

struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    /// All of them are there, the whole was measured; zeros would be what is missing.
    fn take<const N: usize>(&mut self) -> [u8; N] {
        match self.0.split_first_chunk() {
            Some((field, rest)) => {
                self.0 = rest;
                *field
            }
            None => [0; N],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let segment = Segment {
            place: 1,
            generation: 2,
            offset: 3,
            aborted: 4,
            records: 5,
            sound: 6,
            next: -7,
            epoch: -8,
            fault: 9,
            detail: 10,
        };
        let mut bytes = [0xaa; SEGMENT_BYTES];
        assert!(segment.write(&mut bytes));
        assert_eq!(Segment::read(&bytes), Some(segment));
        assert!(!segment.write(&mut bytes[1..]) && Segment::read(&bytes[1..]).is_none());
        assert_eq!((segment.records_at(), segment.bytes()), (44 + 64, 44 + 64 + 5));
    }
}
