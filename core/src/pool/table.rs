//! A table of fixed length, as a side gave it.

use core::ops::{Deref, DerefMut, Index, IndexMut};

/// Entries that are indexed by [`super::Link`]s, which never lead outside: what that would come to is in one place and
/// not beside each access, where a slice has a message and the line it is from. That is a kilobyte of a device's flash.
pub(crate) struct Table<S>(S);

impl<S> Table<S> {
    pub(crate) const fn new(entries: S) -> Self {
        Table(entries)
    }
}

impl<T, S: Deref<Target = [T]>> Deref for Table<S> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T, S: DerefMut<Target = [T]>> DerefMut for Table<S> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

impl<T, S: Deref<Target = [T]>> Index<usize> for Table<S> {
    type Output = T;

    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    fn index(&self, index: usize) -> &T {
        match self.0.get(index) {
            Some(entry) => entry,
            None => outside(),
        }
    }
}

impl<T, S: DerefMut<Target = [T]>> IndexMut<usize> for Table<S> {
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    fn index_mut(&mut self, index: usize) -> &mut T {
        match self.0.get_mut(index) {
            Some(entry) => entry,
            None => outside(),
        }
    }
}

#[cold]
#[inline(never)]
#[cfg_attr(debug_assertions, track_caller)]
fn outside() -> ! {
    panic!("an index that is not in its table")
}
