//! Fixed tables and what links them: indexes instead of pointers, lists through the entries themselves.
//!
//! Nothing here grows. A table is a slice that was given once; a list costs its hooks in the entries and no more.

mod buffers;
mod empty;
mod table;
mod text;
mod waiters;

pub(crate) use buffers::Buffers;
pub use empty::{Empty, Never};
pub(crate) use table::Table;
pub(crate) use text::{Text, hash};
pub use waiters::Waiter;
pub(crate) use waiters::{Seat, Seats, SeatsState, Wakes, keep};

use core::ops::DerefMut;

/// The index of an entry, or none. All bits zero is none, so that a `static` full of links stays in `.bss`.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Link(u16);

impl Link {
    /// No entry.
    pub const NONE: Link = Link(0);
    /// Tables may have at most this many entries.
    pub const MAX_ENTRIES: usize = u16::MAX as usize - 1;

    pub(crate) const fn to(index: usize) -> Link {
        Link(index as u16 + 1)
    }

    pub(crate) const fn get(self) -> Option<usize> {
        if self.0 == 0 { None } else { Some(self.0 as usize - 1) }
    }

    pub(crate) const fn is_none(self) -> bool {
        self.0 == 0
    }
}

/// What an entry carries to be in one list.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Hooks {
    previous: Link,
    next: Link,
}

impl Hooks {
    pub(crate) const NONE: Hooks = Hooks { previous: Link::NONE, next: Link::NONE };

    pub(crate) const fn next(&self) -> Link {
        self.next
    }

    pub(crate) const fn previous(&self) -> Link {
        self.previous
    }
}

/// A list through the entries of a table, oldest first. `hooks` says which of an entry's hooks are this list's.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct List {
    first: Link,
    last: Link,
}

impl List {
    pub(crate) const EMPTY: List = List { first: Link::NONE, last: Link::NONE };

    pub(crate) const fn first(&self) -> Option<usize> {
        self.first.get()
    }

    pub(crate) const fn last(&self) -> Option<usize> {
        self.last.get()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    #[inline(never)]
    pub(crate) fn push_back<T, S>(&mut self, table: &mut Table<S>, index: usize, hooks: fn(&mut T) -> &mut Hooks)
    where
        S: DerefMut<Target = [T]>,
    {
        *hooks(&mut table[index]) = Hooks { previous: self.last, next: Link::NONE };
        match self.last.get() {
            Some(last) => hooks(&mut table[last]).next = Link::to(index),
            None => self.first = Link::to(index),
        }
        self.last = Link::to(index);
    }

    #[inline(never)]
    pub(crate) fn push_front<T, S>(&mut self, table: &mut Table<S>, index: usize, hooks: fn(&mut T) -> &mut Hooks)
    where
        S: DerefMut<Target = [T]>,
    {
        *hooks(&mut table[index]) = Hooks { previous: Link::NONE, next: self.first };
        match self.first.get() {
            Some(first) => hooks(&mut table[first]).previous = Link::to(index),
            None => self.last = Link::to(index),
        }
        self.first = Link::to(index);
    }

    #[inline(never)]
    pub(crate) fn remove<T, S>(&mut self, table: &mut Table<S>, index: usize, hooks: fn(&mut T) -> &mut Hooks)
    where
        S: DerefMut<Target = [T]>,
    {
        let Hooks { previous, next } = core::mem::take(hooks(&mut table[index]));
        match previous.get() {
            Some(previous) => hooks(&mut table[previous]).next = next,
            None => self.first = next,
        }
        match next.get() {
            Some(next) => hooks(&mut table[next]).previous = previous,
            None => self.last = previous,
        }
    }

    pub(crate) fn pop_front<T, S>(&mut self, table: &mut Table<S>, hooks: fn(&mut T) -> &mut Hooks) -> Option<usize>
    where
        S: DerefMut<Target = [T]>,
    {
        let first = self.first.get()?;
        self.remove(table, first, hooks);
        Some(first)
    }
}

/// How full a pool is, and how full it has ever been.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct Level {
    pub(crate) used: u16,
    pub(crate) high_water: u16,
}

impl Level {
    pub(crate) const EMPTY: Level = Level { used: 0, high_water: 0 };

    pub(crate) fn take(&mut self) {
        self.used += 1;
        self.high_water = self.high_water.max(self.used);
    }

    pub(crate) fn give(&mut self) {
        debug_assert!(self.used > 0, "given back more often than taken");
        self.used = self.used.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::vec;

    #[test]
    fn a_list_keeps_its_order_through_removals() {
        let mut table = Table::new(vec![Hooks::NONE; 5]);
        let mut list = List::EMPTY;
        let hooks: fn(&mut Hooks) -> &mut Hooks = |h| h;
        for i in [3, 1, 4, 0] {
            list.push_back(&mut table, i, hooks);
        }
        list.remove(&mut table, 4, hooks);
        list.remove(&mut table, 3, hooks);
        list.push_back(&mut table, 2, hooks);
        assert_eq!(list.last(), Some(2));
        let mut order = [9; 3];
        for place in &mut order {
            *place = list.pop_front(&mut table, hooks).unwrap();
        }
        assert_eq!((order, list.is_empty(), list.last()), ([1, 0, 2], true, None));
    }
}
