//! How many connections a broker has, and which of them a partition uses (feature `scaling`).
//!
//! A partition has a home: the connection that it sends over next. Where a connection is added or given up, homes
//! change, and each partition follows when nothing of it is in flight any more (see `State::move_to`); all others go on.
//! Pressure and calm are sampled, and must last before anything changes; then there is a rest.

use super::{Acks, PartitionQueue, Platform, State};
use crate::connection::{Connection, Phase};
use crate::pool::Link;
use crate::time::Instant;

/// Samples in a row under pressure before a connection is added.
const PRESSURE_SAMPLES: u8 = 4;
/// Samples in a row of calm before one is given up.
const CALM_SAMPLES: u8 = 40;
/// Samples after a change until the next: the load must have had time to show what the change did.
const REST_SAMPLES: u8 = 8;

/// What the samples of a broker have shown so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    pressure: u8,
    calm: u8,
    rest: u8,
}

impl Scale {
    pub(crate) const NEW: Scale = Scale { pressure: 0, calm: 0, rest: 0 };

    fn sample(&mut self, pressure: bool, calm: bool) {
        self.rest = self.rest.saturating_sub(1);
        self.pressure = if pressure { self.pressure.saturating_add(1) } else { 0 };
        self.calm = if calm { self.calm.saturating_add(1) } else { 0 };
    }

    fn changed(&mut self) {
        // Where it was calm so long, it need not be shown all over again before the next one goes.
        *self = Scale { pressure: 0, calm: self.calm, rest: REST_SAMPLES };
    }
}

/// The connections of one broker together.
#[derive(Default)]
struct Load {
    /// Those that are in use or about to be.
    open: usize,
    active: usize,
    /// Of those in use, how many have something unanswered, and as much of it as they may.
    busy: usize,
    full: usize,
    draining: usize,
    in_flight: usize,
    /// Partitions at home on them.
    homes: usize,
    /// Something was answered since the last sample: the broker keeps up.
    heard: bool,
}

impl<P: Platform> State<P> {
    /// The connection over which the partition's leader takes its requests now.
    pub(crate) fn leader_connection(&mut self, partition: usize) -> Option<usize> {
        let leader = self.cluster.partitions[partition].leader;
        if let Some(home) = self.queues[partition].home.get() {
            let connection = &self.connections[home];
            let broker = connection.broker.get().map(|broker| self.cluster.brokers[broker].node_id());
            if connection.phase == Phase::Active && leader >= 0 && broker == Some(leader) {
                return Some(home);
            }
        }
        let broker = Link::to(self.cluster.node(leader)?);
        let usable =
            |&slot: &usize| self.connections[slot].broker == broker && self.connections[slot].phase == Phase::Active;
        let slot = (0..self.connections.len()).filter(usable).min_by_key(|&slot| self.connections[slot].homes)?;
        self.set_home(partition, slot);
        Some(slot)
    }

    fn set_home(&mut self, partition: usize, slot: usize) {
        let before = core::mem::replace(&mut self.queues[partition].home, Link::to(slot));
        if let Some(before) = before.get() {
            self.connections[before].homes -= 1;
        }
        self.connections[slot].homes += 1;
    }

    /// Nobody is at home on this connection any more; who has something to send finds another.
    pub(crate) fn leave_home(&mut self, slot: usize) {
        for queue in self.queues.iter_mut().filter(|queue| queue.home == Link::to(slot)) {
            queue.home = Link::NONE;
        }
        self.connections[slot].homes = 0;
    }

    /// A connection can be used from now on: partitions of its broker make it their home until none has many more than it.
    pub(crate) fn share(&mut self, slot: usize) {
        let broker = self.connections[slot].broker;
        let load = self.load(broker);
        // With acks=0 nobody knows when a partition may follow: what was written is not read yet.
        if load.active < 2 || self.settings.acks == Acks::None {
            return;
        }
        let fair = (load.homes / load.active) as u16;
        let mut moved = 0;
        for partition in 0..self.known_partitions() {
            let Some(home) = self.queues[partition].home.get() else { continue };
            let gives = self.connections[home].broker == broker && self.connections[home].homes > fair;
            if gives && self.connections[slot].homes < fair {
                self.set_home(partition, slot);
                moved += 1;
            }
        }
        info!("connection {} takes over {} partitions of its broker", slot, moved);
    }

    /// How many partitions wait for their last answer before they follow to their homes.
    pub(crate) fn moving(&self) -> usize {
        let moves = |q: &&PartitionQueue| q.in_flight > 0 && !q.home.is_none() && q.home != q.connection;
        self.queues.iter().filter(moves).count()
    }

    /// Another connection of this broker, if there is one.
    pub(crate) fn another_connection(&self, broker: usize) -> Link {
        let other = |c: &Connection| c.broker == Link::to(broker) && c.phase != Phase::Closed;
        self.connections.iter().position(other).map_or(Link::NONE, Link::to)
    }

