//! What happens to a cluster besides requests: nodes, leaders, throttling, authorization, and scripted faults.

use bytes::BytesMut;

use crate::batch::{self, Header};
use crate::cluster::{Cluster, ConnectionId, Hidden, StaleView};
use crate::fault::{Faults, Rule, RuleId};
use crate::log::LogBatch;
use crate::options::Release;
use crate::producer_state::{Sequenced, increment_sequence};
use crate::topic::{Leadership, Partition, TopicView};

impl Cluster {
    /// Lets time pass: elections that are due happen. Every request does this too. Gives the time now.
    pub fn advance(&mut self, now_ms: u64) -> u64 {
        self.now_ms = self.now_ms.max(now_ms);
        if self.next_election_ms <= self.now_ms {
            self.elect();
        }
        self.now_ms
    }

    /// Takes a node down. Its connections die at once; the partitions it leads have no leader until `election_ms` is
    /// over, then the first replica in sync that is up leads them with the next leader epoch. A partition without such
    /// a replica waits for its node; in a cluster of one node it keeps its leader. False if it was down already.
    pub fn node_down(&mut self, node: i32, now_ms: u64) -> bool {
        let now_ms = self.advance(now_ms);
        if !self.is_up(node) {
            return false;
        }
        if let Some(node) = self.node_mut(node) {
            node.up = false;
        }
        self.connections.retain(|_, connection| connection.node != node);
        let single = self.nodes.len() == 1;
        let election_at_ms = now_ms.saturating_add(self.options.election_ms);
        for partition in self.topics.values_mut().flat_map(|topic| &mut topic.partitions) {
            let leadership = &mut partition.leadership;
            if leadership.in_sync.len() > 1 {
                leadership.in_sync.retain(|replica| *replica != node);
            }
            if leadership.leader == node && !single {
                leadership.leader = -1;
                partition.election_at_ms = Some(election_at_ms);
                self.next_election_ms = self.next_election_ms.min(election_at_ms);
            }
        }
        self.advance(now_ms);
        true
    }

    /// Brings a node back. Its replicas are in sync at once, and partitions that waited for it have it as their leader.
    /// False if it was up already, or there is none of that id.
    pub fn node_up(&mut self, node: i32, now_ms: u64) -> bool {
        let now_ms = self.advance(now_ms);
        match self.node_mut(node) {
            Some(state) if !state.up => state.up = true,
            _ => return false,
        }
        for partition in self.topics.values_mut().flat_map(|topic| &mut topic.partitions) {
            let leadership = &mut partition.leadership;
            // It leads again what nobody else can, and in a cluster of one node what it led all the time.
            let waited_for = leadership.leader == -1
                && leadership.in_sync.contains(&node)
                && (leadership.in_sync.len() == 1 || partition.election_at_ms.is_none());
            if leadership.replicas.contains(&node) && !leadership.in_sync.contains(&node) {
                leadership.in_sync.push(node);
            }
            if waited_for || leadership.leader == node {
                leadership.leader = node;
                leadership.leader_epoch += 1;
                partition.election_at_ms = None;
            }
        }
        self.advance(now_ms);
        true
    }

    fn elect(&mut self) {
        let now_ms = self.now_ms;
        let mut next = u64::MAX;
        let nodes = &self.nodes;
        let is_up = |id: i32| nodes.iter().any(|node| node.id == id && node.up);
        for partition in self.topics.values_mut().flat_map(|topic| &mut topic.partitions) {
            let Some(at_ms) = partition.election_at_ms else {
                continue;
            };
            if at_ms > now_ms {
                next = next.min(at_ms);
                continue;
            }
            partition.election_at_ms = None;
            let leadership = &mut partition.leadership;
            let candidate =
                (leadership.replicas.iter().copied()).find(|id| leadership.in_sync.contains(id) && is_up(*id));
            if let Some(leader) = candidate {
                leadership.leader = leader;
                leadership.leader_epoch += 1;
            }
        }
        self.next_election_ms = next;
    }

    /// Adds partitions to a topic, led as those of [`Cluster::create_topic`] are. False if there is no such topic.
    pub fn add_partitions(&mut self, topic: &str, more: i32) -> bool {
        let nodes: Vec<(i32, bool)> = self.nodes.iter().map(|node| (node.id, node.up)).collect();
        let Some(topic) = self.topics.get_mut(topic) else { return false };
        for _ in 0..more {
            let index = topic.partitions.len();
            let replicas = topic.partitions.first().map_or(1, |first| first.leadership.replicas.len());
            let replicas: Vec<_> = (0..replicas).map(|replica| nodes[(index + replica) % nodes.len()]).collect();
            let ids = |up: bool| replicas.iter().filter(|node| node.1 || !up).map(|node| node.0).collect::<Vec<_>>();
            let (all, up) = (ids(false), ids(true));
            topic.partitions.push(Partition::new(Leadership {
                leader: up.first().copied().unwrap_or(-1),
                leader_epoch: 0,
                in_sync: if up.is_empty() { all.clone() } else { up },
                replicas: all,
            }));
        }
        true
    }

