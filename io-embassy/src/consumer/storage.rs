//! All memory of one consumer, as one `static`.

use super::sizes::{BATCH_BYTES, BATCHES, BUFFERS, COMPRESSION_BYTES, REQUESTS};
use super::{Consumer, ConsumerSizes};
use crate::platform::{Buffer, Holds, Reading, Reads, Shape};
use crate::storage::Source;
use crate::{Runner, Storage};
use demitasse_core::{Chunk, Position, StartError};
use embassy_net::Stack;
use static_cell::ConstStaticCell;

/// All memory of one consumer. Made by `consumer_storage!`, which names the numbers; each is described at [`ConsumerSizes`].
///
/// It is all zero bits, so a `static` of it takes nothing in flash. It can be started once.
pub struct ConsumerStorage<
    P: Shape,
    const CHUNK_BYTES: usize,
    const CHUNKS: usize,
    const DECOMPRESSION_BYTES: usize,
    const PARTITIONS: usize,
    const TOPICS: usize,
    const TOPIC_NAME_BYTES: usize,
    const BROKERS: usize,
    const HOST_BYTES: usize,
    const CONNECTIONS: usize,
    const WAITERS: usize,
    const FRAME_BYTES: usize,
    const RECEIVE_BYTES: usize,
    const SOCKET_RECEIVE_BYTES: usize,
    const SOCKET_SEND_BYTES: usize,
> {
    #[allow(clippy::type_complexity, reason = "a producer's storage, by its capacities")]
    client: Storage<
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
    >,
    memory: ConstStaticCell<Memory<CHUNK_BYTES, CHUNKS, DECOMPRESSION_BYTES, PARTITIONS>>,
}

/// What a producer does not have.
struct Memory<const CHUNK_BYTES: usize, const CHUNKS: usize, const DECOMPRESSION_BYTES: usize, const PARTITIONS: usize>
{
    positions: [Position; PARTITIONS],
    chunks: [Chunk<Buffer>; CHUNKS],
    buffers: [[u8; CHUNK_BYTES]; CHUNKS],
    #[cfg(feature = "lz4")]
    window: [u8; DECOMPRESSION_BYTES],
    #[cfg(feature = "lz4")]
    inflater: static_cell::StaticCell<demitasse_core::Inflater<Buffer, crate::platform::Decoder>>,
}

impl<
    P: Holds<BUFFERS, BATCHES, PARTITIONS, TOPICS, BROKERS, CONNECTIONS, REQUESTS, WAITERS> + Reads<PARTITIONS, CHUNKS>,
    const CHUNK_BYTES: usize,
    const CHUNKS: usize,
    const DECOMPRESSION_BYTES: usize,
    const PARTITIONS: usize,
    const TOPICS: usize,
    const TOPIC_NAME_BYTES: usize,
    const BROKERS: usize,
    const HOST_BYTES: usize,
    const CONNECTIONS: usize,
    const WAITERS: usize,
    const FRAME_BYTES: usize,
    const RECEIVE_BYTES: usize,
    const SOCKET_RECEIVE_BYTES: usize,
    const SOCKET_SEND_BYTES: usize,
