//! Records over a cable, good and bad: none lost, none doubled, in order.

use demitasse_embassy_link_tests::workload::{again, check, send, spawn};
use demitasse_embassy_link_tests::world::{PORT, World};
use demitasse_embassy_link_tests::{Weather, names};
use demitasse_io_embassy::{Config, Storage, storage};
use std::time::Duration;

const SECOND: u64 = 1_000_000;
const GOOD: Weather = Weather { latency: 500, loss: 0, corruption: 0, duplication: 0, reordering: 0 };
const BAD: Weather = Weather { latency: 200_000, loss: 50, corruption: 10, duplication: 10, reordering: 20 };

#[test]
fn two_thousand_records_over_a_good_cable() {
    storage! { static KAFKA: Kafka { batch_bytes: 1024, buffers: 4 } }
    let mut world = World::new(GOOD, 1);
    let (producer, mut runner) = KAFKA.start(world.stack, &Config::new(), &[("10.0.0.2", PORT)], 1).unwrap();
    println!("storage of {} bytes, future of {}", KAFKA.memory_bytes(), size_of_val(&runner.run()));
    spawn(&mut world, runner);
    let report = world.executor.run(10, send(producer, 0..2000));
    println!("{report:?}, {} polls, {:?}", world.executor.polls, world.cable.tally());
    check(&world, 2000);
    let counters = producer.counters();
    assert_eq!((counters.retries, counters.connections_opened, counters.connections_lost), (0, 1, 0));

    // When the producer is closed the broker learns of it at once, and the runner ends.
    world.executor.run(10, producer.close(Duration::from_secs(10)));
    world.executor.run(10, embassy_time::Timer::after_millis(10));
    assert_eq!(world.cluster.borrow().connections(1), 0);
}

#[test]
fn three_round_trips_to_the_first_acknowledgement() {
    storage! { static KAFKA: {} }
    let round_trip = 400_000;
    let mut world = World::new(Weather { latency: round_trip / 2, ..GOOD }, 2);
    let mut config = Config::new();
    config.linger = Duration::ZERO;
    let (producer, runner) = KAFKA.start(world.stack, &config, &[("10.0.0.2", PORT)], 1).unwrap();
    spawn(&mut world, runner);
    let report = world.executor.run(10, send(producer, 0..1));
    // And one for the network, which asks whose the address is.
    assert_eq!(report.took, (1 + 3) * round_trip);
}

#[test]
fn names_are_looked_up_and_two_connections_share_a_task() {
    storage! { static KAFKA: { connections: 2 } }
    let mut world = World::new(GOOD, 2);
    let (producer, mut runner) = KAFKA.start(world.stack, &Config::new(), &[(names::NAME, PORT)], 1).unwrap();
    println!("storage of {} bytes, future of {}", KAFKA.memory_bytes(), size_of_val(&runner.run()));
    world.executor.spawn(async move { runner.run().await });
    world.executor.run(10, send(producer, 0..500));
    check(&world, 500);
    // The name, and the address that the broker says is its own.
    assert_eq!(producer.counters().connections_opened, 2);
}

/// A frame that does not arrive is sent again by TCP after a timeout: a second at least, with this latency hardly more,
/// and twice as long for each further loss until a segment gets through at the first attempt, even if some outcomes
/// came meanwhile (Karn). So time without an outcome needs losses that explain it; and after 30 s without an answer
/// (`request.timeout.ms`) the connection is given up and another made, within 10 s and a backoff.
///
/// Without a loss it is a round trip and whoever is late; at the start three more, and one for the broker's address.
fn longest_explained(from: u64, losses: usize) -> u64 {
    let usual = if from == 0 { 3 * SECOND } else { SECOND };
    let timeouts: u64 = (0..losses.min(6)).map(|doubled| (3 * SECOND / 2) << doubled).sum();
    usual + timeouts.min((30 + 10 + 1) * SECOND)
}

#[test]
fn twenty_thousand_records_over_a_bad_cable() {
    storage! { static KAFKA: { batch_bytes: 1024, buffers: 4 } }
    let only = std::env::var("SEED").ok().map(|seed| seed.parse().expect("SEED must be a number"));
    for seed in only.map_or(1..9, |seed: u64| seed..seed + 1) {
        let mut world = World::new(BAD, seed);
        let kafka = again(&KAFKA, Storage::new());
        let (producer, runner) = kafka.start(world.stack, &Config::new(), &[("10.0.0.2", PORT)], 1).unwrap();
        spawn(&mut world, runner);
        let report = world.executor.run(1000, send(producer, 0..20_000));
        check(&world, 20_000);
        let (longest, losses) = report.stalls.iter().fold((0, 0), |longest, &(from, to)| {
            let losses = world.cable.losses(from.saturating_sub(10 * SECOND), to);
            assert!(
                to - from <= longest_explained(from, losses),
                "seed {seed}: {from} to {to} us with {losses} losses"
            );
            longest.max((to - from, losses))
        });
        let tally = world.cable.tally();
        println!("seed {seed}: {} s, longest stall {longest} us with {losses} losses, {tally:?}", report.took / SECOND);
        assert!(tally.lost > 20 && tally.corrupted > 2 && tally.doubled > 2 && tally.reordered > 2, "{tally:?}");
    }
}

#[test]
fn a_cable_that_is_out_for_a_minute() {
    storage! { static KAFKA: { batch_bytes: 1024, buffers: 4 } }
    let mut world = World::new(Weather { latency: 20_000, ..GOOD }, 3);
    let mut config = Config::new();
    config.max_block = Duration::from_secs(120);
    let (producer, runner) = KAFKA.start(world.stack, &config, &[("10.0.0.2", PORT)], 1).unwrap();
    spawn(&mut world, runner);
    let cable = world.cable.clone();
    let (out, back) = (2 * SECOND, 62 * SECOND);
    world.executor.spawn(async move {
        embassy_time::Timer::at(embassy_time::Instant::from_micros(out)).await;
        cable.plug(false);
        embassy_time::Timer::at(embassy_time::Instant::from_micros(back)).await;
        cable.plug(true);
    });
    let report = world.executor.run(1000, send(producer, 0..5000));
    println!("{report:?}, {:?}", producer.counters());
    check(&world, 5000);
    // A new connection is tried for all the time; its first segment is sent again after 1, 2 and 4 s, then anew.
    let &[(from, to)] = &report.stalls[..] else { panic!("{report:?}") };
    assert!(from < out + SECOND && to < back + 6 * SECOND, "{report:?}");
}

#[test]
fn a_connection_that_the_broker_has_forgotten_ends() {
    storage! { static KAFKA: { batch_bytes: 1024, buffers: 4 } }
    let mut world = World::new(GOOD, 4);
    let (producer, runner) = KAFKA.start(world.stack, &Config::new(), &[("10.0.0.2", PORT)], 1).unwrap();
    spawn(&mut world, runner);
    world.executor.run(10, send(producer, 0..10));
    // The broker gives up what is silent for a minute, and its word does not get through.
    world.cable.plug(false);
    world.executor.run(200, embassy_time::Timer::after_secs(100));
    assert_eq!(world.cluster.borrow().connections(1), 0);
    world.cable.plug(true);
    let report = world.executor.run(100, send(producer, 10..20));
    println!("{report:?}, {:?}", producer.counters());
    check(&world, 20);
    assert!(report.took < 3 * SECOND, "{report:?}");
}
