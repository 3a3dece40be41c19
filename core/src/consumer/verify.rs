//! A chunk that is full: which of its batches are whole and sound, and which of them a reader of committed records skips.
//!
//! It is done where the state is not locked, by whoever has the chunk, while its bytes are still in the processor's cache.

use super::segment::{ABORTED_BYTES, SEGMENT_BYTES, Segment};
use crate::records::Compression;
use crate::records::read::{Batch, BatchError, BatchHeader, Marker};

/// Nothing is wrong, as far as the segment goes.
pub(super) const SOUND: u16 = 0;
/// A batch has another checksum than it says; the detail is that of its bytes.
pub(super) const WRONG_CRC: u16 = 1;
/// A batch says by itself what is wrong with it.
pub(super) const WRONG: u16 = 2;
/// The first batch is larger than what had room; the detail is its length.
pub(super) const TOO_LARGE: u16 = 3;
/// A batch is of offsets that are behind the reader already. What is said of them is not in its checksum.
pub(super) const GOES_BACK: u16 = 4;

/// Where in a batch its attributes stand, and the bit in their lower byte that says that nobody wants its records.
const ATTRIBUTES: usize = 22;
const CONTROL: u8 = 1 << 5;

/// An aborted transaction whose end has been passed.
const OVER: i64 = i64::MAX;

/// How the bytes of batches are judged.
pub(crate) struct Judge<C> {
    pub(crate) crc: C,
    /// Whether there is a decoder.
    pub(crate) supports: fn(Compression) -> bool,
    /// Whether a batch may be larger than a chunk, if it is not compressed and has an answer for itself.
    pub(crate) streams: bool,
    /// Whether only records of transactions that were committed are wanted.
    pub(crate) committed: bool,
}

/// Goes through the segments in the first `filled` bytes of a chunk, and writes into each what was found. Whether any
/// batch that is to be handed out is compressed.
pub(crate) fn verify(chunk: &mut [u8], filled: usize, judge: &Judge<impl Fn(&[u8]) -> u32>) -> bool {
    let mut compressed = false;
    let most = chunk.len().saturating_sub(SEGMENT_BYTES);
    let mut rest = chunk.get_mut(..filled).unwrap_or(&mut []);
    while let Some(segment) = Segment::read(rest) {
        let Some((own, behind)) = rest.split_at_mut_checked(segment.bytes()) else { return compressed };
        let (start, records) = own.split_at_mut(segment.records_at().min(own.len()));
        let aborted = start.get_mut(SEGMENT_BYTES..).unwrap_or(&mut []);
        let mut walk = Walk { aborted, most, judge, compressed: false };
        let found = walk.through(segment, records);
        compressed |= walk.compressed;
        found.write(start);
        rest = behind;
    }
    compressed
}

/// What one segment is looked at with.
struct Walk<'a, C> {
    aborted: &'a mut [u8],
    most: usize,
    judge: &'a Judge<C>,
    compressed: bool,
}

impl<C: Fn(&[u8]) -> u32> Walk<'_, C> {
    fn through(&mut self, segment: Segment, records: &mut [u8]) -> Segment {
        let mut found = Segment { sound: 0, next: segment.offset, epoch: -1, fault: SOUND, detail: 0, ..segment };
        while let Some(rest) = records.get_mut(found.sound as usize..).filter(|rest| !rest.is_empty()) {
            let header = match sound(rest, self.judge) {
                Ok(header) => header,
                Err(Unsound::Cut(_)) if BatchHeader::read(rest).is_ok_and(|cut| cut.next_offset() <= found.next) => {
                    found.fault = GOES_BACK;
                    break;
                }
                Err(Unsound::Cut(needed)) => {
                    // The last one of an answer is often cut: it is asked for again. Alone in a chunk it may still not fit.
                    let large = needed as usize > self.most.saturating_sub(self.aborted.len());
                    let plain = || BatchHeader::read(rest).is_ok_and(|header| header.compression == Compression::None);
                    let again = self.judge.streams && segment.detail == 0 && plain();
                    if found.sound == 0 && large && !again {
                        (found.fault, found.detail) = (TOO_LARGE, needed);
                    }
                    break;
                }
                Err(Unsound::Crc(computed)) => {
                    (found.fault, found.detail) = (WRONG_CRC, computed);
                    break;
                }
                Err(Unsound::Other) => {
                    found.fault = WRONG;
                    break;
                }
            };
            // The first may begin in front of what was asked for, since a broker sends whole batches, but not end there.
            let first = found.sound == 0;
            if header.next_offset() <= found.next || !first && header.base_offset < found.next {
                found.fault = GOES_BACK;
                break;
            }
            if self.judge.committed && skipped(&header, self.aborted, rest) {
                rest.get_mut(ATTRIBUTES).into_iter().for_each(|attributes| *attributes |= CONTROL);
            } else {
                self.compressed |= header.compression != Compression::None;
            }
            found.sound = found.sound.saturating_add(header.length);
            (found.next, found.epoch) = (header.next_offset(), header.leader_epoch);
        }
        found
    }
}

