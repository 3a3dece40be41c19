//! How a producer is built: settings and capacities, and the start.

use super::{Handle, Producer, Shared};
use crate::bootstrap::{BuildError, addresses, start};
use crate::codec::Packing;
use crate::driver;
use crate::heap::{MutexLock, tables};
use crate::metrics::Latencies;
use crate::net::{StdClock, TokioIo};
use demitasse_core::{
    Acks, Capacities, Compression, Config, MemoryPlan, Name, Partitioner, Role, Setting, Sizing, StartError, State,
    UnknownOutcome, WaitersFull,
};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

/// Settings and capacities, typed or by Kafka's property names.
#[derive(Clone, Debug)]
#[must_use = "nothing runs before it is started"]
pub struct Builder {
    bootstrap: Result<Vec<(String, u16)>, BuildError>,
    config: Config,
    sizing: Sizing,
    adjust: Option<Capacities>,
    idempotence_set: bool,
}

impl Builder {
    /// The defaults of a server: those of Kafka's Java client, but for these.
    ///
    /// `batch.size` is 64 KiB, not 16: a buffer does not grow, so it is also the largest record that can be sent.
    /// `buffer.memory` is 10 MiB, not 32: all of it is touched at the start, and 160 batches under way are enough for 100
    /// MB/s to a broker that takes 100 ms; more is a matter of one setting.
    /// 16 connections, 64 brokers, 64 topics, 1,024 partitions and 1,024 waiting tasks are the ceilings; each can be
    /// set (`connections.max` and so on).
    pub fn new() -> Self {
        let sizing = Sizing {
            buffer_memory: 10 * 1024 * 1024,
            batch_size: 64 * 1024,
            partitions: 1024,
            topics: 64,
            brokers: 64,
            connections: 16,
            max_in_flight: 5,
            waiters: 1024,
        };
        Builder { bootstrap: Ok(Vec::new()), config: Config::new(), sizing, adjust: None, idempotence_set: false }
    }

    /// Sets a property by Kafka's name, as in `linger.ms` and `5`. [`Setting::ALL`] lists them, `bootstrap.servers`
    /// goes here too.
    ///
    /// # Errors
    /// The name is unknown or a consumer's, or the value is none that it takes; the text names both.
    pub fn set(mut self, name: &str, value: &str) -> Result<Self, BuildError> {
        if name == "bootstrap.servers" {
            self.bootstrap = Ok(addresses(value)?);
            return Ok(self);
        }
        Setting::set(Role::Producer, &mut self.config, &mut self.sizing, name, value)
            .map_err(|e| BuildError::Property(e.to_string()))?;
        self.idempotence_set |= name == "enable.idempotence";
        Ok(self)
    }

    /// `bootstrap.servers`: `host:port`, several with commas between.
    pub fn bootstrap_servers(mut self, servers: &str) -> Self {
        // What is wrong with it shows at the start, like everything else.
        self.bootstrap = addresses(servers);
        self
    }

    /// `client.id`, at most 64 bytes; a longer one is cut.
    pub fn client_id(mut self, id: &str) -> Self {
        let mut end = id.len().min(64);
        while !id.is_char_boundary(end) {
            end -= 1;
        }
        self.config.client_id = Name::new(&id[..end]);
        self
    }

    /// `acks`. Other than all, it turns idempotence off unless that is set.
    pub fn acks(mut self, acks: Acks) -> Self {
        self.config.acks = acks;
        self
    }

    /// `enable.idempotence`.
    pub fn idempotence(mut self, on: bool) -> Self {
        self.config.idempotence = on;
        self.idempotence_set = true;
        self
    }

    /// `linger.ms`.
    pub fn linger(mut self, linger: Duration) -> Self {
        self.config.linger = linger;
        self
    }

    /// `delivery.timeout.ms`.
    pub fn delivery_timeout(mut self, timeout: Duration) -> Self {
        self.config.delivery_timeout = timeout;
        self
    }

    /// `max.block.ms`.
    pub fn max_block(mut self, timeout: Duration) -> Self {
        self.config.max_block = timeout;
        self
    }

    /// `connections.per.broker.min` and `connections.per.broker.max`: a broker has the least, and more while they do not
    /// suffice. Both 1 at first. `connections.max` must have room for those of all brokers.
    pub fn connections_per_broker(mut self, connections: RangeInclusive<u8>) -> Self {
        self.config.connections_per_broker_min = *connections.start();
        self.config.connections_per_broker_max = *connections.end();
        self
    }

    /// What happens to a batch whose time is over while it may be in the log.
    pub fn unknown_outcome(mut self, choice: UnknownOutcome) -> Self {
        self.config.unknown_outcome = choice;
        self
    }