>
    ConsumerStorage<
        P,
        CHUNK_BYTES,
        CHUNKS,
        DECOMPRESSION_BYTES,
        PARTITIONS,
        TOPICS,
        TOPIC_NAME_BYTES,
        BROKERS,
        HOST_BYTES,
        CONNECTIONS,
        WAITERS,
        FRAME_BYTES,
        RECEIVE_BYTES,
        SOCKET_RECEIVE_BYTES,
        SOCKET_SEND_BYTES,
    >
{
    /// All that the consumer will ever take, in bytes, but for the future of [`Runner::run`].
    pub const MEMORY_BYTES: usize = size_of::<Self>();

    /// The capacities.
    pub const SIZES: ConsumerSizes = ConsumerSizes {
        chunk_bytes: CHUNK_BYTES,
        chunks: CHUNKS,
        decompression_bytes: DECOMPRESSION_BYTES,
        partitions: PARTITIONS,
        topics: TOPICS,
        topic_name_bytes: TOPIC_NAME_BYTES,
        brokers: BROKERS,
        host_bytes: HOST_BYTES,
        connections: CONNECTIONS,
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
        ConsumerStorage {
            client: Storage::new(),
            memory: ConstStaticCell::new(Memory {
                positions: [const { Position::EMPTY }; PARTITIONS],
                chunks: [const { Chunk::EMPTY }; CHUNKS],
                buffers: [[0; CHUNK_BYTES]; CHUNKS],
                #[cfg(feature = "lz4")]
                window: [0; DECOMPRESSION_BYTES],
                #[cfg(feature = "lz4")]
                inflater: static_cell::StaticCell::new(),
            }),
        }
    }

    /// How many of them hold records and the network's bytes; the rest are tables.
    pub const fn buffer_bytes(&self) -> usize {
        CHUNK_BYTES * CHUNKS
            + DECOMPRESSION_BYTES
            + (FRAME_BYTES + RECEIVE_BYTES + SOCKET_RECEIVE_BYTES + SOCKET_SEND_BYTES) * CONNECTIONS
    }

    /// [`ConsumerStorage::MEMORY_BYTES`] of this storage.
    pub const fn memory_bytes(&self) -> usize {
        Self::MEMORY_BYTES
    }

    /// Starts the consumer, as [`Storage::start`] does a producer. It reads nothing before something is assigned.
    ///
    /// What of `config` only a producer needs does not matter.
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
    ) -> Result<(Consumer<P>, Runner<P>), StartError> {
        let reading = || {
            let memory = self.memory.try_take().ok_or(StartError::AlreadyStarted)?;
            Ok(Reading {
                positions: (&mut memory.positions).into(),
                chunks: (&mut memory.chunks).into(),
                buffers: memory.buffers.iter_mut().map(<[u8; CHUNK_BYTES]>::as_mut_slice),
                #[cfg(feature = "lz4")]
                inflater: (DECOMPRESSION_BYTES > 0).then(|| {
                    let decoder = crate::platform::Decoder::default();
                    memory.inflater.init(demitasse_core::Inflater::new(decoder, &mut memory.window))
                }),
                // There is no window: `must_work` has seen to it.
                #[cfg(not(feature = "lz4"))]
                inflater: None,
            })
        };
        let (client, runner) = self.client.begin(stack, config, bootstrap, seed, reading)?;
        Ok((Consumer::new(client), runner))
    }
}

crate::shown_by_name!(
    "ConsumerStorage",
    [
        P: Shape, const CHUNK_BYTES: usize, const CHUNKS: usize, const DECOMPRESSION_BYTES: usize,
        const PARTITIONS: usize, const TOPICS: usize, const TOPIC_NAME_BYTES: usize, const BROKERS: usize,
        const HOST_BYTES: usize, const CONNECTIONS: usize, const WAITERS: usize, const FRAME_BYTES: usize,
        const RECEIVE_BYTES: usize, const SOCKET_RECEIVE_BYTES: usize, const SOCKET_SEND_BYTES: usize
    ]
    ConsumerStorage<
        P, CHUNK_BYTES, CHUNKS, DECOMPRESSION_BYTES, PARTITIONS, TOPICS, TOPIC_NAME_BYTES, BROKERS, HOST_BYTES,
        CONNECTIONS, WAITERS, FRAME_BYTES, RECEIVE_BYTES, SOCKET_RECEIVE_BYTES, SOCKET_SEND_BYTES
    >
);

