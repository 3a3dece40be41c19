//! `demitasse bench consume`: what reading costs, measured in one process as `bench produce` measures sending.

use super::figures::{Figures, Moments, Work};
use crate::interrupt::Interrupt;
use crate::process::Moment;
use crate::report::{Output, Problem, histogram};
use crate::runtime;
use crate::settings::{Bootstrap, Properties};
use clap::Args;
use demitasse_io_std::{Consumer, ConsumerBuilder, Start, Topic};
use hdrhistogram::Histogram;
use serde::Serialize;
use std::hint::black_box;
use std::time::{SystemTime, UNIX_EPOCH};

/// Records that are taken at once.
const MOST: u64 = 10_000;

/// The greatest age that is told, in microseconds.
const CENTURY: u64 = 100 * 365 * 86_400_000_000;

/// Reads the records of a topic from the beginning, all partitions, and ends after so many.
///
/// `seconds` and CPU time are from just before the partitions are assigned to the last record; CPU time is user and system of
/// the whole process. Every batch's CRC is checked, and key and value of every record are looked at where they landed.
/// Allocations are counted in all threads, from the first records on; a connection that is opened meanwhile, to a second
/// broker or again, is counted with what the runtime allocates for its socket. Resident memory is taken at the same moments;
/// its peak is the process's. MB are those of keys and values.
///
/// Latency is from a record's timestamp to when it was handed out, in whole milliseconds and as the two clocks have it, of every
/// record that has a timestamp. Of a backlog it is the records' age: what a delay costs shows where the topic is written meanwhile.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    bootstrap: Bootstrap,
    /// The topic to read.
    #[arg(long)]
    topic: String,
    /// How many records to read; while there are fewer it waits.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    records: u64,
    #[command(flatten)]
    properties: Properties,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// Threads beside the reading one that run the consumer; with 0 one thread does all.
    #[arg(long, default_value_t = 0)]
    threads: usize,
}

#[derive(Serialize)]
struct Summary {
    records: u64,
    bytes: u64,
    #[serde(flatten)]
    figures: Figures,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Problem> {
    let (builder, bootstrap) = arguments.properties.with::<ConsumerBuilder>(&arguments.bootstrap)?;
    runtime::run(arguments.threads, async {
        let mut interrupt = Interrupt::listen()?;
        let consumer = builder.start()?;
        let topic = consumer.topic(&arguments.topic)?;
        let failed =
            |error: &dyn std::fmt::Display| Problem::failed(format!("{bootstrap}, topic {}: {error}", arguments.topic));
        let partitions = tokio::select! {
            biased;
            () = interrupt.pressed() => return Err(interrupt.problem("interrupted before the topic was found")),
            partitions = consumer.wait_partitions(topic) => partitions.map_err(|error| failed(&error))?,
        };
        let mut run = Run::new(consumer, topic);
        run.assign(partitions)?;
        let end = tokio::select! {
            biased;
            () = interrupt.pressed() => Ok(()),
            end = run.all(arguments.records) => end.map_err(|error| failed(&error)),
        };
        let summary = run.summary();
        let mut output = Output::new();
        if arguments.json {
            output.json(&summary);
        } else {
            summary.figures.table(&[("records", summary.records), ("bytes", summary.bytes)], &mut output);
        }
        let written = output.finish();
        if interrupt.is_pressed() {
            let (read, wanted) = (run.records, arguments.records);
            return Err(interrupt.problem(format!("interrupted after {read} of {wanted} records")));
        }
        end.and(written)
    })
}

struct Run {
    consumer: Consumer,
    topic: Topic,
    records: u64,
    bytes: u64,
    moments: Moments,
    /// In microseconds.
    ages: Histogram<u64>,
}

impl Run {
    fn new(consumer: Consumer, topic: Topic) -> Run {
        Run { consumer, topic, records: 0, bytes: 0, moments: Moments::now(), ages: histogram(CENTURY) }
    }

    fn assign(&mut self, partitions: u32) -> Result<(), Problem> {
        self.moments = Moments::now();
        for partition in 0..partitions as i32 {
            self.consumer.assign(self.topic, partition, Start::Beginning)?;
        }
        Ok(())
    }

    async fn all(&mut self, records: u64) -> Result<(), demitasse_io_std::ConsumeError> {
        while self.records < records {
            let most = (records - self.records).min(MOST) as u32;
            let Some(fetched) = self.consumer.poll(most).await? else { break };
            // What a first poll needs of the runtime has been had.
            self.moments.first.get_or_insert_with(Moment::now);
            let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
            // Records of one millisecond are counted together: a look into the histogram for each would be measured, too.
            let (mut written, mut together) = (-1, 0);
            for record in fetched.records() {
                if record.timestamp != written {
                    count(&mut self.ages, now, written, together);
                    (written, together) = (record.timestamp, 0);
                }
                together += 1;
                let (key, value) = black_box((record.key, record.value));
                self.records += 1;
                self.bytes += (key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len)) as u64;
            }
            count(&mut self.ages, now, written, together);
            drop(fetched);
            self.moments.end = Moment::now();
        }
        Ok(())
    }

    fn summary(&self) -> Summary {
        let Run { records, bytes, .. } = *self;
        let figures = Figures::new(&self.moments, &Work { records, done: records, bytes }, &self.ages);
        Summary { records, bytes, figures }
    }
}

/// Counts how old records were, in microseconds; those without a timestamp are not counted.
fn count(ages: &mut Histogram<u64>, now: i64, written: i64, records: u64) {
    if written >= 0 {
        let age = u64::try_from(now.saturating_sub(written)).unwrap_or(0).saturating_mul(1000);
        ages.saturating_record_n(age.clamp(1, CENTURY), records);
    }
}
