//! The group's coordinator dies and comes back: what was committed is kept, and commits go on.

use crate::{LONG, cluster};
use demitasse_io_std::{Admin, Consumer, ConsumerBuilder, Producer, Record, Start, Topic};
use demitasse_kafka_tests::{Kafka, enabled, until};
use std::time::Duration;

const TOPIC: &str = "coordinated";
const GROUP: &str = "coordinated";
const PARTITIONS: i32 = 2;

/// Asks Kafka's own tool.
fn coordinator(kafka: &Kafka) -> u16 {
    let arguments = ["--bootstrap-server", &kafka.bootstrap(), "--describe", "--state", "--group", GROUP];
    let said = kafka.tool("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", &arguments, b"").unwrap();
    let id = said.lines().rfind(|line| line.contains("127.0.0.1")).and_then(|line| {
        let (_, rest) = line.split_once('(')?;
        rest.split_once(')')?.0.parse().ok()
    });
    id.unwrap_or_else(|| panic!("no coordinator in {said}"))
}

fn fill(kafka: &Kafka) {
    let producer = Producer::builder().bootstrap_servers(&kafka.bootstrap()).start().unwrap();
    let topic = producer.topic(TOPIC).unwrap();
    for number in 0..100 {
        let delivery = producer.send_blocking(topic.partition(number % PARTITIONS), &Record::new(b"value")).unwrap();
        producer.wait_blocking(delivery).unwrap();
    }
    producer.close_blocking(Duration::from_secs(10));
}

fn consumer(kafka: &Kafka) -> (Consumer, Topic) {
    let consumer = ConsumerBuilder::new().bootstrap_servers(&kafka.bootstrap()).group(GROUP).start().unwrap();
    let topic = consumer.topic(TOPIC).unwrap();
    (consumer, topic)
}

async fn commit(consumer: &Consumer, topic: Topic, offset: i64) {
    let offsets: Vec<_> = (0..PARTITIONS).map(|partition| (topic, partition, offset + i64::from(partition))).collect();
    consumer.commit_offsets(&offsets).await.unwrap();
}

/// Where a consumer that has just started begins.
async fn assert_kept(kafka: &Kafka, offset: i64) {
    let (consumer, topic) = consumer(kafka);
    for partition in 0..PARTITIONS {
        consumer.assign(topic, partition, Start::Committed).unwrap();
        assert_eq!(consumer.wait_position(topic, partition).await.unwrap(), offset + i64::from(partition));
    }
    let fetched = consumer.poll(1).await.unwrap().unwrap();
    let record = fetched.records().next().unwrap();
    assert_eq!(record.offset, offset + i64::from(record.partition));
    // Dropped and not closed: a close would commit.
}

#[test]
fn commits_survive_a_restart_of_the_coordinator() {
    if !enabled() {
        return;
    }
    let (kafka, _turn) = cluster();
    kafka.create_topic(TOPIC, PARTITIONS, 3, &[]).unwrap();
    fill(kafka);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (consumer, topic) = runtime.block_on(async {
        let (consumer, topic) = consumer(kafka);
        for partition in 0..PARTITIONS {
            consumer.assign(topic, partition, Start::Beginning).unwrap();
        }
        commit(&consumer, topic, 3).await;
        (consumer, topic)
    });

    let victim = coordinator(kafka);
    kafka.kill(victim).unwrap();
    // The same consumer finds the next coordinator, and so does a new one.
    runtime.block_on(async {
        commit(&consumer, topic, 7).await;
        assert_kept(kafka, 7).await;
    });
    let next = coordinator(kafka);
    assert_ne!(next, victim);
    kafka.start_node(victim).unwrap();
    until(LONG, "all replicas to be in sync", || {
        kafka.partitions("__consumer_offsets").ok()?.iter().all(|p| p.in_sync == p.replicas).then_some(())
    })
    .unwrap();

    // An orderly end this time.
    kafka.terminate(next).unwrap();
    runtime.block_on(async {
        commit(&consumer, topic, 20).await;
        assert_kept(kafka, 20).await;
    });
    kafka.start_node(next).unwrap();
    let admin = Admin::new(&kafka.bootstrap()).unwrap();
    let kept = runtime.block_on(admin.committed(GROUP, Duration::from_secs(60))).unwrap();
    let mut kept: Vec<_> = kept.iter().map(|kept| (kept.partition, kept.offset)).collect();
    kept.sort();
    assert_eq!(kept, [(0, 20), (1, 21)]);
    runtime.block_on(consumer.close()).unwrap();
    until(LONG, "all replicas to be in sync", || {
        kafka.partitions(TOPIC).ok()?.iter().all(|p| p.in_sync == p.replicas).then_some(())
    })
    .unwrap();
}
