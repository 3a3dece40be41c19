//! Topics as callers have them: what names one, why it cannot be used, and how many partitions it has.

use crate::connection::ConnectionError;
use crate::protocol::ErrorCode;
use crate::state::{Platform, State};
use crate::time::Instant;
use core::fmt;
#[cfg(feature = "consumer")]
use {crate::cluster::TopicState, crate::pool::Seat, crate::state::Wait, core::task::Waker};

/// A topic that the client knows: what `topic()` returned. Plain data.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Topic(pub(crate) u16);

/// Why a topic cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum TopicError {
    /// Not a legal name: 1 to 249 of `[a-zA-Z0-9._-]`, and neither `.` nor `..`.
    InvalidName,
    /// Longer than the places for names.
    NameTooLong {
        /// Bytes of the name.
        length: u16,
        /// Bytes of a place.
        capacity: u16,
    },
    /// Every place for partitions is taken.
    TooManyPartitions {
        /// Places there are.
        capacity: u16,
    },
    /// Every place for topics is taken.
    TooManyTopics {
        /// Places there are.
        capacity: u16,
    },
    /// It is not one of this consumer's: it came from another client.
    UnknownTopic,
    /// More tasks wait than there are seats for, and the settings say to refuse.
    TooManyWaiters {
        /// Seats there are.
        capacity: u16,
    },
    /// The cluster refuses it: no such topic, or no right to it.
    Refused(ErrorCode),
    /// The cluster has told nothing of it in time.
    NotKnown {
        /// The broker's last word on the topic, or none.
        code: ErrorCode,
        /// The last trouble with a connection, if no connection works.
        connection: Option<ConnectionError>,
    },
}

impl fmt::Display for TopicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TopicError::InvalidName => f.write_str("not a legal topic name: use 1 to 249 of [a-zA-Z0-9._-]"),
            TopicError::NameTooLong { length, capacity } => {
                write!(f, "the topic's name has {length} bytes, places for names have {capacity}")
            }
            TopicError::TooManyWaiters { capacity } => {
                write!(f, "all {capacity} seats for waiting tasks are taken: raise waiters.max")
            }
            TopicError::UnknownTopic => f.write_str("the topic belongs to another client: ask this one for it"),
            TopicError::Refused(code) => write!(f, "the cluster refuses the topic: {code}"),
            TopicError::NotKnown { code, connection } => {
                f.write_str("the cluster has told nothing of the topic in time")?;
                if *code != ErrorCode::NONE {
                    write!(f, ": {code}")?;
                }
                connection.map_or(Ok(()), |error| write!(f, "; connection: {error}"))
            }
            TopicError::TooManyPartitions { capacity } => {
                write!(f, "all {capacity} places for partitions are taken: raise partitions.max")
            }
            TopicError::TooManyTopics { capacity } => {
                write!(f, "all {capacity} places for topics are taken: raise topics.max")
            }
        }
    }
}

impl core::error::Error for TopicError {}

impl<P: Platform> State<P> {
    /// Takes a topic into the table, so that metadata is asked for it.
    pub(crate) fn topic(&mut self, name: &str) -> Result<Topic, TopicError> {
        let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if !(1..=249).contains(&name.len()) || matches!(name, "." | "..") || !name.bytes().all(legal) {
            return Err(TopicError::InvalidName);
        }
        let capacity = self.cluster.names.cell_bytes();
        if name.len() > capacity {
            let (length, capacity) = (name.len() as u16, capacity as u16);
            return Err(TopicError::NameTooLong { length, capacity });
        }
        let known = self.cluster.find_topic(name.as_bytes());
        let index = match known {
            Some(index) => index,
            None => {
                let added = self.cluster.add_topic(name.as_bytes());
                let index = added.ok_or(TopicError::TooManyTopics { capacity: self.cluster.topics.len() as u16 })?;
                self.cluster.metadata.want(Instant::ZERO);
                self.wake_clock();
                index
            }
        };
        Ok(Topic(index as u16))
    }

    pub(crate) fn partition_count(&self, topic: Topic) -> Option<u32> {
        self.cluster.topics.get(topic.0 as usize).map(|t| t.partition_count).filter(|&count| count > 0)
    }

    /// How many partitions the topic has, once that is known.
    #[cfg(feature = "consumer")]
    pub(crate) fn poll_partition_count(
        &mut self,
        topic: Topic,
        (now, deadline): (Instant, Instant),
        seat: &mut Seat,
        waker: &Waker,
        replaced: &mut Option<Waker>,
    ) -> Wait<Result<u32, TopicError>> {
        let index = topic.0 as usize;
        let Some(entry) = self.cluster.topics.get(index) else {
            return Wait::Ready(Err(TopicError::NotKnown { code: ErrorCode::NONE, connection: None }));
        };
        match entry.state() {
            TopicState::Known => return Wait::Ready(Ok(entry.partition_count)),
            TopicState::Refused(code) => {
                // As for who sends: the next time it may be otherwise.
                self.want_topic(index, now);
                return Wait::Ready(Err(TopicError::Refused(code)));
            }
            TopicState::Pending(code) if deadline <= now || self.s.closing => {
                return Wait::Ready(Err(TopicError::NotKnown { code, connection: self.s.trouble }));
            }
            TopicState::Pending(_) => {}
        }
        if !entry.wanted && self.cluster.metadata.failures == 0 {
            self.want_topic(index, now);
        }
        self.wait_for_room(seat, waker, replaced, deadline)
    }

    pub(crate) fn with_topic_name<R>(&mut self, topic: Topic, f: impl FnOnce(&str) -> R) -> R {
        f(core::str::from_utf8(self.cluster.name(topic.0 as usize)).unwrap_or_default())
    }
}
