//! The same settings by Kafka's property names and values: `linger.ms=5`.

#[cfg(feature = "consumer")]
use super::OffsetReset;
use super::{Acks, Config, Name, Partitioner, UnknownOutcome, WaitersFull};
#[cfg(feature = "consumer")]
use crate::protocol::IsolationLevel;
#[cfg(feature = "compression")]
use crate::records::Compression;
use crate::state::Sizing;
use core::fmt;
use core::time::Duration;

/// What a client is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Role {
    /// It writes.
    Producer,
    /// It reads.
    Consumer,
}

/// A property that was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PropertyError<'a> {
    /// No setting has this name.
    Unknown {
        /// The name.
        name: &'a str,
    },
    /// The setting is of the other role, and would do nothing here.
    Elsewhere {
        /// The name.
        name: &'a str,
        /// Whose it is.
        of: Role,
    },
    /// The setting does not take this value.
    Value {
        /// The name.
        name: &'a str,
        /// The value.
        value: &'a str,
        /// What it takes.
        expected: &'static str,
    },
}

impl fmt::Display for PropertyError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PropertyError::Unknown { name } => write!(f, "unknown property {name}"),
            PropertyError::Elsewhere { name, of: Role::Producer } => {
                write!(f, "property {name} is of producers only")
            }
            PropertyError::Elsewhere { name, of: Role::Consumer } => {
                write!(f, "property {name} is of consumers only")
            }
            PropertyError::Value { name, value, expected } => {
                write!(f, "property {name} is {value:?}, it takes {expected}")
            }
        }
    }
}

impl core::error::Error for PropertyError<'_> {}

/// One setting that can be set by name: what it is called, what it takes, what it means.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Kafka's name, or ours where Kafka has no such setting.
    pub name: &'static str,
    /// Whose it is; none: everybody's.
    pub of: Option<Role>,
    /// What values it takes.
    pub expected: &'static str,
    apply: fn(&mut Config, &mut Sizing, &str) -> Option<()>,
}

const BOTH: Option<Role> = None;
const PRODUCER: Option<Role> = Some(Role::Producer);
#[cfg(feature = "consumer")]
const CONSUMER: Option<Role> = Some(Role::Consumer);

const MILLIS: &str = "milliseconds, 0 to 2147483647";
const BOOL: &str = "true or false";
const COUNT: &str = "a number, 1 to 65534";

fn millis(value: &str) -> Option<Duration> {
    value.parse().ok().filter(|&millis: &i32| millis >= 0).map(|millis| Duration::from_millis(millis as u64))
}

fn count(value: &str) -> Option<u16> {
    value.parse().ok().filter(|count| (1..=65_534).contains(count))
}

/// A level; -1 is the codec's own if it is none of its levels.
#[cfg(feature = "compression")]
fn level(value: &str, levels: core::ops::RangeInclusive<i32>) -> Option<Option<i32>> {
    match value.parse().ok()? {
        level if levels.contains(&level) => Some(Some(level)),
        -1 => Some(None),
        _ => None,
    }
}

macro_rules! setting {
    ($name:literal, $of:expr, $expected:expr, $config:ident . $field:ident $(. $part:ident)? = $parse:expr) => {
        Setting {
            name: $name,
            of: $of,
            expected: $expected,
            apply: |$config, _, value| {
                $config.$field$(.$part)? = $parse(value)?;
                Some(())
            },
        }
    };
    ($name:literal, $of:expr, $expected:expr, sizing $field:ident = $parse:expr) => {
        Setting {
            name: $name,
            of: $of,
            expected: $expected,
            apply: |_, sizing, value| {
                sizing.$field = $parse(value)?;
                Some(())
            },
        }
    };
}

