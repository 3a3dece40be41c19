//! The cluster: its nodes, connections and topics, and how a request is handled.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use crate::fault::{Action, Chosen, FaultPlan, Forced};
use crate::fetch::Sessions;
use crate::group::Group;
use crate::inspect::Counters;
use crate::options::{Api, Options, TopicOptions};
use crate::random::Random;
use crate::request::{Answer, Context, Request, is_valid_topic_name};
use crate::sent::Sent;
use crate::topic::{Leadership, Partition, Topic, TopicView};

/// A Kafka cluster as a value: requests and events go in with the time, answers come out.
///
/// Nothing happens in it but by its methods, and equal calls give equal bytes. Times are milliseconds of any clock that
/// does not go back; for record timestamps and producer expiry to mean anything, since the Unix epoch.
#[derive(Debug, Clone)]
pub struct Cluster {
    pub(crate) options: Options,
    pub(crate) nodes: Vec<Node>,
    pub(crate) topics: BTreeMap<String, Topic>,
    pub(crate) topic_names: BTreeMap<Uuid, String>,
    pub(crate) connections: BTreeMap<ConnectionId, Connection>,
    pub(crate) next_connection: u64,
    pub(crate) next_producer_id: i64,
    pub(crate) next_producer_epoch: i16,
    pub(crate) random: Random,
    pub(crate) now_ms: u64,
    /// When the next pending election is due, so that a request without one costs one comparison.
    pub(crate) next_election_ms: u64,
    pub(crate) log_bytes: usize,
    pub(crate) throttle_all_ms: u32,
    pub(crate) denied_topics: BTreeSet<String>,
    pub(crate) idempotent_write_denied: bool,
    pub(crate) hidden_topics: Vec<Hidden>,
    pub(crate) groups: BTreeMap<String, Group>,
    pub(crate) sessions: Sessions,
    pub(crate) faults: FaultPlan,
    pub(crate) counters: Counters,
    /// The requests of each connection, if they are kept.
    pub(crate) captured: Option<BTreeMap<ConnectionId, Vec<Vec<u8>>>>,
    /// The batches of producers with sequences, if they are watched.
    pub(crate) sent: Option<Sent>,
}

#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) id: i32,
    pub(crate) host: StrBytes,
    pub(crate) port: i32,
    pub(crate) rack: Option<StrBytes>,
    pub(crate) up: bool,
    pub(crate) disk_full: bool,
    /// What the node goes on answering to Metadata.
    pub(crate) stale: Option<StaleView>,
}

#[derive(Debug, Clone)]
pub(crate) struct StaleView {
    pub(crate) brokers: Vec<i32>,
    pub(crate) controller: i32,
    pub(crate) topics: BTreeMap<String, TopicView>,
}

#[derive(Debug, Clone)]
pub(crate) struct Hidden {
    pub(crate) topic: String,
    pub(crate) node: Option<i32>,
    pub(crate) until_ms: u64,
}

/// A connection to a node. Ids are never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub(crate) u64);

#[derive(Debug, Clone)]
pub(crate) struct Connection {
    pub(crate) node: i32,
    /// When the last answer leaves; no later one may leave before it.
    last_at_ms: u64,
    /// Since when the client can know that it is throttled, and until when it has to be silent.
    throttled_at_ms: u64,
    muted_until_ms: u64,
    pub(crate) throttle_ms: Option<u32>,
    /// Its answer in progress will never come, and so no later one.
    silent: bool,
}

/// The answer to one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// When the answer leaves, or the connection closes. Never earlier than the one before it on its connection.
    pub at_ms: u64,
    /// The whole frame with its length prefix. `None`: no answer (`acks=0`, or a fault).
    pub bytes: Option<Vec<u8>>,
    /// Whether the connection closes after it. The cluster has then already forgotten the connection.
    pub close: bool,
}

impl Cluster {
    /// A cluster with all nodes up and no topics.
    pub fn new(options: Options) -> Cluster {
        let nodes = (0..options.nodes.max(1))
            .map(|index| Node {
                id: index as i32 + 1,
                host: StrBytes::from_string(options.host.clone()),
                port: (options.ports.get(index)).map_or(9092 + index as i32, |port| i32::from(*port)),
                rack: options.racks.get(index).cloned().map(StrBytes::from_string),
                up: true,
                disk_full: false,
                stale: None,
            })
            .collect();
        Cluster {
            nodes,
            topics: BTreeMap::new(),
            topic_names: BTreeMap::new(),
            connections: BTreeMap::new(),
            next_connection: 0,
            next_producer_id: 0,
            next_producer_epoch: 0,
            random: Random::new(options.seed),
            now_ms: 0,
            next_election_ms: u64::MAX,
            log_bytes: 0,
            throttle_all_ms: 0,
            denied_topics: BTreeSet::new(),
            idempotent_write_denied: false,
            hidden_topics: Vec::new(),
            groups: BTreeMap::new(),
            sessions: Sessions::default(),
            faults: FaultPlan::default(),
            counters: Counters::default(),
            captured: None,
            sent: None,
            options,
        }
    }

