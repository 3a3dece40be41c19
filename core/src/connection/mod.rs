//! Connections: a fixed array of slots, what is outstanding on each, and the bytes that come back.
//!
//! A slot is told what to do (open to a broker, write, drain, close) and tells what happened; who does the IO is not
//! its concern. A slot with requests outstanding is never given to another broker.

mod backoff;
mod receive;
mod ring;

pub(crate) use backoff::backoff_millis;
pub(crate) use receive::{Purpose, Receive, Received, frame_length};
pub use ring::Request;
pub(crate) use ring::Ring;

use crate::cluster::Versions;
use crate::pool::{Link, List};
use crate::time::Instant;
use core::task::Waker;

/// Requests beside Produce that may be outstanding at once on a connection: ApiVersions, Metadata, InitProducerId.
pub const CONTROL_REQUESTS: usize = 3;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    Closed,
    /// Connecting; the driver has been told or will be.
    Opening,
    /// Connected, the broker's versions are asked for, and nothing is known that could be assumed for Produce.
    Negotiating,
    /// In use; at first perhaps on assumed versions.
    Active,
    /// No new request; closes when nothing is outstanding.
    Draining,
    /// The driver is to let go of the stream, or is about to say that it has.
    Closing,
}

/// Why a connection ended or could not be made.
// From 1 on, so that no error is all zero bits: a `static` of tables that hold `None` stays in `.bss`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
#[repr(u8)]
pub enum ConnectionError {
    /// The host's name could not be resolved. Ours to correct: `bootstrap.servers`, the brokers' `advertised.listeners`, or the
    /// name service.
    Resolve = 1,
    /// Nobody listens there: a wrong port, or the broker is down.
    Refused,
    /// There is no way to the host.
    Unreachable,
    /// No connection, or no answer to the first request on it, within `socket.connection.setup.timeout.ms`.
    ConnectTimeout,
    /// The peer closed before it had answered anything: most often a TLS or SASL port spoken to in plain text.
    ClosedUnanswered,
    /// The peer closed, or the network did.
    Closed,
    /// What came back is not Kafka's protocol but looks like HTTP.
    Http,
    /// What came back is not Kafka's protocol but looks like a TLS alert: this is a TLS port.
    Tls,
    /// What came back breaks Kafka's protocol: another service listens there, or the broker is broken.
    Protocol,
    /// An answer to another request than the one that was due.
    OutOfStep,
    /// The broker does not offer a version of this API that we speak: it is too old or too new.
    UnsupportedVersion {
        /// Kafka's API key.
        api_key: i16,
    },
    /// No answer within `request.timeout.ms`.
    RequestTimeout,
    /// Another failure of the network stack.
    Io(embedded_io_async::ErrorKind),
    /// A request does not fit into the frame buffer: our capacities are wrong.
    FrameTooSmall {
        /// Bytes needed, 65,535 for that and more.
        needed: u16,
    },
    /// The leader's address, or that of a group's coordinator, could not be kept, so that nobody can connect to it: there are too
    /// few places for brokers, or its host is too long.
    NoPlace {
        /// Bytes of the longest host that there is room for.
        host_bytes: u8,
        /// Places for brokers, those of the bootstrap list among them.
        brokers: u16,
    },
    /// Nobody needed it for `connections.max.idle.ms`, or its slot was needed for another broker.
    Idle,
    /// The client was closed.
    Shutdown,
    /// The future that served it was dropped.
    Dropped,
}

const _: () = assert!(size_of::<Option<ConnectionError>>() == 4);

impl ConnectionError {
    /// Without the second size: an error is in every batch and goes through every hand, and in four bytes it does so in a
    /// register. That is a kilobyte of a device's flash.
    pub(crate) fn frame_too_small(needed: usize, capacity: usize) -> ConnectionError {
        warning!("a request needs {} bytes of frame buffer, there are {}", needed, capacity);
        ConnectionError::FrameTooSmall { needed: u16::try_from(needed).unwrap_or(u16::MAX) }
    }

    /// True if the connection was let go on purpose.
    pub(crate) fn is_intended(self) -> bool {
        matches!(self, ConnectionError::Idle | ConnectionError::Shutdown | ConnectionError::Dropped)
    }
}

impl core::fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let text = match self {
            ConnectionError::Resolve => {
                "the host name could not be resolved; check bootstrap.servers, and the brokers' advertised.listeners"
            }
            ConnectionError::Refused => "connection refused; check the port, and that the broker runs",
            ConnectionError::Unreachable => "the host cannot be reached; check the address and the network",
            ConnectionError::ConnectTimeout => {
                "no connection, or no first answer, within socket.connection.setup.timeout.ms"
            }
            ConnectionError::ClosedUnanswered => {
                "the peer closed without a word; usual causes: a TLS port, a SASL port, or no Kafka broker"
            }
            ConnectionError::Closed => "the connection was closed by the broker or the network",
            ConnectionError::Http => "an HTTP server answered, not a Kafka broker; check the port",
            ConnectionError::Tls => "a TLS server answered; use the broker's PLAINTEXT port",
            ConnectionError::Protocol => "the answer is not Kafka's protocol; check the port",
            ConnectionError::OutOfStep => "the broker answered another request than the one that was due",
            ConnectionError::UnsupportedVersion { api_key } => {
                return write!(f, "the broker offers no version of API {api_key} that this client speaks");
            }
            ConnectionError::RequestTimeout => "the broker did not answer within request.timeout.ms",
            ConnectionError::Io(kind) => return write!(f, "the network failed: {kind}"),
            ConnectionError::FrameTooSmall { needed } => {
                return write!(f, "a request needs {needed} bytes of frame buffer (frame_bytes), and there are less");
            }
            ConnectionError::NoPlace { host_bytes, brokers } => {
                return write!(
                    f,
                    "there is no place for the broker's address: places for brokers are {brokers}, and each has room for a host of \
                     {host_bytes} bytes; one of the two is too little"
                );
            }
            ConnectionError::Idle => "closed because it was not needed",
            ConnectionError::Shutdown => "the client was closed",
            ConnectionError::Dropped => "the task that served it was dropped",
        };
        f.write_str(text)
    }
}

