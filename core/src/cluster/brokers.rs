//! The brokers: those of the bootstrap list, which stay, and those that metadata told of.

use super::Cluster;
use super::metadata::{UNKEPT, UNKEPT_ANSWERS};
use crate::connection::ConnectionError;
use crate::pool::Link;
use crate::protocol::{self, ApiKey};
use crate::state::Platform;
use crate::time::Instant;
use crate::wire::FLEXIBLE;

/// The versions that were agreed on with one broker; -1 is "not offered".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Versions([i8; Versions::APIS.len()]);

impl Versions {
    #[cfg(not(feature = "consumer"))]
    const APIS: &[ApiKey] = &[ApiKey::Produce, ApiKey::Metadata, ApiKey::InitProducerId];
    #[cfg(feature = "consumer")]
    const APIS: &[ApiKey] = &[
        ApiKey::Produce,
        ApiKey::Metadata,
        ApiKey::InitProducerId,
        ApiKey::Fetch,
        ApiKey::ListOffsets,
        ApiKey::FindCoordinator,
        ApiKey::OffsetCommit,
        ApiKey::OffsetFetch,
        ApiKey::OffsetForLeaderEpoch,
    ];
    /// As empty tables have it.
    pub(crate) const UNSET: Versions = Versions([0; Self::APIS.len()]);
    pub(crate) const NONE: Versions = Versions([-1; Self::APIS.len()]);
    /// What every broker since Kafka 2.4 offers: enough to ask for metadata and a producer id without waiting for the
    /// answer to ApiVersions. Nothing is assumed of Produce.
    pub(crate) const GUESS: Versions = {
        let mut guess = Self::NONE;
        (guess.0[1], guess.0[2]) = if FLEXIBLE { (9, 2) } else { (7, 0) };
        guess
    };

    /// Takes in one range of an ApiVersions response.
    pub(crate) fn offer(&mut self, key: i16, min: i16, max: i16) {
        for (place, api) in self.0.iter_mut().zip(Self::APIS.iter().copied()) {
            if api as i16 == key {
                let (ours_min, ours_max) = protocol::versions(api);
                let best = max.min(ours_max);
                *place = if best >= min.max(ours_min) { best as i8 } else { -1 };
            }
        }
    }

    pub(crate) fn get(&self, api: ApiKey) -> Option<i16> {
        let place = Self::APIS.iter().position(|&a| a as i16 == api as i16)?;
        self.0.get(place).filter(|&&v| v >= 0).map(|&v| v as i16)
    }
}

/// What a place in the table of brokers is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
enum Kind {
    Free = 0,
    /// A broker that metadata told of: for as long as it does, or there is a connection to it.
    Learnt,
    /// From the bootstrap list: never given up, since it is where one starts again when all others are gone (KIP-899).
    Bootstrap,
    /// Where the group's positions are kept, as little given up. A leader at the same address has a place of its own, and so a
    /// connection: a broker works on one request of a connection at a time, and one for records may wait there.
    #[cfg(feature = "consumer")]
    Coordinator,
}

/// One place in the table of brokers.
#[derive(Debug)]
pub struct BrokerEntry {
    kind: Kind,
    /// The node id plus one; zero while only the address is known.
    node: u32,
    host_length: u8,
    pub(crate) port: u16,
    /// The metadata response that named it last.
    seen: u16,
    /// Connections in a row that failed; the backoff grows with it.
    pub(crate) failures: u8,
    /// Not to be connected to before this.
    pub(crate) retry_at: Instant,
    /// Why the last connection to it ended, until another works.
    pub(crate) trouble: Option<ConnectionError>,
    /// The connection slot that serves it; of several the one that was first.
    pub(crate) connection: Link,
    /// What it told when it was connected to last.
    pub(crate) versions: Option<Versions>,
    /// It did not take well to assumptions: the next connection waits for what it says.
    pub(crate) cautious: bool,
    /// The partition with which the next question to it begins.
    #[cfg(feature = "consumer")]
    pub(crate) read_cursor: u16,
    /// Whether its connections are too few or too many.
    #[cfg(feature = "scaling")]
    pub(crate) scale: crate::producer::Scale,
}

impl BrokerEntry {
    /// A free place.
    pub const EMPTY: BrokerEntry = BrokerEntry {
        kind: Kind::Free,
        node: 0,
        host_length: 0,
        port: 0,
        seen: 0,
        failures: 0,
        retry_at: Instant::ZERO,
        trouble: None,
        connection: Link::NONE,
        versions: None,
        cautious: false,
        #[cfg(feature = "consumer")]
        read_cursor: 0,
        #[cfg(feature = "scaling")]
        scale: crate::producer::Scale::NEW,
    };

    pub(crate) fn is_used(&self) -> bool {
        self.kind != Kind::Free
    }

    /// Whether it is one that leads and tells of the cluster, or may be.
    fn is_general(&self) -> bool {
        matches!(self.kind, Kind::Learnt | Kind::Bootstrap)
    }

