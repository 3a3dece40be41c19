//! Ctrl-C or SIGTERM: the first asks the program to end well, the second ends it at once. The exit code says which it was.

use crate::report::Problem;
use std::fmt::Display;
use std::sync::{Arc, Barrier};
use tokio::sync::watch;

/// Whether Ctrl-C was pressed: then with the exit code that says so.
#[derive(Clone)]
pub(crate) struct Interrupt(watch::Receiver<Option<u8>>);

impl Interrupt {
    /// Begins to listen, on a thread of its own: the second Ctrl-C must work whatever the rest of the program does.
    pub(crate) fn listen() -> Result<Interrupt, Problem> {
        let cannot = |error: std::io::Error| Problem::failed(format!("cannot listen for Ctrl-C: {error}"));
        let (pressed, receiver) = watch::channel(None);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(cannot)?;
        // Here and not in the thread: from now on the signal is ours.
        let mut signals = {
            let _inside = runtime.enter();
            signals().map_err(cannot)?
        };
        let started = Arc::new(Barrier::new(2));
        let of_thread = started.clone();
        let listen = move || {
            let code = runtime.block_on(async {
                of_thread.wait();
                pressed.send_replace(Some(signals.next().await));
                signals.next().await
            });
            // Nothing to clean up that the system would not: this is the way out of a hang.
            std::process::exit(code.into());
        };
        std::thread::Builder::new().name("ctrl-c".into()).spawn(listen).map_err(cannot)?;
        // What a thread allocates when it starts is not to fall into a measurement.
        started.wait();
        Ok(Interrupt(receiver))
    }

    /// Whether it was pressed.
    pub(crate) fn is_pressed(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// What the program ends with if it was pressed, with a line for a person.
    pub(crate) fn problem(&self, line: impl Display) -> Problem {
        Problem::interrupted(self.0.borrow().unwrap_or(CTRL_C), line)
    }

    /// Until it is pressed.
    pub(crate) async fn pressed(&mut self) {
        if self.0.wait_for(Option::is_some).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// As a shell tells the end by a signal: 128 and its number.
const CTRL_C: u8 = 130;
#[cfg(unix)]
const TERMINATED: u8 = 143;

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
    /// The exit code that stands for the next one.
    #[cfg(unix)]
    async fn next(&mut self) -> u8 {
        tokio::select! {
            _ = self.interrupt.recv() => CTRL_C,
            _ = self.terminate.recv() => TERMINATED,
        }
    }

    #[cfg(not(unix))]
    async fn next(&mut self) -> u8 {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        CTRL_C
    }
}
