//! Fetch sessions (KIP-227), and the replica that is nearest (KIP-392): what a broker remembers of what we read.
//!
//! A connection has at most one session, which ends with it. In a session a request names only the partitions whose place
//! the broker does not know yet, and those that it shall forget: those of which something waits to be handed out, for one.

use super::table::{Position, Reading};
use crate::cluster::PartitionEntry;
use crate::pool::Link;
use crate::protocol::{ApiKey, ErrorCode, fetch, metadata};
use crate::state::{Platform, State};
use crate::time::Instant;
use crate::wire::FLEXIBLE;

/// Bytes of one partition in a request, but for its topic's entry.
pub(super) const PARTITION_BYTES: usize = 40;

/// Instead of a replica: that leaders are to be read from for a while, since a replica could not be.
const LEADER_ONLY: u32 = u32::MAX;

/// A replica is read from for so long at least.
const REPLICA_MILLIS: u32 = 30_000;

/// The session of a connection, and the epoch of the next request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Session {
    pub(super) id: i32,
    pub(super) epoch: i32,
    /// Topics go by their ids in it, and not by their names: never both.
    pub(super) by_id: bool,
}

impl Session {
    /// The next request asks for one.
    pub(crate) const NONE: Session = Session { id: fetch::NO_SESSION, epoch: fetch::NEW_SESSION, by_id: false };

    /// Whether the broker remembers anything.
    pub(super) fn is_new(self) -> bool {
        self.id == fetch::NO_SESSION || self.epoch == fetch::NEW_SESSION
    }
}

/// What a session knows of a partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Told {
    offset: i64,
    epoch: i32,
    pub(super) leader_epoch: i32,
}

impl Told {
    pub(crate) const NOTHING: Told = Told { offset: 0, epoch: 0, leader_epoch: 0 };

    /// What a request would say of the partition now.
    fn now(position: &Position, entry: &PartitionEntry) -> Told {
        Told { offset: position.fetch, epoch: position.epoch, leader_epoch: entry.leader_epoch }
    }
}

/// Whether a request must name the partition: what the session knows of it, if anything, is not how it is.
pub(super) fn is_named(slot: usize, session: Session, position: &Position, entry: &PartitionEntry) -> bool {
    session.is_new() || position.told_by != Link::to(slot) || position.told != Told::now(position, entry)
}

impl<P: Platform> State<P> {
    /// Marks what the session of the connection is to forget, as much as there is room for: what is left is skipped
    /// should it come.
    pub(super) fn mark_forgotten(&mut self, slot: usize, mut room: usize) {
        let in_session = !self.connections[slot].session.is_new();
        for place in 0..self.known_positions().len() {
            let position = &self.positions[place];
            let stale = in_session && position.told_by == Link::to(slot) && !position.fresh;
            let bytes = if stale { PARTITION_BYTES + self.topic_bytes(place) } else { 0 };
            let forgotten = stale && bytes <= room;
            room = room.saturating_sub(bytes);
            // Only what changes is written: of a table that is zero, the rest takes no memory.
            if self.positions[place].forgotten != forgotten {
                self.positions[place].forgotten = forgotten;
            }
        }
    }

    /// A request of the session has gone out.
    pub(super) fn told(&mut self, slot: usize) {
        for place in 0..self.known_positions().len() {
            let position = &self.positions[place];
            if position.fresh {
                if let Some(other) = position.told_by.get().filter(|&other| other != slot) {
                    // It has another leader, or another replica is read: the broker before is to forget it.
                    self.renew_session(other);
                }
                let position = &mut self.positions[place];
                let told = Told::now(position, &self.cluster.partitions[place]);
                (position.told_by, position.told) = (Link::to(slot), told);
            } else if position.forgotten {
                self.positions[place].told_by = Link::NONE;
            }
        }
        let session = &mut self.connections[slot].session;
        session.epoch = fetch::next_epoch(session.epoch);
    }

