//! Every public future of the producer, dropped at every poll: at once when it has to wait, or when it is woken and
//! would be polled again. Each time: what its documentation promises holds, whoever else waits is served, the same call
//! works again, and in the end every pool is whole.

mod calls;
mod cut;
mod driver;
mod ledger;
mod trickle;

use cut::Cut;
use demitasse_core::{Capacities, Io, Producer, Scratch};
use demitasse_simulation::executor::Executor;
use demitasse_simulation::platform::Simulated;
use demitasse_simulation::rig::Rig;
use std::rc::Rc;
use std::time::Duration;

const SECOND: u64 = 1_000_000;

/// No wait of an honest test is longer.
const PATIENCE: u64 = 100 * SECOND;

/// Tells the story for each poll at which the future can be dropped, in both ways, until it ends by itself. How many
/// polls it can be dropped at.
fn at_every_poll(story: impl Fn(Cut) -> bool) -> u32 {
    for polls in 0..100_000 {
        let ended = story(Cut::at_once(polls));
        assert_eq!(story(Cut::when_woken(polls)), ended, "the same story, up to poll {polls}");
        if ended {
            return polls;
        }
    }
    panic!("a future that does not end");
}

async fn connection(producer: Rc<Producer<Simulated>>, io: impl Io, slot: usize, capacities: Capacities) {
    let mut frame = vec![0; capacities.frame_bytes as usize];
    let mut receive = vec![0; capacities.receive_bytes as usize];
    producer.run_connection(&io, slot, Scratch::new(&mut frame, &mut receive)).await;
}

/// Lets time go on until all these tasks have ended.
fn until_done(rig: &mut Rig, tasks: &[usize], story: &str) {
    let late = rig.now() + PATIENCE;
    let done = |executor: &Executor| tasks.iter().all(|&task| executor.is_done(task));
    while !done(&rig.executor) {
        let more = rig.executor.step(late, 20_000).unwrap_or_else(|error| panic!("{story}: {error}"));
        assert!(more || done(&rig.executor), "{story}: not done at {} us: {:?}", rig.now(), rig.producer.counters());
    }
}

/// Closes the producer; then nothing of it may be left.
fn close(rig: &mut Rig, driver: &[usize], story: &str) {
    let producer = rig.producer.clone();
    let closing = rig.executor.spawn(async move { producer.close(Duration::from_secs(20)).await });
    until_done(rig, &[closing], story);
    until_done(rig, driver, story);
    let memory = rig.producer.memory();
    for (name, pool) in memory.pools() {
        let lent = matches!(name, "buffers" | "batches" | "waiters" | "connections");
        assert!(pool.high_water <= pool.capacity && !(lent && pool.used > 0), "{story}: {name}: {pool:?}");
    }
    let counters = rig.producer.counters();
    assert_eq!(counters.records, counters.acknowledged + counters.failed + counters.unknown, "{story}");
}
