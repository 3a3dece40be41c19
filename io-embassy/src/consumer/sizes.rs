//! The capacities of a consumer's storage, by name.

use crate::Sizes;
use crate::sizes::{max, must, or};
use demitasse_core::{CHUNK_BYTES_MIN, CapacityError};

/// What `consumer_storage!` takes: how many of what, and how large. All of it is memory in one `static`, and nothing is
/// added.
///
/// What is 0, the default of most, follows from the others or has the value that is stated here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ConsumerSizes {
    /// `fetch.chunk.bytes`: bytes of one chunk, which holds the answer to one request for records. The largest batch that
    /// can be read whole is 44 bytes less, and for transactions 16 less for each that was aborted. A batch is what the
    /// producer made it (`batch.size`), compressed or not. What is larger is read in pieces unless it is compressed: then
    /// the largest record must fit. Default 4,096.
    pub chunk_bytes: usize,
    /// Chunks: as many answers can be under way or be read at once. A partition needs no more than one at a time; with
    /// fewer than partitions, and than brokers, they take turns. Default 1.
    pub chunks: usize,
    /// `fetch.decompression.bytes`: the window that compressed batches are decompressed into. One of less than 64 KiB must
    /// have room for all that a batch becomes. Default: with the feature `lz4` twice a chunk; without it none can be had.
    pub decompression_bytes: usize,
    /// Partitions that can be read. Default 1.
    pub partitions: usize,
    /// Topics. Default 1.
    pub topics: usize,
    /// The longest topic name, in bytes. Default 32.
    pub topic_name_bytes: usize,
    /// Brokers, the addresses of the bootstrap list included, and one for the group's coordinator if there is a group. Default 3.
    /// With too few, partitions of a leader that has none are errors ([`ConnectionError::NoPlace`](crate::ConnectionError)).
    pub brokers: usize,
    /// The longest host name, in bytes. Default 40.
    pub host_bytes: usize,
    /// Connections that may be open at once; with fewer than leaders they take turns. A group's coordinator needs one of
    /// its own. Each needs a socket in the network stack. Default 1.
    pub connections: usize,
    /// Tasks that may wait at once, in `poll`, `commit` and their kin. Default 2; with [`Sizes::NONE`] whoever waits is polled
    /// over and over.
    pub waiters: usize,
    /// Bytes of a connection's buffer for requests. Default: what a request for all partitions takes, but at most 4,096;
    /// then they are asked for in turn.
    pub frame_bytes: usize,
    /// Bytes of a connection's buffer for responses, which stream through it; records do not. Default: the least that
    /// works, but 256.
    pub receive_bytes: usize,
    /// Bytes that a connection's socket holds until they are read: so many come in one round trip, at most. Default 1,536.
    pub socket_receive_bytes: usize,
    /// Bytes that a connection's socket holds until the peer has acknowledged them. Default: one request.
    pub socket_send_bytes: usize,
}

/// A request for one partition without its topic's name: the longest `client.id`, rack and group there can be.
const REQUEST_BYTES: usize = 352;

/// The same partition by partition.
const PARTITION_BYTES: usize = 64;

/// A consumer sends nothing: where no batch can be, the compiler leaves out what is done with them.
pub(super) const BATCH_BYTES: usize = 0;
pub(super) const BUFFERS: usize = 0;
pub(super) const BATCHES: usize = 0;
pub(super) const COMPRESSION_BYTES: usize = 0;
const MAX_IN_FLIGHT: usize = 1;
pub(super) const REQUESTS: usize = MAX_IN_FLIGHT + demitasse_core::CONTROL_REQUESTS;

impl ConsumerSizes {
    /// Everything by default.
    pub const DEFAULT: ConsumerSizes = ConsumerSizes {
        chunk_bytes: 0,
        chunks: 0,
        decompression_bytes: 0,
        partitions: 0,
        topics: 0,
        topic_name_bytes: 0,
        brokers: 0,
        host_bytes: 0,
        connections: 0,
        waiters: 0,
        frame_bytes: 0,
        receive_bytes: 0,
        socket_receive_bytes: 0,
        socket_send_bytes: 0,
    };

