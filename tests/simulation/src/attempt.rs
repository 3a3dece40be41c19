//! Many seeds, one after the other.

use crate::plan::Plan;
use crate::probes::Reached;
use crate::{Report, run};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs one seed; a panic is a broken promise like any other.
pub fn attempt(seed: u64) -> Result<Report, String> {
    let plan = Plan::draw(seed);
    catch_unwind(AssertUnwindSafe(|| run(&plan))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        Err(format!("panic: {}", text.unwrap_or("without a text")))
    })
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
    pub failed: Vec<(u64, String)>,
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
