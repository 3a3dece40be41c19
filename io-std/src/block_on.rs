//! A future awaited by a plain thread.

use crate::guard;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use tokio::runtime::{Handle, Id};
use tokio::sync::RwLock;

thread_local! {
    /// Made once a thread: one for each call would be an allocation for each record.
    static WAKER: Waker = waker();
}

fn waker() -> Waker {
    Waker::from(Arc::new(Unpark(thread::current())))
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits until the future is ready. Whoever else unparks the thread only makes it look once more. `home` is the runtime
/// without whose one thread it never will be.
///
/// # Panics
/// That is the thread that was to wait.
pub(crate) fn block_on<F: Future>(home: Option<Id>, future: F) -> F::Output {
    // A thread that is about to end may have dropped its own.
    let waker = WAKER.try_with(Waker::clone).unwrap_or_else(|_| waker());
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    guard::client(|| {
        loop {
            match future.as_mut().poll(&mut cx) {
                Poll::Ready(output) => return output,
                Poll::Pending => {
                    refuse_to_stop(home);
                    thread::park();
                }
            }
        }
    })
}

/// Only tokio knows whether this thread runs a runtime's tasks now, and tells by the panic of its own calls that block.
fn refuse_to_stop(home: Option<Id>) {
    static NEVER_WRITTEN: RwLock<()> = RwLock::const_new(());
    if home.is_some() && Handle::try_current().ok().map(|runtime| runtime.id()) == home {
        drop(NEVER_WRITTEN.blocking_read());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::sync::mpsc;

    #[test]
    fn it_ends_when_another_thread_says_so() {
        let ((ask, asked), (tell, told)) = (mpsc::channel::<Waker>(), mpsc::channel());
        let other = thread::spawn(move || {
            let waker = asked.recv().unwrap();
            tell.send(7).unwrap();
            waker.wake();
        });
        thread::current().unpark();
        let answer = poll_fn(|cx| {
            let _ = ask.send(cx.waker().clone());
            told.try_recv().map_or(Poll::Pending, Poll::Ready)
        });
        assert_eq!(block_on(None, answer), 7);
        other.join().unwrap();
    }
}
