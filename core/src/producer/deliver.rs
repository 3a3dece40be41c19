//! What became of records, who asks, and how long it is remembered.

use super::batch::Phase;
use super::batch::{Batch, age_hooks, queue_hooks};
use super::error::{DeliveryError, DeliveryFailure, Failure};
use super::{Outcome, Platform, SendError, State, UnknownOutcome};
use crate::exchange::Topic;
use crate::pool::{Link, Seat};
use crate::state::Wait;
use crate::time::Instant;
use core::task::Waker;

/// Names records that were taken: one, or a slice. Plain data; it holds nothing and may be kept, copied or dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Delivery {
    /// The slot of the first record's batch, and the generation that it had.
    pub(crate) slot: u16,
    pub(crate) generation: u32,
    /// The partition's place.
    pub(crate) place: u16,
    /// Of the first record among all of its partition's, wrapping.
    pub(crate) first: u32,
    pub(crate) count: u32,
    pub(crate) timestamp: i64,
}

impl Delivery {
    /// How many records it stands for.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Takes in the delivery of the records that were taken right behind these into the same batch: one delivery for all,
    /// and one question for their outcome. False, and nothing has changed, if it is of others.
    ///
    /// ```
    /// # fn example(open: &mut Vec<demitasse_core::Delivery>, next: demitasse_core::Delivery) {
    /// if !open.last_mut().is_some_and(|last| last.join(&next)) {
    ///     open.push(next);
    /// }
    /// # }
    /// ```
    #[inline]
    pub fn join(&mut self, next: &Delivery) -> bool {
        let same_batch = self.slot == next.slot && self.generation == next.generation && self.place == next.place;
        let behind = same_batch && next.first == self.first.wrapping_add(self.count);
        if behind {
            self.count = self.count.saturating_add(next.count);
        }
        behind
    }
}

/// The records are in the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Receipt {
    /// The topic.
    pub topic: Topic,
    /// The partition.
    pub partition: i32,
    /// The first record's offset; those of a slice follow it, but other producers' records may stand between its
    /// batches. `None`: they were written, but the offset is not known: the broker said so, `acks=0` was set, or the
    /// question came so late that it was forgotten.
    pub offset: Option<i64>,
    /// Milliseconds since 1970-01-01 UTC: the broker's time if the topic is set to LogAppendTime, else the first
    /// record's own.
    pub timestamp: i64,
    /// How many records.
    pub count: u32,
}

/// A mark that outcomes were forgotten is itself forgotten when it lies so far back: later numbers must not be taken for
/// earlier ones when they wrap.
pub(super) const FORGET_MARKS_AFTER: u32 = 1 << 30;

impl<P: Platform> State<P> {
    /// The outcome of a delivery, or a seat to wait for it.
    pub(crate) fn poll_delivery(
        &mut self,
        delivery: &Delivery,
        seat: &mut Seat,
        waits_on: &mut Link,
        waker: &Waker,
        replaced: &mut Option<Waker>,
    ) -> Wait<Result<Receipt, DeliveryError>> {
        let told = if delivery.count == 1 { seat.told(&self.waiters) } else { None };
        if let Some(&told) = told {
            *replaced = self.leave_delivery(seat, *waits_on);
            return Wait::Ready(self.receipt_of(delivery, told));
        }
        let Some(index) = self.pending(delivery) else {
            *replaced = self.leave_delivery(seat, *waits_on);
            return Wait::Ready(self.settled(delivery));
        };
        self.wait_on(index, seat, waits_on, waker, replaced)
    }

    /// Waits for one batch, and for no other.
    fn wait_on<T>(
        &mut self,
        index: usize,
        seat: &mut Seat,
        waits_on: &mut Link,
        waker: &Waker,
        replaced: &mut Option<Waker>,
    ) -> Wait<T> {
        if *waits_on != Link::to(index) {
            *replaced = self.leave_delivery(seat, *waits_on);
            *waits_on = Link::to(index);
        }
        let mut list = self.batches[index].waiters;
        let seated = self.seats().wait(seat, &mut list, waker, replaced, Instant::NEVER);
        self.batches[index].waiters = list;
        if seated { Wait::Seated } else { self.no_seat() }
    }

    /// The outcome of a delivery, if it is known.
    pub(crate) fn outcome(&mut self, delivery: &Delivery) -> Option<Result<Receipt, DeliveryError>> {
        if self.pending(delivery).is_some() { None } else { Some(self.settled(delivery)) }
    }

