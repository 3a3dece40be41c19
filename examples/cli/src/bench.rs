//! `demitasse bench produce`: what the library costs, measured in one process.
//!
//! Whatever the measurement needs is allocated before it begins: an allocation that is counted is the library's.

use crate::interrupt::Interrupt;
use crate::process::{cpu_time, resident_mib};
use crate::produce::PATIENCE;
use crate::report::{Output, Problem, Tally, Trouble, rounded};
use crate::runtime;
use crate::settings::{Bootstrap, Properties};
use crate::topics::create_if_missing;
use clap::Args;
use demitasse_io_std::guard;
use demitasse_io_std::{Delivery, DeliveryError, Destination, Producer, Receipt, Record, Topic};
use hdrhistogram::Histogram;
use serde::Serialize;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Records that are handed over at once, and are one delivery; fewer if they are large.
const SLICE: u64 = 64;

/// Bytes of a record beside its value, and then some.
const RECORD_OVERHEAD: u64 = 32;

/// Deliveries whose outcome may be open at once: more than fit into the default `buffer.memory`.
const WINDOW: usize = 64 * 1024;

/// Bytes handed over between two looks at what has come back: a batch of the default size.
const BYTES_BETWEEN_LOOKS: u64 = 64 * 1024;

/// With `--rate`, the records of so long are handed over together.
const TICK: Duration = Duration::from_millis(1);

const DAY: u64 = 86_400_000_000;

/// Produces records of one size without keys and observes the outcome of every one.
///
/// Records are handed over in slices of 64, fewer if they are large (with --rate, of what is due each millisecond); deliveries are awaited in
/// order. `seconds` and CPU time are from just before the first send to the last acknowledgement; CPU time is user and
/// system of the whole process. Allocations are counted in all threads, from when the first record was acknowledged to the
/// last acknowledgement; a connection that is opened meanwhile, to a second broker or again, is counted with what the runtime
/// allocates for its socket. Resident memory is taken at the same moments; it still grows by those batch buffers,
/// buffer.memory at most, that the system hands out only when they are first used.
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
    let (builder, bootstrap) = arguments.properties.with(&arguments.bootstrap)?;
    let value = vec![b'x'; arguments.size];
    runtime::run(arguments.threads, async {
        if let Some(partitions) = arguments.partitions {
            create_if_missing(&bootstrap, &arguments.topic, partitions).await?;
        }
        let producer = builder.start()?;
        let topic = producer.topic(&arguments.topic)?;
        let mut run = Run::new(producer, topic, Interrupt::listen()?);
        run.begin();
        let end = run.all(arguments, &value).await;
        run.settle(end.is_err()).await;
        let summary = run.summary(arguments.size);
        let mut output = Output::new();
        if arguments.json {
            output.json(&summary);
        } else {
            summary.table(&mut output);
        }
        let written = output.finish();
        let problem = run.tally.problem(&arguments.topic, &bootstrap);
        if run.interrupt.is_pressed() {
            let and = problem.map_or(String::new(), |problem| format!("; {problem}"));
            return Err(Problem::interrupted(format!("interrupted after {} records{and}", summary.records)));
        }
        match problem {
            Some(problem) => Err(Problem::failed(problem)),
            None => written,
        }
    })
}

/// Records that were handed over together.
struct Sent {
    delivery: Delivery,
    at: Instant,
}

/// What the process had used at some moment.
#[derive(Clone, Copy)]
struct Moment {
    at: Instant,
    cpu: Duration,
    allocations: u64,
    resident_mib: Option<f64>,
}

impl Moment {
    fn now() -> Moment {
        Moment { at: Instant::now(), cpu: cpu_time(), allocations: guard::counts().all, resident_mib: resident_mib() }
    }
}

/// No more is to be sent.
struct Stopped;

struct Run {
    producer: Producer,
    topic: Topic,
    interrupt: Interrupt,
    window: VecDeque<Sent>,
    latencies: Histogram<u64>,
    tally: Tally,
    begin: Moment,
    first_acknowledged: Option<Moment>,
    last_acknowledged: Moment,
}