    /// `batch.size`, in bytes: one buffer, and the largest record that can be sent with its batch.
    pub fn batch_size(mut self, bytes: u32) -> Self {
        self.sizing.batch_size = bytes;
        self
    }

    /// `buffer.memory`, in bytes: all buffers together.
    pub fn buffer_memory(mut self, bytes: u64) -> Self {
        self.sizing.buffer_memory = bytes;
        self
    }

    /// `compression.type`: what batches are compressed by, as long as that makes them smaller. The crate must have been built
    /// with it. The caller's thread does nothing for it.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.config.compression = compression;
        self
    }

    /// `partitioner.class`.
    pub fn partitioner(mut self, partitioner: Partitioner) -> Self {
        self.config.partitioner = partitioner;
        self
    }

    /// What happens when more tasks wait than there are seats for.
    pub fn waiters_full(mut self, choice: WaitersFull) -> Self {
        self.config.waiters_full = choice;
        self
    }

    /// All settings, to change any of them.
    pub fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    /// The numbers that all capacities follow from, to change any of them.
    pub fn sizing_mut(&mut self) -> &mut Sizing {
        &mut self.sizing
    }

    /// Every capacity by hand, instead of those that follow from the other settings.
    pub fn capacities(mut self, capacities: Capacities) -> Self {
        self.adjust = Some(capacities);
        self
    }

    /// The capacities as they will be, and the memory that they take, without starting anything.
    pub fn plan(&self) -> (Capacities, MemoryPlan) {
        let capacities = self.adjust.unwrap_or_else(|| Capacities::derive(&self.sizing));
        let compression = Packing::new(&self.config, &capacities).pool(capacities.connections);
        (capacities, MemoryPlan { compression, ..MemoryPlan::of::<crate::heap::Buffer>(&capacities) })
    }

    /// Allocates all memory and starts: on the tokio runtime that this is called in, or else on a thread of its own. It
    /// does not wait for a broker. The runtime must have IO and time (`enable_all`): in one that has not, the producer's first
    /// task panics, and it is closed.
    ///
    /// # Errors
    /// Settings or capacities contradict each other; the sizes are in the error.
    pub fn start(self) -> Result<Producer, BuildError> {
        let (capacities, _) = self.plan();
        let bootstrap = self.bootstrap?;
        capacities.check().map_err(|error| BuildError::Start(StartError::Capacity(error)))?;
        let mut config = self.config;
        config.idempotence &= config.acks == Acks::All || self.idempotence_set;

        let packing = Packing::new(&config, &capacities);
        if !packing.is_possible() {
            let text = format!("compression.type: this program was built without {}", packing.compression());
            return Err(BuildError::Property(text));
        }
        let clock = StdClock::start();
        let core = demitasse_core::Producer::new(MutexLock::new(State::new(tables(&capacities, 0))), clock);
        // Filled, and not with zeros: else the system would hand the memory out only when it is first used, and what the
        // process takes would grow for as long as that goes on.
        core.lend((0..capacities.buffers).map(|_| vec![1; capacities.batch_bytes as usize].into_boxed_slice()));
        start(&core, &config, &capacities, &bootstrap)?;

        let latencies = Arc::new(Latencies::new());
        let compression = packing.pool(capacities.connections);
        let shared = Arc::new(Shared { core, latencies, compression });
        let io = TokioIo { clock, latencies: shared.latencies.clone(), encoder: None };
        let home =
            driver::start(&shared, &io, capacities, packing).map_err(|error| BuildError::Thread(error.kind()))?;
        Ok(Producer(Arc::new(Handle { shared, delivery_timeout: config.delivery_timeout, home })))
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_refused_by_name_and_with_sizes() {
        let text = |result: Result<Builder, BuildError>| result.unwrap_err().to_string();
        assert_eq!(text(Builder::new().set("lingr.ms", "5")), "unknown property lingr.ms");
        assert!(text(Builder::new().set("linger.ms", "soon")).contains("linger.ms"));
        let error = Builder::new().bootstrap_servers("a:1").buffer_memory(1000).start().unwrap_err().to_string();
        assert!(error.contains("buffer.memory / batch.size") && error.contains("at least 1"), "{error}");
        let error = Builder::new().bootstrap_servers("a:1").acks(Acks::Leader).idempotence(true).start().unwrap_err();
        assert!(error.to_string().contains("acks"), "{error}");
        assert!(Builder::new().bootstrap_servers("a:1").acks(Acks::Leader).start().is_ok());
        let error = Builder::new().bootstrap_servers("a:1,b").start().unwrap_err();
        assert_eq!(error, BuildError::Address("b".to_owned()), "the one that is wrong, not all of them");
    }
}
