//! What was sent and has no outcome yet.

use anyhow::Result;
use demitasse_io_std::{Delivery, DeliveryError, Producer};
use peer::{Arguments, Latencies, Run};
use std::collections::VecDeque;
use std::time::Instant;

/// `buffer.memory`, as it is by itself.
const MEMORY: usize = 10 * 1024 * 1024;

/// Oldest first.
pub(crate) struct Open {
    deliveries: VecDeque<Delivery>,
    /// When each was sent, with `--rate`. Otherwise the clock would be our cost, not the library's.
    sent: VecDeque<Instant>,
    acknowledged: u64,
    latencies: Latencies,
}

impl Open {
    /// `first` fills the queue once, so that its memory is there before it counts. At a rate it has room for as much as
    /// the buffers can hold, and as much again that is settled behind a partition whose turn comes late.
    pub(crate) fn new(arguments: &Arguments, first: Delivery) -> Open {
        let room = if arguments.rate.is_some() { 2 * MEMORY / arguments.size.max(1) } else { 64 * 1024 };
        let mut deliveries = VecDeque::new();
        deliveries.resize(room, first);
        deliveries.clear();
        let sent = VecDeque::with_capacity(arguments.rate.map_or(0, |_| room));
        Open { deliveries, sent, acknowledged: 0, latencies: Latencies::new() }
    }

    /// Neighbours in a batch are one delivery, as one question answers for all of them.
    pub(crate) fn add(&mut self, delivery: Delivery) {
        if !self.deliveries.back_mut().is_some_and(|last| last.join(&delivery)) {
            self.deliveries.push_back(delivery);
        }
    }

    /// One whose latency counts from `sent`.
    pub(crate) fn add_timed(&mut self, delivery: Delivery, sent: Instant) {
        self.deliveries.push_back(delivery);
        self.sent.push_back(sent);
    }

    pub(crate) fn oldest(&self) -> Option<Delivery> {
        self.deliveries.front().copied()
    }

    /// Observes what has come back.
    pub(crate) fn look(&mut self, producer: &Producer) -> Result<(), DeliveryError> {
        while let Some(delivery) = self.deliveries.front() {
            let Some(outcome) = producer.outcome(delivery) else { break };
            self.acknowledged += u64::from(outcome?.count);
            if let Some(sent) = self.sent.pop_front() {
                self.latencies.seen(sent);
            }
            self.deliveries.pop_front();
        }
        Ok(())
    }

    /// With all that these others have seen too.
    pub(crate) fn end(mut self, others: Vec<Open>, run: Run, mode: &str) -> Result<()> {
        self.acknowledged += others.iter().map(|open| open.acknowledged).sum::<u64>();
        run.end(format_args!("demitasse {mode}"), env!("CARGO_PKG_VERSION"), self.acknowledged, 1, &self.latencies)
    }
}
