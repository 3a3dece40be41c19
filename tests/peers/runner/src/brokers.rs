//! One Kafka and one sink, for the whole run.

use crate::measure;
use crate::peers::{self, Peer};
use crate::scenarios::{PARTITIONS, Scenario, Target};
use crate::target;
use anyhow::{Context, Result, anyhow, ensure};
use demitasse_kafka_tests::{KAFKA_4, Kafka, Options};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

pub(crate) struct Brokers {
    kafka: Kafka,
    sink: Sink,
    topics: AtomicU32,
}

struct Sink {
    process: Child,
    address: String,
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Brokers {
    pub(crate) fn start() -> Result<Brokers> {
        let mut process = Command::new(target().join("release/peer-sink"))
            .args(["--until-end-of-input", "--partitions", &PARTITIONS.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("the sink")?;
        let mut address = String::new();
        let stdout = process.stdout.take().context("the sink has no output")?;
        let sink_says = BufReader::new(stdout).read_line(&mut address);
        let sink = Sink { process, address: address.trim().to_owned() };
        ensure!(sink_says? > 0, "the sink did not say where it listens");
        // What was deleted gives its disk back at once: a run writes half a gigabyte.
        let options = Options { heap_mib: 1024, ..Options::one(KAFKA_4) }.with("log.segment.delete.delay.ms", "1000");
        let kafka = Kafka::start(options).map_err(|error| anyhow!("{error}"))?;
        Ok(Brokers { kafka, sink, topics: AtomicU32::new(0) })
    }

    /// The broker's JVM compiles what it will need, so that whoever comes first does not pay for it.
    pub(crate) fn warm_up(&self) -> Result<()> {
        let floor = &peers::ALL[0];
        for batch in [1_000_000, 16_384] {
            let target = Target::Kafka;
            let scenario = Scenario { target, size: 1000, batch, linger_ms: 5, rate: None, records: 400_000 };
            measure::run(self, floor, &scenario, false)?;
        }
        Ok(())
    }

    /// Runs something with a topic of its own. Afterwards as many records have to be in it as it says.
    pub(crate) fn with_topic<T>(&self, target: Target, run: impl FnOnce(&str, &str) -> Result<(T, u64)>) -> Result<T> {
        if target == Target::Sink {
            return Ok(run(&self.sink.address, "peers")?.0);
        }
        let said = |error: demitasse_kafka_tests::Error| anyhow!("{error}");
        if self.kafka.alive().is_empty() {
            eprintln!("Kafka has ended, and is started again");
            self.kafka.start_node(1).map_err(said)?;
        }
        let topic = format!("peers-{}", self.topics.fetch_add(1, Ordering::Relaxed));
        self.kafka.create_topic(&topic, PARTITIONS, 1, &[]).map_err(said)?;
        let result = run(&self.kafka.bootstrap(), &topic);
        let there: i64 = self.kafka.end_offsets(&topic).map_err(said)?.iter().sum();
        self.kafka.delete_topic(&topic).map_err(said)?;
        let (result, sent) = result?;
        ensure!(there == sent as i64, "{sent} records were sent, {there} are in the log");
        Ok(result)
    }
}

impl Peer {
    /// Its arguments for a scenario.
    pub(crate) fn arguments(&self, scenario: &Scenario, bootstrap: &str, topic: &str) -> Vec<String> {
        let mut all = vec![("bootstrap", bootstrap.to_owned()), ("topic", topic.to_owned())];
        all.push(("partitions", PARTITIONS.to_string()));
        all.push(("records", scenario.records.to_string()));
        all.push(("size", scenario.size.to_string()));
        all.push(("batch", scenario.batch.to_string()));
        all.push(("linger", scenario.linger_ms.to_string()));
        all.push(("mode", self.mode.to_owned()));
        all.extend(scenario.rate.map(|rate| ("rate", rate.to_string())));
        all.into_iter().flat_map(|(name, value)| [format!("--{name}"), value]).collect()
    }
}
