//! Every codec both ways, in windows of all sizes, and bytes that were cut or changed.

use super::{Decoders, Encoder};
use demitasse_core::records::Compression;
use demitasse_core::records::codec::{CodecError, Decompress, Next};

const CODECS: [Compression; 4] = [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

/// Words in an order that repeats itself only now and then.
fn sample(length: usize) -> Vec<u8> {
    let mut seed = 1u64;
    let mut bytes = Vec::new();
    while bytes.len() < length {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend(format!("{} reading {};", seed >> 60, seed >> 52 & 0x3f).into_bytes());
    }
    bytes.truncate(length);
    bytes
}

fn packed(codec: Compression, level: Option<i32>, bytes: &[u8]) -> Vec<u8> {
    let mut output = vec![0; bytes.len() * 2 + 1000];
    let mut encoder = Encoder::new(codec, level, bytes.len()).unwrap();
    // The second time as the first.
    encoder.compress(&bytes[..bytes.len() / 2], &mut output).unwrap();
    let length = encoder.compress(bytes, &mut output).unwrap();
    output.truncate(length);
    output
}

/// Through a window that has room for so many bytes behind the history; how much was asked for, if that is not enough.
fn unpacked(decoders: &mut Decoders, codec: Compression, input: &[u8], room: usize) -> Result<Vec<u8>, CodecError> {
    decoders.begin(codec)?;
    let (mut window, mut filled) = (vec![0; decoders.history() + room], 0);
    let (mut bytes, mut rest) = (Vec::new(), input);
    loop {
        let progress = decoders.decompress(rest, &mut window, filled)?;
        rest = &rest[progress.consumed..];
        bytes.extend(&window[filled..filled + progress.produced]);
        filled += progress.produced;
        let gone = filled.saturating_sub(decoders.history());
        window.copy_within(gone..filled, 0);
        filled -= gone;
        match progress.next {
            Next::Ended => return Ok(bytes),
            Next::Room(needed) if needed > window.len() - filled => {
                return Err(CodecError::Window { needed: needed as u32, capacity: room as u32 });
            }
            Next::Room(_) => {}
        }
    }
}

#[test]
fn what_was_packed_is_unpacked_in_windows_of_any_size() {
    let mut decoders = Decoders::new();
    for length in [1, 100, 30_000, 32_768, 100_000] {
        let bytes = sample(length);
        for codec in CODECS {
            let input = packed(codec, None, &bytes);
            assert!(length < 1000 || input.len() < length / 2, "{codec}: {} of {length}", input.len());
            for room in [1, 13, 4096, 40_000, 200_000] {
                let result = unpacked(&mut decoders, codec, &input, room);
                // A block of snappy needs all its room at once.
                if codec == Compression::Snappy && room < length.min(32_768) {
                    assert!(matches!(result, Err(CodecError::Window { .. })));
                } else {
                    assert_eq!(result.as_ref(), Ok(&bytes), "{codec} {length} {room}");
                }
            }
        }
    }
}

#[test]
fn every_level_can_be_read() {
    let (bytes, mut decoders) = (sample(50_000), Decoders::new());
    for (codec, levels) in [(Compression::Gzip, 1..=9), (Compression::Zstd, -5..=22)] {
        for level in levels {
            let input = packed(codec, Some(level), &bytes);
            assert_eq!(unpacked(&mut decoders, codec, &input, 8192).as_ref(), Ok(&bytes), "{codec} {level}");
        }
    }
}

#[test]
fn no_room_is_said() {
    for codec in CODECS {
        let mut encoder = Encoder::new(codec, None, 1000).unwrap();
        let bytes = sample(1000);
        for room in 0..100 {
            assert_eq!(encoder.compress(&bytes, &mut vec![0; room]), None, "{codec} {room}");
        }
        assert!(encoder.compress(&bytes, &mut [0; 3000]).is_some() && encoder.memory() > 0);
    }
}

#[test]
fn what_is_cut_or_changed_is_an_error_or_other_bytes() {
    let (bytes, mut decoders) = (sample(3000), Decoders::new());
    for codec in CODECS {
        let input = packed(codec, None, &bytes);
        for end in 0..input.len() {
            let result = unpacked(&mut decoders, codec, &input[..end], 5000);
            // The frames of snappy have no end but that of the bytes.
            assert!(result.is_err() || codec == Compression::Snappy && end == 16, "{codec} {end}");
        }
        for at in 0..input.len() {
            for flip in [1, 0x80, 0xff] {
                let mut wrong = input.clone();
                wrong[at] ^= flip;
                let _ = unpacked(&mut decoders, codec, &wrong, 5000);
            }
        }
        assert_eq!(unpacked(&mut decoders, codec, &input, 5000).as_ref(), Ok(&bytes), "as good as new");
    }
}

/// As librdkafka writes it.
#[test]
fn a_single_block_of_snappy() {
    let bytes = sample(100_000);
    let input = snap::raw::Encoder::new().compress_vec(&bytes).unwrap();
    let mut decoders = Decoders::new();
    assert_eq!(unpacked(&mut decoders, Compression::Snappy, &input, 100_000).as_ref(), Ok(&bytes));
    let short = unpacked(&mut decoders, Compression::Snappy, &input, 99_999);
    assert_eq!(short, Err(CodecError::Window { needed: 100_000, capacity: 99_999 }));
}

#[test]
fn a_window_that_is_too_large_is_refused_with_its_size() {
    // A frame that says 128 MiB, and nothing else.
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0, (27 - 10) << 3, 1, 0, 0];
    let result = unpacked(&mut Decoders::new(), Compression::Zstd, &frame, 100);
    assert_eq!(result, Err(CodecError::Window { needed: 128 << 20, capacity: 8 << 20 }));
}

#[test]
fn gzip_with_every_field_and_in_members() {
    let bytes = sample(2000);
    let member = packed(Compression::Gzip, None, &bytes);
    let mut named = member[..10].to_vec();
    named[3] = 0x1e;
    named.extend(b"\x03\0abcname\0comment\0\x12\x34");
    named.extend(&member[10..]);
    let mut decoders = Decoders::new();
    let both = [&named[..], &member[..]].concat();
    let result = unpacked(&mut decoders, Compression::Gzip, &both, 700);
    assert_eq!(result, Ok([&bytes[..], &bytes[..]].concat()));
    let mut wrong = member.clone();
    *wrong.last_mut().unwrap() ^= 1;
    assert_eq!(unpacked(&mut decoders, Compression::Gzip, &wrong, 700), Err(CodecError::Checksum));
}
