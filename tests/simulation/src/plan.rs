//! What a seed stands for: capacities, settings, the cluster, the weather, what users do, and what goes wrong when.

use crate::network::{FIRST_PORT, Weather};
use demitasse_broker::{Options, Probabilities, Release};
use demitasse_core::{Acks, CONTROL_REQUESTS, Capacities, Config, Partitioner, UnknownOutcome, WaitersFull};
use fastrand::Rng;
use std::time::Duration;

/// One run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where it all comes from.
    pub seed: u64,
    /// Of the client: mostly tiny.
    pub capacities: Capacities,
    /// Of the client.
    pub config: Config,
    /// Of the cluster.
    pub options: Options,
    /// Partitions of the topics `t0`, `t1` and so on; zero: it does not exist at the start.
    pub topics: Vec<i32>,
    /// Of the network, until all heals.
    pub weather: Weather,
    /// Of the brokers, until all heals.
    pub faults: Probabilities,
    /// What else happens, in order of time.
    pub events: Vec<(u64, Event)>,
    /// What each user does.
    pub users: Vec<User>,
    /// When all heals, in microseconds.
    pub heal_at: u64,
    /// Nothing goes wrong at all, and there is time enough for everything.
    pub calm: bool,
    /// The epoch that the brokers begin with: near the end of its range renumbering needs a new producer id.
    pub first_epoch: i16,
    /// When all is done, the brokers forget the producer, and one more user sends in the weather of before.
    pub second_act: bool,
    /// Bytes of the largest batch that the topics take, if there is a limit.
    pub max_message_bytes: Option<usize>,
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
    DiskFull {
        node: i32,
        full: bool,
    },
    /// The client's task for a slot is dropped, and begun anew.
    DropConnectionTask(u16),
    /// The client's task for a slot is dropped, and begun anew when all heals.
    LeaveConnectionTask(u16),
    /// The client's clock task is dropped, and begun anew.
    DropClockTask,
    /// Every connection stops, and each goes on at a time of its own, within so many microseconds.
    StallLinks(u64),
    /// The wall clock is wrong by so many milliseconds from now on.
    WallClock(i64),
    /// Nobody may write to a topic, or all may again.
    DenyTopic {
        topic: usize,
        denied: bool,
    },
    /// Nobody gets a producer id, or all do again.
    DenyIds(bool),
    /// A topic has so many partitions more.
    AddPartitions {
        topic: usize,
        more: i32,
    },
    /// A topic is deleted and made again, with so many partitions.
    RemakeTopic {
        topic: usize,
        partitions: i32,
    },
}

/// One user: a task that sends.
#[derive(Clone, Debug)]
pub struct User {
    /// Of its own choices.
    pub seed: u64,
    /// How many calls it makes.
    pub calls: u32,
    /// The longest pause between two, in microseconds.
    pub pause: u64,
    /// The largest value, in bytes.
    pub value_bytes: usize,
    /// Calls that are dropped half-way, in 1000.
    pub abandons: u32,
    /// Partitions that it names: those below this number.
    pub partitions: i32,
    /// Records with a timestamp of their own, in 1000.
    pub timestamps: u32,
}

pub(crate) fn chance(rng: &mut Rng, per_cent: u32) -> bool {
    rng.u32(0..100) < per_cent
}

impl Plan {
    /// Draws everything from `seed`.
    pub fn draw(seed: u64) -> Plan {
        let rng = &mut Rng::with_seed(seed);
        let nodes = if chance(rng, 30) { 1 } else { rng.i32(2..=4) };
        let heal_at = rng.u64(500_000..8_000_000);
        let calm = chance(rng, 15);
        // Users name partitions up to 2 before they can know how many there are: when all is calm there are three.
        let least = if calm { 3 } else { 1 };
        let topics: Vec<i32> =
            (0..rng.usize(1..=2)).map(|_| if chance(rng, 30) { 0 } else { rng.i32(least..=5) }).collect();
        let mut config = draw_config(rng);
        let mut capacities = draw_capacities(rng, &config, nodes);
        if calm {
            (config.delivery_timeout, config.max_block) = (Duration::from_secs(60), Duration::from_secs(60));
            config.request_timeout = Duration::from_secs(3);
            config.connection_setup_timeout = Duration::from_secs(3);
            (capacities.partitions, capacities.waiters) = (12, 40);
        }
        let weather = if calm { Weather { latency: 300, ..Weather::default() } } else { draw_weather(rng) };
        let faults = if calm || chance(rng, 30) { Probabilities::default() } else { draw_faults(rng) };
        let events = if calm { Vec::new() } else { draw_events(rng, nodes, &topics, capacities.connections, heal_at) };
        let value_bytes = if chance(rng, 50) { 20 } else { capacities.batch_bytes as usize - 120 };
        let users = (0..rng.usize(1..=4))
            .map(|_| User {
                seed: rng.u64(..),
                calls: rng.u32(1..=40),
                pause: if chance(rng, 50) { 0 } else { rng.u64(0..=300_000) },
                value_bytes,
                abandons: if chance(rng, 50) { 0 } else { rng.u32(0..=400) },
                partitions: 3,
                timestamps: 0,
            })
            .collect();
        let options = Options {
            nodes: nodes as usize,
            host: "broker".to_owned(),
            ports: (0..nodes as u16).map(|i| FIRST_PORT + i).collect(),
            default_partitions: rng.i32(least..=4),
            release: *rng.choice(&[Release::V2_1, Release::V2_8, Release::V3_9, Release::V4_3]).unwrap(),
            latency_ms: rng.u64(0..=3),
            one_request_at_a_time: chance(rng, 70),
            // What is under way when the answer that asks for silence leaves is no breach of it.
            throttle_grace_ms: 2 * (weather.latency + weather.jitter) / 1000 + 2,
            ..Options::default()
        };
        let mut plan = Plan {
            seed,
            capacities,
            config,
            options,
            topics,
            weather,
            faults,
            events,
            users,
            heal_at,
            calm,
            first_epoch: 0,
            second_act: false,
            max_message_bytes: None,
        };
        plan.draw_rarities(rng);
        plan
    }