impl Run {
    fn new(producer: Producer, topic: Topic, interrupt: Interrupt) -> Run {
        let latencies = Histogram::new_with_bounds(1, DAY, 3).or_else(|_| Histogram::new(3));
        let now = Moment::now();
        Run {
            producer,
            topic,
            interrupt,
            window: VecDeque::with_capacity(WINDOW),
            latencies: latencies.unwrap_or_else(|_| unreachable!("three digits are allowed")),
            tally: Tally::default(),
            begin: now,
            first_acknowledged: None,
            last_acknowledged: now,
        }
    }

    fn begin(&mut self) {
        self.begin = Moment::now();
    }

    async fn all(&mut self, arguments: &Arguments, value: &[u8]) -> Result<(), Stopped> {
        self.first_record(value).await?;
        let left = arguments.records - 1;
        match arguments.rate {
            None => self.full_speed(left, value).await,
            Some(rate) => self.paced(left, rate, value).await,
        }
    }

    /// Sends one record and waits for it: from its acknowledgement on allocations are counted.
    async fn first_record(&mut self, value: &[u8]) -> Result<(), Stopped> {
        // Tokio's list of tasks that yielded is made by the first of them: it is not the library's.
        self.look().await?;
        self.send(self.topic.into(), &[Record::new(value)], Instant::now()).await?;
        self.settle_window().await?;
        self.first_acknowledged = Some(Moment::now());
        Ok(())
    }

    async fn settle_window(&mut self) -> Result<(), Stopped> {
        let _ = self.producer.flush().await;
        while !self.window.is_empty() {
            self.wait().await?;
        }
        Ok(())
    }

    async fn full_speed(&mut self, records: u64, value: &[u8]) -> Result<(), Stopped> {
        let slice = [Record::new(value); SLICE as usize];
        let most = self.records_of_slice(value);
        let slices_between_looks = (BYTES_BETWEEN_LOOKS / (most * (value.len() as u64 + RECORD_OVERHEAD))).max(1);
        let (mut left, mut until_look) = (records, slices_between_looks);
        while left > 0 {
            let count = left.min(most);
            self.send(self.topic.into(), &slice[..count as usize], Instant::now()).await?;
            left -= count;
            until_look -= 1;
            if until_look == 0 {
                until_look = slices_between_looks;
                self.look().await?;
            }
        }
        Ok(())
    }

    /// A slice is taken whole or not at all: it should not need more than one batch.
    fn records_of_slice(&self, value: &[u8]) -> u64 {
        let batch = u64::from(self.producer.memory().buffers.entry_bytes);
        (batch / (value.len() as u64 + RECORD_OVERHEAD)).clamp(1, SLICE)
    }

