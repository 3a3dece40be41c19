//! Other ways to poll: one record after the other, and a stream of loans.

use super::wait::RoomSeat;
use super::{Consumed, Consumer, Fetched};
use crate::consumer::ConsumeError;
use crate::state::Platform;
use core::fmt;
use core::task::{Context, Poll, ready};

impl<P: Platform> Consumer<P> {
    /// Records one by one, over polls of `max` of them; 0 counts as 1.
    pub fn records(&self, max: u32) -> Records<'_, P> {
        Records { consumer: self, fetched: None, max: max.max(1) }
    }

    /// Loans one after the other, of `max` records each, for who polls by hand or makes a stream of them; 0 counts as 1.
    pub fn batches(&self, max: u32) -> Batches<'_, P> {
        Batches { consumer: self, seat: RoomSeat::new(self.client()), max: max.max(1) }
    }
}

/// Records one by one. Dropped, what was not handed out comes with the next poll of anybody.
pub struct Records<'c, P: Platform> {
    consumer: &'c Consumer<P>,
    fetched: Option<Fetched<'c, P>>,
    max: u32,
}

impl<P: Platform> Records<'_, P> {
    /// Waits for the next record, of any partition, and hands it to `read`; None when the consumer is closed.
    ///
    /// # Errors
    /// A partition cannot be read on, see [`Consumer::poll`].
    ///
    /// # Cancellation
    /// Dropped before it is ready, no record was handed out.
    pub async fn next<R>(&mut self, read: impl FnOnce(Consumed<'_>) -> R) -> Result<Option<R>, ConsumeError> {
        loop {
            if let Some(record) = self.fetched.as_ref().and_then(Fetched::next_record) {
                return Ok(Some(read(record)));
            }
            // The loan before goes back first: there may be only one.
            self.fetched = None;
            self.fetched = self.consumer.poll(self.max).await?;
            if self.fetched.is_none() {
                return Ok(None);
            }
        }
    }
}

impl<P: Platform> fmt::Debug for Records<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records").field("max", &self.max).finish_non_exhaustive()
    }
}

/// Loans one after the other. Each should be dropped before the next is asked for: with fewer chunks than loans nobody has
/// anything to fetch into.
pub struct Batches<'c, P: Platform> {
    consumer: &'c Consumer<P>,
    seat: RoomSeat<'c, P>,
    max: u32,
}

impl<'c, P: Platform> Batches<'c, P> {
    /// The next loan if there is one, as [`Consumer::poll`]; else the task is woken when there is. None when the consumer is
    /// closed.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Fetched<'c, P>, ConsumeError>>> {
        let next = ready!(self.consumer.poll_fetched(&mut self.seat, cx, self.max));
        // Between two loans nobody waits.
        self.seat = RoomSeat::new(self.consumer.client());
        Poll::Ready(next.transpose())
    }
}

impl<P: Platform> fmt::Debug for Batches<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batches").field("max", &self.max).finish_non_exhaustive()
    }
}