    /// Gives up a seat, for example because its future is dropped.
    pub(crate) fn leave_delivery(&mut self, seat: &mut Seat, waits_on: Link) -> Option<Waker> {
        if seat.is_none() {
            return None;
        }
        let Some(index) = waits_on.get() else { return self.seats().leave(seat, None) };
        let mut list = self.batches[index].waiters;
        let waker = self.seats().leave(seat, Some(&mut list));
        self.batches[index].waiters = list;
        waker
    }

    /// The last batch that still stands between a delivery and its outcome.
    fn pending(&self, delivery: &Delivery) -> Option<usize> {
        let slot = self.batches.get(delivery.slot as usize)?;
        if delivery.count == 1 {
            let own = slot.generation == delivery.generation && slot.is_pending();
            return own.then_some(delivery.slot as usize);
        }
        let mut at = self.queues.get(delivery.place as usize)?.batches.last();
        while let Some(index) = at {
            let batch = &self.batches[index];
            if batch.is_pending() && batch.overlap(delivery.first, delivery.count) > 0 {
                return Some(index);
            }
            at = batch.queue.previous().get();
        }
        None
    }

    /// The answer to a delivery of which nothing is pending.
    fn settled(&mut self, delivery: &Delivery) -> Result<Receipt, DeliveryError> {
        // A delivery of another producer may name a slot that there is not.
        let Some(slot) = self.batches.get(delivery.slot as usize) else { return self.forgotten(delivery) };
        if delivery.count == 1 {
            if slot.generation == delivery.generation {
                let outcome = slot.outcome;
                return self.receipt_of(delivery, outcome);
            }
            // Its slot holds another batch. A success may be forgotten, and is still one.
            let behind = slot.forgotten.wrapping_sub(delivery.generation) as i32;
            if slot.forgotten != 0 && behind >= 0 {
                return self.forgotten(delivery);
            }
            return Ok(self.receipt(delivery, None, -1));
        }
        self.settled_slice(delivery)
    }

    fn settled_slice(&mut self, delivery: &Delivery) -> Result<Receipt, DeliveryError> {
        let Some(queue) = self.queues.get(delivery.place as usize) else { return self.forgotten(delivery) };
        let forgot = queue.forgotten.is_some_and(|end| end.wrapping_sub(delivery.first) as i32 > 0);
        if forgot {
            return self.forgotten(delivery);
        }
        let (mut failed, mut unknown, mut cause) = (0, 0, None);
        if queue.unsuccessful > 0 {
            for index in 0..self.batches.len() {
                let batch = &self.batches[index];
                let shared = batch.overlap(delivery.first, delivery.count);
                if batch.generation == 0 || batch.partition != delivery.place || shared == 0 {
                    continue;
                }
                match batch.outcome {
                    Outcome::Failed(failure) => {
                        failed += shared;
                        cause.get_or_insert(failure);
                    }
                    Outcome::Unknown(failure) => {
                        unknown += shared;
                        cause.get_or_insert(failure);
                    }
                    Outcome::Pending | Outcome::Written { .. } => continue,
                }
                self.read_failure(index, shared);
            }
        }
        match cause {
            Some(failure) => {
                let written = delivery.count.saturating_sub(failed + unknown);
                Err(DeliveryError { written, failed, unknown, cause: DeliveryFailure::Failure(failure) })
            }
            None => {
                let slot = &self.batches[delivery.slot as usize];
                let remembered = slot.generation == delivery.generation;
                let outcome = if remembered { slot.outcome } else { Outcome::Pending };
                match outcome {
                    Outcome::Written { base_offset, log_append_time } => {
                        Ok(self.receipt(delivery, self.offset(delivery, base_offset), log_append_time))
                    }
                    _ => Ok(self.receipt(delivery, None, -1)),
                }
            }
        }
    }

    fn receipt_of(&mut self, delivery: &Delivery, outcome: Outcome) -> Result<Receipt, DeliveryError> {
        let (failed, unknown, failure) = match outcome {
            Outcome::Written { base_offset, log_append_time } => {
                return Ok(self.receipt(delivery, self.offset(delivery, base_offset), log_append_time));
            }
            Outcome::Failed(failure) => (1, 0, failure),
            Outcome::Unknown(failure) => (0, 1, failure),
            Outcome::Pending => return self.forgotten(delivery),
        };
        let slot = delivery.slot as usize;
        if self.batches[slot].generation == delivery.generation {
            self.read_failure(slot, 1);
        }
        Err(DeliveryError { written: 0, failed, unknown, cause: DeliveryFailure::Failure(failure) })
    }

