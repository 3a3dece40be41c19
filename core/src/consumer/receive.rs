//! What brokers say of the partitions that are read.

use super::ConsumeFault;
use super::segment::{ABORTED_BYTES, CHUNK_BYTES_MIN, SEGMENT_BYTES, Segment};
use super::table::{Holder, Reading};
use super::verify::put_transaction;
use crate::connection::{ConnectionError, backoff_millis};
use crate::pool::Link;
use crate::protocol::{ApiKey, ErrorCode, TopicItem, fetch, list_offsets};
use crate::state::{Platform, State};
use crate::time::Instant;
use crate::wire::FLEXIBLE;

/// What an error code means for a partition that is read.
enum Verdict {
    /// It may be tried again, after a while.
    Again,
    /// As before, and somebody else may lead it.
    AgainElsewhere,
    /// The log has no such offset.
    OutOfRange,
    /// The broker's last word.
    Refused,
}

fn verdict(code: ErrorCode) -> Verdict {
    use ErrorCode as E;
    match code {
        E::OFFSET_OUT_OF_RANGE => Verdict::OutOfRange,
        E::NOT_LEADER_OR_FOLLOWER
        | E::FENCED_LEADER_EPOCH
        | E::UNKNOWN_LEADER_EPOCH
        | E::UNKNOWN_TOPIC_OR_PARTITION
        | E::UNKNOWN_TOPIC_ID
        | E::INCONSISTENT_TOPIC_ID
        | E::LEADER_NOT_AVAILABLE
        | E::REPLICA_NOT_AVAILABLE
        | E::KAFKA_STORAGE_ERROR => Verdict::AgainElsewhere,
        E::TOPIC_AUTHORIZATION_FAILED | E::UNSUPPORTED_VERSION | E::UNSUPPORTED_FOR_MESSAGE_FORMAT => Verdict::Refused,
        _ => Verdict::Again,
    }
}

impl<P: Platform> State<P> {
    /// One item of a response about offsets.
    pub(crate) fn topic_item(&mut self, slot: usize, api: ApiKey, item: TopicItem<'_>, now: Instant) {
        match item {
            TopicItem::Throttle(millis) => self.throttle(slot, millis, now),
            TopicItem::Topic { name, .. } => self.begin_topic(slot, name),
            TopicItem::Partition { index, error, offset, leader_epoch, .. } => {
                let Some(place) = self.named_place(slot, index) else { return };
                let reading = match api {
                    ApiKey::OffsetCommit | ApiKey::OffsetFetch if !self.group_waits_for(slot) => return,
                    ApiKey::OffsetCommit => return self.commit_answered(place, error, now),
                    ApiKey::OffsetFetch => return self.recalled(place, error, (offset, leader_epoch), now),
                    ApiKey::ListOffsets => Reading::Looking,
                    _ => Reading::Checking,
                };
                let position = &mut self.positions[place];
                if position.asked != Link::to(slot) || position.reading != reading {
                    return;
                }
                position.asked = Link::NONE;
                if error != ErrorCode::NONE {
                    self.read_failed(place, error, now);
                } else if reading == Reading::Looking {
                    self.found(place, offset, now);
                } else {
                    self.epoch_ends(place, leader_epoch, offset);
                }
            }
            TopicItem::Group(error) if error == ErrorCode::NONE || !self.group_waits_for(slot) => {}
            TopicItem::Group(error) => self.group_failed(error, now),
        }
    }

    /// Where to begin.
    fn found(&mut self, place: usize, offset: i64, now: Instant) {
        let position = &mut self.positions[place];
        if offset < 0 && position.target < 0 {
            // Every log has a beginning and an end: another time it may tell.
            return self.back_off_reading(place, now);
        }
        if offset < 0 {
            // No record is as late: what comes next will be.
            position.target = list_offsets::LATEST;
        } else {
            position.reading = Reading::Going;
            (position.next, position.fetch) = (offset, offset);
            // The epoch in which it was written is that of the record to come, not of one that was read.
            position.epoch = -1;
            self.tell_room();
        }
        self.reread(place);
    }

    /// Whether the leader's log has what was read.
    fn epoch_ends(&mut self, place: usize, epoch: i32, end_offset: i64) {
        let position = &mut self.positions[place];
        position.reading = Reading::Going;
        if epoch < 0 || end_offset < 0 {
            return self.reset_reading(place, ConsumeFault::OffsetOutOfRange);
        }
        if end_offset < position.fetch || epoch < position.epoch {
            let end_offset = end_offset.min(position.fetch);
            return self.fail_reading(place, end_offset, ConsumeFault::Truncated { end_offset });
        }
        // Of the leader that was asked: another one may be known by now.
        (position.checked, position.failures) = ((position.target as i32).wrapping_add(1) as u32, 0);
        self.reread(place);
    }

