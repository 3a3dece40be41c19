//! `demitasse bench consume`: what reading costs, measured in one process as `bench produce` measures sending.

use crate::interrupt::Interrupt;
use crate::process::{Moment, peak_resident_mib};
use crate::report::{Output, Problem, rounded};
use crate::runtime;
use crate::settings::{Bootstrap, Properties};
use clap::Args;
use demitasse_io_std::{Consumer, ConsumerBuilder, Start, Topic};
use serde::Serialize;
use std::hint::black_box;

/// Records that are taken at once.
const MOST: u64 = 10_000;

/// Reads the records of a topic from the beginning, all partitions, and ends after so many.
///
/// `seconds` and CPU time are from just before the partitions are assigned to the last record; CPU time is user and system of
/// the whole process. Every batch's CRC is checked, and key and value of every record are looked at where they landed.
/// Allocations are counted in all threads, from the first records on; a connection that is opened meanwhile, to a second
/// broker or again, is counted with what the runtime allocates for its socket. Resident memory is taken at the same moments;
/// its peak is the process's. MB are those of keys and values.
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
    seconds: f64,
    records_per_second: f64,
    megabytes_per_second: f64,
    cpu_microseconds_per_record: f64,
    allocations_after_start: u64,
    resident_mib_at_start: Option<f64>,
    resident_mib_at_end: Option<f64>,
    resident_mib_at_peak: Option<f64>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Problem> {
    let (builder, bootstrap) = arguments.properties.with::<ConsumerBuilder>(&arguments.bootstrap)?;
    runtime::run(arguments.threads, async {
        let consumer = builder.start()?;
        let topic = consumer.topic(&arguments.topic)?;
        let mut interrupt = Interrupt::listen()?;
        let failed =
            |error: &dyn std::fmt::Display| Problem::failed(format!("{bootstrap}, topic {}: {error}", arguments.topic));
        let partitions = consumer.wait_partitions(topic).await.map_err(|error| failed(&error))?;
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
            summary.table(&mut output);
        }
        let written = output.finish();
        if interrupt.is_pressed() {
            let (read, wanted) = (run.records, arguments.records);
            return Err(Problem::interrupted(format!("interrupted after {read} of {wanted} records")));
        }
        end.and(written)
    })
}

struct Run {
    consumer: Consumer,
    topic: Topic,
    records: u64,
    bytes: u64,
    begin: Moment,
    first: Option<Moment>,
    last: Moment,
}

impl Run {
    fn new(consumer: Consumer, topic: Topic) -> Run {
        let now = Moment::now();
        Run { consumer, topic, records: 0, bytes: 0, begin: now, first: None, last: now }
    }

    fn assign(&mut self, partitions: u32) -> Result<(), Problem> {
        self.begin = Moment::now();
        // Perhaps nothing is read at all.
        self.last = self.begin;
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
            self.first.get_or_insert_with(Moment::now);
            for record in fetched.records() {
                let (key, value) = black_box((record.key, record.value));
                self.records += 1;
                self.bytes += (key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len)) as u64;
            }
            drop(fetched);
            self.last = Moment::now();
        }
        Ok(())
    }

    fn summary(&self) -> Summary {
        let (begin, end) = (self.begin, self.last);
        let first = self.first.unwrap_or(end);
        let seconds = (end.at - begin.at).as_secs_f64();
        let a_second = |number: u64| if seconds > 0.0 { number as f64 / seconds } else { 0.0 };
        let cpu = (end.cpu - begin.cpu).as_secs_f64() * 1e6;
        let mib = |mib: Option<f64>| mib.map(|mib| rounded(mib, 2));
        Summary {
            records: self.records,
            bytes: self.bytes,
            seconds: rounded(seconds, 6),
            records_per_second: a_second(self.records).round(),
            megabytes_per_second: rounded(a_second(self.bytes) / 1e6, 3),
            cpu_microseconds_per_record: rounded(cpu / self.records.max(1) as f64, 4),
            allocations_after_start: end.allocations.all - first.allocations.all,
            resident_mib_at_start: mib(first.resident_mib),
            resident_mib_at_end: mib(end.resident_mib),
            resident_mib_at_peak: mib(peak_resident_mib()),
        }
    }
}

impl Summary {
    fn table(&self, output: &mut Output) {
        let mib = |mib: Option<f64>| mib.map_or("not known".to_owned(), |mib| format!("{mib:.1} MiB"));
        let rows = [
            ("records", self.records.to_string()),
            ("bytes", self.bytes.to_string()),
            ("time", format!("{:.3} s", self.seconds)),
            ("throughput", format!("{:.0} records/s, {:.1} MB/s", self.records_per_second, self.megabytes_per_second)),
            ("CPU time", format!("{:.3} us a record", self.cpu_microseconds_per_record)),
            ("allocations after start", self.allocations_after_start.to_string()),
            ("resident at start", mib(self.resident_mib_at_start)),
            ("resident at end", mib(self.resident_mib_at_end)),
            ("resident at peak", mib(self.resident_mib_at_peak)),
        ];
        for (name, value) in rows {
            output.line(format_args!("{name:<24}{value}"));
        }
    }
}
