//! Partitions that are silent beside one that is not.

use crate::kafka_4;
use demitasse_io_std::{Builder, ConsumerBuilder, Record, Start};
use demitasse_kafka_tests::enabled;
use std::time::{Duration, Instant};

const PARTITIONS: i32 = 3;
const RECORDS: u32 = 40;

/// While a record is with the caller its partition is not asked for, and the broker has nothing to say of the others, for
/// `fetch.max.wait.ms`: the next record must not wait for that.
#[test]
fn a_record_is_read_at_once_however_silent_the_others_are() {
    if !enabled() {
        return;
    }
    let kafka = kafka_4();
    kafka.create_topic("silence", PARTITIONS, 1, &[]).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let consumer = ConsumerBuilder::new().bootstrap_servers(&kafka.bootstrap()).start().unwrap();
        let topic = consumer.topic("silence").unwrap();
        (0..PARTITIONS).for_each(|partition| consumer.assign(topic, partition, Start::Beginning).unwrap());
        let producer = Builder::new().bootstrap_servers(&kafka.bootstrap()).linger(Duration::ZERO);
        let producer = producer.start().unwrap();
        let to = producer.topic("silence").unwrap().partition(1);
        let mut records = consumer.records(10);
        // The first has to find its way: leaders, sessions.
        let mut began = Instant::now();
        for number in 0..=RECORDS {
            if number == 1 {
                began = Instant::now();
            }
            producer.send(to, &Record::new(&number.to_be_bytes())).await.unwrap();
            let right = records.next(|record| record.value == Some(&number.to_be_bytes())).await.unwrap();
            assert_eq!(right, Some(true));
        }
        // Half a second each, if they waited for the others.
        let each = began.elapsed() / RECORDS;
        eprintln!("{each:?} a record");
        assert!(each < Duration::from_millis(200), "{each:?} a record");
    });
}
