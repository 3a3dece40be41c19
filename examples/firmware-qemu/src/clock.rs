//! The clock behind embassy-time: SysTick, which every Cortex-M has. A tick is a microsecond, an alarm is good to 1 ms.
//!
//! The counter runs down once a millisecond; what it shows between two interrupts gives the microseconds.

use core::cell::{Cell, RefCell};
use core::task::Waker;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::peripheral::{SCB, SYST};
use critical_section::{CriticalSection, Mutex};
use embassy_time_driver::Driver;
use embassy_time_queue_utils::Queue;

struct SysTickClock {
    /// Microseconds from the start to the last interrupt.
    microseconds: Mutex<Cell<u64>>,
    /// Core cycles in a millisecond; 0 before the start.
    cycles: Mutex<Cell<u32>>,
    /// When the first of `queue` is due, in microseconds.
    next: Mutex<Cell<u64>>,
    queue: Mutex<RefCell<Queue>>,
}

embassy_time_driver::time_driver_impl!(static CLOCK: SysTickClock = SysTickClock {
    microseconds: Mutex::new(Cell::new(0)),
    cycles: Mutex::new(Cell::new(0)),
    // 0 and not "never": a static that is all zero takes no flash. The first interrupt sets it right.
    next: Mutex::new(Cell::new(0)),
    queue: Mutex::new(RefCell::new(Queue::new())),
});

impl SysTickClock {
    /// Wakes what is due and notes what comes next.
    fn wake_due(&self, token: CriticalSection<'_>, now: u64) {
        let next = self.queue.borrow_ref_mut(token).next_expiration(now);
        self.next.borrow(token).set(next);
    }
}

impl Driver for SysTickClock {
    fn now(&self) -> u64 {
        critical_section::with(|token| {
            let cycles = self.cycles.borrow(token).get();
            if cycles == 0 {
                return 0;
            }
            let mut microseconds = self.microseconds.borrow(token).get();
            let mut left = SYST::get_current();
            if SCB::is_pendst_pending() {
                // It ran out and the interrupt waits for us: look again, and count the millisecond ourselves.
                left = SYST::get_current();
                microseconds += 1000;
            }
            // It counts from cycles - 1 down to 0.
            let gone = (cycles - 1).saturating_sub(left);
            microseconds + u64::from(gone * 1000 / cycles)
        })
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|token| {
            let earlier = self.queue.borrow_ref_mut(token).schedule_wake(at, waker);
            if earlier {
                self.wake_due(token, self.now());
            }
        });
    }
}

#[cortex_m_rt::exception]
fn SysTick() {
    critical_section::with(|token| {
        let microseconds = CLOCK.microseconds.borrow(token);
        let now = microseconds.get() + 1000;
        microseconds.set(now);
        if CLOCK.next.borrow(token).get() <= now {
            CLOCK.wake_due(token, now);
        }
    });
}

/// Starts the clock; `hertz` is the core's frequency.
pub(crate) fn start(systick: &mut SYST, hertz: u32) {
    let cycles = hertz / 1000;
    systick.set_clock_source(SystClkSource::Core);
    systick.set_reload(cycles - 1);
    systick.clear_current();
    critical_section::with(|token| CLOCK.cycles.borrow(token).set(cycles));
    systick.enable_interrupt();
    systick.enable_counter();
}
