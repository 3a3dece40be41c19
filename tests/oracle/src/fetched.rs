//! Reads a Fetch response and takes its records.

use demitasse_core::protocol::fetch::{Item, ResponseReader};
use demitasse_core::wire::ReadError;

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fetched {
    /// The items, shown.
    pub items: Vec<String>,
    /// The records of each partition, as many as there were.
    pub records: Vec<Vec<u8>>,
    /// How it ended; `Incomplete` only when all bytes were there.
    pub end: Result<(), ReadError>,
}

/// Reads a response of which `step` more bytes arrive each time. Its records come through the window, or, once what is
/// in the window is taken, past it (`aside`), as a caller does that receives them where it wants them.
pub fn read_fetch(version: i16, bytes: &[u8], step: usize, aside: bool) -> Fetched {
    let mut reader = ResponseReader::new(version);
    let mut fetched = Fetched { items: Vec::new(), records: Vec::new(), end: Ok(()) };
    // Of `bytes`, those up to `at` are consumed, those up to `there` have arrived.
    let (mut at, mut there) = (0, 0);
    loop {
        let mut window = &bytes[at..there];
        let item = reader.next(&mut window);
        at = there - window.len();
        match item {
            Ok(None) => return fetched,
            Ok(Some(item)) => {
                fetched.items.push(format!("{item:?}"));
                if let Item::Records { length, .. } = item {
                    assert_eq!(reader.records_left(), length);
                    let mut records = reader.take(&mut window).to_vec();
                    at = there - window.len();
                    while reader.records_left() > 0 && there < bytes.len() {
                        assert_eq!(at, there, "what was in the window was taken");
                        there = bytes.len().min(there + step);
                        if aside {
                            there = there.min(at + reader.records_left() as usize);
                            records.extend_from_slice(&bytes[at..there]);
                            reader.taken((there - at) as u32);
                            at = there;
                        } else {
                            let mut window = &bytes[at..there];
                            records.extend_from_slice(reader.take(&mut window));
                            at = there - window.len();
                        }
                    }
                    assert_eq!(records.len() as u32 + reader.records_left(), length);
                    fetched.records.push(records);
                }
            }
            Err(ReadError::Incomplete) if there < bytes.len() => there = bytes.len().min(there + step),
            Err(error) => {
                fetched.end = Err(error);
                return fetched;
            }
        }
    }
}
