//! From bytes to a frame.

use super::xxh32::Xxh32;
use super::{INDEPENDENT, MAGIC, MIN_MATCH, STORED, VERSION};

/// Entries of the table in which [`compress`] looks for what was there before, for a server: 4 KiB.
pub const TABLE: usize = 2048;

/// Bytes of the table of [`compress_within`].
pub const TABLE_BYTES: usize = 1024;
const SMALL_TABLE: usize = TABLE_BYTES / 2;

/// An entry: two bytes, so that it can lie anywhere.
type Entry = [u8; 2];

/// Bytes of a block before it is compressed; what is behind a match's distance need not be remembered.
const BLOCK_BYTES: usize = 64 * 1024;

/// The code of that size in a frame's header.
const BLOCK_SIZE: u8 = 4 << 4;

/// A match may not begin so close to the end of a block, and its last bytes are literals.
const MATCH_LIMIT: usize = 12;
const LAST_LITERALS: usize = 5;

/// Writes `input` as a frame of independent blocks; how many bytes it takes, or None if `output` has no room for it.
///
/// `table` is scratch; what is in it does not matter. It has as many entries as a power of two, up to 65,536: the more, the less
/// is overlooked.
pub fn compress<const ENTRIES: usize>(input: &[u8], output: &mut [u8], table: &mut [Entry; ENTRIES]) -> Option<usize> {
    const { assert!(ENTRIES.is_power_of_two() && ENTRIES > 1 && ENTRIES <= 1 << 16) };
    let mut out = Output { bytes: output, at: 0 };
    let descriptor = [VERSION | INDEPENDENT, BLOCK_SIZE];
    out.put(&MAGIC)?;
    out.put(&descriptor)?;
    out.put(&[(Xxh32::of(&descriptor) >> 8) as u8])?;
    for bytes in input.chunks(BLOCK_BYTES) {
        let length_at = out.at;
        out.put(&[0; 4])?;
        let start = out.at;
        // As it is, if that is not longer.
        let most = start.saturating_add(bytes.len().saturating_sub(1)).min(out.bytes.len());
        let packed = {
            let mut block = Output { bytes: out.bytes.get_mut(..most)?, at: start };
            block.block(bytes, table).map(|()| block.at)
        };
        let length = match packed {
            Some(end) => {
                out.at = end;
                end.wrapping_sub(start) as u32
            }
            None => {
                out.at = start;
                out.put(bytes)?;
                bytes.len() as u32 | STORED
            }
        };
        *out.bytes.get_mut(length_at..)?.first_chunk_mut()? = length.to_le_bytes();
    }
    out.put(&[0; 4])?;
    Some(out.at)
}

/// As [`compress`], with a small table that takes the last [`TABLE_BYTES`] of `output`: what comes of it must fit into the rest.
pub fn compress_within(input: &[u8], output: &mut [u8]) -> Option<usize> {
    let (output, table) = output.split_last_chunk_mut::<TABLE_BYTES>()?;
    compress::<SMALL_TABLE>(input, output, table.as_chunks_mut().0.first_chunk_mut()?)
}

struct Output<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl Output<'_> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.at.checked_add(bytes.len())?;
        self.bytes.get_mut(self.at..end)?.copy_from_slice(bytes);
        self.at = end;
        Some(())
    }

    /// One block: sequences of literals and a match, and literals at the end.
    fn block<const ENTRIES: usize>(&mut self, input: &[u8], table: &mut [Entry; ENTRIES]) -> Option<()> {
        table.fill([0; 2]);
        let limit = input.len().saturating_sub(MATCH_LIMIT);
        let (mut at, mut literals, mut misses) = (1usize, 0usize, 0usize);
        while at < limit {
            let word = word(input, at)?;
            let place = table.get_mut(place::<ENTRIES>(word))?;
            let before = usize::from(u16::from_le_bytes(core::mem::replace(place, (at as u16).to_le_bytes())));
            // An empty entry is the first byte's: it counts as well as any.
            if before >= at || self::word(input, before) != Some(word) {
                // The longer nothing is found, the larger are the steps.
                misses = misses.saturating_add(1);
                at = at.saturating_add(1).saturating_add(misses >> 6);
                continue;
            }
            misses = 0;
            let back = common_back(input, literals, before, at);
            let (from, start) = (before.saturating_sub(back), at.saturating_sub(back));
            let length = common(input, from, start);
            self.sequence(input.get(literals..start)?, Some((start.wrapping_sub(from), length)))?;
            at = start.saturating_add(length);
            literals = at;
            // What ends a match is often the beginning of the next.
            let last = at.saturating_sub(2);
            if let Some(word) = self::word(input, last) {
                *table.get_mut(self::place::<ENTRIES>(word))? = (last as u16).to_le_bytes();
            }
        }
        self.sequence(input.get(literals..)?, None)
    }

    fn sequence(&mut self, literals: &[u8], found: Option<(usize, usize)>) -> Option<()> {
        let length = found.map_or(0, |(_, length)| length.saturating_sub(MIN_MATCH));
        let halves = (literals.len().min(15) << 4 | length.min(15)) as u8;
        self.put(&[halves])?;
        self.length(literals.len())?;
        self.put(literals)?;
        if let Some((distance, _)) = found {
            self.put(&(distance as u16).to_le_bytes())?;
            self.length(length)?;
        }
        Some(())
    }

    /// What of a length does not fit into half of a token.
    fn length(&mut self, length: usize) -> Option<()> {
        let Some(mut rest) = length.checked_sub(15) else { return Some(()) };
        while rest >= 255 {
            self.put(&[255])?;
            rest = rest.saturating_sub(255);
        }
        self.put(&[rest as u8])
    }
}

#[inline]
fn word(input: &[u8], at: usize) -> Option<u32> {
    input.get(at..)?.first_chunk().map(|word| u32::from_le_bytes(*word))
}

/// Where in the table four bytes are looked for.
#[inline]
fn place<const ENTRIES: usize>(word: u32) -> usize {
    (word.wrapping_mul(0x9e37_79b1) >> (32 - ENTRIES.trailing_zeros())) as usize
}

/// How many bytes in front of `before` and `at` are equal, not further than the literals go.
fn common_back(input: &[u8], literals: usize, before: usize, at: usize) -> usize {
    let own = input.get(literals..at).unwrap_or(&[]);
    let other = input.get(..before).unwrap_or(&[]);
    own.iter().rev().zip(other.iter().rev()).take_while(|(a, b)| a == b).count()
}

/// How many bytes from `before` and `at` on are equal; the last ones of a block belong to no match.
fn common(input: &[u8], before: usize, at: usize) -> usize {
    let end = input.len().saturating_sub(LAST_LITERALS);
    let own = input.get(at..end).unwrap_or(&[]);
    let other = input.get(before..).and_then(|rest| rest.get(..own.len())).unwrap_or(&[]);
    let (words, rest) = own.as_chunks::<8>();
    let (other_words, other_rest) = other.as_chunks::<8>();
    for (index, (a, b)) in words.iter().zip(other_words).enumerate() {
        let difference = u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
        if difference != 0 {
            return index.saturating_mul(8).saturating_add(difference.trailing_zeros() as usize / 8);
        }
    }
    let equal = rest.iter().zip(other_rest).take_while(|(a, b)| a == b).count();
    words.len().saturating_mul(8).saturating_add(equal)
}