/// Declares the memory of a consumer as a `static`, with capacities by name; those that are not named have a default, see
/// [`ConsumerSizes`].
///
/// ```
/// demitasse_io_embassy::consumer_storage! { static COMMANDS: Commands { chunk_bytes: 4096, topic_name_bytes: 16 } }
/// ```
///
/// The type's name may be left away, as that of [`storage!`](crate::storage).
///
/// What cannot work does not compile:
///
/// ```compile_fail
/// demitasse_io_embassy::consumer_storage! { static COMMANDS: { chunk_bytes: 64 } }
/// ```
#[macro_export]
macro_rules! consumer_storage {
    ($(#[$attribute:meta])* $visibility:vis static $name:ident: { $($field:ident: $value:expr),* $(,)? }) => {
        $crate::consumer_storage! {
            @ [$(#[$attribute])*] $visibility $name
            $crate::Shared<{ $crate::ConsumerSizes { $($field: $value,)* ..$crate::ConsumerSizes::DEFAULT }.filled().connections }>, { $($field: $value),* }
        }
    };
    ($(#[$attribute:meta])* $visibility:vis static $name:ident: $shape:ident { $($field:ident: $value:expr),* $(,)? }) => {
        $crate::consumer_storage! { @own [$(#[$attribute])*] $visibility $name $shape $crate::Settings, { $($field: $value),* } }
    };
    ($(#[$attribute:meta])* $visibility:vis static $name:ident: $shape:ident<$fixed:ty> { $($field:ident: $value:expr),* $(,)? }) => {
        $crate::consumer_storage! { @own [$(#[$attribute])*] $visibility $name $shape ::core::marker::PhantomData<$fixed>, { $($field: $value),* } }
    };
    (@own [$(#[$attribute:meta])*] $visibility:vis $name:ident $shape:ident $settings:ty, { $($field:ident: $value:expr),* }) => {
        #[doc = concat!("The type of [`", stringify!($name), "`], for its handles: it knows the lengths of all tables.")]
        $visibility type $shape = $crate::Own<
            $settings,
            { $crate::ConsumerSizes { $($field: $value,)* ..$crate::ConsumerSizes::DEFAULT }.filled().client().buffers },
            { $crate::ConsumerSizes { $($field: $value,)* ..$crate::ConsumerSizes::DEFAULT }.filled().client().batches },
            { $crate::ConsumerSizes { $($field: $value,)* ..$crate::ConsumerSizes::DEFAULT }.filled().partitions },
            { $crate::ConsumerSizes { $($field: $value,)* ..$crate::ConsumerSizes::DEFAULT }.filled().topics },
            { $crate::ConsumerSizes { $($field: $value,)* ..$crate::ConsumerSizes::DEFAULT }.filled().brokers },
            { $crate::ConsumerSizes { $($field: $value,)* ..$crate::ConsumerSizes::DEFAULT }.filled().connections },
            { $crate::ConsumerSizes { $($field: $value,)* ..$crate::ConsumerSizes::DEFAULT }.filled().client().capacities().requests as usize },
            { $crate::ConsumerSizes { $($field: $value,)* ..$crate::ConsumerSizes::DEFAULT }.filled().waiters },
            { $crate::ConsumerSizes { $($field: $value,)* ..$crate::ConsumerSizes::DEFAULT }.filled().partitions },
            { $crate::ConsumerSizes { $($field: $value,)* ..$crate::ConsumerSizes::DEFAULT }.filled().chunks },
        >;
        $crate::consumer_storage! { @ [$(#[$attribute])*] $visibility $name $shape, { $($field: $value),* } }
    };
    (@ [$(#[$attribute:meta])*] $visibility:vis $name:ident $shape:ty, { $($field:ident: $value:expr),* }) => {
        $(#[$attribute])*
        $visibility static $name: $crate::ConsumerStorage<
            $shape,
            { $crate::ConsumerSizes { $($field: $value,)* ..$crate::ConsumerSizes::DEFAULT }.filled().chunk_bytes },
            { $crate::ConsumerSizes { $($field: $value,)* ..$crate::ConsumerSizes::DEFAULT }.filled().chunks },
            { $crate::ConsumerSizes { $($field: $value,)* ..$crate::ConsumerSizes::DEFAULT }.filled().decompression_bytes },
            { $crate::ConsumerSizes { $($field: $value,)* ..$crate::ConsumerSizes::DEFAULT }.filled().partitions },
            { $crate::ConsumerSizes { $($field: $value,)* ..$crate::ConsumerSizes::DEFAULT }.filled().topics },
            { $crate::ConsumerSizes { $($field: $value,)* ..$crate::ConsumerSizes::DEFAULT }.filled().topic_name_bytes },
            { $crate::ConsumerSizes { $($field: $value,)* ..$crate::ConsumerSizes::DEFAULT }.filled().brokers },
            { $crate::ConsumerSizes { $($field: $value,)* ..$crate::ConsumerSizes::DEFAULT }.filled().host_bytes },
            { $crate::ConsumerSizes { $($field: $value,)* ..$crate::ConsumerSizes::DEFAULT }.filled().connections },
            { $crate::ConsumerSizes { $($field: $value,)* ..$crate::ConsumerSizes::DEFAULT }.filled().waiters },
            { $crate::ConsumerSizes { $($field: $value,)* ..$crate::ConsumerSizes::DEFAULT }.filled().frame_bytes },
            { $crate::ConsumerSizes { $($field: $value,)* ..$crate::ConsumerSizes::DEFAULT }.filled().receive_bytes },
            { $crate::ConsumerSizes { $($field: $value,)* ..$crate::ConsumerSizes::DEFAULT }.filled().socket_receive_bytes },
            { $crate::ConsumerSizes { $($field: $value,)* ..$crate::ConsumerSizes::DEFAULT }.filled().socket_send_bytes },
        > = $crate::ConsumerStorage::new();
    };
}
