//! What the sensor is asked for, what it says, and what must then be in the log.

use demitasse_firmware_tests::{Board, Machine, Setup, number};
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

/// The keys of the firmware, reading by reading in turn.
const KEYS: [&str; 3] = ["kitchen", "cellar", "garden"];

/// Whether `cargo xtask firmware --full` runs this.
pub(crate) fn full() -> bool {
    std::env::var_os("DEMITASSE_FIRMWARE_FULL").is_some_and(|full| full == "1")
}

/// A run of the sensor.
pub(crate) struct Run<'a> {
    pub(crate) board: Board,
    /// The sensor that compresses its batches.
    pub(crate) lz4: bool,
    /// The broker's port on the host.
    pub(crate) port: u16,
    pub(crate) topic: &'a str,
    pub(crate) count: u64,
    pub(crate) interval_ms: u32,
}

impl Run<'_> {
    pub(crate) fn start(&self, images: &Path) -> Machine {
        let Run { board, lz4, port, topic, count, interval_ms } = self;
        let image = format!("{}{}", board.name(), if *lz4 { "-lz4" } else { "" });
        let words = [format!("10.0.2.2:{port}"), (*topic).into(), count.to_string(), interval_ms.to_string()];
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        Machine::start(&Setup::new(*board, &images.join(image), &words)).unwrap()
    }
}

/// Waits until so many readings are acknowledged.
pub(crate) fn until_acknowledged(machine: &mut Machine, count: u64, limit: Duration) {
    let what = format!("{count} readings to be acknowledged");
    let enough = |line: &str| number(line, "acknowledged").filter(|&n| n >= count);
    machine.until(limit, &what, enough).unwrap();
}

/// What the sensor says at its end.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) acknowledged: u64,
    pub(crate) refused: u64,
}

/// Waits for the end, at which every reading was either acknowledged or refused when it was measured.
pub(crate) fn finish(machine: Machine, count: u64, limit: Duration) -> End {
    let (_, lines) = machine.finish(limit).unwrap();
    let last = lines.last().cloned().unwrap_or_default();
    eprintln!("{} | {last}", lines.first().cloned().unwrap_or_default());
    assert!(last.starts_with("end "), "{lines:?}");
    let of = |name| number(&last, name).unwrap_or_else(|| panic!("no {name} in {last}"));
    assert_eq!((of("failed"), of("unknown")), (0, 0), "{last}");
    let end = End { acknowledged: of("acknowledged"), refused: of("refused") };
    assert_eq!(end.acknowledged + end.refused, count, "{last}");
    end
}

/// A record as an independent reader saw it.
pub(crate) struct Seen {
    pub(crate) partition: i32,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
}

/// Expects as many records as were acknowledged: each reading at most once, whole, under its key, and those of a key in
/// one partition in the order in which they were measured. The numbers that are there come back, in order.
pub(crate) fn check(seen: &[Seen], end: &End) -> Vec<u64> {
    let mut numbers = HashSet::new();
    let mut last_of_key: HashMap<&[u8], (i32, u64)> = HashMap::new();
    for Seen { partition, key, value } in seen {
        let text = String::from_utf8_lossy(value);
        let number = text.strip_prefix("{\"number\":").and_then(|rest| rest.split_once(",\"centidegrees\":"));
        let (number, degrees) = number.unwrap_or_else(|| panic!("nobody measured {text}"));
        let number: u64 = number.parse().unwrap();
        let degrees: u64 = degrees.trim_end_matches('}').parse().unwrap();
        assert!((1500..=2500).contains(&degrees), "{text}");
        assert_eq!(key, KEYS[number as usize % KEYS.len()].as_bytes(), "the key of {text}");
        assert!(numbers.insert(number), "reading {number} is there twice");
        if let Some((before_in, before)) = last_of_key.insert(key, (*partition, number)) {
            assert_eq!(before_in, *partition, "the key of {text} changed its partition");
            assert!(before < number, "reading {number} came after {before}");
        }
    }
    assert_eq!(seen.len() as u64, end.acknowledged, "records in the log, and acknowledged");
    let mut numbers: Vec<_> = numbers.into_iter().collect();
    numbers.sort_unstable();
    numbers
}
