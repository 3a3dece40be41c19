//! How much memory, for what: capacities that follow from a few numbers, and the plan that shows them.

use super::{Platform, State};
use crate::cluster::{BrokerEntry, PartitionEntry, TopicEntry};
use crate::connection::{CONTROL_REQUESTS, Connection, Request};
use crate::pool::{Link, Waiter};
use crate::producer::{Batch, PartitionQueue};
use crate::records::{HEADER_BYTES, max_record_overhead};
use core::mem::size_of;

/// The few numbers from which all capacities follow, see [`Capacities::derive`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Sizing {
    /// `buffer.memory`: bytes of all batch buffers together.
    pub buffer_memory: u64,
    /// `batch.size`: bytes of one batch buffer, its 61 bytes of header included; the largest record that can be sent.
    pub batch_size: u32,
    /// Partitions that records may go to or whose leaders are known beforehand.
    pub partitions: u16,
    /// Topics.
    pub topics: u16,
    /// Brokers, the addresses of the bootstrap list included.
    pub brokers: u16,
    /// Connections that may be open at once.
    pub connections: u16,
    /// `max.in.flight.requests.per.connection`.
    pub max_in_flight: u8,
    /// Tasks that may wait at once.
    pub waiters: u16,
}

/// How many entries each table has, and how large its bytes are. Each may be set by hand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Capacities {
    /// Bytes of one batch buffer.
    pub batch_bytes: u32,
    /// Batch buffers.
    pub buffers: u16,
    /// Slots of batches: as many more than buffers as outcomes are to be remembered.
    pub batches: u16,
    /// Places for partitions.
    pub partitions: u16,
    /// Places for topics.
    pub topics: u16,
    /// The longest topic name, in bytes; at most 249.
    pub topic_name_bytes: u16,
    /// Places for brokers, the addresses of the bootstrap list included.
    pub brokers: u16,
    /// The longest host name, in bytes; at most 255.
    pub host_bytes: u16,
    /// Connection slots.
    pub connections: u16,
    /// Outstanding requests of one connection.
    pub requests: u16,
    /// Seats for waiting tasks. None where nobody waits: who does is polled over and over, or refused.
    pub waiters: u16,
    /// Bytes of one connection's buffer for requests; batches do not pass through it.
    pub frame_bytes: u32,
    /// Bytes of one connection's buffer for responses, which stream through it.
    pub receive_bytes: u32,
}

/// Bytes that a request header may take, `client.id` of 64 bytes included, with the fields before the first topic.
const REQUEST_BYTES: u32 = 128;

/// Bytes that a response's largest item may take beside a name.
const ITEM_BYTES: u32 = 64;

const fn min(a: u64, b: u64) -> u64 {
    if a < b { a } else { b }
}

impl Capacities {
    /// All capacities from a few numbers. Nothing overflows: what cannot be counted is as much as can be, and
    /// [`Capacities::check`] says what does not fit together.
    pub const fn derive(sizing: &Sizing) -> Self {
        let most = Link::MAX_ENTRIES as u64;
        let buffers = match sizing.buffer_memory.checked_div(sizing.batch_size as u64) {
            Some(count) => min(count, most / 2),
            None => 0,
        };
        // One more for every buffer, and some for the case that there are few: outcomes are cheap to remember.
        let batches = min(buffers.saturating_mul(2).saturating_add(64), most);
        let (topic_name_bytes, host_bytes) = (249, 255);
        let metadata = (sizing.topics as u32).saturating_mul(32);
        Capacities {
            batch_bytes: sizing.batch_size,
            buffers: buffers as u16,
            batches: batches as u16,
            partitions: sizing.partitions,
            topics: sizing.topics,
            topic_name_bytes,
            brokers: sizing.brokers,
            host_bytes,
            connections: sizing.connections,
            requests: sizing.max_in_flight as u16 + CONTROL_REQUESTS as u16,
            waiters: sizing.waiters,
            frame_bytes: Self::least_frame_bytes(topic_name_bytes).saturating_add(if metadata < 8192 {
                metadata
            } else {
                8192
            }),
            receive_bytes: 4096,
        }
    }

    /// The same for a consumer, which has no batches.
    pub const fn without_batches(self) -> Self {
        Capacities { batch_bytes: 0, buffers: 0, batches: 0, ..self }
    }

    /// The least that a frame buffer must hold for topic names of this length.
    pub const fn least_frame_bytes(topic_name_bytes: u16) -> u32 {
        REQUEST_BYTES + topic_name_bytes as u32 + 64
    }

    /// The least that a receive buffer must hold: the largest item of a response, which names a host or a topic.
    pub const fn least_receive_bytes(&self) -> u32 {
        let name = if self.topic_name_bytes > self.host_bytes { self.topic_name_bytes } else { self.host_bytes };
        ITEM_BYTES + name as u32
    }

