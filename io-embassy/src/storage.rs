//! All memory of one producer, as one `static`.

use crate::clock::EmbassyClock;
use crate::net::Net;
use crate::platform::{Buffer, CellLock, Client, Holds, Reading, Reads, Shape, core};
use crate::runner::Slot;
use crate::{Producer, Runner, Sizes};
use demitasse_core::{
    Batch, BrokerEntry, CONTROL_REQUESTS, Configured, Connection, PartitionEntry, PartitionQueue, Platform, Request,
    StartError, State, Tables, TopicEntry, Waiter,
};
#[cfg(feature = "lz4")]
use demitasse_core::{Compression, ConfigError};
use embassy_net::Stack;
use static_cell::{ConstStaticCell, StaticCell};

/// All memory of one producer. Made by `storage!`, which names the numbers; each is described at [`Sizes`].
///
/// It is all zero bits, so a `static` of it takes nothing in flash. It can be started once.
pub struct Storage<
    P: Shape,
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
    const COMPRESSION_BYTES: usize,
> {
    #[allow(clippy::type_complexity, reason = "arrays by their capacities, each named once")]
    memory: ConstStaticCell<
        Memory<
            Arrays<BUFFERS, BATCHES, PARTITIONS, TOPICS, BROKERS, CONNECTIONS, REQUESTS, WAITERS>,
            [[u8; BATCH_BYTES]; BUFFERS],
            [[u8; TOPIC_NAME_BYTES]; TOPICS],
            [[u8; HOST_BYTES]; BROKERS],
            [Link<FRAME_BYTES, RECEIVE_BYTES, SOCKET_RECEIVE_BYTES, SOCKET_SEND_BYTES, COMPRESSION_BYTES>; CONNECTIONS],
        >,
    >,
    state: StaticCell<State<P>>,
    client: StaticCell<Client<P>>,
    /// Here and not in the runner, which a task holds twice: as what it was given, and as its variable.
    slots: StaticCell<[Slot; CONNECTIONS]>,
}

/// What a start takes for its settings: `&Config`, or the name of those that are [`Fixed`](crate::Fixed).
pub(crate) type Source<'a, P> = <<P as Platform>::Settings as Configured>::Source<'a>;