enum Unsound {
    Cut(u32),
    Crc(u32),
    Other,
}

/// The header of the batch at the front, if all of the batch is there and as it should be.
fn sound(bytes: &[u8], judge: &Judge<impl Fn(&[u8]) -> u32>) -> Result<BatchHeader, Unsound> {
    let batch = match Batch::read(bytes) {
        Ok(batch) => batch,
        Err(BatchError::Incomplete { needed }) => return Err(Unsound::Cut(needed.try_into().unwrap_or(u32::MAX))),
        Err(BatchError::Corrupt(_)) => return Err(Unsound::Other),
    };
    let mut computed = 0;
    batch
        .check_crc(|bytes| {
            computed = (judge.crc)(bytes);
            computed
        })
        .map_err(|_| Unsound::Crc(computed))?;
    match batch.header.compression {
        Compression::None => Ok(batch.header),
        compression if (judge.supports)(compression) => Ok(batch.header),
        _ => Err(Unsound::Other),
    }
}

/// Whether a batch is of a transaction that was aborted. The list of these is in no promised order, and each ends with its
/// marker.
pub(super) fn skipped(header: &BatchHeader, aborted: &mut [u8], batch: &[u8]) -> bool {
    if !header.is_transactional() {
        return false;
    }
    let mut first: Option<(i64, &mut [u8; ABORTED_BYTES])> = None;
    for entry in aborted.as_chunks_mut::<ABORTED_BYTES>().0 {
        let (producer, offset) = transaction(entry);
        let before = first.as_ref().is_none_or(|(other, _)| offset < *other);
        if producer == header.producer_id && offset <= header.base_offset && before {
            first = Some((offset, entry));
        }
    }
    let Some((_, entry)) = first else { return false };
    if header.is_control() {
        let marker = Batch::read(batch).ok().and_then(|batch| batch.records().next()?.ok()?.marker().ok());
        if marker == Some(Marker::Abort) {
            put_transaction(entry, header.producer_id, OVER);
        }
        return false;
    }
    true
}

fn transaction(entry: &[u8; ABORTED_BYTES]) -> (i64, i64) {
    let number = u128::from_le_bytes(*entry);
    (number as i64, (number >> 64) as i64)
}

