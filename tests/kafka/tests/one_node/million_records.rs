//! A million small records: none lost, none doubled, no allocation after start, less than a microsecond of CPU each.

use crate::common::{bench, number};
use crate::{kafka_3, kafka_4};
use demitasse_kafka_tests::{Kafka, enabled};
use std::sync::Mutex;

const RECORDS: u64 = 1_000_000;

fn a_million_records_arrive(kafka: &Kafka) {
    // One at a time: both cores are needed for one.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner());

    let topic = "million";
    kafka.create_topic(topic, 4, 1, &[]).unwrap();
    let summary = bench(&kafka.bootstrap(), topic, RECORDS, &["--size", "100"]);
    let end_offsets = kafka.end_offsets(topic).unwrap();
    assert_eq!(end_offsets.iter().sum::<i64>(), RECORDS as i64, "{end_offsets:?}");
    assert_eq!(number(&summary, "allocations_after_start"), 0.0, "{summary}");
    let cpu = number(&summary, "cpu_microseconds_per_record");
    assert!(cpu > 0.0 && cpu < 1.0, "{cpu} microseconds of CPU a record: {summary}");

    let records = kafka.consume(topic).unwrap();
    assert_eq!(records.len(), RECORDS as usize);
    let odd = records.iter().find(|r| r.value.as_ref().is_none_or(|value| value.len() != 100));
    assert!(odd.is_none(), "not 100 bytes: {odd:?}");
}

#[test]
fn a_million_records_arrive_at_4() {
    if enabled() {
        a_million_records_arrive(kafka_4());
    }
}

#[test]
fn a_million_records_arrive_at_3() {
    if enabled() {
        a_million_records_arrive(kafka_3());
    }
}
