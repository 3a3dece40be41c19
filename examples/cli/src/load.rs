//! Records on their way: handed over, and the outcome of every one observed in order.
//!
//! Whatever it needs is allocated before it begins: an allocation that is counted later is the library's.

use crate::interrupt::Interrupt;
use crate::produce::PATIENCE;
use crate::report::{Tally, Trouble, histogram};
use demitasse_io_std::{Delivery, DeliveryError, Destination, Producer, Receipt, Record, Topic};
use hdrhistogram::Histogram;
use std::collections::VecDeque;
use std::time::Instant;

/// Records that are handed over at once, and are one delivery; fewer if they are large.
pub(crate) const SLICE: u64 = 64;

/// Bytes of a record beside its value, and then some.
pub(crate) const RECORD_OVERHEAD: u64 = 32;

/// Deliveries whose outcome may be open at once: more than fit into the default `buffer.memory`.
const WINDOW: usize = 64 * 1024;

const DAY: u64 = 86_400_000_000;

/// Records that were handed over together.
#[derive(Clone)]
struct Sent {
    delivery: Delivery,
    at: Instant,
}

/// No more is to be sent.
pub(crate) struct Stopped;

pub(crate) struct Load {
    pub(crate) producer: Producer,
    pub(crate) topic: Topic,
    pub(crate) interrupt: Interrupt,
    /// Of all records, or of those since it was reset, in microseconds.
    pub(crate) latencies: Histogram<u64>,
    pub(crate) tally: Tally,
    window: VecDeque<Sent>,
}

impl Load {
    pub(crate) fn new(producer: Producer, topic: Topic, interrupt: Interrupt) -> Load {
        Load {
            producer,
            topic,
            interrupt,
            latencies: histogram(DAY),
            tally: Tally::default(),
            window: VecDeque::with_capacity(WINDOW),
        }
    }

    /// Sends one record and waits for it: from its acknowledgement on allocations are counted.
    pub(crate) async fn first_record(&mut self, value: &[u8]) -> Result<(), Stopped> {
        // Tokio's list of tasks that yielded is made by the first of them: it is not the library's.
        self.look().await?;
        self.send(self.topic.into(), &[Record::new(value)], Instant::now()).await?;
        // The system hands memory out when it is first used: the whole window is, so that it is not taken for the library's.
        let first = self.window.pop_front();
        self.window.extend(std::iter::repeat_n(first.clone(), WINDOW).flatten());
        self.window.clear();
        self.window.extend(first);
        self.settle_window().await
    }

    pub(crate) async fn settle_window(&mut self) -> Result<(), Stopped> {
        let _ = self.producer.flush().await;
        while !self.window.is_empty() {
            self.wait().await?;
        }
        Ok(())
    }

    /// A slice is taken whole or not at all: it should not need more than one batch.
    pub(crate) fn records_of_slice(&self, value_bytes: usize) -> u64 {
        let batch = u64::from(self.producer.memory().buffers.entry_bytes);
        (batch / (value_bytes as u64 + RECORD_OVERHEAD)).clamp(1, SLICE)
    }

    /// Sleeps, and meanwhile observes what comes back.
    pub(crate) async fn pause(&mut self, until: Instant) -> Result<(), Stopped> {
        let mut sleep = std::pin::pin!(tokio::time::sleep_until(until.into()));
        loop {
            let Some(front) = self.window.front().map(|sent| sent.delivery) else {
                return tokio::select! {
                    () = self.interrupt.pressed() => Err(Stopped),
                    () = sleep => Ok(()),
                };
            };
            tokio::select! {
                () = self.interrupt.pressed() => return Err(Stopped),
                () = &mut sleep => return Ok(()),
                result = self.producer.wait(front) => self.told(result, Instant::now()),
            }
        }
    }

    pub(crate) async fn send(&mut self, to: Destination, records: &[Record<'_>], at: Instant) -> Result<(), Stopped> {
        while self.window.len() == WINDOW {
            self.wait().await?;
        }
        let delivery = tokio::select! {
            biased;
            delivery = self.producer.send_slice(to, records) => delivery,
            () = self.interrupt.pressed() => return Err(Stopped),
        };
        match delivery {
            Ok(delivery) => self.window.push_back(Sent { delivery, at }),
            Err(error) => {
                self.tally.refused(Trouble::Send(error), records.len() as u64);
                return Err(Stopped);
            }
        }
        Ok(())
    }

    /// Lets the producer's tasks run, and observes what has come back.
    pub(crate) async fn look(&mut self) -> Result<(), Stopped> {
        tokio::task::yield_now().await;
        let now = Instant::now();
        while let Some(sent) = self.window.front() {
            let Some(result) = self.producer.outcome(&sent.delivery) else { break };
            self.told(result, now);
        }
        if self.interrupt.is_pressed() { Err(Stopped) } else { Ok(()) }
    }

    /// Waits for the oldest delivery.
    async fn wait(&mut self) -> Result<(), Stopped> {
        let Some(sent) = self.window.front() else { return Ok(()) };
        let result = tokio::select! {
            biased;
            result = self.producer.wait(sent.delivery) => result,
            () = self.interrupt.pressed() => return Err(Stopped),
        };
        self.told(result, Instant::now());
        Ok(())
    }

    /// The oldest delivery has its outcome.
    fn told(&mut self, result: Result<Receipt, DeliveryError>, now: Instant) {
        let Some(sent) = self.window.pop_front() else { return };
        match result {
            Ok(receipt) => {
                self.tally.acknowledged += u64::from(receipt.count);
                let micros = (now - sent.at).as_micros() as u64;
                self.latencies.saturating_record_n(micros.clamp(1, DAY), receipt.count.into());
            }
            Err(error) => self.tally.undelivered(error),
        }
    }

    /// Observes the rest; after an error or Ctrl-C with little patience.
    pub(crate) async fn settle(&mut self, in_a_hurry: bool) {
        if in_a_hurry {
            self.producer.close(PATIENCE).await;
        } else {
            let _ = self.producer.flush().await;
        }
        while let Some(sent) = self.window.front() {
            // Not `self.wait`: a Ctrl-C before may not end this one, it is bounded.
            let result = self.producer.wait(sent.delivery).await;
            self.told(result, Instant::now());
        }
    }
}
