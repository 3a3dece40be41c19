//! A client and its cluster on a calm network, for tests that each tell one story.

use crate::executor::Executor;
use crate::network::{FIRST_PORT, Network, Weather, millis};
use crate::platform::{CellLock, Simulated, SimulatedClock, tables};
use demitasse_broker::{Cluster, Options, Release};
use demitasse_core::{Capacities, Config, Destination, Io, Producer, Scratch, Settings, Sizing, State};
use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;

/// More polls at one instant than any honest test needs.
const POLLS_AN_INSTANT: u64 = 20_000;

/// The topic that there is, and that every rig uses.
const TOPIC: &str = "t";

/// What a test starts with.
pub struct Setup {
    /// Brokers; the first is the bootstrap list.
    pub nodes: u16,
    /// What they pose as.
    pub release: Release,
    /// Partitions of the topic `t`; they are led by one node after the other.
    pub partitions: i32,
    /// Microseconds that a byte is under way.
    pub latency: u64,
    /// Milliseconds that a broker takes for each request of a connection, one after the other.
    pub request_millis: u64,
    /// Of the client.
    pub config: Config,
    /// Of the client.
    pub sizing: Sizing,
}

impl Default for Setup {
    fn default() -> Self {
        let sizing = Sizing {
            buffer_memory: 8192,
            batch_size: 512,
            partitions: 8,
            topics: 2,
            brokers: 4,
            connections: 1,
            max_in_flight: 5,
            waiters: 8,
        };
        Setup {
            nodes: 1,
            release: Release::V4_3,
            partitions: 1,
            latency: 500,
            request_millis: 0,
            config: Config::new(),
            sizing,
        }
    }
}

/// See the module.
pub struct Rig {
    /// Runs everything.
    pub executor: Executor,
    /// The way to the brokers.
    pub network: Network,
    /// The client.
    pub producer: Rc<Producer<Simulated>>,
    config: Config,
    capacities: Capacities,
}

impl Rig {
    /// A client that is started and that nobody runs yet.
    pub fn new(setup: Setup) -> Rig {
        let rig = Rig::unstarted(setup);
        rig.start();
        rig
    }

    /// A client that is not started.
    pub fn unstarted(setup: Setup) -> Rig {
        let mut executor = Executor::new();
        let time = executor.time.clone();
        let ports = (FIRST_PORT..FIRST_PORT + setup.nodes).collect();
        let (nodes, release) = (setup.nodes as usize, setup.release);
        let options = Options { nodes, host: "broker".into(), ports, release, ..Options::default() };
        let latency_ms = setup.request_millis;
        let mut cluster = Cluster::new(Options { latency_ms, one_request_at_a_time: true, ..options });
        cluster.advance(millis(0));
        cluster.create_topic(TOPIC, setup.partitions);
        let network = Network::new(cluster, Weather { latency: setup.latency, ..Weather::default() }, 1, time.clone());
        executor.spawn(network.clone().pump());
        let capacities = Capacities::derive(&setup.sizing);
        let clock = SimulatedClock { time, wall_offset: Rc::new(Cell::new(0)) };
        let producer = Rc::new(Producer::new(CellLock::new(State::new(tables(&capacities))), clock));
        Rig { executor, network, producer, config: setup.config, capacities }
    }

    /// Starts the client.
    pub fn start(&self) {
        let Capacities { buffers, batch_bytes, frame_bytes, receive_bytes, .. } = self.capacities;
        self.producer.lend((0..buffers).map(|_| vec![0; batch_bytes as usize].into_boxed_slice()));
        let scratch = (frame_bytes as usize, receive_bytes as usize);
        self.producer.start(Settings::new(&self.config).unwrap(), &[("broker", FIRST_PORT)], scratch, 1).unwrap();
        self.producer.topic(TOPIC).unwrap();
    }

    /// A partition of the topic.
    pub fn partition(&self, partition: i32) -> Destination {
        self.producer.topic(TOPIC).unwrap().partition(partition)
    }

    /// Runs the client, its clock and each slot in a task of its own. The tasks of the slots.
    pub fn run(&mut self, io: &(impl Io + Clone + 'static)) -> Vec<usize> {
        let (producer, clock_io) = (self.producer.clone(), io.clone());
        self.executor.spawn(async move { producer.run_clock(&clock_io).await });
        let slots = 0..self.capacities.connections as usize;
        slots
            .map(|slot| self.executor.spawn(connection(self.producer.clone(), io.clone(), slot, self.capacities)))
            .collect()
    }

    /// Runs the client, its clock and slot 0 joined in one task.
    pub fn run_joined(&mut self, io: &(impl Io + Clone + 'static)) {
        let (producer, io, capacities) = (self.producer.clone(), io.clone(), self.capacities);
        self.executor.spawn(async move {
            let mut clock = pin!(producer.run_clock(&io));
            let mut slot = pin!(connection(producer.clone(), io.clone(), 0, capacities));
            std::future::poll_fn(|cx| {
                let _ = clock.as_mut().poll(cx);
                slot.as_mut().poll(cx)
            })
            .await;
        });
    }

    /// The time, in microseconds.
    pub fn now(&self) -> u64 {
        self.executor.time.now()
    }

    /// Lets everything happen until then.
    ///
    /// # Panics
    /// When there is a busy loop.
    pub fn advance_to(&mut self, at: u64) {
        // Time goes on even if nobody waits for anything.
        self.executor.spawn(self.executor.time.sleep_until(at));
        while self.executor.step(at, POLLS_AN_INSTANT).unwrap() {}
    }

    /// Lets everything happen that does within so many microseconds.
    pub fn advance(&mut self, micros: u64) {
        self.advance_to(self.now() + micros);
    }
}

async fn connection(producer: Rc<Producer<Simulated>>, io: impl Io, slot: usize, capacities: Capacities) {
    let (mut frame, mut receive) =
        (vec![0; capacities.frame_bytes as usize], vec![0; capacities.receive_bytes as usize]);
    producer.run_connection(&io, slot, Scratch::new(&mut frame, &mut receive)).await;
}
