//! What a test may look at: logs, leaders and counters.

use std::collections::BTreeMap;

use crate::cluster::Cluster;
use crate::log::Batch;
use crate::options::Options;
use crate::topic::Partition;

/// What the cluster has counted since it began.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Requests by API key and version, those that met a fault included.
    pub requests: BTreeMap<(i16, i16), u64>,
    /// Requests that closed their connection: not offered, or not decodable.
    pub refused_requests: u64,
    /// Faults that acted.
    pub faults: u64,
    /// Requests that came while their connection had to be silent (KIP-219).
    pub throttle_violations: u64,
    /// Batches that were in the log already, answered with their offset.
    pub duplicates: u64,
    /// Batches answered with `OUT_OF_ORDER_SEQUENCE_NUMBER`, but for forced errors.
    pub out_of_order: u64,
    /// Batches appended.
    pub appended_batches: u64,
    /// Records appended.
    pub appended_records: u64,
    /// Batches under a sequence that had stood for other bytes before, if that is watched: they could be taken for those.
    pub rewritten_batches: u64,
    /// Producer ids given, those whose answer was lost included.
    pub producer_ids: usize,
    /// Connections opened, by node.
    pub connections_opened: BTreeMap<i32, u64>,
}

/// One partition, borrowed for a look.
#[derive(Debug, Clone, Copy)]
pub struct PartitionInfo<'a>(&'a Partition);

impl<'a> PartitionInfo<'a> {
    /// The node that leads it; -1 while there is none.
    pub fn leader(&self) -> i32 {
        self.0.leadership.leader
    }

    /// The leader epoch.
    pub fn leader_epoch(&self) -> i32 {
        self.0.leadership.leader_epoch
    }

    /// The nodes that hold it.
    pub fn replicas(&self) -> &'a [i32] {
        &self.0.leadership.replicas
    }

    /// The replicas in sync.
    pub fn in_sync(&self) -> &'a [i32] {
        &self.0.leadership.in_sync
    }

    /// The first offset that is still there.
    pub fn start_offset(&self) -> i64 {
        self.0.log.start_offset()
    }

    /// The offset that the next record gets.
    pub fn end_offset(&self) -> i64 {
        self.0.log.end_offset()
    }

    /// The last stable offset: what readers of committed records may read ends here.
    pub fn stable_offset(&self) -> i64 {
        self.0.log.stable_offset()
    }

    /// The producers whose transactions are open.
    pub fn open_transactions(&self) -> impl Iterator<Item = i64> + use<'a> {
        self.0.log.transactions().open()
    }

    /// Aborted transactions of which something stands from `from` on and in front of `until`: producer and first offset.
    pub fn aborted_transactions(&self, from: i64, until: i64) -> impl Iterator<Item = (i64, i64)> + use<'a> {
        self.0.log.transactions().aborted(from, until)
    }

    /// Bytes of batches that are still there.
    pub fn size(&self) -> usize {
        self.0.log.size()
    }

    /// The batches that are still there, oldest first. The first may begin before [`PartitionInfo::start_offset`].
    pub fn batches(&self) -> impl DoubleEndedIterator<Item = Batch<'a>> + use<'a> {
        self.0.log.iter()
    }

    /// The batches from the one that holds an offset on.
    pub fn batches_from(&self, offset: i64) -> impl Iterator<Item = Batch<'a>> + use<'a> {
        self.0.log.from(offset)
    }

    /// The records from [`PartitionInfo::start_offset`] on, decoded one by one.
    pub fn records(&self) -> impl Iterator<Item = crate::Record<'a>> + use<'a> {
        self.records_from(self.start_offset())
    }

    /// The records from an offset on.
    pub fn records_from(&self, offset: i64) -> impl Iterator<Item = crate::Record<'a>> + use<'a> {
        (self.0.log.from(offset)).flat_map(|batch| batch.records()).skip_while(move |record| record.offset < offset)
    }

    /// The epoch and next sequence that the partition expects of a producer; `None` if it knows nothing of it.
    pub fn next_sequence(&self, producer_id: i64) -> Option<(i16, i32)> {
        self.0.producers.next_sequence(producer_id)
    }
}

impl Cluster {
    /// One partition. `None` if there is none.
    pub fn partition(&self, topic: &str, partition: i32) -> Option<PartitionInfo<'_>> {
        self.topics.get(topic)?.partition(partition).map(PartitionInfo)
    }

    pub(crate) fn partition_mut(&mut self, topic: &str, partition: i32) -> Option<&mut Partition> {
        self.topics.get_mut(topic)?.partition_mut(partition)
    }

    /// The names of all topics, in order.
    pub fn topics(&self) -> impl Iterator<Item = &str> {
        self.topics.keys().map(String::as_str)
    }

    /// The number of partitions of a topic; 0 if there is none of that name.
    pub fn partitions(&self, topic: &str) -> i32 {
        self.topics.get(topic).map_or(0, |topic| topic.partitions.len() as i32)
    }

    /// The id of a topic as 16 bytes, as on the wire.
    pub fn topic_id(&self, topic: &str) -> Option<[u8; 16]> {
        Some(self.topics.get(topic)?.id.into_bytes())
    }

    /// The ids of all nodes that are up.
    pub fn nodes_up(&self) -> impl Iterator<Item = i32> + '_ {
        self.nodes.iter().filter(|node| node.up).map(|node| node.id)
    }

    /// The number of open connections to a node.
    pub fn connections(&self, node: i32) -> usize {
        self.connections.values().filter(|connection| connection.node == node).count()
    }

    /// What was counted so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Requests of an API, over all its versions.
    pub fn requests(&self, api: crate::Api) -> u64 {
        let of = (api.key(), i16::MIN)..=(api.key(), i16::MAX);
        self.counters.requests.range(of).map(|(_, count)| count).sum()
    }

    /// Keeps every request from now on, for [`Cluster::captured`].
    pub fn capture(&mut self) {
        self.captured.get_or_insert_default();
    }

    /// The requests of each connection, as they came but for their lengths; connections in the order of their opening.
    /// Nothing without [`Cluster::capture`].
    pub fn captured(&self) -> Vec<Vec<Vec<u8>>> {
        self.captured.iter().flat_map(BTreeMap::values).cloned().collect()
    }

    /// How the cluster was set up.
    pub fn options(&self) -> &Options {
        &self.options
    }
}
