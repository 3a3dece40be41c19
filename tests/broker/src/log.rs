//! The log of one partition: batches as raw bytes, in order of their offsets.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::batch::{self, Header, Record};
use crate::transactions::Transactions;

#[derive(Debug, Clone)]
pub(crate) struct LogBatch {
    pub(crate) base_offset: i64,
    pub(crate) last_offset: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) max_timestamp: i64,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) base_sequence: i32,
    pub(crate) bytes: Bytes,
    /// The same without compression, if that is LZ4.
    pub(crate) plain: Option<Vec<u8>>,
}

/// One record batch of a log, borrowed from it.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a>(&'a LogBatch);

impl<'a> Batch<'a> {
    /// The offset of the first record.
    pub fn base_offset(&self) -> i64 {
        self.0.base_offset
    }

    /// The offset of the last record.
    pub fn last_offset(&self) -> i64 {
        self.0.last_offset
    }

    /// The leader epoch in which it was appended.
    pub fn leader_epoch(&self) -> i32 {
        self.0.leader_epoch
    }

    /// The largest timestamp of its records.
    pub fn max_timestamp(&self) -> i64 {
        self.0.max_timestamp
    }

    /// The producer id; -1 without idempotence.
    pub fn producer_id(&self) -> i64 {
        self.0.producer_id
    }

    /// The producer epoch; -1 without idempotence.
    pub fn producer_epoch(&self) -> i16 {
        self.0.producer_epoch
    }

    /// The sequence of the first record; -1 without idempotence.
    pub fn base_sequence(&self) -> i32 {
        self.0.base_sequence
    }

    /// The bytes as they stand in the log: as the producer sent them but for base offset and leader epoch (the first 8
    /// bytes and bytes 12 to 15) and, with `LogAppendTime`, timestamp, attributes and checksum.
    pub fn bytes(&self) -> &'a [u8] {
        &self.0.bytes
    }

    /// The records, decoded one by one; nothing if the batch is compressed otherwise than by LZ4.
    pub fn records(&self) -> impl Iterator<Item = Record<'a>> + use<'a> {
        batch::records(self.0.plain.as_deref().unwrap_or(&self.0.bytes), self.0.base_offset)
    }
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Log {
    start_offset: i64,
    end_offset: i64,
    size: usize,
    batches: VecDeque<LogBatch>,
    transactions: Transactions,
}

impl Log {
    pub(crate) fn start_offset(&self) -> i64 {
        self.start_offset
    }

    pub(crate) fn end_offset(&self) -> i64 {
        self.end_offset
    }

    /// The last stable offset: in front of it every transaction has ended.
    pub(crate) fn stable_offset(&self) -> i64 {
        self.transactions.first_open().map_or(self.end_offset, |first| first.max(self.start_offset))
    }

    pub(crate) fn transactions(&self) -> &Transactions {
        &self.transactions
    }

    /// Bytes of all batches.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    pub(crate) fn append(&mut self, batch: LogBatch) {
        debug_assert_eq!(batch.base_offset, self.end_offset);
        self.end_offset = batch.last_offset + 1;
        self.size += batch.bytes.len();
        self.transactions.append(&Header::read(&batch.bytes), batch.base_offset, &batch.bytes);
        self.batches.push_back(batch);
    }

    /// Moves the start of the log up; batches wholly before it go. Gives the bytes that went.
    pub(crate) fn delete_before(&mut self, offset: i64) -> usize {
        self.start_offset = offset.clamp(self.start_offset, self.end_offset);
        let before = self.size;
        while let Some(batch) = self.batches.front()
            && batch.last_offset < self.start_offset
        {
            self.size -= batch.bytes.len();
            self.batches.pop_front();
        }
        before - self.size
    }

    /// Removes the batches from the one that holds `offset` on. Gives the bytes that went.
    pub(crate) fn truncate(&mut self, offset: i64) -> usize {
        let before = self.size;
        while let Some(batch) = self.batches.back()
            && batch.last_offset >= offset
        {
            self.size -= batch.bytes.len();
            self.end_offset = batch.base_offset;
            self.batches.pop_back();
        }
        self.start_offset = self.start_offset.min(self.end_offset);
        self.transactions.truncate(self.end_offset);
        before - self.size
    }

    /// The end of the oldest batch, where the log would start without it.
    pub(crate) fn oldest_batch_end(&self) -> Option<i64> {
        self.batches.front().map(|batch| batch.last_offset + 1)
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = Batch<'_>> {
        self.batches.iter().map(Batch)
    }

    /// The batches from the one that holds `offset`.
    pub(crate) fn from(&self, offset: i64) -> impl Iterator<Item = Batch<'_>> {
        let first = self.batches.partition_point(|batch| batch.last_offset < offset);
        self.batches.range(first..).map(Batch)
    }
}
