//! Who waits, and how they are woken.
//!
//! Without an allocator the tasks that can wait are a fixed table of seats. A seat is in one list: of a batch, of
//! those who want room, or of those to be woken. Wakers are never called nor dropped while the state is locked:
//! either may run code that locks it again.

use super::{Hooks, Level, Link, List, Table};
use crate::producer::Outcome;
use crate::time::Instant;
use core::ops::DerefMut;
use core::task::Waker;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Free,
    Waiting,
    Told,
}

/// Keeps the waker of a task that waits; one of another task goes to `replaced`.
#[inline(never)]
pub(crate) fn keep(place: &mut Option<Waker>, waker: &Waker, replaced: &mut Option<Waker>) {
    match place {
        Some(current) if current.will_wake(waker) => {}
        _ => *replaced = place.replace(waker.clone()),
    }
}

/// One seat of the table: a task that waits.
pub struct Waiter {
    waker: Option<Waker>,
    hooks: Hooks,
    phase: Phase,
    /// What the batch came to; a copy, because the batch's slot may be used again before the task runs.
    outcome: Outcome,
    /// When the task is to be woken whatever happens.
    deadline: Instant,
}

impl Waiter {
    /// A free seat.
    pub const EMPTY: Waiter = Waiter {
        waker: None,
        hooks: Hooks::NONE,
        phase: Phase::Free,
        outcome: Outcome::Pending,
        deadline: Instant::ZERO,
    };
}

/// A future's own seat. It must be given back by [`Seats::leave`]: the future's `Drop` does.
#[derive(Default)]
pub(crate) struct Seat(Link);

impl Seat {
    pub(crate) const NONE: Seat = Seat(Link::NONE);

    pub(crate) fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// What it was told, if it was.
    pub(crate) fn told<'a>(&self, table: &'a [Waiter]) -> Option<&'a Outcome> {
        table.get(self.0.get()?).filter(|waiter| waiter.phase == Phase::Told).map(|waiter| &waiter.outcome)
    }
}

pub(crate) struct SeatsState {
    free: List,
    woken: List,
    pub(crate) level: Level,
    pub(crate) overflows: usize,
}

impl SeatsState {
    pub(crate) const EMPTY: SeatsState =
        SeatsState { free: List::EMPTY, woken: List::EMPTY, level: Level::EMPTY, overflows: 0 };
}

pub(crate) struct Seats<'a, W> {
    pub(crate) table: &'a mut Table<W>,
    pub(crate) state: &'a mut SeatsState,
}

fn hooks(waiter: &mut Waiter) -> &mut Hooks {
    &mut waiter.hooks
}