    /// What a broker says of the session. An error that is not of the session is for the caller.
    pub(super) fn session_item(&mut self, slot: usize, id: i32, error: ErrorCode) -> Result<(), ErrorCode> {
        let session = self.connections[slot].session;
        let lost = matches!(
            error,
            ErrorCode::FETCH_SESSION_ID_NOT_FOUND
                | ErrorCode::INVALID_FETCH_SESSION_EPOCH
                | ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR
        );
        match error {
            // Given up since it was asked for: the next request asks anew.
            ErrorCode::NONE if session.epoch == fetch::NEW_SESSION => {}
            ErrorCode::NONE if session.epoch == fetch::next_epoch(fetch::NEW_SESSION) && id != fetch::NO_SESSION => {
                self.connections[slot].session.id = id;
            }
            ErrorCode::NONE if session.id == id && id != fetch::NO_SESSION => {}
            // It has no place for a session, or has given ours to others: what it was to know is named again.
            ErrorCode::NONE => self.end_session(slot),
            _ if lost && session.id != fetch::NO_SESSION => self.end_session(slot),
            error => {
                self.end_session(slot);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Metadata was asked for before it was known what the broker speaks, in a version that tells no ids: it is asked again, so
    /// that from now on topics go by them.
    pub(crate) fn want_topic_ids(&mut self, slot: usize, version: i16, now: Instant) {
        let versions = self.connections[slot].versions;
        if FLEXIBLE
            && !self.positions.is_empty()
            && version < metadata::TELLS_IDS
            && versions.get(ApiKey::Metadata) >= Some(metadata::TELLS_IDS)
            && versions.get(ApiKey::Fetch) > Some(fetch::BY_NAME)
            && !self.cluster.has_topic_ids()
        {
            self.want_metadata(now);
        }
    }

    /// In the next request of the connection topics go by their ids, or by their names.
    pub(super) fn call_topics(&mut self, slot: usize, by_id: bool) {
        if FLEXIBLE && self.connections[slot].session.by_id != by_id {
            self.renew_session(slot);
            self.connections[slot].session.by_id = by_id;
        }
    }

    /// The next request of the connection begins a session instead of the one that there is.
    fn renew_session(&mut self, slot: usize) {
        let Session { id, .. } = self.connections[slot].session;
        self.end_session(slot);
        self.connections[slot].session.id = id;
    }

    /// A topic has another id than the sessions know it by, those too that have been asked for and are not there yet.
    #[cfg(not(feature = "one-version"))]
    pub(crate) fn renew_sessions(&mut self) {
        for slot in 0..self.connections.len() {
            self.renew_session(slot);
        }
    }

    /// Nobody knows any more what the connection's session knew.
    pub(crate) fn end_session(&mut self, slot: usize) {
        self.connections[slot].session = Session::NONE;
        for position in self.known_positions().iter_mut().filter(|position| position.told_by == Link::to(slot)) {
            position.told_by = Link::NONE;
        }
    }

    /// Whether a broker may name a replica that is nearer than the leader: it does not without knowing where we are. With settings
    /// that are fixed there is then no code for it.
    pub(super) fn has_rack(&self) -> bool {
        !self.settings.client_rack().is_empty()
    }

    /// The node that the partition is read from: its leader, or a replica that the leader has named.
    pub(crate) fn reading_node(&mut self, place: usize) -> i32 {
        let leader = self.cluster.partitions[place].leader;
        if !self.has_rack() {
            return leader;
        }
        let going = self.positions.get(place).filter(|position| position.reading == Reading::Going);
        let nearest = going.map_or(0, |position| position.replica);
        let nearest = if nearest == LEADER_ONLY { -1 } else { nearest.wrapping_sub(1) as i32 };
        if nearest >= 0 && leader >= 0 && self.cluster.node(nearest).is_some() { nearest } else { leader }
    }

    /// The connection over which the partition can be read now.
    pub(super) fn reading_connection(&mut self, place: usize) -> Option<usize> {
        let node = self.reading_node(place);
        if node == self.cluster.partitions[place].leader {
            return self.leader_connection(place);
        }
        let broker = self.cluster.node(node)?;
        let slot = self.cluster.brokers[broker].connection.get()?;
        (self.connections[slot].phase == crate::connection::Phase::Active).then_some(slot)
    }

    /// The leader has named a replica that is nearer. It is read from for as long as metadata is good, and for half a minute
    /// at least: with few connections its turn takes a while to come.
    pub(super) fn prefer(&mut self, place: usize, replica: i32, now: Instant) {
        if replica < 0 || !self.has_rack() {
            return;
        }
        // A broker for which there was no place in the table cannot be read from.
        let known = self.cluster.node(replica).is_some();
        let position = &mut self.positions[place];
        if position.replica == LEADER_ONLY {
            return;
        }
        position.replica = if known { replica as u32 + 1 } else { LEADER_ONLY };
        self.keep_replica(place, now);
        self.s.connections_wanted = true;
        self.wake_clock();
    }

    fn keep_replica(&mut self, place: usize, now: Instant) {
        let until = now.after_millis(self.settings.metadata_max_age.max(REPLICA_MILLIS));
        self.positions[place].replica_until = until;
        self.wake_clock_by(until);
    }

    /// The partition is read from its leader alone for a while; whether it was not before.
    pub(super) fn leave_replica(&mut self, place: usize, now: Instant) -> bool {
        let away = self.has_rack() && !matches!(self.positions[place].replica, 0 | LEADER_ONLY);
        if away {
            self.positions[place].replica = LEADER_ONLY;
            self.keep_replica(place, now);
        }
        away
    }

    /// A connection to the node was lost, or could not be had.
    pub(crate) fn leave_replicas(&mut self, node: i32, now: Instant) {
        if !self.has_rack() {
            return;
        }
        for place in 0..self.known_positions().len() {
            if self.positions[place].replica == node.wrapping_add(1) as u32 {
                self.leave_replica(place, now);
            }
        }
    }

    /// Whether none of the partitions that are asked for now is to be read from its leader alone. Then the broker is told
    /// where we are.
    pub(super) fn may_be_sent_elsewhere(&mut self) -> bool {
        !self.known_positions().iter().any(|position| position.fresh && position.replica == LEADER_ONLY)
    }
}
