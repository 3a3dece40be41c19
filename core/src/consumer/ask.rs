//! What a connection is to write for the consumer: where to begin, and what comes next.

use super::session::{self, PARTITION_BYTES};
use super::table::{Chunk, Holder, Position, Reading};
use crate::cluster::PartitionEntry;
use crate::connection::{Phase, Request};
use crate::pool::Link;
use crate::protocol::{ApiKey, fetch, list_offsets, offset_for_leader_epoch};
use crate::state::{Platform, State};
use crate::time::Instant;
use crate::wire::FLEXIBLE;

/// Bytes of a request beside its topics and partitions.
const REQUEST_BYTES: usize = 256;

/// Bytes of a topic's entry in a request, but for its name and its partitions.
const TOPIC_BYTES: usize = 16;

/// What a request is to ask for.
struct Marked {
    /// Partitions.
    count: usize,
    /// Partitions that it has no room for.
    left: usize,
    /// The most bytes that it needs.
    bytes: usize,
}

/// Which positions go into a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Fresh,
    Forgotten,
}

/// The positions that are marked, and their partitions: one place that looks for them, however many messages name them.
pub(super) struct MarkedPositions<'s> {
    entries: &'s [PartitionEntry],
    positions: &'s [Position],
    mark: Mark,
    at: usize,
    left: usize,
}

impl<'s> Iterator for MarkedPositions<'s> {
    type Item = (&'s PartitionEntry, &'s Position);

    fn next(&mut self) -> Option<Self::Item> {
        while self.left > 0 {
            let pair = self.entries.get(self.at).zip(self.positions.get(self.at));
            self.left = self.left.wrapping_sub(1);
            self.at = if pair.is_some() { self.at.wrapping_add(1) } else { 0 };
            let marked = |position: &Position| match self.mark {
                Mark::Fresh => position.fresh,
                Mark::Forgotten => position.forgotten,
            };
            if pair.is_some_and(|(_, position)| marked(position)) {
                return pair;
            }
        }
        None
    }
}

