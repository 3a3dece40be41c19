//! When metadata is asked for, and what one response says as it streams by.

use super::{Cluster, TopicState};
use crate::pool::Link;
use crate::protocol::{ErrorCode, metadata::Item};
use crate::state::Platform;
use crate::time::Instant;
use crate::wire::FLEXIBLE;

/// The state of asking.
pub(crate) struct Metadata {
    /// Of this response; they are numbered around, without 0.
    pub(crate) responses: u16,
    /// Ask at this time.
    pub(crate) refresh_at: Instant,
    /// And from this time on for all topics: else those that are always wanted would leave the others to grow old.
    pub(crate) all_at: Instant,
    /// But not before this one, lest a broker that is behind be asked in a circle.
    pub(crate) not_before: Instant,
    /// A question is out until then; whether it is lost shows in time, while another broker may be asked.
    pub(crate) asked_until: Instant,
    /// The broker that was asked last, so that the next question goes to another.
    pub(crate) asked: Link,
    /// Answers in a row that left something open; the backoff grows with it.
    pub(crate) failures: u8,
    /// Answers in a row that named a leader of ours whose address cannot be kept; and [`UNKEPT`] if the one that is being read
    /// does.
    pub(crate) unkept: u8,
    /// Places in use in the table of partitions: the first ones.
    pub(crate) partitions: u16,
    /// A topic has got another id than brokers may know it by.
    #[cfg(all(feature = "consumer", not(feature = "one-version")))]
    pub(crate) topic_ids_changed: bool,
}

impl Metadata {
    pub(crate) const NEW: Metadata = Metadata {
        responses: 0,
        refresh_at: Instant::ZERO,
        all_at: Instant::ZERO,
        not_before: Instant::ZERO,
        asked_until: Instant::ZERO,
        asked: Link::NONE,
        failures: 0,
        unkept: 0,
        partitions: 0,
        #[cfg(all(feature = "consumer", not(feature = "one-version")))]
        topic_ids_changed: false,
    };

    pub(crate) fn want(&mut self, at: Instant) {
        self.refresh_at = self.refresh_at.min(at);
    }

    /// When to ask next.
    pub(crate) fn due_at(&self) -> Instant {
        // Who was asked and does not answer is not waited for: another is asked the same.
        let at = if self.asked_until > Instant::ZERO { self.asked_until } else { self.refresh_at };
        at.max(self.not_before)
    }
}

/// See [`Metadata::unkept`].
pub(super) const UNKEPT: u8 = 1 << 7;

/// After so many answers in a row that named a leader without a place it will not get one: who led before the last of them, and
/// does no more, has given his away by then.
pub(super) const UNKEPT_ANSWERS: u8 = 4;

/// Where in a response the reading is.
#[derive(Clone, Copy)]
pub(crate) struct MetadataReading {
    /// Its number, 0 before it begins.
    response: u16,
    topic: Link,
    error: ErrorCode,
}

impl MetadataReading {
    pub(crate) const START: MetadataReading =
        MetadataReading { response: 0, topic: Link::NONE, error: ErrorCode::NONE };

    /// The cluster wants its clients to start again from the bootstrap list (KIP-1102), which only a flexible version can say.
    pub(crate) fn rebootstrap_required(&self) -> bool {
        FLEXIBLE && self.error == ErrorCode::REBOOTSTRAP_REQUIRED
    }
}

impl<P: Platform> Cluster<P> {
    /// Takes in one item; returns a broker whose address changed.
    pub(crate) fn metadata_item(&mut self, reading: &mut MetadataReading, item: &Item<'_>) -> Option<usize> {
        if reading.response == 0 {
            self.metadata.responses = self.metadata.responses.wrapping_add(1).max(1);
            reading.response = self.metadata.responses;
        }
        match *item {
            Item::Broker { node_id, host, port } => return self.broker(node_id, host, port),
            Item::Topic {
                error,
                name,
                partitions,
                #[cfg(all(feature = "consumer", not(feature = "one-version")))]
                id,
                ..
            } => {
                let topic = self.topic(name, error, partitions);
                #[cfg(all(feature = "consumer", not(feature = "one-version")))]
                if let Some(topic) = topic {
                    self.identify(topic, id);
                }
                reading.topic = topic.map_or(Link::NONE, Link::to);
            }
            Item::Partition { index, leader, leader_epoch, .. } => {
                if let Some(topic) = reading.topic.get()
                    && let Some(place) = self.add_partition(topic, index, false)
                {
                    self.partition(place, leader, leader_epoch);
                }
            }
            Item::Error(error) => reading.error = error,
            Item::Throttle(_) | Item::Controller(_) => {}
        }
        None
    }

    /// The response is over: what it leaves open.
    pub(crate) fn metadata_ends(&mut self, reading: MetadataReading) -> Open {
        self.forget_unseen_brokers(reading.response);
        self.metadata.asked_until = Instant::ZERO;
        let unkept = self.metadata.unkept;
        self.metadata.unkept = if unkept < UNKEPT { 0 } else { (unkept - UNKEPT + 1).min(UNKEPT_ANSWERS) };
        for topic in self.topics.iter_mut() {
            topic.answered |= core::mem::take(&mut topic.asked);
        }
        let wanted = |t: &super::TopicEntry| t.is_used() && (t.wanted || matches!(t.state(), TopicState::Pending(_)));
        if self.topics.iter().any(|t| wanted(t) && !t.answered) {
            return Open::NotAsked;
        }
        self.topics.iter_mut().for_each(|topic| topic.answered = false);
        let leaderless = |p: &super::PartitionEntry| p.is_needed() && (p.leader < 0 || self.node(p.leader).is_none());
        if self.topics.iter().any(wanted) || self.partitions.iter().any(leaderless) {
            Open::Unanswered
        } else {
            Open::Nothing
        }
    }
}

/// What is open after a Metadata response.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Open {
    /// Everything is known.
    Nothing,
    /// Topics that had no place in the question: they are asked for at once.
    NotAsked,
    /// Something that the cluster did not know: it is asked again, after a backoff.
    Unanswered,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::producer::tests::{Rig, SMALL};

    /// One broker was silent and another was asked the same; both answer at once.
    #[test]
    fn an_answer_that_ends_amid_another_forgets_nobody_whom_it_has_named() {
        let mut cluster = Rig::unstarted(SMALL).state.cluster;
        let broker = |node_id| Item::Broker { node_id, host: b"h", port: 9000 + node_id };
        let (mut first, mut second) = (MetadataReading::START, MetadataReading::START);
        for node in [1, 2] {
            cluster.metadata_item(&mut first, &broker(node));
        }
        cluster.metadata_item(&mut second, &broker(1));
        cluster.metadata_ends(first);
        assert!(cluster.node(1).is_some() && cluster.node(2).is_some());
        cluster.metadata_ends(second);
        assert!(cluster.node(1).is_some() && cluster.node(2).is_none(), "the second has not named it");
    }
}
