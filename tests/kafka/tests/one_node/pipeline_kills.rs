//! `examples/pipeline` killed again and again while records flow: each is in the files, and those that are there twice are
//! explained by what was on disk and not committed at a kill.

use crate::kafka_4;
use demitasse_io_std::Admin;
use demitasse_kafka_tests::{Demitasse, Kafka, enabled, until};
use serde_json::Value;
use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PARTITIONS: usize = 6;
const GROUP: &str = "pipeline";
const TOPIC: &str = "pipeline";

/// `DEMITASSE_PIPELINE_RECORDS` and `DEMITASSE_PIPELINE_KILLS` make it longer: 2,000,000 and 20 are what issue 7 asks for.
fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().map_or(otherwise, |text| text.parse().expect("a number"))
}

/// Numbers without a crate: xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

fn start(kafka: &Kafka, folder: &Path) -> Child {
    let binary = Demitasse::binary().unwrap().with_file_name("demitasse-pipeline");
    let mut command = Command::new(binary);
    command.args(["--bootstrap", &kafka.bootstrap(), "--topic", TOPIC, "--group", GROUP, "--to"]).arg(folder);
    // Small files: some tens a second, so that kills come in the middle of all that can happen to one.
    command.args(["--file-bytes", "200000", "--file-ms", "50", "--buffer-bytes", "65536"]);
    command.stdin(Stdio::null()).spawn().unwrap_or_else(|error| {
        panic!("demitasse-pipeline: {error}; `cargo build --release --bin demitasse-pipeline` makes it")
    })
}

/// What is in the whole files, file by file as they come.
struct Files {
    folder: PathBuf,
    read: HashSet<PathBuf>,
    /// How often each number came.
    times: Vec<u8>,
    /// By partition, the number at each offset.
    numbers: Vec<Vec<Option<u64>>>,
    lines: u64,
}

impl Files {
    fn new(folder: &Path, records: u64) -> Files {
        let numbers = vec![Vec::new(); PARTITIONS];
        Files { folder: folder.into(), read: HashSet::new(), times: vec![0; records as usize], numbers, lines: 0 }
    }

    fn read(&mut self) {
        for entry in fs::read_dir(&self.folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|ending| ending == "jsonl") && !self.read.contains(&path) {
                let text = fs::read_to_string(&path).unwrap();
                assert!(text.ends_with('\n'), "{} is cut", path.display());
                text.lines().for_each(|line| self.line(line));
                self.read.insert(path);
            }
        }
    }

    fn line(&mut self, line: &str) {
        let record: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let at = |name: &str| record[name].as_u64().unwrap_or_else(|| panic!("no {name}: {line}")) as usize;
        let number = record["value"].as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{line}"));
        self.lines += 1;
        self.times[number as usize] = self.times[number as usize].saturating_add(1);
        let (numbers, offset) = (&mut self.numbers[at("partition")], at("offset"));
        if numbers.len() <= offset {
            numbers.resize(offset + 1, None);
        }
        let before = numbers[offset].replace(number);
        assert!(before.is_none_or(|before| before == number), "another record was there: {line}");
    }

    /// Records on disk behind what the group keeps: the next start reads them again.
    fn uncommitted(&self, committed: &[u64]) -> u64 {
        let of = |(numbers, committed): (&Vec<_>, &u64)| (numbers.len() as u64).saturating_sub(*committed);
        self.numbers.iter().zip(committed).map(of).sum()
    }
}

fn committed(admin: &Admin, runtime: &tokio::runtime::Runtime) -> Vec<u64> {
    let kept = runtime.block_on(admin.committed(GROUP, Duration::from_secs(30))).unwrap();
    let mut committed = vec![0; PARTITIONS];
    kept.iter().filter(|kept| kept.topic == TOPIC).for_each(|kept| {
        committed[kept.partition as usize] = kept.offset as u64;
    });
    committed
}

/// Feeds `demitasse produce` with all numbers, evenly over `time`.
fn produce(kafka: &Kafka, records: u64, time: Duration) {
    let arguments = ["produce", "--bootstrap", &kafka.bootstrap(), "--topic", TOPIC, "--json"];
    let mut demitasse = Demitasse::start(&arguments).unwrap();
    let mut pipe = demitasse.input();
    let (begun, mut written) = (Instant::now(), 0);
    while written < records {
        let due = (records as f64 * (begun.elapsed().as_secs_f64() / time.as_secs_f64()).min(1.0)) as u64;
        let lines: String = (written..due).map(|number| format!("{number}\n")).collect();
        pipe.write_all(lines.as_bytes()).unwrap();
        written = due;
        std::thread::sleep(Duration::from_millis(5)); // the pace, not a hope
    }
    drop(pipe);
    let run = demitasse.finish(Duration::from_secs(120)).unwrap();
    assert_eq!(run.code, Some(0), "{run:?}");
}

#[test]
fn a_killed_pipeline_loses_nothing() {
    if !enabled() {
        return;
    }
    let (records, kills) = (setting("DEMITASSE_PIPELINE_RECORDS", 300_000), setting("DEMITASSE_PIPELINE_KILLS", 6));
    let kafka = kafka_4();
    kafka.create_topic(TOPIC, PARTITIONS as i32, 1, &[]).unwrap();
    let folder = kafka.folder().join("pipeline");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let admin = Admin::new(&kafka.bootstrap()).unwrap();
    let mut files = Files::new(&folder, records);
    let seed = setting("DEMITASSE_PIPELINE_SEED", u64::from(std::process::id()));
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut explained = 0;
    std::thread::scope(|scope| {
        // A kill a second and a half; records flow until the last of them.
        let producer = scope.spawn(|| produce(kafka, records, Duration::from_millis(1200 * kills)));
        for kill in 1..=kills {
            let mut child = start(kafka, &folder);
            std::thread::sleep(Duration::from_millis(200 + random.below(1600))); // the random moment
            child.kill().unwrap();
            child.wait().unwrap();
            files.read();
            let uncommitted = files.uncommitted(&committed(&admin, &runtime));
            explained += uncommitted;
            eprintln!(
                "kill {kill}: {} lines in {} files, {uncommitted} of them uncommitted",
                files.lines,
                files.read.len()
            );
        }
        producer.join().unwrap();
    });
    let mut child = start(kafka, &folder);
    let ends = kafka.end_offsets(TOPIC).unwrap();
    assert_eq!(ends.iter().sum::<i64>(), records as i64, "{ends:?}");
    let all = || committed(&admin, &runtime).iter().zip(&ends).all(|(kept, end)| *kept == *end as u64).then_some(());
    until(Duration::from_secs(120), "everything to be committed", all).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    files.read();

    let lost: Vec<_> = (0..records).filter(|number| files.times[*number as usize] == 0).take(10).collect();
    assert!(lost.is_empty(), "seed {seed}: lost, the first: {lost:?}");
    let twice = files.lines - records;
    eprintln!(
        "{records} records, {kills} kills, seed {seed}: {} lines, {twice} more than once, {explained} explained",
        files.lines
    );
    assert!(
        twice <= explained,
        "seed {seed}: {twice} lines too many, and only {explained} were uncommitted at the kills"
    );
}
