//! Values to fill messages with.
#![allow(dead_code, unreachable_pub)]

pub mod exchange;
pub mod given;
pub mod valid;

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{BrokerId, TopicName};
use kafka_protocol::protocol::{Encodable, StrBytes};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// The most bytes that one item of a response takes here: a Metadata topic with a name of 249 bytes.
pub const ROOM: usize = 2 + 2 + 249 + 16 + 1 + 5 + 1;

pub type Tags = BTreeMap<i32, Bytes>;

/// Runs `test` for each version with random values; `ORACLE_CASES` a version (16 by default).
pub fn for_versions<S: Strategy>((first, last): (i16, i16), strategy: impl Fn(i16) -> S, test: impl Fn(i16, S::Value)) {
    let cases = std::env::var("ORACLE_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(16);
    for version in first..=last {
        let config = Config { cases, failure_persistence: None, ..Config::default() };
        let result = TestRunner::new(config).run(&strategy(version), |value| {
            test(version, value);
            Ok(())
        });
        if let Err(error) = result {
            panic!("version {version}: {error}");
        }
    }
}

fn cut(mut text: String, most: usize) -> String {
    while text.len() > most {
        text.pop();
    }
    text
}

/// A string that belongs to an item: at most 249 bytes, often at an edge.
pub fn name() -> impl Strategy<Value = StrBytes> {
    prop_oneof![
        4 => "[a-z.]{0,12}",
        2 => vec(any::<char>(), 0..80).prop_map(|chars| cut(chars.into_iter().collect(), 249)),
        // Where a compact length goes from one byte to two.
        1 => (125usize..130).prop_map(|length| "n".repeat(length)),
        1 => Just("n".repeat(249)),
    ]
    .prop_map(StrBytes::from_string)
}

pub fn topic_name() -> impl Strategy<Value = TopicName> {
    name().prop_map(TopicName)
}

/// A string that a reader passes over: null, short, or longer than any window.
pub fn skipped() -> impl Strategy<Value = Option<StrBytes>> {
    prop_oneof![
        3 => Just(None),
        3 => name().prop_map(Some),
        1 => (300usize..900).prop_map(|length| Some(StrBytes::from_string("s".repeat(length)))),
    ]
}

/// Tagged fields that nobody knows.
pub fn tags(flexible: bool) -> impl Strategy<Value = Tags> {
    let field = prop_oneof![6 => vec(any::<u8>(), 0..12), 1 => vec(any::<u8>(), 120..400)];
    let most = if flexible { 3 } else { 1 };
    btree_map(100..70_000i32, field.prop_map(Bytes::from), 0..most)
        .prop_map(move |tags| if flexible { tags } else { Tags::new() })
}

pub fn broker() -> impl Strategy<Value = BrokerId> {
    any::<i32>().prop_map(BrokerId)
}

/// A list of brokers, at times longer than any window.
pub fn brokers() -> impl Strategy<Value = Vec<BrokerId>> {
    prop_oneof![8 => vec(broker(), 0..4), 1 => vec(broker(), 100..200)]
}

pub fn encoded(message: &impl Encodable, version: i16) -> Bytes {
    let mut bytes = BytesMut::new();
    message.encode(&mut bytes, version).expect("the oracle writes what it was given");
    bytes.freeze()
}

pub fn shown(item: impl std::fmt::Debug) -> String {
    format!("{item:?}")
}
