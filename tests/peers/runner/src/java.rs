//! Java's client, by Kafka's own `ProducerPerformance`, which knows nothing of CPU time: the system does.

use crate::measure::{Line, Observed, observed};
use crate::scenarios::Scenario;
use crate::target;
use anyhow::{Context, Result, anyhow};
use demitasse_kafka_tests::{KAFKA_4, jars_cached};
use peer::Usage;
use std::path::PathBuf;
use std::process::Command;

/// How Kafka's own scripts start its tools (`bin/kafka-run-class.sh`, `bin/kafka-consumer-perf-test.sh`). Left to itself, a heap
/// may be a quarter of the machine, and grows to a gigabyte for as long as we look.
const JVM_OPTIONS: [&str; 7] = [
    "-Xmx512M",
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-Djava.awt.headless=true",
];

/// One of Kafka's tools.
pub(crate) fn tool(class: &str) -> Result<Command> {
    let jars = jars_cached(KAFKA_4).context("Kafka's jars are gone")?;
    let mut command = Command::new("java");
    command.args(JVM_OPTIONS).arg("-cp").arg(format!("{}/*", jars.display()));
    command.arg(format!("org.apache.kafka.tools.{class}"));
    Ok(command)
}

pub(crate) fn run(scenario: &Scenario, bootstrap: &str, topic: &str) -> Result<Line> {
    let tool = Tool { scenario, bootstrap, topic };
    let records = scenario.records;
    if scenario.rate.is_some() {
        // Half as long again is enough to connect and to compile; CPU time at such a rate says nothing.
        return Ok(tool.run(records, records / 2)?.0);
    }
    let (warm, before) = tool.run(records, 0)?;
    let (mut line, after) = tool.run(records, records)?;
    let used = after.since(&before);
    let each = |figure: f64| Some(figure / records as f64);
    line.user_us_per_record = each(used.user_us);
    line.system_us_per_record = each(used.system_us);
    line.switches_per_1000_records = each(used.switches * 1000.0);
    line.records_in_all += warm.records_in_all;
    Ok(line)
}

struct Tool<'a> {
    scenario: &'a Scenario,
    bootstrap: &'a str,
    topic: &'a str,
}

impl Tool<'_> {
    /// Sends `warm_up` records, which do not count for the tool's figures, and `records` that do. What all of it used.
    fn run(&self, records: u64, warm_up: u64) -> Result<(Line, Usage)> {
        let tool = observed(&mut self.command(records, warm_up)?, self.scenario.limit())?;
        let Observed { said, used, peak_mib, .. } = tool;
        // With a warm-up the last line is about what came after it.
        let last = said.lines().rfind(|line| line.contains("records sent")).context("it did not sum up")?;
        let line = Line {
            version: format!("{KAFKA_4}, {}", crate::machine::java()),
            records_in_all: records + warm_up,
            records_per_second: before_word(last, "records/sec")?,
            p50_ms: self.latency(last, "50th")?,
            p99_ms: self.latency(last, "99th")?,
            p999_ms: self.latency(last, "99.9th")?,
            peak_mib,
            ..Line::default()
        };
        Ok((line, used))
    }

    fn command(&self, records: u64, warm_up: u64) -> Result<Command> {
        let mut command = tool("ProducerPerformance")?;
        command.args(["--topic", self.topic, "--num-records", &(records + warm_up).to_string()]);
        command.args(["--throughput", &self.scenario.rate.map_or("-1".to_owned(), |rate| rate.to_string())]);
        command.arg("--payload-file").arg(payload(self.scenario.size)?);
        if warm_up > 0 {
            command.args(["--warmup-records", &warm_up.to_string()]);
        }
        let (batch, linger) = (self.scenario.batch, self.scenario.linger_ms);
        command.args(["--command-property", &format!("bootstrap.servers={}", self.bootstrap)]);
        command.args(["acks=all", "enable.idempotence=true", "compression.type=none", "enable.metrics.push=false"]);
        command.args([format!("batch.size={batch}"), format!("linger.ms={linger}")]);
        Ok(command)
    }

    /// In whole milliseconds, as the tool has it.
    fn latency(&self, line: &str, quantile: &str) -> Result<Option<f64>> {
        let milliseconds = before_word(line, &format!("ms {quantile}"))?;
        Ok(self.scenario.rate.map(|_| milliseconds))
    }
}

/// One value of the others' kind: the tool's own makes a random one a record, at more cost than the client's.
fn payload(size: usize) -> Result<PathBuf> {
    let file = target().join(format!("payload-{size}"));
    std::fs::write(&file, "x".repeat(size))?;
    Ok(file)
}

/// The number before this word.
fn before_word(line: &str, word: &str) -> Result<f64> {
    let missing = || anyhow!("no number of {word} in {line:?}");
    let (front, _) = line.split_once(&format!(" {word}")).ok_or_else(missing)?;
    front.rsplit([' ', '(']).next().and_then(|number| number.parse().ok()).ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::before_word;

    #[test]
    fn what_the_tool_says_is_taken_apart() {
        let line = "1000 records sent, 999.0 records/sec (0.95 MB/sec), 1.20 ms avg latency, 9.00 ms max latency, \
                    1 ms 50th, 2 ms 95th, 3 ms 99th, 4 ms 99.9th.";
        assert_eq!(before_word(line, "records/sec").unwrap(), 999.0);
        assert_eq!(before_word(line, "MB/sec)").unwrap(), 0.95);
        assert_eq!(before_word(line, "ms 50th").unwrap(), 1.0);
        assert_eq!(before_word(line, "ms 99.9th").unwrap(), 4.0);
        assert!(before_word(line, "ms 75th").is_err());
    }
}
