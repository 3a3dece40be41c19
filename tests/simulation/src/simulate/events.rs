//! What happens in a run to brokers, network and client, and how it ends.

use super::client::Client;
use crate::check;
use crate::executor::Executor;
use crate::network::{Network, Weather, millis};
use crate::plan::{Event, Plan};
use demitasse_broker::{Cluster, Faults, TopicOptions};

/// Lets it happen, now.
pub(super) fn happen(event: Event, plan: &Plan, executor: &mut Executor, client: &mut Client) {
    let now = millis(executor.time.now());
    let name = |topic: usize| format!("t{topic}");
    {
        let mut world = client.network.world.borrow_mut();
        world.note(format!("{event:?}").as_bytes());
        match event {
            Event::NodeDown(node) => drop(world.cluster.node_down(node, now)),
            Event::NodeUp(node) => drop(world.cluster.node_up(node, now)),
            Event::MoveLeader { topic, partition, node } => {
                world.cluster.move_leader(&name(topic), partition, node);
            }
            Event::StaleMetadata { node, stale } => world.cluster.set_stale_metadata(node, stale),
            Event::HideTopic { topic, node, millis } => {
                world.cluster.hide_topic(&name(topic), Some(node), now + millis)
            }
            Event::Throttle(millis) => world.cluster.set_throttle_all(millis),
            Event::DiskFull { node, full } => world.cluster.set_disk_full(node, full),
            Event::StallLinks(within) => world.stall_links(within, executor.time.now()),
            Event::WallClock(millis) => client.wall_offset.set(millis),
            Event::DenyTopic { topic, denied: true } => world.cluster.deny_topic(&name(topic)),
            Event::DenyTopic { topic, denied: false } => world.cluster.allow_topic(&name(topic)),
            Event::DenyIds(denied) => world.cluster.set_idempotent_write_denied(denied),
            Event::AddPartitions { topic, more } => drop(world.cluster.add_partitions(&name(topic), more)),
            Event::RemakeTopic { topic, partitions } => {
                check::bury(&world.cluster, topic, &mut client.buried);
                world.cluster.delete_topic(&name(topic));
                create_topic(&mut world.cluster, plan, topic, partitions);
            }
            Event::DropConnectionTask(_) | Event::LeaveConnectionTask(_) | Event::DropClockTask => {}
        }
        world.cut_dead();
    }
    match event {
        Event::DropConnectionTask(slot) => client.replace_connection(executor, slot as usize),
        Event::LeaveConnectionTask(slot) => client.drop_connection(executor, slot as usize),
        Event::DropClockTask => client.replace_clock(executor),
        _ => {}
    }
}

pub(super) fn create_topic(cluster: &mut Cluster, plan: &Plan, topic: usize, partitions: i32) {
    let options = TopicOptions { max_message_bytes: plan.max_message_bytes, ..TopicOptions::default() };
    cluster.create_topic_with(&format!("t{topic}"), partitions, options);
}

/// Nothing is in anybody's way from here on.
pub(super) fn heal(network: &Network, plan: &Plan, now: u64) {
    let mut world = network.world.borrow_mut();
    world.weather = Weather { latency: 500, ..Weather::default() };
    world.cluster.clear_faults();
    world.cluster.set_throttle_all(0);
    world.cluster.set_idempotent_write_denied(false);
    (0..plan.topics.len()).for_each(|topic| world.cluster.allow_topic(&format!("t{topic}")));
    for node in 1..=plan.options.nodes as i32 {
        world.cluster.node_up(node, millis(now));
        world.cluster.set_stale_metadata(node, false);
        world.cluster.set_disk_full(node, false);
    }
}

/// Brokers forget the producer, and all the trouble begins again.
pub(super) fn forget_and_trouble(network: &Network, plan: &Plan) {
    let mut world = network.world.borrow_mut();
    let ids = world.cluster.counters().producer_ids as i64;
    for topic in (0..plan.topics.len()).map(|topic| format!("t{topic}")) {
        for partition in 0..world.cluster.partitions(&topic) {
            for id in 0..ids {
                world.cluster.forget_producer(&topic, partition, id);
            }
        }
    }
    world.weather = plan.weather.clone();
    world.cluster.set_faults(Some(Faults::seeded(plan.seed ^ 2, plan.faults.clone())));
}