    /// What most runs do without. Drawn last, so that a new rarity leaves all else of a seed as it was.
    fn draw_rarities(&mut self, rng: &mut Rng) {
        if chance(rng, 10) {
            let wide = rng.i32(10..=40);
            self.topics.iter_mut().filter(|partitions| **partitions > 0).for_each(|partitions| *partitions = wide);
            self.options.default_partitions = wide;
            self.capacities.partitions = 2 * wide as u16 + 8;
            self.users.iter_mut().for_each(|user| user.partitions = wide);
        }
        if chance(rng, 10) {
            self.config.linger = Duration::from_millis(rng.u64(50..=800)).min(self.config.delivery_timeout / 2);
        }
        if chance(rng, 40) {
            let most = rng.u32(0..=1000);
            self.users.iter_mut().for_each(|user| user.timestamps = most);
        }
        if chance(rng, 20) {
            self.first_epoch = i16::MAX - rng.i16(0..=1);
        }
        if !self.config.idempotence && chance(rng, 50) {
            self.config.acks = Acks::None;
        }
        if !self.calm && chance(rng, 10) {
            self.events.push((rng.u64(0..self.heal_at), Event::StallLinks(rng.u64(1..3_000_000))));
            self.events.sort_by_key(|(at, _)| *at);
        }
        self.second_act = !self.calm && chance(rng, 15);
        #[cfg(feature = "server")]
        if chance(rng, 25) {
            self.config.connections_per_broker_min = rng.u8(1..=2);
            self.config.connections_per_broker_max = rng.u8(2..=4);
            self.config.connections_scale_interval = Duration::from_millis(rng.u64(1..=30));
            self.capacities.connections += rng.u16(0..=4);
        }
        if !self.calm && chance(rng, 10) {
            let slot = rng.u16(0..self.capacities.connections);
            self.events.push((rng.u64(0..self.heal_at), Event::LeaveConnectionTask(slot)));
            self.events.sort_by_key(|(at, _)| *at);
        }
        if !self.calm && chance(rng, 10) {
            let topic = rng.usize(0..self.topics.len());
            for denied in [true, false] {
                self.events.push((rng.u64(0..self.heal_at), Event::DenyTopic { topic, denied }));
            }
        }
        if !self.calm && chance(rng, 5) {
            for denied in [true, false] {
                self.events.push((rng.u64(0..self.heal_at), Event::DenyIds(denied)));
            }
        }
        if !self.calm && chance(rng, 10) {
            let event = Event::AddPartitions { topic: rng.usize(0..self.topics.len()), more: rng.i32(1..=3) };
            self.events.push((rng.u64(0..self.heal_at), event));
        }
        if !self.calm && !self.second_act && chance(rng, 10) {
            let event = Event::RemakeTopic { topic: rng.usize(0..self.topics.len()), partitions: rng.i32(1..=5) };
            self.events.push((rng.u64(0..self.heal_at), event));
        }
        if !self.calm && chance(rng, 10) {
            self.events.push((rng.u64(0..self.heal_at), Event::Throttle(rng.u32(200..=3_000))));
        }
        self.events.sort_by_key(|(at, _)| *at);
        if !self.calm && chance(rng, 10) {
            self.max_message_bytes = Some(rng.usize(100..=400));
        }
        if !self.calm && chance(rng, 10) {
            // As on the smallest device: everything at its least.
            let c = &mut self.capacities;
            (c.waiters, c.receive_bytes, c.frame_bytes) = (rng.u16(0..=1), 64 + 8, 128 + 8 + 64);
        }
        #[cfg(feature = "server")]
        if chance(rng, 10) {
            self.config.compression = demitasse_core::Compression::Lz4;
        }
    }
}

