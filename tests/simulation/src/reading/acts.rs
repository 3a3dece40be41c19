//! What readers do beside polling.

use super::plan::Plan;
use super::{World, name};
use crate::executor::Abandon;
use demitasse_core::protocol::ErrorCode;
use demitasse_core::{CommitError, ConsumeFault, OffsetReset, Start};
use fastrand::Rng;

/// One thing or another, until all heals. Who is not alone with the consumer leaves partitions where they are.
pub(super) async fn act(world: &World, plan: &Plan, rng: &mut Rng) {
    if world.ledger.borrow().healed {
        return;
    }
    let partitions = world.partitions();
    let (topic, partition) = partitions[rng.usize(0..partitions.len())];
    let handle = world.topics[topic];
    if plan.unruly && rng.bool() {
        return act_unruly(world, plan, rng, (topic, partition)).await;
    }
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
            world.unassign(topic, partition);
            world.assign(topic, partition, Start::Beginning);
        }
        _ if plan.has_group() => {
            world.will_commit();
            let outcome = if rng.bool() {
                Some(world.consumer.commit().await)
            } else {
                Abandon::after(rng.u32(1..4), world.consumer.commit()).await
            };
            committed(world, outcome);
        }
        _ => {}
    }
}

async fn act_unruly(world: &World, plan: &Plan, rng: &mut Rng, (topic, partition): (usize, i32)) {
    let handle = world.topics[topic];
    match rng.u32(0..8) {
        // Until somebody assigns it, or all heals.
        0 if plan.readers == 1 => world.unassign(topic, partition),
        1 if plan.readers == 1 => world.assign(topic, partition, Start::End),
        2 if plan.readers == 1 => world.assign(topic, partition, Start::Timestamp(rng.i64(0..3))),
        3 if plan.readers == 1 && plan.has_group() && plan.config.offset_reset != OffsetReset::None => {
            world.assign(topic, partition, Start::Committed);
        }
        4 => {
            for (topic, partition) in world.partitions() {
                world.consumer.pause(world.topics[topic], partition);
                if rng.bool() {
                    world.consumer.resume(world.topics[topic], partition);
                }
            }
        }
        5 => {
            for (topic, partition) in world.partitions() {
                world.consumer.resume(world.topics[topic], partition);
            }
        }
        6 if plan.has_group() => {
            let Some(next) = world.ledger.borrow().next(topic, partition) else { return };
            world.ledger.borrow_mut().will_commit(topic, partition, next);
            let offsets = [(handle, partition, next)];
            committed(world, Abandon::after(rng.u32(1..10), world.consumer.commit_offsets(&offsets)).await);
        }
        7 if plan.readers == 1 => {
            let found = Abandon::after(rng.u32(1..4), world.consumer.wait_position(handle, partition)).await;
            if let Some(Err(error)) = found
                && error.fault != ConsumeFault::Unassigned
            {
                world.go_on_after(error);
            }
        }
        _ => {}
    }
}

/// In the midst of a loan.
pub(super) fn act_at_once(world: &World, plan: &Plan, rng: &mut Rng) {
    let partitions = world.partitions();
    let (topic, partition) = partitions[rng.usize(0..partitions.len())];
    let handle = world.topics[topic];
    match rng.u32(0..4) {
        _ if world.ledger.borrow().healed => {}
        0 => world.consumer.pause(handle, partition),
        1 => {
            world.consumer.pause(handle, partition);
            world.consumer.resume(handle, partition);
        }
        2 if plan.readers == 1 => world.unassign(topic, partition),
        3 if plan.readers == 1 => world.assign(topic, partition, Start::Beginning),
        _ => {}
    }
}

fn committed(world: &World, outcome: Option<Result<(), CommitError>>) {
    let mut ledger = world.ledger.borrow_mut();
    match outcome {
        Some(Ok(())) => ledger.told.commits.0 += 1,
        Some(Err(CommitError::TimedOut { .. })) => ledger.told.commits.1 += 1,
        // A liar's word.
        Some(Err(CommitError::Refused(_))) if ledger.lies => {}
        Some(Err(CommitError::Refused(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION))) if ledger.told.remade > 0 => {}
        Some(Err(error)) => world.keep(Err(format!("commit: {error:?}"))),
        None => {}
    }
}
