//! What a fuzzer does with its bytes: every function takes any bytes and panics if a promise is broken.
//!
//! The fuzzers proper are in `fuzz/`, which needs libFuzzer; `tests/replay.rs` runs what they found with nothing but
//! `cargo test`. `readers` are the decoders alone; `connection` and `admin` are the whole client with brokers that
//! may do anything, played by `world`.

mod admin;
mod connection;
mod input;
mod readers;
mod world;

use demitasse_core::protocol::ApiKey;

/// A fuzzer's name, which is also that of its corpus, and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: &[Target] = &[
    ("api_versions", api_versions),
    ("create_topics", create_topics),
    ("init_producer_id", init_producer_id),
    ("metadata", metadata),
    ("produce", produce),
    ("skip", skip),
    ("admin", admin),
    ("connection", connection),
];

/// Reads an ApiVersions response.
pub fn api_versions(data: &[u8]) {
    readers::read_response(ApiKey::ApiVersions, data);
}

/// Reads a CreateTopics response.
pub fn create_topics(data: &[u8]) {
    readers::read_response(ApiKey::CreateTopics, data);
}

/// Reads an InitProducerId response.
pub fn init_producer_id(data: &[u8]) {
    readers::read_response(ApiKey::InitProducerId, data);
}

/// Reads a Metadata response.
pub fn metadata(data: &[u8]) {
    readers::read_response(ApiKey::Metadata, data);
}

/// Reads a Produce response.
pub fn produce(data: &[u8]) {
    readers::read_response(ApiKey::Produce, data);
}

/// Passes over fields that nobody wants.
pub fn skip(data: &[u8]) {
    readers::skip(data);
}

/// Asks for topics and creates one, at brokers that may do anything.
pub fn admin(data: &[u8]) {
    admin::run(data);
}

/// Runs a producer, connections and all, against brokers that may do anything.
pub fn connection(data: &[u8]) {
    connection::run(data);
}
