//! What a connection is to write for the consumer: where to begin, and what comes next.

use super::table::{Chunk, Holder, Position, Reading};
use crate::connection::{Phase, Request};
use crate::pool::Link;
use crate::producer::{Platform, State};
use crate::protocol::{ApiKey, fetch, list_offsets};
use crate::time::Instant;

/// Bytes of one partition in a request, its topic's entry but for the name included.
const PARTITION_BYTES: usize = 64;

/// Bytes of a request beside its partitions.
const REQUEST_BYTES: usize = 192;

impl<P: Platform> State<P> {
    /// Something about the partition has changed: whoever must act on it will.
    pub(super) fn reread(&mut self, place: usize) {
        let position = &self.positions[place];
        if position.retry_at > Instant::ZERO {
            self.wake_clock_by(position.retry_at);
            return;
        }
        if !is_open(position) {
            return;
        }
        match self.leader_connection(place) {
            Some(slot) => self.wake_connection(slot),
            None => {
                self.s.connections_wanted = true;
                self.wake_clock();
            }
        }
    }

    pub(crate) fn reread_all(&mut self) {
        for place in 0..self.positions.len() {
            self.reread(place);
        }
    }

    /// Whether a connection to the partition's leader is needed for reading.
    pub(crate) fn reads(&self, place: usize, now: Instant) -> bool {
        self.positions.get(place).is_some_and(|position| is_open(position) && position.retry_at <= now)
    }

    /// Backoffs that are over; when the next one is.
    pub(crate) fn end_read_backoffs(&mut self, now: Instant) -> Instant {
        let mut next = Instant::NEVER;
        for place in 0..self.positions.len() {
            let retry_at = self.positions[place].retry_at;
            if retry_at == Instant::ZERO {
                continue;
            }
            if retry_at <= now {
                self.positions[place].retry_at = Instant::ZERO;
                self.reread(place);
            } else {
                next = next.min(retry_at);
            }
        }
        next
    }

    /// The request that the connection is to write for the consumer, if any.
    pub(crate) fn ask_for_records(&mut self, slot: usize, now: Instant, frame: &mut [u8]) -> Option<usize> {
        if self.positions.is_empty() || self.connections[slot].phase != Phase::Active {
            return None;
        }
        let versions = self.connections[slot].versions;
        if let Some(version) = versions.get(ApiKey::ListOffsets)
            && self.mark(slot, Reading::Looking, now, frame.len()) > 0
        {
            return self.list_offsets(slot, version, now, frame);
        }
        let version = versions.get(ApiKey::Fetch)?;
        if self.connections[slot].fetching {
            return None;
        }
        let is_free = |chunk: &Chunk<P::Buffer>| chunk.holder == Holder::Nobody && chunk.buffer.is_some();
        let chunk = self.chunks.iter().position(is_free)?;
        let free = self.chunks.iter().filter(|chunk| is_free(chunk)).count();
        let (before, others) = self.rivals(slot, now);
        if before >= free {
            // They were woken with us; whoever fetched least lately goes first.
            return None;
        }
        if self.mark(slot, Reading::Going, now, frame.len()) == 0 {
            return None;
        }
        self.chunks[chunk].reset(Holder::Request);
        // Who must share does not let a broker wait with a chunk in its hands.
        let patience = if others >= free { 0 } else { self.s.settings.fetch_max_wait };
        self.fetch(slot, version, chunk, patience, now, frame)
    }

    /// Marks what is asked for over this connection now: partitions that it leads, in turn, as many as a request has room
    /// for. How many.
    fn mark(&mut self, slot: usize, reading: Reading, now: Instant, frame: usize) -> usize {
        let (total, start) = (self.positions.len(), self.s.read_cursor as usize);
        let (mut marked, mut bytes) = (0, REQUEST_BYTES);
        for step in 0..total {
            let place = (start + step) % total;
            let position = &self.positions[place];
            let wanted = position.reading == reading && is_open(position) && position.retry_at <= now;
            if !wanted || self.leader_connection(place) != Some(slot) {
                continue;
            }
            let topic = self.partitions[place].topic();
            bytes += PARTITION_BYTES + self.cluster().name(topic).len();
            if marked > 0 && bytes > frame {
                break;
            }
            if marked == 0 {
                // A broker fills an answer from the front: the next one begins with somebody else.
                self.s.read_cursor = ((place + 1) % total) as u16;
            }
            (self.positions[place].asked, self.positions[place].fresh) = (Link::to(slot), true);
            marked += 1;
        }
        marked
    }

    /// Other connections that could fetch now if there were a chunk for each: those whose turn is before this one's, and
    /// all of them.
    fn rivals(&mut self, slot: usize, now: Instant) -> (usize, usize) {
        let (own, mut before, mut others) = (self.s.fetches.wrapping_sub(self.connections[slot].fetched), 0, 0);
        for other in 0..self.connections.len() {
            let connection = &self.connections[other];
            let ready = connection.phase == Phase::Active && !connection.fetching && connection.throttled_until <= now;
            let ring = connection.ring;
            let able = ready && connection.versions.get(ApiKey::Fetch).is_some() && !ring.is_full(self.places(other));
            if other == slot || !able || !self.has_open(other, now) {
                continue;
            }
            others += 1;
            let age = self.s.fetches.wrapping_sub(self.connections[other].fetched);
            before += usize::from((age, slot) > (own, other));
        }
        (before, others)
    }

