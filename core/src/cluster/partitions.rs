//! Partitions and their leaders, in a table that is found by hashing and whose entries never move: batches and
//! connections refer to them by place.

use super::{Cluster, STALE_ANSWERS};
use crate::pool::Link;

/// One place in the table of partitions.
#[derive(Debug)]
pub struct PartitionEntry {
    topic: Link,
    /// The partition's number in its topic.
    pub(crate) index: i32,
    /// The leader's node id, or -1.
    pub(crate) leader: i32,
    pub(crate) leader_epoch: i32,
    /// Records went to it, so it is never given up: its sequences must not be forgotten.
    pub(crate) pinned: bool,
    /// Answers in a row whose leader epoch was older than ours, see [`Cluster::partition`].
    stale: u8,
}

impl PartitionEntry {
    /// A free place. All zero bits, see [`Link`].
    pub const EMPTY: PartitionEntry =
        PartitionEntry { topic: Link::NONE, index: 0, leader: 0, leader_epoch: 0, pinned: false, stale: 0 };

    pub(crate) fn is_used(&self) -> bool {
        !self.topic.is_none()
    }

    pub(crate) fn topic(&self) -> usize {
        self.topic.get().unwrap_or(0)
    }
}

/// Where the search begins. The upper half of a product, since a division costs as much as a whole record.
fn first_place(places: usize, topic: usize, index: i32) -> usize {
    let hash = (topic as u32).wrapping_mul(0x85eb_ca6b).wrapping_add(index as u32).wrapping_mul(0x9e37_79b1);
    ((u64::from(hash) * places as u64) >> 32) as usize
}

/// The place of a partition in the table.
#[inline]
pub(crate) fn find_place(partitions: &[PartitionEntry], topic: usize, index: i32) -> Option<usize> {
    let wanted = Link::to(topic);
    let first = first_place(partitions.len(), topic, index);
    let mut at = first;
    loop {
        // Places are given up only when the table is full, and then taken at once: the first free one ends the search.
        let entry = partitions.get(at).filter(|entry| entry.is_used())?;
        if entry.topic == wanted && entry.index == index {
            return Some(at);
        }
        at = if at + 1 == partitions.len() { 0 } else { at + 1 };
        if at == first {
            return None;
        }
    }
}

impl Cluster<'_> {
    pub(crate) fn find_partition(&self, topic: usize, index: i32) -> Option<usize> {
        find_place(self.partitions, topic, index)
    }

    /// All places, from where the search for the partition begins.
    fn probe(&self, topic: usize, index: i32) -> impl Iterator<Item = usize> + use<> {
        let places = self.partitions.len();
        let first = first_place(places, topic, index);
        (first..places).chain(0..first)
    }

    /// The partition's place, taken if need be; `None` when all are taken. One that nobody sent to gives way to one
    /// that is `pinned`.
    pub(crate) fn add_partition(&mut self, topic: usize, index: i32, pinned: bool) -> Option<usize> {
        let place = self.find_partition(topic, index).or_else(|| {
            let free = self.probe(topic, index).find(|&at| self.partitions.get(at).is_some_and(|p| !p.is_used()));
            let place = free.or_else(|| {
                let idle = |&at: &usize| self.partitions.get(at).is_some_and(|p| !p.pinned);
                if pinned { self.probe(topic, index).find(idle) } else { None }
            })?;
            let topic = Link::to(topic);
            let unknown = PartitionEntry { topic, leader: -1, leader_epoch: -1, ..PartitionEntry::EMPTY };
            self.partitions[place] = PartitionEntry { index, ..unknown };
            Some(place)
        })?;
        self.partitions[place].pinned |= pinned;
        Some(place)
    }

    /// One partition of a Metadata response, or a leader hint of a Produce response (KIP-951). True: the leader changed.
    ///
    /// An answer with an older leader epoch than ours comes from a broker that is behind and is ignored, until it has
    /// come so often that the topic must be another one of the same name.
    pub(crate) fn partition(&mut self, place: usize, leader: i32, leader_epoch: i32) -> bool {
        let partition = &mut self.partitions[place];
        if leader_epoch >= 0 && leader_epoch < partition.leader_epoch {
            partition.stale += 1;
            if partition.stale < STALE_ANSWERS {
                return false;
            }
        }
        let changed = partition.leader != leader;
        (partition.leader, partition.leader_epoch, partition.stale) = (leader, leader_epoch, 0);
        changed
    }

    pub(crate) fn used_partitions(&self) -> usize {
        self.partitions.iter().filter(|p| p.is_used()).count()
    }
}
