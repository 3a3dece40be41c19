//! What a connection received, and what follows from it.

use super::batch::Phase;
use super::batch::sequence_after;
use super::{Failure, Identity, Outcome, Platform, Reason, State};
use crate::cluster::{Open, TopicState, Versions, find_place};
use crate::connection::{ConnectionError, Phase as Link_, Received, Request};
use crate::pool::Link;
use crate::protocol::{ApiKey, ErrorCode, api_versions, init_producer_id, produce};
use crate::time::Instant;
use crate::wire::FLEXIBLE;

/// Nobody is silent for longer, whatever a broker asks for: Kafka's own answers stay below its quota windows, some seconds.
const SILENCE_MAX_MILLIS: i32 = 60_000;

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
    /// Reads what has arrived and acts on it; how many bytes were used up. The rest is an incomplete item: it must be
    /// there again, with more behind it, at the next call. `delivered` is told the age in microseconds and the records
    /// of each batch that was acknowledged.
    ///
    /// Not inlined: what it needs of registers and stack would weigh on all of the connection's future.
    #[inline(never)]
    pub(crate) fn receive(
        &mut self,
        slot: usize,
        bytes: &[u8],
        now: Instant,
        delivered: &mut dyn FnMut(u64, u32),
    ) -> Result<usize, ConnectionError> {
        let used = self.receive_items(slot, bytes, now, delivered);
        if used.is_ok() {
            self.awake(slot);
        }
        used
    }

    fn receive_items(
        &mut self,
        slot: usize,
        bytes: &[u8],
        now: Instant,
        delivered: &mut dyn FnMut(u64, u32),
    ) -> Result<usize, ConnectionError> {
        let (mut window, purpose) = (bytes, self.purpose());
        loop {
            let connection = &self.connections[slot];
            if !connection.is_open() {
                return Err(connection.error.unwrap_or(ConnectionError::Closed));
            }
            #[cfg(feature = "consumer")]
            if self.connections[slot].receive.records_left() > 0 {
                let here = window.len().min(self.connections[slot].receive.records_left() as usize);
                let landed = self.land(slot, window.get(..here).unwrap_or(&[]));
                window = window.get(landed..).unwrap_or(&[]);
                // With the last of them the response may be over, without another byte.
                let more = self.connections[slot].receive.records_left() > 0;
                if window.is_empty() && more || self.holds_back(slot) {
                    return Ok(bytes.len() - window.len());
                }
            }
            let between_frames = self.connections[slot].receive.is_between_frames();
            if between_frames && window.is_empty() {
                return Ok(bytes.len());
            }
            let front = if between_frames { self.answerable(slot) } else { None };
            match self.connections[slot].receive.next(&mut window, front.as_ref(), purpose)? {
                None => return Ok(bytes.len() - window.len()),
                Some(Received::Done) => {
                    #[cfg(feature = "consumer")]
                    self.fetch_answered(slot, now);
                    self.answered(slot, now);
                    #[cfg(feature = "consumer")]
                    if !self.connections[slot].verify.is_none() {
                        return Ok(bytes.len() - window.len());
                    }
                }
                Some(Received::ApiVersions(item)) => self.api_versions_item(slot, item, now)?,
                Some(Received::Metadata(item)) => {
                    if let crate::protocol::metadata::Item::Throttle(millis) = item {
                        self.throttle(slot, millis, now);
                    }
                    self.metadata_item(slot, &item);
                }
                Some(Received::InitProducerId(_) | Received::Produce(_)) if !purpose.writes => {}
                Some(Received::InitProducerId(item)) => self.identity_item(slot, item, now),
                Some(Received::Produce(item)) => self.produce_item(slot, item, now, delivered),
                #[cfg(feature = "consumer")]
                Some(Received::Fetch(item)) => {
                    let left = self.connections[slot].receive.frame_left();
                    self.fetch_item(slot, item, left, now)?;
                }
                #[cfg(feature = "consumer")]
                Some(Received::ByTopic(api, item)) => self.topic_item(slot, api, item, now),
                #[cfg(feature = "consumer")]
                Some(Received::FindCoordinator(_)) if !purpose.has_group => {}
                #[cfg(feature = "consumer")]
                Some(Received::FindCoordinator(item)) => self.coordinator_item(slot, item, now),
            }
        }
    }

    /// The request that the next response must be for. What is not written to its end cannot be answered: a peer that
    /// does is not to be believed.
    fn answerable(&mut self, slot: usize) -> Option<Request> {
        let connection = &self.connections[slot];
        let ring = connection.ring;
        let unwritten = ring.len() == 1 && connection.writing && !connection.write_at.0.is_none();
        if unwritten { None } else { ring.front(self.places(slot)) }
    }

    /// The response to the front request is complete.
    pub(super) fn answered(&mut self, slot: usize, now: Instant) {
        let Some(request) = self.pop(slot) else { return };
        let connection = &mut self.connections[slot];
        connection.answered = true;
        connection.used_at = now;
        match request.api {
            ApiKey::ApiVersions => {
                // Without an answer that activated the connection, it asks again or closes, see the items.
                self.negotiated(slot, now);
            }
            ApiKey::Metadata => {
                self.metadata_answered(slot, now);
                #[cfg(feature = "consumer")]
                self.want_topic_ids(slot, request.version, now);
            }
            ApiKey::Produce if self.writes() => {
                #[cfg(feature = "scaling")]
                {
                    self.connections[slot].heard = true;
                }
                self.produce_answered(&request, now);
            }
            #[cfg(feature = "consumer")]
            ApiKey::Fetch | ApiKey::ListOffsets | ApiKey::OffsetForLeaderEpoch => {
                self.read_request_over(slot, &request);
                self.reread_all();
            }
            #[cfg(feature = "consumer")]
            ApiKey::FindCoordinator | ApiKey::OffsetCommit | ApiKey::OffsetFetch if self.has_group() => {
                self.group_request_over();
            }
            _ => {}
        }
        self.less_outstanding(slot, now);
    }

    /// When nothing is outstanding any more the slot is free for another broker, or idle from now on.
    fn less_outstanding(&mut self, slot: usize, now: Instant) {
        let connection = &self.connections[slot];
        if !connection.ring.is_empty() {
            return;
        }
        if connection.phase == Link_::Draining || self.s.connections_wanted || self.s.closing {
            self.wake_clock();
        } else {
            self.wake_clock_by(now.after_millis(self.settings.connections_max_idle));
        }
    }

    pub(crate) fn throttle(&mut self, slot: usize, millis: i32, now: Instant) {
        if millis > 0 {
            self.s.counters.throttles += 1;
            let until = now.after_millis(millis.min(SILENCE_MAX_MILLIS) as u32);
            // Kafka mutes the connection; the quota is the client's, whatever number of connections it has there.
            let broker = self.connections[slot].broker;
            for connection in self.connections.iter_mut().filter(|c| c.broker == broker) {
                connection.throttled_until = connection.throttled_until.max(until);
            }
            self.wake_clock_by(until);
        }
    }

    fn api_versions_item(
        &mut self,
        slot: usize,
        item: api_versions::Item,
        now: Instant,
    ) -> Result<(), ConnectionError> {
        let connection = &mut self.connections[slot];
        match item {
            api_versions::Item::Error(ErrorCode::NONE) => connection.offered = Versions::NONE,
            api_versions::Item::Error(ErrorCode::UNSUPPORTED_VERSION) if connection.api_versions_version > 0 => {
                // Too new for this broker; version 0 is known to all.
                connection.api_versions_version = 0;
                connection.api_versions_sent = false;
                // So old a broker offers none of the versions that are assumed of those that nobody knows yet.
                if connection.phase == Link_::Negotiating {
                    connection.versions = Versions::NONE;
                }
            }
            api_versions::Item::Error(code) => {
                debug!("ApiVersions: error {}", code.0);
                return Err(ConnectionError::UnsupportedVersion { api_key: ApiKey::ApiVersions as i16 });
            }
            api_versions::Item::Range { key, min, max } => connection.offered.offer(key, min, max),
            api_versions::Item::Throttle(millis) => self.throttle(slot, millis, now),
        }
        Ok(())
    }

    fn negotiated(&mut self, slot: usize, now: Instant) {
        let (connection, writes) = (&self.connections[slot], self.writes());
        if !connection.api_versions_sent {
            return; // It is asked again, with an older version.
        }
        // From now on what it says counts, not what was assumed.
        let connection = &mut self.connections[slot];
        connection.versions = connection.offered;
        // Of these a broker that is too old, or too new, has no version that is known here.
        let needed: &[ApiKey] = match writes {
            true => &[ApiKey::Produce, ApiKey::Metadata],
            false => &[ApiKey::Fetch, ApiKey::ListOffsets, ApiKey::Metadata],
        };
        for &api in needed {
            if connection.versions.get(api).is_none() {
                let error = ConnectionError::UnsupportedVersion { api_key: api as i16 };
                return self.close_connection(slot, error);
            }
        }
        self.confirm(slot);
        self.activate(slot, now);
    }

    fn metadata_item(&mut self, slot: usize, item: &crate::protocol::metadata::Item<'_>) {
        let mut reading = self.connections[slot].receive.metadata;
        let moved = self.cluster.metadata_item(&mut reading, item);
        self.connections[slot].receive.metadata = reading;
        self.close_moved(moved);
        #[cfg(all(feature = "consumer", not(feature = "one-version")))]
        if core::mem::take(&mut self.cluster.metadata.topic_ids_changed) {
            self.renew_sessions();
        }
    }

    /// A node has another address now; what is connected under the old one is somebody else or nobody.
    pub(crate) fn close_moved(&mut self, broker: Option<usize>) {
        let Some(broker) = broker else { return };
        for slot in 0..self.connections.len() {
            if self.connections[slot].broker == Link::to(broker) {
                self.close_connection(slot, ConnectionError::Closed);
            }
        }
    }

    fn metadata_answered(&mut self, slot: usize, now: Instant) {
        self.s.counters.metadata_responses += 1;
        let reading = self.connections[slot].receive.metadata;
        let open = self.cluster.metadata_ends();
        if open == Open::Nothing {
            self.cluster.metadata.failures = 0;
        } else if open == Open::NotAsked {
            self.cluster.metadata.not_before = now;
            self.want_metadata(now);
        } else {
            let random = self.random();
            let settings = &*self.settings;
            let metadata = &mut self.cluster.metadata;
            metadata.failures = metadata.failures.saturating_add(1);
            let (base, max) = (settings.retry_backoff, settings.retry_backoff_max);
            let again = now.after_millis(crate::connection::backoff_millis(base, max, metadata.failures, random));
            self.want_metadata(again);
        }
        if reading.rebootstrap_required() {
            self.rebootstrap();
        }
        self.fail_hopeless();
        #[cfg(feature = "consumer")]
        self.fail_hopeless_reading();
        self.reconsider_all();
        self.tell_room();
        self.wake_clock();
    }

    /// The cluster wants its clients to begin anew (KIP-1102): every address but the user's is forgotten.
    fn rebootstrap(&mut self) {
        self.s.counters.rebootstraps += 1;
        self.disconnect();
        self.cluster.forget_learnt();
    }

    /// Every connection is let go of as if the network had cut it.
    pub(crate) fn disconnect(&mut self) {
        for slot in 0..self.connections.len() {
            self.close_connection(slot, ConnectionError::Closed);
        }
    }

    /// Ends what can never be sent: of topics that are refused, and for partitions that were named before it was known
    /// that the topic does not have them.
    fn fail_hopeless(&mut self) {
        for partition in 0..self.known_partitions() {
            let entry = &self.cluster.partitions[partition];
            if !entry.is_used() || self.queues[partition].batches.is_empty() {
                continue;
            }
            let topic = &self.cluster.topics[entry.topic()];
            match topic.state() {
                TopicState::Refused(code) => self.fail_unsent(partition, Failure::rejected(code)),
                TopicState::Known if entry.index as u32 >= topic.partition_count => {
                    let code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
                    let failure = Failure { reason: Reason::NoSuchPartition, code, connection: None };
                    self.fail_unsent(partition, failure);
                    // If nothing was ever sent to it there is nothing to remember: others may have its place.
                    let queue = &self.queues[partition];
                    let sent = queue.in_flight > 0 || queue.identified || queue.known_at > Instant::ZERO;
                    self.cluster.partitions[partition].pinned = sent;
                    let topic = &mut self.cluster.topics[self.cluster.partitions[partition].topic()];
                    if topic.sticky == Link::to(partition) {
                        topic.sticky = Link::NONE;
                    }
                }
                _ => {}
            }
        }
    }

    /// Ends every batch of the partition that is not in flight.
    pub(super) fn fail_unsent(&mut self, partition: usize, failure: Failure) {
        while let Some(index) = self.unsent(partition) {
            let outcome =
                if self.batches[index].maybe_written { Outcome::Unknown(failure) } else { Outcome::Failed(failure) };
            self.conclude(index, outcome);
        }
    }

    fn identity_item(&mut self, slot: usize, item: init_producer_id::Item, now: Instant) {
        let init_producer_id::Item::Done { throttle_ms, error, producer_id, producer_epoch } = item;
        self.throttle(slot, throttle_ms, now);
        if self.s.identity != Identity::Asked {
            return;
        }
        if error != ErrorCode::NONE || producer_id < 0 || producer_epoch < 0 {
            return self.no_identity(error, now);
        }
        self.s.identity = Identity::Known;
        self.s.identity_failures = 0;
        (self.s.producer_id, self.s.producer_epoch) = (producer_id, producer_epoch);
        self.reconsider_all();
    }

    /// The broker gave no producer id: it is asked again later, unless it never will.
    pub(super) fn no_identity(&mut self, code: ErrorCode, now: Instant) {
        let random = self.random();
        self.s.identity = Identity::Wanted;
        self.s.identity_slot = Link::NONE;
        self.s.identity_failures = self.s.identity_failures.saturating_add(1);
        let (base, max) = (self.settings.retry_backoff, self.settings.retry_backoff_max);
        let wait = crate::connection::backoff_millis(base, max, self.s.identity_failures, random);
        self.s.identity_at = now.after_millis(wait);
        let hopeless = [
            ErrorCode::CLUSTER_AUTHORIZATION_FAILED,
            ErrorCode::UNSUPPORTED_VERSION,
            ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        ];
        if hopeless.contains(&code) {
            warning!("no producer id: broker error {}", code.0);
            for partition in 0..self.known_partitions() {
                if !self.queues[partition].identified {
                    self.fail_unsent(partition, Failure { reason: Reason::NoProducerId, code, connection: None });
                }
            }
        }
        self.wake_clock();
    }

    pub(super) fn produce_item(
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
                // Only a newer epoch is news: two brokers that name each other must not be believed in turn.
                if let Some(partition) = self.connections[slot].receive.partition.get()
                    && leader_id >= 0
                    && leader_epoch > self.cluster.partitions[partition].leader_epoch
                    && self.cluster.partition(partition, leader_id, leader_epoch)
                {
                    self.s.counters.leader_hints += 1;
                    // Whom to ask is known: no reason to wait (KIP-951). But only once: two brokers that name each other under
                    // ever newer epochs would be asked in a circle.
                    if self.queues[partition].failures <= 1 {
                        self.queues[partition].retry_at = Instant::ZERO;
                    }
                    self.reconsider(partition);
                }
            }
            produce::Item::NodeEndpoint { node_id, host, port } => {
                let moved = self.cluster.broker(node_id, host, port);
                self.close_moved(moved);
                self.s.connections_wanted = true;
                self.wake_clock();
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
            self.cluster.topics[self.cluster.partitions[partition].topic()].wanted = true;
            self.want_metadata(now);
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
    fn produce_answered(&mut self, request: &Request, now: Instant) {
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
    pub(super) fn unacknowledged(&mut self, slot: usize, now: Instant) {
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
