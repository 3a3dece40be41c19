//! What was sent and has no outcome yet.

use anyhow::Result;
use demitasse_io_std::{Delivery, DeliveryError, Producer};
use peer::{Latencies, Run};
use std::collections::VecDeque;
use std::sync::Arc;

/// Oldest first.
pub(crate) struct Open {
    deliveries: VecDeque<Delivery>,
    acknowledged: u64,
    latencies: Arc<Latencies>,
}

impl Open {
    /// `first` fills the queue once, so that its memory is there before it counts.
    pub(crate) fn new(first: Delivery) -> Open {
        let mut deliveries = VecDeque::new();
        deliveries.resize(64 * 1024, first);
        deliveries.clear();
        Open { deliveries, acknowledged: 0, latencies: Arc::new(Latencies::new()) }
    }

    /// Neighbours in a batch are one delivery, as one question answers for all of them.
    pub(crate) fn add(&mut self, delivery: Delivery) {
        if !self.deliveries.back_mut().is_some_and(|last| last.join(&delivery)) {
            self.deliveries.push_back(delivery);
        }
    }

    /// For who sends at a rate and waits for each record by itself.
    pub(crate) fn latencies(&self) -> &Arc<Latencies> {
        &self.latencies
    }

    /// As many have been waited for.
    pub(crate) fn waited_for(&mut self, records: u32) {
        self.acknowledged += u64::from(records);
    }

    /// Observes what has come back.
    pub(crate) fn look(&mut self, producer: &Producer) -> Result<(), DeliveryError> {
        while let Some(delivery) = self.deliveries.front() {
            let Some(outcome) = producer.outcome(delivery) else { break };
            self.acknowledged += u64::from(outcome?.count);
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
