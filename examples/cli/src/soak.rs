//! `demitasse soak`: produces for as long as one likes, and prints that memory does not move.
//!
//! Everything that it needs is allocated before it begins, the samples included: what is counted later is the library's.

mod slope;

use crate::interrupt::Interrupt;
use crate::load::{Load, RECORD_OVERHEAD, SLICE, Stopped};
use crate::process::Moment;
use crate::report::{Output, Problem, rounded};
use crate::runtime;
use crate::settings::{Bootstrap, Properties};
use crate::topics::create_if_missing;
use clap::Args;
use demitasse_io_std::{Builder, Destination, MemoryPlan, Record};
use fastrand::Rng;
use serde::Serialize;
use slope::{Slope, slope};
use std::time::{Duration, Instant};

/// Resident memory may be so much larger at the end than after the warm-up: what the system counts is no exacter.
const RESIDENT_MIB_MORE: f64 = 1.0;

/// What the broker keeps of each partition. Nobody reads it, and the disk is not to be what ends a soak.
const LOG: &[(&str, &str)] =
    &[("retention.bytes", "67108864"), ("segment.bytes", "33554432"), ("file.delete.delay.ms", "1000")];

/// Produces continually, with values from one byte to a whole batch, to one partition or all, in bursts and with pauses.
///
/// Prints a line every few seconds, and at the end how resident memory has moved since the warm-up, which is a tenth of the
/// time and half a minute at most. It fails (exit code 1) if a record was not acknowledged, if the client allocated after
/// the warm-up, if resident memory is more than 1 MiB larger than then or grows for certain, or if a pool is not whole when
/// all is done.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    bootstrap: Bootstrap,
    /// The topic to send to.
    #[arg(long, default_value = "demitasse-soak")]
    topic: String,
    /// Create the topic with so many partitions, if it does not exist; of each the broker keeps 64 MiB, and what has come
    /// since it looked last (log.retention.check.interval.ms, 5 minutes by itself).
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(i32).range(1..))]
    partitions: i32,
    /// For how long, as in 90s, 10m or 24h.
    #[arg(long, value_parser = humantime::parse_duration)]
    duration: Duration,
    /// Records a second while it does not pause; without it as fast as can be.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    rate: Option<u64>,
    /// Cut all connections every few seconds, whatever is outstanding on them.
    #[arg(long)]
    faults: bool,
    /// A line every so often.
    #[arg(long, default_value = "5s", value_parser = humantime::parse_duration)]
    every: Duration,
    #[command(flatten)]
    properties: Properties,
    /// One JSON object a line, the last one the summary.
    #[arg(long)]
    json: bool,
    /// Threads beside the sending one that run the producer; with 0 one thread does all.
    #[arg(long, default_value_t = 0)]
    threads: usize,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Problem> {
    let (builder, bootstrap) = arguments.properties.with::<Builder>(&arguments.bootstrap)?;
    if arguments.every.is_zero() || arguments.duration < 10 * arguments.every {
        return Err(Problem::usage("--duration: at least ten times --every, or memory cannot be judged"));
    }
    runtime::run(arguments.threads, async {
        create_if_missing(&bootstrap, &arguments.topic, arguments.partitions, LOG).await?;
        let producer = builder.start()?;
        let topic = producer.topic(&arguments.topic)?;
        let mut soak = Soak::new(arguments, Load::new(producer, topic, Interrupt::listen()?));
        let stopped = soak.all().await.is_err();
        soak.load.settle(stopped).await;
        let summary = soak.summary();
        soak.tell_summary(&summary);
        let problem = soak.load.tally.problem(&arguments.topic, &bootstrap);
        soak.output.finish()?;
        let broken = problem.into_iter().chain(summary.broken.iter().map(|promise| (*promise).to_owned()));
        let broken = broken.collect::<Vec<_>>().join("; ");
        match (soak.load.interrupt.is_pressed(), broken.is_empty()) {
            (_, false) => Err(Problem::failed(broken)),
            (true, true) => Err(soak.load.interrupt.problem("interrupted; no promise was broken until then")),
            (false, true) => Ok(()),
        }
    })
}

/// What is sent for a while.
struct Phase {
    until: Instant,
    /// Nothing at all, if zero: a pause.
    value_bytes: usize,
    /// So many partitions, from the first.
    partitions: i32,
    /// Records so far, and since when: for the rate.
    sent: u64,
    since: Instant,
}

struct Soak<'a> {
    arguments: &'a Arguments,
    load: Load,
    output: Output,
    rng: Rng,
    /// As long as the longest value.
    value: Box<[u8]>,
    begin: Moment,
    end: Instant,
    /// Until here nothing is judged.
    warm: Instant,
    after_warm_up: Option<Moment>,
    phase: Phase,
    next_cut: Instant,
    next_line: Instant,
    /// At the last line.
    line: Moment,
    acknowledged_before: u64,
    /// Seconds and MiB.
    samples: Vec<(f64, f64)>,
}

