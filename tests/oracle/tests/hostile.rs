//! Bytes that no broker sends: every reader ends, with items or an error, and never differently for how the
//! bytes arrived.

mod common;

use common::valid::valid;
use common::*;
use demitasse_core::protocol::{ApiKey, versions};
use demitasse_core::wire::{ReadError, Reader, Skip, Step, Steps};
use demitasse_oracle_tests::{APIS, AnyReader, read_bytewise, read_whole};
use proptest::collection::vec;
use proptest::prelude::*;

/// Bytes as they matter to a decoder: many zeros, small counts, and the edges of every length.
///
/// From a seed rather than byte by byte: proptest spends far longer on a tree for each byte than the
/// readers on all of them.
fn hostile(length: usize) -> impl Strategy<Value = Vec<u8>> {
    (1u64.., 0..length).prop_map(|(mut state, length)| {
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        };
        let mut byte = || match next() % 14 {
            0..=3 => 0,
            4..=7 => next() % 6,
            8 => 0xff,
            9 => 0x7f,
            10 => 0x80,
            _ => next(),
        };
        (0..length).map(|_| byte()).collect()
    })
}

fn same_whichever_way(key: ApiKey, version: i16, bytes: &[u8]) {
    let whole = read_whole(AnyReader::new(key, version), bytes);
    let bytewise = read_bytewise(AnyReader::new(key, version), bytes);
    assert_eq!((&whole.items, whole.end), (&bytewise.items, bytewise.end));
    assert!(whole.items.len() <= bytes.len());
}

#[test]
fn random_bytes() {
    for &key in APIS {
        for_versions(
            versions(key),
            |_| vec(hostile(400), 32),
            |version, bodies| {
                for body in bodies {
                    same_whichever_way(key, version, &body);
                }
            },
        );
    }
}

#[test]
fn any_byte_of_a_response_changed() {
    for &key in APIS {
        let (first, last) = versions(key);
        for version in first..=last {
            let bytes = valid(key, version);
            for at in 0..bytes.len() {
                for change in [0, 1, 2, 0x7f, 0x80, 0xff, bytes[at] ^ 1, bytes[at].wrapping_add(1)] {
                    let mut changed = bytes.clone();
                    changed[at] = change;
                    same_whichever_way(key, version, &changed);
                    // A count or a length of two thousand million, in both forms.
                    for large in [&[0x7f, 0xff, 0xff, 0xff][..], &[0xff, 0xff, 0xff, 0xff, 0x07]] {
                        for (place, byte) in changed.iter_mut().skip(at).zip(large) {
                            *place = *byte;
                        }
                        same_whichever_way(key, version, &changed);
                    }
                }
            }
        }
    }
}

#[test]
fn bytes_read_in_another_version() {
    for &key in APIS {
        let (first, last) = versions(key);
        for written in first..=last {
            let bytes = valid(key, written);
            for read in first..=last {
                same_whichever_way(key, read, &bytes);
            }
        }
    }
}

#[test]
fn primitives_on_random_bytes() {
    for_versions(
        (0, 1),
        |_| vec(hostile(24), 64),
        |version, bodies| {
            let flexible = version == 1;
            for body in bodies {
                let reader = Reader::new(&body);
                for read in [
                    |r: &mut Reader<'_>, _| r.unsigned_varint().map(drop),
                    |r: &mut Reader<'_>, _| r.varint().map(drop),
                    |r: &mut Reader<'_>, _| r.varlong().map(drop),
                    |r: &mut Reader<'_>, flexible| r.string(flexible).map(drop),
                    |r: &mut Reader<'_>, flexible| r.nullable_string(flexible).map(drop),
                    |r: &mut Reader<'_>, flexible| r.array_length(flexible).map(drop),
                    |r: &mut Reader<'_>, _| r.uuid().map(drop),
                    |r: &mut Reader<'_>, _| r.i64().map(drop),
                ] {
                    let mut whole = reader;
                    let result = read(&mut whole, flexible);
                    assert_eq!(whole.position() + whole.remaining().len(), body.len());
                    // A prefix says the same, or that it is one.
                    for cut in 0..body.len() {
                        let short = read(&mut Reader::new(&body[..cut]), flexible);
                        assert!(short == result || short == Err(ReadError::Incomplete));
                    }
                }
            }
        },
    );
}

#[test]
fn skipping_random_bytes() {
    const STEPS: [Step; 6] = [Step::Tags, Step::String, Step::I32Array, Step::One, Step::Two, Step::Four];
    for_versions(
        (0, 1),
        |_| (vec(hostile(200), 32), vec(0..STEPS.len(), 0..9)),
        |version, (bodies, steps)| {
            let steps: Vec<Step> = steps.into_iter().map(|step| STEPS[step]).collect();
            let plan = Skip::plan(version == 1, Steps::new(&steps));
            for body in bodies {
                let mut whole = plan;
                let mut window = &body[..];
                let result = whole.feed(&mut window);
                assert_eq!(whole.is_done(), result.is_ok());

                let (mut skip, mut at, mut there) = (plan, 0, 0);
                let bytewise = loop {
                    let mut window = &body[at..there];
                    let result = skip.feed(&mut window);
                    at = there - window.len();
                    assert!(window.len() < 10 || result == Err(ReadError::Malformed), "{} bytes kept", window.len());
                    match result {
                        Err(ReadError::Incomplete) if there < body.len() => there += 1,
                        result => break result,
                    }
                };
                assert_eq!((bytewise, skip.is_done()), (result, whole.is_done()));
                if result.is_ok() {
                    assert_eq!(at, body.len() - window.len());
                }
            }
        },
    );
}
