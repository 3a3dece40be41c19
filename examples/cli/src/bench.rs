//! `demitasse bench produce`: what the library costs, measured in one process.
//!
//! Whatever the measurement needs is allocated before it begins: an allocation that is counted is the library's.

pub(crate) mod consume;

use crate::interrupt::Interrupt;
use crate::load::{Load, RECORD_OVERHEAD, SLICE, Stopped};
use crate::process::{Moment, peak_resident_mib};
use crate::report::{Output, Problem, Tally, rounded};
use crate::runtime;
use crate::settings::{Bootstrap, Properties};
use crate::topics::create_if_missing;
use clap::Args;
use demitasse_io_std::{Builder, Record};
use serde::Serialize;
use std::time::{Duration, Instant};

/// Bytes handed over between two looks at what has come back: a batch of the default size.
const BYTES_BETWEEN_LOOKS: u64 = 64 * 1024;

/// With `--rate`, the records of so long are handed over together.
const TICK: Duration = Duration::from_millis(1);

/// Produces records of one size without keys and observes the outcome of every one.
///
/// Records are handed over in slices of 64, fewer if they are large (with --rate, of what is due each millisecond); deliveries are awaited in
/// order. `seconds` and CPU time are from just before the first send to the last acknowledgement; CPU time is user and
/// system of the whole process. Allocations are counted in all threads, from when the first record was acknowledged to the
/// last acknowledgement; a connection that is opened meanwhile, to a second broker or again, is counted with what the runtime
/// allocates for its socket. Resident memory is taken at the same moments; it still grows by those batch buffers,
/// buffer.memory at most, that the system hands out only when they are first used. Its peak is the process's.
///
/// Latency is from the call of send, waiting for room included, to when the outcome was seen, and counts every record, not
/// a sample; a slice is seen when the last of its records is acknowledged. With --rate it is from when a record was due,
/// should it have been sent more than two milliseconds late.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    bootstrap: Bootstrap,
    /// The topic to send to.
    #[arg(long)]
    topic: String,
    /// How many records to send.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    records: u64,
    /// Bytes of each record's value.
    #[arg(long, value_name = "BYTES")]
    size: usize,
    /// Create the topic with so many partitions, if it does not exist.
    #[arg(long, value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// Records a second, evenly; without it as fast as can be.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    rate: Option<u64>,
    #[command(flatten)]
    properties: Properties,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// Threads beside the sending one that run the producer; with 0 one thread does all.
    #[arg(long, default_value_t = 0)]
    threads: usize,
}

#[derive(Serialize)]
struct Summary {
    records: u64,
    acknowledged: u64,
    failed: u64,
    unknown: u64,
    seconds: f64,
    records_per_second: f64,
    megabytes_per_second: f64,
    cpu_microseconds_per_record: f64,
    allocations_after_start: u64,
    resident_mib_at_start: Option<f64>,
    resident_mib_at_end: Option<f64>,
    resident_mib_at_peak: Option<f64>,
    latency_ms: LatencyMillis,
}

#[derive(Serialize)]
struct LatencyMillis {
    p50: f64,
    p99: f64,
    p999: f64,
    max: f64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Problem> {
    let (builder, bootstrap) = arguments.properties.with::<Builder>(&arguments.bootstrap)?;
    let value = vec![b'x'; arguments.size];
    runtime::run(arguments.threads, async {
        if let Some(partitions) = arguments.partitions {
            create_if_missing(&bootstrap, &arguments.topic, partitions, &[]).await?;
        }
        let producer = builder.start()?;
        let topic = producer.topic(&arguments.topic)?;
        let mut run = Run::new(Load::new(producer, topic, Interrupt::listen()?));
        run.begin();
        let end = run.all(arguments, &value).await;
        run.load.settle(end.is_err()).await;
        run.last_acknowledged = Moment::now();
        let summary = run.summary(arguments.size);
        let mut output = Output::new();
        if arguments.json {
            output.json(&summary);
        } else {
            summary.table(&mut output);
        }
        let written = output.finish();
        let problem = run.load.tally.problem(&arguments.topic, &bootstrap);
        if run.load.interrupt.is_pressed() {
            let and = problem.map_or(String::new(), |problem| format!("; {problem}"));
            return Err(Problem::interrupted(format!("interrupted after {} records{and}", summary.records)));
        }
        match problem {
            Some(problem) => Err(Problem::failed(problem)),
            None => written,
        }
    })
}

struct Run {
    load: Load,
    begin: Moment,
    first_acknowledged: Option<Moment>,
    last_acknowledged: Moment,
}

impl Run {
    fn new(load: Load) -> Run {
        let now = Moment::now();
        Run { load, begin: now, first_acknowledged: None, last_acknowledged: now }
    }

    fn begin(&mut self) {
        self.begin = Moment::now();
    }

