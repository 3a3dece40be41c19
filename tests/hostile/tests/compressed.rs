//! Compressed bytes that begin as what they should be and are then cut, changed and spliced: more of them than a corpus has.

use demitasse_core::records::lz4;
use demitasse_hostile::{consumer, decompress};
use std::io::Write;

/// So many of each; fuzzers try more.
const ROUNDS: usize = 150;

struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) as usize % end
    }

    fn changed(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..self.below(4) {
            let at = self.below(bytes.len());
            match self.below(4) {
                0 => bytes[at] = self.below(256) as u8,
                1 => bytes[at] ^= 1 << self.below(8),
                2 => bytes.truncate(at.max(1)),
                _ => {
                    let from = self.below(bytes.len());
                    bytes.splice(at..at, bytes[from..].to_vec());
                }
            }
        }
        bytes
    }
}

/// Some text by each codec, in the order in which the target numbers them.
fn packed(random: &mut Random) -> [Vec<u8>; 4] {
    let words = ["reading ", "kitchen ", "21.5 ", "\n", "aaaaaaaaaaaaaaaaaaaaaaaa"];
    let text: Vec<u8> = (0..1 + random.below(400)).flat_map(|_| words[random.below(5)].bytes()).collect();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&text).unwrap();
    let block = snap::raw::Encoder::new().compress_vec(&text).unwrap();
    let snappy = match random.below(2) {
        0 => block,
        _ => [b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01", &(block.len() as u32).to_be_bytes()[..], &block].concat(),
    };
    let mut frame = vec![0; 2 * text.len() + 100];
    let length = lz4::compress(&text, &mut frame, &mut [[0; 2]; lz4::TABLE]).unwrap();
    frame.truncate(length);
    let mut zstd = Vec::with_capacity(2 * text.len() + 100);
    zstd_safe::compress(&mut zstd, &text, 3).unwrap();
    [gzip.finish().unwrap(), snappy, frame, zstd]
}

#[test]
fn no_decoder_leaves_its_window_or_goes_on_for_ever() {
    let mut random = Random(1);
    for _ in 0..ROUNDS {
        for (codec, bytes) in (0..).zip(packed(&mut random)) {
            let room = random.below(17) as u8;
            decompress(&[&[codec, room], &random.changed(&bytes)[..]].concat());
        }
    }
}

#[test]
fn no_batch_stops_a_consumer_for_good() {
    let mut random = Random(2);
    for _ in 0..ROUNDS {
        let mut data = vec![random.below(12) as u8, random.below(20) as u8];
        for _ in 0..1 + random.below(6) {
            let mut content = match random.below(2) {
                0 => {
                    let bytes = packed(&mut random)[2].clone();
                    random.changed(&bytes)
                }
                _ => {
                    // Records: length, attributes, deltas, no key, a value, no headers.
                    let records =
                        (0..1 + random.below(8) as u8).flat_map(|i| [18, 0, 0, 2 * i, 1, 6, b'v', b'v', b'v', 0]);
                    let bytes: Vec<u8> = records.collect();
                    random.changed(&bytes)
                }
            };
            content.truncate(255);
            data.extend([random.below(256) as u8, random.below(20) as u8, content.len() as u8]);
            data.extend(content);
        }
        consumer(&data);
    }
}
