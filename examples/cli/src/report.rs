//! What is told at the end: counts, one line for what went wrong, and the exit code.

use demitasse_io_std::{
    BuildError, ConnectionError, DeliveryError, DeliveryFailure, Failure, Fault, SendError, StartError, TopicError,
};
use hdrhistogram::Histogram;
use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

/// Why the program does not end well: one line for a person, and the exit code.
pub(crate) struct Problem {
    line: String,
    code: u8,
}

impl Problem {
    /// Wrong arguments or settings: nothing was sent.
    pub(crate) fn usage(line: impl Display) -> Problem {
        Problem { line: line.to_string(), code: 2 }
    }

    /// Something could not be done.
    pub(crate) fn failed(line: impl Display) -> Problem {
        Problem { line: line.to_string(), code: 1 }
    }

    /// Ctrl-C or a signal like it, whose exit code this is.
    pub(crate) fn interrupted(code: u8, line: impl Display) -> Problem {
        Problem { line: line.to_string(), code }
    }

    /// Writes the line to standard error; if nobody reads that, the exit code still tells.
    pub(crate) fn tell(self) -> ExitCode {
        let line: Vec<&str> = self.line.lines().collect();
        let _ = writeln!(io::stderr(), "demitasse: {}", line.join(" "));
        ExitCode::from(self.code)
    }
}

impl From<BuildError> for Problem {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Thread(_) => Problem::failed(error),
            BuildError::Start(StartError::Capacity(_)) => {
                Problem::usage(format!("these sizes cannot work together: {error} [fault: our settings]"))
            }
            error => Problem::usage(format!("{error} [fault: our settings]")),
        }
    }
}

impl From<TopicError> for Problem {
    fn from(error: TopicError) -> Self {
        Problem::usage(format!("--topic: {error} [fault: our settings]"))
    }
}

/// Why a record was not acknowledged.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trouble {
    /// It was not taken.
    Send(SendError),
    /// It was taken, and then not written, or nobody knows.
    Delivery(DeliveryError),
    /// A line longer than any record: not even read to its end.
    LineTooLong {
        /// Bytes of the line.
        bytes: u64,
        /// `batch.size`.
        capacity: u64,
    },
}

impl Trouble {
    fn fault(&self) -> Fault {
        match self {
            Trouble::Send(error) => error.fault(),
            Trouble::LineTooLong { .. } => Fault::Setting,
            Trouble::Delivery(DeliveryError { cause: DeliveryFailure::Failure(failure), .. }) => failure.fault(),
            Trouble::Delivery(DeliveryError { cause: DeliveryFailure::TooManyWaiters, .. }) => Fault::Setting,
            Trouble::Delivery(_) => Fault::Resource,
        }
    }

    fn connection(&self) -> Option<ConnectionError> {
        match self {
            Trouble::Send(SendError::Timeout { connection, .. }) => *connection,
            Trouble::Delivery(DeliveryError {
                cause: DeliveryFailure::Failure(Failure { connection, .. }), ..
            }) => *connection,
            _ => None,
        }
    }

    /// What happened, whose fault it is, and for the network which address was asked.
    pub(crate) fn describe(&self, bootstrap: &str) -> String {
        let what = match self {
            Trouble::Send(error) => error.to_string(),
            Trouble::Delivery(error) => error.to_string(),
            Trouble::LineTooLong { bytes, capacity } => {
                format!("a line of {bytes} bytes, batch.size is {capacity}: raise batch.size or send less")
            }
        };
        let fault = self.fault();
        let address = if fault == Fault::Network || self.connection().is_some() {
            format!(" (bootstrap.servers {bootstrap})")
        } else {
            String::new()
        };
        format!("{what}{address} [fault: {}]", whose(fault))
    }
}

/// Whose fault, in words.
pub(crate) fn whose(fault: Fault) -> &'static str {
    match fault {
        Fault::Caller => "the caller",
        Fault::Setting => "our settings",
        Fault::Broker => "the broker",
        Fault::Network => "the network",
        Fault::Resource => "a resource",
    }
}