    /// Whether it leads a partition that is to be read.
    fn has_open(&mut self, slot: usize, now: Instant) -> bool {
        (0..self.positions.len()).any(|place| {
            let position = &self.positions[place];
            let open = position.reading == Reading::Going && is_open(position) && position.retry_at <= now;
            open && self.leader_connection(place) == Some(slot)
        })
    }

    fn list_offsets(&mut self, slot: usize, version: i16, now: Instant, frame: &mut [u8]) -> Option<usize> {
        let isolation = self.s.settings.isolation_level;
        let sent = self.ask(slot, now, frame, ApiKey::ListOffsets, version, |state, writer| {
            let cluster = state.cluster_and_positions();
            let marked = cluster.1.iter().enumerate().filter(|(_, position)| position.fresh);
            let wanted = marked.map(|(place, position)| {
                let entry = &cluster.0.partitions[place];
                list_offsets::Partition {
                    topic: cluster.0.name(entry.topic()),
                    index: entry.index,
                    current_leader_epoch: entry.leader_epoch,
                    timestamp: position.target,
                }
            });
            list_offsets::request(writer, version, isolation, wanted);
        });
        self.unmark(slot, sent.is_some());
        sent
    }

    fn fetch(
        &mut self,
        slot: usize,
        version: i16,
        chunk: usize,
        patience: u32,
        now: Instant,
        frame: &mut [u8],
    ) -> Option<usize> {
        let bytes = self.s.chunk_bytes as i32;
        let settings = fetch::Settings {
            max_wait_ms: patience.min(i32::MAX as u32) as i32,
            min_bytes: self.s.settings.fetch_min_bytes.min(bytes as u32) as i32,
            max_bytes: bytes,
            isolation_level: self.s.settings.isolation_level,
            session_id: fetch::NO_SESSION,
            session_epoch: fetch::NO_EPOCH,
            rack_id: "",
        };
        let first = self.s.read_cursor as usize;
        let sent = self.ask(slot, now, frame, ApiKey::Fetch, version, |state, writer| {
            let cluster = state.cluster_and_positions();
            let (behind, before) = cluster.1.split_at_checked(first).unwrap_or((&[], cluster.1));
            let (behind, before) = ((0..first).zip(behind), (first..).zip(before));
            let marked = before.chain(behind).filter(|(_, position)| position.fresh);
            let wanted = marked.map(|(place, position)| {
                let entry = &cluster.0.partitions[place];
                fetch::Partition {
                    topic: fetch::Topic { name: cluster.0.name(entry.topic()), id: [0; 16] },
                    index: entry.index,
                    current_leader_epoch: entry.leader_epoch,
                    fetch_offset: position.fetch,
                    last_fetched_epoch: position.epoch,
                    max_bytes: bytes,
                }
            });
            fetch::request(writer, version, &settings, wanted, core::iter::empty());
        });
        self.unmark(slot, sent.is_some());
        if sent.is_none() {
            self.free_chunk(chunk);
            return None;
        }
        let ring = self.connections[slot].ring;
        if let Some(request) = ring.back_mut(self.places(slot)) {
            request.batches = Link::to(chunk);
        }
        self.s.fetches = self.s.fetches.wrapping_add(1);
        let connection = &mut self.connections[slot];
        (connection.fetching, connection.fetched) = (true, self.s.fetches);
        sent
    }

    fn unmark(&mut self, slot: usize, sent: bool) {
        for position in self.positions.iter_mut().filter(|position| position.fresh) {
            position.fresh = false;
            if !sent && position.asked == Link::to(slot) {
                position.asked = Link::NONE;
            }
        }
    }

    /// A request will not be answered.
    pub(crate) fn read_request_lost(&mut self, slot: usize, request: &Request, now: Instant) {
        match request.api {
            ApiKey::FindCoordinator | ApiKey::OffsetCommit | ApiKey::OffsetFetch => self.group_request_lost(now),
            _ => self.read_request_over(slot, request),
        }
    }

    /// A request for records or offsets is answered, or will not be.
    pub(crate) fn read_request_over(&mut self, slot: usize, request: &Request) {
        for position in self.positions.iter_mut().filter(|position| position.asked == Link::to(slot)) {
            let looking = position.reading == Reading::Looking;
            if looking == (request.api == ApiKey::ListOffsets) {
                position.asked = Link::NONE;
            }
        }
        if request.api == ApiKey::Fetch {
            self.connections[slot].fetching = false;
            if let Some(chunk) = request.batches.get()
                && self.chunks[chunk].holder == Holder::Request
            {
                self.free_chunk(chunk);
            }
        }
    }

    /// The chunk can be asked for again.
    pub(super) fn free_chunk(&mut self, chunk: usize) {
        self.chunks[chunk].reset(Holder::Nobody);
        for slot in 0..self.connections.len() {
            if self.connections[slot].phase == Phase::Active && !self.connections[slot].fetching {
                self.wake_connection(slot);
            }
        }
    }
}

/// Whether something is to be asked for the partition: nothing is under way, and nothing of it waits to be handed out.
fn is_open(position: &Position) -> bool {
    let reads = match position.reading {
        Reading::Looking => true,
        Reading::Going => !position.paused,
        Reading::Unassigned | Reading::Recalling | Reading::Failed => false,
    };
    reads && position.asked.is_none() && position.held == 0
}
