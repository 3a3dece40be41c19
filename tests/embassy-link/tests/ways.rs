//! The way to the broker changes: names with several addresses, addresses that come and go, a driver that is begun anew.

use demitasse_broker::Options;
use demitasse_embassy_link_tests::executor::now;
use demitasse_embassy_link_tests::workload::{again, check, send, spawn};
use demitasse_embassy_link_tests::world::{BROKER, DEVICE, PORT, TOPIC, World};
use demitasse_embassy_link_tests::{Weather, names};
use demitasse_io_embassy::{Config, Record, Storage, storage};
use embassy_futures::select::select;
use embassy_net::{ConfigV4, Ipv4Address, Ipv4Cidr, StaticConfigV4};
use embassy_time::Timer;
use std::time::Duration;

const GOOD: Weather = Weather { latency: 500, loss: 0, corruption: 0, duplication: 0, reordering: 0 };

fn address(address: Ipv4Address) -> ConfigV4 {
    let dns_servers = [BROKER].into_iter().collect();
    ConfigV4::Static(StaticConfigV4 { address: Ipv4Cidr::new(address, 24), gateway: None, dns_servers })
}

/// The first was waited for until the attempt was given up, and each attempt began with it: the second had no turn.
#[test]
fn a_name_whose_first_address_says_nothing() {
    storage! { static KAFKA: {} }
    let mut world = World::new(GOOD, 1);
    let (producer, runner) = KAFKA.start(world.stack, &Config::new(), &[(names::TWO, PORT)], 1).unwrap();
    spawn(&mut world, runner);
    world.executor.run(50, send(producer, 0..10));
    check(&world, 10);
}

#[test]
fn an_address_that_changes_under_way() {
    storage! { static KAFKA: {} }
    let mut world = World::new(GOOD, 1);
    let mut config = Config::new();
    config.request_timeout = Duration::from_secs(5);
    let (producer, runner) = KAFKA.start(world.stack, &config, &[("10.0.0.2", PORT)], 1).unwrap();
    spawn(&mut world, runner);
    world.executor.run(10, send(producer, 0..100));
    let (polls, at) = (world.executor.polls, now());
    world.stack.set_config_v4(address(Ipv4Address::new(10, 0, 0, 9)));
    world.executor.run(20, send(producer, 100..200));
    println!("{} us, {} polls, {:?}", now() - at, world.executor.polls - polls, producer.counters());
    check(&world, 200);
}

#[test]
fn an_address_that_is_gone_for_a_while() {
    storage! { static KAFKA: {} }
    for (number, away) in [(0, 1), (1, 20), (2, 70)] {
        let mut world = World::new(GOOD, number);
        let mut config = Config::new();
        config.request_timeout = Duration::from_secs(5);
        let kafka = again(&KAFKA, Storage::new());
        let (producer, runner) = kafka.start(world.stack, &config, &[("10.0.0.2", PORT)], 1).unwrap();
        spawn(&mut world, runner);
        world.executor.run(10, send(producer, 0..100));
        let stack = world.stack;
        let polls = world.executor.polls;
        world.executor.spawn(async move {
            Timer::after_micros(700).await;
            stack.set_config_v4(ConfigV4::None);
            Timer::after_secs(away).await;
            stack.set_config_v4(address(DEVICE));
        });
        let report = world.executor.run(away + 20, send(producer, 100..200));
        let polls = world.executor.polls - polls;
        println!("{away} s: {report:?}, {polls} polls, {:?}", producer.counters());
        assert!(polls < 5000 * (away + 1), "{polls} polls");
        check(&world, 200);
    }
}

#[test]
fn a_driver_that_is_dropped_and_begun_anew_again_and_again() {
    storage! { static KAFKA: { connections: 2, batch_bytes: 300 } }
    for seed in 0..20 {
        let mut world = World::new(Weather { latency: 2000, loss: 10, ..GOOD }, seed);
        let kafka = again(&KAFKA, Storage::new());
        let (producer, mut runner) =
            kafka.start(world.stack, &Config::new(), &[(names::NAME, PORT)], seed as u32).unwrap();
        world.executor.spawn(async move {
            let mut rng = fastrand::Rng::with_seed(seed);
            for _ in 0..200 {
                select(runner.run(), Timer::after_micros(rng.u64(0..40_000))).await;
                if rng.bool() {
                    Timer::after_micros(rng.u64(0..40_000)).await;
                }
            }
            runner.run().await;
        });
        world.executor.run(200, send(producer, 0..1000));
        check(&world, 1000);
        world.executor.run(10, producer.close(Duration::from_secs(10)));
        world.executor.run(10, Timer::after_secs(3));
        assert_eq!(world.cluster.borrow().connections(1), 0, "seed {seed}");
    }
}

/// The socket was begun anew before the network stack had told the broker before of the end, and each of them kept its side of
/// the connection until it noticed by itself: a Kafka after ten minutes.
#[test]
fn a_connection_that_is_given_up_for_another_ends_at_the_broker_too() {
    storage! { static KAFKA: { partitions: 2, batch_bytes: 300 } }
    let options = Options { nodes: 2, ..Options::default() };
    let nodes: Vec<i32> = (0..100).map(|number| 1 + number % 2).collect();
    let mut world = World::with::<102>(GOOD, options, 2, &nodes);
    let (producer, runner) = KAFKA.start(world.stack, &Config::new(), &[("10.0.0.2", PORT)], 1).unwrap();
    spawn(&mut world, runner);
    let topic = producer.topic(TOPIC).unwrap();
    world.executor.run(8, async {
        for number in 0..40 {
            let delivery = producer.send(topic.partition(number % 2), &Record::new(b"x")).await.unwrap();
            producer.wait(delivery).await.unwrap();
        }
    });
    let (cluster, counters) = (world.cluster.borrow(), producer.counters());
    let open = cluster.connections(1) + cluster.connections(2);
    println!("{} us, {open} open at the brokers, {counters:?}", now());
    assert!(counters.connections_opened > 30 && counters.connections_lost == 0, "{counters:?}");
    // One that is at work, and one whose end is on its way.
    assert!(open <= 2, "{open} connections are open at the brokers");
}