    /// It has another address: nothing that the old one did is held against it.
    fn moved_to(&mut self, host_length: u8, port: u16) {
        (self.host_length, self.port) = (host_length, port);
        (self.failures, self.retry_at, self.trouble) = (0, Instant::ZERO, None);
        (self.versions, self.cautious) = (None, false);
    }

    /// The broker's node id, or -1 while it is only an address of the bootstrap list.
    pub(crate) fn node_id(&self) -> i32 {
        self.node.wrapping_sub(1) as i32
    }
}

/// The place of the broker with this node id.
#[inline(never)]
pub(crate) fn find_node(brokers: &[BrokerEntry], node_id: i32) -> Option<usize> {
    if node_id < 0 {
        return None;
    }
    let node = node_id as u32 + 1;
    brokers.iter().position(|b| b.is_used() && b.node == node)
}

impl<P: Platform> Cluster<P> {
    /// Adds an address of the bootstrap list. `None`: no place, or the host is longer than a cell.
    pub(crate) fn bootstrap(&mut self, host: &[u8], port: u16) -> Option<usize> {
        let index = self.brokers.iter().position(|b| !b.is_used())?;
        let host_length = self.hosts.set(index, host)?;
        self.brokers[index] = BrokerEntry { kind: Kind::Bootstrap, host_length, port, ..BrokerEntry::EMPTY };
        Some(index)
    }

    /// Keeps a place for the broker that keeps the group's positions; its address comes later.
    #[cfg(feature = "consumer")]
    pub(crate) fn reserve_coordinator(&mut self) -> Option<usize> {
        let index = self.brokers.iter().position(|b| !b.is_used())?;
        self.brokers[index] = BrokerEntry { kind: Kind::Coordinator, ..BrokerEntry::EMPTY };
        Some(index)
    }

    /// Where it is now: whether that is another place than before. An error if that is no address, or one that there is no place
    /// for; its entry keeps the latter, as what is in the way to it.
    #[cfg(feature = "consumer")]
    pub(crate) fn move_coordinator(&mut self, place: usize, host: &[u8], port: i32) -> Result<bool, ConnectionError> {
        let Some(port) = u16::try_from(port).ok().filter(|_| !host.is_empty()) else {
            return Err(ConnectionError::Protocol);
        };
        if self.brokers[place].port == port && self.host(place) == host {
            return Ok(false);
        }
        let Some(host_length) = self.hosts.set(place, host) else {
            let error = self.too_small();
            self.brokers[place].trouble = Some(error);
            return Err(error);
        };
        self.brokers[place].moved_to(host_length, port);
        Ok(true)
    }

    pub(crate) fn host(&self, broker: usize) -> &[u8] {
        self.hosts.get(broker, self.brokers[broker].host_length)
    }

    /// The broker with this node id.
    pub(crate) fn node(&self, node_id: i32) -> Option<usize> {
        find_node(&self.brokers, node_id)
    }

    /// One broker of a Metadata response, or of a leader hint (KIP-951). What it returns changed its address, or gave its place to
    /// another, and with it makes a connection to the old address useless.
    ///
    /// When there are more brokers than places, those that lead a partition that is written or read are kept: the leaders are known
    /// from the response before, and if one is missing the response after this one brings it.
    #[inline(never)]
    pub(crate) fn broker(&mut self, node_id: i32, host: &[u8], port: i32) -> Option<usize> {
        let Ok(port) = u16::try_from(port) else { return None };
        if node_id < 0 || host.is_empty() || host.len() > self.hosts.cell_bytes() {
            warning!("broker {} has an address that cannot be kept: {} bytes of host", node_id, host.len());
            self.unkept(node_id);
            return None;
        }
        let seen = self.metadata.responses;
        let known = self.node(node_id);
        if let Some(index) = known {
            self.brokers[index].seen = seen;
            if self.brokers[index].port == port && self.host(index) == host {
                return None;
            }
            // The address of a bootstrap entry is the user's: the node moves to a place of its own.
            if self.brokers[index].kind == Kind::Learnt {
                let host_length = self.hosts.set(index, host)?;
                self.brokers[index].moved_to(host_length, port);
                return Some(index);
            }
            self.brokers[index].node = 0;
        }
        let Some(place) = self.place_for(node_id, host, port) else {
            self.unkept(node_id);
            return None;
        };
        if self.brokers[place].kind == Kind::Bootstrap {
            (self.brokers[place].node, self.brokers[place].seen) = (node_id as u32 + 1, seen);
        } else {
            let host_length = self.hosts.set(place, host)?;
            let (kind, node) = (Kind::Learnt, node_id as u32 + 1);
            let connection = self.brokers[place].connection;
            self.brokers[place] = BrokerEntry { kind, node, host_length, port, seen, connection, ..BrokerEntry::EMPTY };
            if !connection.is_none() {
                return Some(place);
            }
        }
        known
    }

    fn unkept(&mut self, node_id: i32) {
        if self.is_leader(node_id) {
            self.metadata.unkept |= UNKEPT;
        }
    }

