//! A Kafka client without an allocator: protocol, record batches, fixed pools, a producer and a consumer.
//!
//! `no_std` and sans-IO: this crate knows no socket, no clock, no executor and no heap. A side brings storage, a lock
//! and a clock ([`Platform`]) and a network ([`Io`]); ready-made are `demitasse-io-std` for tokio and `demitasse-io-embassy`
//! for embassy.
//!
//! Each folder is a layer and uses only those above it: [`wire`], [`protocol`], [`records`], `pool`, `cluster`, `config`,
//! `connection`, `state`, `producer` and `consumer` with what both share in `exchange`, `client`. `docs/architecture.md` in the
//! repository has the map and the reasons.
//!
//! # Features
//! - `log`, `defmt`: where log lines go; at most one of them, none by default.
//! - `audit`: for tests, a method that says whether all tables agree.
//! - `consumer`: reading records, beside the producer.
//! - `compression`: batches are compressed before they are sent, by what the side has for it.
//! - `lz4`: LZ4 both ways, without an allocator.
//! - `scaling`: more than one connection to a broker, opened and closed as the load asks.
//! - `one-version`: only the oldest version of each message that serves, for less flash.
//! - `gather`: up to 8 batches of a request go out in one gathered write, for networks that take many pieces at once.
//! - `crc-table-1k`: a table of 1 KiB for CRC-32C instead of 128 bytes: half the instructions.

#![no_std]
#![forbid(unsafe_code)]
#![allow(async_fn_in_trait, reason = "whether futures are Send follows from the side's concrete types")]

#[macro_use]
mod fmt;

mod client;
mod cluster;
mod config;
mod connection;
mod consumer;
mod exchange;
mod pool;
mod producer;
pub mod protocol;
pub mod records;
mod state;
pub mod time;
pub mod wire;

pub use client::{Admin, GatherWrite, Io, Producer, Scratch, Stream};
#[cfg(feature = "consumer")]
pub use client::{Batches, Consumed, Consumer, Fetched, Records};
pub use cluster::{BrokerEntry, PartitionEntry, TopicEntry};
#[cfg(feature = "compression")]
pub use config::CompressionLevels;
#[cfg(feature = "consumer")]
pub use config::OffsetReset;
pub use config::{
    Acks, Config, ConfigError, Configured, Fixed, Name, NameTooLong, Partitioner, PropertyError, Role, Setting,
    Settings, UnknownOutcome, WaitersFull,
};
pub use connection::{CONTROL_REQUESTS, Connection, ConnectionError, Request};
#[cfg(feature = "consumer")]
pub use consumer::{CHUNK_BYTES_MIN, CommitError, ConsumeError, ConsumeFault, Gauges, Start};
pub use consumer::{Chunk, Inflater, Position};
pub use embedded_io_async;
pub use exchange::{Topic, TopicError};
pub use heapless;
pub use pool::{Empty, Link, Never, Waiter};
pub use producer::{
    Batch, Delivery, DeliveryError, DeliveryFailure, Destination, Failure, Fault, Outcome, PartitionQueue, Reason,
    Receipt, Record, SendError, Usage,
};
pub use protocol::ErrorCode;
pub use records::{Compression, Header};
pub use state::{
    Capacities, CapacityError, Counters, Lock, MemoryPlan, Platform, Pool, Sizing, StartError, State, Tables,
};
pub use time::{Clock, Instant};
