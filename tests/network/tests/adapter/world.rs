//! A simulation with two brokers' hosts and a client.

use crate::broker::{Broker, Manner, now_ms};
use crate::producer::Producer;
use crate::system::point;
use demitasse_broker::{Cluster, Options};
use demitasse_core::{Delivery, Record, SendError, Topic};
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The hosts. Both serve the same node, as if it had moved from one to the other.
pub(crate) const HERE: &str = "here";
pub(crate) const THERE: &str = "there";
pub(crate) const CLIENT: &str = "client";

/// The name under which clients know the node.
pub(crate) const NAME: &str = "kafka.example";

const TOPIC: &str = "readings";

#[derive(Clone)]
pub(crate) struct World {
    pub(crate) here: Broker,
    pub(crate) there: Broker,
}

impl World {
    fn new() -> World {
        let mut cluster =
            Cluster::new(Options { host: NAME.to_owned(), ports: vec![crate::broker::PORT], ..Options::default() });
        cluster.advance(now_ms());
        cluster.create_topic(TOPIC, 1);
        let cluster = Rc::new(RefCell::new(cluster));
        let broker =
            || Broker { cluster: cluster.clone(), manner: Rc::new(Cell::new(Manner::Serves)), accepted: Rc::default() };
        World { here: broker(), there: broker() }
    }

    /// What is in the log, in order.
    fn log(&self) -> Vec<u32> {
        let cluster = self.here.cluster.borrow();
        let log = cluster.partition(TOPIC, 0).unwrap();
        log.records().map(|record| u32::from_be_bytes(record.value.unwrap().try_into().unwrap())).collect()
    }

    /// Whether that many records are there, once and in order; so far nothing is known of those behind.
    pub(crate) fn written(&self, records: u32) {
        assert_eq!(self.log(), (0..records).collect::<Vec<_>>());
    }
}

/// A user: sends numbers.
pub(crate) struct User {
    pub(crate) producer: Producer,
    topic: Topic,
    pub(crate) sent: Vec<Delivery>,
}

impl User {
    /// With time-outs of seconds, so that a simulation of a minute shows all of them.
    pub(crate) fn new() -> User {
        let mut builder = Producer::builder().bootstrap_servers(&format!("{NAME}:{}", crate::broker::PORT));
        builder = builder.buffer_memory(8 * 1024).batch_size(1024).linger(Duration::ZERO);
        let config = builder.config_mut();
        config.request_timeout = Duration::from_secs(2);
        config.connection_setup_timeout = Duration::from_secs(1);
        config.delivery_timeout = Duration::from_secs(60);
        config.max_block = Duration::from_secs(30);
        User::start(builder)
    }

    pub(crate) fn start(builder: crate::producer::Builder) -> User {
        let producer = builder.start().unwrap();
        let topic = producer.topic(TOPIC).unwrap();
        User { producer, topic, sent: Vec::new() }
    }

    pub(crate) async fn send(&mut self) -> Result<(), SendError> {
        let number = self.sent.len() as u32;
        self.sent.push(self.producer.send(self.topic, &Record::new(&number.to_be_bytes())).await?);
        Ok(())
    }

    /// Sends, and waits until it is written; how long that took.
    pub(crate) async fn deliver(&mut self) -> Duration {
        let begin = Instant::now();
        self.send().await.unwrap();
        let receipt = self.producer.wait(*self.sent.last().unwrap()).await.unwrap();
        assert_eq!(receipt.offset, Some(self.sent.len() as i64 - 1));
        begin.elapsed()
    }

    /// Sends a record every 100 ms, so many.
    pub(crate) async fn send_regularly(&mut self, records: u32) {
        for _ in 0..records {
            self.send().await.unwrap();
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// All that was sent is written, once and in order, and nothing is left of the client.
    pub(crate) async fn end(self, world: &World) {
        for delivery in &self.sent {
            self.producer.wait(*delivery).await.unwrap();
        }
        self.producer.close(Duration::from_secs(5)).await;
        world.written(self.sent.len() as u32);
        let memory = self.producer.memory();
        for pool in [memory.buffers, memory.batches, memory.waiters] {
            assert_eq!(pool.used, 0, "{memory:?}");
        }
    }
}

/// Runs a story, for minutes of virtual time at most.
pub(crate) fn simulate<F: Future<Output = ()> + 'static>(story: impl FnOnce(World) -> F) {
    let mut builder = turmoil::Builder::new();
    builder.simulation_duration(Duration::from_secs(300)).tick_duration(Duration::from_millis(2)).rng_seed(1);
    let mut simulation = builder.build();
    let world = World::new();
    for (host, broker) in [(HERE, world.here.clone()), (THERE, world.there.clone())] {
        simulation.host(host, move || broker.clone().run());
    }
    point(NAME, &[HERE]);
    let story = story(world);
    simulation.client(CLIENT, async move {
        story.await;
        Ok(())
    });
    simulation.run().unwrap();
}
