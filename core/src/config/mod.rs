//! What a user can set, of producer and consumer. Names are Kafka's, without the unit: `linger.ms` is [`Config::linger`].
//! `properties` takes them as text, by those names; `settings` is what the state works with, `name` a short text among them.

mod name;
mod properties;
mod settings;

pub use name::{Name, NameTooLong};
pub use properties::{PropertyError, Role, Setting};
pub use settings::{Configured, Fixed, Settings};

#[cfg(feature = "consumer")]
use crate::protocol::IsolationLevel;
#[cfg(feature = "compression")]
use crate::records::Compression;
use core::time::Duration;

/// When a record counts as written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Acks {
    /// When it was given to the network. Nothing is known of its fate.
    None,
    /// When the partition's leader has it. Lost if that broker dies before others have it.
    Leader,
    /// When all in-sync replicas have it, `min.insync.replicas` of them at least.
    All,
}

impl Acks {
    pub(crate) const fn wire(self) -> i16 {
        match self {
            Acks::None => 0,
            Acks::Leader => 1,
            Acks::All => -1,
        }
    }
}

/// Which partition a record with a key goes to, if it does not name one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Partitioner {
    /// As Java's client: murmur2 of the key. Without a key: one partition until a batch is full (KIP-480, KIP-794); with the
    /// feature `scaling` another one before that, if a batch would be opened behind one that is under way.
    Murmur2,
    /// As librdkafka's `consistent_random`: CRC-32 of the key. Without a key: as above.
    Crc32,
    /// Keys do not matter: one partition until a batch is full.
    Sticky,
}

/// What happens to a batch whose `delivery.timeout.ms` is over while it may be in the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum UnknownOutcome {
    /// Its outcome is "unknown", and its partition goes on under a new epoch. As Java's client does.
    GiveUp,
    /// It keeps its bytes, sequence and epoch, and is sent again until the broker writes it or says that it has it; what
    /// comes later in its partition waits behind it. It ends before that if the broker refuses it or says that it is not in the
    /// log, by [`crate::Producer::give_up`], or by the end of a close.
    ///
    /// Limit: a broker that has forgotten the producer (`producer.id.expiration.ms`, a day by default) cannot tell, and
    /// writes it a second time; before Kafka 2.4 it may refuse it, and the outcome is unknown after all.
    Hold,
}

/// What happens when more tasks wait than there are seats for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum WaitersFull {
    /// The task asks again at once, over and over: always right, and costs CPU. Counted.
    Spin,
    /// The call ends in an error that says so. What has no such error, a consumer's `poll` and `wait_position`, asks again all the
    /// same.
    Refuse,
}

/// Where a consumer goes on when the log has no such offset: Kafka's `auto.offset.reset`.
#[cfg(feature = "consumer")]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum OffsetReset {
    /// Nowhere: it is an error of that partition.
    #[default]
    None,
    /// At the first record that there is.
    Earliest,
    /// Behind the last.
    Latest,
}

/// How hard each codec tries (KIP-390): more costs time and makes batches smaller. Snappy has no levels; LZ4 has, but its
/// fast one alone is here.
#[cfg(feature = "compression")]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct CompressionLevels {
    /// `compression.gzip.level`: 1 to 9; 6 if there is none.
    pub gzip: Option<i32>,
    /// `compression.zstd.level`: -131072 to 22; 3 if there is none.
    pub zstd: Option<i32>,
}

#[cfg(feature = "compression")]
impl CompressionLevels {
    /// That of one codec, if it has levels and one is set.
    pub const fn of(&self, compression: Compression) -> Option<i32> {
        match compression {
            Compression::Gzip => self.gzip,
            Compression::Zstd => self.zstd,
            _ => None,
        }
    }
}

