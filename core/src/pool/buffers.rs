//! The batch buffers that nobody holds, as a stack: what was used last is used first, so that memory which was never
//! needed is never touched.

use super::Level;

pub(crate) struct Buffers<'a, B> {
    /// `stack[..capacity - used]` are here; the rest are out, and their places empty.
    pub(crate) stack: &'a mut [Option<B>],
    pub(crate) level: &'a mut Level,
}

impl<B> Buffers<'_, B> {
    pub(crate) fn free(&self) -> usize {
        self.stack.len().saturating_sub(self.level.used as usize)
    }

    pub(crate) fn take(&mut self) -> Option<B> {
        let top = self.free().checked_sub(1)?;
        let buffer = self.stack.get_mut(top)?.take()?;
        self.level.take();
        Some(buffer)
    }

    pub(crate) fn give(&mut self, buffer: B) {
        let top = self.free();
        debug_assert!(top < self.stack.len(), "a buffer came home that is not ours");
        if let Some(place) = self.stack.get_mut(top) {
            *place = Some(buffer);
            self.level.give();
        }
    }
}
