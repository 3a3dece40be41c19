//! The producer that most programs use: a future a record.

use crate::{config, version};
use anyhow::{Context, Result};
use peer::{Arguments, Latencies, Run};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::future_producer::DeliveryFuture;
use rdkafka::producer::{FutureProducer, FutureRecord};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Deliveries whose outcome may be open: more than the queue has room for.
const WINDOW: usize = 1 << 20;

#[tokio::main]
pub(crate) async fn run(arguments: &Arguments) -> Result<()> {
    let producer: FutureProducer = config(arguments).create()?;
    let payload = arguments.payload();
    send(&producer, arguments, &payload).await?.await?.map_err(|(error, _)| error)?;

    let latencies = Arc::new(Latencies::new());
    let (to_observe, open) = mpsc::channel(WINDOW);
    let run = Run::begin(arguments)?;
    let paced = arguments.rate.is_some();
    let observer = tokio::spawn(observe(open, paced.then(|| latencies.clone())));
    let mut sent = Instant::now();
    for number in 0..arguments.records {
        if paced {
            tokio::time::sleep_until(run.due(number).into()).await;
            sent = run.start(number);
        }
        to_observe.send((send(&producer, arguments, &payload).await?, sent)).await?;
    }
    drop(to_observe);
    run.end("rdkafka future", &version(), observer.await??, 1, &latencies)
}

/// Awaits the deliveries in the order in which they were sent.
async fn observe(
    mut open: mpsc::Receiver<(DeliveryFuture, Instant)>,
    latencies: Option<Arc<Latencies>>,
) -> Result<u64> {
    let mut acknowledged = 0;
    while let Some((delivery, sent)) = open.recv().await {
        delivery.await.context("the producer has gone")?.map_err(|(error, _)| error)?;
        if let Some(latencies) = &latencies {
            latencies.seen(sent);
        }
        acknowledged += 1;
    }
    Ok(acknowledged)
}

async fn send(producer: &FutureProducer, arguments: &Arguments, payload: &[u8]) -> Result<DeliveryFuture> {
    let mut record = FutureRecord::<(), [u8]>::to(&arguments.topic).payload(payload);
    loop {
        match producer.send_result(record) {
            Ok(delivery) => return Ok(delivery),
            // The crate's own `send` waits 100 ms here.
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                record = back;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            Err((error, _)) => return Err(error.into()),
        }
    }
}