/// Everything that is handed out at the start, so that it is handed out once.
struct Memory<Tables, Buffers, Names, Hosts, Links> {
    tables: Tables,
    buffers: Buffers,
    names: Names,
    hosts: Hosts,
    links: Links,
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

/// The bytes of one connection, and its socket.
struct Link<
    const FRAME: usize,
    const RECEIVE: usize,
    const SOCKET_RECEIVE: usize,
    const SOCKET_SEND: usize,
    const COMPRESSION: usize,
> {
    frame: [u8; FRAME],
    receive: [u8; RECEIVE],
    socket_receive: [u8; SOCKET_RECEIVE],
    socket_send: [u8; SOCKET_SEND],
    #[cfg(feature = "lz4")]
    packing: [u8; COMPRESSION],
    net: StaticCell<Net>,
}

impl<
    P: Holds<BUFFERS, BATCHES, PARTITIONS, TOPICS, BROKERS, CONNECTIONS, REQUESTS, WAITERS>,
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
    const COMPRESSION_BYTES: usize,
>
    Storage<
        P,
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
        COMPRESSION_BYTES,
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
        compression_bytes: COMPRESSION_BYTES,
    };

    /// Empty storage. Capacities that cannot work together do not compile: the error says which, how large it is and how
    /// large it must be.
    #[allow(clippy::new_without_default, reason = "it must not be made anywhere but in a static")]
    pub const fn new() -> Self {
        const {
            Self::SIZES.must_work();
            let () = P::Settings::CHECKED;
        };
        Storage {
            memory: ConstStaticCell::new(Memory {
                tables: Arrays {
                    buffers: [const { None }; BUFFERS],
                    batches: [const { Batch::EMPTY }; BATCHES],
                    partitions: [const { PartitionEntry::EMPTY }; PARTITIONS],
                    queues: [const { PartitionQueue::EMPTY }; PARTITIONS],
                    topics: [const { TopicEntry::EMPTY }; TOPICS],
                    brokers: [const { BrokerEntry::EMPTY }; BROKERS],
                    connections: [const { Connection::EMPTY }; CONNECTIONS],
                    requests: [[Request::EMPTY; REQUESTS]; CONNECTIONS],
                    waiters: [const { Waiter::EMPTY }; WAITERS],
                },
                buffers: [[0; BATCH_BYTES]; BUFFERS],
                names: [[0; TOPIC_NAME_BYTES]; TOPICS],
                hosts: [[0; HOST_BYTES]; BROKERS],
                links: [const {
                    Link {
                        frame: [0; FRAME_BYTES],
                        receive: [0; RECEIVE_BYTES],
                        socket_receive: [0; SOCKET_RECEIVE_BYTES],
                        socket_send: [0; SOCKET_SEND_BYTES],
                        #[cfg(feature = "lz4")]
                        packing: [0; COMPRESSION_BYTES],
                        net: StaticCell::new(),
                    }
                }; CONNECTIONS],
            }),
            state: StaticCell::new(),
            client: StaticCell::new(),
            slots: StaticCell::new(),
        }
    }

    /// How many of them hold your records and the network's bytes; the rest are tables.
    pub const fn buffer_bytes(&self) -> usize {
        let sockets = SOCKET_RECEIVE_BYTES + SOCKET_SEND_BYTES;
        BATCH_BYTES * BUFFERS + (FRAME_BYTES + RECEIVE_BYTES + sockets + COMPRESSION_BYTES) * CONNECTIONS
    }

    /// [`Storage::MEMORY_BYTES`] of this storage.
    pub const fn memory_bytes(&self) -> usize {
        Self::MEMORY_BYTES
    }

    /// Starts the producer: once, and not before the network stack exists. It does not wait for a broker, nor for the
    /// network; but who waits for an address first (`Stack::wait_config_up`) spares it a vain attempt and a backoff.
    ///
    /// `config` is a [`Config`](crate::Config), by reference, or the name of the [`Fixed`](crate::Fixed) settings that the
    /// storage was declared with. `bootstrap` are hosts and ports to start from; `seed` must differ from start to start, so that
    /// retries of many devices do not coincide. Of `max_in_flight` of the settings and the storage's, the lesser counts.
    ///
    /// # Errors
    /// Settings contradict each other or the capacities, with the sizes; or the storage was started before.
    ///
    /// # Panics
    /// The network stack has no socket left: see the crate's documentation.
    pub fn start(
        &'static self,
        stack: Stack<'static>,
        config: Source<'_, P>,
        bootstrap: &[(&str, u16)],
        seed: u32,
    ) -> Result<(Producer<P>, Runner<P>), StartError>
    where
        P: Reads<0, 0>,
    {
        let (client, runner) = self.begin(stack, config, bootstrap, seed, || Ok(Reading::nothing()))?;
        Ok((Producer::new(core(client)), runner))
    }

    /// Starts what a consumer has, too; it is given away when nothing is wrong any more.
    pub(crate) fn begin<B: Iterator<Item = Buffer>>(
        &'static self,
        stack: Stack<'static>,
        config: Source<'_, P>,
        bootstrap: &[(&str, u16)],
        seed: u32,
        reading: impl FnOnce() -> Result<Reading<P, B>, StartError>,
    ) -> Result<(&'static Client<P>, Runner<P>), StartError> {
        let settings = P::Settings::configure(config)?;
        #[cfg(feature = "lz4")]
        if BATCH_BYTES > 0
            && let Some(reason) = match settings.get().compression() {
                Compression::None => None,
                Compression::Lz4 if COMPRESSION_BYTES > 0 => None,
                Compression::Lz4 => Some("must be none: the storage has no compression_bytes"),
                _ => Some("must be none or lz4"),
            }
        {
            return Err(StartError::Config(ConfigError { name: "compression.type", reason }));
        }
        // Before the memory is given away, which is done once: who is told what is wrong may start with what is right.
        settings.get().fit(bootstrap, HOST_BYTES, BROKERS, BATCH_BYTES == 0)?;
        let Memory { tables, buffers, names, hosts, links } =
            self.memory.try_take().ok_or(StartError::AlreadyStarted)?;
        let reading = reading()?;
        let tables = Tables::<P> {
            buffers: (&mut tables.buffers).into(),
            batches: (&mut tables.batches).into(),
            partitions: (&mut tables.partitions).into(),
            queues: (&mut tables.queues).into(),
            topics: (&mut tables.topics).into(),
            names: names.as_flattened_mut(),
            brokers: (&mut tables.brokers).into(),
            hosts: hosts.as_flattened_mut(),
            connections: (&mut tables.connections).into(),
            requests: (&mut tables.requests).into(),
            waiters: (&mut tables.waiters).into(),
            positions: reading.positions,
            chunks: reading.chunks,
        };
        let state = self.state.init_with(|| State::new(tables));
        let client: &'static Client<P> = self.client.init(Client::new(CellLock::new(state), EmbassyClock::new()));
        client.lend(buffers.iter_mut().map(<[u8; BATCH_BYTES]>::as_mut_slice).chain(reading.buffers));
        #[cfg(feature = "consumer")]
        if let Some(inflater) = reading.inflater {
            client.lend_inflater(inflater);
        }
        client.start(settings, bootstrap, (FRAME_BYTES, RECEIVE_BYTES), seed)?;
        let slots = links.each_mut().map(|link| {
            let net = link.net.init(Net::new(stack, &mut link.socket_receive, &mut link.socket_send));
            Slot {
                net,
                frame: &mut link.frame,
                receive: &mut link.receive,
                #[cfg(feature = "lz4")]
                packing: &mut link.packing,
            }
        });
        Ok((client, Runner::new(core(client), self.slots.init(slots))))
    }
}

