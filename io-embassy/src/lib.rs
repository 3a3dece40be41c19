//! demitasse on a microcontroller: a Kafka producer, and if wanted a consumer, over embassy-net, each with all its memory in
//! one `static`.
//!
//! ```no_run
//! use demitasse_io_embassy::{Config, Record, storage};
//!
//! storage! {
//!     /// 4 batches of 1 KiB on their way at once; what is not named has a default, see [`demitasse_io_embassy::Sizes`].
//!     pub static KAFKA: Kafka { batch_bytes: 1024, buffers: 4, partitions: 2, topics: 1 }
//! }
//! const _: () = assert!(KAFKA.memory_bytes() < 10 * 1024);
//!
//! async fn sensor(stack: embassy_net::Stack<'static>, seed: u32) {
//!     stack.wait_config_up().await;
//!     let config = Config::new();
//!     let (producer, mut runner) = KAFKA.start(stack, &config, &[("10.0.2.2", 9092)], seed).unwrap();
//!     let work = async {
//!         let readings = producer.topic("readings").unwrap();
//!         // Waits for room; what comes back is plain data, to wait for now, later, or never.
//!         let delivery = producer.send(readings, &Record::new(b"21.5")).await.unwrap();
//!         let _receipt = producer.wait(delivery).await;
//!     };
//!     // Or give the runner to a task of its own: `async fn kafka(mut runner: Runner<Kafka>) { runner.run().await }`.
//!     embassy_futures::join::join(runner.run(), work).await;
//! }
//! ```
//!
#![cfg_attr(
    feature = "consumer",
    doc = r#"# Reading

A consumer has a storage of its own, and works the same way. Partitions are assigned by hand; where the reading is, the
device keeps, or Kafka under the name of a group (`group_id` of the settings).

```no_run
use demitasse_io_embassy::{Config, Start, consumer_storage};

consumer_storage! {
    /// One partition, and batches of up to 4 KiB.
    static COMMANDS: Commands { chunk_bytes: 4096 }
}

async fn follow(stack: embassy_net::Stack<'static>, seed: u32) {
    let (consumer, mut runner) = COMMANDS.start(stack, &Config::new(), &[("10.0.2.2", 9092)], seed).unwrap();
    let work = async {
        let commands = consumer.topic("commands").unwrap();
        consumer.assign(commands, 0, Start::End).unwrap();
        while let Some(fetched) = consumer.poll(10).await.unwrap() {
            for record in fetched.records() {
                // They lie where they landed, and cannot be kept.
                let _ = (record.offset, record.key, record.value);
            }
        }
    };
    embassy_futures::join::join(runner.run(), work).await;
}
```

A record is handed out when the checksum of its whole batch was found right, if the batch fits into a chunk
([`ConsumerSizes::chunk_bytes`]). One that does not fit, and is not compressed, comes in pieces, and its checksum with the last
of them: until then [`Consumed::verified`] is false. Lengths, counts and offsets are checked as ever, but a value may have
been changed by a broken disk or memory: whoever opens a valve waits for a record that is verified, or sets
[`Config::stream_large_batches`] to false. Then such a batch stops its partition with both sizes,
[`ConsumeFault::BatchTooLarge`]; [`Consumer::seek`] goes on elsewhere.
"#
)]
//!
//! # What is needed
//! - The network stack's own `Runner` in a task, as always with embassy-net.
//! - In `StackResources<N>`: one socket for each connection, one more for DNS and one for DHCP where these are used.
//!   With too few, embassy-net panics in [`Storage::start`].
//! - Room for the future of [`Runner::run`], in the task that it runs in: see there.
//! - A number that differs from start to start, for `seed`: retries of many devices must not coincide.
//!
//! # Time stamps
//! A device seldom knows the date. Records carry it from when [`Producer::set_wall_clock`] was first called, for example
//! with what SNTP said; before that, and without it, their time stamp is -1, "none".
//!
//! Without dates, make the topic with `message.timestamp.type=LogAppendTime`: the broker stamps what it writes. It is
//! not only for show: Kafka forgets a producer by the time stamps of its batches (`producer.id.expiration.ms`), so one
//! whose batches have none is forgotten at the next look, and a retry after that may be written twice.
//!
//! # Names and addresses
//! Hosts are IPv4 addresses; names too with the feature `dns`. That holds for what the brokers advertise
//! (`advertised.listeners`) just as for the bootstrap list. Of a name's addresses the network stack keeps one, unless a feature
//! of smoltcp such as `dns-max-result-count-4` says more: then they are tried in turn, one with each attempt to connect.
//!
//! # Features
//! - `dns`: host names.
//! - `consumer`: `Consumer`, in storage of its own.
//! - `lz4`: a producer compresses by LZ4, if its settings ([`Config::compression`](demitasse_core::Config)) and its storage
//!   ([`Sizes::compression_bytes`]) say so; a consumer reads what LZ4 has compressed.
//! - `defmt`, `log`: where log lines go; at most one of them, none by default.

