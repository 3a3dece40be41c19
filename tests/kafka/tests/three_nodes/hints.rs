//! Leaders that move while all nodes are well: the one before says who leads now (KIP-951), and reading goes on there.

use crate::{LONG, cluster};
use demitasse_io_std::{ConsumerBuilder, Producer, Record, Start};
use demitasse_kafka_tests::{Kafka, enabled, until};
use std::time::Duration;

const TOPIC: &str = "hinted";

/// Another replica of partition 0 becomes the preferred one, and the leader.
fn move_leader(kafka: &Kafka) {
    let before = kafka.partitions(TOPIC).unwrap()[0].leader;
    let replicas = [before % 3 + 1, (before + 1) % 3 + 1, before].map(|node| node.to_string()).join(",");
    let file = kafka.folder().join("hinted.json");
    let plan = format!(r#"{{"version":1,"partitions":[{{"topic":"{TOPIC}","partition":0,"replicas":[{replicas}]}}]}}"#);
    std::fs::write(&file, plan).unwrap();
    let (bootstrap, file) = (kafka.bootstrap(), file.display().to_string());
    let reassign = ["--bootstrap-server", &bootstrap, "--reassignment-json-file", &file, "--execute"];
    kafka.tool("org.apache.kafka.tools.reassign.ReassignPartitionsCommand", &reassign, b"").unwrap();
    let elect =
        ["--bootstrap-server", &bootstrap, "--election-type", "preferred", "--topic", TOPIC, "--partition", "0"];
    kafka.tool("org.apache.kafka.tools.LeaderElectionCommand", &elect, b"").unwrap();
    let other = || (kafka.partitions(TOPIC).ok()?[0].leader != before).then_some(());
    until(LONG, "another leader", other).unwrap();
}

#[test]
fn reading_follows_a_leader_by_what_the_one_before_says() {
    if !enabled() {
        return;
    }
    let (kafka, _turn) = cluster();
    kafka.create_topic(TOPIC, 1, 3, &[]).unwrap();
    let producer = Producer::builder().bootstrap_servers(&kafka.bootstrap()).linger(Duration::ZERO).start().unwrap();
    let to = producer.topic(TOPIC).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let consumer =
        runtime.block_on(async { ConsumerBuilder::new().bootstrap_servers(&kafka.bootstrap()).start() }).unwrap();
    let topic = consumer.topic(TOPIC).unwrap();
    consumer.assign(topic, 0, Start::Beginning).unwrap();

    let mut read = 0;
    for round in 0..3 {
        let hints = consumer.counters().leader_hints;
        if round > 0 {
            // While it waits for records at the one before, which it need not ask for metadata.
            move_leader(kafka);
            until(LONG, "a hint", || (consumer.counters().leader_hints > hints).then_some(())).unwrap();
        }
        for _ in 0..10 {
            let value = read.to_string();
            let delivery = producer.send_blocking(to, &Record::new(value.as_bytes())).unwrap();
            producer.wait_blocking(delivery).unwrap();
            let fetched = runtime.block_on(consumer.poll(100)).unwrap().unwrap();
            let records: Vec<_> = fetched.records().map(|record| (record.offset, record.value)).collect();
            assert_eq!(records, [(read, Some(value.as_bytes()))], "round {round}");
            read += 1;
        }
    }
    runtime.block_on(consumer.close()).unwrap();
    producer.close_blocking(Duration::from_secs(10));
}
