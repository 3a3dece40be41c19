//! Where in a chunk the handing out is: a few words without a borrow, so that a poll can end anywhere.

use super::ConsumeFault;
use super::segment::Segment;
use crate::records::Compression;
use crate::records::read::{BatchError, BatchHeader, Record, RecordCursor};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor {
    /// Where the segment that is being read begins, and the one behind it.
    segment: Option<u32>,
    next_segment: u32,
    /// Where the next batch or record of it begins, and where its sound batches end.
    at: u32,
    sound: u32,
    records: Option<RecordCursor>,
    /// The leader's epoch of the batch that is or was read.
    epoch: i32,
}

/// What comes next.
pub(crate) enum Step<'a> {
    /// Another segment begins: whether it is still wanted, and from which offset on, is to be said.
    Segment(Segment),
    Record(Record<'a>),
    /// A batch that is compressed: nothing goes on until it was [passed](Cursor::pass_batch).
    Compressed(Segment, BatchHeader),
    /// The segment is over.
    SegmentEnd,
    /// The next record cannot be read, nor what is behind it: of a sound batch because whoever wrote it, wrote nonsense.
    Stopped(Segment, (i64, ConsumeFault)),
    /// The next record is not there in full: it comes with the next piece of its batch.
    Cut,
    End,
}

impl Cursor {
    pub(crate) const START: Cursor =
        Cursor { segment: None, next_segment: 0, at: 0, sound: 0, records: None, epoch: -1 };

    /// Of a chunk that was never used: all zero bits, so that a table of them takes nothing in flash.
    pub(crate) const NOWHERE: Cursor = Cursor { epoch: 0, ..Cursor::START };

    /// The segment that is being read, as it stands in the chunk: a copy here would go along wherever the chunk goes.
    pub(crate) fn segment(&self, chunk: &[u8]) -> Option<Segment> {
        chunk.get(self.segment? as usize..).and_then(Segment::read)
    }

    /// Where the segments end that were gone through.
    pub(crate) fn passed(&self) -> u32 {
        self.segment.unwrap_or(self.next_segment)
    }

    /// The leader's epoch of the record that was handed out last.
    pub(crate) fn epoch(&self) -> i32 {
        self.epoch
    }

    /// The rest of the segment is not wanted.
    pub(crate) fn pass_over(&mut self) {
        (self.at, self.records) = (self.sound, None);
    }

    /// The compressed batch that comes next, without its header.
    pub(crate) fn payload<'a>(&self, chunk: &'a [u8], header: &BatchHeader) -> &'a [u8] {
        let batch = chunk.get(self.at as usize..self.at.saturating_add(header.length) as usize).unwrap_or(&[]);
        batch.get(crate::records::HEADER_BYTES..).unwrap_or(&[])
    }

    /// Where the next batch begins.
    pub(crate) fn at(&self) -> u32 {
        self.at
    }

    /// Records of a compressed batch are handed out.
    pub(crate) fn begin_batch(&mut self, header: &BatchHeader) {
        self.epoch = header.leader_epoch;
    }

    /// Goes on behind a compressed batch.
    pub(crate) fn pass_batch(&mut self, header: &BatchHeader) {
        (self.at, self.epoch) = (self.at.saturating_add(header.length), header.leader_epoch);
    }

    /// Goes on with another piece of the same batch; the chunk is the segment's up to `filled`. If nothing of it is sound, it
    /// was the last.
    pub(crate) fn resume(&mut self, segment: &Segment, filled: u32) {
        if self.segment.is_none() {
            return;
        }
        self.at = segment.records_at() as u32;
        (self.sound, self.next_segment) = (self.at.saturating_add(segment.sound), filled);
        if segment.sound == 0 {
            self.records = None;
        }
    }

    /// Moves what is left of a piece to where the segment's records begin.
    pub(crate) fn compact(&mut self, chunk: &mut [u8]) {
        let start = self.segment(chunk).map_or(0, |segment| segment.records_at()) as u32;
        let (from, to) = (self.at as usize, self.sound as usize);
        if start <= self.at && from <= to && to <= chunk.len() {
            chunk.copy_within(from..to, start as usize);
            (self.at, self.sound) = (start, start.saturating_add(self.sound - self.at));
        }
    }

    /// Where the sound bytes of the segment end.
    pub(crate) fn end(&self) -> u32 {
        self.sound
    }

    /// Whether nothing but the end of the last segment is left.
    pub(crate) fn is_over(&self, chunk: &[u8], filled: usize) -> bool {
        let last = chunk.get(self.next_segment as usize..filled).and_then(Segment::read).is_none();
        last && (self.segment.is_none() || self.is_at_end())
    }

    /// Whether nothing of the segment is left but its end.
    pub(crate) fn is_at_end(&self) -> bool {
        self.at >= self.sound && self.records.is_none_or(|records| records.records_left() == 0)
    }

    /// Goes one step on in the first `filled` bytes of `chunk`.
    #[inline]
    pub(crate) fn step<'a>(&mut self, chunk: &'a [u8], filled: usize) -> Step<'a> {
        loop {
            let Some(start) = self.segment else { return self.begin(chunk.get(..filled).unwrap_or(&[])) };
            let segment = || chunk.get(start as usize..).and_then(Segment::read);
            let mut window = chunk.get(self.at as usize..self.sound as usize).unwrap_or(&[]);
            if let Some(records) = &mut self.records {
                let result = records.next(&mut window);
                self.at = self.sound.saturating_sub(window.len() as u32);
                match result {
                    Ok(Some(record)) => return Step::Record(record),
                    Ok(None) => self.records = None,
                    Err(error) => {
                        let Some(segment) = segment() else { return Step::End };
                        let capacity = chunk.len().saturating_sub(segment.records_at());
                        let stopped = match error {
                            BatchError::Incomplete { needed } if needed <= capacity => return Step::Cut,
                            BatchError::Incomplete { needed } => {
                                let (needed, capacity) = (needed.try_into().unwrap_or(u32::MAX), capacity as u32);
                                (records.due(), ConsumeFault::RecordTooLarge { needed, capacity })
                            }
                            BatchError::Corrupt(corrupt) => (corrupt.offset, ConsumeFault::Corrupt(corrupt.fault)),
                        };
                        self.pass_over();
                        return Step::Stopped(segment, stopped);
                    }
                }
                continue;
            }
            // What was verified can be read.
            match BatchHeader::read(window) {
                Ok(header) if header.is_control() => self.at = self.at.saturating_add(header.length),
                Ok(header) if header.compression != Compression::None => {
                    return segment().map_or(Step::End, |segment| Step::Compressed(segment, header));
                }
                Ok(header) => {
                    self.at = self.at.saturating_add(crate::records::HEADER_BYTES as u32);
                    self.records = Some(RecordCursor::new(&header, header.records_length()));
                    self.epoch = header.leader_epoch;
                }
                Err(_) => {
                    self.segment = None;
                    return segment().map_or(Step::End, |_| Step::SegmentEnd);
                }
            }
        }
    }

    fn begin(&mut self, chunk: &[u8]) -> Step<'static> {
        let start = self.next_segment;
        let Some(segment) = chunk.get(start as usize..).and_then(Segment::read) else { return Step::End };
        self.next_segment = start.saturating_add(segment.bytes() as u32);
        self.at = start.saturating_add(segment.records_at() as u32);
        self.sound = self.at.saturating_add(segment.sound);
        (self.segment, self.records) = (Some(start), None);
        Step::Segment(segment)
    }
}
