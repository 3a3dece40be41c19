//! Whom to connect to, and who gives way when all slots are taken.

use crate::cluster::{Versions, find_node};
use crate::connection::{Connection, ConnectionError, Phase};
use crate::pool::Link;
use crate::state::{Platform, State};
use crate::time::Instant;
use crate::wire::FLEXIBLE;

/// A connection is not taken from a broker that uses it before it has had it for so long.
pub(crate) const HOLD_MILLIS: u32 = 500;

impl<P: Platform> State<P> {
    /// Connections to the leaders of partitions that have something to send.
    pub(crate) fn open_connections(&mut self, now: Instant) -> Instant {
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
            let writes = unsent.is_some_and(|index| self.goes_now(index, now));
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
        if self.connections.iter().any(|c| c.phase == Phase::Closing) {
            return Err(Instant::NEVER);
        }
        // One that drains will be free soon, unless its broker is stuck: then others have to give way too.
        let draining = self.connections.iter().filter(|c| c.phase == Phase::Draining).map(|c| c.active_since).max();
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
        let active = self.connections.iter_mut().filter(|c| c.phase == Phase::Active);
        let Some(oldest) = active.min_by_key(|c| c.active_since) else { return Err(Instant::NEVER) };
        let held_until = oldest.active_since.after_millis(HOLD_MILLIS);
        if held_until > now {
            return Err(held_until);
        }
        // Everybody has a turn: no new request on it, and it closes when what is outstanding is answered.
        (oldest.phase, oldest.active_since) = (Phase::Draining, now);
        Err(if oldest.ring.is_empty() { now } else { now.after_millis(HOLD_MILLIS) })
    }

    /// Whether nothing is under way on the slot and nothing is to be.
    pub(crate) fn is_idle(&mut self, slot: usize) -> bool {
        let c = &self.connections[slot];
        let idle = c.phase == Phase::Active && c.ring.is_empty() && c.ready.is_empty();
        #[cfg(feature = "consumer")]
        // Who waits for the caller alone will go on.
        let idle = idle && !self.is_hungry(slot) && !self.has_backlog(slot);
        idle
    }

    /// A slot that is closed and that somebody serves.
    pub(crate) fn closed_slot(&self) -> Option<usize> {
        self.connections.iter().position(|c| c.phase == Phase::Closed && c.served > 0)
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

    /// Nobody can be asked: a connection to somebody is needed.
    pub(crate) fn seek(&mut self, now: Instant) -> Instant {
        let alive = |c: &Connection| matches!(c.phase, Phase::Opening | Phase::Negotiating | Phase::Closing);
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
}
