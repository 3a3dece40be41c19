//! Everything behind the lock: the tables, and what is in none of them. What is done with them is in `producer`,
//! `consumer` and `connection`.
//!
//! - `scalars`: what is no table. `counters`: what a caller sees of it.
//! - `start`: from settings and tables to a client that runs. `wakes`: how wakers leave the state. `room`: who waits
//!   for room.
//! - `capacity`: how many entries the tables have, and what they take.

mod capacity;
mod counters;
mod room;
mod scalars;
mod start;
mod wakes;

pub use capacity::{Capacities, CapacityError, MemoryPlan, Pool, Sizing};
pub use counters::Counters;
pub(crate) use room::Wait;
pub(crate) use scalars::{Identity, Scalars};
pub use start::StartError;

use crate::cluster::{BrokerEntry, Cluster, PartitionEntry, TopicEntry};
use crate::config::{Configured, Settings};
use crate::connection::{Connection, Purpose, Request};
use crate::consumer::{Chunk, Inflater, Position};
use crate::pool::{Buffers, Seats, Table, Waiter};
use crate::producer::{Batch, PartitionQueue};
use crate::time::Clock;
use core::ops::DerefMut;

/// What a side brings: where storage lives, the lock around it, and the clock. No methods: the types say it all.
///
/// On a device the tables are arrays in a `static` and a buffer is `&'static mut [u8]`; on a server they are boxed
/// slices that are allocated once. How many entries each has is in [`Capacities`].
pub trait Platform: Sized {
    /// Whether the capacities were checked when the program was compiled ([`Capacities::check`]), and need not be again.
    const CHECKED: bool = false;
    /// A batch buffer: owned by one party at a time, moved and never shared.
    type Buffer: DerefMut<Target = [u8]>;
    /// The buffers that are not in use.
    type Buffers: DerefMut<Target = [Option<Self::Buffer>]>;
    /// The slots of batches; more than buffers.
    type Batches: DerefMut<Target = [Batch<Self::Buffer>]>;
    /// Partitions as the cluster knows them.
    type Partitions: DerefMut<Target = [PartitionEntry]>;
    /// Partitions as the producer knows them; as many.
    type Queues: DerefMut<Target = [PartitionQueue]>;
    /// Topics.
    type Topics: DerefMut<Target = [TopicEntry]>;
    /// The bytes of their names, in equal cells.
    type Names: DerefMut<Target = [u8]>;
    /// Brokers, those of the bootstrap list included.
    type Brokers: DerefMut<Target = [BrokerEntry]>;
    /// The bytes of their hosts, in equal cells.
    type Hosts: DerefMut<Target = [u8]>;
    /// Connection slots.
    type Connections: DerefMut<Target = [Connection]>;
    /// Outstanding requests: the rings of all connections, one after the other.
    type Requests: DerefMut<Target = [Request]>;
    /// Seats for waiting tasks.
    type Waiters: DerefMut<Target = [Waiter]>;
    /// What a consumer knows of each partition; as many as partitions, or none for a producer.
    type Positions: DerefMut<Target = [Position]>;
    /// The chunks that a consumer's records land in; none for a producer.
    type Chunks: DerefMut<Target = [Chunk<Self::Buffer>]>;
    /// What a consumer reads compressed batches with; [`NoCodec`](crate::records::codec::NoCodec) if it reads none.
    type Decompress: crate::records::codec::Decompress;
    /// Where these and their window live, a box or a reference; [`Never`](crate::Never) if there are none.
    type Inflater: DerefMut<Target = Inflater<Self::Buffer, Self::Decompress>>;
    /// The settings: [`Settings`](crate::Settings) that the start takes, or fixed ones, see [`Fixed`](crate::Fixed).
    type Settings: Configured;
    /// The one lock.
    type Lock: Lock<State<Self>>;
    /// The clock.
    type Clock: Clock;
}

/// One short lock. It is never taken twice, and never held across an await, IO, or the call of a waker.
pub trait Lock<T> {
    /// Whether taking it costs next to nothing, as where there is one thread: then it is taken once more after each call to see
    /// whom to wake, which makes the program smaller.
    const CHEAP: bool = false;

    /// Runs `f` on what is locked.
    fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R;
}

/// The tables, as a side gives them.
#[allow(missing_docs, reason = "each is described at the associated type of the same name")]
pub struct Tables<P: Platform> {
    pub buffers: P::Buffers,
    pub batches: P::Batches,
    pub partitions: P::Partitions,
    pub queues: P::Queues,
    pub topics: P::Topics,
    pub names: P::Names,
    pub brokers: P::Brokers,
    pub hosts: P::Hosts,
    pub connections: P::Connections,
    pub requests: P::Requests,
    pub waiters: P::Waiters,
    pub positions: P::Positions,
    pub chunks: P::Chunks,
}

/// The settings, however the side has them.
pub(crate) struct Current<S>(S);

impl<S: Configured> Current<S> {
    pub(crate) fn client_id(&self) -> &[u8] {
        self.0.client_id()
    }

