//! The handle that users call, and the driver that runs the state over an [`Io`].

mod admin;
#[cfg(feature = "consumer")]
mod consumer;
mod driver;
#[cfg(feature = "consumer")]
mod fetched;
mod io;
#[cfg(feature = "consumer")]
mod records;
mod wait;

pub use admin::Admin;
#[cfg(feature = "consumer")]
pub use consumer::Consumer;
pub use driver::Scratch;
#[cfg(feature = "consumer")]
pub use fetched::{Consumed, Fetched};
pub use io::{GatherWrite, Io, Stream};
#[cfg(feature = "consumer")]
pub use records::{Batches, Records};

use crate::exchange::{Topic, TopicError};
use crate::producer::{Delivery, DeliveryError, Destination, Receipt, Record, Refused, SendError, record_bytes};

use crate::state::{Counters, Lock, MemoryPlan, Platform, StartError, State};
use crate::time::{Clock, Instant};
use core::future::{Future, poll_fn};
use core::task::{Poll, Waker};
use core::time::Duration;
use wait::{DeliverySeat, RoomSeat};

/// A producer: what all handles and the driver share. On a device behind a `&'static`, on a server behind an `Arc`.
///
/// Every method takes the state for a moment and never while it waits. A driver must run beside it:
/// [`Producer::run_clock`] and, for each connection slot, [`Producer::run_connection`].
pub struct Producer<P: Platform> {
    lock: P::Lock,
    clock: P::Clock,
}

impl<P: Platform> Producer<P> {
    /// A producer over storage that is locked in `lock`. It takes nothing before it is started.
    pub const fn new(lock: P::Lock, clock: P::Clock) -> Self {
        Producer { lock, clock }
    }

    /// Hands the batch buffers over. Before the start, once.
    pub fn lend(&self, buffers: impl Iterator<Item = P::Buffer>) {
        self.with(|state| state.lend(buffers));
    }

    /// Checks settings ([`Settings::new`](crate::Settings::new), [`Configured`](crate::Configured)) and capacities against each
    /// other and begins. `bootstrap` are the hosts and ports to start from; `scratch` is how many bytes each connection's frame
    /// buffer and receive buffer have; `random` must differ from start to start, so that retries of many clients do not coincide.
    /// Of `max_in_flight` of the settings and the requests that there are places for, the lesser counts.
    ///
    /// # Errors
    /// Too few buffers were lent, capacities cannot work together, a host is longer than its place, there are fewer places for
    /// brokers than addresses, or no address at all; with the sizes. Or it was started before.
    pub fn start(
        &self,
        settings: P::Settings,
        bootstrap: &[(&str, u16)],
        scratch: (usize, usize),
        random: u32,
    ) -> Result<(), StartError> {
        self.with(|state| state.start(settings, bootstrap, scratch, random))
    }

    /// The topic of this name, for [`Producer::send`]. It takes a place in the table, for good; metadata is asked for
    /// it from now on. Asking again for the same topic costs only the search.
    ///
    /// # Errors
    /// The name is illegal or too long, or all places are taken. Whether the topic exists shows later.
    pub fn topic(&self, name: &str) -> Result<Topic, TopicError> {
        self.with(|state| state.topic(name))
    }

    /// How many partitions the topic has; `None` while that is not known.
    pub fn partitions(&self, topic: Topic) -> Option<u32> {
        self.look(|state| state.partition_count(topic))
    }

    /// Runs `f` on the topic's name. It is called with the state locked and must not call the producer.
    pub fn with_name<R>(&self, topic: Topic, f: impl FnOnce(&str) -> R) -> R {
        self.with(|state| state.with_topic_name(topic, f))
    }

    /// Takes a record if there is room, else refuses at once.
    ///
    /// # Errors
    /// [`SendError::Full`] and [`SendError::TopicPending`] are for now; all others stay. Whatever the error, the record
    /// was not taken.
    #[inline]
    pub fn try_send(&self, to: impl Into<Destination>, record: &Record<'_>) -> Result<Delivery, SendError> {
        let to = to.into();
        self.with(|state| state.append(to, record, &self.clock))
            .map_err(|refused| self.refusal(refused, to, record_bytes(record)))
    }

    /// Takes a record, waiting for room and for news of the topic, `max.block.ms` at most.
    ///
    /// # Errors
    /// [`SendError::Timeout`] when it has waited in vain; others at once. Whatever the error, the record was not taken.
    ///
    /// # Cancellation
    /// Dropped before it is ready, the record was not taken. Records of one task keep their order; a task that waits
    /// may be overtaken by others.
    pub fn send(
        &self,
        to: impl Into<Destination>,
        record: &Record<'_>,
    ) -> impl Future<Output = Result<Delivery, SendError>> {
        let to = to.into();
        self.when_room(to, || record_bytes(record), move |state, clock| state.append(to, record, clock))
    }

