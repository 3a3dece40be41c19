//! From a frame to its bytes.

use super::xxh32::Xxh32;
use super::{
    BLOCK_CHECKSUMS, CONTENT_CHECKSUM, CONTENT_SIZE, DICTIONARY, INDEPENDENT, MAGIC, MAX_DISTANCE, MIN_MATCH, STORED,
};
use super::{VERSION, VERSION_MASK};
use crate::records::Compression;
use crate::records::codec::{CodecError, Decompress, Next, Progress};

/// A decoder of LZ4 frames, of a few dozen bytes: what a match refers back to is read from the window.
///
/// All checksums of a frame are checked, if it has any. Where none covers the blocks, bytes that were changed may become
/// other bytes: Kafka's batches have a checksum of their own.
#[derive(Clone, Debug)]
pub struct Lz4 {
    at: At,
    flags: u8,
    /// Bytes that the frame says it has, if it does, and those that came of it.
    expected: Option<u64>,
    produced: u64,
    /// Bytes left of the block that is being read.
    block: usize,
    content: Xxh32,
}

/// Where in a frame the reading is.
#[derive(Clone, Copy, Debug)]
enum At {
    Frame,
    Block,
    /// In a block, in front of a token.
    Sequence,
    /// Bytes to be copied from the input; then there is a match of this token, or the block is over.
    Literals {
        left: usize,
        token: Option<u8>,
    },
    /// Bytes to be copied from further up.
    Match {
        distance: usize,
        left: usize,
    },
    Over,
}

impl Default for Lz4 {
    fn default() -> Self {
        Self::new()
    }
}

impl Lz4 {
    /// One that waits for a frame.
    pub const fn new() -> Self {
        Lz4 { at: At::Frame, flags: 0, expected: None, produced: 0, block: 0, content: Xxh32::NEW }
    }

    fn frame(&mut self, input: &mut Input<'_>) -> Result<At, CodecError> {
        if input.take::<4>()? != MAGIC {
            return Err(CodecError::Malformed);
        }
        let described = input.0;
        let [flags, _block_size] = input.take()?;
        if flags & VERSION_MASK != VERSION || flags & DICTIONARY != 0 {
            return Err(CodecError::Malformed);
        }
        let expected = if flags & CONTENT_SIZE != 0 { Some(u64::from_le_bytes(input.take()?)) } else { None };
        let bytes = described.len().wrapping_sub(input.0.len());
        let [checksum] = input.take()?;
        // The second byte of its hash.
        if (Xxh32::of(described.get(..bytes).unwrap_or(&[])) >> 8) as u8 != checksum {
            return Err(CodecError::Checksum);
        }
        *self = Lz4 { flags, expected, ..Lz4::new() };
        Ok(At::Block)
    }

    fn block(&mut self, input: &mut Input<'_>) -> Result<At, CodecError> {
        let length = u32::from_le_bytes(input.take()?);
        if length == 0 {
            if self.flags & CONTENT_CHECKSUM != 0 && u32::from_le_bytes(input.take()?) != self.content.finish() {
                return Err(CodecError::Checksum);
            }
            let whole = self.expected.is_none_or(|expected| expected == self.produced);
            return if whole { Ok(At::Over) } else { Err(CodecError::Malformed) };
        }
        self.block = (length & !STORED) as usize;
        let (bytes, behind) = input.0.split_at_checked(self.block).ok_or(CodecError::Cut)?;
        if self.flags & BLOCK_CHECKSUMS != 0 {
            let checksum = behind.first_chunk().ok_or(CodecError::Cut)?;
            if Xxh32::of(bytes) != u32::from_le_bytes(*checksum) {
                return Err(CodecError::Checksum);
            }
        }
        Ok(if length & STORED != 0 { At::Literals { left: self.block, token: None } } else { At::Sequence })
    }

    /// Reads sequences up to the end of the block or of the window.
    fn sequences(&mut self, input: &mut Input<'_>, window: &mut [u8], filled: &mut usize) -> Result<At, CodecError> {
        let (bytes, behind) = input.0.split_at_checked(self.block).ok_or(CodecError::Cut)?;
        let mut block = Input(bytes);
        let mut end = *filled;
        let at = loop {
            if let Some((read, written)) = short(block.0, window, end) {
                block.0 = block.0.get(read..).unwrap_or(&[]);
                end = end.wrapping_add(written);
                continue;
            }
            let [token] = block.take().map_err(|_| CodecError::Malformed)?;
            let left = block.length(token >> 4)?;
            if !literals(&mut block, window, &mut end, left)? {
                break At::Literals { left, token: Some(token) };
            }
            if block.0.is_empty() {
                break At::Literals { left: 0, token: None };
            }
            let (distance, left) = block.reference(token, end)?;
            if !repeat(window, &mut end, distance, left) {
                break At::Match { distance, left };
            }
        };
        *filled = end;
        self.block = block.0.len();
        let consumed = bytes.len().wrapping_sub(self.block);
        input.0 = if self.block == 0 { behind } else { input.0.get(consumed..).unwrap_or(&[]) };
        Ok(at)
    }

