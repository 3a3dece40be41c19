//! A thousand readings into Kafka, and what that took.
//!
//!     cargo run --release --example quickstart                                  # with a stand-in broker
//!     cargo run --release --example quickstart -- --bootstrap localhost:9092    # with yours
//!
//! What to copy is `produce`: build a producer, get the topic, send, wait for the deliveries, close. `send` hands a
//! delivery back as soon as the record is in a batch; that it is written is known only when the delivery is awaited.
//! This is a plain program with threads; in async code leave out `_blocking` and await.

use demitasse_broker::{Options, Server};
use demitasse_io_std::{Producer, Record, guard};
use std::collections::BTreeMap;
use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

const READINGS: u32 = 1_000;

// Not needed, and nice to have: it counts what the client allocates after its start (feature `allocation-guard`).
#[global_allocator]
static ALLOCATOR: guard::GuardedAllocator = guard::GuardedAllocator::new();

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quickstart: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--bootstrap", servers] => {
            println!("Sending to the Kafka brokers at {servers}.");
            produce(servers)
        }
        [] => {
            let broker = Server::start(Options { default_partitions: 3, ..Options::default() })?;
            println!("No --bootstrap HOST:PORT given: this runs against a stand-in broker in this program, not Kafka.");
            produce(&broker.bootstrap())
        }
        _ => Err("usage: quickstart [--bootstrap HOST:PORT[,HOST:PORT..]]".into()),
    }
}

fn produce(servers: &str) -> Result<(), Box<dyn Error>> {
    // All memory is allocated here: 4 MiB of batches. Settings have Kafka's names, defaults are the Java client's.
    let builder = Producer::builder().bootstrap_servers(servers).set("batch.size", "16384")?;
    let producer = builder.set("buffer.memory", "4194304")?.set("linger.ms", "5")?.start()?;
    let allocations = guard::counts().client;
    let topic = producer.topic("quickstart")?;

    // A record with a key: all readings of a room go to one partition, in their order. If all memory is in use, `send`
    // waits until a batch is acknowledged, or gives up after max.block.ms; it never takes more.
    let mut deliveries = Vec::new();
    for number in 0..READINGS {
        let (room, celsius) = (format!("room-{}", number % 20), format!("{:.1}", 20.0 + f64::from(number % 50) / 10.0));
        let record = Record::new(celsius.as_bytes()).key(room.as_bytes());
        deliveries.push(producer.send_blocking(topic, &record)?);
    }

    // A delivery is a few bytes of plain data. Waiting tells where the record is, or why it is not there.
    let mut partitions = BTreeMap::new();
    for delivery in deliveries {
        let receipt = producer.wait_blocking(delivery)?;
        let (records, last) = partitions.entry(receipt.partition).or_insert((0, None));
        (*records, *last) = (*records + 1, receipt.offset);
    }
    for (partition, (records, last)) in &partitions {
        println!("  partition {partition}: {records:4} readings, the last at offset {}", last.unwrap_or(-1));
    }

    let metrics = producer.metrics();
    let (acknowledged, batches) = (metrics.counters.acknowledged, metrics.counters.batches);
    println!(
        "{acknowledged} readings acknowledged in {batches} batches; half of them within {:?}.",
        metrics.latency.p50
    );

    let since = guard::counts().client - allocations;
    println!("The client's memory was taken at its start; it has allocated {since} times since then:");
    println!("  {:12}{:>12}{:>12}{:>12}", "pool", "entries", "most in use", "bytes");
    for (name, pool) in metrics.memory.pools() {
        println!("  {name:12}{:>12}{:>12}{:>12}", pool.capacity, pool.high_water, pool.bytes());
    }
    println!("  {:12}{:>36}", "total", metrics.memory.bytes());

    producer.close_blocking(Duration::from_secs(10));
    println!("Closed.");
    Ok(())
}
