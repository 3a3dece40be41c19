//! Steps of a long run: all are tried, each is timed, and the end says what was what.

use crate::Result;
use std::time::{Duration, Instant};

/// How a step ended, other than well.
pub(crate) enum Stop {
    /// It is wrong.
    Failed(String),
    /// It could not be tried: the reason, and how to change that.
    Skipped(String),
}

impl Stop {
    /// The sentence, where it does not matter which of the two it was.
    pub(crate) fn words(self) -> String {
        match self {
            Stop::Failed(words) | Stop::Skipped(words) => words,
        }
    }
}

impl From<String> for Stop {
    fn from(error: String) -> Self {
        Stop::Failed(error)
    }
}

/// The steps so far.
pub(crate) struct Steps {
    /// Nothing may be skipped.
    strict: bool,
    start: Instant,
    done: Vec<(String, Duration, std::result::Result<(), Stop>)>,
}

impl Steps {
    /// Begins. With `CI=true` in the environment what is skipped counts as failed.
    pub(crate) fn new() -> Steps {
        let strict = std::env::var("CI").is_ok_and(|ci| ci == "true" || ci == "1");
        Steps { strict, start: Instant::now(), done: Vec::new() }
    }

    /// Does a step; true if it went well.
    pub(crate) fn step<E: Into<Stop>>(&mut self, name: &str, act: impl FnOnce() -> std::result::Result<(), E>) -> bool {
        eprintln!("\n== {name}");
        let start = Instant::now();
        let outcome = act().map_err(Into::into).map_err(|stop| match stop {
            Stop::Skipped(reason) if self.strict => Stop::Failed(format!("CI may not skip it: {reason}")),
            stop => stop,
        });
        match &outcome {
            Ok(()) => {}
            Err(Stop::Failed(error)) => eprintln!("== {name} FAILED: {error}"),
            Err(Stop::Skipped(reason)) => eprintln!("== {name} skipped: {reason}"),
        }
        let well = outcome.is_ok();
        self.done.push((name.into(), start.elapsed(), outcome));
        well
    }

    /// Prints a line a step; an error if one failed.
    pub(crate) fn finish(self) -> Result {
        eprintln!();
        let mut failed = 0;
        for (name, time, outcome) in &self.done {
            let time = time.as_secs_f64();
            match outcome {
                Ok(()) => eprintln!("{time:7.1} s  ok       {name}"),
                Err(Stop::Skipped(reason)) => eprintln!("{time:7.1} s  skipped  {name}: {reason}"),
                Err(Stop::Failed(error)) => {
                    failed += 1;
                    eprintln!("{time:7.1} s  FAILED   {name}: {error}");
                }
            }
        }
        eprintln!("{:7.1} s  in all", self.start.elapsed().as_secs_f64());
        if failed == 0 { Ok(()) } else { Err(format!("{failed} of {} steps failed", self.done.len())) }
    }
}
