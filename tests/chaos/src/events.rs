//! What happens to the cluster, one event after the other. Each ends when the cluster is whole again and every stream
//! goes on.

use crate::stream::Stream;
use crate::{NUMBERED, REMADE, STRICT};
use demitasse_kafka_tests::{Kafka, Partition, Result, until};
use std::time::Duration;

/// How long the cluster may take to get over anything, on two slow cores.
pub(crate) const LONG: Duration = Duration::from_secs(150);

/// How long a broker stands still: twice the time after which the others take it for dead.
const FROZEN: Duration = Duration::from_secs(8);

/// What events are done to.
pub(crate) struct Scene<'a> {
    pub(crate) kafka: &'a Kafka,
    pub(crate) streams: &'a [Stream],
    /// Counts the events of a kind: they strike another partition's leader each time.
    pub(crate) round: usize,
}

/// An event: its words, with the node that it strikes, and what is done to that node.
pub(crate) type Event = (&'static str, fn(&Scene<'_>, u16) -> Result<()>);

pub(crate) const EVENTS: &[Event] = &[
    ("kill -9 of a leader", |scene, node| scene.away(node, Kafka::kill)),
    ("a leader is shut down", |scene, node| scene.away(node, Kafka::terminate)),
    ("a leader stands still for 8 s", |scene, node| scene.frozen(node)),
    ("a partition moves away from a node and back", |scene, node| scene.reassigned(node)),
    ("a topic is deleted and made again", |scene, _| scene.remade()),
    ("rolling restart", |scene, _| scene.rolling_restart()),
    ("kill -9 of two nodes of three", |scene, node| scene.two_away(node)),
];

impl Scene<'_> {
    /// The node that leads the partition whose turn it is.
    pub(crate) fn victim(&self) -> Result<u16> {
        until(LONG, "a leader", || {
            let partitions = self.kafka.partitions(NUMBERED).ok()?;
            let leader = partitions.get(self.round % partitions.len().max(1))?.leader;
            u16::try_from(leader).ok().filter(|node| *node > 0)
        })
    }

    /// Waits until all replicas are in sync and every stream has something acknowledged that it sent since.
    pub(crate) fn whole(&self) -> Result<()> {
        for topic in [NUMBERED, STRICT, REMADE] {
            until(LONG, &format!("all replicas of {topic} to be in sync"), || {
                let partitions = self.kafka.partitions(topic).ok()?;
                let whole = |p: &Partition| p.leader > 0 && p.replicas == 3 && p.in_sync == 3;
                (!partitions.is_empty() && partitions.iter().all(whole)).then_some(())
            })?;
        }
        self.acknowledging()
    }

    fn acknowledging(&self) -> Result<()> {
        for stream in self.streams {
            let before = stream.acknowledged();
            let what = format!("{} to have something acknowledged", stream.plan.name);
            until(LONG, &what, || (stream.acknowledged() > before).then_some(()))?;
        }
        Ok(())
    }

    fn led_by_others(&self, node: u16) -> Result<()> {
        until(LONG, "new leaders", || {
            let partitions = self.kafka.partitions(NUMBERED).ok()?;
            let other = |p: &Partition| p.leader > 0 && p.leader != i32::from(node);
            partitions.iter().all(other).then_some(())
        })
    }

    /// Waits until what asks for three replicas in sync is told that there are fewer.
    fn refused(&self, before: &[u64]) -> Result<()> {
        until(LONG, "an honest error where all three replicas must be in sync", || {
            self.streams.iter().zip(before).any(|(stream, before)| stream.refused() > *before).then_some(())
        })
    }

    fn refused_so_far(&self) -> Vec<u64> {
        self.streams.iter().map(Stream::refused).collect()
    }

    fn away(&self, node: u16, end: fn(&Kafka, u16) -> Result<()>) -> Result<()> {
        let before = self.refused_so_far();
        end(self.kafka, node)?;
        self.led_by_others(node)?;
        self.refused(&before)?;
        self.kafka.start_node(node)
    }

    fn frozen(&self, node: u16) -> Result<()> {
        self.kafka.freeze(node)?;
        std::thread::sleep(FROZEN); // the event itself
        self.kafka.thaw(node)
    }

    fn rolling_restart(&self) -> Result<()> {
        for node in 1..=3 {
            self.kafka.terminate(node)?;
            self.kafka.start_node(node)?;
            self.whole()?;
        }
        Ok(())
    }

    /// Without two of three there is nobody to elect leaders or to say who is in sync: nothing can be acknowledged.
    fn two_away(&self, node: u16) -> Result<()> {
        let other = node % 3 + 1;
        let before = self.refused_so_far();
        self.kafka.kill(node)?;
        self.kafka.kill(other)?;
        self.refused(&before)?;
        self.kafka.start_node(other)?;
        self.kafka.start_node(node)
    }

    /// The node gives up its replica of a partition that it leads, and gets it back.
    fn reassigned(&self, node: u16) -> Result<()> {
        let partition = self.round as i32 % crate::PARTITIONS;
        let others = [node % 3 + 1, (node + 1) % 3 + 1];
        self.place(partition, &others)?;
        self.place(partition, &[others[0], others[1], node])
    }

    fn place(&self, partition: i32, replicas: &[u16]) -> Result<()> {
        let file = self.kafka.folder().join("reassignment.json");
        let text = format!(
            r#"{{"version":1,"partitions":[{{"topic":"{NUMBERED}","partition":{partition},"replicas":{replicas:?}}}]}}"#
        );
        std::fs::write(&file, text)?;
        let (server, file) = (self.kafka.bootstrap(), file.display().to_string());
        let tool = "org.apache.kafka.tools.reassign.ReassignPartitionsCommand";
        let arguments = ["--bootstrap-server", &server, "--reassignment-json-file", &file, "--execute"];
        self.kafka.tool(tool, &arguments, b"")?;
        until(LONG, "the partition to be in its new place", || {
            let found = self.kafka.partitions(NUMBERED).ok()?;
            let here = |p: &&Partition| p.index == partition && p.replicas == replicas.len() && p.in_sync == p.replicas;
            found.iter().find(here).map(|_| ())
        })
    }

    fn remade(&self) -> Result<()> {
        self.kafka.delete_topic(REMADE)?;
        self.kafka.create_topic(REMADE, crate::PARTITIONS, 3, &[("min.insync.replicas", "2")])
    }
}