    /// Refuses capacities that cannot work together, with the sizes.
    ///
    /// # Errors
    /// The first that is too small: what it is, and what it must be.
    pub const fn check(&self) -> Result<(), CapacityError> {
        let most = Link::MAX_ENTRIES as u32;
        // Who has no batches needs none; that who writes has some is looked at by the start.
        let (least_batch, buffers, batches) = match (self.buffers, self.batches) {
            (0, 0) => (0, 0, 0),
            (buffers, _) => ((HEADER_BYTES + max_record_overhead(0) + 1) as u32, 1, buffers as u32 + 1),
        };
        let rules: [(&'static str, u32, u32, u32); 12] = [
            ("batch_bytes (batch.size)", self.batch_bytes, least_batch, i32::MAX as u32),
            ("buffers (buffer.memory / batch.size)", self.buffers as u32, buffers, most),
            ("batches", self.batches as u32, batches, most),
            ("partitions", self.partitions as u32, 1, most),
            ("topics", self.topics as u32, 1, most),
            ("topic_name_bytes", self.topic_name_bytes as u32, 1, 249),
            ("brokers", self.brokers as u32, 1, most),
            ("host_bytes", self.host_bytes as u32, 1, 255),
            ("connections", self.connections as u32, 1, most),
            ("requests", self.requests as u32, 1 + CONTROL_REQUESTS as u32, 255 + CONTROL_REQUESTS as u32),
            ("waiters", self.waiters as u32, 0, most),
            // A frame is told where its batches stand in 16 bits.
            ("frame_bytes", self.frame_bytes, Self::least_frame_bytes(self.topic_name_bytes), u16::MAX as u32),
        ];
        let mut i = 0;
        while i < rules.len() {
            let (what, given, least, most) = rules[i];
            if given < least {
                return Err(CapacityError { what, given: given as u64, needed: least as u64, at_most: false });
            }
            if given > most {
                return Err(CapacityError { what, given: given as u64, needed: most as u64, at_most: true });
            }
            i += 1;
        }
        if self.receive_bytes < self.least_receive_bytes() {
            return Err(CapacityError::new(
                "receive_bytes",
                self.receive_bytes as u64,
                self.least_receive_bytes() as u64,
            ));
        }
        Ok(())
    }
}

/// A capacity that is too small or too large.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct CapacityError {
    /// Which.
    pub what: &'static str,
    /// How large it is.
    pub given: u64,
    /// How large it must be at least, or may be at most.
    pub needed: u64,
    /// `needed` is an upper limit.
    pub at_most: bool,
}

impl CapacityError {
    pub(crate) const fn new(what: &'static str, given: u64, needed: u64) -> Self {
        CapacityError { what, given, needed, at_most: false }
    }
}

impl core::fmt::Display for CapacityError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let limit = if self.at_most { "at most" } else { "at least" };
        write!(f, "{} is {}, it must be {limit} {}", self.what, self.given, self.needed)
    }
}

impl core::error::Error for CapacityError {}

/// One pool of the plan.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Pool {
    /// Bytes of one entry.
    pub entry_bytes: u32,
    /// Entries.
    pub capacity: u32,
    /// Entries in use now.
    pub used: u32,
    /// The most that have ever been in use at once.
    pub high_water: u32,
}

impl Pool {
    pub(crate) const fn of(entry_bytes: usize, capacity: u16) -> Pool {
        Pool { entry_bytes: entry_bytes as u32, capacity: capacity as u32, used: 0, high_water: 0 }
    }

    pub(crate) fn in_use(self, used: usize, high_water: usize) -> Pool {
        Pool { used: used as u32, high_water: high_water as u32, ..self }
    }

    /// Bytes of all entries together.
    pub const fn bytes(&self) -> u64 {
        self.entry_bytes as u64 * self.capacity as u64
    }
}

/// All memory of a producer, pool by pool: nothing is added to it while it runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MemoryPlan {
    /// The bytes of batches.
    pub buffers: Pool,
    /// Slots of batches, in use while they have no outcome. The rest remember outcomes.
    pub batches: Pool,
    /// Partitions: the cluster's entry and the producer's queue.
    pub partitions: Pool,
    /// Topics, with their names.
    pub topics: Pool,
    /// Brokers, with their hosts.
    pub brokers: Pool,
    /// Connections: slot, outstanding requests, frame buffer and receive buffer.
    pub connections: Pool,
    /// Seats for waiting tasks.
    pub waiters: Pool,
    /// What a consumer fetches into, in use while it is asked for, held or lent.
    pub chunks: Pool,
    /// The window that compressed batches are read through, and its decoders.
    pub decompression: Pool,
    /// What each connection compresses batches with, if it does.
    pub compression: Pool,
}

