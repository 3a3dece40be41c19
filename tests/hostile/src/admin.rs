//! Questions that are asked once, of brokers that may do anything: each ends, within its patience.

use crate::input::Input;
use crate::world::World;
use demitasse_core::protocol::create_topics::NewTopic;
use demitasse_core::{Admin, Scratch};
use demitasse_simulation::executor::Executor;
use demitasse_simulation::network::FIRST_PORT;
use demitasse_simulation::platform::SimulatedClock;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

/// More polls at one instant than any honest run needs.
const POLLS_AN_INSTANT: u64 = 1_000;

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let mut executor = Executor::new();
    let world = World::new(executor.time.clone());
    let room = 64 + 4 * usize::from(input.byte());
    let tasks = [false, true].map(|create| executor.spawn(ask(world.clone(), create, room)));
    let advance = |executor: &mut Executor, micros| {
        let until = executor.time.now() + micros;
        executor.spawn(executor.time.sleep_until(until));
        while executor.step(until, POLLS_AN_INSTANT).unwrap() {}
    };
    while !input.is_over() {
        match input.byte() % 8 {
            0 => advance(&mut executor, 1_000 << input.below(12)),
            _ => world.act(&mut input),
        }
        advance(&mut executor, 0);
    }
    advance(&mut executor, PATIENCE.as_micros() as u64 + 1_000);
    assert!(tasks.iter().all(|&task| executor.is_done(task)), "a question does not end");
}

async fn ask(world: World, create: bool, room: usize) {
    let clock = SimulatedClock { time: world.time.clone(), wall_offset: Rc::new(Cell::new(0)) };
    let (mut frame, mut receive) = (vec![0; 512], vec![0; room]);
    let scratch = Scratch::new(&mut frame, &mut receive);
    let bootstrap = [("broker", FIRST_PORT), ("broker", FIRST_PORT + 1)];
    let mut admin = Admin::new(&world, &clock, &bootstrap, None, scratch);
    if create {
        let topic = NewTopic { name: "new", num_partitions: 1, replication_factor: 1, configs: &[("a", "b")] };
        let _ = admin.create_topic(&topic, PATIENCE, |_| {}).await;
    } else {
        let _ = admin.topics(PATIENCE, |_| {}).await;
    }
}
