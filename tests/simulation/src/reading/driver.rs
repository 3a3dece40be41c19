//! The client of a run, and the tasks that do its work.

use super::ledger::Ledger;
use super::plan::Plan;
use super::{World, name};
use crate::executor::Executor;
use crate::network::{FIRST_PORT, Network};
use crate::platform::{CellLock, Codec, Simulated, SimulatedClock, tables_with};
use demitasse_core::{Consumer, Inflater, Scratch, Settings, StartError, State};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

pub(super) struct Driver {
    pub(super) world: World,
    scratch: (usize, usize),
    pub(super) clock: usize,
    pub(super) connections: Vec<usize>,
}

impl Driver {
    /// A consumer as the plan says, with its tasks.
    pub(super) fn start(plan: &Plan, executor: &mut Executor, network: Network) -> Result<Driver, String> {
        let c = plan.capacities;
        c.check().map_err(|error| format!("the plan cannot be: {error}"))?;
        let clock = SimulatedClock { time: executor.time.clone(), wall_offset: Rc::new(Cell::new(0)) };
        let consumer = Rc::new(Consumer::new(CellLock::new(State::new(tables_with(&c, plan.chunks))), clock));
        let scratch = (c.frame_bytes as usize, c.receive_bytes as usize);
        begin(&consumer, plan, scratch).map_err(|error| format!("the plan cannot be: {error}"))?;
        let topics =
            (0..plan.topics.len()).map(|topic| consumer.topic(&name(topic)).map_err(|error| error.to_string()));
        let topics = topics.collect::<Result<Vec<_>, _>>()?;
        let ledger = Rc::new(RefCell::new(Ledger::new(plan)));
        let world = World { consumer, network, topics, ledger, broken: Rc::default(), commits: Rc::default() };

        let audited = world.clone();
        executor.check_with(move || {
            audited.audit_commits();
            audited.consumer.audit()
        });
        let mut driver = Driver { world, scratch, clock: 0, connections: Vec::new() };
        driver.spawn_clock(executor);
        driver.connections = (0..c.connections as usize).map(|slot| driver.spawn_connection(executor, slot)).collect();
        Ok(driver)
    }

    pub(super) fn spawn_clock(&mut self, executor: &mut Executor) {
        let (consumer, network) = (self.world.consumer.clone(), self.world.network.clone());
        self.clock = executor.spawn(async move { consumer.run_clock(&network).await });
    }

    pub(super) fn spawn_connection(&self, executor: &mut Executor, slot: usize) -> usize {
        let (consumer, network) = (self.world.consumer.clone(), self.world.network.clone());
        let (mut frame, mut receive) = (vec![0; self.scratch.0], vec![0; self.scratch.1]);
        executor.spawn(async move {
            let scratch = Scratch::new(&mut frame, &mut receive);
            consumer.run_connection(&network, slot, scratch).await;
        })
    }
}

/// Lends it memory, and says where the brokers are.
fn begin(consumer: &Consumer<Simulated>, plan: &Plan, scratch: (usize, usize)) -> Result<(), StartError> {
    let buffer = || vec![0xdb; plan.chunk_bytes as usize].into_boxed_slice();
    consumer.lend((0..plan.chunks).map(|_| buffer()));
    if cfg!(feature = "server") {
        consumer.lend_inflater(Box::new(Inflater::new(Codec::default(), buffer())));
    }
    consumer.start(Settings::new(&plan.config)?, &[("broker", FIRST_PORT)], scratch, plan.seed as u32 | 1)
}
