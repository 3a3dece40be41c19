//! The capacities of a storage, by name.

use demitasse_core::{CONTROL_REQUESTS, Capacities, CapacityError};

/// What `storage!` takes: how many of what, and how large. All of it is memory in one `static`, and nothing is added.
///
/// What is 0, the default of most, follows from the others or has the value that is stated here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Sizes {
    /// `batch.size`: bytes of one batch buffer, its 61 bytes of header included; the largest record that can be sent.
    /// Default 1,024.
    pub batch_bytes: usize,
    /// Batch buffers: as many batches can wait and be on their way. Each partition that records go to holds one while
    /// it is open. Default 4.
    pub buffers: usize,
    /// Batches that have a buffer or whose outcome is remembered; more than buffers. Default: 4 more.
    pub batches: usize,
    /// Partitions that records may go to or whose leaders are known beforehand. Default 4.
    pub partitions: usize,
    /// Topics. Default 1.
    pub topics: usize,
    /// The longest topic name, in bytes. Default 32.
    pub topic_name_bytes: usize,
    /// Brokers, the addresses of the bootstrap list included. Default 3. An address that is no leader's own, such as a name,
    /// takes a place for itself. With too few, records for a leader that has none fail
    /// ([`ConnectionError::NoPlace`](crate::ConnectionError)).
    pub brokers: usize,
    /// The longest host name, in bytes. Default 40.
    pub host_bytes: usize,
    /// Connections that may be open at once; with fewer than leaders they take turns. Each needs a socket in the
    /// network stack. Default 1.
    pub connections: usize,
    /// The most Produce requests that may be unanswered at once on a connection. Default 2: one on its way out while the
    /// answer to another is on its way in.
    pub max_in_flight: usize,
    /// Tasks that may wait at once, in `send`, `wait`, `flush`. Default 4; [`Sizes::NONE`] where none ever does, as with
    /// `try_send` alone: then there is no code for it either, and one that waits after all is polled over and over.
    pub waiters: usize,
    /// Bytes of a connection's buffer for requests; batches do not pass through it. Default: the least that works, and
    /// 32 for each topic.
    pub frame_bytes: usize,
    /// Bytes of a connection's buffer for responses, which stream through it. Default: the least that works, but 256.
    /// It must have 64 more than the longest host name that any broker advertises has bytes: an answer with a longer one is
    /// taken for one that is not Kafka's.
    pub receive_bytes: usize,
    /// Bytes that a connection's socket holds until they are read. Default 512.
    pub socket_receive_bytes: usize,
    /// Bytes that a connection's socket holds until the peer has acknowledged them; so many are sent in one round trip,
    /// at most. Default: one batch and what frames it, so that a batch never waits for an acknowledgement halfway.
    pub socket_send_bytes: usize,
    /// With the feature `lz4`: bytes that a connection compresses a batch in, if `Config::compression`
    /// says so. 1,024 are a table of what was there before, and into the rest must go what comes of a batch; one that does not get
    /// in goes as it is. With `batch_bytes` more than 1,024 each that becomes smaller gets in. Default 0: none is compressed.
    pub compression_bytes: usize,
}

/// The table, and room for what the smallest batch becomes.
const COMPRESSION_BYTES_MIN: usize = 1024 + 64;
#[cfg(feature = "lz4")]
const _: () = assert!(COMPRESSION_BYTES_MIN > demitasse_core::records::lz4::TABLE_BYTES);

pub(crate) const fn or(given: usize, default: usize) -> usize {
    if given == 0 { default } else { given }
}

pub(crate) const fn max(a: usize, b: usize) -> usize {
    if a > b { a } else { b }
}

const fn u16_of(n: usize) -> u16 {
    if n > u16::MAX as usize { u16::MAX } else { n as u16 }
}

const fn u32_of(n: usize) -> u32 {
    if n > u32::MAX as usize { u32::MAX } else { n as u32 }
}

impl Sizes {
    /// None at all, where 0 is the default: only of waiters can there be none.
    pub const NONE: usize = usize::MAX;

    /// Everything by default.
    pub const DEFAULT: Sizes = Sizes {
        batch_bytes: 0,
        buffers: 0,
        batches: 0,
        partitions: 0,
        topics: 0,
        topic_name_bytes: 0,
        brokers: 0,
        host_bytes: 0,
        connections: 0,
        max_in_flight: 0,
        waiters: 0,
        frame_bytes: 0,
        receive_bytes: 0,
        socket_receive_bytes: 0,
        socket_send_bytes: 0,
        compression_bytes: 0,
    };

