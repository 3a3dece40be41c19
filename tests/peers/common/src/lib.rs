//! What all Rust peers have in common: the arguments, the pace, what the system says of the process, the line of JSON.
//!
//! The programs in other languages take the same arguments and print the same line.

mod allocations;
mod latencies;
mod usage;

pub use allocations::Counting;
pub use clap::Parser;
pub use latencies::Latencies;
pub use usage::{Resident, Usage};

use anyhow::{Result, bail, ensure};
use serde::Serialize;
use std::fmt::Display;
use std::time::{Duration, Instant};

/// What a peer is to do. Without `--rate` it sends, or reads, as fast as it can.
#[derive(Clone, Parser)]
pub struct Arguments {
    /// One broker, `HOST:PORT`.
    #[arg(long)]
    pub bootstrap: String,
    /// A topic that exists.
    #[arg(long)]
    pub topic: String,
    /// How many partitions it has.
    #[arg(long, default_value_t = 4)]
    pub partitions: u32,
    /// Records to send after the one that warms up, or to read.
    #[arg(long)]
    pub records: u64,
    /// Bytes of each record's value.
    #[arg(long)]
    pub size: usize,
    /// `batch.size`.
    #[arg(long, default_value_t = 1_000_000)]
    pub batch: usize,
    /// `linger.ms`.
    #[arg(long, default_value_t = 5)]
    pub linger: u64,
    /// `buffer.memory`.
    #[arg(long, default_value_t = 32 * 1024 * 1024)]
    pub memory: usize,
    /// Records a second, to measure latency.
    #[arg(long)]
    pub rate: Option<u64>,
    /// Count allocations. It costs a little, so CPU time is another run's.
    #[arg(long)]
    pub allocations: bool,
    /// Which of the program's ways to send, where it has several, or `read`.
    #[arg(long, default_value = "")]
    pub mode: String,
}

impl Arguments {
    /// The value of every record.
    pub fn payload(&self) -> Vec<u8> {
        vec![b'x'; self.size]
    }
}

/// Tokio's runtime: one thread for all, or with the mode `threads` as many as there are cores beside the one that
/// sends.
pub fn runtime(mode: &str) -> Result<tokio::runtime::Runtime> {
    let mut builder = match mode {
        "" => tokio::runtime::Builder::new_current_thread(),
        "threads" => tokio::runtime::Builder::new_multi_thread(),
        other => bail!("--mode is threads or nothing, not {other:?}"),
    };
    Ok(builder.enable_all().build()?)
}

/// A measurement that has begun.
pub struct Run {
    arguments: Arguments,
    at: Instant,
    usage: Usage,
    allocations: u64,
    resident_mib: f64,
}

/// The line of JSON. A figure that was not measured is null.
#[derive(Serialize)]
struct Line<'a> {
    client: &'a str,
    version: &'a str,
    records: u64,
    /// Those that warmed up too: so many are in the log.
    records_in_all: u64,
    size: usize,
    batch_bytes: usize,
    linger_ms: u64,
    partitions: u32,
    rate: Option<u64>,
    seconds: f64,
    records_per_second: f64,
    user_us_per_record: f64,
    system_us_per_record: f64,
    switches_per_1000_records: f64,
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
    p999_ms: Option<f64>,
    allocations_per_record: Option<f64>,
    /// Before the first record that counts, after the last, and the most that it ever was.
    start_mib: f64,
    end_mib: f64,
    peak_mib: f64,
}

impl Run {
    /// From here on it counts. What the connection and the topic cost has been paid by then, with a first record.
    pub fn begin(arguments: &Arguments) -> Result<Run> {
        let arguments = arguments.clone();
        let resident_mib = Resident::of("self")?.now_mib;
        let usage = Usage::of_this_process()?;
        let allocations = allocations::so_far(arguments.allocations);
        Ok(Run { arguments, at: Instant::now(), usage, allocations, resident_mib })
    }

    /// When a record is due, with `--rate`.
    pub fn due(&self, record: u64) -> Instant {
        let nanos = u128::from(record) * 1_000_000_000 / u128::from(self.arguments.rate.unwrap_or(u64::MAX));
        self.at + Duration::from_nanos(nanos as u64)
    }

    /// For plain threads: sleeps until a record is due, and says from when its latency counts.
    pub fn pace(&self, record: u64) -> Instant {
        let due = self.due(record);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        self.start(record)
    }

    /// From when a record's latency counts: from now, or from when it was due if a wait for others made it late.
    pub fn start(&self, record: u64) -> Instant {
        let (due, now) = (self.due(record), Instant::now());
        if now > due + Duration::from_millis(2) { due } else { now }
    }

    /// The last outcome is known, or the last record is there. `seen`: how many. `warm_up`: records sent before
    /// [`Run::begin`].
    pub fn end(
        self,
        client: impl Display,
        version: &str,
        seen: u64,
        warm_up: u64,
        latencies: &Latencies,
    ) -> Result<()> {
        // First of all, because what follows allocates.
        let allocated = allocations::so_far(false) - self.allocations;
        let seconds = self.at.elapsed().as_secs_f64();
        let used = Usage::of_this_process()?.since(&self.usage);
        let Arguments { records, size, batch, linger, partitions, rate, allocations, .. } = self.arguments;
        ensure!(seen == records, "{seen} of {records} records came through");
        let each = |total: f64| total / records as f64;
        let resident = Resident::of("self")?;
        let line = Line {
            client: &client.to_string(),
            version,
            records,
            records_in_all: records + warm_up,
            size,
            batch_bytes: batch,
            linger_ms: linger,
            partitions,
            rate,
            seconds,
            records_per_second: records as f64 / seconds,
            user_us_per_record: each(used.user_us),
            system_us_per_record: each(used.system_us),
            switches_per_1000_records: each(used.switches * 1000.0),
            p50_ms: latencies.quantile(0.5),
            p99_ms: latencies.quantile(0.99),
            p999_ms: latencies.quantile(0.999),
            allocations_per_record: allocations.then(|| each(allocated as f64)),
            start_mib: self.resident_mib,
            end_mib: resident.now_mib,
            peak_mib: resident.peak_mib,
        };
        println!("{}", serde_json::to_string(&line)?);
        Ok(())
    }
}
