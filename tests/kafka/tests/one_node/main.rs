//! One Kafka node of each version, shared by all tests of this binary.

#[path = "../common/mod.rs"]
#[allow(dead_code, reason = "each test binary needs a part of it")]
mod common;
mod compression;
mod consumer_messages;
mod full_disk;
mod harness;
mod keyed_lines;
mod million_records;
mod pipeline_kills;
mod records;
mod silence;
mod transactions;
mod verifiable_producer;

use demitasse_kafka_tests::{KAFKA_3, KAFKA_4, Kafka, Options};
use std::sync::OnceLock;

/// The shared 4.x node.
fn kafka_4() -> &'static Kafka {
    static NODE: OnceLock<Kafka> = OnceLock::new();
    NODE.get_or_init(|| Kafka::start(Options::one(KAFKA_4)).unwrap())
}

/// The shared 3.x node.
fn kafka_3() -> &'static Kafka {
    static NODE: OnceLock<Kafka> = OnceLock::new();
    NODE.get_or_init(|| Kafka::start(Options::one(KAFKA_3)).unwrap())
}
