//! What follows when a connection is made, ends or is lost.

use crate::connection::{Connection, ConnectionError, Phase, Request, backoff_millis};
use crate::protocol::ApiKey;
use crate::state::{Identity, Platform, State};
use crate::time::Instant;
#[cfg(not(feature = "scaling"))]
use crate::{cluster::find_node, pool::Link};

impl<P: Platform> State<P> {
    /// The connection over which the partition's leader takes requests now.
    #[cfg(not(feature = "scaling"))]
    pub(crate) fn leader_connection(&mut self, partition: usize) -> Option<usize> {
        let leader = self.cluster.partitions[partition].leader;
        let broker = find_node(&self.cluster.brokers, leader)?;
        let slot = self.cluster.brokers[broker].connection.get()?;
        (self.connections[slot].phase == Phase::Active).then_some(slot)
    }

    /// Metadata is to be asked for, once the backoff is over.
    #[inline(never)]
    pub(crate) fn want_metadata(&mut self, at: Instant) {
        self.cluster.metadata.want(at);
        self.wake_clock_by(at);
    }

    /// Also for this topic: as long as some are wanted, no others are asked for.
    #[inline(never)]
    pub(crate) fn want_topic(&mut self, topic: usize, at: Instant) {
        self.cluster.topics[topic].wanted = true;
        self.want_metadata(at);
    }

    #[inline(never)]
    pub(crate) fn close_connection(&mut self, slot: usize, reason: ConnectionError) {
        self.connections[slot].close(reason);
        self.wake_connection(slot);
    }

    /// A task begins or ends to serve the slot: only then is it opened.
    pub(crate) fn serve(&mut self, slot: usize, begins: bool) {
        if let Some(connection) = self.connections.get_mut(slot) {
            let served = connection.served;
            connection.served = if begins { served.saturating_add(1) } else { served.saturating_sub(1) };
            self.wake_clock();
        }
    }

    /// The slot's task is gone. What it was told to open or close, nobody will; the slot is as if it had.
    pub(crate) fn abandoned(&mut self, slot: usize, now: Instant) {
        if self.connections.get(slot).is_some_and(|c| c.served == 0) {
            self.closed(slot, ConnectionError::Dropped, now);
        }
    }

    /// The driver has a stream for the slot. If versions can be assumed it is used at once, and what is asked first is
    /// whether they hold: that saves a round trip.
    pub(crate) fn opened(&mut self, slot: usize, now: Instant) {
        let connection = &mut self.connections[slot];
        if connection.phase != Phase::Opening {
            return;
        }
        connection.phase = Phase::Negotiating;
        self.s.counters.connections_opened += 1;
        let produce = connection.versions.get(ApiKey::Produce).is_some();
        let open = self.connections.iter().filter(|c| c.phase != Phase::Closed).count() as u16;
        self.s.connections_high = self.s.connections_high.max(open);
        if produce {
            self.activate(slot, now);
        }
        self.wake_clock();
    }

    /// The connection can be used.
    #[inline(never)]
    pub(crate) fn activate(&mut self, slot: usize, now: Instant) {
        let connection = &mut self.connections[slot];
        if connection.phase != Phase::Negotiating {
            return;
        }
        connection.phase = Phase::Active;
        (connection.active_since, connection.used_at) = (now, now);
        #[cfg(feature = "consumer")]
        {
            // Whoever comes last fetches last.
            connection.fetched = self.s.consumer.fetches;
        }
        #[cfg(feature = "scaling")]
        self.share(slot);
        self.reconsider_all();
        self.wake_clock();
    }

    /// The broker has told its versions: it is one, and it is well.
    pub(crate) fn confirm(&mut self, slot: usize) {
        let connection = &mut self.connections[slot];
        connection.assumed = false;
        if let Some(broker) = connection.broker.get() {
            let broker = &mut self.cluster.brokers[broker];
            (broker.versions, broker.cautious, broker.failures) = (Some(connection.versions), false, 0);
            broker.trouble = None;
            info!("connected to node {}", broker.node_id());
        }
        self.s.trouble = None;
    }

