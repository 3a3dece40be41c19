//! Batches that are compressed on their way out, by whoever drives the connection.

use super::batch::Phase;
use super::{Platform, State};
use crate::connection::Phase as Link_;
use crate::records::Compression;
use crate::time::Instant;

/// A batch in the hands of who compresses it: the buffer itself, moved.
pub(crate) struct Unpacked<B> {
    pub(crate) buffer: B,
    slot: u16,
    generation: u32,
    pub(crate) length: u32,
    pub(crate) compression: Compression,
}

impl<P: Platform> State<P> {
    /// A batch that goes with the next request and is to be compressed first. What is not compressed by then goes as it is.
    pub(crate) fn take_unpacked(&mut self, slot: usize, now: Instant) -> Option<Unpacked<P::Buffer>> {
        let compression = self.settings.compression;
        let connection = &self.connections[slot];
        let idle = connection.writing || connection.phase != Link_::Active || connection.throttled_until > now;
        if compression == Compression::None || idle || connection.produce_in_flight >= self.s.max_in_flight {
            return None;
        }
        let (mut at, mut bytes) = (connection.ready.first(), 0u32);
        while let Some(partition) = at
            && bytes < self.settings.max_request_size
        {
            at = self.queues[partition].ready.next().get();
            let Some(index) = self.sendable(partition, slot, now) else { continue };
            let batch = &mut self.batches[index];
            if !core::mem::replace(&mut batch.packed, true) {
                let (generation, length) = (batch.generation, batch.length);
                let buffer = batch.buffer.take()?;
                return Some(Unpacked { buffer, slot: index as u16, generation, length, compression });
            }
            bytes = bytes.saturating_add(batch.length);
        }
        None
    }

    /// It comes back, and if that made it smaller, compressed.
    pub(crate) fn packed(&mut self, unpacked: Unpacked<P::Buffer>) {
        let Unpacked { buffer, slot, generation, length, compression } = unpacked;
        if let Some(batch) = self.batches.get_mut(slot as usize)
            && batch.generation == generation
            && batch.phase == Phase::Queued
        {
            (batch.length, batch.compression) = (length, compression);
        }
        self.put_back(slot, generation, buffer);
    }
}
