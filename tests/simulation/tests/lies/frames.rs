//! Lies about frames, whatever is in them: lengths, correlation ids, tagged fields.

use crate::story;

/// Of Produce, Metadata, ApiVersions, InitProducerId.
const APIS: [i16; 4] = [0, 3, 18, 22];

/// A lie and its name.
type Lie = (&'static str, fn(&mut Vec<u8>));

const LIES: &[Lie] = &[
    ("the next correlation id", |frame| frame[7] = frame[7].wrapping_add(1)),
    ("a correlation id below zero", |frame| frame[4] = 0xff),
    ("a length of 0", |frame| length(frame, 0)),
    ("a length without a correlation id", |frame| length(frame, 3)),
    ("nothing but a correlation id", |frame| length(frame, 4)),
    ("a length of -1", |frame| length(frame, u32::MAX)),
    ("a length of 2 GB", |frame| length(frame, i32::MAX as u32)),
    ("a length of 100 MB and a byte", |frame| length(frame, 100 * 1024 * 1024 + 1)),
    ("a length of 100 MB of which little comes", |frame| length(frame, 100 * 1024 * 1024)),
    ("a length that is one too short", |frame| off_by(frame, -1)),
    ("a length that is one too long", |frame| off_by(frame, 1)),
    ("half of it", |frame| frame.truncate(frame.len() / 2)),
    ("twice the same", |frame| frame.extend_from_within(..)),
    ("an answer that nobody asked for behind it", |frame| frame.extend([0, 0, 0, 4, 0, 0, 0, 99])),
    ("nothing but 0", |frame| frame[8..].fill(0)),
    ("nothing but 255", |frame| frame[8..].fill(0xff)),
    ("tagged fields without end", |frame| endless(frame, &[1, 0])),
    ("one tagged field without end", |frame| endless(frame, &[0xff])),
    ("bytes without end behind a sound answer", |frame| {
        frame.resize(frame.len() + 30_000, 1);
        off_by(frame, 0);
    }),
];

fn length(frame: &mut [u8], claimed: u32) {
    frame[..4].copy_from_slice(&claimed.to_be_bytes());
}

/// The length is so much more than it should be.
fn off_by(frame: &mut [u8], more: i32) {
    let sound = frame.len() as i32 - 4;
    length(frame, (sound + more) as u32);
}

/// The body is a count of tagged fields, two thousand million, and `fields` over and over.
fn endless(frame: &mut Vec<u8>, fields: &[u8]) {
    frame.truncate(8);
    frame.extend([0xff, 0xff, 0xff, 0xff, 0x07]);
    frame.extend(fields.iter().cycle().take(30_000));
    length(frame, 90 * 1024 * 1024);
}

#[test]
fn frames_that_lie() {
    let mut believed = 0;
    for (name, lie) in LIES {
        for api in APIS {
            believed += story(&format!("API {api}: {name}"), || {
                Box::new(move |request, mut answer| {
                    if request[..2] == api.to_be_bytes() {
                        lie(&mut answer);
                    }
                    answer
                })
            });
        }
    }
    assert_eq!(believed, 0, "lies did harm");
}
