//! Brokers that lie: for a while every answer of an API is changed, then all is honest again. Whatever the lie, every
//! record has an outcome in time, nothing works without end, and when the lies stop all goes on.

mod frames;
mod messages;

use demitasse_core::{Delivery, Record};
use demitasse_simulation::network::Liar;
use demitasse_simulation::rig::{Rig, Setup};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

const SECOND: u64 = 1_000_000;
const LIES: u64 = 20;
const NODES: u16 = 2;
const DELIVERY_TIMEOUT: u64 = 10;

/// An honest cluster goes on so soon after a lie.
const RECOVERY: u64 = 12;

/// Lies, from the start and from a client's everyday life on. How often it did harm; how stands in the
/// output.
fn story(name: &str, liar: impl Fn() -> Liar) -> usize {
    let harm = |honest: &u64| {
        let name = format!("{name}, after {honest} honest seconds");
        let told = catch_unwind(AssertUnwindSafe(|| tell(&name, *honest, liar())));
        told.inspect_err(|_| eprintln!("harm was done by: {name}")).is_err()
    };
    [0, 5].iter().filter(|honest| harm(honest)).count()
}

fn tell(name: &str, honest: u64, liar: Liar) {
    let mut rig = setup();
    let mut sent = Vec::new();
    send_for(&mut rig, honest, &mut sent);

    rig.network.world.borrow_mut().liar = Some(liar);
    let before = effort(&rig);
    send_for(&mut rig, LIES, &mut sent);
    bounded(name, before, effort(&rig));

    rig.network.world.borrow_mut().liar = None;
    send_for(&mut rig, RECOVERY, &mut sent);
    recovered(name, &mut rig);
    closed(name, &mut rig, &sent);
}

/// A client and its cluster, both running.
fn setup() -> Rig {
    let mut setup = Setup { nodes: NODES, partitions: NODES.into(), ..Setup::default() };
    setup.sizing.connections = NODES;
    setup.config.linger = Duration::ZERO;
    setup.config.delivery_timeout = Duration::from_secs(DELIVERY_TIMEOUT);
    setup.config.request_timeout = Duration::from_secs(3);
    setup.config.metadata_max_age = Duration::from_secs(10);
    let mut rig = Rig::new(setup);
    rig.run(&rig.network.clone());
    rig
}

/// A record to each partition every half second; each has its outcome in time.
fn send_for(rig: &mut Rig, seconds: u64, sent: &mut Vec<(u64, Delivery)>) {
    for _ in 0..2 * seconds {
        for partition in 0..NODES.into() {
            let taken = rig.producer.try_send(rig.partition(partition), &Record::new(b"x"));
            sent.extend(taken.map(|delivery| (rig.now(), delivery)));
        }
        rig.advance(SECOND / 2);
        let late = |&(at, _): &(u64, Delivery)| at + (DELIVERY_TIMEOUT + 1) * SECOND < rig.now();
        for (at, delivery) in sent.iter().copied().filter(late) {
            assert!(rig.producer.outcome(&delivery).is_some(), "sent at {at} us, no outcome at {} us", rig.now());
        }
    }
}

/// Polls, connections and bytes written so far.
fn effort(rig: &Rig) -> [u64; 3] {
    let world = rig.network.world.borrow();
    [rig.executor.polls(), world.connections, world.written]
}

/// A client that is lied to asks again, but not in a circle.
fn bounded(name: &str, before: [u64; 3], after: [u64; 3]) {
    // A handshake that went well begins the wait for the next connection anew, at reconnect.backoff.ms, as in Kafka's own
    // client; hence so many.
    let most = [LIES * 2000, LIES * 25 * u64::from(NODES), LIES * 40_000];
    for (what, spent) in ["polls", "connections", "bytes written"].iter().zip(0..) {
        let count = after[spent] - before[spent];
        assert!(count <= most[spent], "{name}: {count} {what} in {LIES} s");
    }
}

fn recovered(name: &str, rig: &mut Rig) {
    for partition in 0..NODES.into() {
        let delivery = rig.producer.try_send(rig.partition(partition), &Record::new(b"x"));
        let delivery = delivery.unwrap_or_else(|error| panic!("{name}: partition {partition}: {error}"));
        rig.advance(2 * SECOND);
        let outcome = rig.producer.outcome(&delivery);
        let counters = rig.producer.counters();
        assert!(matches!(outcome, Some(Ok(_))), "{name}: partition {partition}: {outcome:?}, {counters:?}");
    }
}

fn closed(name: &str, rig: &mut Rig, sent: &[(u64, Delivery)]) {
    let producer = rig.producer.clone();
    rig.executor.spawn(async move { producer.close(Duration::from_secs(1)).await });
    rig.advance(2 * SECOND);
    assert!(sent.iter().all(|(_, delivery)| rig.producer.outcome(delivery).is_some()), "{name}");
    let memory = rig.producer.memory();
    for pool in [memory.buffers, memory.batches, memory.waiters, memory.connections] {
        assert!(pool.used == 0 && pool.high_water <= pool.capacity, "{name}: {memory:?}");
    }
}
