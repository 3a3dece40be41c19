//! What grows the logs: batches that nobody sends, appended where they belong.

use super::World;
use super::plan::Plan;
use crate::executor::Time;
use demitasse_core::records::{Compression, Fields, HEADER_BYTES, Sealing, append, lz4, seal};
use fastrand::Rng;

/// Appends the plan's batches to a partition, one after the other.
pub(super) async fn write(world: World, plan: Plan, time: Time, topic: usize, partition: i32) {
    let mut rng = Rng::with_seed(plan.seed ^ ((topic as u64) << 32) ^ (partition as u64) << 40);
    let mut number = 0;
    for _ in 0..plan.batches {
        time.sleep(rng.u64(0..=plan.pause)).await;
        let (most, bytes) = plan.records;
        let (mut count, mut each) = (rng.u32(1..=most), rng.usize(0..=bytes));
        each /= count as usize;
        // In every other run two of three batches are compressed; nothing is drawn for it, so the rest is as it was.
        let compressed = plan.seed % 2 == 1 && !(number + count).is_multiple_of(3);
        if plan.large && !compressed && each % 4 == 0 {
            // Up to the largest record that a chunk can have.
            let largest = plan.chunk_bytes as usize - 44 - 20;
            each = if each.is_multiple_of(8) { largest } else { each.max(30) };
            count = 2 + 4 * plan.chunk_bytes / each as u32;
        }
        let values: Vec<Vec<u8>> =
            (number..number + count).map(|number| value(topic, partition, number, each)).collect();
        number += count;
        let mut network = world.network.world.borrow_mut();
        let base = network.cluster.append_batch(&super::name(topic), partition, &batch(&values, compressed));
        if let Some(base) = base {
            world.ledger.borrow_mut().written(topic, partition, base, values);
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

/// A batch of these values, without a producer's id; compressed by LZ4 if it is to be.
pub fn batch(values: &[Vec<u8>], compressed: bool) -> Vec<u8> {
    let room: usize = values.iter().map(|value| value.len() + 40).sum();
    let mut bytes = vec![0; HEADER_BYTES + room];
    let mut at = HEADER_BYTES;
    for (index, value) in (0..).zip(values) {
        let fields = Fields { key: None, value: Some(value), headers: &[], timestamp_delta: 0 };
        at = append(&mut bytes, at, index, &fields).unwrap_or_else(|| unreachable!("there is room"));
    }
    bytes.truncate(at);
    if compressed {
        let mut packed = vec![0; bytes.len() + 64];
        let length = lz4::compress(&bytes[HEADER_BYTES..], &mut packed, &mut [0; lz4::TABLE]).unwrap_or(0);
        bytes.truncate(HEADER_BYTES);
        bytes.extend(&packed[..length]);
    }
    let sealing = Sealing {
        compression: if compressed { Compression::Lz4 } else { Compression::None },
        base_timestamp: 1,
        max_timestamp: 1,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        records: values.len() as u32,
    };
    seal(&mut bytes, &sealing, crc32c::crc32c);
    bytes
}
