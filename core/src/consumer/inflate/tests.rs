//! Windows of every size, over a codec that hardly is one.

extern crate std;

use super::*;
use crate::records::codec::Progress;
use crate::records::{Fields, HEADER_BYTES, Sealing, append, seal};
use std::boxed::Box;
use std::vec;
use std::vec::Vec;

/// Each byte of the input stands for `times` of them. The last one ends the stream.
struct Repeat {
    times: usize,
    /// Of the first byte of the input, so many have been written.
    done: usize,
    history: usize,
    /// What must be free before it writes anything.
    piece: usize,
}

impl Decompress for Repeat {
    fn supports(_: Compression) -> bool {
        true
    }

    fn begin(&mut self, compression: Compression) -> Result<(), CodecError> {
        self.done = 0;
        if compression == Compression::Lz4 { Ok(()) } else { Err(CodecError::Unsupported) }
    }

    fn history(&self) -> usize {
        self.history
    }

    fn decompress(&mut self, input: &[u8], window: &mut [u8], filled: usize) -> Result<Progress, CodecError> {
        let (mut consumed, mut at) = (0, filled);
        loop {
            let Some(&byte) = input.get(consumed) else { return Err(CodecError::Cut) };
            if consumed + 1 == input.len() {
                let next = if byte == END { Next::Ended } else { return Err(CodecError::Cut) };
                return Ok(Progress { consumed: consumed + 1, produced: at - filled, next });
            }
            if window.len() - at < self.piece {
                return Ok(Progress { consumed, produced: at - filled, next: Next::Room(self.piece) });
            }
            window[at] = byte;
            (at, self.done) = (at + 1, self.done + 1);
            if self.done == self.times {
                (self.done, consumed) = (0, consumed + 1);
            }
        }
    }
}

const END: u8 = 0xed;

fn batch(values: &[usize], spare: i32) -> (BatchHeader, Vec<u8>) {
    let mut bytes = vec![0; 100_000];
    let mut at = HEADER_BYTES;
    for (index, &length) in values.iter().enumerate() {
        let value = vec![index as u8; length];
        let fields = Fields { key: None, value: Some(&value), headers: &[], timestamp_delta: 0 };
        at = append(&mut bytes, at, index as u32, &fields).unwrap();
    }
    bytes.truncate(at);
    let sealing = Sealing {
        compression: Compression::Lz4,
        base_timestamp: 1,
        max_timestamp: 1,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        records: values.len() as u32,
    };
    seal(&mut bytes, &sealing, |_| 0);
    let mut header = BatchHeader::read(&bytes).unwrap();
    header.records = header.records.wrapping_add_signed(spare);
    header.last_offset_delta += spare;
    let mut payload = bytes[HEADER_BYTES..].to_vec();
    payload.push(END);
    (header, payload)
}

fn inflater(window: usize, history: usize, piece: usize) -> Inflater<Box<[u8]>, Repeat> {
    Inflater::new(Repeat { times: 1, done: 0, history, piece }, vec![0; window].into_boxed_slice())
}

/// Everything from offset `from` on, `max` records a loan: offsets and lengths, and why it stopped.
fn read(
    inflater: &mut Inflater<Box<[u8]>, Repeat>,
    (header, payload): &(BatchHeader, Vec<u8>),
    mut from: i64,
    max: usize,
) -> (Vec<(i64, usize)>, Option<Stopped>) {
    let mut records = Vec::new();
    loop {
        match inflater.prepare((1, 2), header, payload, from) {
            Err(stopped) => return (records, Some(stopped)),
            Ok(false) => return (records, None),
            Ok(true) => {}
        }
        let mut count = 0;
        while count < max
            && let Some(record) = inflater.next()
        {
            records.push((record.offset, record.value.unwrap().len()));
            (from, count) = (record.offset + 1, count + 1);
        }
        assert!(count > 0, "a window without a record");
        if inflater.is_over() {
            return (records, None);
        }
    }
}

const VALUES: [usize; 9] = [10, 0, 50, 3, 90, 1, 1, 100, 7];