    /// Copies what there is room for of literals that did not fit.
    fn rest_of_literals(
        &mut self,
        input: &mut Input<'_>,
        window: &mut [u8],
        end: &mut usize,
        (left, token): (usize, Option<u8>),
    ) -> Result<At, CodecError> {
        let count = left.min(window.len().saturating_sub(*end));
        literals(input, window, end, count)?;
        self.block = self.block.saturating_sub(count);
        if left > count {
            return Ok(At::Literals { left: left.saturating_sub(count), token });
        }
        match token {
            Some(token) if self.block > 0 => {
                let mut block = Input(input.0.get(..self.block).ok_or(CodecError::Cut)?);
                let (distance, left) = block.reference(token, *end)?;
                input.0 = input.0.get(self.block.saturating_sub(block.0.len())..).unwrap_or(&[]);
                self.block = block.0.len();
                Ok(At::Match { distance, left })
            }
            _ => {
                if self.flags & BLOCK_CHECKSUMS != 0 {
                    input.take::<4>()?;
                }
                Ok(At::Block)
            }
        }
    }

    fn block_at_once(
        &mut self,
        input: &mut Input<'_>,
        window: &mut [u8],
        end: &mut usize,
        whole: &mut impl FnMut(&[u8], &[u8], &mut [u8]) -> Option<usize>,
    ) -> Result<At, CodecError> {
        let (block, behind) = input.0.split_at_checked(self.block).ok_or(CodecError::Cut)?;
        let (before, room) = window.split_at_mut_checked(*end).ok_or(CodecError::Malformed)?;
        let history = if self.flags & INDEPENDENT != 0 { 0 } else { MAX_DISTANCE };
        let history = before.get(before.len().saturating_sub(history)..).unwrap_or(&[]);
        match whole(block, history, room).filter(|&count| count <= room.len()) {
            Some(count) => {
                (input.0, self.block) = (behind, 0);
                *end = end.saturating_add(count);
                Ok(At::Literals { left: 0, token: None })
            }
            None => Ok(At::Sequence),
        }
    }

    /// As [`Decompress::decompress`], with the help of another decoder of blocks: it is given a block, what was in front of
    /// it, and room, and tells how much it has written. If that fails, for whatever reason, it is done here.
    pub fn decompress_with(
        &mut self,
        input: &[u8],
        window: &mut [u8],
        filled: usize,
        mut whole: impl FnMut(&[u8], &[u8], &mut [u8]) -> Option<usize>,
    ) -> Result<Progress, CodecError> {
        let (mut rest, mut end, mut accounted) = (Input(input), filled, filled);
        let next = loop {
            self.at = match self.at {
                At::Frame => self.frame(&mut rest)?,
                At::Block => {
                    self.account(window.get(accounted..end).unwrap_or(&[]));
                    accounted = end;
                    match self.block(&mut rest)? {
                        At::Sequence => self.block_at_once(&mut rest, window, &mut end, &mut whole)?,
                        at => at,
                    }
                }
                At::Sequence => self.sequences(&mut rest, window, &mut end)?,
                At::Literals { left: 1.., .. } | At::Match { left: 1.., .. } if end >= window.len() => {
                    break Next::Room(1);
                }
                At::Literals { left, token } => self.rest_of_literals(&mut rest, window, &mut end, (left, token))?,
                At::Match { distance, left } => {
                    let count = left.min(window.len().saturating_sub(end));
                    repeat(window, &mut end, distance, count);
                    match left.saturating_sub(count) {
                        0 => At::Sequence,
                        left => At::Match { distance, left },
                    }
                }
                At::Over if rest.0.is_empty() => break Next::Ended,
                At::Over => return Err(CodecError::NotOver),
            };
        };
        self.account(window.get(accounted..end).unwrap_or(&[]));
        Ok(Progress { consumed: input.len().wrapping_sub(rest.0.len()), produced: end.wrapping_sub(filled), next })
    }
    fn account(&mut self, bytes: &[u8]) {
        self.produced = self.produced.saturating_add(bytes.len() as u64);
        if self.flags & CONTENT_CHECKSUM != 0 {
            self.content.update(bytes);
        }
    }
}

impl Decompress for Lz4 {
    fn supports(compression: Compression) -> bool {
        compression == Compression::Lz4
    }

    fn begin(&mut self, compression: Compression) -> Result<(), CodecError> {
        *self = Lz4::new();
        if compression == Compression::Lz4 { Ok(()) } else { Err(CodecError::Unsupported) }
    }

    fn history(&self) -> usize {
        MAX_DISTANCE
    }

    fn decompress(&mut self, input: &[u8], window: &mut [u8], filled: usize) -> Result<Progress, CodecError> {
        self.decompress_with(input, window, filled, |_, _, _| None)
    }
}

