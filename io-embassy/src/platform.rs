//! The device's side of [`Platform`]: tables are borrowed from the one `static`, so that there is a single type, and a
//! single copy of the machine code, for all storages with as many connections, whatever their other sizes.

use crate::clock::EmbassyClock;
use core::cell::Cell;
use core::ops::{Deref, DerefMut};
#[cfg(not(feature = "consumer"))]
use demitasse_core::Empty;
use demitasse_core::{
    Batch, BrokerEntry, Chunk, Connection, Lock, PartitionEntry, PartitionQueue, Platform, Position, Request, State,
    TopicEntry, Waiter,
};

/// A batch buffer.
pub(crate) type Buffer = &'static mut [u8];

pub(crate) type Core<const CONNECTIONS: usize> = demitasse_core::Producer<Embassy<CONNECTIONS>>;

/// What a storage starts: also under a consumer there is a producer, whose driver is used.
#[cfg(not(feature = "consumer"))]
pub(crate) type Client<const CONNECTIONS: usize> = Core<CONNECTIONS>;
#[cfg(feature = "consumer")]
pub(crate) type Client<const CONNECTIONS: usize> = demitasse_core::Consumer<Embassy<CONNECTIONS>>;

#[cfg(not(feature = "consumer"))]
pub(crate) fn core<const CONNECTIONS: usize>(client: &'static Client<CONNECTIONS>) -> &'static Core<CONNECTIONS> {
    client
}

#[cfg(feature = "consumer")]
pub(crate) fn core<const CONNECTIONS: usize>(client: &'static Client<CONNECTIONS>) -> &'static Core<CONNECTIONS> {
    client.client()
}

#[cfg(not(feature = "consumer"))]
type Positions = Empty<Position>;
#[cfg(feature = "consumer")]
type Positions = &'static mut [Position];

#[cfg(not(feature = "consumer"))]
type Chunks = Empty<Chunk<Buffer>>;
#[cfg(feature = "consumer")]
type Chunks = &'static mut [Chunk<Buffer>];

#[cfg(not(feature = "lz4"))]
pub(crate) type Decoder = demitasse_core::records::codec::NoCodec;
#[cfg(feature = "lz4")]
pub(crate) type Decoder = demitasse_core::records::lz4::Lz4;

/// What a consumer has and a producer has not: its tables, the buffers of its chunks, and what it decompresses into.
pub(crate) struct Reading<B> {
    pub(crate) positions: Positions,
    pub(crate) chunks: Chunks,
    pub(crate) buffers: B,
    #[cfg(feature = "consumer")]
    pub(crate) window: Option<Buffer>,
}

impl Reading<core::iter::Empty<Buffer>> {
    /// A producer's.
    pub(crate) fn nothing() -> Self {
        Reading {
            #[cfg(not(feature = "consumer"))]
            positions: Empty::NEW,
            #[cfg(feature = "consumer")]
            positions: &mut [],
            #[cfg(not(feature = "consumer"))]
            chunks: Empty::NEW,
            #[cfg(feature = "consumer")]
            chunks: &mut [],
            buffers: core::iter::empty(),
            #[cfg(feature = "consumer")]
            window: None,
        }
    }
}

/// The number of connections is part of the type, and of no other table: most devices have one, and then the compiler
/// leaves out every loop over them.
pub(crate) enum Embassy<const CONNECTIONS: usize> {}

impl<const CONNECTIONS: usize> Platform for Embassy<CONNECTIONS> {
    /// By `Storage::new`, which does not compile otherwise.
    const CHECKED: bool = true;
    type Buffer = Buffer;
    type Buffers = &'static mut [Option<Buffer>];
    type Batches = &'static mut [Batch<Buffer>];
    type Partitions = &'static mut [PartitionEntry];
    type Queues = &'static mut [PartitionQueue];
    type Topics = &'static mut [TopicEntry];
    type Names = &'static mut [u8];
    type Brokers = &'static mut [BrokerEntry];
    type Hosts = &'static mut [u8];
    type Connections = Slots<CONNECTIONS>;
    type Requests = &'static mut [Request];
    type Waiters = &'static mut [Waiter];
    type Positions = Positions;
    type Chunks = Chunks;
    type Decompress = Decoder;
    type Lock = CellLock<State<Self>>;
    type Clock = EmbassyClock;
}

/// The connections, as many as the type says.
pub(crate) struct Slots<const CONNECTIONS: usize>(pub(crate) &'static mut [Connection; CONNECTIONS]);

impl<const CONNECTIONS: usize> Deref for Slots<CONNECTIONS> {
    type Target = [Connection];

    #[inline]
    fn deref(&self) -> &[Connection] {
        self.0
    }
}

impl<const CONNECTIONS: usize> DerefMut for Slots<CONNECTIONS> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [Connection] {
        self.0
    }
}

/// One executor, one thread: nothing to wait for, no critical section. That handles are not `Send` keeps it so. Whoever has
/// the state has taken it out; taken while it is out, which only a closure given to `send_each` could do, it panics.
pub(crate) struct CellLock<T: 'static>(Cell<Option<&'static mut T>>);

impl<T> CellLock<T> {
    pub(crate) const fn new(value: &'static mut T) -> Self {
        CellLock(Cell::new(Some(value)))
    }
}

impl<T> Lock<T> for CellLock<T> {
    #[inline]
    fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        let Some(value) = self.0.take() else { taken_twice() };
        let result = f(value);
        self.0.set(Some(value));
        result
    }
}

#[cold]
#[inline(never)]
fn taken_twice() -> ! {
    panic!("a closure given to the producer called the producer")
}
