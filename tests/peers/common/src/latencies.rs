//! How long records took, from the call that sends to when the outcome was seen.

use hdrhistogram::Histogram;
use std::sync::Mutex;
use std::time::Instant;

/// In microseconds.
const DAY: u64 = 86_400_000_000;

/// Filled from any thread; empty without `--rate`, where a latency says how full the buffers are and nothing else. Then
/// it has no histogram either, whose 224 KiB would be taken for the client's.
pub struct Latencies(Mutex<Option<Histogram<u64>>>);

impl Latencies {
    /// None yet.
    #[expect(clippy::new_without_default, reason = "nobody wants one")]
    pub fn new() -> Latencies {
        Latencies(Mutex::new(None))
    }

    /// A record that was sent at this time has its outcome now.
    pub fn seen(&self, sent: Instant) {
        let micros = sent.elapsed().as_micros() as u64;
        // With bounds, because without them what is larger than any before it is cut off.
        let new = || Histogram::new_with_bounds(1, DAY, 3).expect("three digits are allowed");
        self.0.lock().expect("nobody panics with it").get_or_insert_with(new).saturating_record(micros);
    }

    /// In milliseconds.
    pub(crate) fn quantile(&self, quantile: f64) -> Option<f64> {
        let histogram = self.0.lock().expect("nobody panics with it");
        histogram.as_ref().map(|histogram| histogram.value_at_quantile(quantile) as f64 / 1000.0)
    }
}