    fn offset(&self, delivery: &Delivery, base_offset: i64) -> Option<i64> {
        let slot = &self.batches[delivery.slot as usize];
        // A told seat may be read after its slot was taken again: then the index in the batch is lost, but not more.
        let index = delivery.first.wrapping_sub(slot.first_ordinal);
        // The broker's word: there may be no number behind it.
        let offset = base_offset.checked_add(i64::from(index));
        offset.filter(|_| base_offset >= 0 && slot.generation == delivery.generation)
    }

    fn receipt(&self, delivery: &Delivery, offset: Option<i64>, log_append_time: i64) -> Receipt {
        // A delivery of another producer may name a place that there is not.
        let partition = self.cluster.partitions.get(delivery.place as usize);
        Receipt {
            topic: Topic(partition.map_or(0, |p| p.topic()) as u16),
            partition: partition.map_or(-1, |p| p.index),
            offset,
            timestamp: if log_append_time >= 0 { log_append_time } else { delivery.timestamp },
            count: delivery.count,
        }
    }

    fn forgotten<T>(&self, delivery: &Delivery) -> Result<T, DeliveryError> {
        let cause = DeliveryFailure::Forgotten;
        Err(DeliveryError { written: 0, failed: 0, unknown: delivery.count, cause })
    }

    /// Somebody has learnt of `records` more of an unsuccessful batch; once all have been read it may be forgotten.
    fn read_failure(&mut self, index: usize, records: u32) {
        let batch = &mut self.batches[index];
        if batch.unread == 0 {
            return;
        }
        batch.unread = batch.unread.saturating_sub(records);
        if batch.unread == 0 && batch.phase == Phase::Free {
            self.s.free_unread.remove(&mut self.batches, index, queue_hooks);
            self.s.free_batches.push_back(&mut self.batches, index, queue_hooks);
        }
    }

    /// A slot for a new batch: the one that has had nothing to remember for the longest time, or else the oldest
    /// failure, which is then forgotten.
    pub(super) fn take_slot(&mut self) -> Option<usize> {
        let index = match self.s.free_batches.pop_front(&mut self.batches, queue_hooks) {
            Some(index) => index,
            None => {
                let index = self.s.free_unread.pop_front(&mut self.batches, queue_hooks)?;
                self.s.counters.forgotten_failures += 1;
                warning!("the outcome of {} records was forgotten before anybody asked", self.batches[index].unread);
                index
            }
        };
        let batch = &mut self.batches[index];
        if batch.generation.wrapping_sub(batch.forgotten) > FORGET_MARKS_AFTER {
            batch.forgotten = 0;
        }
        if matches!(batch.outcome, Outcome::Failed(_) | Outcome::Unknown(_)) {
            batch.forgotten = batch.generation;
            let end = batch.first_ordinal.wrapping_add(batch.count);
            let queue = &mut self.queues[batch.partition as usize];
            queue.unsuccessful -= 1;
            let later = queue.forgotten.is_none_or(|known| (end.wrapping_sub(known) as i32) > 0);
            if later {
                queue.forgotten = Some(end);
            }
        }
        Some(index)
    }

    /// The one place where a batch gets its outcome: everybody who waits is told, the buffer goes home. The slot stays
    /// in its queue if it is a tombstone, and is free otherwise.
    pub(super) fn conclude(&mut self, index: usize, outcome: Outcome) {
        debug_assert!(self.batches[index].is_pending(), "a batch has exactly one outcome");
        let batch = &mut self.batches[index];
        batch.outcome = outcome;
        let records = batch.count as usize;
        let (partition, mut waiters) = (batch.partition as usize, core::mem::take(&mut batch.waiters));
        let buffer = batch.buffer.take();
        match outcome {
            Outcome::Written { .. } => {
                let counters = &mut self.s.counters;
                counters.acknowledged = counters.acknowledged.wrapping_add(records);
                counters.bytes = counters.bytes.wrapping_add(batch.length as usize);
                counters.batches = counters.batches.wrapping_add(1);
            }
            Outcome::Failed(failure) => {
                batch.unread = batch.count;
                self.queues[partition].unsuccessful += 1;
                self.s.counters.failed += records;
                self.log_failure(partition, records, false, failure);
            }
            Outcome::Unknown(failure) => {
                batch.unread = batch.count;
                self.queues[partition].unsuccessful += 1;
                self.s.counters.unknown += records;
                self.log_failure(partition, records, true, failure);
            }
            Outcome::Pending => debug_assert!(false, "pending is not an outcome"),
        }
        let held = self.holds() && core::mem::take(&mut self.batches[index].held);
        let list = if held { &mut self.s.held } else { &mut self.s.age };
        list.remove(&mut self.batches, index, age_hooks);
        if self.s.closing && self.is_settled() {
            // The last outcome ends the client; nothing else would have the clock look before its next deadline.
            self.wake_clock();
        }
        if self.has_seats() {
            self.seats().tell(&mut waiters, outcome);
        }
        if let Some(buffer) = buffer {
            self.buffer_home(buffer);
        }
        if self.batches[index].phase != Phase::InFlight {
            self.release(index);
        }
    }

