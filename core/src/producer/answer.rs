//! What an answer means for a batch, and what follows.

use super::batch::{Phase, sequence_after};
use super::{Failure, Outcome, Platform, State};
use crate::cluster::find_place;
use crate::connection::{ConnectionError, Request};
use crate::pool::Link;
use crate::protocol::{ErrorCode, produce};
use crate::time::Instant;
use crate::wire::FLEXIBLE;

/// What an answer says about a batch.
enum Verdict {
    /// Not written, and will not be.
    Refused,
    /// It makes no sense to try again, and what the broker did is not known.
    Lost,
    /// Not written this time; it may be tried again.
    Again,
    /// As before, and somebody else may lead the partition.
    AgainElsewhere,
    /// Perhaps written; to be tried again, since the broker knows what it has.
    Unclear,
    /// As before, and somebody else may lead the partition.
    UnclearElsewhere,
    /// Written before.
    Duplicate,
    /// Not written because something before it is missing.
    OutOfSequence,
}

/// With acks=all a leader that loses its office answers so for what it may have replicated already; hence "unclear".
fn verdict(code: ErrorCode) -> Verdict {
    use ErrorCode as E;
    match code {
        E::DUPLICATE_SEQUENCE_NUMBER => Verdict::Duplicate,
        E::OUT_OF_ORDER_SEQUENCE_NUMBER | E::UNKNOWN_PRODUCER_ID | E::INVALID_PRODUCER_EPOCH => Verdict::OutOfSequence,
        E::NOT_LEADER_OR_FOLLOWER
        | E::UNKNOWN_TOPIC_OR_PARTITION
        | E::LEADER_NOT_AVAILABLE
        | E::KAFKA_STORAGE_ERROR => Verdict::UnclearElsewhere,
        E::FENCED_LEADER_EPOCH | E::UNKNOWN_LEADER_EPOCH | E::UNKNOWN_TOPIC_ID | E::REPLICA_NOT_AVAILABLE => {
            Verdict::AgainElsewhere
        }
        E::NOT_ENOUGH_REPLICAS
        | E::THROTTLING_QUOTA_EXCEEDED
        | E::COORDINATOR_LOAD_IN_PROGRESS
        | E::COORDINATOR_NOT_AVAILABLE
        | E::NOT_COORDINATOR
        | E::CONCURRENT_TRANSACTIONS => Verdict::Again,
        E::REQUEST_TIMED_OUT | E::NOT_ENOUGH_REPLICAS_AFTER_APPEND | E::NETWORK_EXCEPTION | E::UNKNOWN_SERVER_ERROR => {
            Verdict::Unclear
        }
        // CORRUPT_MESSAGE too: bytes that were damaged on the way arrive whole the next time.
        E::CORRUPT_MESSAGE => Verdict::Again,
        E::MESSAGE_TOO_LARGE
        | E::RECORD_LIST_TOO_LARGE
        | E::INVALID_TOPIC_EXCEPTION
        | E::INVALID_REQUIRED_ACKS
        | E::INVALID_RECORD
        | E::INVALID_REQUEST
        | E::INVALID_TIMESTAMP
        | E::POLICY_VIOLATION
        | E::TOPIC_AUTHORIZATION_FAILED
        | E::CLUSTER_AUTHORIZATION_FAILED
        | E::UNSUPPORTED_VERSION
        | E::UNSUPPORTED_FOR_MESSAGE_FORMAT
        | E::UNSUPPORTED_COMPRESSION_TYPE => Verdict::Refused,
        _ => Verdict::Lost,
    }
}

