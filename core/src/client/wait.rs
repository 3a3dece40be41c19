//! Seats of futures: given back when the future is dropped, at whatever await.

use super::Producer;
use crate::pool::{Link, Seat};
use crate::state::{Platform, Wait};
use core::task::{Context, Poll};

/// A seat among those who wait for room.
pub(super) struct RoomSeat<'a, P: Platform> {
    producer: &'a Producer<P>,
    pub(super) seat: Seat,
}

impl<'a, P: Platform> RoomSeat<'a, P> {
    pub(super) fn new(producer: &'a Producer<P>) -> Self {
        RoomSeat { producer, seat: Seat::NONE }
    }
}

impl<P: Platform> Drop for RoomSeat<'_, P> {
    fn drop(&mut self) {
        if !self.seat.is_none() {
            let waker = self.producer.with(|state| state.leave_room(&mut self.seat));
            drop(waker); // Here, where the state is not locked.
        }
    }
}

/// A seat among those who wait for a batch.
pub(super) struct DeliverySeat<'a, P: Platform> {
    producer: &'a Producer<P>,
    pub(super) seat: Seat,
    pub(super) waits_on: Link,
}

impl<'a, P: Platform> DeliverySeat<'a, P> {
    pub(super) fn new(producer: &'a Producer<P>) -> Self {
        DeliverySeat { producer, seat: Seat::NONE, waits_on: Link::NONE }
    }
}

impl<P: Platform> Drop for DeliverySeat<'_, P> {
    fn drop(&mut self) {
        if !self.seat.is_none() {
            let waker = self.producer.with(|state| state.leave_delivery(&mut self.seat, self.waits_on));
            drop(waker);
        }
    }
}

/// As [`pending`], where a refusal has no words: who finds no seat asks again and again.
#[cfg(feature = "consumer")]
pub(super) fn or_spin<T>(wait: Wait<T>, cx: &mut Context<'_>) -> Poll<T> {
    match wait {
        Wait::Ready(value) => Poll::Ready(value),
        Wait::Seated => Poll::Pending,
        Wait::Spin | Wait::Refused => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    }
}

/// What a poll returns; called when the state is not locked, since a waker may be called here.
pub(super) fn pending<T>(wait: Wait<T>, cx: &mut Context<'_>, refused: impl FnOnce() -> T) -> Poll<T> {
    match wait {
        Wait::Ready(value) => Poll::Ready(value),
        Wait::Seated => Poll::Pending,
        Wait::Spin => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
        Wait::Refused => Poll::Ready(refused()),
    }
}
