//! The futures of the driver, in every scene. Dropped and run again, or left to the other slot: every record is written,
//! once and in order.

use crate::cut::Cut;
use crate::ledger::Ledger;
use crate::trickle::{Slow, Trickle};
use crate::{SECOND, at_every_poll, close, connection, until_done};
use demitasse_broker::Api;
use demitasse_core::{Capacities, Delivery, Io, Producer, Record, Topic};
use demitasse_simulation::executor::Time;
use demitasse_simulation::network::{Network, millis};
use demitasse_simulation::platform::Simulated;
use demitasse_simulation::rig::{Rig, Setup};
use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

/// What is dropped; the rest of the driver goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    Clock,
    /// The slot that is used first.
    Connection,
    /// Clock and slots, joined in one task as on a device.
    All,
}

/// What happens after it was dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Then {
    AtOnce,
    Later,
    /// It is never run again; the other slot has all to do.
    Never,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Scene {
    Calm,
    /// Writes take a byte at a time, and then wait.
    Writes,
    /// Answers come a byte at a time.
    Answers,
    /// A broker goes away while it has something to answer, and comes back.
    Away,
}

const SCENES: [Scene; 4] = [Scene::Calm, Scene::Writes, Scene::Answers, Scene::Away];

const SLOTS: u16 = 2;

/// Records of one round.
const RECORDS: u32 = 3;

/// A driver, or a part of it.
struct Driver<I> {
    producer: Rc<Producer<Simulated>>,
    io: I,
    capacities: Capacities,
}

impl<I: Io + Clone + 'static> Driver<I> {
    async fn run(&self, part: Part) {
        let slot = |slot| connection(self.producer.clone(), self.io.clone(), slot, self.capacities);
        match part {
            Part::Clock => self.producer.run_clock(&self.io).await,
            Part::Connection => slot(0).await,
            Part::All => {
                let (mut first, mut second) = (pin!(slot(0)), pin!(slot(1)));
                let mut clock = pin!(self.producer.run_clock(&self.io));
                let mut done = [false; 3];
                poll_fn(|cx| {
                    done[0] = done[0] || clock.as_mut().poll(cx).is_ready();
                    done[1] = done[1] || first.as_mut().poll(cx).is_ready();
                    done[2] = done[2] || second.as_mut().poll(cx).is_ready();
                    if done == [true; 3] { Poll::Ready(()) } else { Poll::Pending }
                })
                .await;
            }
        }
    }

    /// Runs it and drops it; whether it ended before that.
    async fn run_and_drop(self, part: Part, cut: Cut, then: Then, time: Time, ended: Rc<Cell<bool>>) {
        ended.set(cut.cut(self.run(part)).await.is_some());
        if !ended.get() && then != Then::Never {
            time.sleep(if then == Then::Later { 2 * SECOND } else { 0 }).await;
            self.run(part).await;
        }
    }
}

