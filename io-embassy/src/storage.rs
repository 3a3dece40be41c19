//! All memory of one producer, as one `static`.

use crate::clock::EmbassyClock;
use crate::net::Net;
use crate::platform::{Buffer, CellLock, Core};
use crate::runner::Slot;
use crate::{Producer, Runner, Sizes};
use demitasse_core::{
    Batch, BrokerEntry, CONTROL_REQUESTS, CapacityError, Config, ConfigError, Connection, PartitionEntry,
    PartitionQueue, Request, State, Tables, TopicEntry, Waiter,
};
use embassy_net::Stack;
use static_cell::{ConstStaticCell, StaticCell};

/// All memory of one producer. Made by `storage!`, which names the numbers; each is described at [`Sizes`].
///
/// It is all zero bits, so a `static` of it takes nothing in flash. It can be started once.
pub struct Storage<
    const BATCH_BYTES: usize,
    const BUFFERS: usize,
    const BATCHES: usize,
    const PARTITIONS: usize,
    const TOPICS: usize,
    const TOPIC_NAME_BYTES: usize,
    const BROKERS: usize,
    const HOST_BYTES: usize,
    const CONNECTIONS: usize,
    const REQUESTS: usize,
    const WAITERS: usize,
    const FRAME_BYTES: usize,
    const RECEIVE_BYTES: usize,
    const SOCKET_RECEIVE_BYTES: usize,
    const SOCKET_SEND_BYTES: usize,
> {
    tables: ConstStaticCell<Arrays<BUFFERS, BATCHES, PARTITIONS, TOPICS, BROKERS, CONNECTIONS, REQUESTS, WAITERS>>,
    buffers: ConstStaticCell<[[u8; BATCH_BYTES]; BUFFERS]>,
    names: ConstStaticCell<[[u8; TOPIC_NAME_BYTES]; TOPICS]>,
    hosts: ConstStaticCell<[[u8; HOST_BYTES]; BROKERS]>,
    scratch: ConstStaticCell<
        [Scratch<FRAME_BYTES, RECEIVE_BYTES, SOCKET_RECEIVE_BYTES, SOCKET_SEND_BYTES>; CONNECTIONS],
    >,
    producer: StaticCell<Core>,
}

/// The tables of the core.
struct Arrays<
    const BUFFERS: usize,
    const BATCHES: usize,
    const PARTITIONS: usize,
    const TOPICS: usize,
    const BROKERS: usize,
    const CONNECTIONS: usize,
    const REQUESTS: usize,
    const WAITERS: usize,
> {
    buffers: [Option<Buffer>; BUFFERS],
    batches: [Batch<Buffer>; BATCHES],
    partitions: [PartitionEntry; PARTITIONS],
    queues: [PartitionQueue; PARTITIONS],
    topics: [TopicEntry; TOPICS],
    brokers: [BrokerEntry; BROKERS],
    connections: [Connection; CONNECTIONS],
    requests: [[Request; REQUESTS]; CONNECTIONS],
    waiters: [Waiter; WAITERS],
}

/// The bytes of one connection.
struct Scratch<const FRAME: usize, const RECEIVE: usize, const SOCKET_RECEIVE: usize, const SOCKET_SEND: usize> {
    frame: [u8; FRAME],
    receive: [u8; RECEIVE],
    socket_receive: [u8; SOCKET_RECEIVE],
    socket_send: [u8; SOCKET_SEND],
}

impl<
    const BATCH_BYTES: usize,
    const BUFFERS: usize,
    const BATCHES: usize,
    const PARTITIONS: usize,
    const TOPICS: usize,
    const TOPIC_NAME_BYTES: usize,
    const BROKERS: usize,
    const HOST_BYTES: usize,
    const CONNECTIONS: usize,
    const REQUESTS: usize,
    const WAITERS: usize,
    const FRAME_BYTES: usize,
    const RECEIVE_BYTES: usize,
    const SOCKET_RECEIVE_BYTES: usize,
    const SOCKET_SEND_BYTES: usize,
