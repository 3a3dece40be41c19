//! Everything that time does, in one poll: it looks at what is true now, acts, and says when to look again.

use super::batch::{Phase, age_hooks};
use super::deliver::Delivery;
use super::{Acks, Failure, Identity, Outcome, Platform, Reason, State, Wait};
use crate::cluster::{Versions, find_node};
use crate::connection::{Connection, ConnectionError, Phase as Link_};
use crate::pool::{Link, Seat, keep};
use crate::protocol::{ApiKey, ErrorCode};
use crate::time::Instant;
use crate::wire::FLEXIBLE;
use core::task::Waker;

/// A connection is not taken from a broker that uses it before it has had it for so long.
const HOLD_MILLIS: u32 = 500;

impl<P: Platform> State<P> {
    /// Does what is due. When to call again at the latest, or `None` when the client is closed.
    pub(crate) fn tick(&mut self, now: Instant, waker: &Waker, replaced: &mut Option<Waker>) -> Option<Instant> {
        if !self.s.started {
            // `start` wakes it.
            self.s.clock_due = false;
            self.register_clock(waker, replaced);
            return Some(Instant::NEVER);
        }
        // Each step leaves work only to those after it, so nobody needs to wake the clock for what it is about to see.
        self.s.clock_until = Instant::ZERO;
        let mut next = Instant::NEVER;
        for deadline in [
            self.expire(now),
            self.end_lingers(now),
            self.end_backoffs(now),
            #[cfg(feature = "consumer")]
            self.end_read_backoffs(now),
            self.end_waits(now),
            // Before the leaders: it needs its connection for a moment only.
            #[cfg(feature = "consumer")]
            self.open_coordinator(now),
            self.open_connections(now),
            self.find_whom_to_ask(now),
            #[cfg(feature = "scaling")]
            self.scale(now),
            self.watch_connections(now),
        ] {
            next = next.min(deadline);
        }
        if self.s.closing && self.is_settled() && (self.s.close_at <= now || !self.leaves_unread()) {
            self.shut_down();
            return None;
        }
        (self.s.clock_until, self.s.clock_due) = (next, false);
        self.register_clock(waker, replaced);
        Some(next)
    }

    /// Whether there is something to do before the time for which the last [`State::tick`] asked; else the clock's task
    /// is woken when there is.
    pub(crate) fn is_clock_due(&mut self, waker: &Waker, replaced: &mut Option<Waker>) -> bool {
        if !self.s.clock_due {
            self.register_clock(waker, replaced);
        }
        self.s.clock_due
    }

    fn register_clock(&mut self, waker: &Waker, replaced: &mut Option<Waker>) {
        keep(&mut self.s.clock_waker, waker, replaced);
    }

    /// Batches whose time is over, and at the end of a close all of them.
    fn expire(&mut self, now: Instant) -> Instant {
        let closing = self.s.close_at <= now;
        if closing {
            self.give_up_all();
        }
        while self.writes()
            && let Some(index) = self.s.age.first()
        {
            let batch = &self.batches[index];
            let deadline = batch.opened_at.after_millis(self.settings.delivery_timeout);
            if deadline > now && !closing {
                return deadline.min(self.s.close_at);
            }
            let reason = if deadline <= now { Reason::Expired } else { Reason::Closed };
            let connection = batch.last_failure.connection.or(self.s.trouble);
            let code = match batch.last_failure.code {
                ErrorCode::NONE => self.topic_error(batch.partition as usize),
                code => code,
            };
            let connection = if code == ErrorCode::NONE { connection } else { None };
            let failure = Failure { reason, code, connection };
            let sent = batch.phase == Phase::InFlight || batch.maybe_written;
            if sent && !closing && self.holds() {
                self.hold(index);
                continue;
            }
            self.conclude(index, if sent { Outcome::Unknown(failure) } else { Outcome::Failed(failure) });
        }
        self.s.close_at
    }

