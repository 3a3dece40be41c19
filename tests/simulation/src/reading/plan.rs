//! What a seed stands for when somebody reads.

use crate::network::{FIRST_PORT, Weather};
use crate::plan::{chance, draw_faults, draw_weather};
use demitasse_broker::{Options, Probabilities, Release};
use demitasse_core::protocol::IsolationLevel;
use demitasse_core::{CONTROL_REQUESTS, Capacities, Config, Name, OffsetReset, WaitersFull};
use fastrand::Rng;
use std::time::Duration;

/// One run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where it all comes from.
    pub seed: u64,
    /// Of the client: mostly tiny.
    pub capacities: Capacities,
    /// Chunks of fetch memory.
    pub chunks: u16,
    /// Bytes of each.
    pub chunk_bytes: u32,
    /// Of the client.
    pub config: Config,
    /// Of the cluster.
    pub options: Options,
    /// Partitions of each topic.
    pub topics: Vec<i32>,
    /// Of the network, until all heals.
    pub weather: Weather,
    /// Of the brokers, until all heals.
    pub faults: Probabilities,
    /// What else happens, in order of time.
    pub events: Vec<(u64, Event)>,
    /// Batches written to each partition.
    pub batches: u32,
    /// The longest pause between two, in microseconds.
    pub pause: u64,
    /// The most records in one, and the most bytes of all their values.
    pub records: (u32, usize),
    /// Whether every fourth batch, unless it is compressed, is larger than a chunk.
    pub large: bool,
    /// Tasks that poll.
    pub readers: u32,
    /// Times in 1000 polls that a reader does something else: pauses, seeks, commits.
    pub restless: u32,
    /// When all heals, in microseconds.
    pub heal_at: u64,
    /// Whether half of the batches are of transactions.
    pub transactions: bool,
    /// Whether logs have gaps, as compaction leaves them.
    pub sparse: bool,
    /// Whether readers go elsewhere while they hold what was lent, hold it for long, leave partitions alone for a while, and
    /// say themselves what is to be committed.
    pub unruly: bool,
    /// Whether brokers lie until all heals: then it counts that nothing breaks, and that all is as it should be behind it.
    pub lies: bool,
}

/// Something that happens to the cluster or the client.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "named after the methods of `Cluster`")]
pub enum Event {
    NodeDown(i32),
    NodeUp(i32),
    MoveLeader {
        topic: usize,
        partition: i32,
        node: i32,
    },
    MoveCoordinator(i32),
    StaleMetadata {
        node: i32,
        stale: bool,
    },
    HideTopic {
        topic: usize,
        node: i32,
        millis: u64,
    },
    Throttle(u32),
    ForgetSessions,
    /// Retention: all but the last so many records.
    DeleteRecords {
        topic: usize,
        partition: i32,
        back: i64,
    },
    /// An unclean election: the last so many records.
    LoseRecords {
        topic: usize,
        partition: i32,
        back: i64,
    },
    DeleteTopic(usize),
    /// One of the same name and as many partitions, unless there is one.
    MakeTopic(usize),
    /// The client's task for a slot is dropped, and begun anew.
    DropConnectionTask(u16),
    /// The client's clock task is dropped, and begun anew.
    DropClockTask,
}

impl Plan {
    /// Draws everything from `seed`.
    pub fn draw(seed: u64) -> Plan {
        let mut plan = Plan::draw_plain(seed);
        // Of its own numbers, so that the rest of each seed is as it was before there was all this.
        let rng = &mut Rng::with_seed(seed ^ 0x4832);
        let (transactions, sparse, unruly) = (chance(rng, 60), chance(rng, 60), chance(rng, 70));
        (plan.transactions, plan.sparse, plan.unruly) = (transactions, sparse, unruly);
        if chance(rng, 60) {
            plan.config.isolation_level = IsolationLevel::ReadCommitted;
        }
        plan.options.cut_batches = chance(rng, 50);
        plan.lies = chance(rng, 15);
        if plan.lies {
            // A liar decodes what it alters, and would make room for whatever garbage says that it has.
            plan.faults.garbage = 0;
        }
        if chance(rng, 25) {
            // Else whoever asks for the topic meanwhile would make it, with one partition.
            plan.options.auto_create_topics = false;
            let (topic, at) = (rng.usize(0..plan.topics.len()), rng.u64(0..plan.heal_at));
            let again = if rng.bool() { at } else { at + rng.u64(0..=2_000_000) };
            plan.events.extend([(at, Event::DeleteTopic(topic)), (again, Event::MakeTopic(topic))]);
            plan.events.retain(|(at, _)| *at < plan.heal_at);
            plan.events.sort_by_key(|(at, _)| *at);
        }
        plan
    }

