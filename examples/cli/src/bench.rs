//! `demitasse bench produce`: what the library costs, measured in one process.
//!
//! Whatever the measurement needs is allocated before it begins: an allocation that is counted is the library's.

pub(crate) mod consume;
mod figures;

use crate::interrupt::Interrupt;
use crate::load::{Load, RECORD_OVERHEAD, SLICE, Stopped};
use crate::process::Moment;
use crate::report::{Output, Problem, Tally};
use crate::runtime;
use crate::settings::{Bootstrap, Properties};
use crate::topics::create_if_missing;
use clap::Args;
use demitasse_io_std::{Builder, Record};
use figures::{Figures, Moments, Work};
use serde::Serialize;
use std::time::{Duration, Instant};

/// Bytes handed over between two looks at what has come back: a batch of the default size.
const BYTES_BETWEEN_LOOKS: u64 = 64 * 1024;

/// With `--rate`, the records of so long are handed over together.
const TICK: Duration = Duration::from_millis(1);

/// Produces records of one size without keys and observes the outcome of every one.
///
/// Records are handed over in slices of 64, fewer if they are large (with --rate, of what is due each millisecond); deliveries
/// are awaited in order. `seconds` and CPU time are from just before the first send to the last acknowledgement; CPU time is user
/// and system of the whole process. Allocations are counted in all threads, from when the first record was acknowledged to the
/// last acknowledgement; a connection that is opened meanwhile, to a second broker or again, is counted with what the runtime
/// allocates for its socket. Resident memory is taken at the same moments; it still grows by those batch buffers, buffer.memory
/// at most, that the system hands out only when they are first used. Its peak is the process's.
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
    #[serde(flatten)]
    figures: Figures,
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
        run.moments = Moments::now();
        let end = run.all(arguments, &value).await;
        run.load.settle(end.is_err()).await;
        run.moments.end = Moment::now();
        let summary = run.summary(arguments.size);
        let mut output = Output::new();
        if arguments.json {
            output.json(&summary);
        } else {
            let Summary { records, acknowledged, failed, unknown, .. } = summary;
            let counts =
                [("records", records), ("acknowledged", acknowledged), ("failed", failed), ("unknown", unknown)];
            summary.figures.table(&counts, &mut output);
        }
        let written = output.finish();
        let problem = run.load.tally.problem(&arguments.topic, &bootstrap);
        if run.load.interrupt.is_pressed() {
            let and = problem.map_or(String::new(), |problem| format!("; {problem}"));
            return Err(run.load.interrupt.problem(format!("interrupted after {} records{and}", summary.records)));
        }
        match problem {
            Some(problem) => Err(Problem::failed(problem)),
            None => written,
        }
    })
}

struct Run {
    load: Load,
    moments: Moments,
}

impl Run {
    fn new(load: Load) -> Run {
        Run { load, moments: Moments::now() }
    }

    async fn all(&mut self, arguments: &Arguments, value: &[u8]) -> Result<(), Stopped> {
        self.load.first_record(value).await?;
        self.moments.first = Some(Moment::now());
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
        let records = self.load.tally.records();
        let work = Work { records, done: acknowledged, bytes: acknowledged * size as u64 };
        let figures = Figures::new(&self.moments, &work, &self.load.latencies);
        Summary { records, acknowledged, failed, unknown, figures }
    }
}
