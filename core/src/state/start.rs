//! From settings and tables to a client that runs.

use super::{Capacities, CapacityError, Current, Platform, State};
use crate::config::{ConfigError, Configured, Settings};
use crate::connection::CONTROL_REQUESTS;
#[cfg(feature = "consumer")]
use crate::pool::Link;
use crate::producer::queue_hooks;
use crate::time::Instant;

impl<P: Platform> State<P> {
    /// Puts buffers into the pool, as many as it has places for.
    pub(crate) fn lend(&mut self, mut buffers: impl Iterator<Item = P::Buffer>) {
        for (place, buffer) in self.buffers.iter_mut().zip(&mut buffers) {
            *place = Some(buffer);
        }
        #[cfg(feature = "consumer")]
        for (chunk, buffer) in self.chunks.iter_mut().zip(buffers) {
            // The smallest of them: what a request asks for fits into each.
            let bytes = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
            self.s.consumer.chunk_bytes =
                if self.s.consumer.chunk_bytes == 0 { bytes } else { self.s.consumer.chunk_bytes.min(bytes) };
            chunk.buffer = Some(buffer);
        }
    }

    /// Checks that the settings fit the tables, takes them, and begins.
    /// `scratch` is the size of each connection's frame buffer and receive buffer.
    pub(crate) fn start(
        &mut self,
        configured: P::Settings,
        bootstrap: &[(&str, u16)],
        scratch: (usize, usize),
        random: u32,
    ) -> Result<(), StartError> {
        if self.s.started {
            return Err(StartError::AlreadyStarted);
        }
        let settings = configured.get();
        self.s.batch_bytes = self.buffers.iter().flatten().map(|b| b.len()).min().unwrap_or(0) as u32;
        self.s.scratch = (scratch.0 as u32, scratch.1 as u32);
        if !P::CHECKED {
            self.capacities().check().map_err(StartError::Capacity)?;
        }
        // Only a consumer does without batches.
        let least = usize::from(self.positions.is_empty());
        let (lent, needed) = (self.buffers.iter().flatten().count(), self.buffers.len().max(least));
        if lent < needed {
            let error = CapacityError::new("buffers that were lent", lent as u64, needed as u64);
            return Err(StartError::Capacity(error));
        }
        let reads = !self.positions.is_empty();
        settings.fit(bootstrap, self.cluster.hosts.cell_bytes(), self.cluster.brokers.len(), reads)?;
        // From here on nothing can fail.
        let places = self.depth().saturating_sub(CONTROL_REQUESTS);
        self.s.max_in_flight = settings.max_in_flight.min(places as u8);
        for &(host, port) in bootstrap {
            self.cluster.bootstrap(host.as_bytes(), port);
        }
        #[cfg(feature = "consumer")]
        if coordinators(settings, reads) > 0 {
            self.s.consumer.group.broker = self.cluster.reserve_coordinator().map_or(Link::NONE, Link::to);
        }
        if self.has_seats() {
            self.seats().start();
        }
        for index in 0..self.batches.len() {
            self.s.free_batches.push_back(&mut self.batches, index, queue_hooks);
        }
        self.settings = Current(configured);
        self.s.random = random;
        self.s.broker_rotation = (self.random() % bootstrap.len() as u32) as u16;
        self.cluster.metadata.refresh_at = Instant::ZERO;
        self.s.retry_scan_at = Instant::NEVER;
        self.s.close_at = Instant::NEVER;
        self.s.clock_until = Instant::NEVER;
        self.s.started = true;
        self.wake_clock();
        Ok(())
    }

    /// The capacities of the tables as they are.
    pub(super) fn capacities(&self) -> Capacities {
        Capacities {
            batch_bytes: self.s.batch_bytes,
            buffers: self.buffers.len() as u16,
            batches: self.batches.len() as u16,
            topics: self.cluster.topics.len() as u16,
            topic_name_bytes: self.cluster.names.cell_bytes() as u16,
            partitions: self.cluster.partitions.len().min(self.queues.len()) as u16,
            brokers: self.cluster.brokers.len() as u16,
            host_bytes: self.cluster.hosts.cell_bytes() as u16,
            connections: self.connections.len() as u16,
            requests: self.depth() as u16,
            waiters: self.waiters.len() as u16,
            frame_bytes: self.s.scratch.0,
            receive_bytes: self.s.scratch.1,
        }
    }
}

impl Settings {
    /// Whether a start with these addresses can go well where there are places for so many brokers, with hosts of so many bytes,
    /// and where something is read or nothing: for who can give its storage away but once.
    ///
    /// # Errors
    /// Those that the start would have.
    #[inline(never)]
    pub fn fit(
        &self,
        bootstrap: &[(&str, u16)],
        host_bytes: usize,
        brokers: usize,
        reads: bool,
    ) -> Result<(), StartError> {
        let longest = bootstrap.iter().map(|(host, _)| host.len()).max().unwrap_or(0);
        let needed = bootstrap.len() + coordinators(self, reads);
        let needs = [("host_bytes", host_bytes, longest), ("brokers", brokers, needed)];
        if let Some((what, given, needed)) = needs.into_iter().find(|(_, given, needed)| given < needed) {
            return Err(StartError::Capacity(CapacityError::new(what, given as u64, needed as u64)));
        }
        if bootstrap.is_empty() {
            return Err(StartError::Config(ConfigError { name: "bootstrap.servers", reason: "must name a broker" }));
        }
        Ok(())
    }
}

/// Why a producer cannot start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum StartError {
    /// A setting cannot be.
    Config(ConfigError),
    /// A capacity is too small for the others or for the settings.
    Capacity(CapacityError),
    /// It runs already.
    AlreadyStarted,
}

impl core::fmt::Display for StartError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            StartError::Config(error) => error.fmt(f),
            StartError::Capacity(error) => error.fmt(f),
            StartError::AlreadyStarted => f.write_str("the producer was started before"),
        }
    }
}

impl core::error::Error for StartError {}

impl From<ConfigError> for StartError {
    fn from(error: ConfigError) -> Self {
        StartError::Config(error)
    }
}

/// Places in the table of brokers for the one that keeps the group's positions. A producer has none, though its settings may be
/// those of a consumer beside it, too.
#[allow(unused_variables, reason = "without a consumer")]
fn coordinators(settings: &Settings, reads: bool) -> usize {
    #[cfg(feature = "consumer")]
    return usize::from(reads && !settings.group_id.is_empty());
    #[cfg(not(feature = "consumer"))]
    0
}