/// Writes an aborted transaction.
pub(super) fn put_transaction(entry: &mut [u8; ABORTED_BYTES], producer_id: i64, first_offset: i64) {
    *entry = (u128::from(producer_id as u64) | u128::from(first_offset as u64) << 64).to_le_bytes();
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use crate::records::crc32c::crc32c;
    use crate::records::{Fields, HEADER_BYTES, Sealing, append, seal};
    use std::vec;
    use std::vec::Vec;

    const TRANSACTIONAL: u8 = 1 << 4;

    /// A batch of one record; key and value of a marker if it is a control batch.
    fn batch(base_offset: i64, producer_id: i64, attributes: u8, key: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 200];
        let fields = Fields { key: Some(key), value: Some(b"value"), headers: &[], timestamp_delta: 0 };
        let end = append(&mut bytes, HEADER_BYTES, 0, &fields).unwrap();
        bytes.truncate(end);
        let sealing = Sealing {
            compression: Compression::None,
            base_timestamp: 1,
            max_timestamp: 1,
            producer_id,
            producer_epoch: 0,
            base_sequence: 0,
            records: 1,
        };
        seal(&mut bytes, &sealing, crc32c);
        bytes[..8].copy_from_slice(&base_offset.to_be_bytes());
        bytes[ATTRIBUTES] |= attributes;
        let crc = crc32c(&bytes[21..]);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    fn chunk(aborted: &[(i64, i64)], records: &[u8], room: usize) -> (Vec<u8>, usize) {
        let segment = Segment {
            place: 0,
            generation: 1,
            offset: 5,
            aborted: aborted.len() as u32,
            records: records.len() as u32,
            sound: 0,
            next: 5,
            epoch: -1,
            fault: 0,
            detail: 0,
        };
        let mut bytes = vec![0; SEGMENT_BYTES];
        segment.write(&mut bytes);
        for (producer_id, first_offset) in aborted {
            let mut entry = [0; ABORTED_BYTES];
            put_transaction(&mut entry, *producer_id, *first_offset);
            bytes.extend(entry);
        }
        bytes.extend(records);
        let filled = bytes.len();
        bytes.resize(filled + room, 0);
        (bytes, filled)
    }

    fn found(aborted: &[(i64, i64)], records: &[u8], room: usize) -> (Segment, Vec<bool>) {
        let (mut bytes, filled) = chunk(aborted, records, room);
        verify(&mut bytes, filled, &Judge { crc: crc32c, supports: |_| false, streams: false, committed: true });
        let segment = Segment::read(&bytes).unwrap();
        let mut skipped = Vec::new();
        let mut rest = &bytes[segment.records_at()..segment.records_at() + segment.sound as usize];
        while let Ok(header) = BatchHeader::read(rest) {
            skipped.push(header.is_control());
            rest = &rest[header.length as usize..];
        }
        (segment, skipped)
    }

    #[test]
    fn what_is_sound_ends_where_something_is_wrong() {
        let (first, second) = (batch(5, -1, 0, b"k"), batch(6, -1, 0, b"k"));
        let both = [&first[..], &second[..]].concat();
        let (segment, _) = found(&[], &both, 0);
        assert_eq!((segment.sound as usize, segment.next, segment.fault), (both.len(), 7, SOUND));
        for at in first.len() + 21..both.len() {
            let mut wrong = both.clone();
            wrong[at] ^= 1;
            let (segment, _) = found(&[], &wrong, 0);
            assert_eq!((segment.sound as usize, segment.next), (first.len(), 6));
            // What a header says may be wrong in itself.
            let header = at < first.len() + HEADER_BYTES;
            assert!(segment.fault == WRONG_CRC || header && segment.fault == WRONG, "{at}: {}", segment.fault);
        }
        let mut old = both.clone();
        old[first.len() + 16] = 1;
        assert_eq!(found(&[], &old, 0).0.fault, WRONG);
    }

    #[test]
    fn offsets_do_not_go_back() {
        let log = |offsets: &[i64]| offsets.iter().flat_map(|&offset| batch(offset, -1, 0, b"k")).collect::<Vec<u8>>();
        // The reader is at 5. Compaction leaves gaps.
        for (offsets, sound, fault) in [
            (&[5, 6][..], 2, SOUND),
            (&[5, 9], 2, SOUND),
            (&[9], 1, SOUND),
            (&[4], 0, GOES_BACK),
            (&[5, 5], 1, GOES_BACK),
            (&[5, 6, 3], 2, GOES_BACK),
        ] {
            let (segment, skipped) = found(&[], &log(offsets), 0);
            assert_eq!((skipped.len(), segment.fault), (sound, fault), "{offsets:?}");
        }
    }

    #[test]
    fn a_cut_batch_is_wrong_only_if_it_can_never_fit() {
        let whole = batch(5, -1, 0, b"k");
        let cut = &whole[..whole.len() - 1];
        assert_eq!((found(&[], cut, 1).0.fault, found(&[], cut, 0).0.fault), (SOUND, TOO_LARGE));
        assert_eq!(found(&[], cut, 0).0.detail as usize, whole.len());
        let next = batch(6, -1, 0, b"k");
        let behind = [&whole[..], &next[..next.len() - 1]].concat();
        let (segment, _) = found(&[], &behind, 0);
        assert_eq!((segment.sound as usize, segment.fault), (whole.len(), SOUND));
    }

    #[test]
    fn an_aborted_transaction_is_skipped_up_to_its_marker() {
        let (abort, commit) = ([0, 0, 0, 0], [0, 0, 0, 1]);
        let control = TRANSACTIONAL | CONTROL;
        let log = [
            batch(5, 1, TRANSACTIONAL, b"aborted"),
            batch(6, 2, TRANSACTIONAL, b"committed"),
            batch(7, 1, control, &abort),
            batch(8, 1, TRANSACTIONAL, b"committed"),
            batch(9, 2, control, &commit),
            batch(10, 1, control, &commit),
            batch(11, 1, TRANSACTIONAL, b"aborted"),
            batch(12, 3, 0, b"of no transaction"),
            batch(13, 1, control, &abort),
        ]
        .concat();
        for aborted in [[(1, 5), (1, 11)], [(1, 11), (1, 5)]] {
            let (segment, skipped) = found(&aborted, &log, 0);
            assert_eq!((segment.next, segment.fault), (14, SOUND));
            assert_eq!(skipped, [true, false, true, false, true, true, true, false, true]);
        }
    }
}