    /// Creates a topic with the cluster's defaults, known to everybody at once. False if it exists or its name or
    /// number of partitions is not valid. Partition p is led by node `1 + p % nodes`, or the next one that is up.
    pub fn create_topic(&mut self, name: &str, partitions: i32) -> bool {
        self.create_topic_with(name, partitions, TopicOptions::default())
    }

    /// Creates a topic, as [`Cluster::create_topic`].
    pub fn create_topic_with(&mut self, name: &str, partitions: i32, options: TopicOptions) -> bool {
        if partitions <= 0 || !is_valid_topic_name(name) || self.topics.contains_key(name) {
            return false;
        }
        self.insert_topic(name, partitions, options, 0);
        true
    }

    pub(crate) fn insert_topic(&mut self, name: &str, partitions: i32, options: TopicOptions, known_at_ms: u64) {
        let id = Uuid::from_u64_pair(self.random.next(), self.random.next());
        let nodes = self.nodes.len();
        let replication =
            options.replication_factor.unwrap_or(self.options.replication_factor).clamp(1, nodes.max(1) as i16)
                as usize;
        let partitions = (0..partitions as usize)
            .map(|index| {
                let replicas: Vec<i32> =
                    (0..replication).map(|replica| self.nodes[(index + replica) % nodes].id).collect();
                let in_sync: Vec<i32> = (replicas.iter().copied()).filter(|id| self.is_up(*id)).collect();
                Partition::new(Leadership {
                    leader: in_sync.first().copied().unwrap_or(-1),
                    leader_epoch: 0,
                    in_sync: if in_sync.is_empty() { replicas.clone() } else { in_sync },
                    replicas,
                })
            })
            .collect();
        self.topic_names.insert(id, name.to_owned());
        self.topics.insert(name.to_owned(), Topic { id, options, known_at_ms, partitions });
    }

    /// Deletes a topic and its logs. False if there is none.
    pub fn delete_topic(&mut self, name: &str) -> bool {
        let Some(topic) = self.topics.remove(name) else {
            return false;
        };
        self.topic_names.remove(&topic.id);
        let size: usize = topic.partitions.iter().map(|partition| partition.log.size()).sum();
        self.log_bytes -= size;
        true
    }

    /// Opens a connection to a node. `None`: the node is down, or there is none of that id.
    pub fn connect(&mut self, node: i32) -> Option<ConnectionId> {
        if !self.is_up(node) {
            return None;
        }
        let id = ConnectionId(self.next_connection);
        self.next_connection += 1;
        self.connections.insert(
            id,
            Connection {
                node,
                last_at_ms: 0,
                throttled_at_ms: u64::MAX,
                muted_until_ms: 0,
                throttle_ms: None,
                silent: false,
            },
        );
        *self.counters.connections_opened.entry(node).or_default() += 1;
        Some(id)
    }

    /// The client closed a connection.
    pub fn disconnect(&mut self, connection: ConnectionId) {
        self.connections.remove(&connection);
    }

    /// Whether the cluster still knows a connection: not if either side closed it or its node went down.
    pub fn is_connected(&self, connection: ConnectionId) -> bool {
        self.connections.contains_key(&connection)
    }

    pub(crate) fn is_up(&self, node: i32) -> bool {
        self.node(node).is_some_and(|node| node.up)
    }

    pub(crate) fn node(&self, id: i32) -> Option<&Node> {
        let index = usize::try_from(id.checked_sub(1)?).ok()?;
        self.nodes.get(index)
    }

    pub(crate) fn node_mut(&mut self, id: i32) -> Option<&mut Node> {
        let index = usize::try_from(id.checked_sub(1)?).ok()?;
        self.nodes.get_mut(index)
    }