fn draw_config(rng: &mut Rng) -> Config {
    let mut config = Config::new();
    let idempotent = !chance(rng, 8);
    config.idempotence = idempotent;
    config.acks = if idempotent { Acks::All } else { Acks::Leader };
    config.max_in_flight = rng.u8(1..=5);
    config.linger = Duration::from_millis(*rng.choice(&[0, 0, 1, 5, 20]).unwrap());
    config.delivery_timeout = Duration::from_millis(rng.u64(300..=20_000));
    config.request_timeout = Duration::from_millis(rng.u64(100..=3_000));
    config.max_block = Duration::from_millis(rng.u64(50..=5_000));
    config.max_request_size = if chance(rng, 50) { 1 << 20 } else { rng.u32(1..=1_500) };
    config.retry_backoff = Duration::from_millis(rng.u64(1..=100));
    config.connection_setup_timeout = Duration::from_millis(rng.u64(50..=1_000));
    config.connections_max_idle = Duration::from_millis(if chance(rng, 20) { rng.u64(20..=500) } else { 540_000 });
    config.metadata_max_age = Duration::from_millis(if chance(rng, 20) { rng.u64(50..=1_000) } else { 300_000 });
    config.partitioner = *rng.choice(&[Partitioner::Murmur2, Partitioner::Crc32, Partitioner::Sticky]).unwrap();
    let hold = idempotent && chance(rng, 30);
    config.unknown_outcome = if hold { UnknownOutcome::Hold } else { UnknownOutcome::GiveUp };
    // With `Spin` virtual time could not go on while somebody asks again and again.
    config.waiters_full = WaitersFull::Refuse;
    config
}

fn draw_capacities(rng: &mut Rng, config: &Config, nodes: i32) -> Capacities {
    let buffers = if chance(rng, 60) { rng.u16(1..=4) } else { rng.u16(5..=30) };
    Capacities {
        batch_bytes: rng.u32(140..=700),
        buffers,
        batches: buffers + if chance(rng, 40) { 1 } else { rng.u16(1..=80) },
        partitions: if chance(rng, 10) { 2 } else { 12 },
        topics: 2,
        topic_name_bytes: 8,
        // Every leader needs a place; the addresses of the bootstrap list are brokers' own.
        brokers: nodes.max(2) as u16 + if chance(rng, 50) { 0 } else { 3 },
        host_bytes: 8,
        connections: if chance(rng, 30) { 1 } else { rng.u16(1..=4) },
        requests: u16::from(config.max_in_flight) + CONTROL_REQUESTS as u16,
        waiters: if chance(rng, 20) { rng.u16(1..=2) } else { 40 },

        frame_bytes: 256,
        receive_bytes: rng.u32(80..=600),
    }
}

pub(crate) fn draw_weather(rng: &mut Rng) -> Weather {
    let nasty = chance(rng, 60);
    Weather {
        latency: rng.u64(0..=20_000),
        jitter: if chance(rng, 50) { 0 } else { rng.u64(0..=50_000) },
        piece: *rng.choice(&[0, 0, 1, 3, 17, 200]).unwrap(),
        cut: if nasty { rng.u32(0..=600) } else { 0 },
        cut_within: rng.u64(1..=4_000),
        stall: if nasty { rng.u32(0..=300) } else { 0 },
        stall_micros: rng.u64(0..=5_000_000),
        refuse: if nasty { rng.u32(0..=300) } else { 0 },
    }
}

pub(crate) fn draw_faults(rng: &mut Rng) -> Probabilities {
    let mut some = |most: u32| if chance(rng, 50) { 0 } else { rng.u32(0..=most) };
    Probabilities {
        error: some(1500),
        drop_before: some(500),
        apply_then_drop: some(800),
        apply_then_error: some(800),
        delay: some(1000),
        silence: some(150),
        apply_then_silence: some(150),
        garbage: some(150),
        wrong_correlation: some(150),
        cut: some(500),
        delay_ms: 400,
    }
}

fn draw_events(rng: &mut Rng, nodes: i32, topics: &[i32], connections: u16, heal_at: u64) -> Vec<(u64, Event)> {
    let mut events: Vec<(u64, Event)> = (0..rng.usize(0..=12))
        .map(|_| {
            let node = rng.i32(1..=nodes);
            let topic = rng.usize(0..topics.len());
            let event = match rng.u32(0..12) {
                0 | 1 => Event::NodeDown(node),
                2 => Event::NodeUp(node),
                3..=5 => Event::MoveLeader { topic, partition: rng.i32(0..5), node },
                6 => Event::StaleMetadata { node, stale: rng.bool() },
                7 => Event::HideTopic { topic, node, millis: rng.u64(0..=2_000) },
                8 => Event::Throttle(rng.u32(0..=200)),
                9 => Event::DiskFull { node, full: rng.bool() },
                10 if rng.bool() => Event::DropClockTask,
                10 => Event::DropConnectionTask(rng.u16(0..connections)),
                _ => Event::WallClock(rng.i64(-10_000_000..=10_000_000)),
            };
            (rng.u64(0..heal_at), event)
        })
        .collect();
    events.sort_by_key(|(at, _)| *at);
    events
}
