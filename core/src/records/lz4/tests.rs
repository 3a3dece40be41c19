//! Both directions against each other, at any split of the window; against another implementation: tests/oracle.

extern crate std;

use super::*;
use crate::records::Compression;
use crate::records::codec::{CodecError, Decompress, Next};
use std::vec;
use std::vec::Vec;

fn random(seed: &mut u32) -> u32 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    *seed
}

/// Bytes that repeat themselves, some near, some far.
fn sample(seed: &mut u32, length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < length {
        let count = (random(seed) % 40) as usize;
        match random(seed) % 3 {
            0 => bytes.extend((0..count).map(|_| random(seed) as u8)),
            1 => bytes.extend(vec![random(seed) as u8; count * 7]),
            _ if !bytes.is_empty() => {
                let from = random(seed) as usize % bytes.len();
                bytes.extend_from_within(from..bytes.len().min(from + count));
            }
            _ => {}
        }
    }
    bytes.truncate(length);
    bytes
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; bytes.len() + bytes.len() / 1000 + 64];
    let length = compress(bytes, &mut frame, &mut [[7; 2]; TABLE]).unwrap();
    frame.truncate(length);
    frame
}

/// Decodes with a window that has room for `room` bytes at a time behind the history.
fn unpacked(frame: &[u8], room: usize) -> Result<Vec<u8>, CodecError> {
    let (mut bytes, mut window, mut filled) = (Vec::new(), vec![0; MAX_DISTANCE + room], 0);
    let (mut decoder, mut rest) = (Lz4::new(), frame);
    loop {
        let progress = decoder.decompress(rest, &mut window, filled)?;
        rest = &rest[progress.consumed..];
        bytes.extend(&window[filled..filled + progress.produced]);
        filled += progress.produced;
        if progress.next == Next::Ended {
            return Ok(bytes);
        }
        let gone = filled.saturating_sub(decoder.history());
        window.copy_within(gone..filled, 0);
        filled -= gone;
    }
}

#[test]
fn what_was_packed_is_unpacked_at_any_split() {
    let mut seed = 1;
    for length in [0, 1, 5, 12, 13, 14, 100, 4096, 65_535, 65_536, 65_537, 200_000] {
        let bytes = sample(&mut seed, length);
        let frame = packed(&bytes);
        assert!(length < 4096 || frame.len() < length);
        for room in [1 + length / 20_000, 7, 5000, 1 << 20] {
            assert_eq!(unpacked(&frame, room).as_ref(), Ok(&bytes), "{length} {room}");
        }
    }
}

#[test]
fn what_cannot_be_packed_is_stored_and_no_room_is_said() {
    let mut seed = 3;
    let noise: Vec<u8> = (0..100_000).map(|_| random(&mut seed) as u8).collect();
    let frame = packed(&noise);
    assert_eq!(frame.len(), noise.len() + 7 + 2 * 4 + 4);
    assert_eq!(unpacked(&frame, 999), Ok(noise.clone()));
    for room in [0, 6, 7, 20, frame.len() - 1] {
        assert_eq!(compress(&noise, &mut vec![0; room], &mut [[0; 2]; TABLE]), None);
        assert_eq!(compress_within(&noise, &mut vec![0; room + TABLE_BYTES]), None);
        assert_eq!(compress_within(&noise, &mut vec![0; room % TABLE_BYTES]), None);
    }
}

#[test]
fn bytes_that_are_cut_or_changed_are_errors_or_other_bytes() {
    let mut seed = 5;
    let bytes = sample(&mut seed, 3000);
    let frame = packed(&bytes);
    for end in 0..frame.len() {
        assert!(unpacked(&frame[..end], 100).is_err(), "{end}");
    }
    let behind = [&frame[..], &[0]].concat();
    assert_eq!(unpacked(&behind, 100), Err(CodecError::NotOver));
    for at in 0..frame.len() {
        for bit in 0..8 {
            let mut wrong = frame.clone();
            wrong[at] ^= 1 << bit;
            let result = unpacked(&wrong, 100);
            assert!(at >= 7 || result.is_err(), "{at}");
        }
    }
    assert!(Lz4::supports(Compression::Lz4) && !Lz4::supports(Compression::Gzip));
    assert_eq!(Lz4::default().begin(Compression::Zstd), Err(CodecError::Unsupported));
}

/// A match may be longer than the window, and begin in front of the block.
#[test]
fn a_frame_by_hand_with_every_checksum() {
    let content: Vec<u8> = [&b"abcd"[..], &[b'e'; 300], b"vwxyz"].concat();
    let mut frame = MAGIC.to_vec();
    let mut descriptor = vec![VERSION | BLOCK_CHECKSUMS | CONTENT_SIZE | CONTENT_CHECKSUM, 4 << 4];
    descriptor.extend((content.len() as u64).to_le_bytes());
    frame.extend(&descriptor);
    frame.push((xxh32::Xxh32::of(&descriptor) >> 8) as u8);
    let stored = &content[..5];
    let block = [&[0x0f, 1, 0, 255, 299u16.wrapping_sub(4 + 15 + 255) as u8, 0x50][..], b"vwxyz"].concat();
    for (length, bytes) in [(stored.len() as u32 | STORED, stored), (block.len() as u32, &block)] {
        frame.extend(length.to_le_bytes());
        frame.extend(bytes);
        frame.extend(xxh32::Xxh32::of(bytes).to_le_bytes());
    }
    frame.extend([0; 4]);
    frame.extend(xxh32::Xxh32::of(&content).to_le_bytes());
    for room in [1, 10, 1000] {
        assert_eq!(unpacked(&frame, room).as_ref(), Ok(&content));
    }
    for at in 0..frame.len() {
        let mut wrong = frame.clone();
        wrong[at] ^= 4;
        assert!(unpacked(&wrong, 100).is_err(), "{at}");
    }
}
