//! What grows the logs: batches that nobody sends, appended where they belong.

use super::World;
use super::batch::{Shape, marker, shaped};
use super::plan::Plan;
use crate::executor::Time;
use fastrand::Rng;

/// Producers of transactions in a partition: so many may be open at once.
const PRODUCERS: i64 = 3;

/// Appends the plan's batches to a partition, one after the other.
pub(super) async fn write(world: World, plan: Plan, time: Time, topic: usize, partition: i32) {
    let place = ((topic as u64) << 32) ^ (partition as u64) << 40;
    let mut rng = Rng::with_seed(plan.seed ^ place);
    let mut more = Extras { rng: Rng::with_seed(plan.seed ^ place ^ 0x77), open: Vec::new() };
    let mut number = 0;
    for _ in 0..plan.batches {
        time.sleep(rng.u64(0..=plan.pause)).await;
        let (most, bytes) = plan.records;
        let (mut count, mut each) = (rng.u32(1..=most), rng.usize(0..=bytes));
        each /= count as usize;
        // In every other run two of three batches are compressed; nothing is drawn for it, so the rest is as it was.
        // A device without a decoder reads none.
        let compressed = cfg!(feature = "server") && plan.seed % 2 == 1 && !(number + count).is_multiple_of(3);
        if plan.large && !compressed && each % 4 == 0 {
            // Up to the largest record that a chunk can have, with those in it that list what was aborted.
            let largest = (plan.chunk_bytes as usize - 44 - 20) / if plan.transactions { 2 } else { 1 };
            each = if each.is_multiple_of(8) { largest } else { each.max(30) };
            count = 2 + 4 * plan.chunk_bytes / each as u32;
        }
        let values: Vec<Vec<u8>> =
            (number..number + count).map(|number| value(topic, partition, number, each)).collect();
        number += count;
        if plan.transactions {
            more.end_one(&world, topic, partition);
        }
        let (mut records, mut shape) = ((0..).zip(values).collect(), Shape::up_to(i64::from(count) - 1));
        shape.compressed = compressed;
        if plan.sparse {
            more.compact(&mut records, &mut shape);
        }
        if plan.transactions {
            shape.producer = more.producer();
        }
        append(&world, topic, partition, &shape, records);
    }
}

fn append(world: &World, topic: usize, partition: i32, shape: &Shape, records: Vec<(i64, Vec<u8>)>) {
    let borrowed: Vec<_> = records.iter().map(|(delta, value)| (*delta, &value[..])).collect();
    let bytes = shaped(&borrowed, None, shape);
    let base = world.network.world.borrow_mut().cluster.append_batch(&super::name(topic), partition, &bytes);
    if let Some(base) = base {
        let last = base + shape.last_delta;
        world.ledger.borrow_mut().written(topic, partition, base..=last, records, shape.producer);
    }
}

fn end(world: &World, topic: usize, partition: i32, producer: i64, aborted: bool) {
    let bytes = marker(producer, aborted);
    let offset = world.network.world.borrow_mut().cluster.append_batch(&super::name(topic), partition, &bytes);
    if let Some(offset) = offset {
        world.ledger.borrow_mut().ended(topic, partition, offset, producer, aborted);
    }
}

/// Ends every transaction that is open, also because its end was lost with the end of a log.
pub(super) fn end_all(world: &World) {
    for (topic, partition) in world.partitions() {
        let open: Vec<i64> = {
            let network = world.network.world.borrow();
            let log = network.cluster.partition(&super::name(topic), partition);
            log.into_iter().flat_map(|log| log.open_transactions()).collect()
        };
        for producer in open {
            end(world, topic, partition, producer, producer % 2 == 0);
        }
    }
}

/// What is drawn beside a batch's size.
struct Extras {
    rng: Rng,
    /// Producers whose transactions are open.
    open: Vec<i64>,
}

impl Extras {
    /// Now and then ends a transaction.
    fn end_one(&mut self, world: &World, topic: usize, partition: i32) {
        if !self.open.is_empty() && self.rng.u32(0..3) == 0 {
            let producer = self.open.swap_remove(self.rng.usize(0..self.open.len()));
            end(world, topic, partition, producer, self.rng.bool());
        }
    }

    /// Whose transaction the next batch is of, if of any.
    fn producer(&mut self) -> Option<i64> {
        let producer = self.rng.bool().then(|| self.rng.i64(0..PRODUCERS))?;
        if !self.open.contains(&producer) {
            self.open.push(producer);
        }
        Some(producer)
    }

    /// Leaves gaps, as compaction does: in a batch, at its end, or all of it.
    fn compact(&mut self, records: &mut Vec<(i64, Vec<u8>)>, shape: &mut Shape) {
        let rng = &mut self.rng;
        let mut gap = 0;
        for (delta, _) in records.iter_mut() {
            gap += if rng.u32(0..6) == 0 { rng.i64(1..4) } else { 0 };
            *delta += gap;
        }
        shape.last_delta += gap + if rng.u32(0..6) == 0 { rng.i64(1..5) } else { 0 };
        if rng.u32(0..12) == 0 {
            records.clear();
            (shape.compressed, shape.last_delta) = (false, rng.i64(0..4));
        }
    }
}

/// Who, and which.
fn value(topic: usize, partition: i32, number: u32, bytes: usize) -> Vec<u8> {
    let mut value = vec![topic as u8, partition as u8];
    value.extend(number.to_be_bytes());
    value.resize(bytes.max(value.len()), b'.');
    value
}