impl Setting {
    /// Every setting there is, by name.
    pub const ALL: &'static [Setting] = &[
        setting!(
            "acks",
            PRODUCER,
            "all, -1, 1 or 0",
            config.acks = |value| match value {
                "all" | "-1" => Some(Acks::All),
                "1" => Some(Acks::Leader),
                "0" => Some(Acks::None),
                _ => None,
            }
        ),
        setting!("allow.auto.create.topics", BOTH, BOOL, config.allow_auto_create_topics = |v: &str| v.parse().ok()),
        #[cfg(feature = "consumer")]
        setting!(
            "auto.offset.reset",
            CONSUMER,
            "earliest, latest or none",
            config.offset_reset = |value| match value {
                "earliest" => Some(OffsetReset::Earliest),
                "latest" => Some(OffsetReset::Latest),
                "none" => Some(OffsetReset::None),
                _ => None,
            }
        ),
        setting!(
            "batch.size",
            PRODUCER,
            "bytes, 98 to 2147483647",
            sizing batch_size = |v: &str| v.parse().ok().filter(|&b| b <= i32::MAX as u32)
        ),
        setting!("buffer.memory", PRODUCER, "bytes", sizing buffer_memory = |v: &str| v.parse().ok()),
        setting!("client.id", BOTH, "up to 64 bytes", config.client_id = |v| Name::try_from(v).ok()),
        #[cfg(feature = "consumer")]
        setting!("client.rack", CONSUMER, "up to 64 bytes", config.client_rack = |v| Name::try_from(v).ok()),
        #[cfg(feature = "compression")]
        setting!(
            "compression.gzip.level",
            PRODUCER,
            "-1 or 1 to 9",
            config.compression_levels.gzip = |v| level(v, 1..=9)
        ),
        // Of any codec, as librdkafka has it.
        #[cfg(feature = "compression")]
        Setting {
            name: "compression.level",
            of: PRODUCER,
            expected: "-1 for the codec's own, or -131072 to 22; gzip takes what is nearest of 1 to 9",
            apply: |config, _, value| {
                let level = value.parse().ok().filter(|level: &i32| (-131_072..=22).contains(level))?;
                let own = level == -1;
                config.compression_levels.gzip = (!own).then_some(level.clamp(1, 9));
                config.compression_levels.zstd = (!own).then_some(level);
                Some(())
            },
        },
        // Taken so that settings can be taken over; there is one level.
        #[cfg(feature = "compression")]
        Setting {
            name: "compression.lz4.level",
            of: PRODUCER,
            expected: "1 to 17, all of which are the fast one",
            apply: |_, _, value| value.parse().ok().filter(|level| (1..=17).contains(level)).map(|_: u8| ()),
        },
        #[cfg(feature = "compression")]
        setting!(
            "compression.type",
            PRODUCER,
            "none, gzip, snappy, lz4 or zstd",
            config.compression = |value| match value {
                "none" => Some(Compression::None),
                "gzip" => Some(Compression::Gzip),
                "snappy" => Some(Compression::Snappy),
                "lz4" => Some(Compression::Lz4),
                "zstd" => Some(Compression::Zstd),
                _ => None,
            }
        ),
        #[cfg(not(feature = "compression"))]
        Setting {
            name: "compression.type",
            of: PRODUCER,
            expected: "none",
            apply: |_, _, value| (value == "none").then_some(()),
        },
        #[cfg(feature = "compression")]
        setting!(
            "compression.zstd.level",
            PRODUCER,
            "-131072 to 22",
            config.compression_levels.zstd = |v| level(v, -131_072..=22)
        ),
        setting!("connections.max.idle.ms", BOTH, MILLIS, config.connections_max_idle = millis),
        #[cfg(feature = "consumer")]
        setting!("default.api.timeout.ms", CONSUMER, MILLIS, config.max_block = millis),
        setting!("delivery.timeout.ms", PRODUCER, MILLIS, config.delivery_timeout = millis),
        setting!("enable.idempotence", PRODUCER, BOOL, config.idempotence = |v: &str| v.parse().ok()),
        #[cfg(feature = "consumer")]
        setting!("fetch.max.wait.ms", CONSUMER, MILLIS, config.fetch_max_wait = millis),
        #[cfg(feature = "consumer")]
        setting!("fetch.min.bytes", CONSUMER, "bytes", config.fetch_min_bytes = |v: &str| v.parse().ok()),
        #[cfg(feature = "consumer")]
        setting!("group.id", CONSUMER, "up to 128 bytes", config.group_id = |v| Name::try_from(v).ok()),
        #[cfg(feature = "consumer")]
        setting!(
            "isolation.level",
            CONSUMER,
            "read_uncommitted or read_committed",
            config.isolation_level = |value| match value {
                "read_uncommitted" => Some(IsolationLevel::ReadUncommitted),
                "read_committed" => Some(IsolationLevel::ReadCommitted),
                _ => None,
            }
        ),
        setting!("linger.ms", PRODUCER, MILLIS, config.linger = millis),
        setting!("max.block.ms", PRODUCER, MILLIS, config.max_block = millis),
        Setting {
            name: "max.in.flight.requests.per.connection",
            of: PRODUCER,
            expected: "1 to 255, with idempotence at most 5",
            apply: |config, sizing, value| {
                config.max_in_flight = value.parse().ok().filter(|&n| n > 0)?;
                sizing.max_in_flight = config.max_in_flight;
                Some(())
            },
        },
        setting!(
            "max.request.size",
            PRODUCER,
            "bytes, 1 to 2147483647",
            config.max_request_size = |v: &str| v.parse().ok().filter(|&b| b > 0 && b <= i32::MAX as u32)
        ),
        setting!("metadata.max.age.ms", BOTH, MILLIS, config.metadata_max_age = millis),
        setting!(
            "partitioner.class",
            PRODUCER,
            "murmur2, crc32 or sticky",
            config.partitioner = |value| match value {
                "murmur2" => Some(Partitioner::Murmur2),
                "crc32" => Some(Partitioner::Crc32),
                "sticky" => Some(Partitioner::Sticky),
                _ => None,
            }
        ),
        setting!("reconnect.backoff.max.ms", BOTH, MILLIS, config.reconnect_backoff_max = millis),
        setting!("reconnect.backoff.ms", BOTH, MILLIS, config.reconnect_backoff = millis),
        setting!("request.timeout.ms", BOTH, MILLIS, config.request_timeout = millis),
        setting!("retry.backoff.max.ms", BOTH, MILLIS, config.retry_backoff_max = millis),
        setting!("retry.backoff.ms", BOTH, MILLIS, config.retry_backoff = millis),
        Setting {
            name: "security.protocol",
            of: BOTH,
            expected: "PLAINTEXT",
            apply: |_, _, value| (value == "PLAINTEXT").then_some(()),
        },
        setting!("socket.connection.setup.timeout.ms", BOTH, MILLIS, config.connection_setup_timeout = millis),
        // Ours: how many of each there may be at once.
        setting!("brokers.max", BOTH, COUNT, sizing brokers = count),
        setting!("connections.max", BOTH, COUNT, sizing connections = count),
        #[cfg(feature = "scaling")]
        setting!(
            "connections.per.broker.max",
            PRODUCER,
            "1 to 255",
            config.connections_per_broker_max = |v: &str| v.parse().ok()
        ),
        #[cfg(feature = "scaling")]
        setting!(
            "connections.per.broker.min",
            PRODUCER,
            "1 to 255",
            config.connections_per_broker_min = |v: &str| v.parse().ok()
        ),
        #[cfg(feature = "scaling")]
        setting!("connections.scale.interval.ms", PRODUCER, MILLIS, config.connections_scale_interval = millis),
        #[cfg(feature = "consumer")]
        setting!("fetch.stream.large.batches", CONSUMER, BOOL, config.stream_large_batches = |v: &str| v.parse().ok()),
        setting!("partitions.max", BOTH, COUNT, sizing partitions = count),
        #[cfg(feature = "consumer")]
        setting!(
            "poll.min.records",
            CONSUMER,
            "a number, 1 to 4294967295",
            config.poll_min_records = |v: &str| v.parse().ok()
        ),
        setting!("topics.max", BOTH, COUNT, sizing topics = count),
        setting!(
            "unknown.outcome",
            PRODUCER,
            "give-up or hold",
            config.unknown_outcome = |value| match value {
                "give-up" => Some(UnknownOutcome::GiveUp),
                "hold" => Some(UnknownOutcome::Hold),
                _ => None,
            }
        ),
        setting!(
            "waiters.full",
            BOTH,
            "spin or refuse",
            config.waiters_full = |value| match value {
                "spin" => Some(WaitersFull::Spin),
                "refuse" => Some(WaitersFull::Refuse),
                _ => None,
            }
        ),
        setting!("waiters.max", BOTH, COUNT, sizing waiters = count),
    ];

    /// Sets what `name` stands for, for a client of this role.
    ///
    /// As with Kafka's client, `acks` 0 or 1 turns idempotence off, unless `enable.idempotence` is set after it.
    ///
    /// # Errors
    /// The name is unknown or a setting of the other role, or the value is none that it takes.
    pub fn set<'a>(
        role: Role,
        config: &mut Config,
        sizing: &mut Sizing,
        name: &'a str,
        value: &'a str,
    ) -> Result<(), PropertyError<'a>> {
        let setting = Setting::ALL.iter().find(|s| s.name == name).ok_or(PropertyError::Unknown { name })?;
        if let Some(of) = setting.of
            && of != role
        {
            return Err(PropertyError::Elsewhere { name, of });
        }
        let wrong = PropertyError::Value { name, value, expected: setting.expected };
        (setting.apply)(config, sizing, value.trim()).ok_or(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Capacities;

    fn set(name: &'static str, value: &'static str) -> Result<(Config, Sizing), PropertyError<'static>> {
        set_of(Role::Producer, name, value)
    }

    fn set_of(role: Role, name: &'static str, value: &'static str) -> Result<(Config, Sizing), PropertyError<'static>> {
        let mut config = Config::new();
        let mut sizing = Sizing {
            buffer_memory: 0,
            batch_size: 0,
            partitions: 0,
            topics: 0,
            brokers: 0,
            connections: 0,
            max_in_flight: 0,
            waiters: 0,
        };
        Setting::set(role, &mut config, &mut sizing, name, value).map(|()| (config, sizing))
    }

    #[test]
    fn kafkas_names_and_values_are_understood() {
        assert_eq!(set("linger.ms", "7").unwrap().0.linger, Duration::from_millis(7));
        assert_eq!(set("acks", "-1").unwrap().0.acks, Acks::All);
        assert_eq!(set("buffer.memory", "33554432").unwrap().1.buffer_memory, 32 << 20);
        let (config, sizing) = set("max.in.flight.requests.per.connection", "3").unwrap();
        assert_eq!((config.max_in_flight, sizing.max_in_flight), (3, 3));
    }

    #[test]
    fn wrong_names_and_values_are_refused_by_name() {
        assert_eq!(set("linger", "5").unwrap_err(), PropertyError::Unknown { name: "linger" });
        for (name, value) in [("linger.ms", "-1"), ("linger.ms", "5s"), ("acks", "2"), ("compression.type", "brotli")] {
            assert!(matches!(set(name, value), Err(PropertyError::Value { name: n, .. }) if n == name));
        }
    }

    #[test]
    #[cfg(feature = "consumer")]
    fn who_it_would_do_nothing_for_refuses_it() {
        use Role::{Consumer, Producer};
        for (name, value, of, other) in
            [("linger.ms", "5", Producer, Consumer), ("fetch.min.bytes", "1", Consumer, Producer)]
        {
            assert!(set_of(of, name, value).is_ok());
            assert_eq!(set_of(other, name, value).unwrap_err(), PropertyError::Elsewhere { name, of });
        }
        assert!(set_of(Producer, "client.id", "a").is_ok() && set_of(Consumer, "client.id", "a").is_ok());
    }

    #[test]
    fn the_least_batch_is_what_capacities_say() {
        let setting = Setting::ALL.iter().find(|s| s.name == "batch.size").unwrap();
        let (_, mut sizing) = set("batch.size", "1").unwrap();
        (sizing.buffer_memory, sizing.max_in_flight) = (1, 1);
        (sizing.partitions, sizing.topics, sizing.brokers, sizing.connections) = (1, 1, 1, 1);
        let least = Capacities::derive(&sizing).check().unwrap_err().needed;
        assert!(setting.expected.split(' ').any(|word| word.parse() == Ok(least)), "{least}");
    }

    #[test]
    #[cfg(feature = "consumer")]
    fn a_poll_that_may_hand_out_nothing_is_refused() {
        let (config, _) = set_of(Role::Consumer, "poll.min.records", "0").unwrap();
        assert_eq!(config.check().unwrap_err().name, "poll.min.records");
    }

    #[test]
    #[cfg(feature = "consumer")]
    fn what_a_fetch_waits_for_is_a_duration_like_others() {
        let config = Config { fetch_max_wait: Duration::from_secs(1 << 32), ..Config::new() };
        assert_eq!(config.check().unwrap_err().name, "fetch.max.wait.ms");
    }

    #[test]
    fn settings_are_sorted_within_kafkas_and_ours() {
        let ours = Setting::ALL.iter().position(|s| s.name == "brokers.max").unwrap();
        for part in [&Setting::ALL[..ours], &Setting::ALL[ours..]] {
            assert!(part.is_sorted_by_key(|s| s.name));
        }
    }
}
