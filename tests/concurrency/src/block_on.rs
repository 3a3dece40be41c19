//! A future awaited by a thread.

use shuttle::sync::{Condvar, Mutex};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

struct Woken(Mutex<bool>, Condvar);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        *self.0.lock().unwrap() = true;
        self.1.notify_one();
    }
}

/// Polls the future once for each time that it was woken. `shuttle`'s own polls it once more, and so comes to the help of who was
/// not woken.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let woken = Arc::new(Woken(Mutex::new(false), Condvar::new()));
    let waker = Waker::from(woken.clone());
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        let mut again = woken.0.lock().unwrap();
        while !std::mem::take(&mut *again) {
            again = woken.1.wait(again).unwrap();
        }
    }
}