    fn log_failure(&self, partition: usize, records: usize, unknown: bool, failure: Failure) {
        warning!(
            "partition {}: {} records not acknowledged (unknown: {}), broker error {}",
            self.cluster.partitions[partition].index,
            records,
            unknown,
            failure.code.0
        );
    }

    /// Takes a settled batch out of its queue; its slot may be taken again.
    pub(super) fn release(&mut self, index: usize) {
        if self.batches[index].phase == Phase::Open {
            self.seal(index);
        }
        let batch = &mut self.batches[index];
        match batch.phase {
            Phase::Queued => self.s.queued -= 1,
            Phase::InFlight => self.s.in_flight -= 1,
            Phase::Open | Phase::Free => debug_assert!(false, "only a settled batch is released"),
        }
        batch.phase = Phase::Free;
        let (partition, unread) = (batch.partition as usize, batch.unread);
        self.queues[partition].batches.remove(&mut self.batches, index, queue_hooks);
        let free = if unread > 0 { &mut self.s.free_unread } else { &mut self.s.free_batches };
        free.push_back(&mut self.batches, index, queue_hooks);
        self.s.batches_level.give();
        self.tell_room();
    }

    /// A buffer that nobody needs any more; those who wait for room may try again.
    pub(crate) fn buffer_home(&mut self, buffer: P::Buffer) {
        self.pool().give(buffer);
        self.tell_room();
    }

    /// A buffer comes back from a connection: to its batch if that still needs it, else to the pool.
    pub(crate) fn put_back(&mut self, slot: u16, generation: u32, buffer: P::Buffer) {
        match self.batches.get_mut(slot as usize) {
            Some(batch) if batch.generation == generation && batch.is_pending() => {
                batch.buffer = Some(buffer);
                let partition = batch.partition as usize;
                if batch.phase == Phase::Queued {
                    self.reconsider(partition);
                }
            }
            _ => self.buffer_home(buffer),
        }
    }

    /// Everything up to now is due. The serial of the last batch, for [`State::poll_flush`].
    pub(crate) fn flush(&mut self) -> u32 {
        let serial = self.s.next_serial.wrapping_sub(1);
        if !self.is_settled() {
            (self.s.flushing, self.s.flush_serial) = (true, serial);
        }
        while let Some(index) = self.s.lingering.first() {
            self.end_linger(index);
            self.reconsider(self.batches[index].partition as usize);
        }
        serial
    }

    /// Waits until every batch up to `serial` has its outcome.
    pub(crate) fn poll_flush(
        &mut self,
        serial: u32,
        seat: &mut Seat,
        waits_on: &mut Link,
        waker: &Waker,
        replaced: &mut Option<Waker>,
    ) -> Wait<Result<(), SendError>> {
        let not_later = |batch: &Batch<P::Buffer>| batch.serial.wrapping_sub(serial) as i32 <= 0;
        let mut at = self.s.age.last();
        while let Some(index) = at.filter(|&index| !not_later(&self.batches[index])) {
            at = self.batches[index].age.previous().get();
        }
        if at.is_none() {
            at = self.s.held.first();
            while let Some(index) = at.filter(|&index| !not_later(&self.batches[index])) {
                at = self.batches[index].age.next().get();
            }
        }
        let Some(index) = at else {
            *replaced = self.leave_delivery(seat, *waits_on);
            return Wait::Ready(Ok(()));
        };
        self.wait_on(index, seat, waits_on, waker, replaced)
    }

    /// Whether every batch has its outcome.
    pub(crate) fn is_settled(&self) -> bool {
        self.s.age.is_empty() && (!self.holds() || self.s.held.is_empty())
    }

    /// Whether a batch may outlive its time. Asked wherever that would make a difference: with settings that are fixed there
    /// is then no code for it.
    pub(super) fn holds(&self) -> bool {
        self.settings.unknown_outcome == UnknownOutcome::Hold
    }

    /// Whether a batch is to be sent although it is not full.
    pub(super) fn is_due(&self, index: usize, now: Instant) -> bool {
        let batch = &self.batches[index];
        let flushed = self.s.flushing && (batch.serial.wrapping_sub(self.s.flush_serial) as i32) <= 0;
        let linger = self.settings.linger;
        linger == 0 || flushed || self.s.closing || batch.opened_at.after_millis(linger) <= now
    }
}