    /// The batch's time is over, and only the broker can tell whether it was written: it stays until that does.
    fn hold(&mut self, index: usize) {
        self.s.age.remove(&mut self.batches, index, age_hooks);
        self.s.held.push_back(&mut self.batches, index, age_hooks);
        self.batches[index].held = true;
        self.s.counters.held += 1;
    }

    /// Ends what is held of a delivery: from now on its outcome is unknown. The records that it was for.
    pub(crate) fn give_up(&mut self, delivery: &Delivery) -> u32 {
        let mut records = 0;
        let mut at = self.s.held.first();
        while let Some(index) = at {
            let batch = &self.batches[index];
            at = batch.age.next().get();
            let own = batch.partition == delivery.place && batch.overlap(delivery.first, delivery.count) > 0;
            if own {
                records += batch.count;
                let failure = Failure { reason: Reason::Expired, ..batch.last_failure };
                self.conclude(index, Outcome::Unknown(failure));
            }
        }
        records
    }

    /// At the end of a close nobody waits any longer for what the broker may say.
    fn give_up_all(&mut self) {
        while self.holds()
            && let Some(index) = self.s.held.first()
        {
            let failure = Failure { reason: Reason::Closed, ..self.batches[index].last_failure };
            self.conclude(index, Outcome::Unknown(failure));
        }
    }

    /// What the cluster says is in a partition's way.
    fn topic_error(&self, partition: usize) -> ErrorCode {
        let entry = &self.cluster.partitions[partition];
        let topic = &self.cluster.topics[entry.topic()];
        match topic.error() {
            ErrorCode::NONE if topic.partition_count == 0 => ErrorCode::NONE,
            ErrorCode::NONE if entry.index as u32 >= topic.partition_count => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            ErrorCode::NONE if entry.leader < 0 => ErrorCode::LEADER_NOT_AVAILABLE,
            error => error,
        }
    }

    fn end_lingers(&mut self, now: Instant) -> Instant {
        while self.writes()
            && let Some(index) = self.s.lingering.first()
        {
            let due = self.batches[index].opened_at.after_millis(self.settings.linger);
            if due > now {
                return due;
            }
            self.end_linger(index);
            self.reconsider(self.batches[index].partition as usize);
        }
        Instant::NEVER
    }

    fn end_backoffs(&mut self, now: Instant) -> Instant {
        if self.s.retry_scan_at > now {
            return self.s.retry_scan_at;
        }
        self.s.retry_scan_at = Instant::NEVER;
        if !self.writes() {
            return Instant::NEVER;
        }
        for partition in 0..self.known_partitions() {
            let retry_at = self.queues[partition].retry_at;
            if retry_at == Instant::ZERO {
                continue;
            }
            if retry_at <= now {
                self.queues[partition].retry_at = Instant::ZERO;
                self.reconsider(partition);
            } else {
                self.s.retry_scan_at = self.s.retry_scan_at.min(retry_at);
            }
        }
        self.s.retry_scan_at
    }

    /// Those who have waited for room as long as they may are told; they see for themselves that it is too late.
    fn end_waits(&mut self, now: Instant) -> Instant {
        if !self.has_seats() {
            return Instant::NEVER;
        }
        let mut room = self.s.room;
        let deadline = self.seats().tell_due(&mut room, now);
        self.s.room = room;
        deadline
    }

