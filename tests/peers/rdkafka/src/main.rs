//! librdkafka by the crate rdkafka. `--mode callback`: a delivery callback a record.
//! `--mode future`: a future a record, on tokio's multi-threaded runtime. `--mode read`: a consumer.
//!
//! Of its settings, those for throughput: no limit by the number of messages, only by bytes, in batches and in the
//! queue.

mod callback;
mod future;
mod reading;

use anyhow::{Result, bail};
use peer::{Arguments, Counting, Parser};
use rdkafka::ClientConfig;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if arguments.allocations {
        bail!("librdkafka's allocations are C's: they cannot be counted from here");
    }
    match &*arguments.mode {
        "callback" => callback::run(&arguments),
        "future" => future::run(&arguments),
        "read" => reading::run(&arguments),
        other => bail!("--mode is callback, future or read, not {other:?}"),
    }
}

fn config(arguments: &Arguments) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &arguments.bootstrap)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", arguments.linger.to_string())
        .set("batch.size", arguments.batch.to_string())
        .set("batch.num.messages", "1000000")
        .set("queue.buffering.max.messages", "10000000")
        .set("queue.buffering.max.kbytes", (arguments.memory / 1024).to_string());
    config
}

fn version() -> String {
    let (_, librdkafka) = rdkafka::util::get_rdkafka_version();
    format!("0.39.0, librdkafka {librdkafka}")
}