    fn load(&self, broker: Link) -> Load {
        let window = self.s.max_in_flight;
        let mut load = Load::default();
        for connection in self.connections.iter().filter(|c| c.broker == broker) {
            load.homes += usize::from(connection.homes);
            match connection.phase {
                Phase::Closed => {}
                Phase::Opening | Phase::Negotiating => load.open += 1,
                Phase::Active => {
                    load.open += 1;
                    load.active += 1;
                    load.busy += usize::from(connection.produce_in_flight > 0);
                    load.full += usize::from(connection.produce_in_flight >= window);
                    load.in_flight += usize::from(connection.produce_in_flight);
                    load.heard |= connection.heard;
                }
                Phase::Draining | Phase::Closing => load.draining += 1,
            }
        }
        load
    }

    /// Something is sent: whether one connection is enough will be seen.
    pub(super) fn begin_to_sample(&mut self, now: Instant) {
        if self.settings.connections_per_broker_max > 1 && self.s.scale_at == Instant::NEVER {
            self.s.scale_at = now.after_millis(self.settings.connections_scale_interval);
            self.wake_clock_by(self.s.scale_at);
        }
    }

    /// Looks at every broker, when it is time for that; when it is next.
    pub(crate) fn scale(&mut self, now: Instant) -> Instant {
        if self.s.closing {
            return Instant::NEVER;
        }
        if self.s.scale_at > now {
            return self.s.scale_at;
        }
        let waited = !self.s.room.is_empty() || self.s.full_before != self.s.counters.full;
        self.s.full_before = self.s.counters.full;
        let mut again = false;
        for broker in 0..self.cluster.brokers.len() {
            let load = self.load(Link::to(broker));
            if load.open > 0 {
                self.scale_broker(broker, &load, waited, now);
                again |= load.busy > 0 || load.open > usize::from(self.settings.connections_per_broker_min);
            }
        }
        for connection in self.connections.iter_mut() {
            connection.heard = false;
        }
        let next = now.after_millis(self.settings.connections_scale_interval);
        self.s.scale_at = if again { next } else { Instant::NEVER };
        self.s.scale_at
    }

    fn scale_broker(&mut self, broker: usize, load: &Load, waited: bool, now: Instant) {
        let settings = &*self.settings;
        let (least, most) = (settings.connections_per_broker_min.into(), settings.connections_per_broker_max.into());
        let (window, moves) = (usize::from(self.s.max_in_flight), settings.acks != Acks::None);
        let Load { open, active, busy, full, in_flight, .. } = *load;
        // Windows are full, or callers wait for room while all connections are at work.
        let pressure = load.heard && active == open && (full == active || waited && busy == active);
        // A third of what one connection less could carry.
        let calm = !waited && 3 * in_flight <= window * active.saturating_sub(1);
        let entry = &mut self.cluster.brokers[broker];
        entry.scale.sample(pressure, calm);
        let rested = entry.scale.rest == 0 && load.draining == 0;
        let pressed = entry.scale.pressure >= PRESSURE_SAMPLES && open < most && rested && moves;
        if (open < least || pressed) && open < load.homes && entry.retry_at <= now {
            let Some(slot) = self.closed_slot() else { return };
            self.cluster.brokers[broker].scale.changed();
            self.s.counters.connections_added += 1;
            info!(
                "node {}: {} connections are not enough, one more is opened",
                self.cluster.brokers[broker].node_id(),
                open
            );
            self.connect(slot, broker, now);
        } else if entry.scale.calm >= CALM_SAMPLES && rested && active > least && active == open {
            let own = |&slot: &usize| self.connections[slot].broker == Link::to(broker);
            let fewest = (0..self.connections.len()).filter(own).min_by_key(|&slot| self.connections[slot].homes);
            let Some(slot) = fewest else { return };
            self.cluster.brokers[broker].scale.changed();
            info!("node {}: {} connections are more than needed", self.cluster.brokers[broker].node_id(), open);
            self.retire(slot, now);
        }
    }

    /// A connection that its broker can do without, the youngest.
    pub(crate) fn spare_connection(&self) -> Option<usize> {
        let spare = |&slot: &usize| {
            let c = &self.connections[slot];
            c.phase == Phase::Active && self.load(c.broker).active > 1
        };
        (0..self.connections.len()).filter(spare).max_by_key(|&slot| self.connections[slot].active_since)
    }

    /// No new request goes over the connection; it closes when what is outstanding is answered, and its partitions
    /// follow to others.
    pub(crate) fn retire(&mut self, slot: usize, now: Instant) {
        self.s.counters.connections_retired += 1;
        let connection = &mut self.connections[slot];
        (connection.phase, connection.active_since) = (Phase::Draining, now);
        self.leave_home(slot);
        self.reconsider_all();
        self.wake_clock();
    }
}
