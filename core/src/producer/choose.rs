//! Which partition a record goes to: the one it names, that of its key, or the sticky one of the topic.

use super::refused::Refused;
use super::{Destination, Partitioner, Platform, State};
use crate::cluster::{TopicState, find_place};
use crate::pool::Link;
use crate::records::partitioning;
use crate::time::Instant;

/// Partitions that are looked at for one with nothing under way, when all have something.
const BUSY_LOOKS: u32 = 8;

impl<P: Platform> State<P> {
    /// The place of the partition that the record goes to, and whether that is the sticky one.
    #[inline]
    pub(super) fn place(&mut self, to: Destination, key: Option<&[u8]>) -> Result<(usize, bool), Refused> {
        if self.s.closing || !self.s.started {
            return Err(Refused::Closed);
        }
        let topic = to.topic.0 as usize;
        let entry = self.cluster.topics.get(topic).filter(|entry| entry.is_used());
        let Some(entry) = entry else { return Err(Refused::UnknownTopic) };
        let (state, count) = (entry.state(), entry.partition_count);
        if let TopicState::Refused(code) = state {
            // Whoever refused it may have changed their mind. As often as somebody tries, but for the backoff.
            return Err(self.refuse(topic, Refused::Denied(code)));
        }
        if let Some(partition) = to.partition {
            // Before the count is known the caller is believed: records wait in the batch for the first metadata.
            if partition < 0 || (count > 0 && partition as u32 >= count) {
                return Err(self.refuse(topic, Refused::NoSuchPartition { partition, partitions: count }));
            }
            return Ok((self.pinned(topic, partition)?, false));
        }
        if count == 0 {
            return Err(Refused::TopicPending);
        }
        let partition = match (key, self.settings.partitioner) {
            (Some(key), Partitioner::Murmur2) => partitioning::java_partition(key, count),
            (Some(key), Partitioner::Crc32) if !key.is_empty() => partitioning::librdkafka_partition(key, count),
            _ => return Ok((self.sticky(topic)?, true)),
        };
        Ok((self.pinned(topic, partition as i32)?, false))
    }

    /// What was refused may be otherwise the next time. Apart, since a call in its midst makes [`State::place`] 2 % dearer on a server;
    /// on a device it costs 600 bytes.
    #[cfg_attr(target_pointer_width = "64", cold, inline(never))]
    fn refuse(&mut self, topic: usize, why: Refused) -> Refused {
        self.want_topic(topic, Instant::ZERO);
        why
    }

    /// The place of a partition from now on: its sequences must not be forgotten.
    fn pinned(&mut self, topic: usize, partition: i32) -> Result<usize, Refused> {
        if let Some(place) = find_place(&self.cluster.partitions, topic, partition)
            && self.cluster.partitions[place].pinned
        {
            return Ok(place);
        }
        let added = self.cluster.add_partition(topic, partition, true);
        let place = added.ok_or(Refused::TooManyPartitions)?;
        if self.cluster.partitions[place].leader < 0 {
            self.want_topic(topic, Instant::ZERO);
        }
        Ok(place)
    }

    /// The partition that records without a key go to now.
    fn sticky(&mut self, topic: usize) -> Result<usize, Refused> {
        let entry = &self.cluster.topics[topic];
        if let Some(place) = entry.sticky.get()
            && entry.sticky_bytes < self.s.batch_bytes
            && (self.cluster.partitions[place].index as u32) < entry.partition_count
        {
            return Ok(place);
        }
        let (count, before) = (entry.partition_count, entry.sticky);
        let start = self.random() % count.max(1);
        let (mut choice, mut best) = (None, (false, false));
        // A partition that has a leader, is not the one before and has nothing under way; failing that, whatever there is.
        // More than there are places for cannot be found anyway.
        for step in 0..count.min(self.cluster.partitions.len() as u32) {
            let Some(place) = self.cluster.find_partition(topic, ((start + step) % count) as i32) else { continue };
            let leads = self.cluster.partitions[place].leader >= 0 && (Link::to(place) != before || count == 1);
            let rank = (leads, !self.is_busy(place));
            if choice.is_none() || rank > best {
                (choice, best) = (Some(place), rank);
            }
            if rank == (true, true) || best.0 && step >= BUSY_LOOKS {
                break;
            }
        }
        let index = choice.map_or(start as i32, |place| self.cluster.partitions[place].index);
        let place = self.pinned(topic, index).or_else(|refused| self.placed(topic, start, before).ok_or(refused))?;
        let entry = &mut self.cluster.topics[topic];
        (entry.sticky, entry.sticky_bytes) = (Link::to(place), 0);
        Ok(place)
    }

    /// A partition of the topic that has a place, when there is no place for another: one that has a leader and is not the one
    /// before, if there is one.
    #[cold]
    fn placed(&self, topic: usize, start: u32, before: Link) -> Option<usize> {
        let (known, count) = (self.known_partitions(), self.cluster.topics[topic].partition_count);
        let mut choice = None;
        for step in 0..known {
            let place = (start as usize + step) % known;
            let entry = &self.cluster.partitions[place];
            if entry.topic() != topic || entry.index as u32 >= count {
                continue;
            }
            choice = Some(place);
            if entry.leader >= 0 && Link::to(place) != before {
                break;
            }
        }
        choice
    }

    /// Another partition becomes the sticky one.
    pub(super) fn leave_sticky(&mut self, place: usize) -> Result<usize, Refused> {
        let topic = self.cluster.partitions[place].topic();
        self.cluster.topics[topic].sticky = Link::NONE;
        self.sticky(topic)
    }

    /// Whether a batch that is opened there comes behind others, while those of another partition may go at once. Java's client
    /// also weighs partitions by what waits for them (KIP-794). A device has few connections, and nothing to gain.
    pub(super) fn is_busy(&self, place: usize) -> bool {
        cfg!(feature = "scaling") && !self.queues[place].batches.is_empty()
    }

    pub(super) fn count_sticky(&mut self, place: usize, bytes: u32) {
        let topic = self.cluster.partitions[place].topic();
        let entry = &mut self.cluster.topics[topic];
        entry.sticky_bytes = entry.sticky_bytes.saturating_add(bytes);
    }
}
