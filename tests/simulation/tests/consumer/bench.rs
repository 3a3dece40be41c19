//! A producer and a consumer, each with its tasks, against the model broker.

use demitasse_broker::{Cluster, Options, Release};
use demitasse_core::{
    Capacities, Config, ConsumeFault, Consumer, Inflater, OffsetReset, Producer, Record, Scratch, Settings, Sizing,
    State, Topic,
};
use demitasse_simulation::executor::Executor;
use demitasse_simulation::network::{FIRST_PORT, Network, Weather, millis};
use demitasse_simulation::platform::{CellLock, Codec, Simulated, SimulatedClock, tables, tables_with};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

pub(crate) const SECOND: u64 = 1_000_000;
pub(crate) const GROUP: &str = "group";
const CHUNK_BYTES: u32 = 2048;
pub(crate) const PARTITIONS: i32 = 3;

/// What was read: partition, offset, value.
pub(crate) type Read = (i32, i64, Vec<u8>);

pub(crate) struct Bench {
    pub(crate) executor: Executor,
    pub(crate) network: Network,
    pub(crate) producer: Rc<Producer<Simulated>>,
    pub(crate) consumer: Rc<Consumer<Simulated>>,
    pub(crate) read: Rc<RefCell<Vec<Read>>>,
    pub(crate) faults: Rc<RefCell<Vec<(i32, i64, ConsumeFault)>>>,
}

fn sizing(connections: u16) -> Sizing {
    Sizing {
        buffer_memory: 64 * 512,
        batch_size: 512,
        partitions: 64,
        topics: 2,
        brokers: 4,
        connections,
        max_in_flight: 5,
        waiters: 8,
    }
}

impl Bench {
    pub(crate) fn new(release: Release, nodes: u16, chunks: u16, config: Config, weather: Weather) -> Bench {
        Bench::with(release, nodes, chunks, config, weather, |_| ())
    }

    pub(crate) fn with(
        release: Release,
        nodes: u16,
        chunks: u16,
        config: Config,
        weather: Weather,
        change: impl FnOnce(&mut Options),
    ) -> Bench {
        let change = |options: &mut Options| {
            (options.release, options.nodes) = (release, nodes as usize);
            change(options);
        };
        Bench::build(3, chunks, CHUNK_BYTES, config, weather, change)
    }

    /// With so many connections, in calm weather.
    pub(crate) fn with_connections(
        connections: u16,
        release: Release,
        nodes: u16,
        chunks: u16,
        config: Config,
    ) -> Bench {
        let change = |options: &mut Options| (options.release, options.nodes) = (release, nodes as usize);
        Bench::build(connections, chunks, CHUNK_BYTES, config, calm(), change)
    }

    /// One broker, two chunks, and a window of so many bytes for what is compressed; 0 for none.
    #[cfg(feature = "server")]
    pub(crate) fn with_window(window: u32, config: Config) -> Bench {
        Bench::build(3, 2, window, config, calm(), |options| options.nodes = 1)
    }

    fn build(
        connections: u16,
        chunks: u16,
        window: u32,
        config: Config,
        weather: Weather,
        change: impl FnOnce(&mut Options),
    ) -> Bench {
        let mut executor = Executor::new();
        let time = executor.time.clone();
        let mut options = Options { host: "broker".into(), ..Options::default() };
        change(&mut options);
        options.ports = (FIRST_PORT..FIRST_PORT + options.nodes as u16).collect();
        let mut cluster = Cluster::new(options);
        cluster.advance(millis(0));
        cluster.create_topic("t", PARTITIONS);
        let network = Network::new(cluster, weather, 1, time.clone());
        executor.spawn(network.clone().pump());
        let clock = || SimulatedClock { time: time.clone(), wall_offset: Rc::new(Cell::new(0)) };

        let capacities = Capacities::derive(&sizing(connections));
        let producer = Rc::new(Producer::new(CellLock::new(State::new(tables(&capacities))), clock()));
        let buffer = |bytes: u32| vec![0; bytes as usize].into_boxed_slice();
        producer.lend((0..capacities.buffers).map(|_| buffer(capacities.batch_bytes)));
        let scratch = (capacities.frame_bytes as usize, capacities.receive_bytes as usize);
        let bootstrap = [("broker", FIRST_PORT)];
        let writes = config_with(|own| {
            own.linger = Duration::ZERO;
            #[cfg(feature = "server")]
            (own.compression = config.compression);
        });
        producer.start(Settings::new(&writes).unwrap(), &bootstrap, scratch, 1).unwrap();

        let tables = tables_with(&capacities.without_batches(), chunks);
        let consumer = Rc::new(Consumer::new(CellLock::new(State::new(tables)), clock()));
        consumer.lend((0..chunks).map(|_| buffer(CHUNK_BYTES)));
        // The model's batches are read by the core's decoder.
        if cfg!(feature = "server") && window > 0 {
            consumer.lend_inflater(Box::new(Inflater::new(Codec::default(), buffer(window))));
        }
        consumer.start(Settings::new(&config).unwrap(), &bootstrap, scratch, 2).unwrap();

        let mut bench = Bench { executor, network, producer, consumer, read: Rc::default(), faults: Rc::default() };
        bench.run(capacities);
        bench
    }

