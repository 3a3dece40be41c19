//! What is sent, and where to.

use crate::exchange::Topic;
use crate::records::Header;

impl Topic {
    /// One of its partitions.
    pub const fn partition(self, partition: i32) -> Destination {
        Destination { topic: self, partition: Some(partition) }
    }
}

/// Where a record goes: a topic, and its partition if the partitioner is not to choose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Destination {
    /// The topic.
    pub topic: Topic,
    /// The partition, or none for the partitioner's choice.
    pub partition: Option<i32>,
}

impl From<Topic> for Destination {
    fn from(topic: Topic) -> Self {
        Destination { topic, partition: None }
    }
}

/// A record, borrowed from the caller; sending copies it once, into its batch.
///
/// ```
/// use demitasse_core::{Header, Record};
/// let headers = [Header { key: "unit", value: Some(b"celsius") }];
/// let record = Record::new(b"21.5").key(b"kitchen").headers(&headers).timestamp(1_763_000_000_000);
/// assert_eq!(record.value, Some(&b"21.5"[..]));
/// ```
#[derive(Clone, Copy, Default, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Record<'a> {
    /// Decides over the partition, and over what compaction keeps. `None` is null.
    pub key: Option<&'a [u8]>,
    /// `None` is null: a tombstone in a compacted topic.
    pub value: Option<&'a [u8]>,
    /// In this order; keys may repeat.
    pub headers: &'a [Header<'a>],
    /// Milliseconds since 1970-01-01 UTC. `None`: when the record's batch was opened, at most `linger.ms` and the wait
    /// for room before it is sent.
    pub timestamp: Option<i64>,
}

impl<'a> Record<'a> {
    /// A record with a value and nothing else.
    pub const fn new(value: &'a [u8]) -> Self {
        Record { key: None, value: Some(value), headers: &[], timestamp: None }
    }

    /// A record with a key and a null value: what compaction takes as a deletion.
    pub const fn tombstone(key: &'a [u8]) -> Self {
        Record { key: Some(key), value: None, headers: &[], timestamp: None }
    }

    /// With a key.
    #[must_use]
    pub const fn key(mut self, key: &'a [u8]) -> Self {
        self.key = Some(key);
        self
    }

    /// With headers.
    #[must_use]
    pub const fn headers(mut self, headers: &'a [Header<'a>]) -> Self {
        self.headers = headers;
        self
    }

    /// With a timestamp of its own, in milliseconds since 1970-01-01 UTC.
    #[must_use]
    pub const fn timestamp(mut self, millis: i64) -> Self {
        self.timestamp = Some(millis);
        self
    }
}
