//! demitasse as its users have it. The outcome of every delivery is observed.
//!
//! `--mode send`: record by record from an async task, all of it on one thread. `--mode slices`: the same, 64 records
//! at a time. `--mode connections`: record by record, with a connection to the broker for each partition. `--mode
//! threads`: record by record from a plain thread; the producer has one of its own. `--mode pair`: from two plain threads
//! at once. `--mode read`: a consumer instead.

mod open;
mod reading;
mod tasks;
mod threads;

use anyhow::{Result, bail};
use demitasse_io_std::{Builder, Producer};
use peer::{Arguments, Counting, Parser};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes that are handed over before outcomes are looked at, and before tasks on the same thread may run.
const BETWEEN_LOOKS: usize = 64 * 1024;

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match &*arguments.mode {
        "threads" => threads::run(&arguments, 1),
        "pair" => threads::run(&arguments, 2),
        "send" | "slices" | "connections" => peer::runtime("")?.block_on(tasks::run(&arguments)),
        "read" => peer::runtime("")?.block_on(reading::run(&arguments)),
        other => bail!("--mode is send, slices, connections, threads, pair or read, not {other:?}"),
    }
}

fn builder(arguments: &Arguments) -> Result<Builder> {
    let builder = Producer::builder().bootstrap_servers(&arguments.bootstrap);
    let builder = builder.set("batch.size", &arguments.batch.to_string())?;
    let connections = if arguments.mode == "connections" { arguments.partitions.try_into()? } else { 1 };
    let builder = builder.connections_per_broker(connections..=connections);
    // `buffer.memory` is as it is by itself: it is all touched at the start, so it should not be more than is of use.
    Ok(builder.set("linger.ms", &arguments.linger.to_string())?)
}
