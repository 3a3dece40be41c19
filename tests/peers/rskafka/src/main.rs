//! rskafka: no buffering, no idempotence. The caller builds each batch, and here does so as fast as it can.
//!
//! On one thread, which was its best. Five batches a partition are on their way, as with the other clients.

use anyhow::Result;
use chrono::Utc;
use futures::stream::{FuturesUnordered, StreamExt};
use peer::{Arguments, Counting, Latencies, Parser, Run};
use rskafka::client::ClientBuilder;
use rskafka::client::partition::{Compression, PartitionClient, UnknownTopicHandling};
use rskafka::record::Record;
use std::collections::BTreeMap;
use std::sync::Arc;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const VERSION: &str = "0.6.0";

/// Batches of a partition that wait for their answer.
const IN_FLIGHT: u64 = 5;

/// Bytes of a record beside its value, at most.
const AROUND: usize = 16;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let client = ClientBuilder::new(vec![arguments.bootstrap.clone()]).build().await?;
    let mut partitions = Vec::new();
    for index in 0..arguments.partitions {
        let handling = UnknownTopicHandling::Retry;
        partitions.push(client.partition_client(&arguments.topic, index as i32, handling).await?);
    }
    let payload = arguments.payload();
    for partition in &partitions {
        partition.produce(records(&payload, 1), Compression::NoCompression).await?;
    }
    let latencies = Arc::new(Latencies::new());
    let run = Run::begin(&arguments)?;
    let acknowledged = match arguments.rate {
        None => full_speed(&arguments, &partitions, &payload).await?,
        Some(_) => paced(&arguments, partitions, &payload, &run, &latencies).await?,
    };
    run.end("rskafka", VERSION, acknowledged, arguments.partitions.into(), &latencies)
}

/// The batch that the API takes: the caller's work, so it is measured.
fn records(payload: &[u8], count: u64) -> Vec<Record> {
    let timestamp = Utc::now();
    let record = |_| Record { key: None, value: Some(payload.to_vec()), headers: BTreeMap::new(), timestamp };
    (0..count).map(record).collect()
}

async fn full_speed(arguments: &Arguments, partitions: &[PartitionClient], payload: &[u8]) -> Result<u64> {
    let batch = (arguments.batch / (arguments.size + AROUND)).max(1) as u64;
    let mut open = FuturesUnordered::new();
    let (mut left, mut acknowledged) = (arguments.records, 0);
    for partition in partitions.iter().cycle() {
        if left == 0 {
            break;
        }
        if open.len() as u64 == IN_FLIGHT * u64::from(arguments.partitions) {
            acknowledged += open.next().await.transpose()?.unwrap_or(0);
        }
        let records = records(payload, batch.min(left));
        left -= records.len() as u64;
        open.push(async move {
            partition.produce(records, Compression::NoCompression).await.map(|offsets| offsets.len() as u64)
        });
        // Futures that were only pushed have not begun.
        while let Some(done) = futures::FutureExt::now_or_never(open.next()).flatten() {
            acknowledged += done?;
        }
    }
    while let Some(done) = open.next().await {
        acknowledged += done?;
    }
    Ok(acknowledged)
}

async fn paced(
    arguments: &Arguments,
    partitions: Vec<PartitionClient>,
    payload: &[u8],
    run: &Run,
    latencies: &Arc<Latencies>,
) -> Result<u64> {
    let partitions: Vec<_> = partitions.into_iter().map(Arc::new).collect();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..arguments.records {
        tokio::time::sleep_until(run.due(number).into()).await;
        let sent = run.start(number);
        let partition = partitions[number as usize % partitions.len()].clone();
        let (records, latencies) = (records(payload, 1), latencies.clone());
        tasks.spawn(async move {
            let offsets = partition.produce(records, Compression::NoCompression).await;
            latencies.seen(sent);
            offsets.map(|offsets| offsets.len() as u64)
        });
    }
    let mut acknowledged = 0;
    while let Some(done) = tasks.join_next().await {
        acknowledged += done??;
    }
    Ok(acknowledged)
}
