//! What clients have sent, whatever became of it: a sequence stands for the same bytes for ever.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use kafka_protocol::messages::ProduceRequest;

use crate::batch;
use crate::cluster::Cluster;
use crate::request::Request;

/// A hash of each batch, by topic, partition, producer id, epoch and first sequence.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sent(HashMap<(String, i32, i64, i16, i32), u64>);

impl Cluster {
    /// Watches from now on what clients send, for [`rewritten_batches`](crate::Counters::rewritten_batches).
    pub fn watch_sequences(&mut self) {
        self.sent.get_or_insert_default();
    }

    /// Notes the batches of a Produce request that have sequences, before anybody judges them.
    pub(crate) fn note_sent(&mut self, request: &Request<'_>) {
        let Some(sent) = &mut self.sent else { return };
        let Some(body) = request.decode::<ProduceRequest>() else { return };
        for topic in body.topic_data {
            for data in topic.partition_data {
                let Some(bytes) = data.records.filter(|bytes| bytes.len() >= batch::HEADER_BYTES) else { continue };
                let header = batch::Header::read(&bytes);
                if header.producer_id < 0 || header.base_sequence < 0 {
                    continue;
                }
                let number = (header.producer_id, header.producer_epoch, header.base_sequence);
                let mut hasher = DefaultHasher::new();
                bytes.hash(&mut hasher);
                let hash = hasher.finish();
                let before = sent.0.insert((topic.name.to_string(), data.index, number.0, number.1, number.2), hash);
                if before.is_some_and(|before| before != hash) {
                    self.counters.rewritten_batches += 1;
                }
            }
        }
    }
}