    #[cfg(feature = "consumer")]
    pub(crate) fn group_id(&self) -> &[u8] {
        self.0.group_id()
    }

    #[cfg(feature = "consumer")]
    pub(crate) fn client_rack(&self) -> &[u8] {
        self.0.client_rack()
    }
}

impl<S: Configured> core::ops::Deref for Current<S> {
    type Target = Settings;

    #[inline]
    fn deref(&self) -> &Settings {
        self.0.get()
    }
}

/// Everything behind the lock.
pub struct State<P: Platform> {
    pub(crate) buffers: Table<P::Buffers>,
    pub(crate) batches: Table<P::Batches>,
    pub(crate) queues: Table<P::Queues>,
    pub(crate) cluster: Cluster<P>,
    pub(crate) connections: Table<P::Connections>,
    pub(crate) requests: Table<P::Requests>,
    pub(crate) waiters: Table<P::Waiters>,
    pub(crate) positions: Table<P::Positions>,
    #[cfg_attr(not(feature = "consumer"), expect(dead_code, reason = "it has no entries"))]
    pub(crate) chunks: Table<P::Chunks>,
    /// At home unless a caller reads a chunk with compressed batches.
    #[cfg(feature = "consumer")]
    pub(crate) inflater: Option<P::Inflater>,
    pub(crate) settings: Current<P::Settings>,
    pub(crate) s: Scalars,
}

impl<P: Platform> State<P> {
    /// The state over `tables`, which hold only empty entries. It does nothing until it is started.
    pub fn new(tables: Tables<P>) -> Self {
        let Tables {
            buffers,
            batches,
            partitions,
            queues,
            topics,
            names,
            brokers,
            hosts,
            connections,
            requests,
            waiters,
            positions,
            chunks,
        } = tables;
        State {
            buffers: Table::new(buffers),
            batches: Table::new(batches),
            queues: Table::new(queues),
            cluster: Cluster::new(brokers, hosts, topics, names, partitions),
            connections: Table::new(connections),
            requests: Table::new(requests),
            waiters: Table::new(waiters),
            positions: Table::new(positions),
            chunks: Table::new(chunks),
            #[cfg(feature = "consumer")]
            inflater: None,
            settings: Current(P::Settings::UNSET),
            s: Scalars::NEW,
        }
    }

    /// Partitions that are known of have the first places in each table that has a place for each.
    #[cfg_attr(all(feature = "consumer", not(target_pointer_width = "64")), inline(never))]
    pub(crate) fn known_partitions(&self) -> usize {
        self.queues.len().min(self.cluster.metadata.partitions.into())
    }

    pub(crate) fn pool(&mut self) -> Buffers<'_, P::Buffer> {
        Buffers { stack: &mut self.buffers, level: &mut self.s.buffers_level }
    }

    pub(crate) fn seats(&mut self) -> Seats<'_, P::Waiters> {
        Seats { table: &mut self.waiters, state: &mut self.s.seats }
    }

    /// Whether there are batches. A consumer has none; where that is known to the compiler, it leaves out what is done with
    /// them.
    pub(crate) fn writes(&self) -> bool {
        !self.batches.is_empty()
    }

    /// Whether a group keeps the positions. Where the settings are fixed and name none, the compiler leaves out what is asked of
    /// a coordinator.
    #[cfg(feature = "consumer")]
    pub(crate) fn has_group(&self) -> bool {
        !self.settings.group_id().is_empty()
    }

    /// Whether only records of transactions that were committed are handed out. As with [`State::has_group`].
    #[cfg(feature = "consumer")]
    pub(crate) fn reads_committed(&self) -> bool {
        self.settings.isolation_level == crate::protocol::IsolationLevel::ReadCommitted
    }

    /// What answers can be for.
    pub(crate) fn purpose(&self) -> Purpose {
        Purpose {
            writes: self.writes(),
            #[cfg(feature = "consumer")]
            has_group: self.has_group(),
        }
    }

    /// Whether there are seats. Where nobody waits there are none; where that is known to the compiler, it leaves out what is
    /// done with them.
    pub(crate) fn has_seats(&self) -> bool {
        !self.waiters.is_empty()
    }

    /// Requests that may be outstanding on one connection.
    pub(crate) fn depth(&self) -> usize {
        self.requests.len().checked_div(self.connections.len()).unwrap_or(0)
    }

    /// The ring of a connection: its stretch of the table of requests.
    #[inline(never)]
    pub(crate) fn places(&mut self, slot: usize) -> &mut [Request] {
        let depth = self.depth();
        self.requests.get_mut(slot * depth..(slot + 1) * depth).unwrap_or(&mut [])
    }

    /// A number nobody can foresee well enough to make retries collide (xorshift).
    #[inline(never)]
    pub(crate) fn random(&mut self) -> u32 {
        let mut x = self.s.random.max(1);
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        self.s.random = x;
        x
    }

    pub(crate) fn seats_in_all(&self) -> u16 {
        self.waiters.len() as u16
    }
}
