//! What a connection received, and what follows from it for the cluster and the connection.

use crate::cluster::{Open, Versions};
use crate::connection::{ConnectionError, Phase, Received, Request, backoff_millis};
use crate::pool::Link;
use crate::protocol::{ApiKey, ErrorCode, api_versions};
use crate::state::{Platform, State};
use crate::time::Instant;

/// Nobody is silent for longer, whatever a broker asks for: Kafka's own answers stay below its quota windows, some seconds.
const SILENCE_MAX_MILLIS: i32 = 60_000;

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
    pub(crate) fn answered(&mut self, slot: usize, now: Instant) {
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
                self.read_request_over(slot, &request, Some(now));
                self.reread_all();
            }
            #[cfg(feature = "consumer")]
            ApiKey::FindCoordinator | ApiKey::OffsetCommit | ApiKey::OffsetFetch if self.has_group() => {
                self.group_answered(slot, now);
            }
            _ => {}
        }
        self.less_outstanding(slot, now);
    }

    /// When nothing is outstanding any more the slot is free for another broker, or idle from now on.
    pub(crate) fn less_outstanding(&mut self, slot: usize, now: Instant) {
        let connection = &self.connections[slot];
        if !connection.ring.is_empty() {
            return;
        }
        if connection.phase == Phase::Draining || self.s.connections_wanted || self.s.closing {
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
                if connection.phase == Phase::Negotiating {
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

    /// A broker has said who leads instead the partition that is being received (KIP-951): its place, if that is news. Only
    /// a newer epoch is: two brokers that name each other must not be believed in turn.
    pub(crate) fn leader_hint(&mut self, slot: usize, leader: i32, epoch: i32) -> Option<usize> {
        let place = self.connections[slot].receive.partition.get()?;
        let newer = leader >= 0 && epoch > self.cluster.partitions[place].leader_epoch;
        let news = newer && self.cluster.partition(place, leader, epoch);
        self.s.counters.leader_hints += usize::from(news);
        news.then_some(place)
    }

    /// Where a node is that was named so.
    pub(crate) fn leader_endpoint(&mut self, node_id: i32, host: &[u8], port: i32) {
        let moved = self.cluster.broker(node_id, host, port);
        self.close_moved(moved);
        self.s.connections_wanted = true;
        self.wake_clock();
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
        let open = self.cluster.metadata_ends(reading);
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
            let again = now.after_millis(backoff_millis(base, max, metadata.failures, random));
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
}