impl<P: Platform> State<P> {
    pub(crate) fn produce_item(
        &mut self,
        slot: usize,
        item: produce::Item<'_>,
        now: Instant,
        delivered: &mut dyn FnMut(u64, u32),
    ) {
        match item {
            produce::Item::Throttle(millis) => self.throttle(slot, millis, now),
            produce::Item::Topic { name, .. } => {
                let topic = self.cluster.find_topic(name).map_or(Link::NONE, Link::to);
                self.connections[slot].receive.topic = topic;
            }
            produce::Item::Partition { index, error, base_offset, log_append_time, .. } => {
                let topic = self.connections[slot].receive.topic.get();
                let partition = topic.and_then(|topic| find_place(&self.cluster.partitions, topic, index));
                self.connections[slot].receive.partition = partition.map_or(Link::NONE, Link::to);
                match partition.and_then(|partition| self.answered_batch(slot, partition)) {
                    Some(batch) => self.judge(batch, error, base_offset, log_append_time, now, delivered),
                    None => self.s.counters.protocol_violations += 1,
                }
            }
            _ if !FLEXIBLE => {}
            produce::Item::RecordError { batch_index } => debug!("record {} of a batch is invalid", batch_index),
            produce::Item::CurrentLeader { leader_id, leader_epoch } => {
                if let Some(partition) = self.leader_hint(slot, leader_id, leader_epoch) {
                    // Whom to ask is known: no reason to wait (KIP-951). But only once: two brokers that name each other under
                    // ever newer epochs would be asked in a circle.
                    if self.queues[partition].failures <= 1 {
                        self.queues[partition].retry_at = Instant::ZERO;
                    }
                    self.reconsider(partition);
                }
            }
            produce::Item::NodeEndpoint { node_id, host, port } => {
                self.leader_endpoint(node_id, host, port);
            }
        }
    }

    /// Takes the batch of the partition out of the front request. Answers usually come in the order of the request: then
    /// it is the first.
    fn answered_batch(&mut self, slot: usize, partition: usize) -> Option<usize> {
        let ring = self.connections[slot].ring;
        let (mut before, mut at) = (Link::NONE, ring.front(self.places(slot))?.batches);
        while let Some(index) = at.get() {
            let batch = &self.batches[index];
            let next = batch.request_next;
            if batch.partition as usize == partition {
                match before.get() {
                    Some(before) => self.batches[before].request_next = next,
                    None => ring.front_mut(self.places(slot))?.batches = next,
                }
                return Some(index);
            }
            (before, at) = (at, next);
        }
        None
    }

    fn judge(
        &mut self,
        index: usize,
        code: ErrorCode,
        base_offset: i64,
        log_append_time: i64,
        now: Instant,
        delivered: &mut dyn FnMut(u64, u32),
    ) {
        let batch = &self.batches[index];
        let partition = batch.partition as usize;
        if batch.outcome != Outcome::Pending {
            self.s.counters.late_answers += 1;
        }
        let failure = Failure::rejected(code);
        let verdict = if code == ErrorCode::NONE { None } else { Some(verdict(code)) };
        match verdict {
            None => {
                if batch.outcome == Outcome::Pending {
                    delivered(now.micros_since(batch.opened_at), batch.count);
                }
                self.acknowledge(index, base_offset, log_append_time, now);
            }
            Some(Verdict::Duplicate) => {
                self.s.counters.duplicates += 1;
                self.acknowledge(index, -1, -1, now);
            }
            Some(verdict @ (Verdict::Refused | Verdict::Lost)) => {
                let unknown = batch.maybe_written || matches!(verdict, Verdict::Lost);
                let outcome = if unknown { Outcome::Unknown(failure) } else { Outcome::Failed(failure) };
                self.leave_flight(index);
                if self.batches[index].outcome == Outcome::Pending {
                    self.conclude(index, outcome);
                } else {
                    self.release(index);
                }
            }
            Some(verdict @ (Verdict::Again | Verdict::AgainElsewhere)) => {
                self.send_again(index, failure);
                self.retry(partition, matches!(verdict, Verdict::AgainElsewhere), now);
            }
            Some(verdict @ (Verdict::Unclear | Verdict::UnclearElsewhere)) => {
                self.return_unanswered(index, failure);
                self.retry(partition, matches!(verdict, Verdict::UnclearElsewhere), now);
            }
            Some(Verdict::OutOfSequence) => self.out_of_sequence(index, failure, now),
        }
        self.reconsider(partition);
    }