    /// With every default filled in.
    pub const fn filled(self) -> ConsumerSizes {
        let chunk_bytes = or(self.chunk_bytes, 4096);
        let window = if cfg!(feature = "lz4") { chunk_bytes.saturating_mul(2) } else { 0 };
        let partitions = or(self.partitions, 1);
        let named = ConsumerSizes {
            chunk_bytes,
            chunks: or(self.chunks, 1),
            decompression_bytes: or(self.decompression_bytes, window),
            partitions,
            waiters: or(self.waiters, 2),
            socket_receive_bytes: or(self.socket_receive_bytes, 1536),
            ..self
        };
        let client = named.client().filled();
        let partition = client.topic_name_bytes.saturating_add(PARTITION_BYTES);
        let all = REQUEST_BYTES.saturating_add(partitions.saturating_mul(partition));
        let least = max(client.frame_bytes, least_frame_bytes(client.topic_name_bytes));
        let frame_bytes = or(self.frame_bytes, max(least, if all < 4096 { all } else { 4096 }));
        ConsumerSizes {
            topics: client.topics,
            topic_name_bytes: client.topic_name_bytes,
            brokers: client.brokers,
            host_bytes: client.host_bytes,
            connections: client.connections,
            waiters: client.waiters,
            frame_bytes,
            receive_bytes: client.receive_bytes,
            socket_send_bytes: or(self.socket_send_bytes, frame_bytes),
            ..named
        }
    }

    /// What of it a producer has as well.
    pub const fn client(&self) -> Sizes {
        Sizes {
            batch_bytes: BATCH_BYTES,
            buffers: BUFFERS,
            batches: BATCHES,
            partitions: self.partitions,
            topics: self.topics,
            topic_name_bytes: self.topic_name_bytes,
            brokers: self.brokers,
            host_bytes: self.host_bytes,
            connections: self.connections,
            max_in_flight: MAX_IN_FLIGHT,
            waiters: self.waiters,
            frame_bytes: self.frame_bytes,
            receive_bytes: self.receive_bytes,
            socket_receive_bytes: self.socket_receive_bytes,
            socket_send_bytes: self.socket_send_bytes,
            compression_bytes: COMPRESSION_BYTES,
        }
    }

    /// Refuses what cannot work, with the sizes; what a producer has in common with a consumer is checked with the rest.
    pub const fn check(&self) -> Result<(), CapacityError> {
        let no_window = if cfg!(feature = "lz4") { usize::MAX } else { 0 };
        let rules: [(&'static str, usize, usize, usize); 4] = [
            ("chunk_bytes", self.chunk_bytes, CHUNK_BYTES_MIN, i32::MAX as usize),
            ("chunks", self.chunks, 1, i16::MAX as usize),
            ("decompression_bytes, without the feature lz4,", self.decompression_bytes, 0, no_window),
            ("frame_bytes", self.frame_bytes, least_frame_bytes(self.topic_name_bytes), u16::MAX as usize),
        ];
        let mut i = 0;
        while i < rules.len() {
            let (what, given, least, most) = rules[i];
            let needed = if given < least { least } else { most };
            if given < least || given > most {
                return Err(CapacityError { what, given: given as u64, needed: needed as u64, at_most: given > most });
            }
            i += 1;
        }
        self.client().capacities().check()
    }

    /// Stops the compiler, with the sizes.
    pub(super) const fn must_work(&self) {
        must(self.check());
    }
}

const fn least_frame_bytes(topic_name_bytes: usize) -> usize {
    (REQUEST_BYTES + PARTITION_BYTES).saturating_add(topic_name_bytes)
}

impl Default for ConsumerSizes {
    fn default() -> Self {
        Self::DEFAULT
    }
}