    /// Makes a node the leader of a partition, at once and with the next leader epoch. It becomes a replica in sync if
    /// it was none. False if there is no such partition or the node is not up.
    pub fn move_leader(&mut self, topic: &str, partition: i32, node: i32) -> bool {
        if !self.is_up(node) {
            return false;
        }
        let Some(partition) = self.partition_mut(topic, partition) else {
            return false;
        };
        partition.election_at_ms = None;
        let leadership = &mut partition.leadership;
        leadership.leader = node;
        leadership.leader_epoch += 1;
        if !leadership.replicas.contains(&node) {
            leadership.replicas.push(node);
        }
        if !leadership.in_sync.contains(&node) {
            leadership.in_sync.push(node);
        }
        true
    }

    /// Takes the leader from a partition until the time given; then the first replica in sync that is up leads, with
    /// the next epoch. False if there is no such partition.
    pub fn start_election(&mut self, topic: &str, partition: i32, until_ms: u64) -> bool {
        let Some(state) = self.partition_mut(topic, partition) else {
            return false;
        };
        state.leadership.leader = -1;
        state.election_at_ms = Some(until_ms);
        self.next_election_ms = self.next_election_ms.min(until_ms);
        true
    }

    /// Sets the replicas in sync of a partition, to leave `min.insync.replicas` unmet. Nodes coming up join again.
    pub fn set_in_sync(&mut self, topic: &str, partition: i32, nodes: &[i32]) -> bool {
        let Some(partition) = self.partition_mut(topic, partition) else {
            return false;
        };
        partition.leadership.in_sync = nodes.to_vec();
        true
    }

    /// Lets a node go on answering the Metadata of this moment (true), or the truth again (false).
    pub fn set_stale_metadata(&mut self, node: i32, stale: bool) {
        let view = stale.then(|| StaleView {
            brokers: self.nodes.iter().filter(|node| node.up).map(|node| node.id).collect(),
            controller: self.controller(),
            topics: (self.topics.iter())
                .map(|(name, topic)| {
                    let partitions = (topic.partitions.iter()).map(|partition| partition.leadership.clone()).collect();
                    (name.clone(), TopicView { id: topic.id, partitions })
                })
                .collect(),
        });
        if let Some(node) = self.node_mut(node) {
            node.stale = view;
        }
    }

    /// Lets a node, or all of them, not know a topic until the time given: `UNKNOWN_TOPIC_OR_PARTITION` from every
    /// API, as a restarting broker did. What it holds is kept.
    pub fn hide_topic(&mut self, topic: &str, node: Option<i32>, until_ms: u64) {
        let now_ms = self.now_ms;
        self.hidden_topics.retain(|hidden| hidden.until_ms > now_ms);
        self.hidden_topics.push(Hidden { topic: topic.to_owned(), node, until_ms });
    }

    pub(crate) fn is_hidden(&self, topic: &str, node: i32) -> bool {
        self.hidden_topics.iter().any(|hidden| {
            hidden.until_ms > self.now_ms && hidden.topic == topic && hidden.node.is_none_or(|wanted| wanted == node)
        })
    }

    /// Lets a partition forget a producer id, as if it had expired. False if it was not known.
    pub fn forget_producer(&mut self, topic: &str, partition: i32, producer_id: i64) -> bool {
        self.partition_mut(topic, partition).is_some_and(|partition| partition.producers.forget(producer_id))
    }

    /// Moves the start of a log up to an offset, as DeleteRecords or retention do. Kafka 2.1 then also forgets the
    /// producers whose batches are all gone. False if there is no such partition.
    pub fn delete_records(&mut self, topic: &str, partition: i32, before_offset: i64) -> bool {
        let forgets = self.options.release <= Release::V2_1;
        let Some(state) = self.partition_mut(topic, partition) else {
            return false;
        };
        let freed = state.log.delete_before(before_offset);
        if forgets {
            state.producers.forget_before(state.log.start_offset());
        }
        self.log_bytes -= freed;
        true
    }

