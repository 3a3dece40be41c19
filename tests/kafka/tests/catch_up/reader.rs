//! Reads all there is, looks at every byte of it, and at what that takes.

use demitasse_io_std::{Consumed, Consumer, ConsumerBuilder, Start, Topic, guard};
use std::io::Read;
use std::time::{Duration, Instant};

/// Records that are taken at once.
const MOST: u32 = 500;

/// How often resident memory is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// What may not be exceeded, in bytes.
pub(crate) struct Limits {
    pub(crate) fetch_memory: u64,
    pub(crate) resident: u64,
}

/// What a reading took.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) records: u64,
    bytes: u64,
    seconds: f64,
    /// The most that was resident while it read.
    pub(crate) peak: u64,
    /// By the client after the first records, but for connecting.
    pub(crate) allocations: u64,
}

impl Seen {
    pub(crate) fn bytes_a_second(&self) -> f64 {
        self.bytes as f64 / self.seconds
    }

    pub(crate) fn tell(&self, how: &str, start: u64) {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        eprintln!(
            "{how}: {} records, {:.0} MB/s, resident at most start ({:.1} MiB) + {:.1} MiB, {} allocations",
            self.records,
            self.bytes_a_second() / 1e6,
            mib(start),
            mib(self.peak.saturating_sub(start)),
            self.allocations
        );
    }
}

pub(crate) struct Reader<'a> {
    consumer: Consumer,
    topic: Topic,
    limits: &'a Limits,
    seen: Seen,
    looked: Instant,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bootstrap: &str, topic: &str, limits: &'a Limits) -> Reader<'a> {
        let builder = ConsumerBuilder::new().bootstrap_servers(bootstrap).fetch_memory(limits.fetch_memory);
        let consumer = builder.start().unwrap();
        let topic = consumer.topic(topic).unwrap();
        let seen = Seen { records: 0, bytes: 0, seconds: 0.0, peak: 0, allocations: 0 };
        Reader { consumer, topic, limits, seen, looked: Instant::now() }
    }

    /// Until so many records of each partition were read: each once, in order, whole. With a pace of so many bytes a second
    /// what was lent is kept for as long as that takes.
    pub(crate) async fn all(mut self, counts: &[u64], pace: Option<f64>) -> Seen {
        let consumer = self.consumer.clone();
        for partition in 0..counts.len() as i32 {
            consumer.assign(self.topic, partition, Start::Beginning).unwrap();
        }
        let total: u64 = counts.iter().sum();
        let mut next = vec![0; counts.len()];
        let begun = Instant::now();
        let mut allocations = None;
        while self.seen.records < total {
            let polled = tokio::time::timeout(Duration::from_secs(60), consumer.poll(MOST)).await;
            let fetched =
                polled.unwrap_or_else(|_| panic!("no more after {:?}", self.seen)).unwrap().expect("it is open");
            let before = *allocations.get_or_insert_with(|| guard::counts().client);
            for record in fetched.records() {
                check(&record, &mut next[record.partition as usize]);
                self.seen.records += 1;
                self.seen.bytes += record.value.map_or(0, <[u8]>::len) as u64;
            }
            self.look();
            if let Some(pace) = pace {
                let due = begun + Duration::from_secs_f64(self.seen.bytes as f64 / pace);
                tokio::time::sleep_until(due.into()).await;
            }
            drop(fetched);
            self.seen.allocations = guard::counts().client - before;
        }
        self.seen.seconds = begun.elapsed().as_secs_f64();
        assert_eq!(next, counts);
        self.seen
    }

    fn look(&mut self) {
        let gauges = self.consumer.gauges();
        let sum = gauges.bytes_held + gauges.bytes_in_flight;
        assert!(sum <= gauges.memory && gauges.memory <= self.limits.fetch_memory, "{gauges:?}");
        if self.looked.elapsed() >= LOOK {
            self.looked = Instant::now();
            self.seen.peak = self.seen.peak.max(resident());
            assert!(self.seen.peak <= self.limits.resident, "{:?} with {gauges:?}", self.seen);
        }
    }
}

/// As `java/Fill.java` has made it.
fn check(record: &Consumed<'_>, next: &mut u64) {
    let Consumed { partition, offset, value, .. } = *record;
    let value = value.expect("a value");
    assert_eq!(offset as u64, *next, "partition {partition}: not the next one");
    let field = |from: usize| u32::from_be_bytes(value[from..from + 4].try_into().expect("4 bytes"));
    let number = *next as u32;
    assert_eq!((field(0), field(4) as usize), (number, value.len()), "partition {partition}, offset {offset}");
    let expected = |i: usize| match i % 4 {
        0 => (number.wrapping_add(i as u32).wrapping_mul(0x9e37_79b1) >> 24) as u8,
        rest => b'a' + rest as u8,
    };
    let odd = (8..value.len()).find(|&i| value[i] != expected(i));
    assert_eq!(odd, None, "partition {partition}, offset {offset}: another byte");
    *next += 1;
}

/// Resident bytes of this process, without an allocation.
pub(crate) fn resident() -> u64 {
    let mut text = [0; 4096];
    let mut file = std::fs::File::open("/proc/self/status").expect("Linux");
    let length = file.read(&mut text).expect("readable");
    let text = std::str::from_utf8(&text[..length]).expect("text");
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).expect("a number") * 1024
}
