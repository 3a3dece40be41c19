//! demitasse on a server: a Kafka producer for tokio and for plain threads.
//!
//! All of Kafka is in `demitasse-core`, which does not allocate. This crate brings what the core has not: tokio's
//! sockets and timers, name resolution, clocks, hardware CRC-32C, and storage, allocated from the heap once at the
//! start and never after it. The claim is executable, by the feature `allocation-guard`.
//!
//! ```no_run
//! use demitasse_io_std::{Producer, Record};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // From a plain thread; in async code leave out `_blocking` and await.
//! let producer = Producer::builder().bootstrap_servers("localhost:9092").set("linger.ms", "5")?.start()?;
//! let readings = producer.topic("readings")?;
//! let delivery = producer.send_blocking(readings, &Record::new(b"21.5").key(b"kitchen"))?;
//! let receipt = producer.wait_blocking(delivery)?;
//! println!("partition {} offset {:?}", receipt.partition, receipt.offset);
//! producer.close_blocking(std::time::Duration::from_secs(10));
//! # Ok(()) }
//! ```
//!
//! # Features
//! - `log` (default): log lines through the `log` crate; for `tracing`, install its bridge `tracing-log`.
//! - `gzip`, `snappy`, `lz4`, `zstd` (default): what batches may be compressed by. A program that only produces, and as it is,
//!   does without them; `zstd` is C.
//! - `allocation-guard`: an allocator that counts, and on request refuses, allocations of the client after its start.

mod admin;
mod block_on;
mod bootstrap;
mod codec;
mod consumer;
mod driver;
#[cfg(feature = "allocation-guard")]
pub mod guard;
#[cfg(not(feature = "allocation-guard"))]
mod guard;
mod heap;
mod metrics;
mod net;
mod producer;
mod system;

pub use admin::{Admin, AdminError, BrokerInfo, ClusterInfo, CommittedInfo, NewTopic, PartitionInfo, TopicInfo};
pub use bootstrap::BuildError;
pub use codec::Decoders;
pub use consumer::{Batches, Consumer, ConsumerBuilder};
pub use demitasse_core::protocol::IsolationLevel;
pub use demitasse_core::{
    Acks, Capacities, CapacityError, CommitError, Compression, CompressionLevels, Config, ConfigError, ConnectionError,
    ConsumeError, ConsumeFault, Consumed, Counters, Delivery, DeliveryError, DeliveryFailure, Destination, ErrorCode,
    Failure, Fault, Fetched, Gauges, Header, MemoryPlan, OffsetReset, Partitioner, Pool, Reason, Receipt, Record, Role,
    SendError, Setting, Sizing, Start, StartError, Topic, TopicError, UnknownOutcome, Usage, WaitersFull,
};
pub use heap::{Buffer, Heap, MutexLock};
pub use metrics::{Latency, Metrics};
pub use net::StdClock;
pub use producer::{Builder, Producer};

/// The programs of the README compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