impl<W: DerefMut<Target = [Waiter]>> Seats<'_, W> {
    pub(crate) fn start(&mut self) {
        for index in 0..self.table.len() {
            self.state.free.push_back(self.table, index, hooks);
        }
    }

    /// Waits in `list`. False: every seat is taken, and nothing was registered.
    ///
    /// A seat that waits already keeps its place and takes the new waker; the old one goes to `replaced`.
    pub(crate) fn wait(
        &mut self,
        seat: &mut Seat,
        list: &mut List,
        waker: &Waker,
        replaced: &mut Option<Waker>,
        deadline: Instant,
    ) -> bool {
        if let Some(index) = seat.0.get() {
            let waiter = &mut self.table[index];
            if waiter.phase == Phase::Told {
                self.state.woken_remove(self.table, index);
                self.table[index].phase = Phase::Waiting;
                list.push_back(self.table, index, hooks);
            }
            keep(&mut self.table[index].waker, waker, replaced);
            return true;
        }
        let Some(index) = self.state.free.pop_front(self.table, hooks) else {
            self.state.overflows = self.state.overflows.wrapping_add(1);
            return false;
        };
        self.state.level.take();
        let waiter = &mut self.table[index];
        waiter.waker = Some(waker.clone());
        waiter.phase = Phase::Waiting;
        (waiter.outcome, waiter.deadline) = (Outcome::Pending, deadline);
        list.push_back(self.table, index, hooks);
        seat.0 = Link::to(index);
        true
    }

    /// Everybody in `list` is told `outcome` and will be woken.
    pub(crate) fn tell(&mut self, list: &mut List, outcome: Outcome) {
        while let Some(index) = list.pop_front(self.table, hooks) {
            self.table[index].phase = Phase::Told;
            self.table[index].outcome = outcome;
            self.state.woken.push_back(self.table, index, hooks);
        }
    }

    /// Tells those in `list` whose deadline has come; the first deadline of the others.
    pub(crate) fn tell_due(&mut self, list: &mut List, now: Instant) -> Instant {
        let mut next = Instant::NEVER;
        let mut at = list.first();
        while let Some(index) = at {
            at = self.table[index].hooks.next().get();
            if self.table[index].deadline > now {
                next = next.min(self.table[index].deadline);
                continue;
            }
            list.remove(self.table, index, hooks);
            self.table[index].phase = Phase::Told;
            self.state.woken.push_back(self.table, index, hooks);
        }
        next
    }

    /// Gives the seat back. `list` is the one that it may still wait in. The waker must be dropped unlocked.
    pub(crate) fn leave(&mut self, seat: &mut Seat, list: Option<&mut List>) -> Option<Waker> {
        let index = core::mem::take(&mut seat.0).get()?;
        match (self.table[index].phase, list) {
            (Phase::Waiting, Some(list)) => list.remove(self.table, index, hooks),
            (Phase::Told, _) => self.state.woken_remove(self.table, index),
            _ => debug_assert!(false, "a seat waits in a list that its owner does not know"),
        }
        let waiter = &mut self.table[index];
        waiter.phase = Phase::Free;
        let waker = waiter.waker.take();
        self.state.free.push_back(self.table, index, hooks);
        self.state.level.give();
        waker
    }

    /// The only way a told task's waker leaves its seat.
    pub(crate) fn next_woken(&mut self) -> Option<Option<Waker>> {
        let index = self.state.woken.pop_front(self.table, hooks)?;
        Some(self.table[index].waker.take())
    }
}

#[cfg(feature = "audit")]
impl<W: DerefMut<Target = [Waiter]>> Seats<'_, W> {
    /// See `producer::audit`.
    pub(crate) fn audit(&self) -> Result<(), &'static str> {
        let taken = self.table.iter().filter(|waiter| waiter.phase != Phase::Free).count();
        let (mut free, mut at) = (0, self.state.free.first());
        while let Some(index) = at {
            (free, at) = (free + 1, self.table[index].hooks.next().get());
        }
        match (taken == self.state.level.used as usize, free == 0 || free + taken == self.table.len()) {
            (false, _) => Err("seats in use are miscounted"),
            (_, false) => Err("a seat is neither free nor taken"),
            _ => Ok(()),
        }
    }
}

impl SeatsState {
    pub(crate) fn has_woken(&self) -> bool {
        !self.woken.is_empty()
    }

    /// A told seat is in the list of those to be woken until its waker has left.
    fn woken_remove(&mut self, table: &mut Table<impl DerefMut<Target = [Waiter]>>, index: usize) {
        if table[index].waker.is_some() {
            self.woken.remove(table, index, hooks);
        }
    }
}

/// Wakers that leave the state under one taking of it. A device's lock costs nothing, and it has few tasks.
const AT_ONCE: usize = if cfg!(feature = "gather") { 4 } else { 1 };

/// Wakers on their way out of the lock.
#[must_use = "somebody waits"]
#[derive(Default)]
pub(crate) struct Wakes {
    wakers: [Option<Waker>; AT_ONCE],
    length: usize,
    /// There are more than fit in here: ask again.
    pub(crate) more: bool,
}

impl Wakes {
    pub(crate) fn has_place(&self) -> bool {
        self.length < self.wakers.len()
    }

    pub(crate) fn push(&mut self, waker: Option<Waker>) {
        if let (Some(_), Some(place)) = (&waker, self.wakers.get_mut(self.length)) {
            *place = waker;
            self.length += 1;
        }
    }

    /// Calls them; whether there are more.
    pub(crate) fn wake(self) -> bool {
        for waker in self.wakers.into_iter().flatten() {
            waker.wake();
        }
        self.more
    }
}