impl<P: Platform> State<P> {
    /// The positions with this mark, all of them once, from the place `first` on.
    pub(super) fn marked(&self, first: usize, mark: Mark) -> MarkedPositions<'_> {
        let positions = self.positions.get(..self.known_partitions()).unwrap_or_default();
        // The end of the table is a place of its own, from where it goes on at the beginning.
        MarkedPositions { entries: &self.cluster.partitions, positions, mark, at: first, left: positions.len() + 1 }
    }

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
        match self.reading_connection(place) {
            Some(slot) => self.wake_connection(slot),
            None => {
                self.s.connections_wanted = true;
                self.wake_clock();
            }
        }
    }

    pub(crate) fn reread_all(&mut self) {
        for place in 0..self.known_positions().len() {
            self.reread(place);
        }
    }

    /// Whether there is something to ask now for the partition's reading, so that a connection is needed.
    pub(crate) fn reads(&self, place: usize, now: Instant) -> bool {
        self.positions.get(place).is_some_and(|position| is_open(position) && position.retry_at <= now)
    }

    /// Backoffs that are over; when the next one is.
    pub(crate) fn end_read_backoffs(&mut self, now: Instant) -> Instant {
        let mut next = Instant::NEVER;
        for place in 0..self.known_positions().len() {
            if self.has_rack() && self.positions[place].replica > 0 {
                let until = self.positions[place].replica_until;
                next = if until > now { next.min(until) } else { next };
                if until <= now {
                    self.positions[place].replica = 0;
                    self.reread(place);
                }
            }
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
    #[inline(never)]
    pub(crate) fn ask_for_records(&mut self, slot: usize, now: Instant, frame: &mut [u8]) -> Option<usize> {
        if self.positions.is_empty() || self.connections[slot].phase != Phase::Active {
            return None;
        }
        let versions = self.connections[slot].versions;
        let looking = self.connections[slot].looking;
        // Every wake comes through here, so all places are gone through only where there may be something.
        if let Some(version) = versions.get(ApiKey::ListOffsets)
            && !looking
            && self.s.consumer.some_look
        {
            if self.mark(slot, Reading::Looking, now, frame.len()).count > 0 {
                return self.list_offsets(slot, version, now, frame);
            }
            self.s.consumer.some_look =
                self.known_positions().iter().any(|position| position.reading == Reading::Looking);
        }
        let version = versions.get(ApiKey::Fetch)?;
        let tells = FLEXIBLE && version >= fetch::TELLS_OF_TRUNCATION;
        if let Some(version) = versions.get(ApiKey::OffsetForLeaderEpoch)
            && !(tells && self.connections[slot].fetching)
        {
            // Also while something else is being asked: what is not checked must not be fetched meanwhile. Who tells by itself is
            // asked for what an older broker has found to be unchecked.
            if !tells {
                self.find_unchecked();
            }
            if !looking && self.mark(slot, Reading::Checking, now, frame.len()).count > 0 {
                return self.ask_for_epochs(slot, version, now, frame);
            }
        }
        if self.connections[slot].fetching {
            return None;
        }
        if self.gives_way(slot, now) {
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
        // In later versions topics go by their ids, of which an older broker tells none.
        let version = if FLEXIBLE && !self.cluster.has_topic_ids() { version.min(fetch::BY_NAME) } else { version };
        self.call_topics(slot, version > fetch::BY_NAME);
        let marked = self.mark(slot, Reading::Going, now, frame.len());
        if marked.count == 0 {
            return None;
        }
        self.mark_forgotten(slot, frame.len().saturating_sub(marked.bytes));
        self.chunks[chunk].reset(Holder::Request);
        self.s.consumer.chunks_high = self.s.consumer.chunks_high.max((self.chunks.len() - free + 1) as u16);
        let patience = self.patience(slot, free, others, now);
        // Those for which the request has no room are not to wait for the others' silence. A session is told of them by the
        // next requests; without one they have their turn each time.
        let patience = match marked.left {
            0 => patience,
            left if self.connections[slot].session.is_new() => patience / (1 + left.div_ceil(marked.count) as u32),
            _ => 0,
        };
        self.fetch(slot, version, chunk, patience, now, frame)
    }

    /// Marks what is asked for over this connection now: partitions that it leads, in turn, as many as a request has room
    /// for.
    fn mark(&mut self, slot: usize, reading: Reading, now: Instant, frame: usize) -> Marked {
        let (total, start) = (self.known_positions().len(), self.read_cursor(slot));
        let mut marked = Marked { count: 0, left: 0, bytes: REQUEST_BYTES };
        // Neighbours of the same topic share its entry. What is written does not begin where this does, so one of the topics may
        // need another: the largest.
        let (mut topic, mut largest) = (None, 0);
        for place in (start..total).chain(0..start.min(total)) {
            let position = &self.positions[place];
            let wanted = position.reading == reading && is_open(position) && position.retry_at <= now;
            if !wanted || self.reading_connection(place) != Some(slot) {
                continue;
            }
            let (session, entry) = (self.connections[slot].session, &self.cluster.partitions[place]);
            let silent = reading == Reading::Going && !session::is_named(slot, session, &self.positions[place], entry);
            let of = Some(entry.topic());
            let (own, spare) = if silent {
                (0, largest)
            } else if of == topic {
                (PARTITION_BYTES, largest)
            } else {
                let entry = self.topic_bytes(place);
                (PARTITION_BYTES + entry, largest.max(entry))
            };
            if marked.count > 0 && marked.bytes + own + spare > frame {
                if marked.left == 0 {
                    self.begin_with(slot, place);
                }
                marked.left += 1;
                continue;
            }
            (marked.bytes, largest) = (marked.bytes + own, spare);
            topic = if silent { topic } else { of };
            if marked.count == 0 {
                // A broker fills an answer from the front: the next one begins with somebody else.
                self.begin_with(slot, place + 1);
            }
            (self.positions[place].asked, self.positions[place].fresh) = (Link::to(slot), true);
            marked.count += 1;
        }
        marked.bytes += largest;
        marked
    }

    /// Where the next question begins. A broker's own: what others are asked in between must not move it in a rhythm in which
    /// some partition is always left out.
    fn read_cursor(&self, slot: usize) -> usize {
        let broker = self.connections[slot].broker.get().filter(|_| self.takes_turns());
        broker.map_or(0, |broker| self.cluster.brokers[broker].read_cursor.into())
    }

    fn begin_with(&mut self, slot: usize, place: usize) {
        if let Some(broker) = self.connections[slot].broker.get().filter(|_| self.takes_turns()) {
            self.cluster.brokers[broker].read_cursor = place as u16;
        }
    }

    /// Bytes of a topic's entry in a request, but for its partitions.
    pub(super) fn topic_bytes(&mut self, place: usize) -> usize {
        let topic = self.cluster.partitions[place].topic();
        let name = self.cluster.name(topic).len();
        // By name or by id.
        TOPIC_BYTES + if FLEXIBLE { name.max(16) } else { name }
    }

    /// Of partitions that have another leader than when it was last looked: whether its log has what was read must be
    /// asked, because a broker so old does not say by itself (KIP-320). Until then they are not read.
    fn find_unchecked(&mut self) {
        for place in 0..self.known_positions().len() {
            let position = &self.positions[place];
            let leader_epoch = self.cluster.partitions[place].leader_epoch;
            let unchecked = position.epoch >= 0 && leader_epoch >= 0 && position.checked != leader_epoch as u32 + 1;
            if unchecked && position.reading == Reading::Going && is_open(position) {
                self.positions[place].reading = Reading::Checking;
            }
        }
    }

    fn ask_for_epochs(&mut self, slot: usize, version: i16, now: Instant, frame: &mut [u8]) -> Option<usize> {
        let sent = self.ask(slot, now, frame, ApiKey::OffsetForLeaderEpoch, version, |state, writer| {
            let wanted = state.marked(0, Mark::Fresh).map(|(entry, position)| offset_for_leader_epoch::Partition {
                topic: state.cluster.name(entry.topic()),
                index: entry.index,
                current_leader_epoch: entry.leader_epoch,
                leader_epoch: position.epoch,
            });
            offset_for_leader_epoch::request(writer, version, wanted);
        });
        for place in 0..self.known_positions().len() {
            if self.positions[place].fresh {
                self.positions[place].target = self.cluster.partitions[place].leader_epoch.into();
            }
        }
        self.looks(slot, sent.is_some());
        sent
    }

    fn list_offsets(&mut self, slot: usize, version: i16, now: Instant, frame: &mut [u8]) -> Option<usize> {
        let isolation = self.settings.isolation_level;
        let sent = self.ask(slot, now, frame, ApiKey::ListOffsets, version, |state, writer| {
            let wanted = state.marked(0, Mark::Fresh).map(|(entry, position)| list_offsets::Partition {
                topic: state.cluster.name(entry.topic()),
                index: entry.index,
                current_leader_epoch: entry.leader_epoch,
                timestamp: position.target,
            });
            list_offsets::request(writer, version, isolation, wanted);
        });
        self.looks(slot, sent.is_some());
        sent
    }

    fn looks(&mut self, slot: usize, sent: bool) {
        self.connections[slot].looking = sent;
        self.unmark(slot, sent);
        // A piece of a batch that the caller keeps may be in the way of the answer.
        let until = self.held_until(slot);
        self.wake_clock_by(until);
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
        let bytes = self.s.consumer.chunk_bytes as i32;
        let session = self.connections[slot].session;
        let elsewhere = self.has_rack() && self.may_be_sent_elsewhere();
        let first = self.read_cursor(slot);
        let sent = self.ask(slot, now, frame, ApiKey::Fetch, version, |state, writer| {
            let settings = fetch::Settings {
                max_wait_ms: patience.min(i32::MAX as u32) as i32,
                // Whole batches seldom fill a chunk: a broker that is to wait until they do waits for ever.
                min_bytes: state.settings.fetch_min_bytes.min(bytes as u32 / 2) as i32,
                max_bytes: bytes,
                isolation_level: state.settings.isolation_level,
                session_id: session.id,
                session_epoch: session.epoch,
                rack_id: if elsewhere { state.settings.client_rack() } else { &[] },
            };
            let topic = |entry: &PartitionEntry| fetch::Topic {
                name: state.cluster.name(entry.topic()),
                id: state.cluster.topics[entry.topic()].id(),
            };
            let marked = state.marked(first, Mark::Fresh);
            let named = marked.filter(|(entry, position)| session::is_named(slot, session, position, entry));
            let wanted = named.map(|(entry, position)| fetch::Partition {
                topic: topic(entry),
                index: entry.index,
                current_leader_epoch: entry.leader_epoch,
                fetch_offset: position.fetch,
                last_fetched_epoch: position.epoch,
                max_bytes: bytes,
            });
            let forgotten = state.marked(0, Mark::Forgotten).map(|(entry, _)| (topic(entry), entry.index));
            fetch::request(writer, version, &settings, wanted, forgotten);
        });
        if sent.is_some() {
            self.told(slot);
        }
        self.unmark(slot, sent.is_some());
        if sent.is_none() {
            self.free_chunk(chunk);
            return None;
        }
        let ring = self.connections[slot].ring;
        if let Some(request) = ring.back_mut(self.places(slot)) {
            request.batches = Link::to(chunk);
        }
        self.s.consumer.fetches = self.s.consumer.fetches.wrapping_add(1);
        let connection = &mut self.connections[slot];
        (connection.fetching, connection.has_fetched, connection.fetched) = (true, true, self.s.consumer.fetches);
        sent
    }

    #[inline(never)]
    fn unmark(&mut self, slot: usize, sent: bool) {
        for position in self.known_positions().iter_mut().filter(|position| position.fresh) {
            position.fresh = false;
            if !sent && position.asked == Link::to(slot) {
                position.asked = Link::NONE;
            }
        }
    }

    /// What a connection brought and nobody has verified is gone with it, and what its broker knew.
    pub(crate) fn read_connection_lost(&mut self, slot: usize, by_itself: bool, now: Instant) {
        if let Some(chunk) = self.connections[slot].verify.get() {
            self.drop_chunk(chunk);
        }
        self.end_session(slot);
        if let Some(broker) = self.connections[slot].broker.get()
            && by_itself
        {
            self.leave_replicas(self.cluster.brokers[broker].node_id(), now);
            self.coordinator_lost(broker);
        }
    }

    /// A request will not be answered.
    pub(crate) fn read_request_lost(&mut self, slot: usize, request: &Request, now: Instant) {
        match request.api {
            ApiKey::FindCoordinator | ApiKey::OffsetCommit | ApiKey::OffsetFetch if self.has_group() => {
                self.group_request_lost(slot, now);
            }
            _ => self.read_request_over(slot, request, None),
        }
    }

    /// A request for records or offsets is answered, or will not be.
    pub(crate) fn read_request_over(&mut self, slot: usize, request: &Request, answered: Option<Instant>) {
        let reading = match request.api {
            ApiKey::ListOffsets => Reading::Looking,
            ApiKey::OffsetForLeaderEpoch => Reading::Checking,
            _ => Reading::Going,
        };
        for place in 0..self.known_positions().len() {
            let of = &mut self.positions[place];
            // One that nobody reads any more, or that waits for somebody to decide, is asked for by nobody.
            if of.asked != Link::to(slot) || of.reading != reading && is_asking(of.reading) {
                continue;
            }
            of.asked = Link::NONE;
            // An answer about places has them all; only one about records leaves out where there is no news.
            if let Some(now) = answered.filter(|_| reading != Reading::Going) {
                self.back_off_reading(place, now);
            }
        }
        self.connections[slot].looking &= request.api == ApiKey::Fetch;
        if request.api == ApiKey::Fetch {
            self.connections[slot].fetching = false;
            if let Some(chunk) = request.batches.get()
                && self.stream_lost(chunk)
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

/// Whether there are requests for a partition in this state.
fn is_asking(reading: Reading) -> bool {
    matches!(reading, Reading::Looking | Reading::Checking | Reading::Going)
}

/// Whether something is to be asked for the partition: nothing is under way, and no records of it wait to be handed out.
#[inline(never)]
pub(super) fn is_open(position: &Position) -> bool {
    let reads = match position.reading {
        Reading::Looking | Reading::Checking => true,
        Reading::Going => !position.paused,
        Reading::Unassigned | Reading::Recalling | Reading::Failed => false,
    };
    // A place is looked for all the same while something of before waits: perhaps nobody polls until it is found.
    reads && position.asked.is_none() && (position.held == 0 || position.reading == Reading::Looking)
}
