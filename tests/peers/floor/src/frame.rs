//! One Produce request, version 7, with one batch for one partition.

use peer::Arguments;
use std::time::SystemTime;

/// Where things are in a batch, from its first byte (Kafka's `DefaultRecordBatch`).
mod at {
    use std::ops::Range;

    pub(crate) const LENGTH: Range<usize> = 8..12;
    pub(crate) const CRC: Range<usize> = 17..21;
    pub(crate) const LAST_OFFSET_DELTA: Range<usize> = 23..27;
    pub(crate) const BASE_TIMESTAMP: Range<usize> = 27..35;
    pub(crate) const MAX_TIMESTAMP: Range<usize> = 35..43;
    pub(crate) const COUNT: Range<usize> = 57..61;
    pub(crate) const RECORDS: usize = 61;
}

/// Bytes of a record beside its value, at most.
const AROUND: usize = 24;

pub(crate) struct Frame {
    bytes: Vec<u8>,
    /// Where the batch begins.
    batch: usize,
    /// Bytes that a batch may have.
    most: usize,
    count: u32,
}

impl Frame {
    pub(crate) fn new(arguments: &Arguments, partition: u32) -> Frame {
        let mut bytes = Vec::with_capacity(arguments.batch + arguments.topic.len() + 128);
        bytes.extend([0; 4]); // the frame's length
        bytes.extend([0, 0, 0, 7]); // Produce, version 7
        bytes.extend([0; 4]); // correlation id
        string(&mut bytes, "floor");
        bytes.extend((-1i16).to_be_bytes()); // no transaction
        bytes.extend((-1i16).to_be_bytes()); // acks=all
        bytes.extend(30_000i32.to_be_bytes());
        bytes.extend(1i32.to_be_bytes());
        string(&mut bytes, &arguments.topic);
        bytes.extend(1i32.to_be_bytes());
        bytes.extend(partition.to_be_bytes());
        bytes.extend([0; 4]); // the batch's length
        let batch = bytes.len();
        bytes.extend([0; at::RECORDS]);
        bytes[batch + 12..batch + 16].copy_from_slice(&(-1i32).to_be_bytes()); // partition leader epoch
        bytes[batch + 16] = 2; // magic
        bytes[batch + 43..batch + 57].fill(0xff); // no producer id, epoch, sequence
        Frame { bytes, batch, most: arguments.batch, count: 0 }
    }

    pub(crate) fn records(&self) -> u64 {
        self.count.into()
    }

    /// A new batch, of `most` records or as many as fit.
    pub(crate) fn fill(&mut self, payload: &[u8], most: u64) {
        self.bytes.truncate(self.batch + at::RECORDS);
        self.count = 0;
        while self.records() < most && self.bytes.len() - self.batch + payload.len() + AROUND <= self.most {
            self.append(payload);
        }
        self.seal();
    }

    /// A record: length, attributes, timestamp and offset deltas, no key, the value, no headers.
    fn append(&mut self, payload: &[u8]) {
        let mut head = [0; AROUND];
        let (offset, size) = (zigzag(self.count as i32), zigzag(payload.len() as i32));
        let body = 2 + varint_len(offset) + 1 + varint_len(size) + payload.len() + 1;
        let mut len = varint(&mut head, 0, zigzag(body as i32)) + 2;
        len = varint(&mut head, len, offset);
        len = varint(&mut head, len, zigzag(-1));
        len = varint(&mut head, len, size);
        self.bytes.extend_from_slice(&head[..len]);
        self.bytes.extend_from_slice(payload);
        self.bytes.push(0);
        self.count += 1;
    }

    fn seal(&mut self) {
        let now = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_millis() as i64).to_be_bytes();
        let frame = self.bytes.len() as u32 - 4;
        let (front, batch) = self.bytes.split_at_mut(self.batch);
        let size = batch.len() as u32;
        front[..4].copy_from_slice(&frame.to_be_bytes());
        front[self.batch - 4..].copy_from_slice(&size.to_be_bytes());
        batch[at::LENGTH].copy_from_slice(&(size - 12).to_be_bytes());
        batch[at::LAST_OFFSET_DELTA].copy_from_slice(&(self.count - 1).to_be_bytes());
        batch[at::BASE_TIMESTAMP].copy_from_slice(&now);
        batch[at::MAX_TIMESTAMP].copy_from_slice(&now);
        batch[at::COUNT].copy_from_slice(&self.count.to_be_bytes());
        let crc = crc_fast::crc32_iscsi(&batch[at::CRC.end..]);
        batch[at::CRC].copy_from_slice(&crc.to_be_bytes());
    }

    /// The bytes to send, with this correlation id.
    pub(crate) fn numbered(&mut self, correlation: i32) -> &[u8] {
        self.bytes[8..12].copy_from_slice(&correlation.to_be_bytes());
        &self.bytes
    }
}

fn string(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u16).to_be_bytes());
    bytes.extend(text.as_bytes());
}

fn zigzag(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)) as u32
}

fn varint_len(value: u32) -> usize {
    (38 - (value | 1).leading_zeros() as usize) / 7
}

/// Writes at `at`, and says where it ended.
fn varint(bytes: &mut [u8], mut at: usize, mut value: u32) -> usize {
    while value >= 0x80 {
        bytes[at] = value as u8 | 0x80;
        value >>= 7;
        at += 1;
    }
    bytes[at] = value as u8;
    at + 1
}
