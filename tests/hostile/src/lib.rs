//! What a fuzzer does with its bytes: every function takes any bytes and panics if a promise is broken.
//!
//! The fuzzers proper are in `fuzz/`, which needs libFuzzer; `tests/replay.rs` runs what they found with nothing but
//! `cargo test`. `readers` are the decoders alone; `decompress` are the codecs; `consumer` reads a log of
//! anything; `connection` and `admin` are the whole client with brokers that
//! may do anything, played by `world`.

mod admin;
mod connection;
mod consumer;
mod decompress;
mod input;
mod readers;
mod world;

use demitasse_core::protocol::ApiKey;

/// A fuzzer's name, which is also that of its corpus, and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: &[Target] = &[
    ("api_versions", api_versions),
    ("batches", batches),
    ("create_topics", create_topics),
    ("decompress", decompress),
    ("fetch", fetch),
    ("find_coordinator", find_coordinator),
    ("init_producer_id", init_producer_id),
    ("list_offsets", list_offsets),
    ("metadata", metadata),
    ("offset_commit", offset_commit),
    ("offset_fetch", offset_fetch),
    ("offset_for_leader_epoch", offset_for_leader_epoch),
    ("produce", produce),
    ("skip", skip),
    ("admin", admin),
    ("connection", connection),
    ("consumer", consumer),
];

/// Reads an ApiVersions response.
pub fn api_versions(data: &[u8]) {
    readers::read_response(ApiKey::ApiVersions, data);
}

/// Reads record batches, whole and as they stream by.
pub fn batches(data: &[u8]) {
    demitasse_oracle_tests::batches::batches_of_anything(data);
}

/// Reads a CreateTopics response.
pub fn create_topics(data: &[u8]) {
    readers::read_response(ApiKey::CreateTopics, data);
}

/// Decompresses anything, by every codec.
pub fn decompress(data: &[u8]) {
    decompress::run(data);
}

/// Reads a Fetch response, with its records and without.
pub fn fetch(data: &[u8]) {
    readers::read_response(ApiKey::Fetch, data);
    readers::take_records(data);
}

/// Reads a FindCoordinator response.
pub fn find_coordinator(data: &[u8]) {
    readers::read_response(ApiKey::FindCoordinator, data);
}

/// Reads an InitProducerId response.
pub fn init_producer_id(data: &[u8]) {
    readers::read_response(ApiKey::InitProducerId, data);
}

/// Reads a ListOffsets response.
pub fn list_offsets(data: &[u8]) {
    readers::read_response(ApiKey::ListOffsets, data);
}

/// Reads a Metadata response.
pub fn metadata(data: &[u8]) {
    readers::read_response(ApiKey::Metadata, data);
}

/// Reads an OffsetCommit response.
pub fn offset_commit(data: &[u8]) {
    readers::read_response(ApiKey::OffsetCommit, data);
}

/// Reads an OffsetFetch response.
pub fn offset_fetch(data: &[u8]) {
    readers::read_response(ApiKey::OffsetFetch, data);
}

/// Reads an OffsetForLeaderEpoch response.
pub fn offset_for_leader_epoch(data: &[u8]) {
    readers::read_response(ApiKey::OffsetForLeaderEpoch, data);
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

/// Runs a consumer on a log whose batches may have anything in them.
pub fn consumer(data: &[u8]) {
    consumer::run(data);
}
