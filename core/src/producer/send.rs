//! Produce requests.
//!
//! One carries every partition of its broker that has something to send. Its batches stay linked through their slots until
//! it is answered. They are handed to the writer a few at a time, each buffer moved out of the state and owned by the writer
//! until it is put back.

use super::batch::Phase;
use super::queue::ready_hooks;
use super::{Acks, Platform, State};
use crate::connection::{ConnectionError, Request};
use crate::pool::Link;
use crate::protocol::{self, ApiKey, produce};
use crate::records;
use crate::time::Instant;
use crate::wire::Writer;

/// Batches that go to the network in one gathered write.
pub(crate) const GATHER: usize = if cfg!(feature = "gather") { 8 } else { 1 };

/// Bytes that end a Produce request behind its last batch, at most.
const TAIL_BYTES: usize = 3;

/// A batch on its way out: the buffer itself, moved.
pub(crate) struct Taken<B> {
    pub(crate) buffer: B,
    pub(crate) slot: u16,
    pub(crate) generation: u32,
    pub(crate) length: u32,
    /// Its header is new, and has no CRC yet.
    pub(crate) lacks_crc: bool,
    /// Bytes of the frame that go before it, from the frame's beginning.
    pub(crate) frame_before: u16,
}

/// A request, or a part of one: bytes of the frame buffer with batches between them. It is filled where it lies, because on
/// a device moving it costs more than what it describes.
pub(crate) struct Outgoing<B> {
    pub(crate) frame_bytes: usize,
    pub(crate) batches: [Option<Taken<B>>; GATHER],
}

impl<B> Outgoing<B> {
    pub(crate) const EMPTY: Outgoing<B> = Outgoing { frame_bytes: 0, batches: [const { None }; GATHER] };
}

impl<P: Platform> State<P> {
    /// A Produce request with all that is ready for this connection.
    pub(crate) fn produce(
        &mut self,
        slot: usize,
        now: Instant,
        frame: &mut [u8],
        outgoing: &mut Outgoing<P::Buffer>,
    ) -> Option<usize> {
        let connection = &self.connections[slot];
        if connection.ready.is_empty() || connection.produce_in_flight >= self.s.max_in_flight {
            return None;
        }
        let Some(version) = connection.versions.get(ApiKey::Produce) else {
            self.close_connection(slot, ConnectionError::UnsupportedVersion { api_key: ApiKey::Produce as i16 });
            return None;
        };
        let correlation_id = connection.ring.next_correlation_id();
        let first = self.collect(slot, now);
        if first.is_none() {
            return None;
        }
        let deadline = now.after_millis(self.settings.request_timeout);
        let request = Request { correlation_id, api: ApiKey::Produce, version, deadline, batches: first };
        self.push(slot, request, now);
        self.wake_clock_by(deadline);
        let connection = &mut self.connections[slot];
        (connection.produce_in_flight, connection.writing) = (connection.produce_in_flight + 1, true);
        connection.writes = correlation_id;
        self.s.counters.requests += 1;
        #[cfg(feature = "scaling")]
        self.begin_to_sample(now);
        self.gather(slot, frame, true, outgoing)
    }

    /// Takes the ready batches that fit into one request and links them, those of a topic together; the first.
    fn collect(&mut self, slot: usize, now: Instant) -> Link {
        let (mut first, mut bytes) = (Link::NONE, 0u32);
        let limit = self.settings.max_request_size;
        while let Some(partition) = self.connections[slot].ready.pop_front(&mut self.queues, ready_hooks) {
            self.queues[partition].ready_on = Link::NONE;
            let Some(index) = self.sendable(partition, slot, now) else { continue };
            let length = self.batches[index].length;
            if !first.is_none() && bytes.saturating_add(length) > limit {
                // It goes with the next request, and first.
                self.connections[slot].ready.push_front(&mut self.queues, partition, ready_hooks);
                self.queues[partition].ready_on = Link::to(slot);
                break;
            }
            if !self.number(index, now) {
                continue;
            }
            bytes = bytes.saturating_add(length);
            self.move_to(partition, slot);
            self.depart(index);
            let topic = self.cluster.partitions[partition].topic();
            let entry = &mut self.cluster.topics[topic];
            let after = core::mem::replace(&mut entry.last_in_request, Link::to(index));
            match after.get() {
                Some(after) => {
                    let next = core::mem::replace(&mut self.batches[after].request_next, Link::to(index));
                    self.batches[index].request_next = next;
                }
                None => self.batches[index].request_next = core::mem::replace(&mut first, Link::to(index)),
            }
        }
        let mut at = first;
        while let Some(index) = at.get() {
            let partition = self.batches[index].partition as usize;
            let topic = self.cluster.partitions[partition].topic();
            self.cluster.topics[topic].last_in_request = Link::NONE;
            // More of the same partition waits for the next request: Kafka takes one batch a partition in each.
            self.reconsider(partition);
            at = self.batches[index].request_next;
        }
        first
    }

