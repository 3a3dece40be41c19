//! What a partition remembers of each producer: the rules of Kafka's `ProducerStateManager` and
//! `ProducerAppendInfo` for producers without transactions.

use std::collections::{BTreeMap, VecDeque};

use crate::error;

/// Kafka's `NUM_BATCHES_TO_RETAIN`.
const BATCHES_TO_RETAIN: usize = 5;

/// The sequence that follows `sequence` by `increment`; after `i32::MAX` comes 0.
pub(crate) fn increment_sequence(sequence: i32, increment: i32) -> i32 {
    // The sequence space has 2^31 members: the low 31 bits of the sum.
    (sequence.wrapping_add(increment)) & i32::MAX
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BatchMetadata {
    pub(crate) first_sequence: i32,
    pub(crate) last_sequence: i32,
    pub(crate) base_offset: i64,
    pub(crate) last_offset: i64,
    pub(crate) timestamp: i64,
}

#[derive(Debug, Clone)]
struct ProducerEntry {
    epoch: i16,
    batches: VecDeque<BatchMetadata>,
    /// The maximum timestamp of the last batch, which is what expiry is measured from.
    last_timestamp: i64,
    appended_at_ms: u64,
}

/// What becomes of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Append,
    Duplicate(BatchMetadata),
    Refuse(i16),
}

/// The part of a batch that its producer state is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sequenced {
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
    pub(crate) first_sequence: i32,
    pub(crate) last_sequence: i32,
}

/// How producers expire, from the cluster's options.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expiration {
    pub(crate) after_ms: u64,
    pub(crate) check_ms: u64,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct ProducerStates {
    producers: BTreeMap<i64, ProducerEntry>,
}

impl ProducerStates {
    /// Judges a batch that is otherwise valid. `refuse_unknown` is the rule of Kafka before 2.4: a producer without
    /// state must begin with sequence 0.
    pub(crate) fn check(
        &mut self,
        batch: Sequenced,
        now_ms: u64,
        expiration: Expiration,
        refuse_unknown: bool,
    ) -> Verdict {
        self.forget_if_expired(batch.producer_id, now_ms, expiration);
        let Some(entry) = self.producers.get(&batch.producer_id) else {
            return if refuse_unknown && batch.first_sequence != 0 {
                Verdict::Refuse(error::UNKNOWN_PRODUCER_ID)
            } else {
                Verdict::Append
            };
        };
        if batch.epoch == entry.epoch {
            let duplicate = entry.batches.iter().find(|known| {
                known.first_sequence == batch.first_sequence && known.last_sequence == batch.last_sequence
            });
            if let Some(known) = duplicate {
                return Verdict::Duplicate(known.clone());
            }
            let expected = (entry.batches.back()).map_or(0, |last| increment_sequence(last.last_sequence, 1));
            if batch.first_sequence == expected {
                Verdict::Append
            } else {
                // Also what lies wholly before the window: no Kafka since 1.1 answers DUPLICATE_SEQUENCE_NUMBER.
                Verdict::Refuse(error::OUT_OF_ORDER_SEQUENCE_NUMBER)
            }
        } else if batch.epoch < entry.epoch {
            Verdict::Refuse(error::INVALID_PRODUCER_EPOCH)
        } else if batch.first_sequence != 0 {
            Verdict::Refuse(error::OUT_OF_ORDER_SEQUENCE_NUMBER)
        } else {
            Verdict::Append
        }
    }

    /// Remembers an appended batch.
    pub(crate) fn record(&mut self, batch: Sequenced, base_offset: i64, last_offset: i64, timestamp: i64, now_ms: u64) {
        let entry = self.producers.entry(batch.producer_id).or_insert_with(|| ProducerEntry {
            epoch: batch.epoch,
            batches: VecDeque::with_capacity(BATCHES_TO_RETAIN),
            last_timestamp: timestamp,
            appended_at_ms: now_ms,
        });
        if entry.epoch != batch.epoch {
            entry.batches.clear();
            entry.epoch = batch.epoch;
        }
        if entry.batches.len() == BATCHES_TO_RETAIN {
            entry.batches.pop_front();
        }
        entry.batches.push_back(BatchMetadata {
            first_sequence: batch.first_sequence,
            last_sequence: batch.last_sequence,
            base_offset,
            last_offset,
            timestamp,
        });
        entry.last_timestamp = timestamp;
        entry.appended_at_ms = now_ms;
    }

    pub(crate) fn forget(&mut self, producer_id: i64) -> bool {
        self.producers.remove(&producer_id).is_some()
    }

    /// The rule of Kafka before 2.4: what the log no longer holds is no longer remembered.
    pub(crate) fn forget_before(&mut self, log_start_offset: i64) {
        self.producers.retain(|_, entry| {
            while (entry.batches.front()).is_some_and(|batch| batch.last_offset < log_start_offset) {
                entry.batches.pop_front();
            }
            !entry.batches.is_empty()
        });
    }

    /// Forgets the producers of batches from an offset on, and gives their ids: what they had before has to be
    /// recorded again.
    pub(crate) fn forget_from(&mut self, offset: i64) -> Vec<i64> {
        let reaches = |entry: &ProducerEntry| (entry.batches.back()).is_some_and(|batch| batch.last_offset >= offset);
        let concerned: Vec<i64> =
            (self.producers.iter()).filter(|(_, entry)| reaches(entry)).map(|(id, _)| *id).collect();
        for id in &concerned {
            self.producers.remove(id);
        }
        concerned
    }

    /// The epoch and the next sequence of a producer, if the partition remembers it.
    pub(crate) fn next_sequence(&self, producer_id: i64) -> Option<(i16, i32)> {
        let entry = self.producers.get(&producer_id)?;
        let next = (entry.batches.back()).map_or(0, |last| increment_sequence(last.last_sequence, 1));
        Some((entry.epoch, next))
    }

    /// Kafka forgets expired producers in a sweep at an interval. Only whether a sweep has passed since the last
    /// append matters, so it is done for one producer when it next appears.
    fn forget_if_expired(&mut self, producer_id: i64, now_ms: u64, expiration: Expiration) {
        let Some(entry) = self.producers.get(&producer_id) else {
            return;
        };
        let swept_at_ms = now_ms - now_ms.checked_rem(expiration.check_ms).unwrap_or(0);
        let idle = i128::from(swept_at_ms) - i128::from(entry.last_timestamp);
        if swept_at_ms > entry.appended_at_ms && idle >= i128::from(expiration.after_ms) {
            self.producers.remove(&producer_id);
        }
    }
}
