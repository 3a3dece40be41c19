//! Every kind of record, through the library and not the command line, is read back as it was sent.

use crate::{kafka_3, kafka_4};
use demitasse_io_std::{Acks, Header, Producer, Record};
use demitasse_kafka_tests::{Kafka, enabled, until};
use std::time::Duration;

fn every_kind_arrives(kafka: &Kafka) {
    let (topic, other) = ("kinds", "kinds-other");
    for topic in [topic, other] {
        kafka.create_topic(topic, 2, 1, &[]).unwrap();
    }
    let headers = [
        Header { key: "unit", value: Some(b"celsius") },
        Header { key: "empty", value: Some(b"") },
        Header { key: "unit", value: Some("again, \u{1f600}".as_bytes()) },
    ];
    let large = vec![b'x'; 60_000];
    let records = [
        Record::new(b"plain"),
        Record::new(b"").key(b""),
        Record::tombstone(b"gone"),
        Record::new(b"\0\n\xff").key(b"\0\n\xff").headers(&headers),
        Record::new(b"then").timestamp(1_234_567_890_123),
        Record::new(b"before").timestamp(1_000_000_000_000),
        Record::new(&large),
    ];

    let builder = Producer::builder().bootstrap_servers(&kafka.bootstrap()).linger(Duration::from_millis(50));
    let producer = builder.start().unwrap();
    let handles = [topic, other].map(|name| producer.topic(name).unwrap());
    let mut deliveries = Vec::new();
    for record in &records {
        for to in handles {
            deliveries.push(producer.send_blocking(to.partition(1), record).unwrap());
        }
    }
    let receipts: Vec<_> = deliveries.into_iter().map(|delivery| producer.wait_blocking(delivery).unwrap()).collect();
    producer.close_blocking(Duration::from_secs(10));

    for (which, name) in [topic, other].iter().enumerate() {
        let found = kafka.consume(name).unwrap();
        assert_eq!(found.len(), records.len());
        for (offset, (found, record)) in found.iter().zip(&records).enumerate() {
            let receipt = &receipts[2 * offset + which];
            assert_eq!((receipt.topic, receipt.partition), (handles[which], 1));
            assert_eq!((receipt.offset, found.offset, found.partition), (Some(offset as i64), offset as i64, 1));
            assert_eq!((found.key.as_deref(), found.value.as_deref()), (record.key, record.value));
            assert_eq!(receipt.timestamp, found.timestamp);
            assert_eq!(record.timestamp.unwrap_or(found.timestamp), found.timestamp);
            let expected: &[u8] = match record.headers {
                [] => b"",
                _ => "unit=celsius,empty=,unit=again, \u{1f600}".as_bytes(),
            };
            assert_eq!(found.headers, expected);
        }
    }
}

/// A broker tells of a new leader before that one takes records. What it refuses with acks=0 is lost, and nobody is told.
fn every_partition_takes_records(kafka: &Kafka, topic: &str) {
    let producer = Producer::builder().bootstrap_servers(&kafka.bootstrap()).start().unwrap();
    let handle = producer.topic(topic).unwrap();
    for partition in 0..3 {
        let delivery = producer.send_blocking(handle.partition(partition), &Record::new(b"first")).unwrap();
        producer.wait_blocking(delivery).unwrap();
    }
    producer.close_blocking(Duration::from_secs(10));
}

fn less_than_all_acks_arrives_too(kafka: &Kafka) {
    for (acks, topic) in [(Acks::Leader, "acks-1"), (Acks::None, "acks-0")] {
        kafka.create_topic(topic, 3, 1, &[]).unwrap();
        every_partition_takes_records(kafka, topic);
        let producer = Producer::builder().bootstrap_servers(&kafka.bootstrap()).acks(acks).start().unwrap();
        let handle = producer.topic(topic).unwrap();
        let mut last = None;
        for i in 0..5000u32 {
            last = Some(producer.send_blocking(handle, &Record::new(&i.to_be_bytes())).unwrap());
        }
        let receipt = producer.wait_blocking(last.unwrap()).unwrap();
        assert_eq!(receipt.offset.is_some(), acks == Acks::Leader);
        producer.close_blocking(Duration::from_secs(10));
        // With acks=0 the outcome is known before the broker has read its socket to the end.
        let all = || (kafka.end_offsets(topic).unwrap().iter().sum::<i64>() == 5003).then_some(());
        until(Duration::from_secs(20), "all records have arrived", all).unwrap();
    }
}

#[test]
fn every_kind_of_record_arrives_at_4() {
    if enabled() {
        every_kind_arrives(kafka_4());
    }
}

#[test]
fn every_kind_of_record_arrives_at_3() {
    if enabled() {
        every_kind_arrives(kafka_3());
    }
}

#[test]
fn acks_one_and_none_arrive() {
    if enabled() {
        less_than_all_acks_arrives_too(kafka_4());
    }
}
