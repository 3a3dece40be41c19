//! Partitions and their leaders, one after the other as they become known, and found by hashing. Entries never move: batches
//! and connections refer to them by place.

use super::{Cluster, STALE_ANSWERS};
use crate::pool::Link;
use crate::state::Platform;

/// One place in the table of partitions; and beside it a bucket of the hash table, which has as many.
#[derive(Debug)]
pub struct PartitionEntry {
    /// The place of a partition that hashes to here or in front of here.
    bucket: Link,
    topic: Link,
    /// The partition's number in its topic.
    pub(crate) index: i32,
    /// The leader's node id, or -1.
    pub(crate) leader: i32,
    pub(crate) leader_epoch: i32,
    /// Records went to it, so it is never given up: its sequences must not be forgotten.
    pub(crate) pinned: bool,
    /// Whoever read it does so no more.
    #[cfg(feature = "consumer")]
    pub(crate) left: bool,
    /// Answers in a row whose leader epoch was older than ours, see [`Cluster::partition`].
    stale: u8,
}

impl PartitionEntry {
    /// A free place. All zero bits, see [`Link`].
    pub const EMPTY: PartitionEntry = PartitionEntry {
        bucket: Link::NONE,
        topic: Link::NONE,
        index: 0,
        leader: 0,
        leader_epoch: 0,
        pinned: false,
        #[cfg(feature = "consumer")]
        left: false,
        stale: 0,
    };

    /// Whether it is written or read, so that its leader must be known, and is to have a place among the brokers.
    pub(crate) fn is_needed(&self) -> bool {
        #[cfg(feature = "consumer")]
        if self.left {
            return false;
        }
        self.pinned
    }

    pub(crate) fn topic(&self) -> usize {
        self.topic.get().unwrap_or(0)
    }
}

/// The bucket where the search begins. The upper half of a product, since a division costs as much as a whole record.
fn first_bucket(buckets: usize, topic: usize, index: i32) -> usize {
    let hash = (topic as u32).wrapping_mul(0x85eb_ca6b).wrapping_add(index as u32).wrapping_mul(0x9e37_79b1);
    ((u64::from(hash) * buckets as u64) >> 32) as usize
}

/// The place of a partition in the table.
#[cfg_attr(target_pointer_width = "64", inline)]
#[cfg_attr(not(target_pointer_width = "64"), inline(never))]
pub(crate) fn find_place(partitions: &[PartitionEntry], topic: usize, index: i32) -> Option<usize> {
    let wanted = Link::to(topic);
    let first = first_bucket(partitions.len(), topic, index);
    let mut at = first;
    loop {
        // Buckets are never emptied: the first empty one ends the search.
        let place = partitions.get(at)?.bucket.get()?;
        let entry = partitions.get(place)?;
        if entry.topic == wanted && entry.index == index {
            return Some(place);
        }
        at = if at + 1 == partitions.len() { 0 } else { at + 1 };
        if at == first {
            return None;
        }
    }
}

impl<P: Platform> Cluster<P> {
    pub(crate) fn find_partition(&self, topic: usize, index: i32) -> Option<usize> {
        find_place(&self.partitions, topic, index)
    }

    /// All buckets, from where the search for the partition begins.
    fn probe(&self, topic: usize, index: i32) -> impl Iterator<Item = usize> + use<P> {
        let buckets = self.partitions.len();
        let first = first_bucket(buckets, topic, index);
        (first..buckets).chain(0..first)
    }

    /// The partition's place, taken if need be; `None` when all are taken. One that nobody sent to gives way to one
    /// that is `pinned`.
    pub(crate) fn add_partition(&mut self, topic: usize, index: i32, pinned: bool) -> Option<usize> {
        let place = self.find_partition(topic, index).or_else(|| {
            let used = self.used_partitions();
            let full = used == self.partitions.len();
            // Whoever takes a place takes its bucket, too: the nearest one, so that the search stays short.
            let gives_way = |entry: &PartitionEntry| full && pinned && !entry.pinned;
            let at = self.probe(topic, index).find(|&at| match self.partitions[at].bucket.get() {
                Some(place) => gives_way(&self.partitions[place]),
                None => true,
            })?;
            let place = self.partitions[at].bucket.get().unwrap_or(used);
            self.metadata.partitions += u16::from(!full);
            self.partitions[at].bucket = Link::to(place);
            let topic = Link::to(topic);
            let unknown = PartitionEntry { topic, leader: -1, leader_epoch: -1, ..PartitionEntry::EMPTY };
            let entry = &mut self.partitions[place];
            *entry = PartitionEntry { bucket: entry.bucket, index, ..unknown };
            Some(place)
        })?;
        if pinned {
            let entry = &mut self.partitions[place];
            entry.pinned = true;
            #[cfg(feature = "consumer")]
            {
                entry.left = false;
            }
        }
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
        self.metadata.partitions.into()
    }
}

#[cfg(test)]
mod tests {
    use crate::producer::tests::{Rig, SMALL, Sizes};

    const PLACES: usize = 8;

    /// Adds partitions at random until nothing more fits, and looks for all there are after each.
    fn fill(seed: u32) {
        let mut cluster = Rig::unstarted(Sizes { partitions: PLACES, ..SMALL }).state.cluster;
        let (mut random, mut known) = (seed, [None; PLACES]);
        for _ in 0..100 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (topic, index, pinned) = (random as usize >> 30, (random >> 24) as i32 & 0x1f, random >> 20 & 3 == 0);
            let before = known.iter().position(|&at| at.is_some_and(|(key, _)| key == (topic, index)));
            let used = known.iter().flatten().count();
            let place = cluster.add_partition(topic, index, pinned);
            match place {
                Some(place) => {
                    assert!(before.is_none_or(|before| before == place), "it has moved");
                    assert!(
                        before.is_some() || used == PLACES || used == place,
                        "places are taken one after the other"
                    );
                    let gave_way = before.is_none() && used == PLACES;
                    assert!(!gave_way || pinned && known[place].is_some_and(|(_, pinned): (_, bool)| !pinned));
                    let was_pinned = before.and(known[place]).is_some_and(|(_, pinned)| pinned);
                    known[place] = Some(((topic, index), was_pinned || pinned));
                }
                None => {
                    let stays = known.iter().flatten().all(|&(_, pinned)| pinned) || !pinned;
                    assert!(before.is_none() && used == PLACES && stays, "there was a place");
                }
            }
            assert_eq!(cluster.used_partitions(), known.iter().flatten().count());
            for topic in 0..4 {
                for index in 0..0x20 {
                    let place = known.iter().position(|&at| at.is_some_and(|(key, _)| key == (topic, index)));
                    assert_eq!(cluster.find_partition(topic, index), place);
                }
            }
        }
    }

    #[test]
    fn places_are_taken_in_order_are_kept_once_pinned_and_found_again() {
        (0..40).for_each(fill);
    }
}
