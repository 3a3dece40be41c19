//! Numbered records: sent, waited for, and looked for in the log.

use crate::executor::now;
use crate::world::{TOPIC, World};
use demitasse_io_embassy::{Delivery, Producer, Record, Runner, Shape};
use std::collections::VecDeque;
use std::ops::Range;

/// Deliveries that are not waited for yet; more than the buffers hold, so that the pool is full.
const WINDOW: usize = 200;

/// What came of it, in microseconds.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// From the first record to the last outcome.
    pub took: u64,
    /// When no outcome came for a second or longer: from, to.
    pub stalls: Vec<(u64, u64)>,
}

/// What record `number` says.
pub fn value(number: u32) -> [u8; 20] {
    let mut value = *b"....a reading, sent.";
    value[..4].copy_from_slice(&number.to_be_bytes());
    value
}

/// Lets the producer work.
pub fn spawn<S: Shape>(world: &mut World, mut runner: Runner<S>) {
    world.executor.spawn(async move { runner.run().await });
}

/// Sends records and waits for each; numbers are offsets, since nothing else writes to the topic.
pub async fn send<S: Shape>(producer: Producer<S>, numbers: Range<u32>) -> Report {
    let topic = producer.topic(TOPIC).unwrap();
    let start = now();
    let (mut last, mut stalls) = (start, Vec::new());
    let mut written = async |(number, delivery): (u32, Delivery)| {
        let receipt = producer.wait(delivery).await.unwrap_or_else(|error| panic!("record {number}: {error}"));
        assert!(receipt.offset.is_none_or(|offset| offset == i64::from(number)), "{number}: {receipt:?}");
        if now() - last >= 1_000_000 {
            stalls.push((last, now()));
        }
        last = now();
    };
    let mut waiting = VecDeque::new();
    for number in numbers {
        if waiting.len() == WINDOW {
            written(waiting.pop_front().unwrap()).await;
        }
        let delivery = producer.send(topic, &Record::new(&value(number))).await;
        waiting.push_back((number, delivery.unwrap_or_else(|error| panic!("record {number}: {error}"))));
    }
    for delivery in waiting {
        written(delivery).await;
    }
    Report { took: now() - start, stalls }
}

/// Fresh storage of the same capacities, since a `static` can be started but once.
pub fn again<T>(_: &'static T, fresh: T) -> &'static T {
    Box::leak(Box::new(fresh))
}

/// None lost, none doubled, in order.
pub fn check(world: &World, count: u32) {
    let records = world.records();
    for (number, record) in (0..).zip(&records) {
        assert_eq!(record, &value(number), "at offset {number}");
    }
    assert_eq!(records.len(), count as usize);
}
