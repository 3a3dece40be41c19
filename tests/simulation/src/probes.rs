//! Named states that a run of many seeds must have reached: a simulation that never gets there proves nothing of them.

use demitasse_core::Counters;

/// A state, and how often a run was in it.
type Probe = (&'static str, fn(&Counters) -> usize);

/// Every state. A new one that matters belongs here.
pub const PROBES: &[Probe] = &[
    ("no buffer was free", |c| c.full),
    ("every seat for a waiting task was taken", |c| c.waiter_overflows),
    ("a batch was sent again", |c| c.retries),
    ("a partition was numbered again under a new epoch", |c| c.epoch_bumps),
    ("an answer came for a batch whose time was over", |c| c.late_answers),
    ("records were not written, for certain", |c| c.failed),
    ("it is not known whether records were written", |c| c.unknown),
    ("a batch was held until the broker told", |c| c.held),
    ("a failure was forgotten before anybody asked", |c| c.forgotten_failures),
    ("a connection was lost", |c| c.connections_lost),
    ("a leader was learnt from a Produce response", |c| c.leader_hints),
    ("a bootstrap address was tried again", |c| c.rebootstraps),
    ("silence was asked for", |c| c.throttles),
];

/// How often each state was reached over many runs.
#[derive(Clone, Debug, Default)]
pub struct Reached([u64; PROBES.len()]);

impl Reached {
    /// Adds a run.
    pub fn add(&mut self, counters: &Counters) {
        for (sum, (_, probe)) in self.0.iter_mut().zip(PROBES) {
            *sum += probe(counters) as u64;
        }
    }

    /// Each state with its count.
    pub fn list(&self) -> impl Iterator<Item = (&'static str, u64)> {
        PROBES.iter().zip(self.0).map(|((name, _), count)| (*name, count))
    }
}
