//! Named states that a run of many seeds must have reached: a simulation that never gets there proves nothing of them.

use crate::Report;

/// A state, and how often a run was in it.
type Probe = (&'static str, fn(&Report) -> usize);

/// Every state. A new one that matters belongs here.
pub const PROBES: &[Probe] = &[
    ("no buffer was free", |run| run.counters.full),
    ("every seat for a waiting task was taken", |run| run.counters.waiter_overflows),
    ("a batch was sent again", |run| run.counters.retries),
    ("a partition was numbered again under a new epoch", |run| run.counters.epoch_bumps),
    ("epochs were at their end, and a new producer id was asked for", |run| run.producer_ids.saturating_sub(1)),
    ("a broker had a batch already that was sent again", |run| run.duplicates),
    ("an answer came for a batch whose time was over", |run| run.counters.late_answers),
    ("records were not written, for certain", |run| run.counters.failed),
    ("it is not known whether records were written", |run| run.counters.unknown),
    ("a batch was held until the broker told", |run| run.counters.held),
    ("a failure was forgotten before anybody asked", |run| run.counters.forgotten_failures),
    ("a connection was lost", |run| run.counters.connections_lost),
    #[cfg(feature = "server")]
    ("a broker got one connection more", |run| run.counters.connections_added),
    #[cfg(feature = "server")]
    ("a broker lost one that it did not need", |run| run.counters.connections_retired),
    #[cfg(feature = "server")]
    ("a partition went on over another connection", |run| run.counters.partitions_moved),
    #[cfg(feature = "server")]
    ("a batch was compressed", |run| run.compressed),
    // Later versions tell of it than a device speaks.
    #[cfg(feature = "server")]
    ("a leader was learnt from a Produce response", |run| run.counters.leader_hints),
    ("a bootstrap address was tried again", |run| run.counters.rebootstraps),
    ("silence was asked for", |run| run.counters.throttles),
];

/// How often each state was reached over many runs.
#[derive(Clone, Debug, Default)]
pub struct Reached([u64; PROBES.len()]);

impl Reached {
    /// Adds a run.
    pub fn add(&mut self, run: &Report) {
        for (sum, (_, probe)) in self.0.iter_mut().zip(PROBES) {
            *sum += probe(run) as u64;
        }
    }

    /// Each state with its count.
    pub fn list(&self) -> impl Iterator<Item = (&'static str, u64)> {
        PROBES.iter().zip(self.0).map(|((name, _), count)| (*name, count))
    }
}