/// One line while it runs.
#[derive(Serialize)]
struct Line {
    seconds: f64,
    records_per_second: f64,
    p99_ms: f64,
    resident_mib: Option<f64>,
    client_allocations: u64,
    connecting_allocations: u64,
    connections: u32,
    partitions_moving: usize,
    pools: [Use; 10],
}

/// Of one pool.
#[derive(Serialize)]
struct Use {
    name: &'static str,
    used: u32,
    high_water: u32,
    capacity: u32,
}

#[derive(Serialize)]
struct Summary {
    seconds: f64,
    records: u64,
    acknowledged: u64,
    failed: u64,
    unknown: u64,
    client_allocations: u64,
    connections_opened: usize,
    resident_mib_after_warm_up: Option<f64>,
    resident_mib_at_end: Option<f64>,
    resident_mib_per_hour: Option<Slope>,
    pools: [Use; 10],
    broken: Vec<&'static str>,
}

fn uses(memory: &MemoryPlan) -> [Use; 10] {
    memory.pools().map(|(name, pool)| Use {
        name,
        used: pool.used,
        high_water: pool.high_water,
        capacity: pool.capacity,
    })
}

impl<'a> Soak<'a> {
    fn new(arguments: &'a Arguments, load: Load) -> Self {
        let begin = Moment::now();
        let warm_up = (arguments.duration / 10).min(Duration::from_secs(30));
        let lines = arguments.duration.as_nanos() / arguments.every.as_nanos() + 2;
        let longest = load.producer.memory().buffers.entry_bytes as usize;
        let longest = longest.saturating_sub(2 * RECORD_OVERHEAD as usize + 61).max(1);
        Soak {
            arguments,
            output: Output::new(),
            rng: Rng::new(),
            value: vec![b'x'; longest].into_boxed_slice(),
            begin,
            end: begin.at + arguments.duration,
            warm: begin.at + warm_up,
            after_warm_up: None,
            phase: Phase { until: begin.at, value_bytes: 0, partitions: 1, sent: 0, since: begin.at },
            next_cut: begin.at + Duration::from_secs(5),
            next_line: begin.at + arguments.every,
            line: begin,
            acknowledged_before: 0,
            samples: Vec::with_capacity(lines.min(10_000_000) as usize),
            load,
        }
    }

    async fn all(&mut self) -> Result<(), Stopped> {
        self.load.first_record(b"first").await?;
        loop {
            let now = Instant::now();
            if now >= self.end {
                return Ok(());
            }
            if now >= self.warm && self.after_warm_up.is_none() {
                self.after_warm_up = Some(Moment::now());
            }
            if now >= self.next_line {
                self.tell_line();
            }
            if now >= self.phase.until {
                self.draw_phase(now);
            }
            if self.arguments.faults && now >= self.next_cut {
                self.load.producer.disconnect();
                self.next_cut = now + Duration::from_millis(self.rng.u64(500..8_000));
            }
            self.step(now).await?;
        }
    }

    /// Half of the phases are bursts of records of one size, from one byte to all that fits, small ones as often as large.
    fn draw_phase(&mut self, now: Instant) {
        let pause = self.rng.u32(0..5) == 0;
        let bits = (self.value.len() as f64).log2();
        let value_bytes = if pause { 0 } else { (self.rng.f64() * bits).exp2() as usize };
        let millis = self.rng.u64(50..3_000);
        self.phase = Phase {
            until: now + Duration::from_millis(millis),
            value_bytes: value_bytes.min(self.value.len()),
            partitions: self.rng.i32(1..=self.arguments.partitions),
            sent: 0,
            since: now,
        };
    }

    async fn step(&mut self, now: Instant) -> Result<(), Stopped> {
        let Phase { until, value_bytes, partitions, sent, since } = self.phase;
        let wake = until.min(self.next_line).min(self.end);
        if value_bytes == 0 {
            return self.load.pause(wake).await;
        }
        let mut most = self.load.records_of_slice(value_bytes);
        if let Some(rate) = self.arguments.rate {
            let due = ((now - since).as_secs_f64() * rate as f64) as u64;
            if due <= sent {
                return self.load.pause(wake.min(now + Duration::from_millis(1))).await;
            }
            most = most.min(due - sent);
        }
        let value = &self.value[..value_bytes];
        let records = [Record::new(value); SLICE as usize];
        let to: Destination = match self.rng.bool() {
            true => self.load.topic.partition(self.rng.i32(0..partitions)),
            false => self.load.topic.into(),
        };
        self.load.send(to, &records[..most as usize], Instant::now()).await?;
        self.phase.sent += most;
        self.load.look().await
    }

