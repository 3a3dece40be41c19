//! What a producer tells of itself, as a plain struct.

use demitasse_core::{Counters, MemoryPlan};
use hdrhistogram::Histogram;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A moment of a producer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Metrics {
    /// Counters since the start.
    pub counters: Counters,
    /// Every pool: its bytes, its use now, and the most that was ever in use.
    pub memory: MemoryPlan,
    /// Partitions that wait for their last answer before they go on over another connection.
    pub moving: usize,
    /// From the opening of a batch, which is when its first record was taken, to its acknowledgement; weighted by
    /// records.
    pub latency: Latency,
}

/// Latencies since the start.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Latency {
    /// Records measured.
    pub records: u64,
    /// Half of them took at most so long.
    pub p50: Duration,
    /// 99 % of them took at most so long.
    pub p99: Duration,
    /// 99.9 % of them took at most so long.
    pub p999: Duration,
    /// The slowest one took so long.
    pub max: Duration,
}

/// Latencies in microseconds, from one to a day, to two digits. Its memory is fixed.
pub(crate) struct Latencies(Mutex<Histogram<u64>>);

const DAY: u64 = 86_400_000_000;

impl Latencies {
    pub(crate) fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, DAY, 2).or_else(|_| Histogram::new(2));
        Latencies(Mutex::new(histogram.unwrap_or_else(|_| unreachable!("two digits are allowed"))))
    }

    pub(crate) fn record(&self, micros: u64, records: u32) {
        let mut histogram = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        histogram.saturating_record_n(micros.clamp(1, DAY), records.into());
    }

    pub(crate) fn read(&self) -> Latency {
        let histogram = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = |quantile| Duration::from_micros(histogram.value_at_quantile(quantile));
        Latency {
            records: histogram.len(),
            p50: at(0.5),
            p99: at(0.99),
            p999: at(0.999),
            max: Duration::from_micros(histogram.max()),
        }
    }
}