/// What is left to read.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    #[inline]
    fn take<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(CodecError::Cut)?;
        self.0 = rest;
        Ok(*bytes)
    }

    /// A length whose beginning is in half of a token.
    #[inline]
    fn length(&mut self, half: u8) -> Result<usize, CodecError> {
        let mut length = usize::from(half);
        if half == 15 {
            loop {
                let [more] = self.take().map_err(|_| CodecError::Malformed)?;
                length = length.saturating_add(usize::from(more));
                if more != 255 {
                    break;
                }
            }
        }
        Ok(length)
    }

    /// How far back a match is, of `end` bytes that there are, and how long.
    #[inline]
    fn reference(&mut self, token: u8, end: usize) -> Result<(usize, usize), CodecError> {
        let distance = usize::from(u16::from_le_bytes(self.take().map_err(|_| CodecError::Malformed)?));
        let length = self.length(token & 15)?.saturating_add(MIN_MATCH);
        if distance == 0 || distance > end { Err(CodecError::Malformed) } else { Ok((distance, length)) }
    }
}

/// What most literals and matches are not longer than. So many bytes are copied without asking how many there are: that is
/// a load and a store, and most of the speed.
const SHORT_LITERALS: usize = 16;
const SHORT_MATCH: usize = 18;

/// Matches up to here are copied in steps, which is quicker than asking the system to.
const MEDIUM: usize = 64;
const STEP: usize = 16;

/// Bytes that a sequence has at most, if its token is all there is to its lengths.
const SHORT_SEQUENCE: usize = 1 + SHORT_LITERALS + 2;

/// A whole sequence of the ordinary kind, away from all edges: the bytes that it took and that it made. None for any other.
#[inline(always)]
fn short(block: &[u8], window: &mut [u8], end: usize) -> Option<(usize, usize)> {
    let (&token, rest) = block.first_chunk::<SHORT_SEQUENCE>()?.split_first()?;
    let (literals, length) = (usize::from(token >> 4), usize::from(token & 15).wrapping_add(MIN_MATCH));
    if token >= 0xf0 || length == 15usize.wrapping_add(MIN_MATCH) {
        return None;
    }
    let distance = usize::from(u16::from_le_bytes(*rest.get(literals..)?.first_chunk()?));
    let middle = end.wrapping_add(literals);
    let from = middle.checked_sub(distance)?;
    if distance < SHORT_MATCH {
        return None;
    }
    // Room for what is copied too much, so that what is written later is not read here either.
    let room = window.get_mut(end..)?;
    room.get(..SHORT_LITERALS.wrapping_add(SHORT_MATCH))?;
    *room.first_chunk_mut::<SHORT_LITERALS>()? = *rest.first_chunk()?;
    let bytes: [u8; SHORT_MATCH] = *window.get(from..)?.first_chunk()?;
    *window.get_mut(middle..)?.first_chunk_mut()? = bytes;
    Some((literals.wrapping_add(3), literals.wrapping_add(length)))
}

/// Copies literals; false if the window has no room for all of them, and nothing was copied.
#[inline]
fn literals(block: &mut Input<'_>, window: &mut [u8], end: &mut usize, count: usize) -> Result<bool, CodecError> {
    let Some(room) = window.get_mut(*end..) else { return Ok(false) };
    let (from, rest) = block.0.split_at_checked(count).ok_or(CodecError::Malformed)?;
    let Some(to) = room.get_mut(..count) else { return Ok(false) };
    to.copy_from_slice(from);
    block.0 = rest;
    *end = end.saturating_add(count);
    Ok(true)
}

/// Copies `count` bytes from `distance` further up, of which there may be fewer: then they repeat. False if there is no
/// room, and nothing was copied.
#[inline]
fn repeat(window: &mut [u8], end: &mut usize, distance: usize, count: usize) -> bool {
    let Some((before, room)) = window.split_at_mut_checked(*end) else { return false };
    let from = before.len().saturating_sub(distance);
    if count > room.len() {
        return false;
    }
    if count <= MEDIUM && distance >= STEP && room.len() >= MEDIUM.wrapping_add(STEP) {
        let mut done = 0usize;
        while done < count {
            let (from, to) = (from.wrapping_add(done), end.wrapping_add(done));
            let bytes: [u8; STEP] =
                window.get(from..).and_then(|bytes| bytes.first_chunk()).copied().unwrap_or_default();
            if let Some(place) = window.get_mut(to..).and_then(|bytes| bytes.first_chunk_mut()) {
                *place = bytes;
            }
            done = done.wrapping_add(STEP);
        }
    } else if let Some(bytes) = before.get(from..from.saturating_add(count)) {
        if let Some(to) = room.get_mut(..count) {
            to.copy_from_slice(bytes);
        }
    } else {
        // What has been copied is copied again, twice as much each time.
        let (mut done, mut step) = (0usize, distance);
        while done < count {
            let now = step.min(count.saturating_sub(done));
            window.copy_within(from..from.saturating_add(now), end.saturating_add(done));
            done = done.saturating_add(now);
            step = step.saturating_add(now);
        }
    }
    *end = end.saturating_add(count);
    true
}