    /// Takes many records for one partition under one taking of the state: all of them or none. They are one delivery.
    ///
    /// # Errors
    /// As [`Producer::try_send`]; [`SendError::KeysInSlice`] if the partitioner would spread the records by their keys.
    pub fn try_send_slice(&self, to: impl Into<Destination>, records: &[Record<'_>]) -> Result<Delivery, SendError> {
        let to = to.into();
        self.with(|state| state.append_slice(to, records, &self.clock))
            .map_err(|refused| self.refusal(refused, to, slice_bytes(records)))
    }

    /// Apart from the taking itself: what a result of the hot path may become should cost it nothing.
    #[cold]
    fn refusal(&self, refused: Refused, to: Destination, bytes: usize) -> SendError {
        self.with(|state| state.refusal(refused, to, bytes as u32))
    }

    /// As [`Producer::try_send_slice`], waiting as [`Producer::send`] does.
    ///
    /// # Cancellation
    /// Dropped before it is ready, none of the records was taken.
    pub fn send_slice(
        &self,
        to: impl Into<Destination>,
        records: &[Record<'_>],
    ) -> impl Future<Output = Result<Delivery, SendError>> {
        let to = to.into();
        self.when_room(to, || slice_bytes(records), move |state, clock| state.append_slice(to, records, clock))
    }

    /// Takes records for any partitions of a topic, as many under one taking of the state as there is room for, and
    /// calls `taken` with the delivery of each. It waits for room as [`Producer::send`] does; `taken` is called with
    /// the state locked and must not call the producer.
    ///
    /// # Errors
    /// Those of [`Producer::send`], for the first record for which `taken` was not called; none after it was taken.
    ///
    /// # Cancellation
    /// Dropped before it is ready, those records were taken for which `taken` was called, and no others.
    pub async fn send_each(
        &self,
        to: impl Into<Destination>,
        records: &[Record<'_>],
        mut taken: impl FnMut(Delivery),
    ) -> Result<(), SendError> {
        let to = to.into();
        let mut rest = records;
        let first = |rest: &[Record<'_>]| rest.first().map_or(0, record_bytes);
        while !rest.is_empty() {
            let (done, error) = self.with(|state| {
                for (done, record) in rest.iter().enumerate() {
                    match state.append(to, record, &self.clock) {
                        Ok(delivery) => taken(delivery),
                        Err(refused) if refused.is_for_good() => {
                            return (done, Some(state.refusal(refused, to, 0)));
                        }
                        Err(_) => return (done, None),
                    }
                }
                (rest.len(), None)
            });
            rest = rest.get(done..).unwrap_or(&[]);
            if let Some(error) = error {
                return Err(error);
            }
            if let Some((record, others)) = rest.split_first() {
                let bytes = || first(rest);
                taken(self.when_room(to, bytes, |state, clock| state.append(to, record, clock)).await?);
                rest = others;
            }
        }
        Ok(())
    }

    #[allow(clippy::manual_async_fn, reason = "an `async fn` has its arguments twice")]
    fn when_room(
        &self,
        to: Destination,
        bytes: impl Fn() -> usize,
        mut append: impl FnMut(&mut State<P>, &P::Clock) -> Result<Delivery, Refused>,
    ) -> impl Future<Output = Result<Delivery, SendError>> {
        async move {
            // Nearly always there is room, and nothing to prepare for waiting.
            if let Ok(delivery) = self.with(|state| append(state, &self.clock)) {
                return Ok(delivery);
            }
            let mut seat = RoomSeat::new(self);
            let mut deadline = None;
            poll_fn(|cx| {
                let mut replaced = None;
                let result = self.with(|state| {
                    let refused = match append(state, &self.clock) {
                        Ok(delivery) => return Ok(Ok(delivery)),
                        Err(refused) if refused.is_for_good() => return Ok(Err(state.refusal(refused, to, 0))),
                        Err(refused) => refused,
                    };
                    let now = self.clock.now();
                    let deadline = *deadline.get_or_insert_with(|| now.after_millis(state.max_block()));
                    if deadline <= now {
                        return Ok(Err(state.timeout(refused, to, bytes() as u32)));
                    }
                    Err(state.wait_for_room(&mut seat.seat, cx.waker(), &mut replaced, deadline))
                });
                drop(replaced);
                match result {
                    Ok(result) => Poll::Ready(result),
                    Err(wait) => wait::pending(wait, cx, || self.too_many_waiters()),
                }
            })
            .await
        }
    }

    fn too_many_waiters<T>(&self) -> Result<T, SendError> {
        Err(SendError::TooManyWaiters { capacity: self.look(|state| state.seats_in_all()) })
    }

    /// The outcome of a delivery, if it is known.
    pub fn outcome(&self, delivery: &Delivery) -> Option<Result<Receipt, DeliveryError>> {
        self.look(|state| state.outcome(delivery))
    }

    /// Waits for the outcome of a delivery: `delivery.timeout.ms` at most, counted from when its batch was opened.
    ///
    /// # Errors
    /// Records were refused, or nobody can tell whether they were written: see the counts.
    ///
    /// # Cancellation
    /// Dropping it changes nothing for the records; it may be waited for again.
    pub async fn wait(&self, delivery: Delivery) -> Result<Receipt, DeliveryError> {
        let mut seat = DeliverySeat::new(self);
        poll_fn(|cx| {
            let mut replaced = None;
            let DeliverySeat { seat, waits_on, .. } = &mut seat;
            let wait = self.with(|state| state.poll_delivery(&delivery, seat, waits_on, cx.waker(), &mut replaced));
            drop(replaced);
            wait::pending(wait, cx, || Err(DeliveryError::too_many_waiters(&delivery)))
        })
        .await
    }

    /// Ends what is held of a delivery, see [`crate::UnknownOutcome::Hold`]: its outcome is "unknown" from now on, and its
    /// partition goes on under a new epoch. How many records it was for; none if nothing of it is held.
    pub fn give_up(&self, delivery: &Delivery) -> u32 {
        self.with(|state| state.give_up(delivery))
    }

    /// Sends without lingering what was taken before this call, and waits until the outcome of all of it is known, good
    /// or bad.
    ///
    /// # Errors
    /// Only that every seat is taken, if the settings say to refuse then.
    ///
    /// # Cancellation
    /// Dropping it changes nothing for the records.
    pub async fn flush(&self) -> Result<(), SendError> {
        let serial = self.with(|state| state.flush());
        let mut seat = DeliverySeat::new(self);
        poll_fn(|cx| {
            let mut replaced = None;
            let DeliverySeat { seat, waits_on, .. } = &mut seat;
            let wait = self.with(|state| state.poll_flush(serial, seat, waits_on, cx.waker(), &mut replaced));
            drop(replaced);
            wait::pending(wait, cx, || self.too_many_waiters())
        })
        .await
    }

    /// Takes no more records, sends what was taken, waits for the outcomes, and lets the driver's futures end. What has
    /// none after `patience` gets one: failed if it was never sent, else unknown.
    ///
    /// # Cancellation
    /// The producer closes all the same.
    pub async fn close(&self, patience: Duration) {
        self.close_in_background(patience);
        let mut seat = RoomSeat::new(self);
        poll_fn(|cx| {
            let mut replaced = None;
            let closed = self.with(|state| state.poll_closed(&mut seat.seat, cx.waker(), &mut replaced));
            if let Some(replaced) = replaced {
                // It may have been another task's that closes as well.
                replaced.wake();
            }
            if closed { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// As [`Producer::close`], but nobody waits for it.
    pub fn close_in_background(&self, patience: Duration) {
        let millis = u32::try_from(patience.as_millis()).unwrap_or(u32::MAX);
        let deadline = self.clock.now().after_millis(millis);
        self.with(|state| state.close(deadline));
    }

    /// Closes at once, because nobody runs the driver any more: what was taken has its outcome, and who waits is told.
    pub fn abandon(&self) {
        let (now, mut replaced) = (self.now(), None);
        self.with(|state| {
            if !state.s.closed {
                state.close(now);
                state.tick(now, Waker::noop(), &mut replaced);
            }
        });
        drop(replaced);
    }

    /// Lets go of every connection, as if the network had cut it: what is outstanding is sent again over new ones. For
    /// when the caller knows that the way to the brokers has changed, and for tests.
    pub fn disconnect(&self) {
        self.with(|state| state.disconnect());
    }

    /// All memory, pool by pool.
    pub fn memory(&self) -> MemoryPlan {
        self.look(|state| state.memory())
    }

    /// Counters since the start.
    pub fn counters(&self) -> Counters {
        self.look(|state| state.counters())
    }

    /// Partitions that wait for their last answer before they go on over another connection.
    #[cfg(feature = "scaling")]
    pub fn moving(&self) -> usize {
        self.with(|state| state.moving())
    }

    /// Whether all tables agree with each other; for tests.
    #[cfg(feature = "audit")]
    pub fn audit(&self) -> Result<(), &'static str> {
        self.with(|state| state.audit())
    }

    /// The platform's clock.
    pub fn clock(&self) -> &P::Clock {
        &self.clock
    }

    fn now(&self) -> Instant {
        self.clock.now()
    }

    /// The only way to the state. Wakers leave it here, and are called when it is free again.
    #[inline]
    fn with<R>(&self, f: impl FnOnce(&mut State<P>) -> R) -> R {
        if P::Lock::CHEAP {
            let result = self.lock.with(f);
            self.wake_if_any();
            return result;
        }
        let mut wakes = false;
        let result = self.lock.with(|state| {
            let result = f(state);
            wakes = state.has_wakes();
            result
        });
        if wakes {
            self.wake();
        }
        result
    }

    /// As [`Producer::with`], for what can have woken nobody.
    #[inline]
    fn look<R>(&self, f: impl FnOnce(&mut State<P>) -> R) -> R {
        self.lock.with(f)
    }

    #[inline(never)]
    fn wake_if_any(&self) {
        if self.lock.with(|state| state.has_wakes()) {
            self.wake();
        }
    }

    #[cold]
    #[inline(never)]
    fn wake(&self) {
        while self.lock.with(|state| state.take_wakes()).wake() {}
    }
}

fn slice_bytes(records: &[Record<'_>]) -> usize {
    records.iter().map(record_bytes).sum()
}
