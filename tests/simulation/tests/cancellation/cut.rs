//! A future that is dropped after so many polls.

use std::future::{Future, poll_fn};
use std::task::Poll;

/// When a future is dropped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    polls: u32,
    /// Only when it is woken once more: what it was woken for has come, and it does not learn of it.
    when_woken: bool,
}

impl Cut {
    /// When it waits for the `polls`-th time; with 0 before it is polled at all.
    pub(crate) fn at_once(polls: u32) -> Cut {
        Cut { polls, when_woken: false }
    }

    /// Instead of being polled once more after `polls` polls.
    pub(crate) fn when_woken(polls: u32) -> Cut {
        Cut { polls, when_woken: true }
    }

    /// Never.
    pub(crate) fn never() -> Cut {
        Cut::at_once(u32::MAX)
    }

    /// Whether it is polled at all.
    pub(crate) fn after_a_poll(self) -> bool {
        self.polls > 0
    }

    /// What the future came to; `None` if it was dropped.
    pub(crate) async fn cut<F: Future>(self, future: F) -> Option<F::Output> {
        let mut future = Box::pin(future);
        let mut polls = 0;
        poll_fn(|cx| {
            if polls < self.polls {
                polls += 1;
                match future.as_mut().poll(cx) {
                    Poll::Ready(output) => return Poll::Ready(Some(output)),
                    Poll::Pending if polls < self.polls || self.when_woken => return Poll::Pending,
                    Poll::Pending => {}
                }
            }
            Poll::Ready(None)
        })
        .await
        // Here `future` is dropped, in the same poll.
    }
}