impl core::error::Error for ConnectionError {}

/// One connection slot.
pub struct Connection {
    pub(crate) phase: Phase,
    pub(crate) broker: Link,
    pub(crate) ring: Ring,
    /// Produce requests among those outstanding.
    pub(crate) produce_in_flight: u8,
    pub(crate) versions: Versions,
    /// Those that its answer has named so far.
    pub(crate) offered: Versions,
    /// The broker has not confirmed the versions yet.
    pub(crate) assumed: bool,
    /// The version of ApiVersions to ask with: a broker that is too old for it says so, and is asked again.
    pub(crate) api_versions_version: i8,
    pub(crate) api_versions_sent: bool,
    /// Whether a byte of a valid answer has come since it was opened.
    pub(crate) answered: bool,
    /// By when the broker must have told its versions.
    pub(crate) deadline: Instant,
    /// No request before this (KIP-219).
    pub(crate) throttled_until: Instant,
    pub(crate) active_since: Instant,
    pub(crate) used_at: Instant,
    pub(crate) error: Option<ConnectionError>,
    pub(crate) receive: Receive,
    /// Partitions with something to send over this connection, see `producer::ready`.
    pub(crate) ready: List,
    /// A Fetch request is out; a request about offsets is; and the chunk that one of the former has filled.
    #[cfg(feature = "consumer")]
    pub(crate) fetching: bool,
    #[cfg(feature = "consumer")]
    pub(crate) looking: bool,
    /// Whether there was a Fetch request on it, and the number of the last one among those of all connections, wrapping; at
    /// first that of the last one when it was opened.
    #[cfg(feature = "consumer")]
    pub(crate) has_fetched: bool,
    #[cfg(feature = "consumer")]
    pub(crate) fetched: u32,
    /// When it last brought records.
    #[cfg(feature = "consumer")]
    pub(crate) brought_at: Instant,
    #[cfg(feature = "consumer")]
    pub(crate) verify: Link,
    #[cfg(feature = "consumer")]
    pub(crate) session: crate::consumer::Session,
    /// Partitions whose home it is, and whether it has answered a Produce request since the last sample, see
    /// `producer::scaling`.
    #[cfg(feature = "scaling")]
    pub(crate) homes: u16,
    #[cfg(feature = "scaling")]
    pub(crate) heard: bool,
    /// Of the task that serves the slot.
    pub(crate) waker: Option<Waker>,
    pub(crate) wake: bool,
    /// A Produce request is being written; nothing else may be until it is whole.
    pub(crate) writing: bool,
    /// Its correlation id.
    pub(crate) writes: i32,
    /// The next of its batches to be written, and the topic of the one before.
    pub(crate) write_at: (Link, Link),
    /// Tasks that serve the slot: one, or none.
    pub(crate) served: u8,
}

impl Connection {
    /// A closed slot.
    pub const EMPTY: Connection = Connection {
        phase: Phase::Closed,
        broker: Link::NONE,
        ring: Ring::EMPTY,
        produce_in_flight: 0,
        versions: Versions::UNSET,
        offered: Versions::UNSET,
        assumed: false,
        api_versions_version: 0,
        api_versions_sent: false,
        answered: false,
        deadline: Instant::ZERO,
        throttled_until: Instant::ZERO,
        active_since: Instant::ZERO,
        used_at: Instant::ZERO,
        error: None,
        receive: Receive::START,
        ready: List::EMPTY,
        #[cfg(feature = "consumer")]
        fetching: false,
        #[cfg(feature = "consumer")]
        looking: false,
        #[cfg(feature = "consumer")]
        has_fetched: false,
        #[cfg(feature = "consumer")]
        fetched: 0,
        #[cfg(feature = "consumer")]
        brought_at: Instant::ZERO,
        #[cfg(feature = "consumer")]
        verify: Link::NONE,
        #[cfg(feature = "consumer")]
        session: crate::consumer::Session::NONE,
        #[cfg(feature = "scaling")]
        homes: 0,
        #[cfg(feature = "scaling")]
        heard: false,
        waker: None,
        wake: false,
        writing: false,
        writes: 0,
        write_at: (Link::NONE, Link::NONE),
        served: 0,
    };

    /// Takes the slot for a broker; the driver is to open it. `versions` are those to speak until the broker has told
    /// its own; `api_versions_version` is the one to ask for them with.
    pub(crate) fn open(&mut self, broker: usize, deadline: Instant, versions: Versions, api_versions_version: i8) {
        debug_assert!(self.phase == Phase::Closed && self.ring.is_empty());
        self.phase = Phase::Opening;
        self.broker = Link::to(broker);
        (self.versions, self.assumed) = (versions, true);
        (self.api_versions_version, self.api_versions_sent) = (api_versions_version, false);
        self.answered = false;
        self.deadline = deadline;
        self.error = None;
        self.receive = Receive::START;
        self.writing = false;
        self.produce_in_flight = 0;
    }

    /// The driver is to close the stream. The first reason counts.
    pub(crate) fn close(&mut self, reason: ConnectionError) {
        if self.phase != Phase::Closed {
            self.phase = Phase::Closing;
            self.error.get_or_insert(reason);
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Negotiating | Phase::Active | Phase::Draining)
    }
}
