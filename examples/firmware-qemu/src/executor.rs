//! An executor that sleeps by WFI when there is nothing to do.
//!
//! embassy's own sleeps by WFE, which QEMU 7 takes for "go on": it would keep a core of the host busy. On a real chip
//! use embassy's: `#[embassy_executor::main]`.

use core::sync::atomic::{AtomicBool, Ordering};
use embassy_executor::{Spawner, raw};
use static_cell::StaticCell;

/// Idle and not "there is work": all zero bits, so that it takes no flash. Spawning sets it.
static WORK: AtomicBool = AtomicBool::new(false);

/// embassy calls it when a task was woken.
#[unsafe(export_name = "__pender")]
fn pender(_context: *mut ()) {
    WORK.store(true, Ordering::Release);
}

/// Spawns by `spawn`, then runs for ever.
pub fn run(spawn: impl FnOnce(Spawner)) -> ! {
    static EXECUTOR: StaticCell<raw::Executor> = StaticCell::new();
    let executor: &'static raw::Executor = EXECUTOR.init(raw::Executor::new(core::ptr::null_mut()));
    begin(spawn, executor.spawner());
    loop {
        if WORK.load(Ordering::Acquire) {
            WORK.store(false, Ordering::Release);
            // SAFETY: from here alone, never from within a task or an interrupt.
            unsafe { executor.poll() };
            continue;
        }
        // An interrupt between the look and the sleep still ends the sleep: WFI wakes for what is pending, masked or not.
        cortex_m::interrupt::disable();
        if !WORK.load(Ordering::Acquire) {
            cortex_m::asm::wfi();
        }
        // SAFETY: they were on before, and no lock is held here.
        unsafe { cortex_m::interrupt::enable() };
    }
}

/// Not inlined: what a start needs of the stack would be taken for as long as the device runs.
#[inline(never)]
fn begin(spawn: impl FnOnce(Spawner), spawner: Spawner) {
    spawn(spawner);
}