    /// Loses the end of a log from the batch that holds an offset on, acknowledged or not, as an unclean election does;
    /// the leader epoch goes up. Its producers are remembered as far as the rest of the log tells of them. False if
    /// there is no such partition.
    pub fn lose_records(&mut self, topic: &str, partition: i32, from_offset: i64) -> bool {
        let now_ms = self.now_ms;
        let Some(state) = self.partition_mut(topic, partition) else {
            return false;
        };
        state.leadership.leader_epoch += 1;
        let freed = state.log.truncate(from_offset);
        let concerned = state.producers.forget_from(state.log.end_offset());
        for batch in state.log.iter().filter(|batch| concerned.contains(&batch.producer_id())) {
            let delta = (batch.last_offset() - batch.base_offset()) as i32;
            let sequenced = Sequenced {
                producer_id: batch.producer_id(),
                epoch: batch.producer_epoch(),
                first_sequence: batch.base_sequence(),
                last_sequence: increment_sequence(batch.base_sequence(), delta),
            };
            state.producers.record(sequenced, batch.base_offset(), batch.last_offset(), batch.max_timestamp(), now_ms);
        }
        self.log_bytes -= freed;
        true
    }

    /// Appends a batch as it is, but for base offset and leader epoch, whoever leads; the offset of its first record.
    /// `None` if there is no such partition.
    ///
    /// # Panics
    /// It is no batch.
    pub fn append_batch(&mut self, topic: &str, partition: i32, batch: &[u8]) -> Option<i64> {
        let state = self.partition_mut(topic, partition)?;
        let header = Header::read(batch);
        let (base_offset, leader_epoch) = (state.log.end_offset(), state.leadership.leader_epoch);
        let mut bytes = BytesMut::from(batch);
        batch::stamp(&mut bytes, base_offset, leader_epoch);
        state.log.append(LogBatch {
            base_offset,
            last_offset: base_offset + i64::from(header.last_offset_delta),
            leader_epoch,
            max_timestamp: header.max_timestamp,
            producer_id: header.producer_id,
            producer_epoch: header.producer_epoch,
            base_sequence: header.base_sequence,
            plain: batch::decompressed(&bytes).ok().flatten(),
            bytes: bytes.freeze(),
        });
        self.log_bytes += batch.len();
        Some(base_offset)
    }

    /// Throttles one connection: its answers carry this throttle time, and it must then be silent for that long
    /// (KIP-219). A request that comes too early waits and is counted. 0 ends it.
    pub fn set_throttle(&mut self, connection: ConnectionId, throttle_ms: u32) {
        if let Some(connection) = self.connections.get_mut(&connection) {
            connection.throttle_ms = Some(throttle_ms);
        }
    }

    /// Throttles every connection that has no throttle of its own, as [`Cluster::set_throttle`]. 0 ends it.
    pub fn set_throttle_all(&mut self, throttle_ms: u32) {
        self.throttle_all_ms = throttle_ms;
    }

    /// Lets a node answer `KAFKA_STORAGE_ERROR` to every Produce, or take records again.
    pub fn set_disk_full(&mut self, node: i32, full: bool) {
        if let Some(node) = self.node_mut(node) {
            node.disk_full = full;
        }
    }

    /// Denies a topic to everybody: `TOPIC_AUTHORIZATION_FAILED`, whether it exists or not.
    pub fn deny_topic(&mut self, topic: &str) {
        self.denied_topics.insert(topic.to_owned());
    }

    /// Takes [`Cluster::deny_topic`] back.
    pub fn allow_topic(&mut self, topic: &str) {
        self.denied_topics.remove(topic);
    }

    /// Denies producer ids to everybody (`CLUSTER_AUTHORIZATION_FAILED` from InitProducerId), or allows them again.
    pub fn set_idempotent_write_denied(&mut self, denied: bool) {
        self.idempotent_write_denied = denied;
    }

    /// Sets the next producer id that is issued.
    pub fn set_next_producer_id(&mut self, producer_id: i64) {
        self.next_producer_id = producer_id;
    }

    /// Sets the epoch that producers begin with. Kafka's is 0; near the end of its range it shows what a client does then.
    pub fn set_next_producer_epoch(&mut self, epoch: i16) {
        self.next_producer_epoch = epoch;
    }

    /// Changes the latency of answers from now on.
    pub fn set_latency(&mut self, latency_ms: u64) {
        self.options.latency_ms = latency_ms;
    }

    /// Adds a fault rule; of several that are due, the oldest acts.
    pub fn add_rule(&mut self, rule: Rule) -> RuleId {
        self.faults.add(rule)
    }

    /// Removes a rule, if it is not spent already.
    pub fn remove_rule(&mut self, rule: RuleId) {
        self.faults.remove(rule);
    }

    /// Draws faults for every request that no rule acts on, or no more.
    pub fn set_faults(&mut self, faults: Option<Faults>) {
        self.faults.set_seeded(faults);
    }

    /// Removes all rules and drawn faults. Connections that fell silent stay so; take their node down and up.
    pub fn clear_faults(&mut self) {
        self.faults.clear();
    }

    /// The node that Metadata names as the controller.
    pub(crate) fn controller(&self) -> i32 {
        self.nodes.iter().find(|node| node.up).map_or(-1, |node| node.id)
    }
}
