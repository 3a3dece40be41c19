//! Partitions and connections: who has something to send and over which slot, and what follows when a connection is
//! made, ends or is lost.

use super::batch::Phase;
use super::queue::ready_hooks;
use super::{Failure, Identity, Outcome, Platform, State};
#[cfg(not(feature = "scaling"))]
use crate::cluster::find_node;
use crate::connection::{Connection, ConnectionError, Phase as Link_, Request, backoff_millis};
use crate::pool::{Link, List};
use crate::protocol::ApiKey;
use crate::time::Instant;

impl<P: Platform> State<P> {
    /// Looks at a partition and sees to it that whoever must act on it will: called after anything about it changed.
    /// May be called too often, never too rarely.
    pub(super) fn reconsider(&mut self, partition: usize) {
        let Some(_) = self.unsent(partition) else { return };
        let queue = &self.queues[partition];
        if queue.retry_at > Instant::ZERO {
            // Its time is looked at by the clock, which then calls this again.
            self.s.retry_scan_at = self.s.retry_scan_at.min(queue.retry_at);
            self.wake_clock_by(queue.retry_at);
            return;
        }
        if queue.in_flight >= self.s.max_in_flight || (queue.retrying && queue.in_flight > 0) {
            return; // An answer will come, or the connection's end.
        }
        let (connection, in_flight, ready_on) = (queue.connection, queue.in_flight, queue.ready_on);
        match self.leader_connection(partition) {
            Some(slot) if in_flight > 0 && connection != Link::to(slot) => {}
            Some(slot) if ready_on == Link::to(slot) => self.wake_connection(slot),
            Some(slot) => self.make_ready(partition, slot),
            None => {
                self.s.connections_wanted = true;
                self.wake_clock();
            }
        }
    }

    pub(super) fn reconsider_all(&mut self) {
        for partition in 0..self.known_partitions() {
            if !self.queues[partition].batches.is_empty() {
                self.reconsider(partition);
            }
        }
        #[cfg(feature = "consumer")]
        self.reread_all();
    }

    pub(super) fn make_ready(&mut self, partition: usize, slot: usize) {
        self.unready(partition);
        self.connections[slot].ready.push_back(&mut self.queues, partition, ready_hooks);
        self.queues[partition].ready_on = Link::to(slot);
        self.wake_connection(slot);
    }

    fn unready(&mut self, partition: usize) {
        if let Some(slot) = core::mem::take(&mut self.queues[partition].ready_on).get() {
            self.connections[slot].ready.remove(&mut self.queues, partition, ready_hooks);
        }
    }

    /// The connection over which the partition's leader takes requests now.
    #[cfg(not(feature = "scaling"))]
    pub(crate) fn leader_connection(&mut self, partition: usize) -> Option<usize> {
        let leader = self.cluster.partitions[partition].leader;
        let broker = find_node(&self.cluster.brokers, leader)?;
        let slot = self.cluster.brokers[broker].connection.get()?;
        (self.connections[slot].phase == Link_::Active).then_some(slot)
    }

    /// Metadata is to be asked for, once the backoff is over.
    #[inline(never)]
    pub(crate) fn want_metadata(&mut self, at: Instant) {
        self.cluster.metadata.want(at);
        self.wake_clock_by(at);
    }

    #[inline(never)]
    pub(super) fn close_connection(&mut self, slot: usize, reason: ConnectionError) {
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
        if connection.phase != Link_::Opening {
            return;
        }
        connection.phase = Link_::Negotiating;
        self.s.counters.connections_opened += 1;
        let produce = connection.versions.get(ApiKey::Produce).is_some();
        let open = self.connections.iter().filter(|c| c.phase != Link_::Closed).count() as u16;
        self.s.connections_high = self.s.connections_high.max(open);
        if produce {
            self.activate(slot, now);
        }
        self.wake_clock();
    }