    /// The slot's stream is gone, or could not be had. Whatever was outstanding on it is to be sent again; nobody
    /// knows what the broker made of it.
    pub(crate) fn closed(&mut self, slot: usize, error: ConnectionError, now: Instant) {
        let connection = &self.connections[slot];
        if connection.phase == Phase::Closed {
            return;
        }
        let hung_up = error == ConnectionError::Closed && !connection.answered;
        let by_itself = if hung_up { ConnectionError::ClosedUnanswered } else { error };
        let error = connection.error.unwrap_or(by_itself);
        let (broker, confirmed) = (connection.broker, !connection.assumed);
        // More was asked than ApiVersions before its answer: perhaps that was it.
        let assumed_too_much = connection.assumed && connection.ring.len() > usize::from(!connection.answered);
        while let Some(request) = self.pop(slot) {
            #[cfg(feature = "consumer")]
            self.read_request_lost(slot, &request, now);
            self.lost(&request, error, now);
        }
        let ready = self.connections[slot].ready;
        self.abandon_ready(ready);
        #[cfg(feature = "consumer")]
        self.read_connection_lost(slot, !error.is_intended(), now);
        #[cfg(feature = "scaling")]
        self.leave_home(slot);
        let connection = &mut self.connections[slot];
        let (waker, wake, served) = (connection.waker.take(), connection.wake, connection.served);
        // Written as a whole first: all of it is zero, and a copy of what is not set below would stand in flash.
        *connection = const { Connection::EMPTY };
        (connection.waker, connection.wake, connection.served) = (waker, wake, served);
        if let Some(index) = broker.get() {
            self.cluster.brokers[index].cautious |= assumed_too_much;
            self.broker_lost(index, error, confirmed, now);
        }
        if !error.is_intended() {
            self.s.counters.connections_lost += 1;
            self.s.trouble = Some(error);
            let backoff = self.settings.retry_backoff;
            self.want_metadata(now.after_millis(backoff));
        }
        self.reconsider_all();
        self.wake_clock();
    }

    fn broker_lost(&mut self, index: usize, error: ConnectionError, confirmed: bool, now: Instant) {
        let random = self.random();
        #[cfg(feature = "scaling")]
        let other = self.another_connection(index);
        #[cfg(not(feature = "scaling"))]
        let other = Link::NONE;
        let settings = &*self.settings;
        let (base, max) = (settings.reconnect_backoff, settings.reconnect_backoff_max);
        let broker = &mut self.cluster.brokers[index];
        broker.connection = other;
        if error.is_intended() {
            return;
        }
        broker.trouble = Some(error);
        broker.failures = if confirmed { 1 } else { broker.failures.saturating_add(1) };
        broker.retry_at = now.after_millis(backoff_millis(base, max, broker.failures, random));
        let node = broker.node_id();
        log_lost(node, error);
    }

    /// The front request of a connection, which is answered or lost.
    pub(crate) fn pop(&mut self, slot: usize) -> Option<Request> {
        let mut ring = self.connections[slot].ring;
        let request = ring.pop(self.places(slot));
        let connection = &mut self.connections[slot];
        connection.ring = ring;
        if request.is_some_and(|r| r.api == ApiKey::Produce) {
            connection.produce_in_flight -= 1;
        }
        request
    }

    /// A request whose answer will not come.
    fn lost(&mut self, request: &Request, error: ConnectionError, now: Instant) {
        match request.api {
            ApiKey::Metadata => {
                self.cluster.metadata.asked_until = Instant::ZERO;
                self.want_metadata(now);
            }
            ApiKey::InitProducerId if self.s.identity == Identity::Asked => self.s.identity = Identity::Wanted,
            _ => {}
        }
        // That of a Fetch request is a chunk.
        if request.api == ApiKey::Produce && self.writes() {
            self.unanswered(request.batches, error);
        }
    }
}

#[allow(unused_variables, reason = "without a logger")]
fn log_lost(node: i32, error: ConnectionError) {
    #[cfg(feature = "log")]
    warning!("connection to node {} lost: {}", node, error);
    #[cfg(feature = "defmt")]
    warning!("connection to node {} lost: {}", node, error);
}
