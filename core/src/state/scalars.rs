//! What is neither a table nor a setting.

use super::Counters;
use crate::connection::ConnectionError;
use crate::pool::{Level, Link, List, SeatsState};
use crate::time::Instant;
use core::task::Waker;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Identity {
    /// Not asked for, or to be asked for again.
    Wanted,
    Asked,
    Known,
}

/// What is neither a table nor a setting.
pub(crate) struct Scalars {
    /// Of the smallest buffer.
    pub(crate) batch_bytes: u32,
    /// Each connection's frame buffer and receive buffer, in bytes.
    pub(crate) scratch: (u32, u32),
    pub(crate) counters: Counters,
    pub(crate) seats: SeatsState,
    pub(crate) buffers_level: Level,
    pub(crate) batches_level: Level,
    /// Slots whose outcome may be overwritten: nothing in them, a success, or a failure that was read.
    pub(crate) free_batches: List,
    /// Slots that remember a failure which somebody may still ask for.
    pub(crate) free_unread: List,
    /// Batches without an outcome, oldest first.
    pub(crate) age: List,
    /// Batches whose time is over and that are kept until the broker tells, see
    /// [`UnknownOutcome::Hold`](crate::UnknownOutcome::Hold).
    pub(crate) held: List,
    /// Open batches that wait for more records, oldest first.
    pub(crate) lingering: List,
    pub(crate) open: u16,
    pub(crate) queued: u16,
    pub(crate) in_flight: u16,
    /// Of one connection, and with idempotence of a partition: the setting, or what there are places for.
    pub(crate) max_in_flight: u8,
    /// Of the batch that is opened next.
    pub(crate) next_serial: u32,
    /// Batches up to this serial are sent without lingering.
    pub(crate) flush_serial: u32,
    pub(crate) flushing: bool,
    #[cfg(feature = "consumer")]
    pub(crate) consumer: crate::consumer::Scalars,
    /// Who waits for room or for a topic; all for the same longest time, so the first one's ends first.
    pub(crate) room: List,
    pub(crate) identity: Identity,
    pub(crate) identity_at: Instant,
    pub(crate) identity_failures: u8,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    /// The earliest time at which a partition may try again.
    pub(crate) retry_scan_at: Instant,
    /// Partitions wait for a connection to their leader.
    pub(crate) connections_wanted: bool,
    /// Where the next look for such partitions begins.
    pub(crate) connections_cursor: u16,
    /// When the brokers' load is sampled next, and how often there was no room until the last time.
    #[cfg(feature = "scaling")]
    pub(crate) scale_at: Instant,
    #[cfg(feature = "scaling")]
    pub(crate) full_before: usize,
    /// The slots that are to ask for metadata and for a producer id.
    pub(crate) metadata_slot: Link,
    pub(crate) identity_slot: Link,
    pub(crate) broker_rotation: u16,
    /// The most connections that were open at once.
    pub(crate) connections_high: u16,
    /// The last connection that failed, and whether any has worked since.
    pub(crate) trouble: Option<ConnectionError>,
    pub(crate) random: u32,
    pub(crate) started: bool,
    pub(crate) closing: bool,
    /// When a close gives up.
    pub(crate) close_at: Instant,
    pub(crate) closed: bool,
    /// One that closes and found no seat.
    pub(crate) closer: Option<Waker>,
    pub(crate) closer_wake: bool,
    /// The clock task: its waker, until when it sleeps, and whether it is to look before that.
    pub(crate) clock_waker: Option<Waker>,
    pub(crate) clock_until: Instant,
    pub(crate) clock_due: bool,
    /// Connections whose task is to be woken.
    pub(crate) connection_wakes: u16,
}

impl Scalars {
    pub(super) const NEW: Scalars = Scalars {
        batch_bytes: 0,
        scratch: (0, 0),
        counters: Counters::ZERO,
        seats: SeatsState::EMPTY,
        buffers_level: Level::EMPTY,
        batches_level: Level::EMPTY,
        free_batches: List::EMPTY,
        free_unread: List::EMPTY,
        age: List::EMPTY,
        held: List::EMPTY,
        lingering: List::EMPTY,
        open: 0,
        queued: 0,
        in_flight: 0,
        max_in_flight: 0,
        next_serial: 0,
        flush_serial: 0,
        flushing: false,
        #[cfg(feature = "consumer")]
        consumer: crate::consumer::Scalars::NEW,
        room: List::EMPTY,
        identity: Identity::Wanted,
        identity_at: Instant::ZERO,
        identity_failures: 0,
        producer_id: 0,
        producer_epoch: 0,
        retry_scan_at: Instant::ZERO,
        connections_wanted: false,
        connections_cursor: 0,
        #[cfg(feature = "scaling")]
        scale_at: Instant::NEVER,
        #[cfg(feature = "scaling")]
        full_before: 0,
        metadata_slot: Link::NONE,
        identity_slot: Link::NONE,
        broker_rotation: 0,
        connections_high: 0,
        trouble: None,
        random: 0,
        started: false,
        closing: false,
        close_at: Instant::ZERO,
        closed: false,
        closer: None,
        closer_wake: false,
        clock_waker: None,
        clock_until: Instant::ZERO,
        clock_due: false,
        connection_wakes: 0,
    };
}
