//! A partition as the producer sees it: its unsettled batches in the order of their records, and its sequences.

use crate::pool::{Hooks, Link, List};
use crate::time::Instant;

/// What the producer keeps of one partition; stands at the same place as the partition's entry in the cluster's table.
pub struct PartitionQueue {
    /// Every batch that is not settled, oldest first; only the last may be open. A batch keeps its place until it is
    /// settled, sent or not: that is what keeps the order.
    pub(crate) batches: List,
    /// Batches in outstanding requests, tombstones included.
    pub(crate) in_flight: u8,
    /// The connection slot that those requests went over. It may change only while `in_flight` is zero: this is the
    /// rule that makes moving a partition safe, see `State::move_to`.
    pub(crate) connection: Link,
    /// Something must be sent again, first to last: nothing goes out until what is in flight has been answered.
    pub(crate) retrying: bool,
    pub(crate) retry_at: Instant,
    /// Attempts in a row that failed; the backoff grows with it.
    pub(crate) failures: u8,
    /// Producer id and epoch below are set: at the first sending.
    pub(crate) identified: bool,
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
    pub(crate) next_sequence: i32,
    /// The sequence that the broker expects next, as far as answers tell; -1 when it is known to differ from ours.
    pub(crate) expected_sequence: i32,
    /// When the broker last acknowledged a batch under this producer id; [`Instant::ZERO`]: never. See `sequence`.
    pub(crate) known_at: Instant,
    /// Records ever appended, wrapping.
    pub(crate) appended: u32,
    /// Remembered batches that were not written.
    pub(crate) unsuccessful: u16,
    /// The ordinal after the last record whose failure was forgotten unread, if any was.
    pub(crate) forgotten: Option<u32>,
    /// The connection slot that it sends over next; where it differs from `connection`, it waits for the last answer there.
    #[cfg(feature = "scaling")]
    pub(crate) home: Link,
    /// In a connection's list of partitions with something to send.
    pub(crate) ready: Hooks,
    pub(crate) ready_on: Link,
}

impl PartitionQueue {
    /// Of a partition that nobody has sent to.
    pub const EMPTY: PartitionQueue = PartitionQueue {
        batches: List::EMPTY,
        in_flight: 0,
        connection: Link::NONE,
        retrying: false,
        retry_at: Instant::ZERO,
        failures: 0,
        identified: false,
        producer_id: 0,
        epoch: 0,
        next_sequence: 0,
        expected_sequence: 0,
        known_at: Instant::ZERO,
        appended: 0,
        unsuccessful: 0,
        forgotten: None,
        #[cfg(feature = "scaling")]
        home: Link::NONE,
        ready: Hooks::NONE,
        ready_on: Link::NONE,
    };
}

pub(crate) fn ready_hooks(queue: &mut PartitionQueue) -> &mut Hooks {
    &mut queue.ready
}
