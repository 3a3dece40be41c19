//! What must be so when all has healed, and when all is over.

use super::Run;
use crate::check;
use crate::executor::Executor;
use crate::plan::Event;
use crate::workload::Entry;
use demitasse_broker::Release;
use demitasse_core::{Destination, Record, SendError, UnknownOutcome};
use std::cell::RefCell;
use std::rc::Rc;

/// The first byte of records that are not in the journal.
pub const ALIVE: u8 = 0xff;

impl Run<'_> {
    /// After everything has healed, whoever sends more than there is room for is served, and soon: nobody is forgotten.
    pub(super) fn prove_alive(&mut self) -> Result<(), String> {
        let topic = self.topics[0];
        let refused = Rc::new(RefCell::new(None));
        let spawn = |_| {
            let (producer, time, refused) = (self.client.producer.clone(), self.executor.time.clone(), refused.clone());
            self.executor.spawn(async move {
                let value = [ALIVE; 60];
                for _ in 0..30 {
                    while let Err(error) = producer.send(topic, &Record::new(&value)).await {
                        *refused.borrow_mut() = Some(error);
                        time.sleep(10_000).await;
                    }
                }
            })
        };
        let tasks: Vec<usize> = (0..2).map(spawn).collect();
        let soon = self.executor.time.now() + 10_000_000;
        let done = |executor: &Executor| tasks.iter().all(|&task| executor.is_done(task));
        self.executor.until(soon, done).map_err(|error| {
            format!("healed, but not alive: {error}: {:?} {:?}", refused.borrow(), self.client.producer.counters())
        })
    }

    /// After everything has healed, each partition's leader is reached soon, one after the other, however few slots there are.
    pub(super) fn prove_turns(&mut self) -> Result<(), String> {
        let (topic, linger) = (self.topics[0], self.plan.config.linger.as_micros() as u64);
        // Silence that was asked for last is kept, and a topic that was made again is believed after some answers only.
        let slow = |(_, event): &(u64, Event)| matches!(event, Event::RemakeTopic { .. } | Event::Throttle(201..));
        let patience = if self.plan.events.iter().any(slow) { 10_000_000 } else { 3_000_000 };
        for partition in 0..self.client.producer.partitions(topic).unwrap_or(0).min(6) as i32 {
            self.prove_acknowledged(topic.partition(partition), linger + patience).map_err(|error| {
                format!("partition {partition} has no turn: {error}: {:?}", self.client.producer.counters())
            })?;
        }
        Ok(())
    }

    /// When nothing goes wrong and nobody else sends, a record is acknowledged soon after its linger is over.
    pub(super) fn prove_prompt(&mut self) -> Result<(), String> {
        self.executor.advance(self.executor.time.now() + 2_000_000)?;
        let patience = self.plan.config.linger.as_micros() as u64 + 500_000;
        self.prove_acknowledged(self.topics[0].partition(0), patience).map_err(|error| format!("not prompt: {error}"))
    }

    /// A record has its outcome within so many microseconds.
    fn prove_acknowledged(&mut self, to: Destination, patience: u64) -> Result<(), String> {
        let producer = self.client.producer.clone();
        let task = self.executor.spawn(async move {
            if let Ok(delivery) = producer.send(to, &Record::new(&[ALIVE])).await {
                let _ = producer.wait(delivery).await;
            }
        });
        self.executor.until(self.executor.time.now() + patience, |executor| executor.is_done(task))
    }

    /// When nothing goes wrong, nothing is refused, sent twice, numbered again or lost.
    pub(super) fn prove_unhurt(&self) -> Result<(), String> {
        let counters = self.client.producer.counters();
        let hurt = [
            counters.failed,
            counters.unknown,
            counters.retries,
            counters.duplicates,
            counters.epoch_bumps,
            counters.sequence_gaps,
            // A broker of before Kafka 2.4 closes on what newer ones are asked without waiting.
            if self.plan.options.release == Release::V2_1 { 0 } else { counters.connections_lost },
            counters.late_answers,
            counters.protocol_violations,
        ];
        let late = |entry: &&Entry| matches!(entry.taken, Some(Err(SendError::Timeout { .. })));
        let journal = self.journal.borrow();
        match (hurt.iter().any(|&count| count > 0), journal.users.iter().flatten().find(late)) {
            (false, None) => Ok(()),
            (_, late) => Err(format!("nothing went wrong, yet {counters:?} {late:?}")),
        }
    }

    /// After the close every record has an outcome, and all that was lent is back.
    pub(super) fn prove_settled(&self) -> Result<(), String> {
        // Some outcomes nobody has asked for yet.
        for entry in self.journal.borrow_mut().users.iter_mut().flatten() {
            if let (Some(Ok(delivery)), None) = (&entry.taken, &entry.outcome) {
                entry.outcome = self.client.producer.outcome(delivery);
            }
        }
        let memory = self.client.producer.memory();
        for (name, pool) in [
            ("buffers", memory.buffers),
            ("batches", memory.batches),
            ("waiters", memory.waiters),
            ("connections", memory.connections),
        ] {
            if pool.used != 0 || pool.high_water > pool.capacity {
                return Err(format!("{name} at the end: {pool:?}"));
            }
        }
        let counters = self.client.producer.counters();
        if counters.records != counters.acknowledged + counters.failed + counters.unknown {
            return Err(format!("records and outcomes differ: {counters:?}"));
        }
        Ok(())
    }

    /// The logs have what users were told, brokers were treated as they asked to be, and nothing is unknown that could be known.
    pub(super) fn prove_kept(&self) -> Result<(), String> {
        let plan = self.plan;
        let world = self.client.network.world.borrow();
        let brokers = world.cluster.counters();
        let stalls = plan.events.iter().any(|(_, event)| matches!(event, Event::StallLinks(_)));
        let timely = !stalls && plan.weather.stall == 0 && plan.weather.jitter == 0 && plan.faults.delay == 0;
        if brokers.throttle_violations > 0 && timely {
            return Err(format!("{} requests where silence was asked for", brokers.throttle_violations));
        }
        let journal = self.journal.borrow();
        check::check(&journal, &world.cluster, plan.topics.len(), &plan.config, &self.client.buried)?;
        let unknown = self.client.producer.counters().unknown;
        if plan.config.unknown_outcome == UnknownOutcome::Hold && unknown > 0 && !self.may_stay_unknown() {
            return Err(format!("{unknown} records were left unknown although they were held"));
        }
        if brokers.rewritten_batches > 0 {
            return Err(format!("{} sequences stood for other bytes than before", brokers.rewritten_batches));
        }
        Ok(())
    }

    /// What is held is settled in the end: after all has healed, every batch is written or known to have been, but for these.
    fn may_stay_unknown(&self) -> bool {
        // What is refused, by the topic or because of its size, ends without an answer to whether it was written before.
        let refuses = |(_, event): &(u64, Event)| matches!(event, Event::DenyTopic { .. } | Event::RemakeTopic { .. });
        let refused = self.plan.max_message_bytes.is_some() || self.plan.events.iter().any(refuses);
        // Kafka before 2.4 that has forgotten the producer refuses what it cannot place: then nobody can tell.
        refused || self.plan.second_act && self.plan.options.release == Release::V2_1
    }
}