    /// Handles one whole request frame, without its length prefix.
    ///
    /// On a connection that is unknown or no longer open the answer is to close it. A request that Kafka would not
    /// understand, or that the release does not offer, closes the connection without a word, as Kafka does. Unlike
    /// Kafka, so does a request with bytes left over: it is a mistake that a client should hear of.
    pub fn handle(&mut self, connection: ConnectionId, request: &[u8], now_ms: u64) -> Reply {
        let now_ms = self.advance(now_ms);
        let grace_ms = self.options.throttle_grace_ms;
        let Some(state) = self.connections.get_mut(&connection) else {
            return Reply { at_ms: now_ms, bytes: None, close: true };
        };
        if let Some(captured) = &mut self.captured {
            captured.entry(connection).or_default().push(request.to_vec());
        }
        if state.silent {
            return Reply { at_ms: now_ms.max(state.last_at_ms), bytes: None, close: false };
        }
        let node = state.node;
        if now_ms < state.muted_until_ms && now_ms > state.throttled_at_ms.saturating_add(grace_ms) {
            self.counters.throttle_violations += 1;
        }
        let begin_ms = now_ms.max(state.muted_until_ms);
        let begin_ms = match self.options.one_request_at_a_time {
            true => begin_ms.max(state.last_at_ms),
            false => begin_ms,
        };
        let throttle_ms = state.throttle_ms.unwrap_or(self.throttle_all_ms);

        let mut delay_ms = self.options.latency_ms;
        let mut silent = false;
        // ApiVersions 0, which also refuses newer ones, has no field for it: who is not told is not muted.
        let mut told = true;
        let mut answer = match Request::read(request, &self.options) {
            None => {
                self.counters.refused_requests += 1;
                Answer::close()
            }
            Some(request) => {
                let key = (request.api.key(), request.version);
                told = request.api != Api::ApiVersions || (request.offered && request.version >= 1);
                *self.counters.requests.entry(key).or_default() += 1;
                if request.api == Api::Produce {
                    self.note_sent(&request);
                }
                let context = Context {
                    node,
                    version: request.version,
                    correlation_id: request.correlation_id,
                    now_ms,
                    throttle_ms: i32::try_from(throttle_ms).unwrap_or(i32::MAX),
                };
                match self.faults.choose(request.api, node) {
                    None => self.serve(&request, &context, None),
                    Some(chosen) => {
                        self.counters.faults += 1;
                        // Nor does anybody hear it in garbage.
                        told &= !matches!(chosen.action, Action::Garbage(_) | Action::WrongCorrelation);
                        self.serve_with_fault(&request, &context, chosen, &mut delay_ms, &mut silent)
                    }
                }
            }
        };
        delay_ms = delay_ms.saturating_add(answer.wait_ms);

        // A handler may have taken the node down only by way of a caller, so the connection is still there.
        let Some(state) = self.connections.get_mut(&connection) else {
            return Reply { at_ms: begin_ms, bytes: None, close: true };
        };
        let at_ms = begin_ms.saturating_add(delay_ms).max(state.last_at_ms);
        state.last_at_ms = at_ms;
        state.silent = silent;
        if throttle_ms > 0 && told && answer.frame.is_some() && !answer.close {
            state.throttled_at_ms = at_ms;
            state.muted_until_ms = at_ms.saturating_add(u64::from(throttle_ms));
        }
        if answer.close {
            self.connections.remove(&connection);
        }
        Reply { at_ms, bytes: answer.frame.take(), close: answer.close }
    }

    fn serve_with_fault(
        &mut self,
        request: &Request<'_>,
        context: &Context,
        chosen: Chosen,
        delay_ms: &mut u64,
        silent: &mut bool,
    ) -> Answer {
        let forced = |code, applied| Forced { code, applied, partition: chosen.partition };
        match chosen.action {
            Action::Error(code) => self.serve(request, context, Some(&forced(code, false))),
            Action::ApplyThenError(code) => self.serve(request, context, Some(&forced(code, true))),
            Action::DropBefore => Answer::close(),
            Action::ApplyThenDrop => {
                self.serve(request, context, None);
                Answer::close()
            }
            Action::Delay(by_ms) => {
                *delay_ms = delay_ms.saturating_add(by_ms);
                self.serve(request, context, None)
            }
            Action::Silence => {
                *silent = true;
                Answer::default()
            }
            Action::ApplyThenSilence => {
                let answer = self.serve(request, context, None);
                *silent = !answer.close;
                Answer { frame: None, ..answer }
            }
            Action::Garbage(bytes) => Answer { frame: Some(bytes), ..self.serve(request, context, None) },
            Action::WrongCorrelation => {
                let mut answer = self.serve(request, context, None);
                if let Some(frame) = &mut answer.frame {
                    let wrong = context.correlation_id.wrapping_add(1);
                    frame[4..8].copy_from_slice(&wrong.to_be_bytes());
                }
                answer
            }
            Action::CutAfter(length) => {
                let mut answer = self.serve(request, context, None);
                if let Some(frame) = &mut answer.frame {
                    frame.truncate(length);
                }
                answer.close = true;
                answer
            }
        }
    }

    fn serve(&mut self, request: &Request<'_>, context: &Context, forced: Option<&Forced>) -> Answer {
        let answer = match request.api {
            Api::ApiVersions => self.api_versions(request, context, forced),
            Api::Metadata => self.metadata(request, context, forced),
            Api::InitProducerId => self.init_producer_id(request, context, forced),
            Api::Produce => self.produce(request, context, forced),
            Api::CreateTopics => self.create_topics(request, context, forced),
            Api::ListOffsets => self.list_offsets(request, context, forced),
            Api::Fetch => self.fetch(request, context, forced),
            Api::OffsetForLeaderEpoch => self.offset_for_leader_epoch(request, context, forced),
            Api::FindCoordinator => self.find_coordinator(request, context, forced),
            Api::OffsetCommit => self.offset_commit(request, context, forced),
            Api::OffsetFetch => self.offset_fetch(request, context, forced),
        };
        answer.unwrap_or_else(|| {
            self.counters.refused_requests += 1;
            Answer::close()
        })
    }
}
