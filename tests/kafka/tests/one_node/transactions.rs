//! Transactions that Kafka's own client wrote, committed and aborted, of several producers at once: who reads what is
//! committed sees exactly that, in order; who reads everything sees everything.

use crate::{kafka_3, kafka_4};
use demitasse_io_std::{Consumer, ConsumerBuilder, IsolationLevel, Start};
use demitasse_kafka_tests::{Kafka, enabled};
use std::collections::BTreeMap;
use std::time::Duration;

const PARTITIONS: i32 = 3;

/// Values by partition and offset.
type Records = BTreeMap<(i32, i64), String>;

/// What became of each record, as the producers know it.
fn written(kafka: &Kafka, topic: &str, codec: &str) -> BTreeMap<String, Records> {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/java/Transactions.java");
    let (bootstrap, partitions, seed) = (kafka.bootstrap(), PARTITIONS.to_string(), std::process::id().to_string());
    let told = kafka.tool(source, &[&bootstrap, topic, &partitions, "4", "120", &seed, codec], b"").unwrap();
    let mut written = BTreeMap::<String, Records>::new();
    for line in told.lines() {
        let mut parts = line.splitn(4, ' ');
        let fate = parts.next().unwrap_or_default();
        if !["committed", "aborted", "plain", "open"].contains(&fate) {
            continue; // a line of the client's log
        }
        let mut number = || parts.next().and_then(|text| text.parse::<i64>().ok()).unwrap_or_else(|| panic!("{line}"));
        let place = (number() as i32, number());
        let value = parts.next().unwrap_or_else(|| panic!("{line}"));
        written.entry(fate.into()).or_default().insert(place, value.into());
    }
    written
}

/// Reads until there are so many records, and then for a moment to see that there are no more. Of each partition they must
/// come in order.
async fn read(consumer: &Consumer, topic: &str, expected: usize) -> Records {
    let topic = consumer.topic(topic).unwrap();
    for partition in 0..PARTITIONS {
        consumer.assign(topic, partition, Start::Beginning).unwrap();
    }
    let (mut records, mut last) = (Records::new(), BTreeMap::new());
    loop {
        let patience = Duration::from_millis(if records.len() < expected { 20_000 } else { 1500 });
        let Ok(fetched) = tokio::time::timeout(patience, consumer.poll(500)).await else { break };
        let fetched = fetched.unwrap().expect("it is open");
        for record in fetched.records() {
            let before = last.insert(record.partition, record.offset);
            assert!(before.is_none_or(|before| before < record.offset), "{before:?} came before {}", record.offset);
            let value = String::from_utf8_lossy(record.value.unwrap()).into_owned();
            records.insert((record.partition, record.offset), value);
        }
    }
    // Markers and open transactions are not what somebody who reads is behind with.
    (0..PARTITIONS).for_each(|partition| assert_eq!(consumer.lag(topic, partition), Some(0), "partition {partition}"));
    records
}

fn compare(read: &Records, expected: &Records, what: &str) {
    let odd = |a: &Records, b: &Records| a.keys().filter(|place| !b.contains_key(place)).count();
    let (missing, too_many) = (odd(expected, read), odd(read, expected));
    assert_eq!((missing, too_many), (0, 0), "{what}: missing, too many, of {}", expected.len());
    assert!(read == expected, "{what}: values differ");
}

/// `DEMITASSE_TRANSACTIONS_CODEC` names what the producers compress with.
fn are_read_as_they_ended(kafka: &Kafka) {
    let codec = &std::env::var("DEMITASSE_TRANSACTIONS_CODEC").unwrap_or_else(|_| "none".into());
    let topic = format!("transactions-{codec}");
    kafka.create_topic(&topic, PARTITIONS, 1, &[]).unwrap();
    let written = written(kafka, &topic, codec);
    let of = |fates: &[&str]| -> Records { fates.iter().flat_map(|fate| written[*fate].clone()).collect() };
    let (committed, all) = (of(&["committed", "plain"]), of(&["committed", "plain", "aborted", "open"]));
    let count = |fate: &str| written[fate].len();
    let counts = ["committed", "aborted", "plain", "open"].map(count);
    eprintln!("{topic}, seed {}: {counts:?} records committed, aborted, plain, open", std::process::id());
    assert!(counts.iter().all(|count| *count > 0));

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        // In small chunks as well: then one response begins in the middle of a transaction that another began.
        // Smaller than most batches, these go through them in pieces.
        for chunk in [1_114_112, 20_000, 2_000] {
            for (isolation, expected) in
                [(IsolationLevel::ReadCommitted, &committed), (IsolationLevel::ReadUncommitted, &all)]
            {
                let builder = ConsumerBuilder::new().bootstrap_servers(&kafka.bootstrap()).isolation_level(isolation);
                let consumer = builder.set("fetch.chunk.bytes", &chunk.to_string()).unwrap().start().unwrap();
                let found = read(&consumer, &topic, expected.len()).await;
                compare(&found, expected, &format!("{isolation:?}, chunks of {chunk}"));
                consumer.close().await.unwrap();
            }
        }
    });
}

#[test]
fn transactions_are_read_as_they_ended_at_4() {
    if enabled() {
        are_read_as_they_ended(kafka_4());
    }
}

#[test]
fn transactions_are_read_as_they_ended_at_3() {
    if enabled() {
        are_read_as_they_ended(kafka_3());
    }
}
