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
    let tick = embassy_time::Instant::try_from_micros(at.as_micros()).unwrap_or(embassy_time::Instant::MAX);
    let short = tick.as_micros() < at.as_micros();
    Timer::at(tick.checked_add(Duration::from_ticks(short.into())).unwrap_or(tick))
}
