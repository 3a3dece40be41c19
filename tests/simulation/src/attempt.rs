//! Many seeds, one after the other.

use crate::plan::Plan;
use crate::probes::Reached;
use crate::{Broken, Report, run};

/// Runs one seed.
pub fn attempt(seed: u64) -> Result<Report, Broken> {
    run(&Plan::draw(seed))
}

/// What many seeds came to.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Seeds run.
    pub seeds: u64,
    /// Records acknowledged in all of them.
    pub acknowledged: u64,
    /// States reached.
    pub reached: Reached,
    /// Of all their traces.
    pub trace: u64,
    /// Seeds that failed, and why.
    pub failed: Vec<(u64, Broken)>,
}

/// Runs the seeds from `first` on, `seeds` of them, or until so many have failed.
pub fn attempts(first: u64, seeds: u64, failures: usize) -> Summary {
    let mut summary = Summary::default();
    for seed in first..first + seeds {
        summary.seeds += 1;
        match attempt(seed) {
            Ok(report) => {
                summary.acknowledged += report.counters.acknowledged as u64;
                summary.reached.add(&report);
                summary.trace = summary.trace.rotate_left(1) ^ report.trace;
            }
            Err(what) => summary.failed.push((seed, what)),
        }
        if summary.failed.len() >= failures {
            break;
        }
    }
    summary
}
