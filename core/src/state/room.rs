//! Who waits for room, or for other news that are told to all: a seat, or what to do without one.

use super::{Platform, State};
use crate::config::WaitersFull;
use crate::pool::Seat;
use crate::producer::Outcome;
use crate::time::Instant;
use core::task::Waker;

/// What a future that waits learns at each poll.
pub(crate) enum Wait<T> {
    Ready(T),
    /// It has a seat and will be woken.
    Seated,
    /// Every seat is taken: it must ask again at once.
    Spin,
    /// Every seat is taken, and the settings say to refuse.
    Refused,
}

impl<P: Platform> State<P> {
    /// Waits for room, or for news of a topic, until `deadline`.
    pub(crate) fn wait_for_room<T>(
        &mut self,
        seat: &mut Seat,
        waker: &Waker,
        replaced: &mut Option<Waker>,
        deadline: Instant,
    ) -> Wait<T> {
        let mut room = self.s.room;
        let seated = self.seats().wait(seat, &mut room, waker, replaced, deadline);
        self.s.room = room;
        self.wake_clock_by(deadline);
        if seated { Wait::Seated } else { self.no_seat() }
    }

    /// Gives up a seat of those who wait for room.
    pub(crate) fn leave_room(&mut self, seat: &mut Seat) -> Option<Waker> {
        let mut room = self.s.room;
        let waker = self.seats().leave(seat, Some(&mut room));
        self.s.room = room;
        waker
    }

    /// Who waits for room may try again.
    #[inline(never)]
    pub(crate) fn tell_room(&mut self) {
        if !self.has_seats() || self.s.room.is_empty() {
            return;
        }
        let mut room = core::mem::take(&mut self.s.room);
        self.seats().tell(&mut room, Outcome::Pending);
    }

    pub(crate) fn no_seat<T>(&self) -> Wait<T> {
        match self.settings.waiters_full {
            WaitersFull::Spin => Wait::Spin,
            WaitersFull::Refuse => Wait::Refused,
        }
    }

    /// How long `send` may wait.
    pub(crate) fn max_block(&self) -> u32 {
        self.settings.max_block
    }
}
