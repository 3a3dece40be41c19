//! The records of compressed batches: decompressed a window at a time, when somebody polls.
//!
//! A consumer has one window beside its chunks, so what a batch becomes does not count. What of it is whole is handed out; a
//! record that is cut is moved to the front, and decoding goes on behind it. If the window was somebody else's in the
//! meantime, its batch is begun anew, and what was handed out is skipped.

use super::ConsumeFault;
use crate::records::Compression;
use crate::records::codec::{CodecError, Decompress, Next};
use crate::records::read::{BatchError, BatchHeader, Fault, Record, RecordCursor};
use core::cell::Cell;
use core::ops::DerefMut;

/// What a batch may become is bounded by the larger of these: bytes in all, and times what it is compressed.
const LEAST_LIMIT: u32 = 64 << 20;
const MOST_RATIO: u32 = 1024;

/// The decoders and the window that they write into, which must hold the largest record. Who polls has it, and gives it back.
pub struct Inflater<B, D> {
    codec: D,
    window: B,
    /// Whose bytes are in the window: the number of the chunk, and where in it the batch begins.
    owner: Option<(u32, u32)>,
    compression: Compression,
    /// Compressed bytes that are done with, and the bytes that came of them.
    consumed: usize,
    produced: u32,
    limit: u32,
    /// Of the window: up to here it was decompressed, and up to there handed out.
    filled: usize,
    at: Cell<WindowCursor>,
    /// What must be free before it goes on; nothing once the stream is over.
    room: Option<usize>,
}

/// Where in a window the handing out is.
#[derive(Clone, Copy)]
struct WindowCursor {
    read: usize,
    records: RecordCursor,
}

/// Why a batch cannot be read on, and at which offset.
pub(crate) type Stopped = (i64, ConsumeFault);

/// What is next in the window.
enum Ahead {
    Wanted,
    BatchEnd,
    /// More of it must be decompressed; so many bytes, as far as that is known.
    Cut(usize),
}

impl<B: DerefMut<Target = [u8]>, D: Decompress> Inflater<B, D> {
    /// Decoders that have decoded nothing yet.
    pub const fn new(codec: D, window: B) -> Self {
        Inflater {
            codec,
            window,
            owner: None,
            compression: Compression::None,
            consumed: 0,
            produced: 0,
            limit: 0,
            filled: 0,
            at: Cell::new(WindowCursor { read: 0, records: RecordCursor::EMPTY }),
            room: None,
        }
    }

    /// Bytes of the window and of the decoders.
    pub(crate) fn memory(&self) -> usize {
        self.window.len().saturating_add(self.codec.memory())
    }

    /// Goes on with a batch or begins it, up to the first record from offset `from` on. False: it has none.
    pub(crate) fn prepare(
        &mut self,
        owner: (u32, u32),
        header: &BatchHeader,
        payload: &[u8],
        from: i64,
    ) -> Result<bool, Stopped> {
        if self.owner != Some(owner) {
            self.begin(owner, header)?;
        }
        let found = self.seek(payload, from);
        if found.is_err() {
            self.owner = None;
        }
        found
    }

    fn begin(&mut self, owner: (u32, u32), header: &BatchHeader) -> Result<(), Stopped> {
        self.owner = None;
        self.compression = header.compression;
        (self.consumed, self.produced, self.filled) = (0, 0, 0);
        self.limit = header.records_length().saturating_mul(MOST_RATIO).max(LEAST_LIMIT);
        self.at.set(WindowCursor { read: 0, records: RecordCursor::new(header, u32::MAX) });
        self.room = Some(1);
        self.codec.begin(header.compression).map_err(|error| self.stopped_by(error))?;
        self.owner = Some(owner);
        Ok(())
    }

    fn seek(&mut self, payload: &[u8], from: i64) -> Result<bool, Stopped> {
        loop {
            match self.ahead(from)? {
                Ahead::Wanted => return Ok(true),
                Ahead::BatchEnd => return Ok(false),
                Ahead::Cut(needed) => self.fill(payload, needed)?,
            }
        }
    }

