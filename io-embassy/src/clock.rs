//! embassy-time as the core's clock; the date, once somebody has told it.

use core::cell::Cell;
use demitasse_core::{Clock, Instant};
use embassy_time::{Duration, Timer};

/// The monotonic clock, and what to add to it for the date.
pub struct EmbassyClock {
    /// Milliseconds from 1970 to the clock's beginning; `None` while nobody has told the date.
    wall: Cell<Option<i64>>,
}

impl EmbassyClock {
    pub(crate) const fn new() -> Self {
        EmbassyClock { wall: Cell::new(None) }
    }

    pub(crate) fn set_wall(&self, unix_millis: i64) {
        self.wall.set(Some(unix_millis.wrapping_sub(millis())));
    }
}

fn millis() -> i64 {
    embassy_time::Instant::now().as_millis() as i64
}

impl Clock for EmbassyClock {
    fn now(&self) -> Instant {
        Instant::from_micros(embassy_time::Instant::now().as_micros())
    }

    fn wall_millis(&self) -> Option<i64> {
        self.wall.get().map(|start| start.wrapping_add(millis()))
    }
}

/// Waits until the clock shows `at`, not a tick less: the core would look, see nothing due, and wait again.
pub(crate) fn sleep_until(at: Instant) -> Timer {
    let never = embassy_time::Instant::MAX;
    // `never` itself must not be turned into microseconds: with most ticks that overflows.
    let tick = embassy_time::Instant::try_from_micros(at.as_micros()).map(|tick| {
        let short = tick.as_micros() < at.as_micros();
        tick.checked_add(Duration::from_ticks(short.into())).unwrap_or(never)
    });
    Timer::at(tick.unwrap_or(never))
}