    /// One item of a Fetch response; `frame_left` bytes of the frame are behind it.
    pub(crate) fn fetch_item(
        &mut self,
        slot: usize,
        item: fetch::Item<'_>,
        frame_left: u32,
        now: Instant,
    ) -> Result<(), ConnectionError> {
        match item {
            fetch::Item::Start { throttle_ms, error, session_id } => {
                self.throttle(slot, throttle_ms, now);
                if let Err(error) = self.session_item(slot, session_id, error) {
                    self.all_failed(slot, error, now);
                }
            }
            fetch::Item::Topic { name, id, .. } => {
                self.end_segment(slot);
                self.begin_topic(slot, name);
                if FLEXIBLE && name.is_empty() {
                    self.connections[slot].receive.topic = self.cluster.find_topic_id(id).map_or(Link::NONE, Link::to);
                }
            }
            fetch::Item::Partition { index, error, high_watermark, last_stable_offset, .. } => {
                // Behind a transaction that is open there is nothing yet for who reads what is committed.
                let end = if self.reads_committed() { last_stable_offset } else { high_watermark };
                self.begin_partition(slot, index, error, end, now);
            }
            // Nobody else asked for them.
            fetch::Item::AbortedTransaction { .. } if !self.reads_committed() => {}
            fetch::Item::AbortedTransaction { producer_id, first_offset } => {
                self.aborted(slot, producer_id, first_offset);
            }
            fetch::Item::Records { preferred_read_replica, length } => {
                if length > frame_left {
                    return Err(ConnectionError::Protocol);
                }
                if let Some(place) = self.coming(slot) {
                    self.prefer(place, preferred_read_replica, now);
                }
                self.records_come(slot, length);
            }
            _ if !FLEXIBLE => {}
            fetch::Item::DivergingEpoch { end_offset, .. } => {
                if let Some(place) = self.coming(slot) {
                    self.diverges(place, end_offset, now);
                }
            }
            fetch::Item::CurrentLeader { leader_id, leader_epoch } => {
                if let Some(place) = self.leader_hint(slot, leader_id, leader_epoch) {
                    // As for a producer: no reason to wait, but only once.
                    if self.positions[place].failures <= 1 {
                        self.positions[place].retry_at = Instant::ZERO;
                    }
                    self.reread(place);
                }
            }
            fetch::Item::NodeEndpoint { node_id, host, port } => self.leader_endpoint(node_id, host, port),
        }
        Ok(())
    }

    /// The broker's log was truncated below what was read: from `end_offset` on it has other records.
    fn diverges(&mut self, place: usize, end_offset: i64, now: Instant) {
        // As with errors: a replica may have lost what its leader has.
        if self.leave_replica(place, now) {
            return;
        }
        // The end of an older epoch may be behind what was read of a newer one that is gone.
        let end_offset = end_offset.min(self.positions[place].fetch);
        self.fail_reading(place, end_offset, ConsumeFault::Truncated { end_offset });
    }

    /// The place of the partition that is being received, if something of it is wanted.
    fn coming(&self, slot: usize) -> Option<usize> {
        let place = self.connections[slot].receive.partition.get()?;
        (self.positions[place].asked == Link::to(slot)).then_some(place)
    }

    pub(super) fn begin_topic(&mut self, slot: usize, name: &[u8]) {
        let topic = self.cluster.find_topic(name);
        let receive = &mut self.connections[slot].receive;
        (receive.topic, receive.partition) = (topic.map_or(Link::NONE, Link::to), Link::NONE);
    }

    /// The place of a partition whose records an answer may have, if they were asked for over this connection.
    fn asked_place(&self, slot: usize, index: i32) -> Option<usize> {
        let place = self.named_place(slot, index)?;
        let position = &self.positions[place];
        (position.asked == Link::to(slot) && position.reading == Reading::Going).then_some(place)
    }

    /// The place of a partition of the topic that an answer named last.
    pub(super) fn named_place(&self, slot: usize, index: i32) -> Option<usize> {
        let topic = self.connections[slot].receive.topic.get()?;
        let place = crate::cluster::find_place(&self.cluster.partitions, topic, index)?;
        self.positions.get(place).map(|_| place)
    }