    fn retry(&mut self, partition: usize, elsewhere: bool, now: Instant) {
        self.back_off(partition, now);
        if elsewhere {
            // Where it goes next it may be new: if the topic was deleted and made again, nobody knows us there, and any
            // sequence is taken. So the first batch goes alone again, see `sequence`.
            self.queues[partition].known_at = Instant::ZERO;
            self.want_topic(self.cluster.partitions[partition].topic(), now);
        }
    }

    /// A batch is no longer in flight, and takes no part in the counting of its partition's.
    fn leave_flight(&mut self, index: usize) {
        let batch = &mut self.batches[index];
        self.queues[batch.partition as usize].in_flight -= 1;
        if batch.outcome == Outcome::Pending {
            batch.phase = Phase::Queued;
            self.s.in_flight -= 1;
            self.s.queued += 1;
        }
    }

    fn acknowledge(&mut self, index: usize, base_offset: i64, log_append_time: i64, now: Instant) {
        let batch = &self.batches[index];
        let queue = &mut self.queues[batch.partition as usize];
        if batch.sequenced {
            let next = sequence_after(batch.sequence, batch.count);
            // Not back: a batch that was sent again may be answered after its successor.
            let behind = queue.expected_sequence.wrapping_sub(next) & i32::MAX;
            if queue.expected_sequence < 0 || behind > i32::MAX / 2 {
                queue.expected_sequence = next;
            }
        }
        (queue.failures, queue.known_at) = (0, now);
        self.leave_flight(index);
        if self.batches[index].outcome == Outcome::Pending {
            self.conclude(index, Outcome::Written { base_offset, log_append_time });
        } else {
            self.release(index);
        }
    }

    /// The broker misses something before this batch, or does not know us.
    ///
    /// While an earlier batch is to be sent again that is no wonder, and this one just follows it. Otherwise what the
    /// broker had acknowledged is gone there, or what we gave up never arrived: the partition is renumbered when the
    /// batch goes out again, see `sequence`.
    fn out_of_sequence(&mut self, index: usize, failure: Failure, now: Instant) {
        let batch = &self.batches[index];
        let partition = batch.partition as usize;
        if batch.maybe_written && failure.code != ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER {
            // The broker has forgotten us: whether an earlier attempt was written, nobody knows any more.
            self.queues[partition].expected_sequence = -1;
            self.leave_flight(index);
            return match self.batches[index].outcome {
                Outcome::Pending => self.conclude(index, Outcome::Unknown(failure)),
                _ => self.release(index),
            };
        }
        let first = batch.queue.previous().is_none();
        if first && batch.sequence == self.queues[partition].expected_sequence {
            self.s.counters.sequence_gaps += 1;
            warning!(
                "partition {}: the broker misses what it had acknowledged",
                self.cluster.partitions[partition].index
            );
            self.queues[partition].expected_sequence = -1;
        }
        self.batches[index].maybe_written = false;
        self.send_again(index, failure);
        self.back_off(partition, now);
    }

    /// After a Produce response: what it left out is treated as not answered.
    pub(crate) fn produce_answered(&mut self, request: &Request, now: Instant) {
        let mut at = request.batches;
        while let Some(index) = at.get() {
            at = self.batches[index].request_next;
            self.s.counters.protocol_violations += 1;
            let partition = self.batches[index].partition as usize;
            let failure = Failure { connection: Some(ConnectionError::Protocol), ..Failure::NONE };
            self.return_unanswered(index, failure);
            self.retry(partition, true, now);
        }
    }

    /// acks=0: what was written to the network is all that will ever be known.
    pub(crate) fn unacknowledged(&mut self, slot: usize, now: Instant) {
        // Control requests before it are still to be answered; with acks=0 the ring holds only those and this one.
        let mut ring = self.connections[slot].ring;
        let request = ring.pop_back(self.places(slot));
        let connection = &mut self.connections[slot];
        connection.ring = ring;
        connection.produce_in_flight -= 1;
        self.less_outstanding(slot, now);
        let Some(request) = request else { return };
        let mut at = request.batches;
        while let Some(index) = at.get() {
            at = self.batches[index].request_next;
            let partition = self.batches[index].partition as usize;
            self.acknowledge(index, -1, -1, now);
            self.reconsider(partition);
        }
    }
}