    fn place_for(&self, node_id: i32, host: &[u8], port: u16) -> Option<usize> {
        // The bootstrap address is often a broker's own: then its connection serves that broker from now on, and if another was
        // there before, no more that one.
        let same = |(i, b): &(usize, &super::BrokerEntry)| {
            let is_free = b.node == 0 || b.seen != self.metadata.responses;
            b.kind == Kind::Bootstrap && is_free && b.port == port && self.host(*i) == host
        };
        let brokers = || self.brokers.iter().enumerate();
        if let Some((index, _)) = brokers().find(same) {
            return Some(index);
        }
        if let Some(index) = self.brokers.iter().position(|b| !b.is_used()) {
            return Some(index);
        }
        if !self.is_leader(node_id) {
            return None;
        }
        // Rather one without a connection: for the sake of the other that is let go of.
        [true, false].into_iter().find_map(|idle| {
            let spare = |b: &BrokerEntry| {
                b.kind == Kind::Learnt && b.connection.is_none() == idle && !self.is_leader(b.node_id())
            };
            self.brokers.iter().position(spare)
        })
    }

    /// The partition's leader cannot be connected to, and not for the moment only: nobody knows its address, since that cannot be
    /// kept. A place may become free, and the next answer has it; hence some.
    #[inline(never)]
    pub(crate) fn no_place(&self, partition: usize) -> Option<ConnectionError> {
        let leader = self.partitions[partition].leader;
        if self.metadata.unkept < UNKEPT_ANSWERS || leader < 0 || self.node(leader).is_some() {
            return None;
        }
        Some(self.too_small())
    }

    fn too_small(&self) -> ConnectionError {
        ConnectionError::NoPlace {
            host_bytes: self.hosts.cell_bytes().min(u8::MAX.into()) as u8,
            brokers: self.brokers.len().min(u16::MAX.into()) as u16,
        }
    }

    #[inline(never)]
    pub(crate) fn is_leader(&self, node_id: i32) -> bool {
        self.partitions.iter().any(|p| p.is_needed() && p.leader == node_id)
    }

    /// After a whole response: forgets the brokers that neither it has named nor another that has begun since.
    pub(super) fn forget_unseen_brokers(&mut self, response: u16) {
        let unseen = |b: &BrokerEntry| b.node == 0 || b.seen.wrapping_sub(response).cast_signed() < 0;
        for broker in self.brokers.iter_mut().filter(|b| b.is_used() && unseen(b) && b.connection.is_none()) {
            if broker.kind == Kind::Learnt {
                broker.kind = Kind::Free;
            } else {
                broker.node = 0;
            }
        }
    }

    /// Everything that metadata told of brokers and leaders is forgotten; the bootstrap list stays.
    pub(crate) fn forget_learnt(&mut self) {
        for broker in self.brokers.iter_mut().filter(|b| b.is_used()) {
            (broker.node, broker.seen) = (0, 0);
            if broker.kind == Kind::Learnt && broker.connection.is_none() {
                broker.kind = Kind::Free;
            }
        }
        for partition in self.partitions.iter_mut() {
            (partition.leader, partition.leader_epoch) = (-1, -1);
        }
    }

    /// The broker to try next for news of the cluster: one that has not failed before one that has, one that metadata
    /// told of before an address of the bootstrap list, in turn.
    pub(crate) fn candidate(&self, now: Instant, rotation: usize) -> Option<usize> {
        let total = self.brokers.len().max(1);
        // As one number: three of them take 100 bytes more of flash to compare.
        let rank = |&i: &usize| {
            let b = &self.brokers[i];
            let worse = usize::from(b.failures > 0) * 2 + usize::from(b.node == 0);
            worse * total + (i + total - rotation % total) % total
        };
        let free = |&i: &usize| {
            self.brokers[i].is_general() && self.brokers[i].connection.is_none() && self.brokers[i].retry_at <= now
        };
        (0..self.brokers.len()).filter(free).min_by_key(rank)
    }

    /// When the first broker may be connected to again.
    pub(crate) fn next_retry(&self) -> Instant {
        let waiting = self.brokers.iter().filter(|b| b.is_general() && b.connection.is_none());
        waiting.map(|b| b.retry_at).min().unwrap_or(Instant::NEVER)
    }

    /// What to speak with a broker until it has told its versions: those that it told last, or those of another broker of
    /// the same cluster, or what nearly all offer; none at all if that did not go well.
    pub(crate) fn assumed_versions(&self, broker: usize) -> Versions {
        if self.brokers[broker].cautious {
            return Versions::NONE;
        }
        let others = || self.brokers.iter().filter(|b| b.is_used()).find_map(|b| b.versions);
        self.brokers[broker].versions.or_else(others).unwrap_or(Versions::GUESS)
    }

    pub(crate) fn used_brokers(&self) -> usize {
        self.brokers.iter().filter(|b| b.is_used()).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Also with `one-version`, where the newest that is spoken is the oldest.
    #[test]
    fn of_what_a_broker_offers_only_what_is_spoken_is_taken() {
        for &api in Versions::APIS {
            let mut versions = Versions::NONE;
            versions.offer(api as i16, 0, i16::MAX);
            let (least, most) = protocol::versions(api);
            let taken = versions.get(api);
            assert!(taken.is_some_and(|taken| (least..=most).contains(&taken)), "{api:?}: {taken:?}");
        }
    }
}
