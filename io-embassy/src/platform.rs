//! The device's side of [`Platform`]: tables are borrowed from the one `static`, so that there is a single type, and a
//! single copy of the machine code, however many storages of whatever sizes there are.

use crate::clock::EmbassyClock;
use core::cell::RefCell;
use demitasse_core::{
    Batch, BrokerEntry, Chunk, Connection, Empty, Lock, PartitionEntry, PartitionQueue, Platform, Position, Request,
    State, TopicEntry, Waiter,
};

/// A batch buffer.
pub(crate) type Buffer = &'static mut [u8];

pub(crate) type Core = demitasse_core::Producer<Embassy>;

pub(crate) enum Embassy {}

impl Platform for Embassy {
    type Buffer = Buffer;
    type Buffers = &'static mut [Option<Buffer>];
    type Batches = &'static mut [Batch<Buffer>];
    type Partitions = &'static mut [PartitionEntry];
    type Queues = &'static mut [PartitionQueue];
    type Topics = &'static mut [TopicEntry];
    type Names = &'static mut [u8];
    type Brokers = &'static mut [BrokerEntry];
    type Hosts = &'static mut [u8];
    type Connections = &'static mut [Connection];
    type Requests = &'static mut [Request];
    type Waiters = &'static mut [Waiter];
    type Positions = Empty<Position>;
    type Chunks = Empty<Chunk<Self::Buffer>>;
    type Decompress = demitasse_core::records::codec::NoCodec;
    type Lock = CellLock<State<Embassy>>;
    type Clock = EmbassyClock;
}

/// One executor, one thread: nothing to wait for, no critical section. That handles are not `Send` keeps it so; taken
/// while it is held, which only a closure given to `send_each` could do, it panics.
pub(crate) struct CellLock<T>(RefCell<T>);

impl<T> CellLock<T> {
    pub(crate) const fn new(value: T) -> Self {
        CellLock(RefCell::new(value))
    }
}

impl<T> Lock<T> for CellLock<T> {
    #[inline]
    fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        f(&mut self.0.borrow_mut())
    }
}
