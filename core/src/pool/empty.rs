//! A table that a side does without.

use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

/// No entries, and no bytes.
pub struct Empty<T>(PhantomData<T>);

impl<T> Empty<T> {
    /// The only one there is.
    pub const NEW: Empty<T> = Empty(PhantomData);
}

impl<T> Deref for Empty<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &[]
    }
}

impl<T> DerefMut for Empty<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut []
    }
}
