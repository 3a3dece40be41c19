//! How a consumer is built: settings and capacities, and the start.

use super::{Consumer, Handle, Shared};
use crate::bootstrap::{BuildError, addresses, start};
use crate::codec::{Decoders, Packing};
use crate::driver;
use crate::heap::{MutexLock, tables};
use crate::metrics::Latencies;
use crate::net::{StdClock, TokioIo};
use demitasse_core::protocol::IsolationLevel;
use demitasse_core::{
    CHUNK_BYTES_MIN, Capacities, Config, Inflater, OffsetReset, Role, Setting, Sizing, StartError, State,
};
use std::sync::Arc;

/// Settings and capacities of a consumer, typed or by Kafka's property names.
#[derive(Clone, Debug)]
#[must_use = "nothing runs before it is started"]
pub struct ConsumerBuilder {
    bootstrap: Result<Vec<(String, u16)>, BuildError>,
    config: Config,
    sizing: Sizing,
    fetch_memory: u64,
    chunk_bytes: u32,
    /// What can only be told at the start.
    wrong: Option<String>,
    /// If none is set, as large as a chunk.
    window_bytes: Option<u32>,
}

/// Room for some four hundred partitions of a topic in one request. More are asked for one request after the other.
const FRAME_BYTES: u32 = 16 * 1024;

/// What a fetch of the largest batch that a broker takes by itself needs, and then some.
const CHUNK_BYTES: u32 = 1024 * 1024 + 64 * 1024;

/// Chunks, at most: their numbers have sixteen bits.
const CHUNKS_MAX: u64 = 1 << 15;

impl ConsumerBuilder {
    /// The defaults: 16 MiB of fetch memory in chunks of 1 MiB and 64 KiB, 16 connections, 64 brokers, 64 topics, 1,024
    /// partitions. Reading makes no topics (`allow.auto.create.topics`).
    pub fn new() -> Self {
        let sizing = Sizing {
            buffer_memory: 0,
            batch_size: 0,
            partitions: 1024,
            topics: 64,
            brokers: 64,
            connections: 16,
            max_in_flight: 1,
            waiters: 64,
        };
        let mut config = Config::new();
        config.idempotence = false;
        config.max_in_flight = 1;
        // Who mistypes a name is not to make a topic by reading it.
        config.allow_auto_create_topics = false;
        ConsumerBuilder {
            bootstrap: Ok(Vec::new()),
            config,
            sizing,
            fetch_memory: 16 << 20,
            chunk_bytes: CHUNK_BYTES,
            wrong: None,
            window_bytes: None,
        }
    }

    /// Sets a property by Kafka's name, as in `fetch.max.wait.ms` and `100`: those of
    /// [`Setting::ALL`](demitasse_core::Setting::ALL), and `bootstrap.servers`, `fetch.memory.bytes` (or
    /// `queued.max.messages.kbytes`), `fetch.chunk.bytes` and `fetch.decompression.bytes`.
    ///
    /// # Errors
    /// The name is unknown or a producer's, or the value is none that it takes; the text names both.
    pub fn set(mut self, name: &str, value: &str) -> Result<Self, BuildError> {
        let wrong = |expected: &str| BuildError::Property(format!("{name}: {value:?} is not {expected}"));
        let trimmed = value.trim();
        let number = || trimmed.parse::<u64>().map_err(|_| wrong("a number"));
        match name {
            "bootstrap.servers" => self.bootstrap = Ok(addresses(value)?),
            "fetch.memory.bytes" => self.fetch_memory = number()?,
            "queued.max.messages.kbytes" => self.fetch_memory = number()?.saturating_mul(1024),
            "fetch.chunk.bytes" => self.chunk_bytes = trimmed.parse().map_err(|_| wrong("a number of bytes"))?,
            "fetch.decompression.bytes" => {
                self.window_bytes = Some(trimmed.parse().map_err(|_| wrong("a number of bytes"))?);
            }
            _ => Setting::set(Role::Consumer, &mut self.config, &mut self.sizing, name, value)
                .map_err(|error| BuildError::Property(error.to_string()))?,
        }
        Ok(self)
    }

    /// `bootstrap.servers`: `host:port`, several with commas between.
    pub fn bootstrap_servers(mut self, servers: &str) -> Self {
        // What is wrong with it shows at the start, like everything else.
        self.bootstrap = addresses(servers);
        self
    }

    /// `group.id`: under whose name positions are kept. At most 128 bytes; a longer one is refused at the start.
    pub fn group(mut self, id: &str) -> Self {
        match id.try_into() {
            Ok(id) => self.config.group_id = id,
            Err(error) => self.wrong = Some(format!("group.id: {error}")),
        }
        self
    }