    /// The batch of the partition that may go out over this connection now.
    pub(crate) fn sendable(&mut self, partition: usize, slot: usize, now: Instant) -> Option<usize> {
        let index = self.next_in_sequence(partition)?;
        let leads = self.leader_connection(partition) == Some(slot);
        let queue = &self.queues[partition];
        // A batch may have been answered while the writer still has its buffer; it comes back in a moment.
        let whole = self.batches[index].buffer.is_some();
        let here = whole && (queue.connection == Link::to(slot) || queue.in_flight == 0);
        let free = queue.in_flight == 0 || (!queue.retrying && queue.in_flight < self.window(partition, now));
        if !here || !leads || !free || queue.retry_at > now {
            return None;
        }
        if self.batches[index].phase == Phase::Open {
            if !self.is_due(index, now) {
                return None;
            }
            self.seal(index);
        }
        Some(index)
    }

    /// The first batch of the partition that is not in flight.
    pub(crate) fn unsent(&self, partition: usize) -> Option<usize> {
        let mut at = self.queues[partition].batches.first();
        while let Some(index) = at {
            if self.batches[index].phase != Phase::InFlight {
                return Some(index);
            }
            at = self.batches[index].queue.next().get();
        }
        None
    }

    /// From now on the partition's requests go over this connection. The one place where that changes, and it may only
    /// while nothing is in flight: so no two connections ever carry the same partition.
    fn move_to(&mut self, partition: usize, slot: usize) {
        let queue = &mut self.queues[partition];
        if queue.connection != Link::to(slot) {
            debug_assert!(queue.in_flight == 0, "a partition moved with requests in flight");
            #[cfg(feature = "scaling")]
            if !queue.connection.is_none() {
                self.s.counters.partitions_moved += 1;
            }
            queue.connection = Link::to(slot);
        }
        queue.retrying = false;
    }

    fn depart(&mut self, index: usize) {
        let batch = &mut self.batches[index];
        debug_assert!(batch.phase == Phase::Queued);
        batch.phase = Phase::InFlight;
        // A retry sends the same bytes.
        #[cfg(feature = "compression")]
        {
            batch.packed = true;
        }
        if batch.attempts > 0 {
            self.s.counters.retries += 1;
        }
        batch.attempts = batch.attempts.saturating_add(1);
        self.s.queued -= 1;
        self.s.in_flight += 1;
        self.queues[batch.partition as usize].in_flight += 1;
    }

    /// The next part of the Produce request that was pushed last: what of it has not been written. If it `begins`, its
    /// beginning.
    pub(crate) fn gather(
        &mut self,
        slot: usize,
        frame: &mut [u8],
        begins: bool,
        outgoing: &mut Outgoing<P::Buffer>,
    ) -> Option<usize> {
        let ring = self.connections[slot].ring;
        let request = ring.back_mut(self.places(slot)).copied()?;
        let version = request.version;
        let capacity = frame.len();
        let mut frame_bytes = 0;
        let mut writer = Writer::new(frame);
        let (mut at, mut topic) = if begins {
            self.begin_produce(&mut writer, &request);
            (request.batches, Link::NONE)
        } else {
            self.connections[slot].write_at
        };
        let (mut taken, mut batch_bytes) = (0, 0);
        while let Some(index) = at.get() {
            if taken == GATHER {
                break;
            }
            let next_topic = self.before_batch(&mut writer, version, topic, index);
            if writer.position() + TAIL_BYTES > capacity {
                break;
            }
            frame_bytes = writer.position();
            topic = next_topic;
            at = self.batches[index].request_next;
            let Some(batch) = self.take_out(index, frame_bytes) else {
                self.take_back(outgoing);
                self.close_connection(slot, ConnectionError::Closed);
                return None;
            };
            batch_bytes += batch.length as usize;
            outgoing.batches[taken] = Some(batch);
            taken += 1;
        }
        if taken == 0 && !at.is_none() {
            let needed = writer.position() + TAIL_BYTES;
            self.close_connection(slot, ConnectionError::frame_too_small(needed, capacity));
            return None;
        }
        if at.is_none() {
            end_produce(&mut writer, version);
            frame_bytes = writer.position();
        }
        if begins {
            let whole = if at.is_none() { frame_bytes + batch_bytes } else { self.measure(&request) };
            protocol::patch_frame_length(&mut writer, whole);
        }
        self.connections[slot].write_at = (at, topic);
        Some(frame_bytes)
    }