/// The outcomes of all records: counts, and of what went wrong the first.
#[derive(Default)]
pub(crate) struct Tally {
    /// Written, as the broker says.
    pub(crate) acknowledged: u64,
    /// Not written.
    pub(crate) failed: u64,
    /// Nobody knows.
    pub(crate) unknown: u64,
    first: Option<Trouble>,
}

impl Tally {
    /// Records that have an outcome.
    pub(crate) fn records(&self) -> u64 {
        self.acknowledged + self.failed + self.unknown
    }

    /// Records that were not taken.
    pub(crate) fn refused(&mut self, trouble: Trouble, records: u64) {
        self.failed += records;
        self.first.get_or_insert(trouble);
    }

    /// Records that were taken and did not all end well.
    pub(crate) fn undelivered(&mut self, error: DeliveryError) {
        self.acknowledged += u64::from(error.written);
        self.failed += u64::from(error.failed);
        self.unknown += u64::from(error.unknown);
        self.first.get_or_insert(Trouble::Delivery(error));
    }

    /// The line for all that went wrong, if anything did.
    pub(crate) fn problem(&self, topic: &str, bootstrap: &str) -> Option<String> {
        let first = self.first.as_ref()?;
        let Tally { failed, unknown, .. } = self;
        let records = self.records();
        let first = first.describe(bootstrap);
        Some(format!("topic {topic}: of {records} records {failed} failed, {unknown} unknown; first: {first}"))
    }
}

/// Standard output whose reader may go away: then the rest is not written, and nothing panics.
pub(crate) struct Output {
    to: io::BufWriter<io::StdoutLock<'static>>,
    broken: Option<io::Error>,
}

impl Output {
    pub(crate) fn new() -> Output {
        Output { to: io::BufWriter::with_capacity(64 * 1024, io::stdout().lock()), broken: None }
    }

    /// One line.
    pub(crate) fn line(&mut self, line: impl Display) {
        self.keep(|to| writeln!(to, "{line}"));
    }

    /// A part of a line.
    pub(crate) fn part(&mut self, part: impl Display) {
        self.keep(|to| write!(to, "{part}"));
    }

    /// Whatever is written.
    pub(crate) fn bytes(&mut self, write: impl FnOnce(&mut io::BufWriter<io::StdoutLock<'static>>) -> io::Result<()>) {
        self.keep(write);
    }

    /// One line that is JSON.
    pub(crate) fn json(&mut self, value: &impl serde::Serialize) {
        self.keep(|to| {
            serde_json::to_writer(&mut *to, value)?;
            to.write_all(b"\n")
        });
    }

    /// Everything so far reaches the reader.
    pub(crate) fn flush(&mut self) {
        self.keep(|to| to.flush());
    }

    /// Whether something could not be written, so that the rest will not be either.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// Whether all was written. A reader that went away, as `head` does, has had enough: no error.
    pub(crate) fn finish(mut self) -> Result<(), Problem> {
        self.flush();
        match self.broken {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Problem::failed(format!("standard output: {error}")))
            }
            _ => Ok(()),
        }
    }

    fn keep(&mut self, write: impl FnOnce(&mut io::BufWriter<io::StdoutLock<'static>>) -> io::Result<()>) {
        if self.broken.is_none() {
            self.broken = write(&mut self.to).err();
        }
    }
}

/// A number as it is told: no digits that mean nothing.
pub(crate) fn rounded(value: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (value * scale).round() / scale
}

/// Counts of microseconds, to three digits.
pub(crate) fn histogram(greatest: u64) -> Histogram<u64> {
    let bounded = Histogram::new_with_bounds(1, greatest, 3).or_else(|_| Histogram::new(3));
    bounded.unwrap_or_else(|_| unreachable!("three digits are allowed"))
}