    /// `fetch.memory.bytes`: all that is fetched or asked for, together.
    pub fn fetch_memory(mut self, bytes: u64) -> Self {
        self.fetch_memory = bytes;
        self
    }

    /// `fetch.decompression.bytes`: the window that compressed batches are decompressed into. The largest of their records
    /// must fit, and for lz4 64 KiB more; a batch need not. By default as large as a chunk; 0 for none, and no compressed
    /// batch can be read.
    pub fn decompression_bytes(mut self, bytes: u32) -> Self {
        self.window_bytes = Some(bytes);
        self
    }

    /// `isolation.level`.
    pub fn isolation_level(mut self, level: IsolationLevel) -> Self {
        self.config.isolation_level = level;
        self
    }

    /// `auto.offset.reset`.
    pub fn offset_reset(mut self, reset: OffsetReset) -> Self {
        self.config.offset_reset = reset;
        self
    }

    /// All other settings, to change any of them.
    pub fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    /// The capacities as they will be, and the number of chunks, at most 32,768; a start refuses more.
    pub fn plan(&self) -> (Capacities, u16) {
        let capacities = Capacities { frame_bytes: FRAME_BYTES, ..Capacities::derive(&self.sizing).without_batches() };
        (capacities, self.chunks().min(CHUNKS_MAX) as u16)
    }

    fn chunks(&self) -> u64 {
        self.fetch_memory.checked_div(self.chunk_bytes.into()).unwrap_or(0)
    }

    /// Allocates all memory and starts: on the tokio runtime that this is called in, which must have IO and time (`enable_all`),
    /// or else on a thread of its own.
    ///
    /// # Errors
    /// Settings or capacities contradict each other; the sizes are in the error.
    pub fn start(self) -> Result<Consumer, BuildError> {
        if let Some(wrong) = self.wrong {
            return Err(BuildError::Property(wrong));
        }
        let (capacities, chunks) = self.plan();
        let chunk_count = self.chunks();
        let bootstrap = self.bootstrap?;
        let (memory, chunk) = (self.fetch_memory, self.chunk_bytes);
        if (chunk as usize) < CHUNK_BYTES_MIN {
            let text = format!("fetch.chunk.bytes is {chunk}, a batch of one record needs {CHUNK_BYTES_MIN}");
            return Err(BuildError::Property(text));
        }
        if chunks == 0 {
            let text = format!(
                "fetch.memory.bytes (or queued.max.messages.kbytes) is {memory} bytes, less than one chunk of {chunk} \
                 (fetch.chunk.bytes)"
            );
            return Err(BuildError::Property(text));
        }
        if chunk_count > CHUNKS_MAX {
            let text = format!(
                "fetch.memory.bytes (or queued.max.messages.kbytes) is {memory} bytes, more than {CHUNKS_MAX} chunks of \
                 {chunk}: raise fetch.chunk.bytes"
            );
            return Err(BuildError::Property(text));
        }
        // Kafka counts them in 31 bits.
        if chunk > i32::MAX as u32 {
            return Err(BuildError::Property(format!("fetch.chunk.bytes is {chunk}, it may be at most {}", i32::MAX)));
        }
        capacities.check().map_err(|error| BuildError::Start(StartError::Capacity(error)))?;
        let clock = StdClock::start();
        let core = demitasse_core::Consumer::new(MutexLock::new(State::new(tables(&capacities, chunks))), clock);
        // Not touched: the first free chunk is always the next to be used, so who keeps up has few of them resident, and who
        // falls behind no more than all.
        let buffer = |bytes: u32| vec![0; bytes as usize].into_boxed_slice();
        core.lend((0..chunks).map(|_| buffer(self.chunk_bytes)));
        let window = self.window_bytes.unwrap_or(self.chunk_bytes);
        if window > 0 {
            core.lend_inflater(Box::new(Inflater::new(Decoders::new(), buffer(window))));
        }
        start(core.client(), &self.config, &capacities, &bootstrap)?;
        let shared = Arc::new(Shared { core });
        let io = TokioIo { clock, latencies: Arc::new(Latencies::new()), encoder: None };
        driver::start(&shared, &io, capacities, Packing::NONE).map_err(|error| BuildError::Thread(error.kind()))?;
        Ok(Consumer(Arc::new(Handle(shared))))
    }
}

impl Default for ConsumerBuilder {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_asked_for_is_refused() {
        for (name, value) in [("fetch.chunk.bytes", "2147483648"), ("fetch.max.wait.ms", "4294967296000")] {
            let builder = Consumer::builder().bootstrap_servers("127.0.0.1:1").fetch_memory(3 << 30);
            let error = builder.set(name, value).and_then(ConsumerBuilder::start).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}