    /// Skips what is not wanted.
    fn ahead(&mut self, from: i64) -> Result<Ahead, Stopped> {
        let WindowCursor { read, records } = self.at.get_mut();
        let mut rest = self.window.get(*read..self.filled).unwrap_or(&[]);
        loop {
            if self.room.is_none() {
                records.set_bytes_left(rest.len() as u32);
            } else if records.records_left() == 0 {
                // What is behind the last record must be the end of the stream.
                return match rest.len() {
                    0 => Ok(Ahead::Cut(1)),
                    bytes => Err(stopped(records.corrupt(Fault::BatchNotOver(bytes as u32)))),
                };
            }
            let before = *records;
            match records.next(&mut rest) {
                Ok(Some(record)) if record.offset < from => *read = self.filled.saturating_sub(rest.len()),
                Ok(Some(_)) => {
                    *records = before;
                    return Ok(Ahead::Wanted);
                }
                Ok(None) => return Ok(Ahead::BatchEnd),
                Err(BatchError::Incomplete { needed }) => return Ok(Ahead::Cut(needed)),
                Err(BatchError::Corrupt(corrupt)) => return Err(stopped(corrupt)),
            }
        }
    }

    /// Moves what is cut to the front, and decompresses as much behind it as there is room for.
    fn fill(&mut self, payload: &[u8], needed: usize) -> Result<(), Stopped> {
        let read = self.at.get().read;
        let kept = self.codec.history().min(read);
        let gone = read.saturating_sub(kept);
        self.window.copy_within(gone..self.filled, 0);
        (self.at.get_mut().read, self.filled) = (kept, self.filled.saturating_sub(gone));
        let cut = self.filled.saturating_sub(kept);
        let needed = needed.max(cut.saturating_add(self.room.unwrap_or(1)));
        let capacity = self.window.len().saturating_sub(kept);
        if needed > capacity {
            let (needed, capacity) = (needed.try_into().unwrap_or(u32::MAX), capacity as u32);
            return Err((self.due(), ConsumeFault::RecordTooLarge { needed, capacity }));
        }
        let input = payload.get(self.consumed..).unwrap_or(&[]);
        let progress = self.codec.decompress(input, &mut self.window, self.filled);
        let progress = progress.map_err(|error| self.stopped_by(error))?;
        self.consumed = self.consumed.saturating_add(progress.consumed);
        self.filled = self.filled.saturating_add(progress.produced).min(self.window.len());
        self.produced = self.produced.saturating_add(progress.produced as u32);
        if self.produced > self.limit {
            let (compressed, limit) = (payload.len() as u32, self.limit);
            return Err((self.due(), ConsumeFault::ExpandsTooFar { compressed, limit }));
        }
        self.room = match progress.next {
            Next::Ended => None,
            // A decoder that stands still would be asked for ever.
            Next::Room(_)
                if progress.consumed == 0 && progress.produced == 0 && self.room == Some(room(progress.next)) =>
            {
                return Err(self.stopped_by(CodecError::Malformed));
            }
            next => Some(room(next)),
        };
        Ok(())
    }

    fn stopped_by(&self, error: CodecError) -> Stopped {
        (self.due(), ConsumeFault::Decompression(self.compression, error))
    }

    /// The offset of the record that comes next.
    fn due(&self) -> i64 {
        self.at.get().records.due()
    }

    /// The next record that is whole in the window. What is wrong with one shows when the window is prepared again.
    #[inline]
    pub(crate) fn next(&self) -> Option<Record<'_>> {
        let WindowCursor { read, mut records } = self.at.get();
        let mut rest = self.window.get(read..self.filled)?;
        if records.records_left() == 0 {
            return None;
        }
        let record = records.next(&mut rest).ok()??;
        self.at.set(WindowCursor { read: self.filled.saturating_sub(rest.len()), records });
        Some(record)
    }

    /// Whether the batch is over, to its last byte.
    pub(crate) fn is_over(&self) -> bool {
        let WindowCursor { read, records } = self.at.get();
        self.room.is_none() && records.records_left() == 0 && read == self.filled
    }
}

fn room(next: Next) -> usize {
    match next {
        Next::Ended => 0,
        Next::Room(bytes) => bytes.max(1),
    }
}

fn stopped(corrupt: crate::records::read::Corrupt) -> Stopped {
    (corrupt.offset, ConsumeFault::Corrupt(corrupt.fault))
}

#[cfg(test)]
mod tests;
