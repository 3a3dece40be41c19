//! What happens to the cluster and the client, and the healing.

use super::driver::Driver;
use super::plan::{Event, Plan};
use super::{GROUP, World, name};
use crate::executor::Executor;
use crate::network::{Weather, millis};
use demitasse_core::Start;

/// Lets it happen, now.
pub(super) fn happen(event: Event, plan: &Plan, executor: &mut Executor, driver: &mut Driver) {
    let now = millis(executor.time.now());
    let mut ledger = driver.world.ledger.borrow_mut();
    {
        let mut network = driver.world.network.world.borrow_mut();
        network.note(format!("{event:?}").as_bytes());
        let cluster = &mut network.cluster;
        match event {
            Event::NodeDown(node) => drop(cluster.node_down(node, now)),
            Event::NodeUp(node) => drop(cluster.node_up(node, now)),
            Event::MoveLeader { topic, partition, node } => drop(cluster.move_leader(&name(topic), partition, node)),
            Event::MoveCoordinator(node) => cluster.move_coordinator(GROUP, node),
            Event::StaleMetadata { node, stale } => cluster.set_stale_metadata(node, stale),
            Event::HideTopic { topic, node, millis } => cluster.hide_topic(&name(topic), Some(node), now + millis),
            Event::Throttle(millis) => cluster.set_throttle_all(millis),
            Event::ForgetSessions => cluster.forget_fetch_sessions(),
            Event::DeleteRecords { topic, partition, back } => {
                if let Some(end) = cluster.partition(&name(topic), partition).map(|log| log.end_offset()) {
                    cluster.delete_records(&name(topic), partition, end - back);
                    ledger.deleted(topic, partition, end - back);
                }
            }
            Event::LoseRecords { topic, partition, back } => {
                if let Some(end) = cluster.partition(&name(topic), partition).map(|log| log.end_offset()) {
                    cluster.lose_records(&name(topic), partition, (end - back).max(0));
                    let end = cluster.partition(&name(topic), partition).map_or(0, |log| log.end_offset());
                    ledger.lost(topic, partition, end);
                }
            }
            Event::DeleteTopic(topic) => {
                cluster.delete_topic(&name(topic));
                ledger.remade(topic);
            }
            Event::MakeTopic(topic) => drop(cluster.create_topic(&name(topic), plan.topics[topic])),
            Event::DropConnectionTask(_) | Event::DropClockTask => {}
        }
        network.cut_dead();
    }
    drop(ledger);
    match event {
        Event::DropConnectionTask(slot) => {
            executor.abort(driver.connections[slot as usize]);
            driver.connections[slot as usize] = driver.spawn_connection(executor, slot as usize);
        }
        Event::DropClockTask => {
            executor.abort(driver.clock);
            driver.spawn_clock(executor);
        }
        _ => {}
    }
}

/// From now on nothing goes wrong, and everything is read.
pub(super) fn heal(plan: &Plan, world: &World, now: u64) {
    let mut network = world.network.world.borrow_mut();
    network.weather = Weather { latency: 500, ..Weather::default() };
    network.liar = None;
    network.cluster.clear_faults();
    network.cluster.set_throttle_all(0);
    for node in 1..=plan.options.nodes as i32 {
        network.cluster.node_up(node, millis(now));
        network.cluster.set_stale_metadata(node, false);
    }
    for (topic, &partitions) in plan.topics.iter().enumerate() {
        network.cluster.create_topic(&name(topic), partitions);
    }
    drop(network);
    world.ledger.borrow_mut().healed = true;
    for (topic, partition) in world.partitions() {
        world.consumer.resume(world.topics[topic], partition);
        let is_lost = world.ledger.borrow().is_remade(topic, partition);
        if is_lost || !world.ledger.borrow().is_read(topic, partition) {
            world.assign(topic, partition, Start::Beginning);
        }
    }
}

/// What liars have left behind is over: from now on what is told must be true.
pub(super) fn believe(world: &World) {
    world.take_commits_over();
    world.ledger.borrow_mut().lies = false;
    for (topic, partition) in world.partitions() {
        world.assign(topic, partition, Start::Beginning);
    }
}