impl MemoryPlan {
    /// The plan for these capacities, before anything is used. `buffer_handle` is the size of what owns a buffer, for
    /// example `size_of::<Box<[u8]>>()`.
    pub const fn of<B>(c: &Capacities) -> MemoryPlan {
        let connection = size_of::<Connection>()
            + c.requests as usize * size_of::<Request>()
            + c.frame_bytes as usize
            + c.receive_bytes as usize;
        MemoryPlan {
            buffers: Pool::of(c.batch_bytes as usize + size_of::<Option<B>>(), c.buffers),
            batches: Pool::of(size_of::<Batch<B>>(), c.batches),
            partitions: Pool::of(size_of::<PartitionEntry>() + size_of::<PartitionQueue>(), c.partitions),
            topics: Pool::of(size_of::<TopicEntry>() + c.topic_name_bytes as usize, c.topics),
            brokers: Pool::of(size_of::<BrokerEntry>() + c.host_bytes as usize, c.brokers),
            connections: Pool::of(connection, c.connections),
            waiters: Pool::of(size_of::<Waiter>(), c.waiters),
            chunks: Pool::of(0, 0),
            decompression: Pool::of(0, 0),
            compression: Pool::of(0, 0),
        }
    }

    /// Each pool with its name.
    pub const fn pools(&self) -> [(&'static str, Pool); 10] {
        [
            ("buffers", self.buffers),
            ("batches", self.batches),
            ("partitions", self.partitions),
            ("topics", self.topics),
            ("brokers", self.brokers),
            ("connections", self.connections),
            ("waiters", self.waiters),
            ("chunks", self.chunks),
            ("decompression", self.decompression),
            ("compression", self.compression),
        ]
    }

    /// Bytes of all pools together.
    pub fn bytes(&self) -> u64 {
        self.pools().iter().map(|(_, pool)| pool.bytes()).sum()
    }
}

impl<P: Platform> State<P> {
    pub(crate) fn memory(&mut self) -> MemoryPlan {
        let plan = MemoryPlan::of::<P::Buffer>(&self.capacities());
        let s = &self.s;
        let (buffers, batches, seats) = (s.buffers_level, s.batches_level, s.seats.level);
        let open = self.connections.iter().filter(|c| c.phase != crate::connection::Phase::Closed).count();
        let opened = s.connections_high as usize;
        #[cfg(feature = "consumer")]
        let decompression = Pool::of(s.consumer.inflater_bytes, u16::from(s.consumer.inflater_bytes > 0))
            .in_use(usize::from(s.consumer.inflated_chunks > 0), usize::from(s.consumer.inflated_chunks > 0));
        #[cfg(not(feature = "consumer"))]
        let decompression = plan.decompression;
        #[cfg(feature = "consumer")]
        let chunks = self.chunk_pool();
        #[cfg(not(feature = "consumer"))]
        let chunks = plan.chunks;
        let cluster = &self.cluster;
        let (partitions, topics, brokers) = (cluster.used_partitions(), cluster.used_topics(), cluster.used_brokers());
        MemoryPlan {
            buffers: plan.buffers.in_use(buffers.used.into(), buffers.high_water.into()),
            batches: plan.batches.in_use(batches.used.into(), batches.high_water.into()),
            partitions: plan.partitions.in_use(partitions, partitions),
            topics: plan.topics.in_use(topics, topics),
            brokers: plan.brokers.in_use(brokers, brokers),
            connections: plan.connections.in_use(open, opened),
            waiters: plan.waiters.in_use(seats.used.into(), seats.high_water.into()),
            chunks,
            decompression,
            // It is the side's.
            compression: plan.compression,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZING: Sizing = Sizing {
        buffer_memory: 32 << 20,
        batch_size: 16_384,
        partitions: 16,
        topics: 4,
        brokers: 8,
        connections: 4,
        max_in_flight: 5,
        waiters: 16,
    };

    #[test]
    fn what_follows_from_ordinary_numbers_works() {
        let capacities = Capacities::derive(&SIZING);
        assert_eq!(capacities.check(), Ok(()));
        assert_eq!((capacities.buffers, capacities.batches, capacities.requests), (2048, 4160, 8));
    }

    #[test]
    fn no_number_overflows() {
        for buffer_memory in [0, 1, u64::MAX] {
            for batch_size in [0, 1, 70, u32::MAX] {
                let count = u16::MAX;
                let sizing = Sizing {
                    buffer_memory,
                    batch_size,
                    partitions: count,
                    topics: count,
                    brokers: count,
                    connections: count,
                    max_in_flight: 255,
                    waiters: count,
                };
                let capacities = Capacities::derive(&sizing);
                assert!(capacities.check().is_err(), "{capacities:?}");
                let _ = MemoryPlan::of::<&'static mut [u8]>(&capacities).bytes();
            }
        }
    }

    #[test]
    fn an_impossible_set_is_refused_with_the_sizes() {
        let capacities = Capacities::derive(&Sizing { buffer_memory: 10_000, ..SIZING });
        let error = capacities.check().unwrap_err();
        assert_eq!((error.given, error.needed, error.at_most), (0, 1, false));
        let capacities = Capacities { receive_bytes: 200, ..Capacities::derive(&SIZING) };
        assert_eq!(capacities.check(), Err(CapacityError::new("receive_bytes", 200, 319)));
    }
}