/// The settings of a producer. Every duration is at most [`Config::DURATION_MAX`].
///
/// `Config::new()` has the defaults of Kafka's Java client 4.x; each that differs says why.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Config {
    /// `client.id`: what the broker's logs and quotas know us by. At most 64 bytes.
    pub client_id: Name<64>,
    /// `acks`. Default all.
    pub acks: Acks,
    /// `enable.idempotence`: the broker tells duplicates and gaps apart, so that retries neither double nor reorder.
    /// Needs `acks` all and at most 5 requests in flight. Default true.
    pub idempotence: bool,
    /// `linger.ms`: how long a batch waits for more records before it is sent. Default 5 ms.
    pub linger: Duration,
    /// `delivery.timeout.ms`: from `send` to the outcome, at most. Default 2 minutes.
    pub delivery_timeout: Duration,
    /// `request.timeout.ms`: a connection that has not answered for so long is closed. Default 30 s.
    pub request_timeout: Duration,
    /// `max.block.ms`: how long `send` waits for room or for the topic to become known. A consumer's
    /// `default.api.timeout.ms`: how long `commit` waits. Default 1 minute.
    pub max_block: Duration,
    /// `max.in.flight.requests.per.connection`: Produce requests that may be unanswered at once. Default and, with
    /// idempotence, most: 5.
    pub max_in_flight: u8,
    /// `max.request.size`: bytes of batches in one request, but one batch always goes. Default 1 MiB.
    pub max_request_size: u32,
    /// `compression.type`: what batches are compressed by, as long as that makes them smaller. Default none.
    #[cfg(feature = "compression")]
    pub compression: Compression,
    /// `compression.gzip.level` and so on: how hard. Default: each codec's own.
    #[cfg(feature = "compression")]
    pub compression_levels: CompressionLevels,
    /// `retry.backoff.ms`: wait before the first retry of a partition; doubled each time. Default 100 ms.
    pub retry_backoff: Duration,
    /// `retry.backoff.max.ms`: the most that it grows to. Default 1 s.
    pub retry_backoff_max: Duration,
    /// `reconnect.backoff.ms`: wait before connecting to a broker again; doubled each time. Default 50 ms.
    pub reconnect_backoff: Duration,
    /// `reconnect.backoff.max.ms`: the most that it grows to. Default 1 s.
    pub reconnect_backoff_max: Duration,
    /// `socket.connection.setup.timeout.ms`: from the attempt to connect until the broker has told its versions.
    /// Default 10 s.
    pub connection_setup_timeout: Duration,
    /// `connections.max.idle.ms`: unused connections are closed after it. Default 9 minutes.
    pub connections_max_idle: Duration,
    /// `connections.per.broker.min`: connections to a broker that is sent to, as soon as as many partitions are sent to
    /// it. Default 1.
    #[cfg(feature = "scaling")]
    pub connections_per_broker_min: u8,
    /// `connections.per.broker.max`: so many, if those there are do not suffice for a second. Default 1. With acks=0
    /// there are never more than the least.
    #[cfg(feature = "scaling")]
    pub connections_per_broker_max: u8,
    /// `connections.scale.interval.ms`: how often it is looked whether connections suffice. It takes 4 times in a row to
    /// add one, 40 in calm to give one up, and 8 of rest after each. Default 250 ms.
    #[cfg(feature = "scaling")]
    pub connections_scale_interval: Duration,
    /// `group.id`: the group under whose name a consumer's positions are kept. Empty, the default: none. At most 128 bytes.
    #[cfg(feature = "consumer")]
    pub group_id: Name<128>,
    /// `isolation.level`: which records of transactions a consumer sees. Default read_uncommitted.
    #[cfg(feature = "consumer")]
    pub isolation_level: IsolationLevel,
    /// `auto.offset.reset`: where a consumer goes on when the log has no such offset. Default none: it is an error.
    #[cfg(feature = "consumer")]
    pub offset_reset: OffsetReset,
    /// `fetch.max.wait.ms`: how long a broker may wait until it has `fetch.min.bytes`; half of `request.timeout.ms` at
    /// most. Default 500 ms.
    #[cfg(feature = "consumer")]
    pub fetch_max_wait: Duration,
    /// `client.rack`: where this client is, as `broker.rack` has it: a broker that knows names the nearest replica to
    /// read from (KIP-392). Empty, the default: leaders are read from. At most 64 bytes.
    #[cfg(feature = "consumer")]
    pub client_rack: Name<64>,
    /// `fetch.stream.large.batches`: whether a batch that is larger than a chunk, and not compressed, is handed out piece by
    /// piece as it comes, and not an error. **Its checksum comes last**: records are handed out before anybody can know that
    /// their bytes are sound, with [`Consumed::verified`](crate::Consumed::verified) false; if they were not, the partition
    /// stops with the last piece. Whoever must not act on what a broken disk may have changed says no. Default true.
    #[cfg(feature = "consumer")]
    pub stream_large_batches: bool,
    /// `fetch.min.bytes`, at most half a chunk. Default 1.
    #[cfg(feature = "consumer")]
    pub fetch_min_bytes: u32,
    /// `poll.min.records`: so many records a poll may always hand out, however full what comes after it is; at least 1. Default 10.
    #[cfg(feature = "consumer")]
    pub poll_min_records: u32,
    /// `metadata.max.age.ms`: metadata is asked for again after it, without cause. Default 5 minutes.
    pub metadata_max_age: Duration,
    /// `allow.auto.create.topics`: the broker may make a topic that it does not know, if it is set to. Default true;
    /// false for a consumer of `demitasse-io-std`, as it should be for all that only read.
    pub allow_auto_create_topics: bool,
    /// `partitioner.class`. Default murmur2.
    pub partitioner: Partitioner,
    /// What to do when a delivery's time is over and nobody knows whether it was written. Default: give up.
    pub unknown_outcome: UnknownOutcome,
    /// What to do when every seat for a waiting task is taken. Default: spin.
    pub waiters_full: WaitersFull,
}

