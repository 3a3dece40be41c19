//! What the clients have to do.

use std::time::Duration;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Kafka,
    Sink,
}

impl Target {
    pub(crate) const ALL: [Target; 2] = [Target::Kafka, Target::Sink];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Target::Kafka => "Kafka",
            Target::Sink => "the sink",
        }
    }
}

/// One task for all clients.
#[derive(Clone)]
pub(crate) struct Scenario {
    pub(crate) target: Target,
    /// Bytes of a record's value.
    pub(crate) size: usize,
    /// Bytes of a batch.
    pub(crate) batch: usize,
    pub(crate) linger_ms: u64,
    /// Records a second; none: as fast as can be.
    pub(crate) rate: Option<u64>,
    pub(crate) records: u64,
}

/// Topics have so many.
pub(crate) const PARTITIONS: i32 = 4;

/// Bytes of a record and of a batch. 1 MB leaves room for the rest of a request under the broker's limits, whose
/// default is 1 MiB; 16 KB is Java's default.
const SHAPES: [(usize, usize); 3] = [(1000, MEGABYTE), (100, MEGABYTE), (1000, 16_384)];
const MEGABYTE: usize = 1_000_000;

/// Records a second where latency is measured.
const RATE: u64 = 1_000;

/// In how many runs a round. How late the latest are differs more from run to run than from client to client.
const RATE_RUNS: u64 = 3;

/// `records` of 1000 B, four times as many of 100 B, and so many seconds of a fixed rate in each round.
pub(crate) fn all(records: u64, seconds: u64) -> Vec<Scenario> {
    let mut all = Vec::new();
    for target in Target::ALL {
        for (size, batch) in SHAPES {
            let records = if size == 100 { 4 * records } else { records };
            all.push(Scenario { target, size, batch, linger_ms: 5, rate: None, records });
        }
    }
    for target in Target::ALL {
        let rate = Some(RATE);
        let records = RATE * seconds / RATE_RUNS;
        all.push(Scenario { target, size: 1000, batch: 16_384, linger_ms: 0, rate, records });
    }
    all
}

impl Scenario {
    pub(crate) fn title(&self) -> String {
        let (size, target) = (self.size, self.target.name());
        let batch = if self.batch == MEGABYTE { "1 MB" } else { "16 KB" };
        match self.rate {
            None => format!("records of {size} B in batches of {batch}, against {target}"),
            Some(rate) => format!("{rate} records of {size} B a second, linger 0, against {target}"),
        }
    }

    /// As fast as can be, records of this size in large batches.
    pub(crate) fn is_large(&self, target: Target, size: usize) -> bool {
        self.target == target && self.size == size && self.batch == MEGABYTE && self.rate.is_none()
    }

    /// How often each client does it in one round.
    pub(crate) fn runs(&self) -> u64 {
        if self.rate.is_some() { RATE_RUNS } else { 1 }
    }

    /// No run takes so long.
    pub(crate) fn limit(&self) -> Duration {
        Duration::from_secs(120 + self.records / 20_000)
    }

    /// Where nothing but the client allocates more or less: one broker and one size of batches are enough.
    pub(crate) fn counts_allocations(&self) -> bool {
        self.is_large(Target::Sink, self.size)
    }
}
