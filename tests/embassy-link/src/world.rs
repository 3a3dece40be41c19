//! A device, a cable, and a broker.

use crate::broker::{self, SOCKETS};
use crate::cable::{Cable, Card, Weather};
use crate::executor::{self, Executor};
use crate::names;
use demitasse_broker::{Cluster, Options};
use embassy_net::{Config, Ipv4Address, Ipv4Cidr, Runner, Stack, StackResources, StaticConfigV4};
use std::cell::RefCell;
use std::rc::Rc;

/// The device's address.
pub const DEVICE: Ipv4Address = Ipv4Address::new(10, 0, 0, 1);
/// The broker's, and the name server's.
pub const BROKER: Ipv4Address = Ipv4Address::new(10, 0, 0, 2);
/// The port of node 1.
pub const PORT: u16 = broker::port(1);
/// The topic that there is.
pub const TOPIC: &str = "readings";

/// Everything but the producer.
pub struct World {
    /// Runs it.
    pub executor: Executor,
    /// Between device and broker.
    pub cable: Cable,
    /// What the device talks to.
    pub cluster: Rc<RefCell<Cluster>>,
    /// The device's network.
    pub stack: Stack<'static>,
}

impl World {
    /// A device with an address, and a broker that is there, with one partition. Time begins anew.
    pub fn new(weather: Weather, seed: u64) -> World {
        Self::with::<{ SOCKETS + 2 }>(weather, Options { seed, ..Options::default() }, 1, &[1; SOCKETS])
    }

    /// A device, and a cluster with so many partitions of the topic. `sockets` are the nodes that they listen for;
    /// `RESOURCES` must be two more: one for the name server, and one to spare.
    pub fn with<const RESOURCES: usize>(weather: Weather, options: Options, partitions: i32, sockets: &[i32]) -> World {
        executor::reset();
        let mut executor = Executor::default();
        let seed = options.seed;
        let cable = Cable::new(weather, seed);
        // Where it really is, unless a test has it say something else.
        let unsaid = options.host == Options::default().host;
        let host = if unsaid { BROKER.to_string() } else { options.host };
        let mut cluster = Cluster::new(Options { host, ..options });
        cluster.create_topic(TOPIC, partitions);
        let cluster = Rc::new(RefCell::new(cluster));

        // A producer's connection, two of a consumer and of another one after it, DNS.
        let (stack, runner) = network(cable.end(0), DEVICE, StackResources::<6>::new(), seed);
        executor.spawn(run(runner));
        let (far, runner) = network(cable.end(1), BROKER, StackResources::<RESOURCES>::new(), seed ^ 1);
        executor.spawn(run(runner));
        for &node in sockets {
            executor.spawn(broker::serve(far, cluster.clone(), node));
        }
        executor.spawn(names::serve(far));
        World { executor, cable, cluster, stack }
    }

    /// What stands in the topic's first partition, in order.
    pub fn records(&self) -> Vec<Vec<u8>> {
        let cluster = self.cluster.borrow();
        let partition = cluster.partition(TOPIC, 0).unwrap();
        partition.records().map(|record| record.value.unwrap_or_default().to_vec()).collect()
    }
}

async fn run(mut runner: Runner<'static, Card>) {
    runner.run().await;
}

fn network<const SOCKETS: usize>(
    card: Card,
    address: Ipv4Address,
    resources: StackResources<SOCKETS>,
    seed: u64,
) -> (Stack<'static>, Runner<'static, Card>) {
    let dns_servers = [BROKER].into_iter().collect();
    let config = StaticConfigV4 { address: Ipv4Cidr::new(address, 24), gateway: None, dns_servers };
    embassy_net::new(card, Config::ipv4_static(config), Box::leak(Box::new(resources)), seed)
}
