//! The topics that somebody asked for. They stay as long as the client does.

use super::{Cluster, STALE_ANSWERS};
use crate::pool::{Link, hash};
use crate::protocol::ErrorCode;
use crate::state::Platform;

/// Where a topic stands with the cluster.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TopicState {
    /// No answer yet, or only ones that may change by themselves (the topic is being made, say).
    Pending(ErrorCode),
    Known,
    /// The broker's last word: an invalid name, or no permission.
    Refused(ErrorCode),
}

/// One place in the table of topics.
#[derive(Debug)]
pub struct TopicEntry {
    used: bool,
    name_length: u8,
    hash: u32,
    /// Its id (KIP-516), zero until it is told: brokers before Kafka 2.8 have none.
    #[cfg(all(feature = "consumer", not(feature = "one-version")))]
    id: [u8; 16],
    /// Metadata must be asked for it.
    pub(crate) wanted: bool,
    /// It stands in the question that is out.
    pub(crate) asked: bool,
    /// It was asked for in this round of questions, in which not all fit into one, and is still wanted.
    pub(crate) answered: bool,
    /// Zero until known.
    pub(crate) partition_count: u32,
    /// Answers in a row that told of fewer partitions.
    stale: u8,
    error: ErrorCode,
    /// The partition that records without a key go to now (KIP-480), and how many bytes have gone there (KIP-794).
    pub(crate) sticky: Link,
    pub(crate) sticky_bytes: u32,
    /// Scratch while a request is put together: its last batch of this topic.
    pub(crate) last_in_request: Link,
}

impl TopicEntry {
    /// A free place.
    pub const EMPTY: TopicEntry = TopicEntry {
        used: false,
        name_length: 0,
        hash: 0,
        #[cfg(all(feature = "consumer", not(feature = "one-version")))]
        id: [0; 16],
        wanted: false,
        asked: false,
        answered: false,
        partition_count: 0,
        stale: 0,
        error: ErrorCode::NONE,
        sticky: Link::NONE,
        sticky_bytes: 0,
        last_in_request: Link::NONE,
    };

    pub(crate) fn is_used(&self) -> bool {
        self.used
    }

    /// Its id; all zero if there is none, or none that would be used.
    #[cfg(feature = "consumer")]
    pub(crate) fn id(&self) -> [u8; 16] {
        #[cfg(not(feature = "one-version"))]
        return self.id;
        #[cfg(feature = "one-version")]
        [0; 16]
    }

    /// What the last answer about it said.
    pub(crate) fn error(&self) -> ErrorCode {
        self.error
    }

    pub(crate) fn state(&self) -> TopicState {
        match self.error {
            ErrorCode::TOPIC_AUTHORIZATION_FAILED | ErrorCode::INVALID_TOPIC_EXCEPTION => {
                TopicState::Refused(self.error)
            }
            _ if self.partition_count > 0 => TopicState::Known,
            error => TopicState::Pending(error),
        }
    }
}

impl<P: Platform> Cluster<P> {
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
    pub(crate) fn name(&self, topic: usize) -> &[u8] {
        self.topics.get(topic).map_or(&[], |t| self.names.get(topic, t.name_length))
    }

    pub(crate) fn find_topic(&self, name: &[u8]) -> Option<usize> {
        let hash = hash(name);
        let is = |(i, t): &(usize, &TopicEntry)| t.used && t.hash == hash && self.names.get(*i, t.name_length) == name;
        self.topics.iter().enumerate().find(is).map(|(i, _)| i)
    }

    /// The topic with this id.
    #[cfg(feature = "consumer")]
    pub(crate) fn find_topic_id(&self, id: [u8; 16]) -> Option<usize> {
        self.topics.iter().position(|topic| topic.used && id != [0; 16] && topic.id() == id)
    }

    /// Whether all topics that are known can be named by their ids.
    #[cfg(feature = "consumer")]
    pub(crate) fn has_topic_ids(&self) -> bool {
        self.topics.iter().all(|topic| topic.partition_count == 0 || topic.id() != [0; 16])
    }

    /// A broker has told the topic's id. Another one than before is another topic of the same name.
    #[cfg(all(feature = "consumer", not(feature = "one-version")))]
    pub(crate) fn identify(&mut self, topic: usize, id: [u8; 16]) {
        let known = &mut self.topics[topic].id;
        if id != [0; 16] && *known != id {
            *known = id;
            self.metadata.topic_ids_changed = true;
        }
    }

    /// The topic's place, taken if need be. `None`: every place is taken; the name fits, its length was checked.
    pub(crate) fn add_topic(&mut self, name: &[u8]) -> Option<usize> {
        if let Some(index) = self.find_topic(name) {
            return Some(index);
        }
        let index = self.topics.iter().position(|t| !t.used)?;
        let name_length = self.names.set(index, name)?;
        self.topics[index] =
            TopicEntry { used: true, name_length, hash: hash(name), wanted: true, ..TopicEntry::EMPTY };
        Some(index)
    }

    /// One topic of a Metadata response; its place if it is one of ours.
    pub(crate) fn topic(&mut self, name: &[u8], error: ErrorCode, partitions: u32) -> Option<usize> {
        let index = self.find_topic(name)?;
        let topic = &mut self.topics[index];
        topic.error = error;
        if error == ErrorCode::NONE {
            let partitions = partitions.min(i32::MAX as u32);
            // A topic never loses partitions: fewer come from a broker that is behind, unless it is another topic.
            topic.stale = if partitions < topic.partition_count { topic.stale + 1 } else { 0 };
            if topic.stale == 0 || topic.stale >= STALE_ANSWERS {
                (topic.partition_count, topic.stale) = (partitions, 0);
            }
        } else {
            // What was known of it stays: a broker may be behind, and sequences outlive metadata.
            debug!("metadata: a topic has error {}", error.0);
        }
        topic.wanted = topic.state() != TopicState::Known || error != ErrorCode::NONE;
        if let TopicState::Refused(_) = topic.state() {
            topic.wanted = false;
        }
        Some(index)
    }

    pub(crate) fn used_topics(&self) -> usize {
        self.topics.iter().filter(|t| t.used).count()
    }
}