    pub(crate) fn run(&mut self, capacities: Capacities) {
        let scratch = move || (vec![0; capacities.frame_bytes as usize], vec![0; capacities.receive_bytes as usize]);
        for slot in 0..capacities.connections as usize {
            let (producer, network) = (self.producer.clone(), self.network.clone());
            self.executor.spawn(async move {
                let (mut frame, mut receive) = scratch();
                #[cfg(feature = "server")]
                let mut pack = vec![0; capacities.batch_bytes as usize + demitasse_core::records::lz4::TABLE_BYTES];
                let scratch = Scratch::new(&mut frame, &mut receive);
                #[cfg(feature = "server")]
                let scratch = scratch.packing(&mut pack);
                producer.run_connection(&network, slot, scratch).await;
            });
            let (consumer, network) = (self.consumer.clone(), self.network.clone());
            self.executor.spawn(async move {
                let (mut frame, mut receive) = scratch();
                let scratch = Scratch::new(&mut frame, &mut receive);
                consumer.run_connection(&network, slot, scratch).await;
            });
        }
        let (producer, network) = (self.producer.clone(), self.network.clone());
        self.executor.spawn(async move { producer.run_clock(&network).await });
        let (consumer, network) = (self.consumer.clone(), self.network.clone());
        self.executor.spawn(async move { consumer.run_clock(&network).await });
    }

    /// Polls for ever, at most so many records at once, with so long a pause after each.
    pub(crate) fn poll(&mut self, max: u32, pause: u64) {
        let (consumer, read, faults) = (self.consumer.clone(), self.read.clone(), self.faults.clone());
        let time = self.executor.time.clone();
        self.executor.spawn(async move {
            loop {
                match consumer.poll(max).await {
                    Ok(None) => return,
                    Ok(Some(fetched)) => {
                        let mut count = 0;
                        for record in fetched.records() {
                            let value = record.value.unwrap_or(&[]).to_vec();
                            read.borrow_mut().push((record.partition, record.offset, value));
                            count += 1;
                        }
                        assert!(count <= max);
                    }
                    Err(error) => faults.borrow_mut().push((error.partition, error.offset, error.fault)),
                }
                time.sleep(pause).await;
            }
        });
    }

    pub(crate) fn topic(&self) -> Topic {
        self.consumer.topic("t").unwrap()
    }

    pub(crate) fn send(&mut self, partition: i32, values: impl Iterator<Item = Vec<u8>>) {
        self.send_to("t", partition, values);
    }

    pub(crate) fn send_to(&mut self, topic: &str, partition: i32, values: impl Iterator<Item = Vec<u8>>) {
        let to = self.producer.topic(topic).unwrap().partition(partition);
        let (producer, values): (_, Vec<_>) = (self.producer.clone(), values.collect());
        self.executor.spawn(async move {
            for value in values {
                producer.send(to, &Record::new(&value)).await.unwrap();
            }
        });
    }

    pub(crate) fn advance(&mut self, micros: u64) {
        let until = self.executor.time.now() + micros;
        self.executor.spawn(self.executor.time.sleep_until(until));
        while self.executor.step(until, 100_000).unwrap() {}
    }

    /// The offsets that were read of a partition.
    pub(crate) fn offsets(&self, partition: i32) -> Vec<i64> {
        self.read.borrow().iter().filter(|read| read.0 == partition).map(|read| read.1).collect()
    }
}

/// A group's settings; it begins with the oldest record.
pub(crate) fn grouped() -> Config {
    config_with(|config| {
        config.group_id = GROUP.try_into().unwrap();
        config.offset_reset = OffsetReset::Earliest;
    })
}

pub(crate) fn config_with(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::new();
    change(&mut config);
    config
}

pub(crate) fn calm() -> Weather {
    Weather { latency: 500, ..Weather::default() }
}
