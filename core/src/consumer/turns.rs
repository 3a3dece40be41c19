//! Whose turn it is, where there are fewer chunks or fewer connection slots than brokers to read from.

use super::ask::is_open;
use super::table::Reading;
use crate::connection::{Connection, Phase};
use crate::protocol::ApiKey;
use crate::state::{Platform, State};
use crate::time::Instant;

impl<P: Platform> State<P> {
    /// Whether there are turns to take. With one partition there are none; where that is known to the compiler, it leaves out
    /// what this module does.
    pub(super) fn takes_turns(&self) -> bool {
        self.positions.len() > 1
    }

    /// Other connections that could fetch now if there were a chunk for each: those whose turn is before this one's, and
    /// all of them.
    pub(super) fn rivals(&mut self, slot: usize, now: Instant) -> (usize, usize) {
        if !self.takes_turns() {
            return (0, 0);
        }
        let (own, mut before, mut others) =
            (self.s.consumer.fetches.wrapping_sub(self.connections[slot].fetched), 0, 0);
        for other in 0..self.connections.len() {
            let connection = &self.connections[other];
            let ready = connection.phase == Phase::Active && !connection.fetching && connection.throttled_until <= now;
            let ring = connection.ring;
            let able = ready && connection.versions.get(ApiKey::Fetch).is_some() && !ring.is_full(self.places(other));
            // Who gives way does not fetch: nobody is to wait for its turn.
            if other == slot || !able || !self.has_open(other, now) || self.would_give_way(other, now) {
                continue;
            }
            others += 1;
            let age = self.s.consumer.fetches.wrapping_sub(self.connections[other].fetched);
            before += usize::from((age, slot) > (own, other));
        }
        (before, others)
    }

    /// Whether another broker waits for a connection slot and has something to read, as far as is known, while this one has
    /// been asked and had nothing: then it is asked no more, and the slot is free.
    pub(super) fn gives_way(&mut self, slot: usize, now: Instant) -> bool {
        let gives_way = self.would_give_way(slot, now);
        // One that ends is enough, and until it has the clock takes no other. Nor does it take what the caller will go on with:
        // woken for nothing it would wake us, where it is the same task, and so on.
        let ends = |c: &Connection| matches!(c.phase, Phase::Closing | Phase::Draining);
        if gives_way && self.is_idle(slot) && !self.connections.iter().any(ends) {
            self.wake_clock();
        }
        gives_way
    }

    /// Only those without a connection are helped by it.
    fn would_give_way(&mut self, slot: usize, now: Instant) -> bool {
        let idle = self.takes_turns() && self.no_slot() && self.connections[slot].has_fetched && !self.is_hungry(slot);
        idle && self.others_hunger(slot, now, true)
    }

    /// How long the broker may wait for records with a chunk in its hands. Those who share chunks wait a part of the time
    /// each. While somebody else is known to have something to read they do not wait at all, nor do those who share slots.
    ///
    /// A partition of which something waits for the caller is not asked for, and must not wait for the others' silence once it
    /// could be: while there is one, the broker waits for as long as the caller has had it.
    pub(super) fn patience(&mut self, slot: usize, free: usize, others: usize, now: Instant) -> u32 {
        // Silence for longer would be taken for a broker that hangs.
        let mut longest = self.settings.fetch_max_wait.min(self.settings.request_timeout / 2);
        let mut places = 0..self.known_positions().len();
        if places.any(|place| self.positions[place].held > 0 && self.reading_connection(place) == Some(slot)) {
            let busy = now.millis_since(self.connections[slot].brought_at);
            longest = longest.min(busy.try_into().unwrap_or(u32::MAX));
        }
        let enough_chunks = others < free;
        if enough_chunks && !self.no_slot() {
            return longest;
        }
        let (slots, chunks) = (self.no_slot(), !enough_chunks);
        if slots && self.others_hunger(slot, now, true) || chunks && self.others_hunger(slot, now, false) {
            return 0;
        }
        let shares = others.saturating_add(1).checked_div(free).unwrap_or(1).max(1) as u32;
        if enough_chunks { longest } else { longest / shares }
    }

    /// Whether somebody waits for a connection slot, and all are taken.
    fn no_slot(&self) -> bool {
        self.s.connections_wanted && self.closed_slot().is_none()
    }

    /// Whether a partition elsewhere is known to have more: of brokers without a connection, or of those with one.
    fn others_hunger(&mut self, slot: usize, now: Instant, slotless: bool) -> bool {
        self.takes_turns()
            && (0..self.known_positions().len()).any(|place| {
                let elsewhere = self.positions[place].retry_at <= now && self.reading_connection(place) != Some(slot);
                elsewhere
                    && self.is_behind(place)
                    && self.is_reachable(place, now)
                    && self.is_slotless(place) == slotless
            })
    }

    /// Whether the connection has something to read, as far as is known: who was never asked may have.
    pub(crate) fn is_hungry(&mut self, slot: usize) -> bool {
        let unasked = !self.connections[slot].has_fetched;
        (0..self.known_positions().len()).any(|place| {
            let hungry = self.is_behind(place) || unasked && is_open(&self.positions[place]);
            hungry && self.reading_connection(place) == Some(slot)
        })
    }

    /// Whether there is more to read over the connection, once the caller is done with what there is.
    pub(crate) fn has_backlog(&mut self, slot: usize) -> bool {
        (0..self.known_positions().len()).any(|place| {
            let position = &self.positions[place];
            let waits = position.held > 0 && position.reading == Reading::Going && !position.paused;
            waits && position.high_watermark > position.fetch && self.reading_connection(place) == Some(slot)
        })
    }

    /// Whether there is more to read of the partition, as far as is known, and nothing in the way.
    fn is_behind(&self, place: usize) -> bool {
        let position = &self.positions[place];
        let more = position.high_watermark < 0 || position.high_watermark > position.fetch;
        more && position.reading == Reading::Going && is_open(position)
    }

    /// Whether its broker has no connection.
    fn is_slotless(&mut self, place: usize) -> bool {
        let node = self.reading_node(place);
        self.cluster.node(node).is_some_and(|broker| self.cluster.brokers[broker].connection.is_none())
    }

    /// Whether the partition's broker is connected to, or may be.
    fn is_reachable(&mut self, place: usize, now: Instant) -> bool {
        let node = self.reading_node(place);
        let broker = self.cluster.node(node);
        broker.is_some_and(|broker| {
            !self.cluster.brokers[broker].connection.is_none() || self.cluster.brokers[broker].retry_at <= now
        })
    }

    /// Whether it leads a partition that is to be read.
    pub(crate) fn has_open(&mut self, slot: usize, now: Instant) -> bool {
        (0..self.known_positions().len()).any(|place| {
            let position = &self.positions[place];
            let open = position.reading == Reading::Going && is_open(position) && position.retry_at <= now;
            open && self.reading_connection(place) == Some(slot)
        })
    }
}
