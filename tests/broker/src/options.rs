//! What a cluster is made of and which Kafka release it poses as.

/// The APIs that the stand-in serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i16)]
#[non_exhaustive]
pub enum Api {
    /// Appends record batches.
    Produce = 0,
    /// Reads record batches.
    Fetch = 1,
    /// Finds offsets by time, or the ends of a log.
    ListOffsets = 2,
    /// Tells brokers, topics, partitions and their leaders.
    Metadata = 3,
    /// Keeps a group's positions.
    OffsetCommit = 8,
    /// Tells a group's positions.
    OffsetFetch = 9,
    /// Tells which node keeps a group.
    FindCoordinator = 10,
    /// Tells which APIs and versions there are.
    ApiVersions = 18,
    /// Creates topics.
    CreateTopics = 19,
    /// Issues producer ids.
    InitProducerId = 22,
    /// Tells where the records of a leader epoch end.
    OffsetForLeaderEpoch = 23,
}

impl Api {
    /// Every API that the stand-in serves, by key.
    pub const ALL: [Api; 11] = [
        Api::Produce,
        Api::Fetch,
        Api::ListOffsets,
        Api::Metadata,
        Api::OffsetCommit,
        Api::OffsetFetch,
        Api::FindCoordinator,
        Api::ApiVersions,
        Api::CreateTopics,
        Api::InitProducerId,
        Api::OffsetForLeaderEpoch,
    ];

    /// The key on the wire.
    pub const fn key(self) -> i16 {
        self as i16
    }

    /// The API of a key on the wire, if the stand-in serves it.
    pub fn from_key(key: i16) -> Option<Api> {
        Api::ALL.into_iter().find(|api| api.key() == key)
    }

    /// The first version whose messages are flexible (compact lengths and tagged fields).
    pub(crate) const fn flexible_from(self) -> i16 {
        match self {
            Api::Produce | Api::Metadata => 9,
            Api::Fetch => 12,
            Api::OffsetCommit => 8,
            Api::ListOffsets | Api::OffsetFetch => 6,
            Api::OffsetForLeaderEpoch => 4,
            Api::ApiVersions | Api::FindCoordinator => 3,
            Api::CreateTopics => 5,
            Api::InitProducerId => 2,
        }
    }
}

/// The Kafka release that a cluster poses as: the versions it offers and the rules that changed over time.
///
/// Versions older than the message codec knows are not offered: Produce before 3, Fetch before 4,
/// ListOffsets 0 and 11, CreateTopics before 2, OffsetCommit before 2 and after 9, OffsetFetch 0 and after 9,
/// OffsetForLeaderEpoch before 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Release {
    /// Kafka 2.1: nothing flexible, and a forgotten producer is answered with `UNKNOWN_PRODUCER_ID`.
    V2_1,
    /// Kafka 2.6: mostly flexible; a Fetch does not tell of a truncated log.
    V2_6,
    /// Kafka 2.8: flexible, without leader hints in Produce and without topic ids in requests.
    V2_8,
    /// Kafka 3.9: leader hints in Produce (KIP-951).
    V3_9,
    /// Kafka 4.3: Produce by topic id.
    V4_3,
}

impl Release {
    /// Every release that can be posed as, oldest first.
    pub const ALL: [Release; 5] = [Release::V2_1, Release::V2_6, Release::V2_8, Release::V3_9, Release::V4_3];

    /// The lowest and highest version of an API that this release offers.
    pub const fn versions(self, api: Api) -> (i16, i16) {
        match self {
            Release::V2_1 => match api {
                Api::Produce => (3, 7),
                Api::Fetch => (4, 10),
                Api::ListOffsets => (1, 4),
                Api::Metadata => (0, 7),
                Api::ApiVersions => (0, 2),
                Api::CreateTopics => (2, 3),
                Api::InitProducerId => (0, 1),
                Api::OffsetCommit => (2, 6),
                Api::OffsetFetch => (1, 5),
                Api::FindCoordinator => (0, 2),
                Api::OffsetForLeaderEpoch => (2, 2),
            },
            Release::V2_6 => match api {
                Api::Produce => (3, 8),
                Api::Fetch => (4, 11),
                Api::ListOffsets => (1, 5),
                Api::Metadata => (0, 9),
                Api::ApiVersions => (0, 3),
                Api::CreateTopics => (2, 5),
                Api::InitProducerId => (0, 3),
                Api::OffsetCommit => (2, 8),
                Api::OffsetFetch => (1, 7),
                Api::FindCoordinator => (0, 3),
                Api::OffsetForLeaderEpoch => (2, 3),
            },
            Release::V2_8 => match api {
                Api::Produce => (3, 9),
                Api::Fetch => (4, 12),
                Api::ListOffsets => (1, 6),
                Api::Metadata => (0, 11),
                Api::ApiVersions => (0, 3),
                Api::CreateTopics => (2, 7),
                Api::InitProducerId => (0, 4),
                Api::OffsetCommit => (2, 8),
                Api::OffsetFetch => (1, 7),
                Api::FindCoordinator => (0, 3),
                Api::OffsetForLeaderEpoch => (2, 4),
            },
            Release::V3_9 => match api {
                Api::Produce => (3, 11),
                Api::Fetch => (4, 17),
                Api::ListOffsets => (1, 9),
                Api::Metadata => (0, 12),
                Api::ApiVersions => (0, 4),
                Api::CreateTopics => (2, 7),
                Api::InitProducerId => (0, 5),
                Api::OffsetCommit => (2, 9),
                Api::OffsetFetch => (1, 9),
                Api::FindCoordinator => (0, 6),
                Api::OffsetForLeaderEpoch => (2, 4),
            },
            Release::V4_3 => match api {
                Api::Produce => (3, 13),
                Api::Fetch => (4, 18),
                Api::ListOffsets => (1, 10),
                Api::Metadata => (0, 13),
                Api::ApiVersions => (0, 4),
                Api::CreateTopics => (2, 7),
                Api::InitProducerId => (0, 5),
                Api::OffsetCommit => (2, 9),
                Api::OffsetFetch => (1, 9),
                Api::FindCoordinator => (0, 6),
                Api::OffsetForLeaderEpoch => (2, 4),
            },
        }
    }