    async fn paced(&mut self, records: u64, rate: u64, value: &[u8]) -> Result<(), Stopped> {
        let slice = [Record::new(value); SLICE as usize];
        let most = self.records_of_slice(value);
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
                self.pause(due.max(now + TICK)).await?;
                continue;
            }
            let until_now = (now - begun).as_nanos() * u128::from(rate) / 1_000_000_000 + 1;
            let count = (until_now as u64).min(records).saturating_sub(sent).clamp(1, most);
            let at = if now - due > 2 * TICK { due } else { now };
            self.send(self.topic.into(), &slice[..count as usize], at).await?;
            sent += count;
            self.look().await?;
        }
        Ok(())
    }

    /// Sleeps, and meanwhile observes what comes back.
    async fn pause(&mut self, until: Instant) -> Result<(), Stopped> {
        let mut sleep = std::pin::pin!(tokio::time::sleep_until(until.into()));
        loop {
            let Some(front) = self.window.front().map(|sent| sent.delivery) else {
                return tokio::select! {
                    () = self.interrupt.pressed() => Err(Stopped),
                    () = sleep => Ok(()),
                };
            };
            tokio::select! {
                () = self.interrupt.pressed() => return Err(Stopped),
                () = &mut sleep => return Ok(()),
                result = self.producer.wait(front) => self.told(result, Instant::now()),
            }
        }
    }

    async fn send(&mut self, to: Destination, records: &[Record<'_>], at: Instant) -> Result<(), Stopped> {
        while self.window.len() == WINDOW {
            self.wait().await?;
        }
        let delivery = tokio::select! {
            biased;
            delivery = self.producer.send_slice(to, records) => delivery,
            () = self.interrupt.pressed() => return Err(Stopped),
        };
        match delivery {
            Ok(delivery) => self.window.push_back(Sent { delivery, at }),
            Err(error) => {
                self.tally.refused(Trouble::Send(error), records.len() as u64);
                return Err(Stopped);
            }
        }
        Ok(())
    }

    /// Lets the producer's tasks run, and observes what has come back.
    async fn look(&mut self) -> Result<(), Stopped> {
        tokio::task::yield_now().await;
        let now = Instant::now();
        while let Some(sent) = self.window.front() {
            let Some(result) = self.producer.outcome(&sent.delivery) else { break };
            self.told(result, now);
        }
        if self.interrupt.is_pressed() { Err(Stopped) } else { Ok(()) }
    }

    /// Waits for the oldest delivery.
    async fn wait(&mut self) -> Result<(), Stopped> {
        let Some(sent) = self.window.front() else { return Ok(()) };
        let result = tokio::select! {
            biased;
            result = self.producer.wait(sent.delivery) => result,
            () = self.interrupt.pressed() => return Err(Stopped),
        };
        self.told(result, Instant::now());
        Ok(())
    }

    /// The oldest delivery has its outcome.
    fn told(&mut self, result: Result<Receipt, DeliveryError>, now: Instant) {
        let Some(sent) = self.window.pop_front() else { return };
        match result {
            Ok(receipt) => {
                self.tally.acknowledged += u64::from(receipt.count);
                let micros = (now - sent.at).as_micros() as u64;
                self.latencies.saturating_record_n(micros.clamp(1, DAY), receipt.count.into());
            }
            Err(error) => self.tally.undelivered(error),
        }
    }

    /// Observes the rest; after an error or Ctrl-C with little patience.
    async fn settle(&mut self, in_a_hurry: bool) {
        if in_a_hurry {
            self.producer.close(PATIENCE).await;
        } else {
            let _ = self.producer.flush().await;
        }
        while let Some(sent) = self.window.front() {
            // Not `self.wait`: a Ctrl-C before may not end this one, it is bounded.
            let result = self.producer.wait(sent.delivery).await;
            self.told(result, Instant::now());
        }
        self.last_acknowledged = Moment::now();
    }

    fn summary(&self, size: usize) -> Summary {
        let Tally { acknowledged, failed, unknown, .. } = self.tally;
        let (begin, end) = (self.begin, self.last_acknowledged);
        let first = self.first_acknowledged.unwrap_or(end);
        let seconds = (end.at - begin.at).as_secs_f64();
        let per_second = acknowledged as f64 / seconds;
        let cpu = (end.cpu - begin.cpu).as_secs_f64() * 1e6;
        let millis = |micros: u64| micros as f64 / 1000.0;
        let at = |quantile| millis(self.latencies.value_at_quantile(quantile));
        Summary {
            records: self.tally.records(),
            acknowledged,
            failed,
            unknown,
            seconds: rounded(seconds, 6),
            records_per_second: per_second.round(),
            megabytes_per_second: rounded(per_second * size as f64 / 1e6, 3),
            cpu_microseconds_per_record: rounded(cpu / self.tally.records().max(1) as f64, 4),
            allocations_after_start: end.allocations - first.allocations,
            resident_mib_at_start: first.resident_mib.map(|mib| rounded(mib, 2)),
            resident_mib_at_end: end.resident_mib.map(|mib| rounded(mib, 2)),
            latency_ms: LatencyMillis {
                p50: at(0.5),
                p99: at(0.99),
                p999: at(0.999),
                max: millis(self.latencies.max()),
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
            ("latency", format!("p50 {p50:.2} ms, p99 {p99:.2} ms, p99.9 {p999:.2} ms, max {max:.2} ms")),
        ];
        for (name, value) in rows {
            output.line(format_args!("{name:<24}{value}"));
        }
    }
}
