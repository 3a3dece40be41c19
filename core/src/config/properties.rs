//! The same settings by Kafka's property names and values: `linger.ms=5`.

use super::{Acks, Config, Name, Partitioner, UnknownOutcome, WaitersFull};
#[cfg(feature = "compression")]
use crate::records::Compression;
use crate::state::Sizing;
use core::fmt;
use core::time::Duration;

/// A property that was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PropertyError<'a> {
    /// No setting of this producer has this name.
    Unknown {
        /// The name.
        name: &'a str,
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
    /// What values it takes.
    pub expected: &'static str,
    apply: fn(&mut Config, &mut Sizing, &str) -> Option<()>,
}

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
    ($name:literal, $expected:expr, $config:ident . $field:ident $(. $part:ident)? = $parse:expr) => {
        Setting {
            name: $name,
            expected: $expected,
            apply: |$config, _, value| {
                $config.$field$(.$part)? = $parse(value)?;
                Some(())
            },
        }
    };
    ($name:literal, $expected:expr, sizing $field:ident = $parse:expr) => {
        Setting {
            name: $name,
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
            "all, -1, 1 or 0",
            config.acks = |value| match value {
                "all" | "-1" => Some(Acks::All),
                "1" => Some(Acks::Leader),
                "0" => Some(Acks::None),
                _ => None,
            }
        ),
        setting!("allow.auto.create.topics", BOOL, config.allow_auto_create_topics = |v: &str| v.parse().ok()),
        setting!("batch.size", "bytes, 98 to 2147483647", sizing batch_size = |v: &str| v.parse().ok().filter(|&b| b <= i32::MAX as u32)),
        setting!("buffer.memory", "bytes", sizing buffer_memory = |v: &str| v.parse().ok()),
        setting!("client.id", "up to 64 bytes", config.client_id = |v| Name::try_from(v).ok()),
        #[cfg(feature = "consumer")]
        setting!("client.rack", "up to 64 bytes", config.client_rack = |v| Name::try_from(v).ok()),
        #[cfg(feature = "compression")]
        setting!("compression.gzip.level", "-1 or 1 to 9", config.compression_levels.gzip = |v| level(v, 1..=9)),
        // Of any codec, as librdkafka has it.
        #[cfg(feature = "compression")]
        Setting {
            name: "compression.level",
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
            expected: "1 to 17, all of which are the fast one",
            apply: |_, _, value| value.parse().ok().filter(|level| (1..=17).contains(level)).map(|_: u8| ()),
        },
        #[cfg(feature = "compression")]
        setting!(
            "compression.type",
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
        Setting { name: "compression.type", expected: "none", apply: |_, _, value| (value == "none").then_some(()) },
        #[cfg(feature = "compression")]
        setting!(
            "compression.zstd.level",
            "-131072 to 22",
            config.compression_levels.zstd = |v| level(v, -131_072..=22)
        ),
        setting!("connections.max.idle.ms", MILLIS, config.connections_max_idle = millis),
        #[cfg(feature = "consumer")]
        setting!("default.api.timeout.ms", MILLIS, config.max_block = millis),
        setting!("delivery.timeout.ms", MILLIS, config.delivery_timeout = millis),
        setting!("enable.idempotence", BOOL, config.idempotence = |v: &str| v.parse().ok()),
        #[cfg(feature = "consumer")]
        setting!("group.id", "up to 128 bytes", config.group_id = |v| Name::try_from(v).ok()),
        setting!("linger.ms", MILLIS, config.linger = millis),
        setting!("max.block.ms", MILLIS, config.max_block = millis),
        Setting {
            name: "max.in.flight.requests.per.connection",
            expected: "1 to 255, with idempotence at most 5",
            apply: |config, sizing, value| {
                config.max_in_flight = value.parse().ok().filter(|&n| n > 0)?;
                sizing.max_in_flight = config.max_in_flight;
                Some(())
            },
        },
        setting!(
            "max.request.size",
            "bytes, 1 to 2147483647",
            config.max_request_size = |v: &str| v.parse().ok().filter(|&b| b > 0 && b <= i32::MAX as u32)
        ),
        setting!("metadata.max.age.ms", MILLIS, config.metadata_max_age = millis),
        setting!(
            "partitioner.class",
            "murmur2, crc32 or sticky",
            config.partitioner = |value| match value {
                "murmur2" => Some(Partitioner::Murmur2),
                "crc32" => Some(Partitioner::Crc32),
                "sticky" => Some(Partitioner::Sticky),
                _ => None,
            }
        ),
        setting!("reconnect.backoff.max.ms", MILLIS, config.reconnect_backoff_max = millis),
        setting!("reconnect.backoff.ms", MILLIS, config.reconnect_backoff = millis),
        setting!("request.timeout.ms", MILLIS, config.request_timeout = millis),
        setting!("retry.backoff.max.ms", MILLIS, config.retry_backoff_max = millis),
        setting!("retry.backoff.ms", MILLIS, config.retry_backoff = millis),
        Setting {
            name: "security.protocol",
            expected: "PLAINTEXT",
            apply: |_, _, value| (value == "PLAINTEXT").then_some(()),
        },
        setting!("socket.connection.setup.timeout.ms", MILLIS, config.connection_setup_timeout = millis),
        // Ours: how many of each there may be at once.
        setting!("brokers.max", COUNT, sizing brokers = count),
        setting!("connections.max", COUNT, sizing connections = count),
        #[cfg(feature = "scaling")]
        setting!(
            "connections.per.broker.max",
            "1 to 255",
            config.connections_per_broker_max = |v: &str| v.parse().ok()
        ),
        #[cfg(feature = "scaling")]
        setting!(
            "connections.per.broker.min",
            "1 to 255",
            config.connections_per_broker_min = |v: &str| v.parse().ok()
        ),
        #[cfg(feature = "scaling")]
        setting!("connections.scale.interval.ms", MILLIS, config.connections_scale_interval = millis),
        setting!("partitions.max", COUNT, sizing partitions = count),
        #[cfg(feature = "consumer")]
        setting!(
            "poll.min.records",
            "a number, 1 to 4294967295",
            config.poll_min_records = |v: &str| v.parse().ok().filter(|&records| records > 0)
        ),
        setting!("topics.max", COUNT, sizing topics = count),
        setting!(
            "unknown.outcome",
            "give-up or hold",
            config.unknown_outcome = |value| match value {
                "give-up" => Some(UnknownOutcome::GiveUp),
                "hold" => Some(UnknownOutcome::Hold),
                _ => None,
            }
        ),
        setting!(
            "waiters.full",
            "spin or refuse",
            config.waiters_full = |value| match value {
                "spin" => Some(WaitersFull::Spin),
                "refuse" => Some(WaitersFull::Refuse),
                _ => None,
            }
        ),
        setting!("waiters.max", COUNT, sizing waiters = count),
    ];

    /// Sets what `name` stands for.
    ///
    /// As with Kafka's client, `acks` 0 or 1 turns idempotence off, unless `enable.idempotence` is set after it.
    ///
    /// # Errors
    /// The name is unknown, or the value is none that it takes.
    pub fn set<'a>(
        config: &mut Config,
        sizing: &mut Sizing,
        name: &'a str,
        value: &'a str,
    ) -> Result<(), PropertyError<'a>> {
        let setting = Setting::ALL.iter().find(|s| s.name == name).ok_or(PropertyError::Unknown { name })?;
        let wrong = PropertyError::Value { name, value, expected: setting.expected };
        (setting.apply)(config, sizing, value.trim()).ok_or(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Capacities;

    fn set(name: &'static str, value: &'static str) -> Result<(Config, Sizing), PropertyError<'static>> {
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
        Setting::set(&mut config, &mut sizing, name, value).map(|()| (config, sizing))
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
        #[cfg(feature = "consumer")]
        assert!(set("poll.min.records", "0").is_err() && set("poll.min.records", "1").is_ok());
        for (name, value) in [("linger.ms", "-1"), ("linger.ms", "5s"), ("acks", "2"), ("compression.type", "brotli")] {
            assert!(matches!(set(name, value), Err(PropertyError::Value { name: n, .. }) if n == name));
        }
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