>
    Storage<
        BATCH_BYTES,
        BUFFERS,
        BATCHES,
        PARTITIONS,
        TOPICS,
        TOPIC_NAME_BYTES,
        BROKERS,
        HOST_BYTES,
        CONNECTIONS,
        REQUESTS,
        WAITERS,
        FRAME_BYTES,
        RECEIVE_BYTES,
        SOCKET_RECEIVE_BYTES,
        SOCKET_SEND_BYTES,
    >
{
    /// All that the producer will ever take, in bytes, but for the future of [`Runner::run`].
    pub const MEMORY_BYTES: usize = size_of::<Self>();

    /// The capacities.
    pub const SIZES: Sizes = Sizes {
        batch_bytes: BATCH_BYTES,
        buffers: BUFFERS,
        batches: BATCHES,
        partitions: PARTITIONS,
        topics: TOPICS,
        topic_name_bytes: TOPIC_NAME_BYTES,
        brokers: BROKERS,
        host_bytes: HOST_BYTES,
        connections: CONNECTIONS,
        max_in_flight: REQUESTS.saturating_sub(CONTROL_REQUESTS),
        waiters: WAITERS,
        frame_bytes: FRAME_BYTES,
        receive_bytes: RECEIVE_BYTES,
        socket_receive_bytes: SOCKET_RECEIVE_BYTES,
        socket_send_bytes: SOCKET_SEND_BYTES,
    };

    /// Empty storage. Capacities that cannot work together do not compile: the error says which, how large it is and how
    /// large it must be.
    #[allow(clippy::new_without_default, reason = "it must not be made anywhere but in a static")]
    pub const fn new() -> Self {
        const { Self::SIZES.must_work() };
        Storage {
            tables: ConstStaticCell::new(Arrays {
                buffers: [const { None }; BUFFERS],
                batches: [const { Batch::EMPTY }; BATCHES],
                partitions: [const { PartitionEntry::EMPTY }; PARTITIONS],
                queues: [const { PartitionQueue::EMPTY }; PARTITIONS],
                topics: [const { TopicEntry::EMPTY }; TOPICS],
                brokers: [const { BrokerEntry::EMPTY }; BROKERS],
                connections: [const { Connection::EMPTY }; CONNECTIONS],
                requests: [const { [const { Request::EMPTY }; REQUESTS] }; CONNECTIONS],
                waiters: [const { Waiter::EMPTY }; WAITERS],
            }),
            buffers: ConstStaticCell::new([[0; BATCH_BYTES]; BUFFERS]),
            names: ConstStaticCell::new([[0; TOPIC_NAME_BYTES]; TOPICS]),
            hosts: ConstStaticCell::new([[0; HOST_BYTES]; BROKERS]),
            scratch: ConstStaticCell::new(
                [const {
                    Scratch {
                        frame: [0; FRAME_BYTES],
                        receive: [0; RECEIVE_BYTES],
                        socket_receive: [0; SOCKET_RECEIVE_BYTES],
                        socket_send: [0; SOCKET_SEND_BYTES],
                    }
                }; CONNECTIONS],
            ),
            producer: StaticCell::new(),
        }
    }

    /// [`Storage::MEMORY_BYTES`] of this storage.
    pub const fn memory_bytes(&self) -> usize {
        Self::MEMORY_BYTES
    }

    /// Starts the producer: once, and not before the network stack exists. It does not wait for a broker, nor for the
    /// network; but who waits for an address first (`Stack::wait_config_up`) spares it a vain attempt and a backoff.
    ///
    /// `bootstrap` are hosts and ports to start from; `seed` must differ from start to start, so that retries of many
    /// devices do not coincide. Of `config.max_in_flight` and the storage's, the lesser counts.
    ///
    /// # Errors
    /// Settings contradict each other or the capacities, with the sizes; or the storage was started before.
    ///
    /// # Panics
    /// The network stack has no socket left: see the crate's documentation.
    pub fn start(
        &'static self,
        stack: Stack<'static>,
        config: &Config,
        bootstrap: &[(&str, u16)],
        seed: u32,
    ) -> Result<(Producer, Runner<CONNECTIONS>), StartError> {
        let tables = self.tables.try_take().ok_or(StartError::Started)?;
        let (Some(names), Some(hosts), Some(buffers), Some(scratch)) =
            (self.names.try_take(), self.hosts.try_take(), self.buffers.try_take(), self.scratch.try_take())
        else {
            return Err(StartError::Started);
        };
        let state = State::new(Tables {
            buffers: &mut tables.buffers,
            batches: &mut tables.batches,
            partitions: &mut tables.partitions,
            queues: &mut tables.queues,
            topics: &mut tables.topics,
            names: names.as_flattened_mut(),
            brokers: &mut tables.brokers,
            hosts: hosts.as_flattened_mut(),
            connections: &mut tables.connections,
            requests: tables.requests.as_flattened_mut(),
            waiters: &mut tables.waiters,
        });
        let core: &'static Core = self.producer.init(Core::new(CellLock::new(state), EmbassyClock::new()));
        core.lend(buffers.iter_mut().map(<[u8; BATCH_BYTES]>::as_mut_slice));
        let in_flight = REQUESTS.saturating_sub(CONTROL_REQUESTS);
        begin(core, config, bootstrap, (FRAME_BYTES, RECEIVE_BYTES), in_flight, seed)?;
        let slots = scratch.each_mut().map(|scratch| Slot {
            net: Net::new(stack, &mut scratch.socket_receive, &mut scratch.socket_send),
            frame: &mut scratch.frame,
            receive: &mut scratch.receive,
        });
        Ok((Producer::new(core), Runner::new(core, slots)))
    }
}