crate::shown_by_name!(
    "Storage",
    [
        P: Shape, const BATCH_BYTES: usize, const BUFFERS: usize, const BATCHES: usize, const PARTITIONS: usize,
        const TOPICS: usize, const TOPIC_NAME_BYTES: usize, const BROKERS: usize, const HOST_BYTES: usize,
        const CONNECTIONS: usize, const REQUESTS: usize, const WAITERS: usize, const FRAME_BYTES: usize,
        const RECEIVE_BYTES: usize, const SOCKET_RECEIVE_BYTES: usize, const SOCKET_SEND_BYTES: usize,
        const COMPRESSION_BYTES: usize
    ]
    Storage<
        P, BATCH_BYTES, BUFFERS, BATCHES, PARTITIONS, TOPICS, TOPIC_NAME_BYTES, BROKERS, HOST_BYTES, CONNECTIONS,
        REQUESTS, WAITERS, FRAME_BYTES, RECEIVE_BYTES, SOCKET_RECEIVE_BYTES, SOCKET_SEND_BYTES, COMPRESSION_BYTES
    >
);

/// Declares the memory of a producer as a `static`, with capacities by name; those that are not named have a default,
/// see [`Sizes`].
///
/// ```
/// demitasse_io_embassy::storage! { static KAFKA: Kafka { batch_bytes: 512, buffers: 8, topics: 2 } }
///
/// async fn kafka(mut runner: demitasse_io_embassy::Runner<Kafka>) {
///     runner.run().await
/// }
/// ```
///
/// The type's name may be left away. Then the machine code is that of any storage with as many connections
/// ([`Shared`](crate::Shared)): larger by a kilobyte, but once for all such storages, as for the two of a device that writes and
/// reads.
///
/// ```
/// demitasse_io_embassy::storage! { static KAFKA: { batch_bytes: 512, buffers: 8, topics: 2 } }
///
/// async fn kafka(mut runner: demitasse_io_embassy::Runner) {
///     runner.run().await
/// }
/// ```
///
/// With the name of [`Fixed`](crate::Fixed) settings in angle brackets behind the type's, they are compiled in: what they do not
/// ask for is not in the program, a kilobyte or two. The start takes that name in place of a [`Config`](crate::Config).
///
/// ```
/// use demitasse_io_embassy::{Config, Fixed, storage};
///
/// struct Settings;
///
/// impl Fixed for Settings {
///     const CONFIG: Config = {
///         let mut config = Config::new();
///         config.linger = core::time::Duration::from_secs(1);
///         config
///     };
/// }
///
/// storage! { static KAFKA: Kafka<Settings> { batch_bytes: 512, buffers: 8, topics: 2 } }
///
/// fn start(stack: embassy_net::Stack<'static>, seed: u32) {
///     let _ = KAFKA.start(stack, Settings, &[("10.0.2.2", 9092)], seed);
/// }
/// ```
///
/// What cannot work does not compile: capacities,
///
/// ```compile_fail
/// demitasse_io_embassy::storage! { static KAFKA: { batch_bytes: 32 } }
/// ```
///
/// or fixed settings that contradict each other.
///
/// ```compile_fail
/// # use demitasse_io_embassy::{Config, Fixed, storage};
/// struct Settings;
///
/// impl Fixed for Settings {
///     const CONFIG: Config = {
///         let mut config = Config::new();
///         config.linger = config.delivery_timeout;
///         config
///     };
/// }
///
/// storage! { static KAFKA: Kafka<Settings> { batch_bytes: 512 } }
/// ```
#[macro_export]
macro_rules! storage {
    ($(#[$attribute:meta])* $visibility:vis static $name:ident: { $($field:ident: $value:expr),* $(,)? }) => {
        $crate::storage! {
            @ [$(#[$attribute])*] $visibility $name
            $crate::Shared<{ $crate::Sizes { $($field: $value,)* ..$crate::Sizes::DEFAULT }.filled().connections }>, { $($field: $value),* }
        }
    };
    ($(#[$attribute:meta])* $visibility:vis static $name:ident: $shape:ident { $($field:ident: $value:expr),* $(,)? }) => {
        $crate::storage! { @own [$(#[$attribute])*] $visibility $name $shape $crate::Settings, { $($field: $value),* } }
    };
    ($(#[$attribute:meta])* $visibility:vis static $name:ident: $shape:ident<$fixed:ty> { $($field:ident: $value:expr),* $(,)? }) => {
        $crate::storage! { @own [$(#[$attribute])*] $visibility $name $shape ::core::marker::PhantomData<$fixed>, { $($field: $value),* } }
    };
    (@own [$(#[$attribute:meta])*] $visibility:vis $name:ident $shape:ident $settings:ty, { $($field:ident: $value:expr),* }) => {
        #[doc = concat!("The type of [`", stringify!($name), "`], for its handles: it knows the lengths of all tables.")]
        $visibility type $shape = $crate::Own<
            $settings,
            { $crate::Sizes { $($field: $value,)* ..$crate::Sizes::DEFAULT }.filled().buffers },
            { $crate::Sizes { $($field: $value,)* ..$crate::Sizes::DEFAULT }.filled().batches },
            { $crate::Sizes { $($field: $value,)* ..$crate::Sizes::DEFAULT }.filled().partitions },
            { $crate::Sizes { $($field: $value,)* ..$crate::Sizes::DEFAULT }.filled().topics },
            { $crate::Sizes { $($field: $value,)* ..$crate::Sizes::DEFAULT }.filled().brokers },
            { $crate::Sizes { $($field: $value,)* ..$crate::Sizes::DEFAULT }.filled().connections },
            { $crate::Sizes { $($field: $value,)* ..$crate::Sizes::DEFAULT }.filled().capacities().requests as usize },
            { $crate::Sizes { $($field: $value,)* ..$crate::Sizes::DEFAULT }.filled().waiters },
            0,
            0,
        >;
        $crate::storage! { @ [$(#[$attribute])*] $visibility $name $shape, { $($field: $value),* } }
    };
    (@ [$(#[$attribute:meta])*] $visibility:vis $name:ident $shape:ty, { $($field:ident: $value:expr),* }) => {
        $(#[$attribute])*
        $visibility static $name: $crate::Storage<
            $shape,
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
            { $crate::Sizes { $($field: $value,)* ..$crate::Sizes::DEFAULT }.filled().compression_bytes },
        > = $crate::Storage::new();
    };
}
