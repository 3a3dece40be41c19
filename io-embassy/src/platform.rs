//! The device's side of [`Platform`]: tables are borrowed from the one `static`. Storages share one copy of the machine code,
//! or have one of their own, which knows the lengths of their tables.

use crate::clock::EmbassyClock;
use crate::runner::{Slot, run_all};
use core::cell::Cell;
use core::future::Future;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use demitasse_core::{
    Batch, BrokerEntry, Chunk, Configured, Connection, Inflater, Lock, PartitionEntry, PartitionQueue, Platform,
    Position, Request, Settings, State, TopicEntry, Waiter,
};

/// A batch buffer.
pub(crate) type Buffer = &'static mut [u8];

pub(crate) type Core<P> = demitasse_core::Producer<P>;

/// What a storage starts: also under a consumer there is a producer, whose driver is used.
#[cfg(not(feature = "consumer"))]
pub(crate) type Client<P> = Core<P>;
#[cfg(feature = "consumer")]
pub(crate) type Client<P> = demitasse_core::Consumer<P>;

#[cfg(not(feature = "consumer"))]
pub(crate) fn core<P: Shape>(client: &'static Client<P>) -> &'static Core<P> {
    client
}

#[cfg(feature = "consumer")]
pub(crate) fn core<P: Shape>(client: &'static Client<P>) -> &'static Core<P> {
    client.client()
}

#[cfg(not(feature = "lz4"))]
pub(crate) type Decoder = demitasse_core::records::codec::NoCodec;
#[cfg(feature = "lz4")]
pub(crate) type Decoder = demitasse_core::records::lz4::Lz4;

#[cfg(not(feature = "lz4"))]
pub(crate) type LentInflater = demitasse_core::Never<Inflater<Buffer, Decoder>>;
#[cfg(feature = "lz4")]
pub(crate) type LentInflater = &'static mut Inflater<Buffer, Decoder>;

/// What a consumer has and a producer has not: its tables, the buffers of its chunks, and what it decompresses with.
pub(crate) struct Reading<P: Platform, B> {
    pub(crate) positions: P::Positions,
    pub(crate) chunks: P::Chunks,
    pub(crate) buffers: B,
    #[cfg(feature = "consumer")]
    pub(crate) inflater: Option<LentInflater>,
}

impl<P: Reads<0, 0>> Reading<P, core::iter::Empty<Buffer>> {
    /// A producer's.
    pub(crate) fn nothing() -> Self {
        Reading {
            positions: (&mut []).into(),
            chunks: (&mut []).into(),
            buffers: core::iter::empty(),
            #[cfg(feature = "consumer")]
            inflater: None,
        }
    }
}

/// What all storages of a device have in common.
pub trait Shape:
    Platform<
        Buffer = Buffer,
        Names = &'static mut [u8],
        Hosts = &'static mut [u8],
        Decompress = Decoder,
        Inflater = LentInflater,
        Lock = CellLock<State<Self>>,
        Clock = EmbassyClock,
    > + 'static
{
    /// What connections work with, as many as there are.
    type Slots;

    /// Does the client's work until it is closed.
    fn run(core: &'static Core<Self>, slots: &mut Self::Slots) -> impl Future<Output = ()>;
}

/// Storages of all sizes that have as many connections: they share one copy of the machine code. For a device with two
/// storages, one to write and one to read.
///
/// The number of connections is part of the type, and that of no other table: most devices have one, and then the compiler
/// leaves out every loop over them.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Shared<const CONNECTIONS: usize = 1> {}

/// One storage's own: the code knows all tables' lengths, which makes it smaller and quicker, and the settings `S`, if they are
/// [`Fixed`](crate::Fixed). `storage!` makes one for a storage whose type has a name.
pub struct Own<
    S,
    const BUFFERS: usize,
    const BATCHES: usize,
    const PARTITIONS: usize,
    const TOPICS: usize,
    const BROKERS: usize,
    const CONNECTIONS: usize,
    const REQUESTS: usize,
    const WAITERS: usize,
    const POSITIONS: usize,
    const CHUNKS: usize,
>(PhantomData<S>);

impl<const CONNECTIONS: usize> Platform for Shared<CONNECTIONS> {
    /// By `Storage::new`, which does not compile otherwise.
    const CHECKED: bool = true;
    type Buffer = Buffer;
    type Buffers = Slice<Option<Buffer>>;
    type Batches = Slice<Batch<Buffer>>;
    type Partitions = Slice<PartitionEntry>;
    type Queues = Slice<PartitionQueue>;
    type Topics = Slice<TopicEntry>;
    type Names = &'static mut [u8];
    type Brokers = Slice<BrokerEntry>;
    type Hosts = &'static mut [u8];
    type Connections = Array<Connection, CONNECTIONS>;
    type Requests = Slice<Request>;
    type Waiters = Slice<Waiter>;
    type Positions = Slice<Position>;
    type Chunks = Slice<Chunk<Buffer>>;
    type Decompress = Decoder;
    type Inflater = LentInflater;
    type Settings = Settings;
    type Lock = CellLock<State<Self>>;
    type Clock = EmbassyClock;
}

impl<const CONNECTIONS: usize> Shape for Shared<CONNECTIONS> {
    type Slots = [Slot; CONNECTIONS];

    fn run(core: &'static Core<Self>, slots: &mut Self::Slots) -> impl Future<Output = ()> {
        run_all(core, slots)
    }
}

impl<
    S: Configured + 'static,
    const BUFFERS: usize,
    const BATCHES: usize,
    const PARTITIONS: usize,
    const TOPICS: usize,
    const BROKERS: usize,
    const CONNECTIONS: usize,
    const REQUESTS: usize,
    const WAITERS: usize,
    const POSITIONS: usize,
    const CHUNKS: usize,
> Platform
    for Own<S, BUFFERS, BATCHES, PARTITIONS, TOPICS, BROKERS, CONNECTIONS, REQUESTS, WAITERS, POSITIONS, CHUNKS>
{
    const CHECKED: bool = true;
    type Buffer = Buffer;
    type Buffers = Array<Option<Buffer>, BUFFERS>;
    type Batches = Array<Batch<Buffer>, BATCHES>;
    type Partitions = Array<PartitionEntry, PARTITIONS>;
    type Queues = Array<PartitionQueue, PARTITIONS>;
    type Topics = Array<TopicEntry, TOPICS>;
    type Names = &'static mut [u8];
    type Brokers = Array<BrokerEntry, BROKERS>;
    type Hosts = &'static mut [u8];
    type Connections = Array<Connection, CONNECTIONS>;
    type Requests = Rows<Request, REQUESTS, CONNECTIONS>;
    type Waiters = Array<Waiter, WAITERS>;
    type Positions = Array<Position, POSITIONS>;
    type Chunks = Array<Chunk<Buffer>, CHUNKS>;
    type Decompress = Decoder;
    type Inflater = LentInflater;
    type Settings = S;
    type Lock = CellLock<State<Self>>;
    type Clock = EmbassyClock;
}

impl<
    S: Configured + 'static,
    const BUFFERS: usize,
    const BATCHES: usize,
    const PARTITIONS: usize,
    const TOPICS: usize,
    const BROKERS: usize,
    const CONNECTIONS: usize,
    const REQUESTS: usize,
    const WAITERS: usize,
    const POSITIONS: usize,
    const CHUNKS: usize,
> Shape for Own<S, BUFFERS, BATCHES, PARTITIONS, TOPICS, BROKERS, CONNECTIONS, REQUESTS, WAITERS, POSITIONS, CHUNKS>
{
    type Slots = [Slot; CONNECTIONS];

    fn run(core: &'static Core<Self>, slots: &mut Self::Slots) -> impl Future<Output = ()> {
        run_all(core, slots)
    }
}

/// Whose tables can be arrays of these lengths: all of [`Shared`], and the one [`Own`].
pub trait Holds<
    const BUFFERS: usize,
    const BATCHES: usize,
    const PARTITIONS: usize,
    const TOPICS: usize,
    const BROKERS: usize,
    const CONNECTIONS: usize,
    const REQUESTS: usize,
    const WAITERS: usize,
>:
    Shape<
        Buffers: From<&'static mut [Option<Buffer>; BUFFERS]>,
        Batches: From<&'static mut [Batch<Buffer>; BATCHES]>,
        Partitions: From<&'static mut [PartitionEntry; PARTITIONS]>,
        Queues: From<&'static mut [PartitionQueue; PARTITIONS]>,
        Topics: From<&'static mut [TopicEntry; TOPICS]>,
        Brokers: From<&'static mut [BrokerEntry; BROKERS]>,
        Connections: From<&'static mut [Connection; CONNECTIONS]>,
        Requests: From<&'static mut [[Request; REQUESTS]; CONNECTIONS]>,
        Waiters: From<&'static mut [Waiter; WAITERS]>,
        Slots = [Slot; CONNECTIONS],
    >
{
}

impl<
    P,
    const BUFFERS: usize,
    const BATCHES: usize,
    const PARTITIONS: usize,
    const TOPICS: usize,
    const BROKERS: usize,
    const CONNECTIONS: usize,
    const REQUESTS: usize,
    const WAITERS: usize,
> Holds<BUFFERS, BATCHES, PARTITIONS, TOPICS, BROKERS, CONNECTIONS, REQUESTS, WAITERS> for P
where
    P: Shape<
            Buffers: From<&'static mut [Option<Buffer>; BUFFERS]>,
            Batches: From<&'static mut [Batch<Buffer>; BATCHES]>,
            Partitions: From<&'static mut [PartitionEntry; PARTITIONS]>,
            Queues: From<&'static mut [PartitionQueue; PARTITIONS]>,
            Topics: From<&'static mut [TopicEntry; TOPICS]>,
            Brokers: From<&'static mut [BrokerEntry; BROKERS]>,
            Connections: From<&'static mut [Connection; CONNECTIONS]>,
            Requests: From<&'static mut [[Request; REQUESTS]; CONNECTIONS]>,
            Waiters: From<&'static mut [Waiter; WAITERS]>,
            Slots = [Slot; CONNECTIONS],
        >,
{
}

/// Whose tables of what is read can be arrays of these lengths. A producer's are empty.
pub trait Reads<const POSITIONS: usize, const CHUNKS: usize>:
    Shape<Positions: From<&'static mut [Position; POSITIONS]>, Chunks: From<&'static mut [Chunk<Buffer>; CHUNKS]>>
{
}

impl<P, const POSITIONS: usize, const CHUNKS: usize> Reads<POSITIONS, CHUNKS> for P where
    P: Shape<Positions: From<&'static mut [Position; POSITIONS]>, Chunks: From<&'static mut [Chunk<Buffer>; CHUNKS]>>
{
}

/// A table whose length is part of the type.
pub struct Array<T: 'static, const LENGTH: usize>(&'static mut [T; LENGTH]);

/// A table of as many rows of the same length, both part of the type.
pub struct Rows<T: 'static, const LENGTH: usize, const ROWS: usize>(&'static mut [[T; LENGTH]; ROWS]);

/// A table of any length.
pub struct Slice<T: 'static>(&'static mut [T]);

