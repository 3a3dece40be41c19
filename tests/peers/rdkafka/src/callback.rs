//! The producer that is closest to librdkafka, with the crate's own thread for callbacks: `BaseProducer::poll`, called
//! by the sending thread, returns no earlier than its timeout, and keeps the core busy for the last millisecond of it.

use crate::{config, version};
use anyhow::{Result, bail};
use peer::{Arguments, Latencies, Run};
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// What is slept while the queue is full, or until the last callback: nothing wakes the sender.
const PAUSE: Duration = Duration::from_millis(1);

struct Seen {
    begun: Instant,
    paced: bool,
    acknowledged: AtomicU64,
    failed: Mutex<Option<KafkaError>>,
    latencies: Latencies,
}

impl ClientContext for Seen {}

impl ProducerContext for Seen {
    /// Microseconds from `begun` to when the record was sent: a number travels with a record for nothing.
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, sent: usize) {
        match result {
            Ok(_) => drop(self.acknowledged.fetch_add(1, Relaxed)),
            Err((error, _)) => *self.failed.lock().expect("nobody panics with it") = Some(error.clone()),
        }
        if self.paced && sent > 0 {
            self.latencies.seen(self.begun + Duration::from_micros(sent as u64));
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let paced = arguments.rate.is_some();
    let (begun, latencies) = (Instant::now(), Latencies::new());
    let seen = Seen { begun, paced, acknowledged: AtomicU64::new(0), failed: Mutex::new(None), latencies };
    let producer: ThreadedProducer<Seen> = config(arguments).create_with_context(seen)?;
    let payload = arguments.payload();
    send(&producer, arguments, &payload, 0)?;
    settle(&producer, 1)?;

    let run = Run::begin(arguments)?;
    for number in 0..arguments.records {
        let sent = if paced { (run.pace(number) - begun).as_micros() as usize } else { 0 };
        send(&producer, arguments, &payload, sent)?;
    }
    settle(&producer, arguments.records + 1)?;
    let seen = producer.context();
    run.end("rdkafka callback", &version(), seen.acknowledged.load(Relaxed) - 1, 1, &seen.latencies)
}

/// Waits until so many were acknowledged. `flush` of the crate takes 100 ms at least.
fn settle(producer: &ThreadedProducer<Seen>, records: u64) -> Result<()> {
    let seen = producer.context();
    while seen.acknowledged.load(Relaxed) < records {
        if let Some(error) = &*seen.failed.lock().expect("nobody panics with it") {
            bail!("a record was not delivered: {error}");
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

fn send(producer: &ThreadedProducer<Seen>, arguments: &Arguments, payload: &[u8], sent: usize) -> Result<()> {
    let mut record = BaseRecord::<(), [u8], usize>::with_opaque_to(&arguments.topic, sent).payload(payload);
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                record = back;
                std::thread::sleep(PAUSE);
            }
            Err((error, _)) => return Err(error.into()),
        }
    }
}
