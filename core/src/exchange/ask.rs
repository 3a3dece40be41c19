//! What a connection is to do next: open, write a request, close, or nothing.

use crate::connection::{ConnectionError, Phase, Request};
use crate::pool::{Link, keep};
use crate::producer::Outgoing;
use crate::protocol::{self, ApiKey, api_versions, metadata};
use crate::state::{Identity, Platform, State};
use crate::time::Instant;
use crate::wire::{Overflow, Writer};
use core::task::Waker;

/// What the task of a connection slot is to do.
pub(crate) enum Order {
    /// Connect to the host that was copied into the buffer: its length, and the port.
    Open { host: usize, port: u16 },
    /// Nothing, until woken.
    Wait,
    /// The client is closed.
    End,
}

impl<P: Platform> State<P> {
    /// What the task of a slot is to do while it has no stream.
    pub(crate) fn order(
        &mut self,
        slot: usize,
        now: Instant,
        host: &mut [u8],
        waker: &Waker,
        replaced: &mut Option<Waker>,
    ) -> Order {
        if self.connections[slot].phase == Phase::Closing {
            // It was given up before its task came to open it.
            self.closed(slot, ConnectionError::Closed, now);
        }
        if self.s.closed {
            return Order::End;
        }
        let connection = &self.connections[slot];
        if connection.phase == Phase::Opening
            && let Some(broker) = connection.broker.get()
        {
            let port = self.cluster.brokers[broker].port;
            let name = self.cluster.host(broker).len();
            if let Some(place) = host.get_mut(..name) {
                place.copy_from_slice(self.cluster.host(broker));
                return Order::Open { host: name, port };
            }
        }
        self.register_connection(slot, waker, replaced);
        Order::Wait
    }

    /// Whether the slot's stream is to be let go of; else its task is woken when it is.
    pub(crate) fn closing(
        &mut self,
        slot: usize,
        waker: &Waker,
        replaced: &mut Option<Waker>,
    ) -> Option<ConnectionError> {
        let connection = &self.connections[slot];
        if connection.phase == Phase::Closing {
            return Some(connection.error.unwrap_or(ConnectionError::Closed));
        }
        self.register_connection(slot, waker, replaced);
        None
    }

    fn register_connection(&mut self, slot: usize, waker: &Waker, replaced: &mut Option<Waker>) {
        keep(&mut self.connections[slot].waker, waker, replaced);
    }

    /// Whether [`State::next`] could have something; that it has nothing costs a look at the clock.
    pub(crate) fn may_send(&self, slot: usize) -> bool {
        let (connection, own) = (&self.connections[slot], Link::to(slot));
        let asks = !connection.api_versions_sent || self.s.metadata_slot == own || self.s.identity_slot == own;
        connection.writing || !connection.ready.is_empty() || asks || cfg!(feature = "consumer")
    }

    /// Puts what the connection is to write now into `outgoing`, which is empty. False: nothing, until woken. Part of a
    /// request is always followed by its rest.
    pub(crate) fn next(
        &mut self,
        slot: usize,
        now: Instant,
        frame: &mut [u8],
        outgoing: &mut Outgoing<P::Buffer>,
    ) -> bool {
        debug_assert!(outgoing.batches.iter().all(Option::is_none), "the buffers before were not put back");
        outgoing.frame_bytes = self.decide(slot, now, frame, outgoing).unwrap_or(0);
        let some = outgoing.frame_bytes > 0;
        // Who reads may be woken because a piece has come back, and has looked whether one has in this poll already.
        if some && self.writes() {
            self.awake(slot);
        }
        some
    }

    /// The bytes of the frame buffer that are to be written, if any are.
    fn decide(
        &mut self,
        slot: usize,
        now: Instant,
        frame: &mut [u8],
        outgoing: &mut Outgoing<P::Buffer>,
    ) -> Option<usize> {
        let connection = &self.connections[slot];
        if self.writes() && connection.writing {
            return self.gather(slot, frame, false, outgoing);
        }
        if !matches!(connection.phase, Phase::Negotiating | Phase::Active) || connection.throttled_until > now {
            return None;
        }
        let ring = connection.ring;
        if ring.is_full(self.places(slot)) {
            return None;
        }
        if !self.connections[slot].api_versions_sent {
            return self.ask_versions(slot, now, frame);
        }
        if self.s.metadata_slot == Link::to(slot) && self.cluster.metadata.due_at() <= now {
            return self.ask_metadata(slot, now, frame);
        }
        if self.writes() && self.s.identity_slot == Link::to(slot) && self.s.identity == Identity::Wanted {
            return self.ask_identity(slot, now, frame);
        }
        if self.connections[slot].phase == Phase::Negotiating {
            return None;
        }
        let sent = if self.writes() { self.produce(slot, now, frame, outgoing) } else { None };
        #[cfg(feature = "consumer")]
        let sent =
            sent.or_else(|| self.ask_for_group(slot, now, frame)).or_else(|| self.ask_for_records(slot, now, frame));
        sent
    }