    /// With every default filled in.
    pub const fn filled(self) -> Sizes {
        let batch_bytes = or(self.batch_bytes, 1024);
        let buffers = or(self.buffers, 4);
        let topics = or(self.topics, 1);
        let named = Sizes {
            batch_bytes,
            buffers,
            batches: or(self.batches, buffers.saturating_add(4)),
            partitions: or(self.partitions, 4),
            topics,
            topic_name_bytes: or(self.topic_name_bytes, 32),
            brokers: or(self.brokers, 3),
            host_bytes: or(self.host_bytes, 40),
            connections: or(self.connections, 1),
            max_in_flight: or(self.max_in_flight, 2),
            waiters: if self.waiters == Self::NONE { 0 } else { or(self.waiters, 4) },
            ..self
        };
        let least_frame = Capacities::least_frame_bytes(u16_of(named.topic_name_bytes)) as usize;
        let frame_bytes = or(self.frame_bytes, least_frame.saturating_add(topics.saturating_mul(32)));
        let least_receive = named.capacities().least_receive_bytes() as usize;
        Sizes {
            frame_bytes,
            receive_bytes: or(self.receive_bytes, max(least_receive, 256)),
            socket_receive_bytes: or(self.socket_receive_bytes, 512),
            socket_send_bytes: or(self.socket_send_bytes, batch_bytes.saturating_add(frame_bytes)),
            ..named
        }
    }

    /// Stops the compiler, with the sizes, if the capacities cannot work together.
    pub(crate) const fn must_work(&self) {
        let (least, most) = if cfg!(feature = "lz4") { (COMPRESSION_BYTES_MIN, u32::MAX as usize) } else { (0, 0) };
        let given = self.compression_bytes;
        if given > 0 && (given < least || given > most) {
            let needed = if given < least { least } else { most };
            let what = if most > 0 { "compression_bytes" } else { "compression_bytes, without the feature lz4," };
            must(Err(CapacityError { what, given: given as u64, needed: needed as u64, at_most: given > most }));
        }
        must(self.capacities().check());
    }

    /// As the core counts them. What cannot be counted is as much as can be, and will be refused.
    pub const fn capacities(&self) -> Capacities {
        Capacities {
            batch_bytes: u32_of(self.batch_bytes),
            buffers: u16_of(self.buffers),
            batches: u16_of(self.batches),
            partitions: u16_of(self.partitions),
            topics: u16_of(self.topics),
            topic_name_bytes: u16_of(self.topic_name_bytes),
            brokers: u16_of(self.brokers),
            host_bytes: u16_of(self.host_bytes),
            connections: u16_of(self.connections),
            requests: u16_of(self.max_in_flight.saturating_add(CONTROL_REQUESTS)),
            waiters: u16_of(self.waiters),
            frame_bytes: u32_of(self.frame_bytes),
            receive_bytes: u32_of(self.receive_bytes),
        }
    }
}

/// Stops the compiler, with the sizes.
pub(crate) const fn must(result: Result<(), CapacityError>) {
    if let Err(error) = result {
        let mut text = [0; 120];
        let mut length = append(&mut text, 0, error.what.as_bytes());
        length = append(&mut text, length, b" is ");
        length = append_number(&mut text, length, error.given);
        length = append(&mut text, length, if error.at_most { b", must be at most " } else { b", must be at least " });
        length = append_number(&mut text, length, error.needed);
        match core::str::from_utf8(text.split_at(length).0) {
            Ok(text) => panic!("{}", text),
            Err(_) => panic!("{}", error.what),
        }
    }
}

/// What `write!` would do, if it could be done by the compiler.
const fn append(text: &mut [u8], at: usize, what: &[u8]) -> usize {
    let mut i = 0;
    while i < what.len() && at + i < text.len() {
        text[at + i] = what[i];
        i += 1;
    }
    at + i
}

const fn append_number(text: &mut [u8], at: usize, number: u64) -> usize {
    let at = if number >= 10 { append_number(text, at, number / 10) } else { at };
    append(text, at, &[b'0' + (number % 10) as u8])
}

impl Default for Sizes {
    fn default() -> Self {
        Self::DEFAULT
    }
}
