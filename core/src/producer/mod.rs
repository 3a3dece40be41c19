//! The producer: accumulate, sequence, send, retry, deliver.
//!
//! All of it is plain functions of (state, bytes, now) on [`State`], whose tables are slices of any length, so that two
//! capacities on one device share their machine code. What calls them is in `client`.
//!
//! - `append`: a record into a batch. `deliver`: what became of it, and who waits for that.
//! - `send`: what a connection is to write next. `sequence`: numbering batches, and the epoch.
//! - `answer`: what a connection received. `links`: connections opened, closed, lost.
//! - `scaling`: how many connections a broker has, and which of them a partition uses.
//! - `tick`: everything that time does, in one poll. `audit`: whether all tables agree, for tests.

mod answer;
mod append;
#[cfg(feature = "audit")]
mod audit;
mod batch;
mod capacity;
mod config;
mod deliver;
mod error;
mod links;
mod properties;
mod queue;
mod record;
#[cfg(feature = "scaling")]
mod scaling;
mod send;
mod sequence;
#[cfg(test)]
mod tests;
mod tick;

pub(crate) use append::{Refused, record_bytes};
pub use batch::{Batch, Outcome};
pub use capacity::{Capacities, CapacityError, MemoryPlan, Pool, Sizing};
#[cfg(feature = "compression")]
pub use config::CompressionLevels;
#[cfg(feature = "consumer")]
pub use config::OffsetReset;
pub use config::{Acks, Config, ConfigError, Partitioner, UnknownOutcome, WaitersFull};
pub(crate) use deliver::Wait;
pub use deliver::{Delivery, Receipt};
pub use error::{DeliveryError, DeliveryFailure, Failure, Fault, Reason, SendError, TopicError, Usage};
pub use properties::{PropertyError, Setting};
pub use queue::PartitionQueue;
pub use record::{Destination, Record, Topic};
#[cfg(feature = "scaling")]
pub(crate) use scaling::Scale;
pub(crate) use send::{GATHER, Order, Outgoing};

use crate::cluster::{BrokerEntry, Cluster, Metadata, PartitionEntry, TopicEntry};
use crate::connection::{CONTROL_REQUESTS, Connection, ConnectionError, Request};
use crate::consumer::{Chunk, Inflater, Position};
use crate::pool::{Buffers, Level, Link, List, Seats, SeatsState, Table, Text, Waiter, Wakes, cell_bytes};
use crate::time::{Clock, Instant};
use config::Settings;
use core::ops::DerefMut;
use core::task::Waker;

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
    /// The one lock.
    type Lock: Lock<State<Self>>;
    /// The clock.
    type Clock: Clock;
}

