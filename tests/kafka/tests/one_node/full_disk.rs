//! A broker whose disk is full ends, as Kafka does; the producer says so honestly and goes on when it is back.

use demitasse_io_std::{Delivery, Producer, Record};
use demitasse_kafka_tests::{KAFKA_4, Kafka, Options, disks_can_be_made, enabled, until};
use std::collections::HashSet;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(120);

#[test]
fn a_full_disk_is_told_and_survived() {
    if !enabled() {
        return;
    }
    if !disks_can_be_made() {
        eprintln!("skipped: mounting a small disk takes root");
        return;
    }
    let kafka = Kafka::start(Options { disk_mib: Some(100), ..Options::one(KAFKA_4) }).unwrap();
    let topic = "full-disk";
    kafka.create_topic(topic, 1, 1, &[]).unwrap();
    let mut builder =
        Producer::builder().bootstrap_servers(&kafka.bootstrap()).delivery_timeout(Duration::from_secs(6));
    builder.config_mut().request_timeout = Duration::from_secs(3);
    let producer = builder.start().unwrap();
    let to = producer.topic(topic).unwrap();
    let mut sent: Vec<Delivery> = Vec::new();
    // The number, and enough behind it to need room.
    let mut send = || {
        let mut value = sent.len().to_string().into_bytes();
        value.resize(50_000, b' ');
        sent.push(producer.send_blocking(to, &Record::new(&value)).unwrap());
        producer.wait_blocking(sent[sent.len() - 1])
    };
    send().unwrap();

    kafka.fill_disk(1).unwrap();
    let error = until(LONG, "an error while the disk is full", || send().err()).unwrap();
    eprintln!("while the disk is full: {error}");
    until(LONG, "the broker to give up", || kafka.alive().is_empty().then_some(())).unwrap();
    kafka.free_disk(1).unwrap();
    kafka.start_node(1).unwrap();
    until(LONG, "a record after that", || send().ok()).unwrap();

    let outcomes: Vec<_> = sent.iter().map(|delivery| producer.outcome(delivery).unwrap()).collect();
    let found = kafka.consume(topic).unwrap();
    let number = |value: &[u8]| String::from_utf8_lossy(value).trim().parse::<usize>().unwrap();
    let found: Vec<usize> = found.iter().map(|record| number(record.value.as_deref().unwrap())).collect();
    assert!(found.is_sorted(), "out of order: {found:?}");
    let there: HashSet<usize> = found.iter().copied().collect();
    assert_eq!(there.len(), found.len(), "doubled: {found:?}");
    for (number, outcome) in outcomes.iter().enumerate() {
        match outcome {
            Ok(_) => assert!(there.contains(&number), "{number} was acknowledged and is lost: {found:?}"),
            Err(error) if error.unknown == 0 => assert!(!there.contains(&number), "{number} failed and is there"),
            Err(_) => {}
        }
    }
}
