//! Ctrl-C: the first asks the program to end well, the second ends it at once.

use crate::report::Problem;
use std::sync::{Arc, Barrier};
use tokio::sync::watch;

/// Whether Ctrl-C was pressed.
#[derive(Clone)]
pub(crate) struct Interrupt(watch::Receiver<bool>);

impl Interrupt {
    /// Begins to listen, on a thread of its own: the second Ctrl-C must work whatever the rest of the program does.
    pub(crate) fn listen() -> Result<Interrupt, Problem> {
        let cannot = |error: std::io::Error| Problem::failed(format!("cannot listen for Ctrl-C: {error}"));
        let (pressed, receiver) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(cannot)?;
        // Here and not in the thread: from now on the signal is ours.
        let mut signals = {
            let _inside = runtime.enter();
            signals().map_err(cannot)?
        };
        let started = Arc::new(Barrier::new(2));
        let of_thread = started.clone();
        let listen = move || {
            runtime.block_on(async {
                of_thread.wait();
                signals.next().await;
                pressed.send_replace(true);
                signals.next().await;
            });
            // Nothing to clean up that the system would not: this is the way out of a hang.
            std::process::exit(130);
        };
        std::thread::Builder::new().name("ctrl-c".into()).spawn(listen).map_err(cannot)?;
        // What a thread allocates when it starts is not to fall into a measurement.
        started.wait();
        Ok(Interrupt(receiver))
    }

    /// Whether it was pressed.
    pub(crate) fn is_pressed(&self) -> bool {
        *self.0.borrow()
    }

    /// Until it is pressed.
    pub(crate) async fn pressed(&mut self) {
        if self.0.wait_for(|pressed| *pressed).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

/// SIGTERM is what a container gets: it asks for the same.
#[cfg(unix)]
fn signals() -> std::io::Result<Signals> {
    use tokio::signal::unix::{SignalKind, signal};
    Ok(Signals { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
}

#[cfg(not(unix))]
fn signals() -> std::io::Result<Signals> {
    Ok(Signals {})
}

impl Signals {
    #[cfg(unix)]
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    #[cfg(not(unix))]
    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