    fn watch_connections(&mut self, now: Instant) -> Instant {
        let mut next = Instant::NEVER;
        for slot in 0..self.connections.len() {
            let (ring, reads) = (self.connections[slot].ring, self.reads_over(slot, now));
            let request = ring.front(self.places(slot)).map_or(Instant::NEVER, |r| r.deadline);
            let idle_time = self.settings.connections_max_idle;
            let connection = &mut self.connections[slot];
            let (deadline, reason) = match connection.phase {
                Link_::Closed | Link_::Closing => continue,
                Link_::Opening | Link_::Negotiating => (connection.deadline, ConnectionError::ConnectTimeout),
                Link_::Draining if ring.is_empty() => (Instant::ZERO, ConnectionError::Idle),
                Link_::Active if ring.is_empty() && connection.ready.is_empty() && !reads => {
                    (connection.used_at.after_millis(idle_time), ConnectionError::Idle)
                }
                Link_::Active | Link_::Draining if connection.assumed && connection.deadline < request => {
                    (connection.deadline, ConnectionError::ConnectTimeout)
                }
                Link_::Active | Link_::Draining => (request, ConnectionError::RequestTimeout),
            };
            if connection.throttled_until > Instant::ZERO {
                if connection.throttled_until <= now {
                    connection.throttled_until = Instant::ZERO;
                    self.wake_connection(slot);
                } else {
                    next = next.min(connection.throttled_until);
                }
            }
            #[cfg(feature = "consumer")]
            if deadline <= now && self.holds_back(slot) {
                self.let_go(slot, now);
                continue;
            }
            if deadline <= now {
                self.close_connection(slot, reason);
            } else {
                next = next.min(deadline);
            }
        }
        next
    }

    /// Connections to the leaders of partitions that have something to send.
    fn open_connections(&mut self, now: Instant) -> Instant {
        if !self.s.connections_wanted {
            return Instant::NEVER;
        }
        self.s.connections_wanted = false;
        let mut next = Instant::NEVER;
        let (total, start) = (self.known_partitions(), self.s.connections_cursor as usize);
        for step in 0..total {
            let partition = (start + step) % total;
            let unsent = self.unsent(partition);
            let reads = self.reads_now(partition, now);
            if unsent.is_none() && !reads {
                continue;
            }
            let node = self.node_for(partition);
            let Some(broker) = find_node(&self.cluster.brokers, node) else {
                self.cluster.topics[self.cluster.partitions[partition].topic()].wanted = true;
                // While answers leave something open, the next question is due by its backoff already.
                if self.cluster.metadata.failures == 0 {
                    self.want_metadata(now);
                }
                continue;
            };
            let queue = &self.queues[partition];
            let due = |index: usize| self.batches[index].phase != Phase::Open || self.is_due(index, now);
            let writes = queue.in_flight == 0 && queue.retry_at <= now && unsent.is_some_and(due);
            if !self.cluster.brokers[broker].connection.is_none() || !writes && !reads {
                // What cannot be sent yet is looked at again when it can: it needs no connection to wait with.
                continue;
            }
            self.s.connections_wanted = true;
            let retry_at = self.cluster.brokers[broker].retry_at;
            if retry_at > now {
                next = next.min(retry_at);
                continue;
            }
            match self.free_slot(now) {
                Ok(slot) => {
                    // Whoever comes after it has the next slot: otherwise the first in the table would have them all.
                    self.s.connections_cursor = ((partition + 1) % total) as u16;
                    self.connect(slot, broker, now);
                }
                Err(later) => next = next.min(later),
            }
        }
        next
    }

    /// The node that the partition's requests go to.
    fn node_for(&mut self, partition: usize) -> i32 {
        #[cfg(feature = "consumer")]
        return self.reading_node(partition);
        #[cfg(not(feature = "consumer"))]
        self.cluster.partitions[partition].leader
    }

    /// Whether a consumer reads the partition and must ask its leader something now.
    #[allow(unused_variables, clippy::unused_self, reason = "without a consumer")]
    fn reads_now(&self, partition: usize, now: Instant) -> bool {
        #[cfg(feature = "consumer")]
        return self.reads(partition, now);
        #[cfg(not(feature = "consumer"))]
        false
    }