    /// A partition of the answer: until that is there as a whole nobody else is asked for it.
    fn begin_partition(&mut self, slot: usize, index: i32, error: ErrorCode, end: i64, now: Instant) {
        self.end_segment(slot);
        let place = self.asked_place(slot, index);
        self.connections[slot].receive.partition = place.map_or(Link::NONE, Link::to);
        let Some(place) = place else { return };
        if error != ErrorCode::NONE {
            // Nothing more of it is wanted but a hint.
            self.positions[place].asked = Link::NONE;
            return self.read_failed(place, error, now);
        }
        #[cfg(not(feature = "one-version"))]
        if self.is_of_another_topic(slot, place) {
            self.positions[place].asked = Link::NONE;
            return self.fail_reading(place, 0, ConsumeFault::Truncated { end_offset: 0 });
        }
        let position = &mut self.positions[place];
        (position.failures, position.high_watermark) = (0, end);
        if position.epoch < 0 {
            // What is read from now on is in the log of the leader that was asked, who need not be the one that is known by now.
            position.checked = position.told.leader_epoch.wrapping_add(1) as u32;
        }
        let Some(chunk) = self.chunk_of(slot) else { return };
        let chunk = &mut self.chunks[chunk];
        chunk.end = chunk.filled.saturating_add(SEGMENT_BYTES as u32);
    }

    /// Whether what is there now is of another topic of the same name than what was read. If that has as many records by now, and
    /// as many epochs, a broker has nothing to say against going on behind its first ones. Only who answers by the topic's id
    /// tells which of them it has.
    #[cfg(not(feature = "one-version"))]
    fn is_of_another_topic(&mut self, slot: usize, place: usize) -> bool {
        if !self.connections[slot].session.by_id {
            return false;
        }
        let [a, b, c, d, ..] = self.cluster.topics[self.cluster.partitions[place].topic()].id();
        let topic = u32::from_le_bytes([a, b, c, d]);
        let position = &mut self.positions[place];
        let before = core::mem::replace(&mut position.read_of, topic);
        // Of what was read since somebody last said where: a place in the new log may be sought.
        before != 0 && before != topic && position.epoch >= 0
    }

    /// The chunk of the request that is being answered.
    pub(super) fn chunk_of(&mut self, slot: usize) -> Option<usize> {
        let ring = self.connections[slot].ring;
        let chunk = ring.front(self.places(slot))?.batches.get()?;
        (self.chunks.get(chunk)?.holder == Holder::Request).then_some(chunk)
    }

    fn aborted(&mut self, slot: usize, producer_id: i64, first_offset: i64) {
        let Some(chunk) = self.chunk_of(slot).filter(|_| self.coming(slot).is_some()) else { return };
        let chunk = &mut self.chunks[chunk];
        let at = chunk.end as usize;
        // Behind them there must be room for a batch.
        let room = ABORTED_BYTES + CHUNK_BYTES_MIN - SEGMENT_BYTES;
        let free = chunk.buffer.as_mut().and_then(|buffer| buffer.get_mut(at..)).filter(|free| free.len() >= room);
        let place = free.and_then(|free| free.first_chunk_mut::<ABORTED_BYTES>());
        match place {
            Some(place) => {
                put_transaction(place, producer_id, first_offset);
                chunk.end += ABORTED_BYTES as u32;
            }
            // Without all of them nobody could tell what was aborted: the partition is asked for again, with more room if
            // there ever is.
            None => {
                let (alone, capacity) =
                    (chunk.filled == 0, self.s.consumer.chunk_bytes.saturating_sub(CHUNK_BYTES_MIN as u32));
                let place = core::mem::take(&mut self.connections[slot].receive.partition).get();
                if let Some(place) = place.filter(|_| alone) {
                    let next = self.positions[place].next;
                    let fits = capacity / ABORTED_BYTES as u32;
                    self.fail_reading(place, next, ConsumeFault::TooManyAborted { fits });
                }
            }
        }
    }

    fn records_come(&mut self, slot: usize, length: u32) {
        let wanted = self.coming(slot).is_some();
        let Some(chunk) = self.chunk_of(slot) else { return };
        let chunk = &mut self.chunks[chunk];
        let capacity = chunk.buffer.as_ref().map_or(0, |buffer| buffer.len()) as u32;
        chunk.transactions = chunk.end.saturating_sub(chunk.filled).saturating_sub(SEGMENT_BYTES as u32);
        chunk.wanted = if wanted { length.min(capacity.saturating_sub(chunk.end)) } else { 0 };
        chunk.shares = chunk.shares.saturating_add(u16::from(length > 0));
    }

