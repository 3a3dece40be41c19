//! Confluent's Rust client, with keys and values as slices: its own way around serializers. A callback a record, as
//! in Java. On tokio's runtime with one thread, or with `--mode threads` with as many as there are cores.

use anyhow::{Result, ensure};
use confluent_kafka::common::serialization::ByteArraySerializer;
use confluent_kafka::producer::{Callback, KafkaProducer, Producer, ProducerConfig, ProducerRecord, callback};
use peer::{Arguments, Counting, Latencies, Parser, Run};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const VERSION: &str = "1.0.0";

struct Seen {
    acknowledged: AtomicU64,
    latencies: Latencies,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    peer::runtime(&arguments.mode)?.block_on(run(&arguments))
}

async fn run(arguments: &Arguments) -> Result<()> {
    let producer = producer(arguments)?;
    let payload = arguments.payload();
    let record = || ProducerRecord::<&[u8], &[u8]>::new(arguments.topic.clone(), Some(&payload));
    producer.send(record(), None).await?.get().await?;

    let seen = Arc::new(Seen { acknowledged: AtomicU64::new(0), latencies: Latencies::new() });
    let run = Run::begin(arguments)?;
    for number in 0..arguments.records {
        let mut sent = None;
        if arguments.rate.is_some() {
            tokio::time::sleep_until(run.due(number).into()).await;
            sent = Some(run.start(number));
        }
        drop(producer.send(record(), Some(observer(&seen, sent))).await?);
    }
    producer.flush().await?;
    ensure!(Arc::strong_count(&seen) == 1, "flush ended before all callbacks were called");
    run.end("confluent", VERSION, seen.acknowledged.load(Relaxed), 1, &seen.latencies)?;
    producer.close().await?;
    Ok(())
}

fn observer(seen: &Arc<Seen>, sent: Option<Instant>) -> Box<dyn Callback> {
    let seen = seen.clone();
    Box::new(callback::new(move |_, error| {
        if error.is_none() {
            seen.acknowledged.fetch_add(1, Relaxed);
        }
        if let Some(sent) = sent {
            seen.latencies.seen(sent);
        }
    }))
}

fn producer(arguments: &Arguments) -> Result<KafkaProducer<Vec<u8>, Vec<u8>>> {
    let properties = [
        ("bootstrap.servers", arguments.bootstrap.clone()),
        ("batch.size", arguments.batch.to_string()),
        ("linger.ms", arguments.linger.to_string()),
        ("buffer.memory", arguments.memory.to_string()),
    ];
    let properties: HashMap<_, _> = properties.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Ok(KafkaProducer::new(ProducerConfig::new(&properties)?, ByteArraySerializer::new(), ByteArraySerializer::new())?)
}
