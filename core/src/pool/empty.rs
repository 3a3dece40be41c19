//! What a side does without.

use core::convert::Infallible;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

/// A table without entries, and no bytes.
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

/// In place of a reference to a `T` that there never is: the compiler leaves out what would be done with it.
pub struct Never<T>(Infallible, PhantomData<T>);

impl<T> Deref for Never<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self.0 {}
    }
}

impl<T> DerefMut for Never<T> {
    fn deref_mut(&mut self) -> &mut T {
        match self.0 {}
    }
}
