//! krafka: pure Rust, idempotent, a future a record. On tokio's runtime with one thread, or with `--mode threads` with
//! as many as there are cores.

use anyhow::Result;
use bytes::Bytes;
use krafka::Kafka;
use krafka::producer::{DeliveryHandle, Producer, Record};
use peer::{Arguments, Counting, Latencies, Parser, Run};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const VERSION: &str = "0.28.1";

/// Deliveries whose outcome may be open: more than its buffer has room for.
const WINDOW: usize = 1 << 20;

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    peer::runtime(&arguments.mode)?.block_on(run(&arguments))
}

async fn run(arguments: &Arguments) -> Result<()> {
    let kafka = Kafka::builder(&arguments.bootstrap).connect().await?;
    let producer = kafka
        .producer()
        .batch_size(arguments.batch)
        .linger(Duration::from_millis(arguments.linger))
        .buffer_memory(arguments.memory)
        .metrics_push(false)
        .build()
        .await?;
    let payload = Bytes::from(arguments.payload());
    drop(producer.send(Record::new(&arguments.topic, payload.clone())).await?);

    let latencies = Arc::new(Latencies::new());
    let run = Run::begin(arguments)?;
    let acknowledged = send(arguments, &producer, &payload, &run, &latencies).await?;
    run.end("krafka", VERSION, acknowledged, 1, &latencies)?;
    producer.close().await?;
    Ok(())
}

async fn send(
    arguments: &Arguments,
    producer: &Producer,
    payload: &Bytes,
    run: &Run,
    latencies: &Arc<Latencies>,
) -> Result<u64> {
    let (to_observe, mut open) = mpsc::channel::<(DeliveryHandle, Instant)>(WINDOW);
    let (seen, paced) = (latencies.clone(), arguments.rate.is_some());
    let observer = tokio::spawn(async move {
        let mut acknowledged = 0;
        while let Some((delivery, sent)) = open.recv().await {
            drop(delivery.await?);
            if paced {
                seen.seen(sent);
            }
            acknowledged += 1;
        }
        krafka::Result::Ok(acknowledged)
    });
    let mut sent = Instant::now();
    for number in 0..arguments.records {
        if paced {
            tokio::time::sleep_until(run.due(number).into()).await;
            sent = run.start(number);
        }
        let delivery = producer.enqueue(Record::new(&arguments.topic, payload.clone())).await?;
        to_observe.send((delivery, sent)).await?;
    }
    drop(to_observe);
    Ok(observer.await??)
}
