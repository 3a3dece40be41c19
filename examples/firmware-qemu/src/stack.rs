//! How deep the stack has been: with the feature `paint-stack` the start-up code fills it with a pattern.

/// The deepest use so far, in bytes.
#[cfg(feature = "paint-stack")]
pub fn deepest() -> usize {
    unsafe extern "C" {
        // Symbols of the linker script; only their addresses mean something.
        static _stack_start: u32;
        static _stack_end: u32;
    }
    let top = &raw const _stack_start;
    let mut word = &raw const _stack_end;
    // SAFETY: every word from the end of the static variables to the top of the stack is RAM.
    while word < top && unsafe { word.read_volatile() } == cortex_m_rt::STACK_PAINT_VALUE {
        // SAFETY: below `top`.
        word = unsafe { word.add(1) };
    }
    top as usize - word as usize
}

/// Not known without the feature.
#[cfg(not(feature = "paint-stack"))]
pub fn deepest() -> usize {
    0
}
