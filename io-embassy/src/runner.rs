//! The one future that does the producer's work.

use crate::net::Net;
use crate::platform::{Core, Shape, Shared};
use core::future::Future;
use demitasse_core::Scratch;
use embassy_futures::select::{select, select_array};
use embassy_time::{Duration, with_timeout};

/// What one connection slot works with.
pub struct Slot {
    pub(crate) net: &'static Net,
    pub(crate) frame: &'static mut [u8],
    pub(crate) receive: &'static mut [u8],
    #[cfg(feature = "lz4")]
    pub(crate) packing: &'static mut [u8],
}

/// The producer's own work: time, and its connections. It must run beside the tasks that use the [`crate::Producer`].
///
/// It is named after the storage, as [`crate::Producer`] is.
#[must_use = "nothing is sent unless it runs"]
pub struct Runner<P: Shape = Shared> {
    core: &'static Core<P>,
    slots: &'static mut P::Slots,
}

/// How long the end waits for the network stack to tell the broker that a connection is closed.
const FAREWELL: Duration = Duration::from_secs(1);

impl<P: Shape> Runner<P> {
    pub(crate) const fn new(core: &'static Core<P>, slots: &'static mut P::Slots) -> Self {
        Runner { core, slots }
    }

    /// Does the producer's work, in a task of its own or joined with another future. Ends when the producer is closed.
    ///
    /// Its size is what it costs in the task's memory: on a Cortex-M some 350 bytes with one connection, and less than that
    /// for each further one (`size_of_val(&runner.run())` tells). A task of its own is not needed: joined with the future
    /// that sends, a record alone costs 700 instructions less, since fewer tasks are woken.
    ///
    /// # Cancellation
    /// Dropped, connections end and nothing expires; run again, it goes on, and sends again what was outstanding.
    pub fn run(&mut self) -> impl Future<Output = ()> {
        P::run(self.core, self.slots)
    }
}

crate::shown_by_name!("Runner", [P: Shape] Runner<P>);

/// [`Runner::run`].
pub(crate) async fn run_all<P: Shape, const CONNECTIONS: usize>(core: &Core<P>, slots: &mut [Slot; CONNECTIONS]) {
    let Some(&Slot { net, .. }) = slots.first() else { return };
    // Each future stands in memory once: they are given on as they are made. All of them end when the producer is
    // closed, and the first that does takes the others along: what they held goes back as they are dropped.
    let mut number = 0..;
    select(
        core.run_clock(&net),
        select_array(slots.each_mut().map(|slot| {
            let scratch = Scratch::new(slot.frame, slot.receive);
            #[cfg(feature = "lz4")]
            let scratch = scratch.packing(slot.packing);
            core.run_connection(&slot.net, number.next().unwrap_or(0), scratch)
        })),
    )
    .await;
    for slot in slots {
        let _ = with_timeout(FAREWELL, slot.net.flush()).await;
    }
}