    /// A closed slot; or, when all are taken, one is seen to becoming free.
    pub(crate) fn free_slot(&mut self, now: Instant) -> Result<usize, Instant> {
        if let Some(slot) = self.closed_slot() {
            return Ok(slot);
        }
        if self.connections.iter().any(|c| c.phase == Link_::Closing) {
            return Err(Instant::NEVER);
        }
        // One that drains will be free soon, unless its broker is stuck: then others have to give way too.
        let draining = self.connections.iter().filter(|c| c.phase == Link_::Draining).map(|c| c.active_since).max();
        if let Some(until) = draining.map(|since| since.after_millis(HOLD_MILLIS)).filter(|&until| until > now) {
            return Err(until);
        }
        if let Some(slot) = (0..self.connections.len()).find(|&slot| self.is_idle(slot)) {
            self.close_connection(slot, ConnectionError::Idle);
            return Err(Instant::NEVER);
        }
        #[cfg(feature = "scaling")]
        if let Some(slot) = self.spare_connection() {
            self.retire(slot, now);
            return Err(now.after_millis(HOLD_MILLIS));
        }
        let active = self.connections.iter_mut().filter(|c| c.phase == Link_::Active);
        let Some(oldest) = active.min_by_key(|c| c.active_since) else { return Err(Instant::NEVER) };
        let held_until = oldest.active_since.after_millis(HOLD_MILLIS);
        if held_until > now {
            return Err(held_until);
        }
        // Everybody has a turn: no new request on it, and it closes when what is outstanding is answered.
        (oldest.phase, oldest.active_since) = (Link_::Draining, now);
        Err(if oldest.ring.is_empty() { now } else { now.after_millis(HOLD_MILLIS) })
    }

    /// Whether a consumer reads over the connection, even if it waits for its turn.
    #[allow(unused_variables, clippy::unused_self, reason = "without a consumer")]
    fn reads_over(&mut self, slot: usize, now: Instant) -> bool {
        #[cfg(feature = "consumer")]
        return self.has_open(slot, now);
        #[cfg(not(feature = "consumer"))]
        false
    }

    /// Whether nothing is under way on the slot and nothing is to be.
    fn is_idle(&mut self, slot: usize) -> bool {
        let c = &self.connections[slot];
        let idle = c.phase == Link_::Active && c.ring.is_empty() && c.ready.is_empty();
        #[cfg(feature = "consumer")]
        // Who waits for the caller alone will go on.
        let idle = idle && !self.is_hungry(slot) && !self.has_backlog(slot);
        idle
    }

    /// A slot that is closed and that somebody serves.
    pub(crate) fn closed_slot(&self) -> Option<usize> {
        self.connections.iter().position(|c| c.phase == Link_::Closed && c.served > 0)
    }

    pub(crate) fn connect(&mut self, slot: usize, broker: usize, now: Instant) {
        let deadline = now.after_millis(self.settings.connection_setup_timeout);
        let first = self.cluster.brokers[broker].connection.is_none();
        // Nobody is in a hurry for a further one: no partition moves to it before the broker has answered there.
        let assumes = first || cfg!(not(feature = "scaling"));
        let versions = if assumes { self.cluster.assumed_versions(broker) } else { Versions::NONE };
        // Who did not take well to assumptions is old, and is asked in the way that all understand. Version 3 is known
        // since Kafka 2.4; what came after it adds nothing that is needed here.
        let ask_with = if self.cluster.brokers[broker].cautious || !FLEXIBLE { 0 } else { 3 };
        self.connections[slot].open(broker, deadline, versions, ask_with);
        if first {
            self.cluster.brokers[broker].connection = Link::to(slot);
        }
        self.wake_connection(slot);
        self.wake_clock_by(deadline);
    }

