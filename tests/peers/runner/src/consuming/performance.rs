//! Java's client, by Kafka's own `ConsumerPerformance`. Its JVM starts and compiles in every run, seconds of CPU that differ
//! by tenths: how much that is says another run over as many records as the others read. What is counted are many times
//! as many behind them.

use crate::java;
use crate::measure::{Line, Observed, observed};
use crate::scenarios::Scenario;
use anyhow::{Context, Result};
use demitasse_kafka_tests::KAFKA_4;

/// As many records are in the topic for each that the others read.
pub(crate) const TIMES: u64 = 3;

pub(crate) fn run(scenario: &Scenario, bootstrap: &str, topic: &str) -> Result<Line> {
    let less = tool(scenario, scenario.records, bootstrap, topic)?.used;
    let Observed { said, used, peak_mib, .. } = tool(scenario, TIMES * scenario.records, bootstrap, topic)?;
    let used = used.since(&less);
    let each = |figure: f64| Some(figure / ((TIMES - 1) * scenario.records) as f64);
    Ok(Line {
        version: format!("{KAFKA_4}, {}", crate::machine::java()),
        records_per_second: rate(&said).with_context(|| format!("no figures in {said:?}"))?,
        user_us_per_record: each(used.user_us),
        system_us_per_record: each(used.system_us),
        switches_per_1000_records: each(used.switches * 1000.0),
        peak_mib,
        ..Line::default()
    })
}

fn tool(scenario: &Scenario, records: u64, bootstrap: &str, topic: &str) -> Result<Observed> {
    let mut command = java::tool("ConsumerPerformance")?;
    command.args(["--bootstrap-server", bootstrap, "--topic", topic, "--num-records", &records.to_string()]);
    command.args(["--hide-header", "--command-property", "enable.metrics.push=false"]);
    observed(&mut command, scenario.limit())
}

/// The last figure of the last line with figures: records a second of the time in which it fetched.
fn rate(said: &str) -> Option<f64> {
    said.lines().rev().find_map(|line| line.rsplit_once(", ")?.1.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::rate;

    #[test]
    fn the_last_figure_is_the_rate() {
        let said = "2026-01-01 00:00:00:000, 2026-01-01 00:00:04:000, 95.4, 23.8, 100000, 25000.0, 3500, 500, 190.7, 200000.0\n";
        assert_eq!(rate(said), Some(200000.0));
        assert_eq!(rate("[WARN] something, else\n"), None);
    }
}