impl Config {
    /// The longest duration that can be set: about 24 days, what Kafka's `int` of milliseconds holds.
    pub const DURATION_MAX: Duration = Duration::from_millis(i32::MAX as u64);

    /// The defaults.
    pub const fn new() -> Self {
        Config {
            client_id: Name::EMPTY,
            acks: Acks::All,
            idempotence: true,
            linger: Duration::from_millis(5),
            delivery_timeout: Duration::from_millis(120_000),
            request_timeout: Duration::from_millis(30_000),
            max_block: Duration::from_millis(60_000),
            max_in_flight: 5,
            max_request_size: 1024 * 1024,
            #[cfg(feature = "compression")]
            compression: Compression::None,
            #[cfg(feature = "compression")]
            compression_levels: CompressionLevels { gzip: None, zstd: None },
            retry_backoff: Duration::from_millis(100),
            retry_backoff_max: Duration::from_millis(1000),
            reconnect_backoff: Duration::from_millis(50),
            reconnect_backoff_max: Duration::from_millis(1000),
            connection_setup_timeout: Duration::from_millis(10_000),
            connections_max_idle: Duration::from_millis(540_000),
            #[cfg(feature = "scaling")]
            connections_per_broker_min: 1,
            #[cfg(feature = "scaling")]
            connections_per_broker_max: 1,
            #[cfg(feature = "scaling")]
            connections_scale_interval: Duration::from_millis(250),
            #[cfg(feature = "consumer")]
            group_id: Name::EMPTY,
            #[cfg(feature = "consumer")]
            isolation_level: IsolationLevel::ReadUncommitted,
            #[cfg(feature = "consumer")]
            offset_reset: OffsetReset::None,
            #[cfg(feature = "consumer")]
            fetch_max_wait: Duration::from_millis(500),
            #[cfg(feature = "consumer")]
            stream_large_batches: true,
            #[cfg(feature = "consumer")]
            fetch_min_bytes: 1,
            #[cfg(feature = "consumer")]
            client_rack: Name::EMPTY,
            #[cfg(feature = "consumer")]
            poll_min_records: 10,
            metadata_max_age: Duration::from_millis(300_000),
            allow_auto_create_topics: true,
            partitioner: Partitioner::Murmur2,
            unknown_outcome: UnknownOutcome::GiveUp,
            waiters_full: WaitersFull::Spin,
        }
    }