    fn tell_line(&mut self) {
        let now = Moment::now();
        let memory = self.load.producer.metrics();
        let acknowledged = self.load.tally.acknowledged;
        let seconds = (now.at - self.line.at).as_secs_f64();
        let base = self.after_warm_up.unwrap_or(now).allocations;
        let line = Line {
            seconds: rounded((now.at - self.begin.at).as_secs_f64(), 1),
            records_per_second: ((acknowledged - self.acknowledged_before) as f64 / seconds).round(),
            p99_ms: self.load.latencies.value_at_quantile(0.99) as f64 / 1000.0,
            resident_mib: now.resident_mib.map(|mib| rounded(mib, 2)),
            client_allocations: now.allocations.client - base.client,
            connecting_allocations: now.allocations.connecting - base.connecting,
            connections: memory.memory.connections.used,
            partitions_moving: memory.moving,
            pools: uses(&memory.memory),
        };
        if let (Some(mib), Some(warm)) = (now.resident_mib, self.after_warm_up)
            && self.samples.len() < self.samples.capacity()
        {
            self.samples.push(((now.at - warm.at).as_secs_f64(), mib));
        }
        if self.arguments.json {
            self.output.json(&line);
        } else {
            line.tell(&mut self.output);
        }
        self.output.flush();
        self.load.latencies.reset();
        (self.line, self.acknowledged_before) = (now, acknowledged);
        self.next_line = now.at + self.arguments.every;
    }

    fn summary(&mut self) -> Summary {
        let end = Moment::now();
        let warm = self.after_warm_up.unwrap_or(end);
        let metrics = self.load.producer.metrics();
        let client_allocations = end.allocations.client - warm.allocations.client;
        let hours = (end.at - warm.at).as_secs_f64() / 3600.0;
        let trend = slope(&self.samples).map(|slope| slope.times(3600.0));
        let mut broken = Vec::new();
        if client_allocations > 0 {
            broken.push("the client allocated after its start");
        }
        let more = end.resident_mib.zip(warm.resident_mib).is_some_and(|(end, warm)| end - warm > RESIDENT_MIB_MORE);
        let grows = trend.is_some_and(|slope| slope.least() * hours > RESIDENT_MIB_MORE);
        if more || grows {
            broken.push("resident memory has grown by more than 1 MiB");
        }
        let memory = &metrics.memory;
        if memory.buffers.used + memory.batches.used + memory.waiters.used > 0 {
            broken.push("a pool is not whole although all is done");
        }
        let tally = &self.load.tally;
        Summary {
            seconds: rounded((end.at - self.begin.at).as_secs_f64(), 1),
            records: tally.records(),
            acknowledged: tally.acknowledged,
            failed: tally.failed,
            unknown: tally.unknown,
            client_allocations,
            connections_opened: metrics.counters.connections_opened,
            resident_mib_after_warm_up: warm.resident_mib.map(|mib| rounded(mib, 2)),
            resident_mib_at_end: end.resident_mib.map(|mib| rounded(mib, 2)),
            resident_mib_per_hour: trend,
            pools: uses(memory),
            broken,
        }
    }

    fn tell_summary(&mut self, summary: &Summary) {
        if self.arguments.json {
            self.output.json(summary);
        } else {
            summary.tell(&mut self.output);
        }
    }
}

impl Line {
    fn tell(&self, output: &mut Output) {
        let Line { seconds, records_per_second, p99_ms, connections, .. } = self;
        let resident = self.resident_mib.unwrap_or(f64::NAN);
        output.part(format_args!(
            "{seconds:8.1} s  {records_per_second:9.0} records/s  p99 {p99_ms:8.2} ms  resident {resident:6.2} MiB  \
             allocations {}  connections {connections}",
            self.client_allocations
        ));
        tell_pools(&self.pools, output);
    }
}

/// Used now, the most that ever were, and how many there are.
fn tell_pools(pools: &[Use], output: &mut Output) {
    for Use { name, used, high_water, capacity } in pools.iter().filter(|pool| pool.name != "connections") {
        output.part(format_args!("  {name} {used}/{high_water}/{capacity}"));
    }
    output.line("");
}

impl Summary {
    fn tell(&self, output: &mut Output) {
        let mib = |mib: Option<f64>| mib.unwrap_or(f64::NAN);
        let Summary { records, acknowledged, failed, unknown, seconds, .. } = self;
        output.line(format_args!(
            "{records} records in {seconds} s: {acknowledged} acknowledged, {failed} failed, {unknown} unknown"
        ));
        output.line(format_args!("connections opened {}", self.connections_opened));
        output.line(format_args!("allocations by the client {}", self.client_allocations));
        output.line(format_args!(
            "resident memory after the warm-up {:.2} MiB, at the end {:.2} MiB",
            mib(self.resident_mib_after_warm_up),
            mib(self.resident_mib_at_end)
        ));
        if let Some(Slope { per, plus_minus }) = self.resident_mib_per_hour {
            output.line(format_args!("slope {per:.2} MiB an hour, 95 % sure within {plus_minus:.2}"));
        }
        output.part("pools, used/most/all:");
        tell_pools(&self.pools, output);
    }
}
