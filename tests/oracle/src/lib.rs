//! Reads with demitasse's resumable readers in every way that bytes can arrive.
//!
//! The tests compare what they read with what `kafka-protocol` wrote, and the other way round. Items are
//! compared by their `Debug` form: it is owned, and it shows every field.

pub mod batches;
pub mod fetched;

use demitasse_core::protocol::{ApiKey, TopicReader};
use demitasse_core::wire::ReadError;

macro_rules! readers {
    ($($api:ident in $module:ident,)*; $($by_topic:ident,)*) => {
        /// Every API that the core speaks.
        pub const APIS: &[ApiKey] = &[$(ApiKey::$api,)* $(ApiKey::$by_topic),*];

        /// A response reader of any API.
        #[derive(Clone, Copy, Debug)]
        pub enum AnyReader {
            $(
                #[doc = concat!("Of ", stringify!($api), ".")]
                $api(demitasse_core::protocol::$module::ResponseReader),
            )*
            /// Of one of those that share a reader.
            ByTopic(TopicReader),
        }

        impl AnyReader {
            /// A reader at the start of a response body.
            pub fn new(key: ApiKey, version: i16) -> Self {
                match key {
                    $(ApiKey::$api => {
                        AnyReader::$api(demitasse_core::protocol::$module::ResponseReader::new(version))
                    })*
                    $(ApiKey::$by_topic)|* => AnyReader::ByTopic(TopicReader::new(key, version)),
                }
            }

            /// The next item, shown.
            pub fn next(&mut self, window: &mut &[u8]) -> Result<Option<String>, ReadError> {
                match self {
                    $(AnyReader::$api(reader) => show(reader.next(window)),)*
                    AnyReader::ByTopic(reader) => show(reader.next(window)),
                }
            }
        }
    };
}

readers! {
    Produce in produce,
    Fetch in fetch,
    Metadata in metadata,
    FindCoordinator in find_coordinator,
    ApiVersions in api_versions,
    CreateTopics in create_topics,
    InitProducerId in init_producer_id,
    ; ListOffsets, OffsetCommit, OffsetFetch, OffsetForLeaderEpoch,
}

fn show<T: std::fmt::Debug>(item: Result<Option<T>, ReadError>) -> Result<Option<String>, ReadError> {
    item.map(|item| item.map(|item| format!("{item:?}")))
}

/// What came of reading a body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// The items, shown.
    pub items: Vec<String>,
    /// How it ended; `Incomplete` only when all bytes were there.
    pub end: Result<(), ReadError>,
    /// Bytes consumed.
    pub consumed: usize,
    /// The most bytes that were waiting in the window when the reader asked for more.
    pub most_waiting: usize,
}

/// Reads `bytes` as they arrive: after each `Incomplete`, `more` says how many bytes are there in all, given
/// how many were consumed and how many were there.
pub fn read(mut reader: AnyReader, bytes: &[u8], mut more: impl FnMut(usize, usize) -> usize) -> Outcome {
    let mut outcome = Outcome { items: Vec::new(), end: Ok(()), consumed: 0, most_waiting: 0 };
    let mut there = more(0, 0).min(bytes.len());
    loop {
        let before = outcome.consumed;
        let mut window = &bytes[before..there];
        let result = reader.next(&mut window);
        outcome.consumed = there - window.len();
        match result {
            Ok(Some(item)) => {
                // Without this a count of two thousand million would be a long loop over nothing.
                assert!(outcome.consumed > before, "an item without bytes: {item}");
                outcome.items.push(item);
            }
            Ok(None) => return outcome,
            Err(ReadError::Incomplete) if there < bytes.len() => {
                outcome.most_waiting = outcome.most_waiting.max(window.len());
                let next = more(outcome.consumed, there).min(bytes.len());
                assert!(next > there, "an item does not fit into the window, {} bytes", window.len());
                there = next;
            }
            Err(error) => {
                outcome.end = Err(error);
                return outcome;
            }
        }
    }
}

/// Reads `bytes` from one window.
pub fn read_whole(reader: AnyReader, bytes: &[u8]) -> Outcome {
    read(reader, bytes, |_, _| usize::MAX)
}

/// Reads `bytes` one byte at a time.
pub fn read_bytewise(reader: AnyReader, bytes: &[u8]) -> Outcome {
    read(reader, bytes, |_, there| there + 1)
}

/// Reads a valid body in every way, cuts it everywhere, and wants `expected` each time. No item of it may be
/// larger than `room`.
pub fn check(reader: AnyReader, bytes: &[u8], expected: &[String], room: usize) {
    let whole = read_whole(reader, bytes);
    assert_eq!((whole.end, whole.consumed), (Ok(()), bytes.len()), "{reader:?}");
    assert_eq!(whole.items, expected, "{reader:?}");

    let bytewise = read_bytewise(reader, bytes);
    assert_eq!((bytewise.end, bytewise.consumed), (Ok(()), bytes.len()));
    assert_eq!(bytewise.items, expected);
    assert!(bytewise.most_waiting < room, "{} bytes waited for one item", bytewise.most_waiting);

    let windowed = read(reader, bytes, |consumed, _| consumed + room);
    assert_eq!((windowed.end, windowed.consumed), (Ok(()), bytes.len()));
    assert_eq!(windowed.items, expected);

    // A copy of the reader goes on from here with all the rest; behind the cut the rest never comes.
    for cut in 0..bytes.len() {
        let mut cut_reader = reader;
        let mut window = &bytes[..cut];
        let mut items = 0;
        let end = loop {
            match cut_reader.next(&mut window) {
                Ok(Some(item)) => {
                    assert_eq!(Some(&item), expected.get(items), "cut at {cut}");
                    items += 1;
                }
                end => break end,
            }
        };
        assert_eq!(end, Err(ReadError::Incomplete), "cut at {cut} of {}", bytes.len());
        let rest = read_whole(cut_reader, &bytes[cut - window.len()..]);
        assert_eq!((rest.end, &rest.items[..]), (Ok(()), &expected[items..]), "cut at {cut}");
    }
}
