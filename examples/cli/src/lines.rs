//! Standard input as lines, in memory that does not grow: a thread reads ahead into a few blocks that go round.

use crate::report::Problem;
use std::io::{self, Read};
use tokio::sync::mpsc;

/// Blocks that go round between the thread and the reader of lines.
const BLOCKS: usize = 3;

/// The least that a block holds; of a pipe, a read gives 64 KiB at most.
const BLOCK_BYTES: usize = 256 * 1024;

/// Whole lines, or one that is too long.
pub(crate) struct Block {
    bytes: Box<[u8]>,
    used: usize,
    too_long: Option<u64>,
}

impl Block {
    fn new(capacity: usize) -> Block {
        Block { bytes: vec![0; capacity].into_boxed_slice(), used: 0, too_long: None }
    }

    /// The lines, without their ends.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.bytes.get(..self.used).unwrap_or(&[]);
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            let (line, after) = rest.split_at(end);
            rest = after.get(1..).unwrap_or(&[]);
            Some(line)
        })
    }

    /// The bytes of a line that did not fit into a block; then it has no other line.
    pub(crate) fn too_long(&self) -> Option<u64> {
        self.too_long
    }
}

/// Cuts what is read at ends of lines.
struct Splitter<R> {
    input: R,
    /// What was read behind the end of the last block.
    carry: Vec<u8>,
    ended: bool,
}

impl<R: Read> Splitter<R> {
    fn new(input: R, capacity: usize) -> Self {
        Splitter { input, carry: Vec::with_capacity(capacity), ended: false }
    }

    /// Fills the block with as many whole lines as one read brings; false at the end of the input.
    fn fill(&mut self, block: &mut Block) -> io::Result<bool> {
        block.too_long = None;
        // Never more than a block: it was the tail of one.
        block.bytes[..self.carry.len()].copy_from_slice(&self.carry);
        block.used = self.carry.len();
        self.carry.clear();
        let (mut searched, mut dropped) = (0, 0);
        loop {
            let fresh = &block.bytes[searched..block.used];
            if dropped > 0 {
                if let Some(end) = memchr::memchr(b'\n', fresh) {
                    return Ok(self.cut_too_long(block, dropped + end as u64, end + 1));
                }
                (dropped, block.used) = (dropped + fresh.len() as u64, 0);
            } else if let Some(end) = memchr::memrchr(b'\n', fresh) {
                let end = searched + end + 1;
                self.carry.extend_from_slice(&block.bytes[end..block.used]);
                block.used = end;
                return Ok(true);
            } else if block.used == block.bytes.len() {
                (dropped, block.used) = (block.used as u64, 0);
            }
            searched = block.used;
            let count = if self.ended { 0 } else { self.read(block)? };
            self.ended = count == 0;
            block.used += count;
            if self.ended {
                // A last line without an end counts.
                return Ok(if dropped > 0 { self.cut_too_long(block, dropped, 0) } else { block.used > 0 });
            }
        }
    }

    fn cut_too_long(&mut self, block: &mut Block, bytes: u64, rest: usize) -> bool {
        self.carry.extend_from_slice(&block.bytes[rest.min(block.used)..block.used]);
        (block.used, block.too_long) = (0, Some(bytes));
        true
    }

    fn read(&mut self, block: &mut Block) -> io::Result<usize> {
        loop {
            match self.input.read(&mut block.bytes[block.used..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}

/// Blocks of standard input as they come.
pub(crate) struct Lines {
    filled: mpsc::Receiver<io::Result<Block>>,
    empty: mpsc::Sender<Block>,
}

impl Lines {
    /// Begins to read; a line of more than `longest` bytes will be told of but not kept.
    ///
    /// The thread is never joined: nothing can end a read of a terminal but the end of the program.
    pub(crate) fn of_stdin(longest: usize) -> Result<Lines, Problem> {
        let capacity = longest.saturating_add(1).max(BLOCK_BYTES);
        let (filled_to, filled) = mpsc::channel(BLOCKS);
        let (empty, mut empty_from) = mpsc::channel(BLOCKS);
        for _ in 0..BLOCKS {
            let _ = empty.try_send(Block::new(capacity));
        }
        let read = move || {
            let mut splitter = Splitter::new(io::stdin().lock(), capacity);
            while let Some(mut block) = empty_from.blocking_recv() {
                let message = match splitter.fill(&mut block) {
                    Ok(true) => Ok(block),
                    Ok(false) => return,
                    Err(error) => Err(error),
                };
                let last = message.is_err();
                if filled_to.blocking_send(message).is_err() || last {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("stdin".into()).spawn(read);
        thread.map_err(|error| Problem::failed(format!("no thread to read standard input: {error}")))?;
        Ok(Lines { filled, empty })
    }

    /// The next block; `None` at the end of the input.
    ///
    /// # Cancellation
    /// Dropped before it is ready, it has taken nothing.
    pub(crate) async fn next(&mut self) -> Option<io::Result<Block>> {
        self.filled.recv().await
    }

    /// Gives a block back, to be filled again.
    pub(crate) fn give_back(&self, block: Block) {
        // There is room for every block there is; only a thread that has ended does not take it.
        let _ = self.empty.try_send(block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a few bytes at a time.
    struct Drip<'a>(&'a [u8], usize);

    impl Read for Drip<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(buffer.len()).min(self.0.len());
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn split(input: &[u8], step: usize, capacity: usize) -> Vec<Result<Vec<u8>, u64>> {
        let (mut lines, mut block) = (Vec::new(), Block::new(capacity));
        let mut splitter = Splitter::new(Drip(input, step), capacity);
        while splitter.fill(&mut block).unwrap() {
            lines.extend(block.lines().map(|line| Ok(line.to_vec())));
            lines.extend(block.too_long().map(Err));
            assert!(splitter.carry.capacity() <= capacity, "it grew");
        }
        lines
    }

    #[test]
    fn lines_are_bytes_and_the_last_needs_no_end() {
        for step in 1..12 {
            let line = |bytes: &[u8]| Ok(bytes.to_vec());
            assert_eq!(split(b"", step, 8), []);
            assert_eq!(split(b"\n", step, 8), [line(b"")]);
            assert_eq!(
                split(b"a\n\n\xff\x00\r\nend", step, 8),
                [line(b"a"), line(b""), line(b"\xff\0\r"), line(b"end")]
            );
            assert_eq!(split(b"a\nb\n", step, 8), [line(b"a"), line(b"b")]);
        }
    }

    #[test]
    fn a_line_that_does_not_fit_is_counted_and_the_next_is_whole() {
        for step in 1..12 {
            let input = b"one\n0123456789\ntwo\nabcdefgh\nthree\n0123456789ab";
            let lines = split(input, step, 8);
            let line = |bytes: &[u8]| Ok(bytes.to_vec());
            let after: Vec<_> = lines.into_iter().filter(|l| *l != line(b"abcdefgh")).collect();
            let expected = [line(b"one"), Err(10), line(b"two"), Err(8), line(b"three"), Err(12)];
            assert_eq!(after, expected, "{step}");
        }
    }
}
