//! Reading: `BaseConsumer::poll`, whose messages borrow librdkafka's memory.

use crate::version;
use anyhow::{Result, bail};
use peer::{Arguments, Latencies, Run};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Message, Offset, TopicPartitionList};
use std::hint::black_box;
use std::time::Duration;

/// How long nothing may come.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &arguments.bootstrap)
        // It wants one although nothing is committed.
        .set("group.id", "peers")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("check.crcs", "true");
    let consumer: BaseConsumer = config.create()?;
    // It is connected, and knows the topic.
    consumer.fetch_metadata(Some(&arguments.topic), PATIENCE)?;
    let mut all = TopicPartitionList::new();
    for partition in 0..arguments.partitions as i32 {
        all.add_partition_offset(&arguments.topic, partition, Offset::Beginning)?;
    }
    let latencies = Latencies::new();

    let run = Run::begin(arguments)?;
    consumer.assign(&all)?;
    let mut seen = 0;
    while seen < arguments.records {
        let Some(message) = consumer.poll(PATIENCE) else { bail!("nothing came after {seen} records") };
        let message = message?;
        black_box((message.key(), message.payload()));
        seen += 1;
    }
    run.end("rdkafka", &version(), seen, 0, &latencies)
}
