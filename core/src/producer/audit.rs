//! Whether the tables agree with each other: for tests, which ask after every step.

use super::batch::{Batch, Phase, age_hooks, linger_hooks, queue_hooks, sequence_after};
use super::queue::ready_hooks;
use super::{Outcome, Platform, State};
use crate::pool::{Hooks, Link, List};
use crate::protocol::ApiKey;

type Verdict = Result<(), &'static str>;

fn must(holds: bool, what: &'static str) -> Verdict {
    if holds { Ok(()) } else { Err(what) }
}

/// How many entries a list has; its links must agree in both directions.
fn length<T>(list: List, table: &mut [T], hooks: fn(&mut T) -> &mut Hooks) -> Result<usize, &'static str> {
    let (mut count, mut before, mut at) = (0, Link::NONE, list.first());
    while let Some(index) = at {
        let entry = table.get_mut(index).ok_or("a list leads out of its table")?;
        must(hooks(entry).previous() == before, "a list's links disagree")?;
        before = Link::to(index);
        at = hooks(entry).next().get();
        count += 1;
        must(count <= table.len(), "a list has no end")?;
    }
    must(list.last() == before.get(), "a list's last entry is not its last")?;
    Ok(count)
}

impl<P: Platform> State<P> {
    /// The first rule that does not hold.
    pub(crate) fn audit(&mut self) -> Verdict {
        if !self.s.started {
            return Ok(());
        }
        self.audit_batches()?;
        self.audit_pools()?;
        for partition in 0..self.queues.len() {
            self.audit_queue(partition)?;
        }
        self.audit_requests()
    }

    fn batches_where(&self, is: impl Fn(&Batch<P::Buffer>) -> bool) -> usize {
        self.batches.iter().filter(|batch| is(batch)).count()
    }

    fn audit_batches(&mut self) -> Verdict {
        let phase = |phase| self.batches_where(|batch| batch.phase == phase);
        must(phase(Phase::Open) == self.s.open as usize, "open batches are miscounted")?;
        must(phase(Phase::Queued) == self.s.queued as usize, "queued batches are miscounted")?;
        must(phase(Phase::InFlight) == self.s.in_flight as usize, "batches in flight are miscounted")?;
        let used = self.batches.len() - phase(Phase::Free);
        must(used == self.s.batches_level.used as usize, "slots in use are miscounted")?;
        let tombstone = |b: &Batch<P::Buffer>| b.phase != Phase::Free && b.phase != Phase::InFlight && !b.is_pending();
        must(self.batches_where(tombstone) == 0, "a batch with an outcome is to be sent")?;

        let pending = self.batches_where(|batch| batch.is_pending() && !batch.held);
        let held = self.batches_where(|batch| batch.held);
        let lingering = self.batches_where(|batch| batch.lingers);
        let s = &self.s;
        let lists = (s.age, s.held, s.lingering, s.free_batches, s.free_unread);
        must(length(lists.0, &mut self.batches, age_hooks)? == pending, "the list of batches by age is wrong")?;
        must(length(lists.1, &mut self.batches, age_hooks)? == held, "the list of held batches is wrong")?;
        must(length(lists.2, &mut self.batches, linger_hooks)? == lingering, "the list of lingering batches is wrong")?;
        let free = length(lists.3, &mut self.batches, queue_hooks)? + length(lists.4, &mut self.batches, queue_hooks)?;
        must(free + used == self.batches.len(), "a slot is neither free nor in use")
    }

    fn audit_pools(&mut self) -> Verdict {
        let free = self.buffers.iter().flatten().count();
        let used = self.s.buffers_level.used as usize;
        must(free + used == self.buffers.len(), "buffers are miscounted")?;
        let here = self.batches_where(|batch| batch.buffer.is_some());
        must(here <= used, "a batch has a buffer that is in the pool")?;
        let waiting_open = self.batches_where(|batch| batch.phase == Phase::Open && batch.buffer.is_none());
        must(waiting_open == 0, "an open batch has no buffer")?;
        self.seats().audit()
    }

    fn audit_queue(&mut self, partition: usize) -> Verdict {
        let list = self.queues[partition].batches;
        length(list, &mut self.batches, queue_hooks)?;
        let queue = &self.queues[partition];
        let (mut in_flight, mut at, mut before) = (0, list.first(), None::<usize>);
        while let Some(index) = at {
            let batch = &self.batches[index];
            must(batch.partition as usize == partition, "a batch is in another partition's queue")?;
            must(batch.phase != Phase::Free, "a free slot is in a queue")?;
            in_flight += u8::from(batch.phase == Phase::InFlight);
            if let Some(before) = before {
                let before = &self.batches[before];
                must(before.phase != Phase::Open, "a batch that is not the last takes records")?;
                let ends = before.first_ordinal.wrapping_add(before.count);
                // What was refused between them has gone.
                must(batch.first_ordinal.wrapping_sub(ends) as i32 >= 0, "batches stand in another order than came")?;
                let follows = sequence_after(before.sequence, before.count);
                let later = batch.sequence.wrapping_sub(follows) >= 0 || batch.sequence < before.sequence;
                must(!(before.sequenced && batch.sequenced) || later, "two batches share a sequence")?;
                must(
                    before.sequenced || !batch.sequenced || !before.is_pending(),
                    "a batch is numbered before the one before it",
                )?;
            }
            (before, at) = (Some(index), batch.queue.next().get());
        }
        must(in_flight == queue.in_flight, "a partition's batches in flight are miscounted")
    }

    fn audit_requests(&mut self) -> Verdict {
        let mut carried = 0;
        for slot in 0..self.connections.len() {
            let ready = self.connections[slot].ready;
            let listed = length(ready, &mut self.queues, ready_hooks)?;
            let ready = self.queues.iter().filter(|queue| queue.ready_on == Link::to(slot)).count();
            must(listed == ready, "a connection's list of partitions is wrong")?;
            let (mut ring, mut produce) = (self.connections[slot].ring, 0);
            while let Some(request) = ring.pop(self.places(slot)) {
                let produces = request.api == ApiKey::Produce;
                produce += u8::from(produces);
                // That of a Fetch request is a chunk.
                let mut at = if produces { request.batches } else { Link::NONE };
                while let Some(index) = at.get() {
                    let batch = &self.batches[index];
                    must(batch.phase == Phase::InFlight, "a request carries a batch that is not in flight")?;
                    let home = self.queues[batch.partition as usize].connection;
                    must(home == Link::to(slot), "a partition is on two connections")?;
                    at = batch.request_next;
                    carried += 1;
                    must(carried <= self.batches.len(), "a request has no end")?;
                }
            }
            #[cfg(feature = "scaling")]
            {
                let homes = self.queues.iter().filter(|queue| queue.home == Link::to(slot)).count();
                must(
                    homes == self.connections[slot].homes.into(),
                    "partitions at home on a connection are miscounted",
                )?;
            }
            must(produce == self.connections[slot].produce_in_flight, "a connection's requests are miscounted")?;
        }
        must(carried == self.s.in_flight as usize, "a batch in flight is in no request")?;
        let told = |batch: &Batch<P::Buffer>| batch.phase == Phase::Free && batch.outcome == Outcome::Pending;
        must(self.batches_where(|batch| told(batch) && batch.generation != 0) == 0, "a batch went without an outcome")
    }
}
