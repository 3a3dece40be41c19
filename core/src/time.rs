//! Points in time, as the platform's monotonic clock counts them.

/// Microseconds since a moment that the platform chose once and keeps, for example its start.
///
/// The core never reads a clock: every decision is given the time at which it is made.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Instant(u64);

impl Instant {
    /// The clock's beginning.
    pub const ZERO: Instant = Instant(0);
    /// A moment that does not come: a deadline of nothing.
    pub const NEVER: Instant = Instant(u64::MAX);

    /// The moment `micros` microseconds after the clock's beginning.
    pub const fn from_micros(micros: u64) -> Self {
        Instant(micros)
    }

    /// Microseconds since the clock's beginning.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The moment `millis` milliseconds later; [`Instant::NEVER`] when that cannot be counted.
    #[inline(never)]
    pub const fn after_millis(self, millis: u32) -> Self {
        Instant(self.0.saturating_add(millis as u64 * 1000))
    }

    /// Microseconds since `earlier`, none if that lies ahead.
    pub const fn micros_since(self, earlier: Instant) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Milliseconds since `earlier`, rounded down.
    pub const fn millis_since(self, earlier: Instant) -> u64 {
        self.micros_since(earlier) / 1000
    }
}

/// What the core must know of the world at the moment of a call. Reading it may be slow: it is read when a batch is
/// opened and when somebody waits, not for each record.
pub trait Clock {
    /// The monotonic clock.
    fn now(&self) -> Instant;

    /// Milliseconds since 1970-01-01 UTC for record timestamps; `None` where the device does not know the date.
    fn wall_millis(&self) -> Option<i64>;
}
