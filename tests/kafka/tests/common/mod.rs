//! What every test binary here needs: runs of `demitasse`, read and judged.

use demitasse_kafka_tests::{Demitasse, Record, Run};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The JSON object at the end of standard output.
pub(crate) fn summary(run: &Run) -> Value {
    let last = run.stdout.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|e| panic!("no JSON object ends its output ({e}): {run:?}"))
}

/// A number of such an object.
pub(crate) fn number(summary: &Value, name: &str) -> f64 {
    summary[name].as_f64().unwrap_or_else(|| panic!("{name} is no number in {summary}"))
}

/// Runs `bench produce` with `--json` and expects that every record was acknowledged.
pub(crate) fn bench(bootstrap: &str, topic: &str, records: u64, more: &[&str]) -> Value {
    let records_text = records.to_string();
    let fixed = ["bench", "produce", "--bootstrap", bootstrap, "--topic", topic, "--records", &records_text, "--json"];
    let run = Demitasse::run(&[&fixed[..], more].concat(), b"", Duration::from_secs(180)).unwrap();
    assert_eq!(run.code, Some(0), "{run:?}");
    let summary = summary(&run);
    eprintln!("bench produce {topic}: {summary}");
    assert_eq!(number(&summary, "records"), records as f64, "{summary}");
    assert_eq!(number(&summary, "acknowledged"), records as f64, "{summary}");
    assert_eq!(number(&summary, "failed"), 0.0, "{summary}");
    summary
}

/// Expects exit 0 and `lines` acknowledged, none failed, none unknown.
pub(crate) fn assert_all_acknowledged(run: &Run, lines: usize) {
    let short = Run { stdout: run.stdout.lines().last().unwrap_or_default().into(), ..run.clone() };
    assert_eq!(run.code, Some(0), "{short:?}");
    let summary = summary(run);
    let counts = ["acknowledged", "failed", "unknown"].map(|name| number(&summary, name));
    assert_eq!(counts, [lines as f64, 0.0, 0.0], "{summary}");
}

/// A line for `produce --key-separator TAB`: the key, and a value that counts.
pub(crate) struct Line {
    /// The key.
    pub(crate) key: String,
    /// The value.
    pub(crate) value: String,
}

/// As standard input.
pub(crate) fn input(lines: &[Line]) -> Vec<u8> {
    lines.iter().flat_map(|line| format!("{}\t{}\n", line.key, line.value).into_bytes()).collect()
}

/// How a producer is fed while something else happens.
pub(crate) struct Feed {
    /// Different keys.
    pub(crate) keys: usize,
    /// Lines at a time.
    pub(crate) burst: usize,
    /// Time between bursts.
    pub(crate) pause: Duration,
    /// How long it may take to its end after the last line.
    pub(crate) limit: Duration,
}

/// Runs `demitasse produce --key-separator TAB` and feeds it numbered lines until `meanwhile` is over.
pub(crate) fn produce_while(arguments: &[&str], feed: &Feed, meanwhile: impl FnOnce()) -> (Run, Vec<Line>) {
    struct Raise<'a>(&'a AtomicBool);
    impl Drop for Raise<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Both are dropped if `meanwhile` panics: `demitasse` is killed, the writer ends, and so does the test.
        let mut demitasse = Demitasse::start(arguments).unwrap();
        let raise = Raise(&over);
        let mut pipe = demitasse.input();
        let over = &over;
        let writer = scope.spawn(move || {
            let mut lines = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let burst = lines.len()..lines.len() + feed.burst;
                let first = lines.len();
                lines.extend(burst.map(|i| Line { key: format!("k{}", i % feed.keys), value: i.to_string() }));
                if pipe.write_all(&input(&lines[first..])).is_err() {
                    break; // It ended early: its exit code and words tell why.
                }
                std::thread::sleep(feed.pause); // the pace, not a hope
            }
            lines
        });
        meanwhile();
        drop(raise);
        let run = demitasse.finish(feed.limit).unwrap();
        (run, writer.join().unwrap())
    })
}

/// Expects that the records are the lines: each once, the same bytes, a key's always in one partition and in the
/// order that they were written in; offsets without holes.
///
/// Every line must be different from every other.
pub(crate) fn assert_same(lines: &[Line], records: &[Record]) {
    let number: HashMap<(&[u8], &[u8]), usize> =
        lines.iter().enumerate().map(|(i, line)| ((line.key.as_bytes(), line.value.as_bytes()), i)).collect();
    assert_eq!(number.len(), lines.len(), "the test's lines are not all different");
    let mut seen = HashSet::new();
    let mut last_of_key: HashMap<&[u8], (i32, usize)> = HashMap::new();
    let mut next_offset: HashMap<i32, i64> = HashMap::new();
    for record in records {
        let (Some(key), Some(value)) = (&record.key, &record.value) else { panic!("null in {record:?}") };
        let Some(&line) = number.get(&(key.as_slice(), value.as_slice())) else {
            panic!("nobody wrote {record:?}");
        };
        assert!(seen.insert(line), "line {line} arrived twice, the second time as {record:?}");
        let next = next_offset.entry(record.partition).or_default();
        assert_eq!(record.offset, *next, "a hole before {record:?}");
        *next += 1;
        if let Some((partition, before)) = last_of_key.insert(key, (record.partition, line)) {
            assert_eq!(partition, record.partition, "the key of line {line} changed its partition");
            assert!(before < line, "line {line} arrived after line {before}");
        }
    }
    let lost: Vec<_> = (0..lines.len()).filter(|line| !seen.contains(line)).take(10).collect();
    assert!(lost.is_empty(), "{} of {} lines are lost, the first: {lost:?}", lines.len() - seen.len(), lines.len());
}
