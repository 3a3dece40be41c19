//! LZ4 against `lz4_flex`, both ways, in every kind of frame and at every split of the window.

use demitasse_core::records::codec::{CodecError, Decompress, Next};
use demitasse_core::records::lz4::{self, Lz4};
use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};
use proptest::prelude::*;
use std::io::{Read, Write};

/// Bytes that repeat themselves, near and far.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let piece = (0..4u8, any::<u8>(), 0..300usize, any::<prop::sample::Index>());
    prop::collection::vec(piece, 0..300).prop_map(|pieces| {
        let mut bytes = Vec::new();
        for (kind, byte, count, index) in pieces {
            match kind {
                0 => bytes.extend((0..count).map(|i| byte.wrapping_mul(i as u8 | 1).wrapping_add((i * i) as u8))),
                1 => bytes.extend(std::iter::repeat_n(byte, count * 20)),
                _ if bytes.is_empty() => {}
                _ => {
                    let from = index.index(bytes.len());
                    bytes.extend_from_within(from..bytes.len().min(from + count));
                }
            }
        }
        bytes
    })
}

/// By the core alone, or with the help of the crate for blocks.
fn unpacked(frame: &[u8], room: usize, helped: bool) -> Result<Vec<u8>, CodecError> {
    let help = |block: &[u8], history: &[u8], room: &mut [u8]| {
        if helped { lz4_flex::block::decompress_into_with_dict(block, room, history).ok() } else { None }
    };
    let mut decoder = Lz4::new();
    let (mut bytes, mut rest, mut filled) = (Vec::new(), frame, 0);
    let mut window = vec![0; decoder.history() + room];
    loop {
        let progress = decoder.decompress_with(rest, &mut window, filled, help)?;
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_it_writes_is_read(
        bytes in content(),
        room in prop_oneof![1..20usize, 1000..200_000usize],
        linked: bool,
        size in 0..3usize,
        sums: (bool, bool, bool),
    ) {
        let info = FrameInfo::new()
            .block_mode(if linked { BlockMode::Linked } else { BlockMode::Independent })
            .block_size([BlockSize::Max64KB, BlockSize::Max256KB, BlockSize::Max4MB][size])
            .block_checksums(sums.0)
            .content_checksum(sums.1)
            .content_size(sums.2.then_some(bytes.len() as u64));
        let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(&bytes).unwrap();
        let frame = encoder.finish().unwrap();
        prop_assert_eq!(unpacked(&frame, room, false), Ok(bytes.clone()));
        prop_assert_eq!(unpacked(&frame, room, true), Ok(bytes));
    }

    #[test]
    fn what_we_write_it_reads(bytes in content()) {
        let mut frame = vec![9; bytes.len() + bytes.len() / 100 + 100 + lz4::TABLE_BYTES];
        for small in [false, true] {
            let length = match small {
                false => lz4::compress(&bytes, &mut frame, &mut [[9; 2]; lz4::TABLE]).unwrap(),
                true => lz4::compress_within(&bytes, &mut frame).unwrap(),
            };
            let mut read = Vec::new();
            FrameDecoder::new(&frame[..length]).read_to_end(&mut read).unwrap();
            prop_assert_eq!(&read, &bytes);
        }
    }
}