    /// Whether this release offers a version of an API.
    pub const fn offers(self, api: Api, version: i16) -> bool {
        let (lowest, highest) = self.versions(api);
        lowest <= version && version <= highest
    }
}

/// How a cluster is set up. Start from [`Options::default`] and change what matters.
#[derive(Debug, Clone)]
pub struct Options {
    /// The number of nodes; their ids are 1 to this number.
    pub nodes: usize,
    /// The host that every node advertises.
    pub host: String,
    /// The port that each node advertises, node 1 first. A node beyond the end advertises 9091 + its id.
    pub ports: Vec<u16>,
    /// The rack of each node, node 1 first. A node beyond the end has none.
    pub racks: Vec<String>,
    /// Whether the last batch of an answer to Fetch is cut where the bytes end that it may have, as Kafka does. If false it
    /// is left out.
    pub cut_batches: bool,
    /// The cluster id in Metadata.
    pub cluster_id: String,
    /// The release to pose as.
    pub release: Release,
    /// `num.partitions`: partitions of a topic that is created without a number.
    pub default_partitions: i32,
    /// `default.replication.factor`, cut to the number of nodes.
    pub replication_factor: i16,
    /// `auto.create.topics.enable`.
    pub auto_create_topics: bool,
    /// How long a topic created by Metadata or CreateTopics stays unknown to Metadata.
    pub creation_ms: u64,
    /// How long the partitions of a downed node have no leader.
    pub election_ms: u64,
    /// Time from a request's processing to its answer.
    pub latency_ms: u64,
    /// Whether a connection's next request is only begun when the answer before it has left, as Kafka does: then
    /// pipelined requests add their latencies. If false, each answer takes `latency_ms` from its request.
    pub one_request_at_a_time: bool,
    /// `message.max.bytes`: the largest record batch, header included.
    pub max_message_bytes: usize,
    /// `min.insync.replicas`, for `acks=all`.
    pub min_insync_replicas: usize,
    /// `producer.id.expiration.ms`. Kafka compares it with the *timestamp of the producer's last batch*, which the
    /// client may have set: a producer without a clock is forgotten at the next check.
    pub producer_id_expiration_ms: u64,
    /// `producer.id.expiration.check.interval.ms`: expired producers are forgotten when `now` passes a multiple of it.
    pub producer_id_expiration_check_ms: u64,
    /// Bytes of record batches to keep in the whole cluster; beyond it the largest partition loses its oldest batches.
    /// `None` keeps everything.
    pub retention_bytes: Option<usize>,
    /// Requests that arrive up to this long after a throttling answer left are not counted as violations: the time the
    /// answer takes to its client.
    pub throttle_grace_ms: u64,
    /// What topic ids are drawn from.
    pub seed: u64,
}

impl Default for Options {
    /// One node that poses as 4.3, at once and without faults; topics are created on demand with one partition.
    fn default() -> Self {
        Options {
            nodes: 1,
            host: "127.0.0.1".to_owned(),
            ports: Vec::new(),
            racks: Vec::new(),
            cut_batches: false,
            cluster_id: "demitasse-stand-in".to_owned(),
            release: Release::V4_3,
            default_partitions: 1,
            replication_factor: 3,
            auto_create_topics: true,
            creation_ms: 0,
            election_ms: 100,
            latency_ms: 0,
            one_request_at_a_time: true,
            max_message_bytes: 1_048_588,
            min_insync_replicas: 1,
            producer_id_expiration_ms: 86_400_000,
            producer_id_expiration_check_ms: 600_000,
            retention_bytes: None,
            throttle_grace_ms: 0,
            seed: 0,
        }
    }
}

/// How a topic is set up. [`TopicOptions::default`] takes everything from the cluster's [`Options`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicOptions {
    /// The replication factor, cut to the number of nodes.
    pub replication_factor: Option<i16>,
    /// `message.timestamp.type=LogAppendTime` if true, `CreateTime` otherwise.
    pub log_append_time: bool,
    /// `cleanup.policy=compact`: a record without a key is refused. Nothing is ever compacted.
    pub compacted: bool,
    /// `max.message.bytes`.
    pub max_message_bytes: Option<usize>,
    /// `min.insync.replicas`.
    pub min_insync_replicas: Option<usize>,
    /// `message.timestamp.after.max.ms`: a record further in the future is refused with `INVALID_TIMESTAMP`. Kafka 4
    /// has one hour; here there is no limit unless asked for, since a simulation's clock may start at zero.
    pub timestamp_after_max_ms: Option<i64>,
}
