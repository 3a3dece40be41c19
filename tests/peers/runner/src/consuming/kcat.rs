//! librdkafka without a wrapper: kcat, which reads as many records as it is told and writes nothing of them.

use crate::measure::{Line, Observed, finish, observed};
use crate::scenarios::Scenario;
use anyhow::{Context, Result};
use std::process::Command;

pub(crate) fn run(scenario: &Scenario, bootstrap: &str, topic: &str) -> Result<Line> {
    let version = finish(Command::new("kcat").arg("-V"), scenario.limit(), |_| ())?;
    let records = scenario.records.to_string();
    let mut command = Command::new("kcat");
    command.args(["-C", "-q", "-b", bootstrap, "-t", topic, "-o", "beginning", "-c", &records, "-f", ""]);
    let Observed { used, peak_mib, seconds, .. } = observed(command.args(["-X", "check.crcs=true"]), scenario.limit())?;
    let each = |figure: f64| Some(figure / scenario.records as f64);
    Ok(Line {
        version: said(&version).context("kcat does not tell its version")?,
        records_per_second: scenario.records as f64 / seconds,
        user_us_per_record: each(used.user_us),
        system_us_per_record: each(used.system_us),
        switches_per_1000_records: each(used.switches * 1000.0),
        peak_mib,
        ..Line::default()
    })
}

/// `Version 1.7.0 (.., librdkafka 2.0.2 ..)`.
fn said(text: &str) -> Option<String> {
    let behind = |word: &str| text.split(word).nth(1)?.split([' ', ')', '\n']).find(|word| !word.is_empty());
    Some(format!("{}, librdkafka {}", behind("Version")?, behind("librdkafka")?))
}