    /// Moves a batch out of the state, with its header; `frame_before` bytes of the frame go before it. None if it was settled while
    /// its request was being written: that left a hole that cannot be filled.
    fn take_out(&mut self, index: usize, frame_before: usize) -> Option<Taken<P::Buffer>> {
        let batch = &mut self.batches[index];
        let mut buffer = batch.buffer.take()?;
        let (generation, length) = (batch.generation, batch.length);
        let lacks_crc = !core::mem::replace(&mut batch.sealed, true);
        if lacks_crc && let Some(bytes) = buffer.get_mut(..length as usize) {
            records::write_header(bytes, &batch.sealing(&self.queues[batch.partition as usize]));
        }
        Some(Taken { buffer, slot: index as u16, generation, length, lacks_crc, frame_before: frame_before as u16 })
    }

    /// Puts back what was taken out for a request that cannot be completed.
    fn take_back(&mut self, outgoing: &mut Outgoing<P::Buffer>) {
        // Where one is taken at a time there is none before the one that is missing.
        for taken in outgoing.batches.iter_mut().filter(|_| GATHER > 1).filter_map(Option::take) {
            // Of a header that is new nobody will compute the CRC.
            self.batches[taken.slot as usize].sealed = !taken.lacks_crc;
            self.put_back(taken.slot, taken.generation, taken.buffer);
        }
    }

    /// Writes the beginning of a Produce request.
    fn begin_produce(&mut self, writer: &mut Writer<'_>, request: &Request) {
        let (mut topics, mut topic, mut at) = (0, Link::NONE, request.batches);
        while let Some(index) = at.get() {
            let own = Link::to(self.cluster.partitions[self.batches[index].partition as usize].topic());
            if own != topic {
                (topics, topic) = (topics + 1, own);
            }
            at = self.batches[index].request_next;
        }
        self.header(writer, ApiKey::Produce, request.version, request.correlation_id);
        let settings = &*self.settings;
        let timeout = settings.request_timeout.min(i32::MAX as u32) as i32;
        produce::request_start(writer, request.version, settings.acks.wire(), timeout, topics);
    }

    /// The length of the whole frame of a Produce request.
    fn measure(&mut self, request: &Request) -> usize {
        let mut counter = Writer::counting();
        self.begin_produce(&mut counter, request);
        let (mut batches, mut topic, mut at) = (0, Link::NONE, request.batches);
        while let Some(index) = at.get() {
            topic = self.before_batch(&mut counter, request.version, topic, index);
            batches += self.batches[index].length as usize;
            at = self.batches[index].request_next;
        }
        end_produce(&mut counter, request.version);
        counter.position() + batches
    }

    /// Writes what stands between the batch before, which was of `topic`, and this one; its topic.
    fn before_batch(&mut self, writer: &mut Writer<'_>, version: i16, topic: Link, index: usize) -> Link {
        let partition = self.batches[index].partition as usize;
        let own = self.cluster.partitions[partition].topic();
        if !topic.is_none() {
            produce::partition_end(writer, version);
        }
        if topic != Link::to(own) {
            if !topic.is_none() {
                produce::topic_end(writer, version);
            }
            let (mut count, mut at) = (0, Link::to(index));
            while let Some(other) = at.get() {
                if self.cluster.partitions[self.batches[other].partition as usize].topic() != own {
                    break;
                }
                count += 1;
                at = self.batches[other].request_next;
            }
            produce::topic_start(writer, version, self.cluster.name(own), count);
        }
        let (number, length) = (self.cluster.partitions[partition].index, self.batches[index].length as usize);
        produce::partition_start(writer, version, number, length);
        Link::to(own)
    }

    /// What was handed out has been written. Unless a rest of the request must follow, its time runs from now.
    pub(crate) fn written(&mut self, slot: usize, now: Instant) {
        let writes = self.writes();
        let connection = &mut self.connections[slot];
        if !writes || !connection.writing || !connection.write_at.0.is_none() {
            return;
        }
        connection.writing = false;
        let deadline = now.after_millis(self.settings.request_timeout);
        let (ring, writes) = (connection.ring, connection.writes);
        // It may have been answered already, if the writer waits for the peer.
        let Some(request) = ring.back_mut(self.places(slot)).filter(|r| r.correlation_id == writes) else { return };
        request.deadline = deadline;
        if self.settings.acks == Acks::None {
            self.unacknowledged(slot, now);
        }
    }
}

fn end_produce(writer: &mut Writer<'_>, version: i16) {
    produce::partition_end(writer, version);
    produce::topic_end(writer, version);
    produce::request_end(writer, version);
}