#![no_std]
#![forbid(unsafe_code)]

/// Handles and memory show no more than their names, in `Debug` and to `defmt`.
macro_rules! shown_by_name {
    ($name:literal, [$($generics:tt)*] $shown:ty) => {
        impl<$($generics)*> core::fmt::Debug for $shown {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str($name)
            }
        }

        #[cfg(feature = "defmt")]
        impl<$($generics)*> defmt::Format for $shown {
            fn format(&self, f: defmt::Formatter<'_>) {
                defmt::write!(f, $name);
            }
        }
    };
}
use shown_by_name;

mod clock;
#[cfg(feature = "consumer")]
mod consumer;
mod net;
mod platform;
mod producer;
mod runner;
mod sizes;
mod storage;

#[cfg(feature = "consumer")]
pub use consumer::{Batches, Consumer, ConsumerSizes, ConsumerStorage, Fetched, Records};
#[cfg(feature = "consumer")]
pub use demitasse_core::protocol::IsolationLevel;
pub use demitasse_core::{
    Acks, Capacities, CapacityError, Config, ConfigError, ConnectionError, Counters, Delivery, DeliveryError,
    DeliveryFailure, Destination, ErrorCode, Failure, Fault, Fixed, Header, MemoryPlan, Name, NameTooLong, Partitioner,
    Pool, Reason, Receipt, Record, SendError, Settings, StartError, Topic, TopicError, UnknownOutcome, Usage,
    WaitersFull, heapless,
};
#[cfg(feature = "consumer")]
pub use demitasse_core::{CommitError, ConsumeError, ConsumeFault, Consumed, Gauges, OffsetReset, Start};
#[cfg(feature = "lz4")]
pub use demitasse_core::{Compression, CompressionLevels};
pub use platform::{Own, Shape, Shared};
pub use producer::Producer;
pub use runner::Runner;
pub use sizes::Sizes;
pub use storage::Storage;

/// Everything that one may want to log, can be; the compiler checks it.
#[cfg(feature = "defmt")]
const _: () = {
    const fn can_be_logged<T: defmt::Format>() {}
    can_be_logged::<(Acks, Config, Partitioner, UnknownOutcome, WaitersFull, Capacities, Sizes)>();
    can_be_logged::<(CapacityError, ConfigError, StartError, TopicError, SendError, DeliveryError)>();
    can_be_logged::<(ConnectionError, DeliveryFailure, ErrorCode, Failure, Fault, Reason)>();
    can_be_logged::<(Delivery, Destination, Header<'_>, Receipt, Record<'_>, Topic, Producer)>();
    can_be_logged::<(Counters, MemoryPlan, Pool, Usage, Shared, Runner, Settings, NameTooLong)>();
};

#[cfg(all(feature = "defmt", feature = "lz4"))]
const _: () = {
    const fn can_be_logged<T: defmt::Format>() {}
    can_be_logged::<(Compression, CompressionLevels)>();
};

#[cfg(all(feature = "defmt", feature = "consumer"))]
const _: () = {
    const fn can_be_logged<T: defmt::Format>() {}
    can_be_logged::<(CommitError, ConsumeError, ConsumeFault, ConsumerSizes)>();
    can_be_logged::<(Batches, Consumed<'_>, Consumer, Fetched, Gauges, IsolationLevel, OffsetReset, Records, Start)>();
};
