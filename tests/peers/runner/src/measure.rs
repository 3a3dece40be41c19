//! One run of one client.

use crate::brokers::Brokers;
use crate::java;
use crate::peers::{Kind, Peer};
use crate::scenarios::Scenario;
use anyhow::{Context, Result, bail, ensure};
use peer::{Resident, Usage};
use serde::Deserialize;
use std::io::Read;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// What a client's program says; see tests/peers/common.
#[derive(Clone, Default, Deserialize)]
pub(crate) struct Line {
    pub(crate) version: String,
    pub(crate) records_in_all: u64,
    pub(crate) records_per_second: f64,
    pub(crate) user_us_per_record: Option<f64>,
    pub(crate) system_us_per_record: Option<f64>,
    pub(crate) switches_per_1000_records: Option<f64>,
    pub(crate) p50_ms: Option<f64>,
    pub(crate) p99_ms: Option<f64>,
    pub(crate) p999_ms: Option<f64>,
    pub(crate) allocations_per_record: Option<f64>,
    /// Resident before the first record that counts, and after the last. Not told by all.
    pub(crate) start_mib: Option<f64>,
    pub(crate) end_mib: Option<f64>,
    pub(crate) peak_mib: f64,
}

/// One figure of a line.
pub(crate) type Figure = fn(&Line) -> Option<f64>;

impl Line {
    /// User and system together.
    pub(crate) fn cpu(&self) -> Option<f64> {
        Some(self.user_us_per_record? + self.system_us_per_record?)
    }

    pub(crate) fn summary(&self) -> String {
        let cpu = self.cpu().map_or("CPU not known".to_owned(), |cpu| format!("{cpu:.3} us a record"));
        let latency = self.p99_ms.map_or(String::new(), |p99| format!(", p99 {p99:.2} ms"));
        format!("{cpu}, {:.0} records/s, {:.0} MiB{latency}", self.records_per_second, self.peak_mib)
    }
}

pub(crate) fn run(brokers: &Brokers, peer: &Peer, scenario: &Scenario, allocations: bool) -> Result<Line> {
    brokers.with_topic(scenario.target, |bootstrap, topic| {
        let line = match peer.kind {
            Kind::Java => java::run(scenario, bootstrap, topic)?,
            _ => own(peer, scenario, bootstrap, topic, allocations)?,
        };
        let sent = line.records_in_all;
        Ok((line, sent))
    })
}

/// One of the programs that were written for this.
pub(crate) fn own(peer: &Peer, scenario: &Scenario, bootstrap: &str, topic: &str, allocations: bool) -> Result<Line> {
    let mut command = Command::new(peer.program());
    command.args(peer.arguments(scenario, bootstrap, topic));
    if allocations {
        command.arg("--allocations");
    }
    Ok(serde_json::from_str(&finish(&mut command, scenario.limit(), |_| ())?)?)
}

/// What the system says of a program that knows nothing of CPU time.
pub(crate) struct Observed {
    pub(crate) said: String,
    pub(crate) used: Usage,
    pub(crate) peak_mib: f64,
    pub(crate) seconds: f64,
}

/// Runs somebody else's program.
pub(crate) fn observed(command: &mut Command, limit: Duration) -> Result<Observed> {
    let mut peak_mib = 0.0f64;
    let look = |process: u32| {
        // It may have ended just now.
        peak_mib = peak_mib.max(Resident::of(&process.to_string()).map_or(0.0, |is| is.peak_mib));
    };
    // Nobody else's end meanwhile: what ended children used is the program's.
    let (before, begun) = (Usage::of_ended_children()?, Instant::now());
    let said = finish(command, limit, look)?;
    let seconds = begun.elapsed().as_secs_f64();
    Ok(Observed { said, used: Usage::of_ended_children()?.since(&before), peak_mib, seconds })
}

/// Runs a program to its end, or kills it at the limit; what it wrote to standard output. Until then, `look` is called
/// with its process id now and then.
pub(crate) fn finish(command: &mut Command, limit: Duration, mut look: impl FnMut(u32)) -> Result<String> {
    // One line of reasons, not a page of addresses.
    command.env("RUST_BACKTRACE", "0");
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let begun = Instant::now();
    let ended: ExitStatus = loop {
        look(child.id());
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if begun.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            bail!("it did not end within {} s", limit.as_secs());
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let (mut said, mut complaint) = (String::new(), String::new());
    child.stdout.take().context("no output")?.read_to_string(&mut said)?;
    child.stderr.take().context("no output")?.read_to_string(&mut complaint)?;
    // Java's tools complain on standard output.
    let text = if complaint.trim().is_empty() { &said } else { &complaint };
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    ensure!(ended.success(), "{ended}: {words}");
    Ok(said)
}
