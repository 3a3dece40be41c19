//! A producer with a stream of numbered, keyed records: one thread sends, one asks for the outcomes, one looks at
//! whether anything is acknowledged at all.

use crate::ledger::{KEYS, Ledger, value};
use crate::timeline::{Span, Stalls, Timeline};
use demitasse_io_std::{Builder, Delivery, Producer, Record, SendError, Topic};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

/// What is sent where, and how fast.
pub(crate) struct Plan {
    pub(crate) name: &'static str,
    pub(crate) topic: &'static str,
    /// Records sent at once, and the pause after them.
    pub(crate) burst: u64,
    pub(crate) pause: Duration,
}

/// A stream that runs. Its threads end by themselves once it is stopped and all outcomes are known.
pub(crate) struct Stream {
    pub(crate) plan: Plan,
    shared: Arc<Shared>,
}

struct Shared {
    producer: Producer,
    timeline: Arc<Timeline>,
    stop: AtomicBool,
    /// Calls of `send`, also of those that were refused.
    sent: AtomicU64,
    ledger: Mutex<Ledger>,
    stalls: Mutex<Stalls>,
}

impl Stream {
    pub(crate) fn start(plan: Plan, builder: Builder, timeline: &Arc<Timeline>) -> Result<Stream, String> {
        let producer = builder.start().map_err(|e| e.to_string())?;
        let topic = producer.topic(plan.topic).map_err(|e| e.to_string())?;
        let shared = Arc::new(Shared {
            producer,
            timeline: timeline.clone(),
            stop: AtomicBool::new(false),
            sent: AtomicU64::new(0),
            ledger: Mutex::default(),
            stalls: Mutex::new(Stalls::new(timeline.now())),
        });
        let (sender, receiver) = channel();
        let Plan { name, burst, pause, .. } = plan;
        let spawn = |work: Box<dyn FnOnce(&Shared) + Send>| {
            let shared = shared.clone();
            thread::spawn(move || work(&shared));
        };
        spawn(Box::new(move |shared| shared.send(topic, name, (burst, pause), &sender)));
        spawn(Box::new(move |shared| shared.settle(&receiver)));
        spawn(Box::new(Shared::watch));
        Ok(Stream { plan, shared })
    }

    /// No more records; those that were sent go on.
    pub(crate) fn stop(&self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }

    /// Records that were sent and have no outcome yet.
    pub(crate) fn unsettled(&self) -> u64 {
        let settled = self.ledger().settled();
        self.shared.sent.load(Ordering::Relaxed).saturating_sub(settled)
    }

    pub(crate) fn acknowledged(&self) -> u64 {
        self.shared.producer.metrics().counters.acknowledged as u64
    }

    /// Records that failed or are unknown.
    pub(crate) fn refused(&self) -> u64 {
        let counters = self.shared.producer.metrics().counters;
        (counters.failed + counters.unknown) as u64
    }

    pub(crate) fn counters(&self) -> String {
        let c = self.shared.producer.metrics().counters;
        format!(
            "{} requests, {} retries, {} duplicates, {} epoch bumps, {} sequence gaps, {} connections lost, {} added, {} retired, \
             {} partitions moved, {} held, {} forgotten",
            c.requests,
            c.retries,
            c.duplicates,
            c.epoch_bumps,
            c.sequence_gaps,
            c.connections_lost,
            c.connections_added,
            c.connections_retired,
            c.partitions_moved,
            c.held,
            c.forgotten_failures
        )
    }

    /// The longest time within `span` without any acknowledgement.
    pub(crate) fn longest_stall(&self, span: Span) -> Span {
        let stalls = self.shared.stalls.lock().expect("nobody panics with it");
        stalls.longest(span, self.shared.timeline.now())
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.shared.ledger.lock().expect("nobody panics with it")
    }
}

/// A record that was handed to the producer, or not.
type Handed = Result<Delivery, SendError>;

impl Shared {
    fn send(&self, to: Topic, name: &str, (burst, pause): (u64, Duration), handed: &Sender<Handed>) {
        let keys: Vec<_> = (0..KEYS).map(|key| format!("{name}-{key}")).collect();
        let mut bytes = Vec::new();
        for number in 0.. {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            value(number, &mut bytes);
            let record = Record::new(&bytes).key(keys[(number % KEYS) as usize].as_bytes());
            self.sent.fetch_add(1, Ordering::Relaxed);
            if handed.send(self.producer.send_blocking(to, &record)).is_err() {
                return;
            }
            if number % burst == burst - 1 {
                thread::sleep(pause); // the pace, not a hope
            }
        }
    }

    fn settle(&self, handed: &Receiver<Handed>) {
        for handed in handed {
            let outcome = handed.map(|delivery| self.producer.wait_blocking(delivery));
            let mut ledger = self.ledger.lock().expect("nobody panics with it");
            match outcome {
                Ok(Ok(receipt)) => ledger.acknowledged(receipt.partition, receipt.offset),
                Ok(Err(error)) if error.unknown > 0 => ledger.unknown(error.to_string()),
                Ok(Err(error)) => ledger.failed(error.to_string()),
                Err(error) => ledger.failed(error.to_string()),
            }
        }
    }

    fn watch(&self) {
        while !self.stop.load(Ordering::Relaxed) {
            let acknowledged = self.producer.metrics().counters.acknowledged as u64;
            self.stalls.lock().expect("nobody panics with it").look(acknowledged, self.timeline.now());
            thread::sleep(Duration::from_millis(5));
        }
    }
}