/// What does not depend on the capacities.
fn begin(
    core: &Core,
    config: &Config,
    bootstrap: &[(&str, u16)],
    scratch: (usize, usize),
    in_flight: usize,
    seed: u32,
) -> Result<(), StartError> {
    let mut config = config.clone();
    config.max_in_flight = config.max_in_flight.min(u8::try_from(in_flight).unwrap_or(u8::MAX));
    core.start(&config, bootstrap, scratch, seed).map_err(|error| match error {
        demitasse_core::StartError::Config(error) => StartError::Config(error),
        demitasse_core::StartError::Capacity(error) => StartError::Capacity(error),
    })
}

/// Why a producer cannot start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum StartError {
    /// The storage was started before, with or without success.
    Started,
    /// A setting cannot be.
    Config(ConfigError),
    /// A capacity is too small for the others or for the settings.
    Capacity(CapacityError),
}

impl core::fmt::Display for StartError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            StartError::Started => f.write_str("this storage was started before"),
            StartError::Config(error) => error.fmt(f),
            StartError::Capacity(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for StartError {}

/// Declares the memory of a producer as a `static`, with capacities by name; those that are not named have a default,
/// see [`Sizes`].
///
/// ```
/// demitasse_io_embassy::storage! { static KAFKA: { batch_bytes: 512, buffers: 8, topics: 2 } }
/// ```
///
/// What cannot work does not compile:
///
/// ```compile_fail
/// demitasse_io_embassy::storage! { static KAFKA: { batch_bytes: 32 } }
/// ```
#[macro_export]
macro_rules! storage {
    ($(#[$attribute:meta])* $visibility:vis static $name:ident: { $($field:ident: $value:expr),* $(,)? }) => {
        $(#[$attribute])*
        $visibility static $name: $crate::Storage<
            { $crate::Sizes { $($field: $value,)* ..$crate::Sizes::DEFAULT }.filled().batch_bytes },
            { $crate::Sizes { $($field: $value,)* ..$crate::Sizes::DEFAULT }.filled().buffers },
            { $crate::Sizes { $($field: $value,)* ..$crate::Sizes::DEFAULT }.filled().batches },
            { $crate::Sizes { $($field: $value,)* ..$crate::Sizes::DEFAULT }.filled().partitions },
            { $crate::Sizes { $($field: $value,)* ..$crate::Sizes::DEFAULT }.filled().topics },
            { $crate::Sizes { $($field: $value,)* ..$crate::Sizes::DEFAULT }.filled().topic_name_bytes },
            { $crate::Sizes { $($field: $value,)* ..$crate::Sizes::DEFAULT }.filled().brokers },
            { $crate::Sizes { $($field: $value,)* ..$crate::Sizes::DEFAULT }.filled().host_bytes },
            { $crate::Sizes { $($field: $value,)* ..$crate::Sizes::DEFAULT }.filled().connections },
            { $crate::Sizes { $($field: $value,)* ..$crate::Sizes::DEFAULT }.filled().capacities().requests as usize },
            { $crate::Sizes { $($field: $value,)* ..$crate::Sizes::DEFAULT }.filled().waiters },
            { $crate::Sizes { $($field: $value,)* ..$crate::Sizes::DEFAULT }.filled().frame_bytes },
            { $crate::Sizes { $($field: $value,)* ..$crate::Sizes::DEFAULT }.filled().receive_bytes },
            { $crate::Sizes { $($field: $value,)* ..$crate::Sizes::DEFAULT }.filled().socket_receive_bytes },
            { $crate::Sizes { $($field: $value,)* ..$crate::Sizes::DEFAULT }.filled().socket_send_bytes },
        > = $crate::Storage::new();
    };
}
