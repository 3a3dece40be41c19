//! What a measurement found, the same for sending and for reading.

use crate::process::{Moment, peak_resident_mib};
use crate::report::{Output, rounded};
use hdrhistogram::Histogram;
use serde::Serialize;

/// The moments between which is measured.
#[derive(Clone, Copy)]
pub(super) struct Moments {
    /// Time and CPU are counted from here.
    pub(super) begin: Moment,
    /// Allocations and growth are: the first record has come through.
    pub(super) first: Option<Moment>,
    /// The last record has.
    pub(super) end: Moment,
}

impl Moments {
    pub(super) fn now() -> Moments {
        let now = Moment::now();
        Moments { begin: now, first: None, end: now }
    }
}

/// How much was done between them.
pub(super) struct Work {
    /// Records with an outcome: what CPU time is shared by.
    pub(super) records: u64,
    /// Of them those that count for the rates.
    pub(super) done: u64,
    /// Bytes of these.
    pub(super) bytes: u64,
}

#[derive(Serialize)]
pub(super) struct Figures {
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

impl Figures {
    /// `latencies` are in microseconds.
    pub(super) fn new(moments: &Moments, work: &Work, latencies: &Histogram<u64>) -> Figures {
        let Moments { begin, first, end } = *moments;
        let first = first.unwrap_or(end);
        let seconds = (end.at - begin.at).as_secs_f64();
        let a_second = |number: u64| if seconds > 0.0 { number as f64 / seconds } else { 0.0 };
        let cpu = (end.cpu - begin.cpu).as_secs_f64() * 1e6;
        let mib = |mib: Option<f64>| mib.map(|mib| rounded(mib, 2));
        let millis = |micros: u64| micros as f64 / 1000.0;
        let at = |quantile| millis(latencies.value_at_quantile(quantile));
        Figures {
            seconds: rounded(seconds, 6),
            records_per_second: a_second(work.done).round(),
            megabytes_per_second: rounded(a_second(work.bytes) / 1e6, 3),
            cpu_microseconds_per_record: rounded(cpu / work.records.max(1) as f64, 4),
            allocations_after_start: end.allocations.all - first.allocations.all,
            resident_mib_at_start: mib(first.resident_mib),
            resident_mib_at_end: mib(end.resident_mib),
            resident_mib_at_peak: mib(peak_resident_mib()),
            latency_ms: LatencyMillis { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: millis(latencies.max()) },
        }
    }

    /// As a table, below what else was counted.
    pub(super) fn table(&self, counts: &[(&str, u64)], output: &mut Output) {
        let mib = |mib: Option<f64>| mib.map_or("not known".to_owned(), |mib| format!("{mib:.1} MiB"));
        let LatencyMillis { p50, p99, p999, max } = self.latency_ms;
        let figures = [
            ("time", format!("{:.3} s", self.seconds)),
            ("throughput", format!("{:.0} records/s, {:.1} MB/s", self.records_per_second, self.megabytes_per_second)),
            ("CPU time", format!("{:.3} us a record", self.cpu_microseconds_per_record)),
            ("allocations after start", self.allocations_after_start.to_string()),
            ("resident at start", mib(self.resident_mib_at_start)),
            ("resident at end", mib(self.resident_mib_at_end)),
            ("resident at peak", mib(self.resident_mib_at_peak)),
            ("latency", format!("p50 {p50:.2} ms, p99 {p99:.2} ms, p99.9 {p999:.2} ms, max {max:.2} ms")),
        ];
        let counts = counts.iter().map(|(name, count)| (*name, count.to_string()));
        for (name, value) in counts.chain(figures) {
            output.line(format_args!("{name:<24}{value}"));
        }
    }
}
