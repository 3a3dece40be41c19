//! Everything that time does, in one poll: it looks at what is true now, acts, and says when to look again.

use crate::config::Acks;
use crate::connection::{ConnectionError, Phase};
use crate::pool::{Link, Seat, keep};
use crate::protocol::ApiKey;
use crate::state::{Identity, Platform, State, Wait};
use crate::time::Instant;
use core::task::Waker;

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
            #[cfg(feature = "consumer")]
            let request = request.min(self.held_until(slot));
            let connection = &mut self.connections[slot];
            let (deadline, reason) = match connection.phase {
                Phase::Closed | Phase::Closing => continue,
                Phase::Opening | Phase::Negotiating => (connection.deadline, ConnectionError::ConnectTimeout),
                Phase::Draining if ring.is_empty() => (Instant::ZERO, ConnectionError::Idle),
                Phase::Active if ring.is_empty() && connection.ready.is_empty() && !reads => {
                    (connection.used_at.after_millis(idle_time), ConnectionError::Idle)
                }
                Phase::Active | Phase::Draining if connection.assumed && connection.deadline < request => {
                    (connection.deadline, ConnectionError::ConnectTimeout)
                }
                Phase::Active | Phase::Draining => (request, ConnectionError::RequestTimeout),
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

    /// Whether a consumer reads over the connection, even if it waits for its turn.
    #[allow(unused_variables, clippy::unused_self, reason = "without a consumer")]
    fn reads_over(&mut self, slot: usize, now: Instant) -> bool {
        #[cfg(feature = "consumer")]
        return self.has_open(slot, now);
        #[cfg(not(feature = "consumer"))]
        false
    }

    /// Who is to ask for metadata and for a producer id.
    #[inline(never)]
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
            let guessed = c.phase == Phase::Negotiating && c.versions.get(ApiKey::Metadata).is_some();
            (c.phase == Phase::Active || guessed) && c.throttled_until <= now && c.ring.len() < depth
        };
        let rank = |slot: &usize| {
            let c = &self.connections[*slot];
            (c.writing, c.phase != Phase::Active, c.broker == self.cluster.metadata.asked, c.ring.len())
        };
        (0..self.connections.len()).filter(usable).min_by_key(rank)
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