    fn ask_versions(&mut self, slot: usize, now: Instant, frame: &mut [u8]) -> Option<usize> {
        let version = i16::from(self.connections[slot].api_versions_version);
        self.connections[slot].api_versions_sent = true;
        self.ask(slot, now, frame, ApiKey::ApiVersions, version, |_, w| api_versions::request(w, version))
    }

    fn ask_metadata(&mut self, slot: usize, now: Instant, frame: &mut [u8]) -> Option<usize> {
        let version = self.connections[slot].versions.get(ApiKey::Metadata)?;
        let request_timeout = self.settings.request_timeout;
        let alone = self.connections.iter().filter(|c| c.is_open()).count() < 2;
        // With another broker at hand a silent one is not waited for as long.
        let patience = if alone { request_timeout } else { request_timeout.min(2000) };
        self.cluster.metadata.asked_until = now.after_millis(patience);
        self.wake_clock_by(now.after_millis(patience));
        self.cluster.metadata.asked = self.connections[slot].broker;
        self.s.metadata_slot = Link::NONE;
        self.cluster.metadata.not_before = now.after_millis(self.settings.retry_backoff);
        let room = frame.len();
        self.ask(slot, now, frame, ApiKey::Metadata, version, |view, w| {
            let allow = view.settings.allow_auto_create_topics;
            let (first, count) = view.ask_topics(room.saturating_sub(w.position() + 16), now);
            let cluster = &view.cluster;
            let asked = cluster.topics.iter().enumerate().skip(first).filter(|(_, topic)| topic.asked);
            metadata::request(w, version, count, asked.map(|(index, _)| cluster.name(index)), allow);
        })
    }

    /// Marks the topics to ask for now, as many wanted ones as fit into `room` bytes: the first, and how many. When none
    /// is wanted, or it is time for that, all are.
    fn ask_topics(&mut self, room: usize, now: Instant) -> (usize, usize) {
        let none = !self.cluster.topics.iter().any(|topic| topic.is_used() && topic.wanted);
        if none || self.cluster.metadata.all_at <= now {
            self.cluster.topics.iter_mut().for_each(|topic| topic.wanted = topic.is_used());
            self.cluster.metadata.all_at = now.after_millis(self.settings.metadata_max_age);
        }
        self.cluster.metadata.refresh_at = self.cluster.metadata.all_at;
        let (mut first, mut count, mut bytes) = (0, 0, 0);
        for index in 0..self.cluster.topics.len() {
            let topic = &self.cluster.topics[index];
            let open = topic.is_used() && topic.wanted && !topic.answered;
            bytes += if open { self.cluster.name(index).len() + 20 } else { 0 };
            let asked = open && (bytes <= room || count == 0);
            self.cluster.topics[index].asked = asked;
            if asked {
                first = if count == 0 { index } else { first };
                count += 1;
            }
        }
        (first, count)
    }

    /// A request that is all in the frame buffer.
    pub(crate) fn ask(
        &mut self,
        slot: usize,
        now: Instant,
        frame: &mut [u8],
        api: ApiKey,
        version: i16,
        body: impl FnOnce(&mut Self, &mut Writer<'_>),
    ) -> Option<usize> {
        let mut writer = self.begin_request(slot, frame, api, version);
        body(self, &mut writer);
        self.end_request(slot, now, (api, version), writer)
    }

    /// Apart from the body, which is another for each API.
    #[inline(never)]
    fn begin_request<'f>(&self, slot: usize, frame: &'f mut [u8], api: ApiKey, version: i16) -> Writer<'f> {
        let mut writer = Writer::new(frame);
        self.header(&mut writer, api, version, self.connections[slot].ring.next_correlation_id());
        writer
    }

    /// As [`State::begin_request`].
    #[inline(never)]
    fn end_request(
        &mut self,
        slot: usize,
        now: Instant,
        (api, version): (ApiKey, i16),
        writer: Writer<'_>,
    ) -> Option<usize> {
        match protocol::finish_frame(writer) {
            Ok(frame_bytes) => {
                let deadline = now.after_millis(self.settings.request_timeout);
                let correlation_id = self.connections[slot].ring.next_correlation_id();
                self.push(slot, Request { correlation_id, api, version, deadline, batches: Link::NONE }, now);
                self.wake_clock_by(deadline);
                Some(frame_bytes)
            }
            Err(Overflow { needed, capacity }) => {
                self.close_connection(slot, ConnectionError::frame_too_small(needed, capacity));
                None
            }
        }
    }

    #[inline(never)]
    pub(crate) fn header(&self, writer: &mut Writer<'_>, api: ApiKey, version: i16, correlation_id: i32) {
        let client_id = self.settings.client_id();
        let client_id = if client_id.is_empty() { b"demitasse" } else { client_id };
        protocol::request_header(writer, api, version, correlation_id, Some(client_id));
    }

    pub(crate) fn push(&mut self, slot: usize, request: Request, now: Instant) {
        let mut ring = self.connections[slot].ring;
        ring.push(self.places(slot), request);
        self.connections[slot].ring = ring;
        self.connections[slot].used_at = now;
    }
}