    /// Who is to ask for metadata and for a producer id.
    fn find_whom_to_ask(&mut self, now: Instant) -> Instant {
        let metadata_at = self.cluster.metadata.due_at();
        let identity_wanted = self.writes() && self.settings.idempotence && self.s.identity == Identity::Wanted;
        let identity_at = if identity_wanted { self.s.identity_at } else { Instant::NEVER };
        let mut next = Instant::NEVER;
        for due in [metadata_at, identity_at] {
            if due > now {
                next = next.min(due);
            }
        }
        if metadata_at > now && identity_at > now {
            return next;
        }
        let Some(slot) = self.best_connection(now) else {
            return next.min(self.seek(now));
        };
        let own = Link::to(slot);
        let mut chosen = false;
        if metadata_at <= now {
            chosen |= core::mem::replace(&mut self.s.metadata_slot, own) != own;
        }
        if identity_at <= now {
            chosen |= core::mem::replace(&mut self.s.identity_slot, own) != own;
        }
        // Only once: it may be in the midst of a write, and the clock's task may be its own.
        if chosen {
            self.wake_connection(slot);
        }
        next
    }

    /// The connection to ask: not the one that was asked last if there is another, and one with little outstanding.
    fn best_connection(&self, now: Instant) -> Option<usize> {
        let depth = self.depth();
        let usable = |slot: &usize| {
            let c = &self.connections[*slot];
            let guessed = c.phase == Link_::Negotiating && c.versions.get(ApiKey::Metadata).is_some();
            (c.phase == Link_::Active || guessed) && c.throttled_until <= now && c.ring.len() < depth
        };
        let rank = |slot: &usize| {
            let c = &self.connections[*slot];
            (c.writing, c.phase != Link_::Active, c.broker == self.cluster.metadata.asked, c.ring.len())
        };
        (0..self.connections.len()).filter(usable).min_by_key(rank)
    }

    /// Nobody can be asked: a connection to somebody is needed.
    fn seek(&mut self, now: Instant) -> Instant {
        let alive = |c: &Connection| matches!(c.phase, Link_::Opening | Link_::Negotiating | Link_::Closing);
        if self.connections.iter().any(alive) {
            return Instant::NEVER;
        }
        let Some(slot) = self.closed_slot() else { return Instant::NEVER };
        let rotation = self.s.broker_rotation as usize;
        let Some(broker) = self.cluster.candidate(now, rotation) else {
            return self.cluster.next_retry();
        };
        self.s.broker_rotation = self.s.broker_rotation.wrapping_add(1);
        let learnt = self.cluster.brokers.iter().any(|b| b.is_used() && b.node_id() >= 0);
        if self.cluster.brokers[broker].node_id() < 0 && learnt {
            self.s.counters.rebootstraps += 1;
        }
        self.connect(slot, broker, now);
        Instant::NEVER
    }

    /// Begins to close: nothing more is taken, what was taken is sent, until `deadline` at most.
    pub(crate) fn close(&mut self, deadline: Instant) {
        self.s.closing = true;
        self.s.close_at = self.s.close_at.min(deadline);
        self.tell_room();
        self.wake_clock();
        self.flush();
    }

    /// Whether the client is closed; else the task is woken when it is. There is always a place for one that closes,
    /// since there is nobody to refuse.
    pub(crate) fn poll_closed(&mut self, seat: &mut Seat, waker: &Waker, replaced: &mut Option<Waker>) -> bool {
        if self.s.closed {
            return true;
        }
        if let Wait::<()>::Spin | Wait::Refused = self.wait_for_room(seat, waker, replaced, Instant::NEVER) {
            *replaced = self.s.closer.replace(waker.clone()).filter(|other| !other.will_wake(waker));
        }
        false
    }

    /// With acks=0 nothing says that the broker has read to the end, and a socket that is closed before an answer was read
    /// makes it throw away what it has not read yet: answers under way are waited for.
    fn leaves_unread(&self) -> bool {
        self.settings.acks == Acks::None && self.connections.iter().any(|c| c.is_open() && !c.ring.is_empty())
    }

    /// Every outcome is known: connections are let go of, and all tasks end.
    fn shut_down(&mut self) {
        self.s.closed = true;
        self.s.closer_wake = true;
        self.tell_room();
        for slot in 0..self.connections.len() {
            self.close_connection(slot, ConnectionError::Shutdown);
        }
    }
}
