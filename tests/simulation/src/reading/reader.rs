//! Who polls.

use super::plan::Plan;
use super::{World, name};
use crate::executor::{Abandon, Time};
use demitasse_core::{CommitError, ConsumeError, Start};
use fastrand::Rng;

/// Reads until the consumer is closed, and until all heals does other things now and then.
pub(super) async fn read(world: World, plan: Plan, time: Time, number: u32) {
    let mut rng = Rng::with_seed(plan.seed ^ 0xbeef ^ u64::from(number) << 48);
    loop {
        let healed = world.ledger.borrow().healed;
        if !healed && rng.u32(0..1000) < plan.restless {
            act(&world, &plan, &mut rng).await;
        }
        let max = if rng.bool() { rng.u32(1..=5) } else { 1000 };
        let fetched = if !healed && rng.u32(0..10) == 0 {
            match Abandon::after(rng.u32(1..4), world.consumer.poll(max)).await {
                Some(fetched) => fetched,
                None => {
                    time.sleep(rng.u64(0..50_000)).await;
                    continue;
                }
            }
        } else {
            world.consumer.poll(max).await
        };
        match fetched {
            Ok(None) => return,
            Ok(Some(fetched)) => {
                if !healed && rng.u32(0..10) == 0 {
                    // What is lent is held for a while.
                    time.sleep(rng.u64(0..300_000)).await;
                }
                let take = if rng.u32(0..5) == 0 { rng.usize(0..5) } else { usize::MAX };
                for record in fetched.records().take(take) {
                    let topic = world.topics.iter().position(|topic| *topic == record.topic).unwrap_or(usize::MAX);
                    let value = record.value.unwrap_or(&[]);
                    let handed = world.ledger.borrow_mut().handed_out(topic, record.partition, record.offset, value);
                    world.keep(handed);
                }
            }
            Err(error) => world.go_on_after(error),
        }
    }
}

async fn act(world: &World, plan: &Plan, rng: &mut Rng) {
    let partitions = world.partitions();
    let (topic, partition) = partitions[rng.usize(0..partitions.len())];
    let handle = world.topics[topic];
    match rng.u32(0..6) {
        0 => world.consumer.pause(handle, partition),
        1 => world.consumer.resume(handle, partition),
        2 if plan.readers == 1 => {
            let range = {
                let network = world.network.world.borrow();
                let log = network.cluster.partition(&name(topic), partition);
                log.map(|log| (log.start_offset(), log.end_offset()))
            };
            if let Some((start, end)) = range {
                // Perhaps before it is seen, the log moves: then that is a disturbance.
                world.assign(topic, partition, Start::Offset(rng.i64(start..=end)));
            }
        }
        3 if plan.readers == 1 => world.assign(topic, partition, Start::Beginning),
        4 if plan.readers == 1 && rng.u32(0..4) == 0 => {
            world.consumer.unassign(handle, partition);
            world.assign(topic, partition, Start::Beginning);
        }
        _ if plan.has_group() => {
            let outcome = if rng.bool() {
                Some(world.consumer.commit().await)
            } else {
                Abandon::after(rng.u32(1..4), world.consumer.commit()).await
            };
            let told = &mut world.ledger.borrow_mut().told;
            match outcome {
                Some(Ok(())) => told.commits.0 += 1,
                Some(Err(CommitError::TimedOut)) => told.commits.1 += 1,
                Some(Err(error)) => world.keep(Err(format!("commit: {error:?}"))),
                None => {}
            }
        }
        _ => {}
    }
}

impl World {
    /// The first thing that is wrong is what the run ends with.
    fn keep(&self, result: Result<(), String>) {
        if let Err(what) = result {
            self.broken.borrow_mut().get_or_insert(what);
        }
    }

    /// Reads a partition from there on.
    pub(super) fn assign(&self, topic: usize, partition: i32, start: Start) {
        let next = if let Start::Offset(offset) = start { Some(offset) } else { None };
        self.ledger.borrow_mut().jumped(topic, partition, next);
        let assigned = self.consumer.assign(self.topics[topic], partition, start);
        self.keep(assigned.map_err(|error| error.to_string()));
    }

    fn go_on_after(&self, error: ConsumeError) {
        let topic = self.topics.iter().position(|topic| *topic == error.topic).unwrap_or(usize::MAX);
        let next = self.ledger.borrow_mut().failed(topic, error.partition, error.fault);
        match next {
            Ok(Some(offset)) => self.assign(topic, error.partition, Start::Offset(offset)),
            Ok(None) => self.assign(topic, error.partition, Start::Beginning),
            Err(what) => self.keep(Err(what)),
        }
    }

    /// Whether every partition was read to its end.
    pub(super) fn is_caught_up(&self) -> bool {
        self.partitions().into_iter().all(|(topic, partition)| {
            let network = self.network.world.borrow();
            let end = network.cluster.partition(&name(topic), partition).map(|log| log.end_offset());
            self.consumer.position(self.topics[topic], partition) == end
        })
    }

    /// Where each partition is.
    pub(super) fn positions(&self) -> Vec<Option<i64>> {
        let of = |(topic, partition): (usize, i32)| self.consumer.position(self.topics[topic], partition);
        self.partitions().into_iter().map(of).collect()
    }

    /// Where each partition is, and where it should be.
    pub(super) fn backlog(&self) -> String {
        let of = |(topic, partition)| {
            let network = self.network.world.borrow();
            let end = network.cluster.partition(&name(topic), partition).map_or(-1, |log| log.end_offset());
            let position = self.consumer.position(self.topics[topic], partition);
            format!("t{topic}-{partition} {position:?} of {end}")
        };
        self.partitions().into_iter().map(of).collect::<Vec<_>>().join(", ")
    }
}
