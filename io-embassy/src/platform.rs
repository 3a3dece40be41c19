//! The device's side of [`Platform`]: tables are borrowed from the one `static`, so that there is a single type, and a
//! single copy of the machine code, for all storages with as many connections, whatever their other sizes.

use crate::clock::EmbassyClock;
use core::cell::Cell;
use core::ops::{Deref, DerefMut};
use demitasse_core::{
    Batch, BrokerEntry, Chunk, Connection, Empty, Lock, PartitionEntry, PartitionQueue, Platform, Position, Request,
    State, TopicEntry, Waiter,
};

/// A batch buffer.
pub(crate) type Buffer = &'static mut [u8];

pub(crate) type Core<const CONNECTIONS: usize> = demitasse_core::Producer<Embassy<CONNECTIONS>>;

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
    type Positions = Empty<Position>;
    type Chunks = Empty<Chunk<Self::Buffer>>;
    type Decompress = demitasse_core::records::codec::NoCodec;
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
