//! Records and topics that the broker, or the producer itself, refuses.

use crate::{FORBIDDEN, assert_refused, kafka, kafka_without_auto_create};
use demitasse_kafka_tests::enabled;

#[test]
fn a_record_larger_than_a_batch() {
    if enabled() {
        kafka().create_topic("too-large", 1, 1, &[]).unwrap();
        let line = vec![b'x'; 20_000];
        assert_refused(&kafka().bootstrap(), "too-large", &["-X", "batch.size=16384"], &line, &["batch.size", "16384"]);
        assert_eq!(kafka().end_offsets("too-large").unwrap(), [0]);
    }
}

#[test]
fn a_batch_larger_than_the_topic_takes() {
    if enabled() {
        kafka().create_topic("small-batches", 1, 1, &[("max.message.bytes", "1000")]).unwrap();
        let line = vec![b'x'; 5_000];
        assert_refused(&kafka().bootstrap(), "small-batches", &[], &line, &["max.message.bytes"]);
        assert_eq!(kafka().end_offsets("small-batches").unwrap(), [0]);
    }
}

#[test]
fn a_topic_that_is_unknown_and_not_to_be_made() {
    if enabled() {
        let more = ["-X", "allow.auto.create.topics=false"];
        assert_refused(&kafka().bootstrap(), "nowhere", &more, b"line\n", &["nowhere", "topic"]);
        assert_eq!(kafka().partitions("nowhere").unwrap(), [], "it was made all the same");
    }
}

#[test]
fn a_topic_that_the_broker_will_not_make() {
    if enabled() {
        assert_refused(&kafka_without_auto_create().bootstrap(), "nowhere", &[], b"line\n", &["nowhere", "topic"]);
    }
}

#[test]
fn a_topic_whose_name_is_invalid() {
    if enabled() {
        for name in ["no spaces!", "..", &"x".repeat(250)] {
            assert_refused(&kafka().bootstrap(), name, &[], b"line\n", &["name", "topic"]);
        }
    }
}

#[test]
fn a_topic_that_may_not_be_written() {
    if enabled() {
        assert_refused(&kafka().bootstrap(), FORBIDDEN, &[], b"line\n", &[FORBIDDEN, "right"]);
        assert_eq!(kafka().end_offsets(FORBIDDEN).unwrap(), [0]);
    }
}

#[test]
fn a_partition_that_is_not_there() {
    if enabled() {
        kafka().create_topic("three-partitions", 3, 1, &[]).unwrap();
        let more = ["--partition", "3"];
        assert_refused(&kafka().bootstrap(), "three-partitions", &more, b"line\n", &["partition", "3"]);
    }
}