    /// Takes records that came with other bytes of the answer, if there is a place for them; how many.
    pub(crate) fn land(&mut self, slot: usize, bytes: &[u8]) -> usize {
        let Some(index) = self.chunk_of(slot) else { return 0 };
        let chunk = &mut self.chunks[index];
        let count = bytes.len().min(chunk.wanted as usize);
        let end = chunk.end as usize;
        let Some(place) = chunk.buffer.as_mut().and_then(|buffer| buffer.get_mut(end..end + count)) else { return 0 };
        place.copy_from_slice(bytes.get(..count).unwrap_or(&[]));
        self.chunk_filled(slot, index, count as u32);
        count
    }

    /// So many bytes of records are in the chunk that were still to come.
    pub(super) fn chunk_filled(&mut self, slot: usize, index: usize, count: u32) {
        self.connections[slot].receive.records_taken(count);
        self.stream_landed(index, count);
        let chunk = &mut self.chunks[index];
        chunk.end += count;
        chunk.wanted = chunk.wanted.saturating_sub(count);
        self.chunk_landed(slot, index);
    }

    /// The segment that is being received is whole, if there is one.
    fn end_segment(&mut self, slot: usize) {
        let Some(place) = core::mem::take(&mut self.connections[slot].receive.partition).get() else { return };
        let Some(index) = self.chunk_of(slot) else { return };
        let chunk = &mut self.chunks[index];
        let start = chunk.filled as usize;
        let records = chunk.end.saturating_sub(chunk.filled + SEGMENT_BYTES as u32 + chunk.transactions);
        let position = &self.positions[place];
        // Who has gone elsewhere since, or paused, does not want what was asked for before.
        let wanted = position.asked == Link::to(slot) && position.reading == Reading::Going;
        if records == 0 || !wanted {
            chunk.end = chunk.filled;
            return;
        }
        // Alone in the answer, so that the broker has sent the first batch whole.
        let detail = u32::from(chunk.shares == 1);
        let segment = Segment { detail, ..Segment::arrived(place, position, chunk.transactions, records) };
        if chunk.buffer.as_mut().and_then(|buffer| buffer.get_mut(start..)).is_some_and(|bytes| segment.write(bytes)) {
            chunk.filled = chunk.end;
        }
    }

    /// The answer is over: what it brought is to be verified.
    pub(crate) fn fetch_answered(&mut self, slot: usize, now: Instant) {
        self.end_segment(slot);
        let Some(chunk) = self.chunk_of(slot).filter(|&chunk| self.chunks[chunk].filled > 0) else { return };
        let mut from = 0;
        while let Some(segment) = self.segment_at(chunk, from) {
            from += segment.bytes();
            if let Some(position) = self.positions.get_mut(segment.place as usize) {
                position.held = position.held.saturating_add(1);
            }
        }
        self.chunks[chunk].holder = Holder::Verifier;
        (self.connections[slot].verify, self.connections[slot].brought_at) = (Link::to(chunk), now);
    }

    fn all_failed(&mut self, slot: usize, error: ErrorCode, now: Instant) {
        for place in 0..self.known_positions().len() {
            let position = &self.positions[place];
            if position.asked == Link::to(slot) && position.reading == Reading::Going {
                self.positions[place].asked = Link::NONE;
                self.read_failed(place, error, now);
            }
        }
    }

    fn read_failed(&mut self, place: usize, error: ErrorCode, now: Instant) {
        // Of a replica's word only that it cannot be read there is believed.
        if self.leave_replica(place, now) {
            return self.reread(place);
        }
        match verdict(error) {
            Verdict::Refused => {
                let next = self.positions[place].next;
                self.fail_reading(place, next, ConsumeFault::Refused(error));
            }
            Verdict::OutOfRange => {
                self.reset_reading(place, ConsumeFault::OffsetOutOfRange);
                // A broker may name an offset, and then not have it, again and again.
                self.back_off_reading(place, now);
            }
            verdict => {
                self.back_off_reading(place, now);
                if matches!(verdict, Verdict::AgainElsewhere) {
                    let topic = self.cluster.partitions[place].topic();
                    self.want_topic(topic, now);
                }
            }
        }
    }

    /// The partition waits before it is asked for again (KIP-580).
    pub(super) fn back_off_reading(&mut self, place: usize, now: Instant) {
        let random = self.random();
        let (base, max) = (self.settings.retry_backoff, self.settings.retry_backoff_max);
        let position = &mut self.positions[place];
        position.failures = position.failures.saturating_add(1);
        position.retry_at = now.after_millis(backoff_millis(base, max, position.failures, random));
        let at = position.retry_at;
        self.wake_clock_by(at);
    }
}
