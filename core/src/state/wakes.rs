//! How wakers leave the state: never while it is locked.

use super::{Platform, State};
use crate::pool::Wakes;
use crate::time::Instant;
use core::task::Waker;

impl<P: Platform> State<P> {
    /// The clock's task is to look at the state again.
    pub(crate) fn wake_clock(&mut self) {
        self.s.clock_due = true;
    }

    /// The clock's task is to look again if it would sleep beyond `deadline`.
    #[inline(never)]
    pub(crate) fn wake_clock_by(&mut self, deadline: Instant) {
        if deadline < self.s.clock_until {
            self.s.clock_due = true;
        }
    }

    #[inline(never)]
    pub(crate) fn wake_connection(&mut self, slot: usize) {
        if !core::mem::replace(&mut self.connections[slot].wake, true) {
            self.s.connection_wakes += 1;
        }
    }

    /// The slot's own task is at work and will look for something to write before it waits: for that it need not be
    /// woken, only to let go of its stream.
    pub(crate) fn awake(&mut self, slot: usize) {
        let connection = &mut self.connections[slot];
        if connection.is_open() && core::mem::take(&mut connection.wake) {
            self.s.connection_wakes -= 1;
        }
    }

    /// Whether somebody is to be woken.
    #[inline(never)]
    pub(crate) fn has_wakes(&self) -> bool {
        let s = &self.s;
        (s.clock_due && s.clock_waker.is_some()) || s.connection_wakes > 0 || s.closer_wake || self.has_woken()
    }

    /// Whether somebody in a seat is to be woken.
    fn has_woken(&self) -> bool {
        self.has_seats() && self.s.seats.has_woken()
    }

    /// The one way in which wakers leave the state. They must be called unlocked, and then asked for again if there
    /// were `more`.
    pub(crate) fn take_wakes(&mut self) -> Wakes {
        let mut wakes = Wakes::default();
        while wakes.has_place() {
            let Some(waker) = self.next_waker() else { return wakes };
            wakes.push(waker);
        }
        wakes.more = self.has_wakes();
        wakes
    }

    /// Of the next one that is to be woken, if it has left a waker.
    fn next_waker(&mut self) -> Option<Option<Waker>> {
        if core::mem::take(&mut self.s.closer_wake) {
            return Some(self.s.closer.take());
        }
        if self.s.clock_due && self.s.clock_waker.is_some() {
            return Some(self.s.clock_waker.take());
        }
        if self.s.connection_wakes > 0
            && let Some(connection) = self.connections.iter_mut().find(|c| c.wake)
        {
            connection.wake = false;
            self.s.connection_wakes -= 1;
            return Some(connection.waker.take());
        }
        if self.has_seats() { self.seats().next_woken() } else { None }
    }
}