/// One short lock. It is never taken twice, and never held across an await, IO, or the call of a waker.
pub trait Lock<T> {
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

/// Everything behind the lock.
pub struct State<P: Platform> {
    pub(crate) buffers: Table<P::Buffers>,
    pub(crate) batches: Table<P::Batches>,
    pub(crate) partitions: Table<P::Partitions>,
    pub(crate) queues: Table<P::Queues>,
    pub(crate) topics: Table<P::Topics>,
    pub(crate) names: Table<P::Names>,
    pub(crate) brokers: Table<P::Brokers>,
    pub(crate) hosts: Table<P::Hosts>,
    pub(crate) connections: Table<P::Connections>,
    pub(crate) requests: Table<P::Requests>,
    pub(crate) waiters: Table<P::Waiters>,
    pub(crate) positions: Table<P::Positions>,
    #[cfg_attr(not(feature = "consumer"), expect(dead_code, reason = "it has no entries"))]
    pub(crate) chunks: Table<P::Chunks>,
    /// At home unless a caller reads a chunk with compressed batches.
    #[cfg(feature = "consumer")]
    pub(crate) inflater: Option<P::Inflater>,
    pub(crate) s: Scalars,
}

/// Counters since the start; they wrap, on a device with 32 bits.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Counters {
    /// Records taken by `send` and its kin.
    pub records: usize,
    /// Records acknowledged.
    pub acknowledged: usize,
    /// Records that definitely were not written.
    pub failed: usize,
    /// Records of which nobody can tell.
    pub unknown: usize,
    /// Bytes of batches acknowledged.
    pub bytes: usize,
    /// Batches acknowledged.
    pub batches: usize,
    /// Produce requests written.
    pub requests: usize,
    /// Batches sent once more.
    pub retries: usize,
    /// Answers that told that a batch had been written before.
    pub duplicates: usize,
    /// Partitions renumbered under a new epoch.
    pub epoch_bumps: usize,
    /// Renumberings because the broker lacked batches that it had acknowledged: data was lost there.
    pub sequence_gaps: usize,
    /// Times that no buffer was free for a record.
    pub full: usize,
    /// Times that every seat for a waiting task was taken.
    pub waiter_overflows: usize,
    /// Outcomes of unsuccessful batches that were forgotten before anybody had asked.
    pub forgotten_failures: usize,
    /// Answers for batches whose time was over.
    pub late_answers: usize,
    /// Batches that were held when their time was over, see [`UnknownOutcome::Hold`].
    pub held: usize,
    /// Connections opened.
    pub connections_opened: usize,
    /// Connections that failed or were lost.
    pub connections_lost: usize,
    /// Times that a broker got one connection more, because those it had were not enough.
    #[cfg(feature = "scaling")]
    pub connections_added: usize,
    /// Times that a broker lost one again, because they were more than needed.
    #[cfg(feature = "scaling")]
    pub connections_retired: usize,
    /// Times that a partition went on over another connection to the same broker or to another.
    #[cfg(feature = "scaling")]
    pub partitions_moved: usize,
    /// Metadata responses read.
    pub metadata_responses: usize,
    /// Leaders learnt from Produce responses (KIP-951).
    pub leader_hints: usize,
    /// Times that all known brokers were gone and a bootstrap address was tried again.
    pub rebootstraps: usize,
    /// Responses that asked for silence (KIP-219).
    pub throttles: usize,
    /// Responses that left out or doubled something, or came for nothing.
    pub protocol_violations: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Identity {
    /// Not asked for, or to be asked for again.
    Wanted,
    Asked,
    Known,
}

/// What is neither a table nor a setting.
pub(crate) struct Scalars {
    pub(crate) settings: Settings,
    pub(crate) capacities: Capacities,
    pub(crate) counters: Counters,
    pub(crate) metadata: Metadata,
    pub(crate) seats: SeatsState,
    pub(crate) buffers_level: Level,
    pub(crate) batches_level: Level,
    /// Slots whose outcome may be overwritten: nothing in them, a success, or a failure that was read.
    pub(crate) free_batches: List,
    /// Slots that remember a failure which somebody may still ask for.
    pub(crate) free_unread: List,
    /// Batches without an outcome, oldest first.
    pub(crate) age: List,
    /// Batches whose time is over and that are kept until the broker tells, see [`UnknownOutcome::Hold`].
    pub(crate) held: List,
    /// Open batches that wait for more records, oldest first.
    pub(crate) lingering: List,
    pub(crate) open: u16,
    pub(crate) queued: u16,
    pub(crate) in_flight: u16,
    /// Of the batch that is opened next.
    pub(crate) next_serial: u32,
    /// Batches up to this serial are sent without lingering.
    pub(crate) flush_serial: u32,
    pub(crate) flushing: bool,
    /// Errors of partitions that have not been told, where the next question for records begins, and the chunks that wait
    /// to be handed out.
    #[cfg(feature = "consumer")]
    pub(crate) faults: u16,
    #[cfg(feature = "consumer")]
    pub(crate) read_cursor: u16,
    /// Some position may be `Looking`.
    #[cfg(feature = "consumer")]
    pub(crate) some_look: bool,
    #[cfg(feature = "consumer")]
    pub(crate) fetches: u32,
    #[cfg(feature = "consumer")]
    pub(crate) chunk_bytes: u32,
    #[cfg(feature = "consumer")]
    pub(crate) full_chunks: List,
    /// The most chunks that were ever in use.
    #[cfg(feature = "consumer")]
    pub(crate) chunks_high: u16,
    /// Chunks that callers have; how full they say that what comes after them is; how much the last poll could give.
    #[cfg(feature = "consumer")]
    pub(crate) callers: u16,
    #[cfg(feature = "consumer")]
    pub(crate) fullness: Option<crate::consumer::Fullness>,
    #[cfg(feature = "consumer")]
    pub(crate) poll_size: u32,
    #[cfg(feature = "consumer")]
    pub(crate) group: crate::consumer::Group,
    /// Bytes of what decompresses, 0 if there is none; and how many chunks had compressed batches.
    #[cfg(feature = "consumer")]
    pub(crate) inflater_bytes: usize,
    #[cfg(feature = "consumer")]
    pub(crate) inflated_chunks: u32,
    /// Who waits for room or for a topic; all for the same longest time, so the first one's ends first.
    pub(crate) room: List,
    pub(crate) identity: Identity,
    pub(crate) identity_at: Instant,
    pub(crate) identity_failures: u8,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    /// The earliest time at which a partition may try again.
    pub(crate) retry_scan_at: Instant,
    /// Partitions wait for a connection to their leader.
    pub(crate) connections_wanted: bool,
    /// Where the next look for such partitions begins.
    pub(crate) connections_cursor: u16,
    /// When the brokers' load is sampled next, and how often there was no room until the last time.
    #[cfg(feature = "scaling")]
    pub(crate) scale_at: Instant,
    #[cfg(feature = "scaling")]
    pub(crate) full_before: usize,
    /// The slots that are to ask for metadata and for a producer id.
    pub(crate) metadata_slot: Link,
    pub(crate) identity_slot: Link,
    pub(crate) broker_rotation: u16,
    /// The most connections that were open at once.
    pub(crate) connections_high: u16,
    /// The last connection that failed, and whether any has worked since.
    pub(crate) trouble: Option<ConnectionError>,
    pub(crate) random: u32,
    pub(crate) started: bool,
    pub(crate) closing: bool,
    /// When a close gives up.
    pub(crate) close_at: Instant,
    pub(crate) closed: bool,
    /// One that closes and found no seat.
    pub(crate) closer: Option<Waker>,
    pub(crate) closer_wake: bool,
    /// The clock task: its waker, until when it sleeps, and whether it is to look before that.
    pub(crate) clock_waker: Option<Waker>,
    pub(crate) clock_until: Instant,
    pub(crate) clock_due: bool,
    /// Connections whose task is to be woken.
    pub(crate) connection_wakes: u16,
}

impl Scalars {
    const NEW: Scalars = Scalars {
        settings: Settings::UNSET,
        capacities: Capacities::NONE,
        counters: Counters {
            records: 0,
            acknowledged: 0,
            failed: 0,
            unknown: 0,
            bytes: 0,
            batches: 0,
            requests: 0,
            retries: 0,
            duplicates: 0,
            epoch_bumps: 0,
            sequence_gaps: 0,
            full: 0,
            waiter_overflows: 0,
            forgotten_failures: 0,
            late_answers: 0,
            held: 0,
            connections_opened: 0,
            connections_lost: 0,
            #[cfg(feature = "scaling")]
            connections_added: 0,
            #[cfg(feature = "scaling")]
            connections_retired: 0,
            #[cfg(feature = "scaling")]
            partitions_moved: 0,
            metadata_responses: 0,
            leader_hints: 0,
            rebootstraps: 0,
            throttles: 0,
            protocol_violations: 0,
        },
        metadata: Metadata::NEW,
        seats: SeatsState::EMPTY,
        buffers_level: Level::EMPTY,
        batches_level: Level::EMPTY,
        free_batches: List::EMPTY,
        free_unread: List::EMPTY,
        age: List::EMPTY,
        held: List::EMPTY,
        lingering: List::EMPTY,
        open: 0,
        queued: 0,
        in_flight: 0,
        next_serial: 0,
        flush_serial: 0,
        flushing: false,
        #[cfg(feature = "consumer")]
        faults: 0,
        #[cfg(feature = "consumer")]
        read_cursor: 0,
        #[cfg(feature = "consumer")]
        some_look: false,
        #[cfg(feature = "consumer")]
        fetches: 0,
        #[cfg(feature = "consumer")]
        chunk_bytes: 0,
        #[cfg(feature = "consumer")]
        full_chunks: List::EMPTY,
        #[cfg(feature = "consumer")]
        chunks_high: 0,
        #[cfg(feature = "consumer")]
        callers: 0,
        #[cfg(feature = "consumer")]
        fullness: None,
        #[cfg(feature = "consumer")]
        poll_size: 0,
        #[cfg(feature = "consumer")]
        group: crate::consumer::Group::NONE,
        #[cfg(feature = "consumer")]
        inflater_bytes: 0,
        #[cfg(feature = "consumer")]
        inflated_chunks: 0,
        room: List::EMPTY,
        identity: Identity::Wanted,
        identity_at: Instant::ZERO,
        identity_failures: 0,
        producer_id: 0,
        producer_epoch: 0,
        retry_scan_at: Instant::ZERO,
        connections_wanted: false,
        connections_cursor: 0,
        #[cfg(feature = "scaling")]
        scale_at: Instant::NEVER,
        #[cfg(feature = "scaling")]
        full_before: 0,
        metadata_slot: Link::NONE,
        identity_slot: Link::NONE,
        broker_rotation: 0,
        connections_high: 0,
        trouble: None,
        random: 0,
        started: false,
        closing: false,
        close_at: Instant::ZERO,
        closed: false,
        closer: None,
        closer_wake: false,
        clock_waker: None,
        clock_until: Instant::ZERO,
        clock_due: false,
        connection_wakes: 0,
    };
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
            partitions: Table::new(partitions),
            queues: Table::new(queues),
            topics: Table::new(topics),
            names: Table::new(names),
            brokers: Table::new(brokers),
            hosts: Table::new(hosts),
            connections: Table::new(connections),
            requests: Table::new(requests),
            waiters: Table::new(waiters),
            positions: Table::new(positions),
            chunks: Table::new(chunks),
            #[cfg(feature = "consumer")]
            inflater: None,
            s: Scalars::NEW,
        }
    }

    #[inline(never)]
    pub(crate) fn cluster(&mut self) -> Cluster<'_> {
        Cluster {
            hosts: Text::new(&mut self.hosts, self.s.capacities.host_bytes as usize),
            brokers: &mut self.brokers,
            names: Text::new(&mut self.names, self.s.capacities.topic_name_bytes as usize),
            topics: &mut self.topics,
            partitions: &mut self.partitions,
            metadata: &mut self.s.metadata,
        }
    }

    /// The cluster, what is read of it, and how.
    #[cfg(feature = "consumer")]
    pub(crate) fn cluster_and_positions(&mut self) -> (Cluster<'_>, &[Position], &Settings) {
        let cluster = Cluster {
            hosts: Text::new(&mut self.hosts, self.s.capacities.host_bytes as usize),
            brokers: &mut self.brokers,
            names: Text::new(&mut self.names, self.s.capacities.topic_name_bytes as usize),
            topics: &mut self.topics,
            partitions: &mut self.partitions,
            metadata: &mut self.s.metadata,
        };
        (cluster, &self.positions, &self.s.settings)
    }

    fn pool(&mut self) -> Buffers<'_, P::Buffer> {
        Buffers { stack: &mut self.buffers, level: &mut self.s.buffers_level }
    }

    fn seats(&mut self) -> Seats<'_> {
        Seats { table: &mut self.waiters, state: &mut self.s.seats }
    }

    /// Whether there are batches. A consumer has none; where that is known to the compiler, it leaves out what is done with
    /// them.
    pub(crate) fn writes(&self) -> bool {
        !self.batches.is_empty()
    }

    /// The ring of a connection: its stretch of the table of requests.
    #[inline(never)]
    pub(crate) fn places(&mut self, slot: usize) -> &mut [Request] {
        let depth = self.s.capacities.requests as usize;
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

    /// Takes the settings, checks that they fit the tables, and begins.
    /// `scratch` is the size of each connection's frame buffer and receive buffer.
    pub(crate) fn start(
        &mut self,
        config: &Config,
        bootstrap: &[(&str, u16)],
        scratch: (usize, usize),
        random: u32,
    ) -> Result<(), StartError> {
        if self.s.started {
            return Err(StartError::AlreadyStarted);
        }
        let mut settings = Settings::from(config).map_err(StartError::Config)?;
        let depth = self.requests.len().checked_div(self.connections.len()).unwrap_or(0);
        let capacities = Capacities {
            batch_bytes: self.buffers.iter().flatten().map(|b| b.len()).min().unwrap_or(0) as u32,
            buffers: self.buffers.len() as u16,
            batches: self.batches.len() as u16,
            topics: self.topics.len() as u16,
            topic_name_bytes: cell_bytes(self.names.len(), self.topics.len()) as u16,
            partitions: self.partitions.len().min(self.queues.len()) as u16,
            brokers: self.brokers.len() as u16,
            host_bytes: cell_bytes(self.hosts.len(), self.brokers.len()) as u16,
            connections: self.connections.len() as u16,
            requests: depth as u16,
            waiters: self.waiters.len() as u16,
            frame_bytes: scratch.0 as u32,
            receive_bytes: scratch.1 as u32,
        };
        if !P::CHECKED {
            capacities.check().map_err(StartError::Capacity)?;
        }
        let lent = self.buffers.iter().flatten().count();
        let longest = bootstrap.iter().map(|(host, _)| host.len()).max().unwrap_or(0);
        // Only a consumer does without batches.
        let least = usize::from(self.positions.is_empty());
        let needs = [
            ("buffers that were lent", lent, self.buffers.len().max(least)),
            ("host_bytes", capacities.host_bytes as usize, longest),
            ("brokers", self.brokers.len(), bootstrap.len() + coordinators(config)),
        ];
        if let Some((what, given, needed)) = needs.into_iter().find(|(_, given, needed)| given < needed) {
            return Err(StartError::Capacity(CapacityError::new(what, given as u64, needed as u64)));
        }
        if bootstrap.is_empty() {
            return Err(StartError::Config(ConfigError { name: "bootstrap.servers", reason: "must name a broker" }));
        }
        // From here on nothing can fail.
        #[cfg(feature = "consumer")]
        {
            // Who only reads numbers nothing, and needs no right to write.
            settings.idempotence &= self.positions.is_empty();
        }
        settings.max_in_flight = settings.max_in_flight.min(depth.saturating_sub(CONTROL_REQUESTS) as u8);
        self.s.capacities = capacities;
        for &(host, port) in bootstrap {
            self.cluster().bootstrap(host, port);
        }
        #[cfg(feature = "consumer")]
        if coordinators(config) > 0 {
            self.s.group.broker = self.cluster().reserve_coordinator().map_or(Link::NONE, Link::to);
        }
        self.seats().start();
        for index in 0..self.batches.len() {
            self.s.free_batches.push_back(&mut self.batches, index, batch::queue_hooks);
        }
        self.s.settings = settings;
        self.s.random = random;
        self.s.broker_rotation = (self.random() % bootstrap.len() as u32) as u16;
        self.s.metadata.refresh_at = Instant::ZERO;
        self.s.retry_scan_at = Instant::NEVER;
        self.s.close_at = Instant::NEVER;
        self.s.clock_until = Instant::NEVER;
        self.s.started = true;
        self.wake_clock();
        Ok(())
    }

    /// The clock's task is to look at the state again.
    pub(crate) fn wake_clock(&mut self) {
        self.s.clock_due = true;
    }

    /// The clock's task is to look again if it would sleep beyond `deadline`.
    #[inline(never)]
    pub(crate) fn wake_clock_by(&mut self, deadline: Instant) {
        if deadline < self.s.clock_until {
            self.s.clock_due = true;
        }
    }

    #[inline(never)]
    pub(crate) fn wake_connection(&mut self, slot: usize) {
        if !core::mem::replace(&mut self.connections[slot].wake, true) {
            self.s.connection_wakes += 1;
        }
    }

    /// The slot's own task is at work and will look for something to write before it waits: for that it need not be
    /// woken, only to let go of its stream.
    fn awake(&mut self, slot: usize) {
        let connection = &mut self.connections[slot];
        if connection.is_open() && core::mem::take(&mut connection.wake) {
            self.s.connection_wakes -= 1;
        }
    }

    /// Whether somebody is to be woken.
    #[inline(never)]
    pub(crate) fn has_wakes(&self) -> bool {
        let s = &self.s;
        (s.clock_due && s.clock_waker.is_some()) || s.connection_wakes > 0 || s.closer_wake || s.seats.has_woken()
    }

    /// The one way in which wakers leave the state. They must be called unlocked, and then asked for again if there
    /// were `more`.
    pub(crate) fn take_wakes(&mut self) -> Wakes {
        let mut wakes = Wakes::default();
        if core::mem::take(&mut self.s.closer_wake) {
            wakes.push(self.s.closer.take());
        }
        if self.s.clock_due {
            wakes.push(self.s.clock_waker.take());
        }
        if self.s.connection_wakes > 0 {
            for connection in self.connections.iter_mut().filter(|c| c.wake) {
                if !wakes.has_place() {
                    break;
                }
                connection.wake = false;
                self.s.connection_wakes -= 1;
                wakes.push(connection.waker.take());
            }
        }
        self.seats().collect(&mut wakes);
        wakes.more = self.s.connection_wakes > 0 || self.s.seats.has_woken();
        wakes
    }

    /// Puts buffers into the pool, as many as it has places for.
    pub(crate) fn lend(&mut self, buffers: &mut dyn Iterator<Item = P::Buffer>) {
        for (place, buffer) in self.buffers.iter_mut().zip(&mut *buffers) {
            *place = Some(buffer);
        }
        #[cfg(feature = "consumer")]
        for (chunk, buffer) in self.chunks.iter_mut().zip(buffers) {
            // The smallest of them: what a request asks for fits into each.
            let bytes = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
            self.s.chunk_bytes = if self.s.chunk_bytes == 0 { bytes } else { self.s.chunk_bytes.min(bytes) };
            chunk.buffer = Some(buffer);
        }
    }

    pub(crate) fn seats_in_all(&self) -> u16 {
        self.s.capacities.waiters
    }

    pub(crate) fn counters(&self) -> Counters {
        let mut counters = self.s.counters;
        counters.waiter_overflows = self.s.seats.overflows;
        counters
    }
}

/// Why a producer cannot start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum StartError {
    /// A setting cannot be.
    Config(ConfigError),
    /// A capacity is too small for the others or for the settings.
    Capacity(CapacityError),
    /// It runs already.
    AlreadyStarted,
}

impl core::fmt::Display for StartError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            StartError::Config(error) => error.fmt(f),
            StartError::Capacity(error) => error.fmt(f),
            StartError::AlreadyStarted => f.write_str("the producer was started before"),
        }
    }
}

impl core::error::Error for StartError {}

/// Places in the table of brokers for the one that keeps the group's positions.
#[allow(unused_variables, reason = "without a consumer")]
fn coordinators(config: &Config) -> usize {
    #[cfg(feature = "consumer")]
    return usize::from(!config.group_id.is_empty());
    #[cfg(not(feature = "consumer"))]
    0
}
