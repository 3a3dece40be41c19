//! `unknown.outcome=hold`: the delivery's time is over while its batch may be in the log; it is kept, and settled once
//! somebody can tell.

use crate::{LONG, cluster};
use demitasse_io_std::{Delivery, Producer, Record, UnknownOutcome};
use demitasse_kafka_tests::{Kafka, Result, enabled, until};
use std::time::Duration;

/// Freezes a leader with a batch on its way until its time is over, then has `bring_back` bring the node back: the batch
/// is there once, and what was sent after it behind it.
fn held_while_its_leader_is_away(topic: &str, bring_back: impl FnOnce(&Kafka, u16) -> Result<()>) {
    let (kafka, _turn) = cluster();
    kafka.create_topic(topic, 1, 3, &[("min.insync.replicas", "2")]).unwrap();
    let mut builder = Producer::builder()
        .bootstrap_servers(&kafka.bootstrap())
        .unknown_outcome(UnknownOutcome::Hold)
        .linger(Duration::ZERO)
        .delivery_timeout(Duration::from_secs(2));
    builder.config_mut().request_timeout = Duration::from_secs(1);
    let producer = builder.start().unwrap();
    let to = producer.topic(topic).unwrap();
    let send = |value: &str| producer.send_blocking(to, &Record::new(value.as_bytes())).unwrap();
    let offset = |delivery: Delivery| producer.wait_blocking(delivery).unwrap().offset;
    assert_eq!(offset(send("first")), Some(0));

    let leader = kafka.partitions(topic).unwrap()[0].leader as u16;
    kafka.freeze(leader).unwrap();
    let held = send("held");
    until(LONG, "the batch to be held", || (producer.metrics().counters.held > 0).then_some(())).unwrap();
    assert_eq!(producer.outcome(&held), None, "it has no outcome before somebody can tell");
    let later: Vec<_> = (0..3).map(|i| send(&format!("later {i}"))).collect();
    bring_back(kafka, leader).unwrap();

    until(LONG, "the held batch to be settled", || producer.outcome(&held)).unwrap().unwrap();
    // Those after it may have run out of time while they waited, but have not been sent: then they have failed.
    let later: Vec<_> = later.into_iter().map(|delivery| producer.wait_blocking(delivery)).collect();
    let last = until(LONG, "a record after all of them", || producer.wait_blocking(send("last")).ok()).unwrap();
    let c = producer.metrics().counters;
    assert_eq!(c.unknown, 0, "{c:?}");
    producer.close_blocking(Duration::from_secs(10));

    let written = (0..).zip(&later).filter(|(_, outcome)| outcome.is_ok()).map(|(i, _)| format!("later {i}"));
    let expected: Vec<_> = ["first".into(), "held".into()].into_iter().chain(written).chain(["last".into()]).collect();
    let found = kafka.consume(topic).unwrap();
    let found: Vec<_> = found.iter().map(|r| String::from_utf8_lossy(r.value.as_deref().unwrap_or_default())).collect();
    assert_eq!(found, expected);
    assert_eq!(last.offset, Some(found.len() as i64 - 1));
    until(LONG, "all replicas to be in sync", || {
        kafka.partitions(topic).ok()?.iter().all(|p| p.in_sync == p.replicas).then_some(())
    })
    .unwrap();
}

#[test]
fn a_held_batch_is_written_once_when_its_leader_goes_on() {
    if enabled() {
        held_while_its_leader_is_away("held-frozen", Kafka::thaw);
    }
}

#[test]
fn a_held_batch_is_written_once_when_its_leader_dies_and_comes_back() {
    if enabled() {
        held_while_its_leader_is_away("held-killed", |kafka, node| {
            kafka.kill(node)?;
            kafka.start_node(node)
        });
    }
}
