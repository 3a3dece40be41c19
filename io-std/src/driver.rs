//! The core's futures, as tasks.

use crate::codec::Packing;
use crate::guard;
use crate::net::TokioIo;
use demitasse_core::{Capacities, Scratch};
use std::sync::{Arc, Mutex};
use tokio::runtime::{self, Handle, RuntimeFlavor};
use tokio::task::JoinHandle;

/// What has futures to run: a producer or a consumer, of concrete types, so that their futures can be sent.
pub(crate) trait Driven: Send + Sync + 'static {
    fn run_clock(&self, io: &TokioIo) -> impl Future<Output = ()> + Send;
    fn run_connection(&self, io: &TokioIo, slot: usize, scratch: Scratch<'_>) -> impl Future<Output = ()> + Send;
    /// Nobody runs them any more.
    fn abandon(&self);
}

/// Goes with the clock's task: a runtime that ends before the client is closed drops it, and nobody else would tell those who wait.
struct Clock<D: Driven>(Arc<D>);

impl<D: Driven> Drop for Clock<D> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

/// Runs them on the tokio runtime that this is called in, or else on a thread of their own. They end when it is closed. That
/// runtime if it has one thread only, which nobody may keep from them.
pub(crate) fn start(
    driven: &Arc<impl Driven>,
    io: &TokioIo,
    capacities: Capacities,
    packing: Packing,
) -> std::io::Result<Option<runtime::Id>> {
    let Ok(runtime) = Handle::try_current() else {
        own_thread(driven, io, capacities, packing)?;
        return Ok(None);
    };
    drop(spawn(&runtime, driven, io, capacities, packing));
    Ok((runtime.runtime_flavor() == RuntimeFlavor::CurrentThread).then(|| runtime.id()))
}

/// One for time and one for each connection slot.
fn spawn(
    runtime: &Handle,
    driven: &Arc<impl Driven>,
    io: &TokioIo,
    capacities: Capacities,
    packing: Packing,
) -> Vec<JoinHandle<()>> {
    let mut tasks = Vec::with_capacity(capacities.connections as usize + 1);
    for slot in 0..capacities.connections as usize {
        let encoder = packing.encoder().map(|encoder| Arc::new(Mutex::new(encoder)));
        let (driven, io) = (driven.clone(), TokioIo { encoder, ..io.clone() });
        let mut pack = vec![1; packing.scratch_bytes()].into_boxed_slice();
        let mut frame = vec![0; capacities.frame_bytes as usize].into_boxed_slice();
        let mut receive = vec![0; capacities.receive_bytes as usize].into_boxed_slice();
        tasks.push(runtime.spawn(guard::guarded(async move {
            let scratch = Scratch::new(&mut frame, &mut receive).packing(&mut pack);
            driven.run_connection(&io, slot, scratch).await;
        })));
    }
    let (clock, io) = (Clock(driven.clone()), io.clone());
    tasks.push(runtime.spawn(guard::guarded(async move { clock.0.run_clock(&io).await })));
    tasks
}

/// For callers without a runtime: one thread that does nothing else.
fn own_thread(
    driven: &Arc<impl Driven>,
    io: &TokioIo,
    capacities: Capacities,
    packing: Packing,
) -> std::io::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let tasks = spawn(runtime.handle(), driven, io, capacities, packing);
    std::thread::Builder::new().name("demitasse".into()).spawn(move || {
        runtime.block_on(async {
            for task in tasks {
                let _ = task.await;
            }
        });
    })?;
    Ok(())
}