impl<T, const LENGTH: usize> From<&'static mut [T; LENGTH]> for Array<T, LENGTH> {
    fn from(entries: &'static mut [T; LENGTH]) -> Self {
        Array(entries)
    }
}

impl<T, const LENGTH: usize> From<&'static mut [T; LENGTH]> for Slice<T> {
    fn from(entries: &'static mut [T; LENGTH]) -> Self {
        Slice(entries)
    }
}

impl<T, const LENGTH: usize, const ROWS: usize> From<&'static mut [[T; LENGTH]; ROWS]> for Rows<T, LENGTH, ROWS> {
    fn from(entries: &'static mut [[T; LENGTH]; ROWS]) -> Self {
        Rows(entries)
    }
}

impl<T, const LENGTH: usize, const ROWS: usize> From<&'static mut [[T; LENGTH]; ROWS]> for Slice<T> {
    fn from(entries: &'static mut [[T; LENGTH]; ROWS]) -> Self {
        Slice(entries.as_flattened_mut())
    }
}

impl<T, const LENGTH: usize, const ROWS: usize> Deref for Rows<T, LENGTH, ROWS> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        self.0.as_flattened()
    }
}

impl<T, const LENGTH: usize, const ROWS: usize> DerefMut for Rows<T, LENGTH, ROWS> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        self.0.as_flattened_mut()
    }
}

impl<T, const LENGTH: usize> Deref for Array<T, LENGTH> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        self.0
    }
}

impl<T, const LENGTH: usize> DerefMut for Array<T, LENGTH> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        self.0
    }
}

impl<T> Deref for Slice<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        self.0
    }
}

impl<T> DerefMut for Slice<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        self.0
    }
}

/// One executor, one thread: nothing to wait for, no critical section. That handles are not `Send` keeps it so. Whoever has
/// the state has taken it out; taken while it is out, which only a closure given to `send_each` could do, it panics.
pub struct CellLock<T: 'static>(Cell<Option<&'static mut T>>);

impl<T> CellLock<T> {
    pub(crate) const fn new(value: &'static mut T) -> Self {
        CellLock(Cell::new(Some(value)))
    }
}

impl<T> Lock<T> for CellLock<T> {
    const CHEAP: bool = true;

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