    /// The plan without transactions and whatever else was added after them: what seeds stood for until then.
    pub fn draw_plain(seed: u64) -> Plan {
        let rng = &mut Rng::with_seed(seed ^ 0x7ead);
        let nodes = if chance(rng, 30) { 1 } else { rng.i32(2..=4) };
        let heal_at = rng.u64(500_000..8_000_000);
        let calm = chance(rng, 15);
        let topics: Vec<i32> = (0..rng.usize(1..=2)).map(|_| rng.i32(1..=5)).collect();
        let connections = if chance(rng, 30) { 1 } else { rng.u16(1..=4) };
        let chunk_bytes = rng.u32(400..=3_000);
        let mut config = draw_config(rng);
        // The model counts whole batches: of more it would never have enough for a chunk.
        config.fetch_min_bytes = config.fetch_min_bytes.min(chunk_bytes / 4);
        let weather = if calm { Weather { latency: 300, ..Weather::default() } } else { draw_weather(rng) };
        let faults = if calm || chance(rng, 30) { Probabilities::default() } else { draw_faults(rng) };
        let events = if calm { Vec::new() } else { draw_events(rng, nodes, &topics, connections, heal_at) };
        let group = usize::from(!config.group_id.is_empty());
        let racks = (0..nodes).map(|node| format!("r{}", node % 2)).collect();
        let options = Options {
            nodes: nodes as usize,
            host: "broker".to_owned(),
            ports: (0..nodes as u16).map(|i| FIRST_PORT + i).collect(),
            racks: if chance(rng, 50) { racks } else { Vec::new() },
            replication_factor: rng.i16(1..=3),
            release: *rng.choice(&[Release::V2_6, Release::V2_8, Release::V3_9, Release::V4_3]).unwrap(),
            latency_ms: rng.u64(0..=3),
            one_request_at_a_time: chance(rng, 70),
            throttle_grace_ms: 2 * (weather.latency + weather.jitter) / 1000 + 2,
            ..Options::default()
        };
        let capacities = Capacities {
            batch_bytes: 0,
            buffers: 0,
            batches: 0,
            partitions: 12,
            topics: 2,
            topic_name_bytes: 8,
            brokers: (nodes.max(2) as usize + group) as u16 + if chance(rng, 50) { 0 } else { 2 },
            host_bytes: 8,
            connections,
            requests: 1 + CONTROL_REQUESTS as u16,
            waiters: 40,
            frame_bytes: rng.u32(420..=1_000),
            receive_bytes: rng.u32(120..=600),
        };
        Plan {
            seed,
            capacities,
            chunks: if chance(rng, 30) { 1 } else { rng.u16(2..=5) },
            chunk_bytes,
            config,
            options,
            topics,
            weather,
            faults,
            events,
            batches: rng.u32(1..=60),
            pause: if chance(rng, 30) { 0 } else { rng.u64(0..=200_000) },
            // Such a batch fits into a chunk beside what describes it.
            records: (rng.u32(1..=6), (chunk_bytes as usize - 260).min(rng.usize(100..=2_000))),
            // Not drawn, so that the rest of each seed is as it was.
            large: seed.is_multiple_of(3),
            readers: if chance(rng, 70) { 1 } else { 2 },
            restless: if chance(rng, 40) { 0 } else { rng.u32(0..=200) },
            heal_at,
            transactions: false,
            sparse: false,
            unruly: false,
            lies: false,
        }
    }

    /// Whether only what was committed is read.
    pub fn reads_committed(&self) -> bool {
        self.config.isolation_level == IsolationLevel::ReadCommitted
    }

    /// Whether positions are kept.
    pub fn has_group(&self) -> bool {
        !self.config.group_id.is_empty()
    }
}

fn draw_config(rng: &mut Rng) -> Config {
    let mut config = Config::new();
    config.idempotence = false;
    config.max_in_flight = 1;
    config.request_timeout = Duration::from_millis(rng.u64(800..=3_000));
    config.max_block = Duration::from_millis(rng.u64(200..=20_000));
    config.retry_backoff = Duration::from_millis(rng.u64(1..=100));
    config.connection_setup_timeout = Duration::from_millis(rng.u64(50..=1_000));
    config.connections_max_idle = Duration::from_millis(if chance(rng, 20) { rng.u64(20..=500) } else { 540_000 });
    config.metadata_max_age = Duration::from_millis(if chance(rng, 20) { rng.u64(50..=1_000) } else { 300_000 });
    config.fetch_max_wait = Duration::from_millis(rng.u64(0..=500));
    config.fetch_min_bytes = if chance(rng, 80) { 1 } else { rng.u32(1..=2_000) };
    config.offset_reset = *rng.choice(&[OffsetReset::None, OffsetReset::Earliest, OffsetReset::Latest]).unwrap();
    if chance(rng, 60) {
        config.group_id = Name::new(super::GROUP);
    }
    if chance(rng, 30) {
        config.client_rack = Name::new("r1");
    }
    // With `Spin` virtual time could not go on while somebody asks again and again.
    config.waiters_full = WaitersFull::Refuse;
    config
}

fn draw_events(rng: &mut Rng, nodes: i32, topics: &[i32], connections: u16, heal_at: u64) -> Vec<(u64, Event)> {
    let mut events: Vec<(u64, Event)> = (0..rng.usize(0..=14))
        .map(|_| {
            let node = rng.i32(1..=nodes);
            let topic = rng.usize(0..topics.len());
            let partition = rng.i32(0..topics[topic]);
            let back = if rng.bool() { rng.i64(0..=5) } else { rng.i64(0..=100) };
            let event = match rng.u32(0..16) {
                0 | 1 => Event::NodeDown(node),
                2 => Event::NodeUp(node),
                3..=5 => Event::MoveLeader { topic, partition, node },
                6 => Event::MoveCoordinator(node),
                7 => Event::StaleMetadata { node, stale: rng.bool() },
                8 => Event::HideTopic { topic, node, millis: rng.u64(0..=2_000) },
                9 => Event::Throttle(rng.u32(0..=200)),
                10 => Event::ForgetSessions,
                11 | 12 => Event::DeleteRecords { topic, partition, back },
                13 | 14 => Event::LoseRecords { topic, partition, back },
                _ if rng.bool() => Event::DropClockTask,
                _ => Event::DropConnectionTask(rng.u16(0..connections)),
            };
            (rng.u64(0..heal_at), event)
        })
        .collect();
    events.sort_by_key(|(at, _)| *at);
    events
}