fn run(rig: &mut Rig, io: &(impl Io + Clone + 'static), sizes: Capacities, cut: &Cutting) -> Vec<usize> {
    let driver = Driver { producer: rig.producer.clone(), io: io.clone(), capacities: sizes };
    let time = rig.executor.time.clone();
    let mut tasks = vec![rig.executor.spawn(driver.run_and_drop(cut.part, cut.cut, cut.then, time, cut.ended.clone()))];
    if cut.part == Part::Connection {
        let (producer, io) = (rig.producer.clone(), io.clone());
        tasks.push(rig.executor.spawn(async move { producer.run_clock(&io).await }));
    }
    let others = match cut.part {
        Part::Clock => 0..SLOTS,
        Part::Connection => 1..SLOTS,
        Part::All => 0..0,
    };
    for slot in others {
        tasks.push(rig.executor.spawn(connection(rig.producer.clone(), io.clone(), slot.into(), sizes)));
    }
    tasks
}

struct Cutting {
    part: Part,
    then: Then,
    cut: Cut,
    ended: Rc<Cell<bool>>,
}

/// Sends to both partitions, waits, and pauses, so many times.
async fn user(producer: Rc<Producer<Simulated>>, topic: Topic, ledger: Rc<Ledger>, time: Time, rounds: u32) {
    for _ in 0..rounds {
        let first = ledger.numbers(0, RECORDS);
        let values: Vec<_> = (first..first + RECORDS).map(u32::to_be_bytes).collect();
        let records: Vec<_> = values.iter().map(|value| Record::new(value)).collect();
        let (slice, one) = records.split_at(2);
        let said = producer.send_slice(topic.partition(0), slice).await;
        let slice: Option<Delivery> = ledger.note(first, 2, Some(said));
        let said = producer.send(topic.partition(1), &one[0]).await;
        ledger.note(first + 2, 1, Some(said));
        producer.wait(slice.unwrap()).await.unwrap();
        time.sleep(20_000).await;
    }
    producer.flush().await.unwrap();
}

/// A node goes down while it has something to answer.
fn trouble(rig: &mut Rig) {
    let (network, time) = (rig.network.clone(), rig.executor.time.clone());
    rig.executor.spawn(async move {
        let asked = |network: &Network| network.world.borrow().cluster.requests(Api::Produce) > 0;
        while !asked(&network) {
            time.sleep(250).await;
        }
        {
            let mut world = network.world.borrow_mut();
            world.cluster.node_down(1, millis(time.now()));
            world.cut_dead();
        }
        time.sleep(SECOND).await;
        network.world.borrow_mut().cluster.node_up(1, millis(time.now()));
    });
}

/// Whether the part ended before it was dropped.
fn tell(part: Part, then: Then, scene: Scene, cut: Cut) -> bool {
    let story = format!("{part:?} in {scene:?}, {cut:?}, {then:?}");
    let mut setup = Setup { nodes: 2, partitions: 2, ..Setup::default() };
    setup.sizing.connections = SLOTS;
    let sizes = Capacities::derive(&setup.sizing);
    let mut rig = Rig::new(setup);
    if scene == Scene::Away {
        trouble(&mut rig);
    }
    let cutting = Cutting { part, then, cut, ended: Rc::default() };
    let (slow, rounds) = match scene {
        Scene::Writes => (Slow::Writes, 1),
        Scene::Answers => (Slow::Reads, 1),
        _ => (Slow::Nothing, 3),
    };
    let io = Trickle::new(&rig, slow);
    let driver = run(&mut rig, &io, sizes, &cutting);
    let ledger = Rc::new(Ledger::default());
    let topic = rig.producer.topic("t").unwrap();
    let user = user(rig.producer.clone(), topic, ledger.clone(), rig.executor.time.clone(), rounds);
    let user = rig.executor.spawn(user);
    until_done(&mut rig, &[user], &story);
    close(&mut rig, &driver, &story);
    assert_eq!(ledger.audit(&rig, &story), rounds * RECORDS, "{story}: {:?}", rig.producer.counters());
    cutting.ended.get()
}

fn dropped_at_every_poll(part: Part, then: Then, scenes: &[Scene]) {
    let dropped: Vec<_> =
        scenes.iter().map(|&scene| (scene, at_every_poll(|cut| tell(part, then, scene, cut)))).collect();
    println!("{part:?}, run again {then:?}, dropped at so many polls: {dropped:?}");
    assert!(dropped.iter().all(|&(_, polls)| polls > 5));
}

#[test]
fn the_clock_dropped_at_every_poll() {
    dropped_at_every_poll(Part::Clock, Then::AtOnce, &SCENES);
    dropped_at_every_poll(Part::Clock, Then::Later, &SCENES);
}

#[test]
fn a_connection_dropped_at_every_poll() {
    dropped_at_every_poll(Part::Connection, Then::AtOnce, &SCENES);
    dropped_at_every_poll(Part::Connection, Then::Later, &SCENES);
    dropped_at_every_poll(Part::Connection, Then::Never, &SCENES);
}

#[test]
fn the_whole_driver_dropped_at_every_poll() {
    dropped_at_every_poll(Part::All, Then::AtOnce, &SCENES);
    // Byte by byte is the connection's business, above.
    dropped_at_every_poll(Part::All, Then::Later, &[Scene::Calm, Scene::Away]);
}