#[test]
fn every_record_comes_once_whatever_the_window() {
    let batch = batch(&VALUES, 0);
    let whole: Vec<_> = (0..).zip(VALUES).collect();
    for (history, piece) in [(0, 1), (0, 20), (64, 1), (64, 20)] {
        let least = 110 + history + piece;
        for window in least..=400 {
            for max in [1, 2, 100] {
                let mut inflater = inflater(window, history, piece);
                for from in [0, 4, 8] {
                    inflater.owner = None;
                    let expected = (whole[from as usize..].to_vec(), None);
                    assert_eq!(read(&mut inflater, &batch, from, max), expected, "{history} {piece} {window} {from}");
                }
            }
        }
    }
}

#[test]
fn what_was_lent_to_others_is_begun_anew() {
    let batch = batch(&VALUES, 0);
    let (header, payload) = &batch;
    let mut inflater = inflater(130, 0, 1);
    for from in 0..9 {
        assert_eq!(inflater.prepare((1, 2), header, payload, from), Ok(true));
        assert_eq!(inflater.prepare((7, 2), header, payload, 8), Ok(true));
        assert_eq!(inflater.next().unwrap().offset, 8);
        assert_eq!(inflater.prepare((1, 2), header, payload, from), Ok(true));
        assert_eq!(inflater.next().unwrap().offset, from);
    }
    assert_eq!(inflater.prepare((1, 2), header, payload, 9), Ok(false), "none is left");
}

#[test]
fn a_record_that_does_not_fit_is_told_with_the_sizes() {
    let batch = batch(&VALUES, 0);
    for (history, window, capacity) in [(0, 105, 105), (64, 169, 105)] {
        let (records, stopped) = read(&mut inflater(window, history, 1), &batch, 0, 3);
        assert_eq!(records.len(), 7);
        let needed = 109;
        assert_eq!(stopped, Some((7, ConsumeFault::RecordTooLarge { needed, capacity })), "{history}");
    }
    let (_, stopped) = read(&mut inflater(100, 0, 101), &batch, 0, 3);
    assert_eq!(stopped, Some((0, ConsumeFault::RecordTooLarge { needed: 101, capacity: 100 })));
}

#[test]
fn counts_and_ends_that_lie_are_faults_behind_what_is_sound() {
    use Fault::{BatchNotOver, RecordsMissing};
    for window in [120, 1000] {
        let (records, stopped) = read(&mut inflater(window, 0, 1), &batch(&VALUES, 1), 0, 100);
        assert_eq!((records.len(), stopped), (9, Some((9, ConsumeFault::Corrupt(RecordsMissing(1))))));
        let (records, stopped) = read(&mut inflater(window, 0, 1), &batch(&VALUES, -1), 0, 100);
        assert_eq!(records.len(), 8);
        assert!(matches!(stopped, Some((8, ConsumeFault::Corrupt(BatchNotOver(1..))))), "{stopped:?}");
        let mut cut = batch(&VALUES, 0);
        cut.1.pop();
        let (records, stopped) = read(&mut inflater(window, 0, 1), &cut, 0, 100);
        let error = ConsumeFault::Decompression(Compression::Lz4, CodecError::Cut);
        assert!(records.len() <= 9 && stopped.is_some_and(|(_, fault)| fault == error), "{stopped:?}");
    }
    let mut other = batch(&VALUES, 0);
    other.0.compression = Compression::Zstd;
    let (_, stopped) = read(&mut inflater(200, 0, 1), &other, 0, 1);
    assert_eq!(stopped, Some((0, ConsumeFault::Decompression(Compression::Zstd, CodecError::Unsupported))));
}

#[test]
fn what_becomes_too_much_is_stopped() {
    let batch = batch(&VALUES, 0);
    let (header, payload) = &batch;
    let mut inflater = inflater(120, 0, 1);
    inflater.begin((1, 2), header).unwrap();
    assert_eq!(inflater.limit, 64 << 20);
    inflater.limit = 200;
    let (records, stopped) = read(&mut inflater, &batch, 0, 3);
    let compressed = payload.len() as u32;
    assert_eq!((records.len(), stopped), (4, Some((4, ConsumeFault::ExpandsTooFar { compressed, limit: 200 }))));
    let large = BatchHeader { length: 1 << 20, ..*header };
    inflater.begin((1, 3), &large).unwrap();
    assert_eq!(inflater.limit, ((1 << 20) - 61) << 10);
}