    async fn all(&mut self, arguments: &Arguments, value: &[u8]) -> Result<(), Stopped> {
        self.load.first_record(value).await?;
        self.first_acknowledged = Some(Moment::now());
        let left = arguments.records - 1;
        match arguments.rate {
            None => self.full_speed(left, value).await,
            Some(rate) => self.paced(left, rate, value).await,
        }
    }

    async fn full_speed(&mut self, records: u64, value: &[u8]) -> Result<(), Stopped> {
        let slice = [Record::new(value); SLICE as usize];
        let most = self.load.records_of_slice(value.len());
        let slices_between_looks = (BYTES_BETWEEN_LOOKS / (most * (value.len() as u64 + RECORD_OVERHEAD))).max(1);
        let (mut left, mut until_look) = (records, slices_between_looks);
        while left > 0 {
            let count = left.min(most);
            self.load.send(self.load.topic.into(), &slice[..count as usize], Instant::now()).await?;
            left -= count;
            until_look -= 1;
            if until_look == 0 {
                until_look = slices_between_looks;
                self.load.look().await?;
            }
        }
        Ok(())
    }

    async fn paced(&mut self, records: u64, rate: u64, value: &[u8]) -> Result<(), Stopped> {
        let slice = [Record::new(value); SLICE as usize];
        let most = self.load.records_of_slice(value.len());
        let begun = Instant::now();
        let due_at = |records: u64| {
            begun + Duration::from_nanos((u128::from(records) * 1_000_000_000 / u128::from(rate)) as u64)
        };
        let mut sent = 0;
        while sent < records {
            let due = due_at(sent);
            let now = Instant::now();
            if due > now {
                // The timer knows milliseconds only: what falls due until then goes together.
                self.load.pause(due.max(now + TICK)).await?;
                continue;
            }
            let until_now = (now - begun).as_nanos() * u128::from(rate) / 1_000_000_000 + 1;
            let count = (until_now as u64).min(records).saturating_sub(sent).clamp(1, most);
            let at = if now - due > 2 * TICK { due } else { now };
            self.load.send(self.load.topic.into(), &slice[..count as usize], at).await?;
            sent += count;
            self.load.look().await?;
        }
        Ok(())
    }

    fn summary(&self, size: usize) -> Summary {
        let Tally { acknowledged, failed, unknown, .. } = self.load.tally;
        let (begin, end) = (self.begin, self.last_acknowledged);
        let first = self.first_acknowledged.unwrap_or(end);
        let seconds = (end.at - begin.at).as_secs_f64();
        let per_second = acknowledged as f64 / seconds;
        let cpu = (end.cpu - begin.cpu).as_secs_f64() * 1e6;
        let millis = |micros: u64| micros as f64 / 1000.0;
        let at = |quantile| millis(self.load.latencies.value_at_quantile(quantile));
        Summary {
            records: self.load.tally.records(),
            acknowledged,
            failed,
            unknown,
            seconds: rounded(seconds, 6),
            records_per_second: per_second.round(),
            megabytes_per_second: rounded(per_second * size as f64 / 1e6, 3),
            cpu_microseconds_per_record: rounded(cpu / self.load.tally.records().max(1) as f64, 4),
            allocations_after_start: end.allocations.all - first.allocations.all,
            resident_mib_at_start: first.resident_mib.map(|mib| rounded(mib, 2)),
            resident_mib_at_end: end.resident_mib.map(|mib| rounded(mib, 2)),
            resident_mib_at_peak: peak_resident_mib().map(|mib| rounded(mib, 2)),
            latency_ms: LatencyMillis {
                p50: at(0.5),
                p99: at(0.99),
                p999: at(0.999),
                max: millis(self.load.latencies.max()),
            },
        }
    }
}

impl Summary {
    fn table(&self, output: &mut Output) {
        let mib = |mib: Option<f64>| mib.map_or("not known".to_owned(), |mib| format!("{mib:.1} MiB"));
        let LatencyMillis { p50, p99, p999, max } = self.latency_ms;
        let rows = [
            ("records", self.records.to_string()),
            ("acknowledged", self.acknowledged.to_string()),
            ("failed", self.failed.to_string()),
            ("unknown", self.unknown.to_string()),
            ("time", format!("{:.3} s", self.seconds)),
            ("throughput", format!("{:.0} records/s, {:.1} MB/s", self.records_per_second, self.megabytes_per_second)),
            ("CPU time", format!("{:.3} us a record", self.cpu_microseconds_per_record)),
            ("allocations after start", self.allocations_after_start.to_string()),
            ("resident at start", mib(self.resident_mib_at_start)),
            ("resident at end", mib(self.resident_mib_at_end)),
            ("resident at peak", mib(self.resident_mib_at_peak)),
            ("latency", format!("p50 {p50:.2} ms, p99 {p99:.2} ms, p99.9 {p999:.2} ms, max {max:.2} ms")),
        ];
        for (name, value) in rows {
            output.line(format_args!("{name:<24}{value}"));
        }
    }
}
