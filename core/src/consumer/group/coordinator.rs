//! Who the group's coordinator is: FindCoordinator tells, asked over any connection, and again whenever the coordinator says
//! that it is none or is lost.

use crate::connection::{ConnectionError, Phase};
use crate::consumer::ConsumeFault;
use crate::consumer::table::Reading;
use crate::pool::Link;
use crate::protocol::{ErrorCode, find_coordinator};
use crate::state::{Platform, State};
use crate::time::Instant;

impl<P: Platform> State<P> {
    /// Sees to it that somebody asks for the coordinator, or that there is a connection to it.
    pub(crate) fn open_coordinator(&mut self, now: Instant) -> Instant {
        let group = &self.s.consumer.group;
        if !group.wanted || self.group_waits() {
            return Instant::NEVER;
        }
        if !self.has_group() {
            return self.no_group();
        }
        // What was wanted may not be any more: a slot must not be taken for nothing.
        self.s.consumer.group.wanted = self.wants_coordinator();
        let group = &self.s.consumer.group;
        if !group.wanted {
            return Instant::NEVER;
        }
        if group.retry_at > now {
            return group.retry_at;
        }
        let Some(broker) = group.broker.get() else { return Instant::NEVER };
        if !group.known {
            let mut active = 0;
            for slot in 0..self.connections.len() {
                if self.connections[slot].phase == Phase::Active && self.connections[slot].broker != Link::to(broker) {
                    active += 1;
                    self.wake_connection(slot);
                }
            }
            if active == 0 {
                match self.cluster.brokers[broker].connection.get() {
                    // The one that was told last must know who is it now.
                    Some(slot) if self.connections[slot].phase == Phase::Active => self.wake_connection(slot),
                    // Asking for metadata opens one.
                    _ => self.want_metadata(now),
                }
            }
            return Instant::NEVER;
        }
        let entry = &self.cluster.brokers[broker];
        if let Some(slot) = entry.connection.get() {
            self.wake_connection(slot);
            return Instant::NEVER;
        }
        if entry.retry_at > now {
            return entry.retry_at;
        }
        match self.free_slot(now) {
            Ok(slot) => {
                self.connect(slot, broker, now);
                Instant::NEVER
            }
            Err(later) => later,
        }
    }

    /// Somebody wants to go on where a group was, and there is none.
    fn no_group(&mut self) -> Instant {
        self.s.consumer.group.wanted = false;
        for place in 0..self.known_positions().len() {
            if self.positions[place].reading == Reading::Recalling {
                self.reset_reading(place, ConsumeFault::NotCommitted);
            }
        }
        Instant::NEVER
    }

    pub(crate) fn coordinator_item(&mut self, slot: usize, item: find_coordinator::Item<'_>, now: Instant) {
        match item {
            find_coordinator::Item::Throttle(millis) => self.throttle(slot, millis, now),
            find_coordinator::Item::Coordinator { error, host, port, .. } => {
                let Some(broker) = self.s.consumer.group.broker.get() else { return };
                if self.s.consumer.group.known {
                    // Somebody else who was asked has said it.
                    return;
                }
                if self.asks_around() {
                    (self.s.consumer.group.asked, self.s.consumer.group.retry_at) = (Link::to(slot), Instant::ZERO);
                }
                if error != ErrorCode::NONE {
                    return self.group_failed(error, now);
                }
                match self.cluster.move_coordinator(broker, host, port) {
                    Ok(moved) => {
                        self.close_moved(Some(broker).filter(|_| moved));
                        (self.s.consumer.group.known, self.s.consumer.group.heard) = (true, true);
                    }
                    Err(error) => {
                        self.fail_recalls(error);
                        self.group_failed(ErrorCode::COORDINATOR_NOT_AVAILABLE, now);
                    }
                }
            }
        }
    }

    /// If the coordinator's host is too long, it will be so the next time: no position is ever recalled.
    fn fail_recalls(&mut self, error: ConnectionError) {
        let ConnectionError::NoPlace { .. } = error else { return };
        for place in 0..self.known_positions().len() {
            if self.positions[place].reading == Reading::Recalling {
                self.fail_reading(place, -1, ConsumeFault::NoPlace(error));
            }
        }
    }

    /// A broker has hung up, or cannot be reached: if it was the coordinator, it may be another by now.
    pub(crate) fn coordinator_lost(&mut self, broker: usize) {
        let group = &mut self.s.consumer.group;
        group.known &= group.broker != Link::to(broker);
    }
}