    /// Refuses settings that contradict each other, by their Kafka names.
    ///
    /// # Errors
    /// The first that cannot be, and why.
    pub const fn check(&self) -> Result<(), ConfigError> {
        if self.idempotence && !matches!(self.acks, Acks::All) {
            return wrong("acks", "enable.idempotence needs acks=all; turn idempotence off to use less");
        }
        if matches!(self.unknown_outcome, UnknownOutcome::Hold) && !self.idempotence {
            return wrong("unknown.outcome", "hold needs enable.idempotence: else sending again writes again");
        }
        if self.max_in_flight == 0 {
            return wrong("max.in.flight.requests.per.connection", "must be at least 1");
        }
        if self.idempotence && self.max_in_flight > 5 {
            return wrong("max.in.flight.requests.per.connection", "enable.idempotence allows at most 5");
        }
        #[cfg(feature = "scaling")]
        if self.connections_per_broker_min == 0 || self.connections_per_broker_max < self.connections_per_broker_min {
            return wrong(
                "connections.per.broker.max",
                "must be at least connections.per.broker.min, and that at least 1",
            );
        }
        #[cfg(feature = "scaling")]
        if self.connections_scale_interval.is_zero() || longer(self.connections_scale_interval, Self::DURATION_MAX) {
            return wrong("connections.scale.interval.ms", "must be 1 to 2147483647 ms");
        }
        #[cfg(feature = "compression")]
        if let Some(level) = self.compression_levels.gzip
            && (level < 1 || level > 9)
        {
            return wrong("compression.gzip.level", "must be 1 to 9");
        }
        #[cfg(feature = "compression")]
        if let Some(level) = self.compression_levels.zstd
            && (level < -131_072 || level > 22)
        {
            return wrong("compression.zstd.level", "must be -131072 to 22");
        }
        if self.max_request_size == 0 {
            return wrong("max.request.size", "must be at least 1");
        }
        if self.request_timeout.is_zero() {
            return wrong("request.timeout.ms", "must be at least 1");
        }
        if !longer(self.delivery_timeout, self.linger) {
            return wrong("delivery.timeout.ms", "must be longer than linger.ms, or nothing is ever sent");
        }
        #[cfg(feature = "consumer")]
        if self.poll_min_records == 0 {
            return wrong("poll.min.records", "must be at least 1, or a poll hands out nothing, at once");
        }
        let durations = self.durations();
        let mut at = 0;
        while at < durations.len() {
            let (name, duration) = durations[at];
            if longer(duration, Self::DURATION_MAX) {
                return wrong(name, "must be at most 2147483647 ms");
            }
            at += 1;
        }
        Ok(())
    }

    /// The settings that are durations, with Kafka's names.
    const fn durations(&self) -> [(&'static str, Duration); DURATIONS] {
        [
            ("linger.ms", self.linger),
            ("delivery.timeout.ms", self.delivery_timeout),
            ("request.timeout.ms", self.request_timeout),
            ("max.block.ms", self.max_block),
            ("retry.backoff.ms", self.retry_backoff),
            ("retry.backoff.max.ms", self.retry_backoff_max),
            ("reconnect.backoff.ms", self.reconnect_backoff),
            ("reconnect.backoff.max.ms", self.reconnect_backoff_max),
            ("socket.connection.setup.timeout.ms", self.connection_setup_timeout),
            ("connections.max.idle.ms", self.connections_max_idle),
            ("metadata.max.age.ms", self.metadata_max_age),
            #[cfg(feature = "consumer")]
            ("fetch.max.wait.ms", self.fetch_max_wait),
        ]
    }
}

/// How many there are.
const DURATIONS: usize = if cfg!(feature = "consumer") { 12 } else { 11 };

const fn wrong(name: &'static str, reason: &'static str) -> Result<(), ConfigError> {
    Err(ConfigError { name, reason })
}

const fn longer(a: Duration, b: Duration) -> bool {
    a.as_secs() > b.as_secs() || a.as_secs() == b.as_secs() && a.subsec_nanos() > b.subsec_nanos()
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

/// A setting that cannot be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ConfigError {
    /// Kafka's name of the setting.
    pub name: &'static str,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl core::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}: {}", self.name, self.reason)
    }
}

impl core::error::Error for ConfigError {}