    /// The connection can be used.
    #[inline(never)]
    pub(super) fn activate(&mut self, slot: usize, now: Instant) {
        let connection = &mut self.connections[slot];
        if connection.phase != Link_::Negotiating {
            return;
        }
        connection.phase = Link_::Active;
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
    pub(super) fn confirm(&mut self, slot: usize) {
        let connection = &mut self.connections[slot];
        connection.assumed = false;
        if let Some(broker) = connection.broker.get() {
            let broker = &mut self.cluster.brokers[broker];
            (broker.versions, broker.cautious, broker.failures) = (Some(connection.versions), false, 0);
            info!("connected to node {}", broker.node_id());
        }
        self.s.trouble = None;
    }

    /// The slot's stream is gone, or could not be had. Whatever was outstanding on it is to be sent again; nobody
    /// knows what the broker made of it.
    pub(crate) fn closed(&mut self, slot: usize, error: ConnectionError, now: Instant) {
        let connection = &self.connections[slot];
        if connection.phase == Link_::Closed {
            return;
        }
        let mut error = connection.error.unwrap_or(error);
        if error == ConnectionError::Closed && !connection.answered {
            error = ConnectionError::ClosedUnanswered;
        }
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
        broker.failures = if confirmed { 1 } else { broker.failures.saturating_add(1) };
        broker.retry_at = now.after_millis(backoff_millis(base, max, broker.failures, random));
        let node = broker.node_id();
        log_lost(node, error);
    }

    fn abandon_ready(&mut self, mut ready: List) {
        while let Some(partition) = ready.pop_front(&mut self.queues, ready_hooks) {
            self.queues[partition].ready_on = Link::NONE;
        }
    }

    /// The front request of a connection, which is answered or lost.
    pub(super) fn pop(&mut self, slot: usize) -> Option<Request> {
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
        let mut at = if request.api == ApiKey::Produce && self.writes() { request.batches } else { Link::NONE };
        while let Some(index) = at.get() {
            at = self.batches[index].request_next;
            let failure = Failure { connection: Some(error), ..self.batches[index].last_failure };
            self.return_unanswered(index, failure);
        }
    }

    /// A batch was sent and not answered: it may be in the log. It is to be sent again as it is, unless its time is
    /// over and its outcome told.
    pub(super) fn return_unanswered(&mut self, index: usize, failure: Failure) {
        self.batches[index].maybe_written = true;
        self.send_again(index, failure);
    }

    /// A batch comes back from a request to be sent again.
    pub(super) fn send_again(&mut self, index: usize, failure: Failure) {
        let batch = &mut self.batches[index];
        debug_assert!(batch.phase == Phase::InFlight);
        batch.last_failure = failure;
        let queue = &mut self.queues[batch.partition as usize];
        queue.in_flight -= 1;
        if batch.outcome != Outcome::Pending {
            self.release(index);
            return;
        }
        batch.phase = Phase::Queued;
        queue.retrying = true;
        self.s.in_flight -= 1;
        self.s.queued += 1;
    }

    /// The partition waits before it tries again (KIP-580).
    pub(super) fn back_off(&mut self, partition: usize, now: Instant) {
        let random = self.random();
        let (base, max) = (self.settings.retry_backoff, self.settings.retry_backoff_max);
        let queue = &mut self.queues[partition];
        queue.failures = queue.failures.saturating_add(1);
        queue.retry_at = now.after_millis(backoff_millis(base, max, queue.failures, random));
        self.s.retry_scan_at = self.s.retry_scan_at.min(self.queues[partition].retry_at);
        self.wake_clock_by(self.queues[partition].retry_at);
    }
}

#[allow(unused_variables, reason = "without a logger")]
fn log_lost(node: i32, error: ConnectionError) {
    #[cfg(feature = "log")]
    warning!("connection to node {} lost: {}", node, error);
    #[cfg(feature = "defmt")]
    warning!("connection to node {} lost: {}", node, error);
}
