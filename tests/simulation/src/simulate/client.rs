//! The client of a run, and the tasks that do its work.

use crate::check::Buried;
use crate::executor::Executor;
use crate::network::{FIRST_PORT, Network};
use crate::plan::Plan;
use crate::platform::{CellLock, Simulated, SimulatedClock, tables};
use demitasse_core::{Producer, Scratch, Settings, StartError, State};
use std::cell::Cell;
use std::rc::Rc;

pub(super) struct Client {
    pub(super) producer: Rc<Producer<Simulated>>,
    pub(super) network: Network,
    frame_bytes: usize,
    receive_bytes: usize,
    #[cfg(feature = "server")]
    pack_bytes: usize,
    pub(super) wall_offset: Rc<Cell<i64>>,
    clock: usize,
    connections: Vec<usize>,
    /// What was in topics that are deleted.
    pub(super) buried: Buried,
}

impl Client {
    /// A client as the plan says, with its tasks.
    pub(super) fn start(plan: &Plan, executor: &mut Executor, network: Network) -> Result<Client, String> {
        let c = plan.capacities;
        c.check().map_err(|error| format!("the plan cannot be: {error}"))?;
        let wall_offset = Rc::new(Cell::new(0));
        let clock = SimulatedClock { time: executor.time.clone(), wall_offset: wall_offset.clone() };
        let producer = Rc::new(Producer::new(CellLock::new(State::new(tables(&c))), clock));
        producer.lend((0..c.buffers).map(|_| vec![0xdb; c.batch_bytes as usize].into_boxed_slice()));
        let mut client = Client {
            producer,
            network,
            frame_bytes: c.frame_bytes as usize,
            receive_bytes: c.receive_bytes as usize,
            #[cfg(feature = "server")]
            pack_bytes: if plan.config.compression == demitasse_core::Compression::None {
                0
            } else {
                c.batch_bytes as usize + demitasse_core::records::lz4::TABLE_BYTES
            },
            wall_offset,
            clock: 0,
            connections: Vec::new(),
            buried: Buried::new(),
        };
        client.begin(plan).map_err(|error| format!("the plan cannot be: {error}"))?;
        let audited = client.producer.clone();
        executor.check_with(move || audited.audit());
        client.clock = client.spawn_clock(executor);
        client.connections = (0..c.connections as usize).map(|slot| client.spawn_connection(executor, slot)).collect();
        Ok(client)
    }

    fn begin(&self, plan: &Plan) -> Result<(), StartError> {
        let bootstrap = [("broker", FIRST_PORT), ("broker", FIRST_PORT + 1)];
        let bootstrap = &bootstrap[..plan.options.nodes.min(2)];
        let scratch = (self.frame_bytes, self.receive_bytes);
        self.producer.start(Settings::new(&plan.config)?, bootstrap, scratch, plan.seed as u32 | 1)
    }

    fn spawn_clock(&self, executor: &mut Executor) -> usize {
        let (producer, network) = (self.producer.clone(), self.network.clone());
        executor.spawn(async move { producer.run_clock(&network).await })
    }

    fn spawn_connection(&self, executor: &mut Executor, slot: usize) -> usize {
        let (producer, network) = (self.producer.clone(), self.network.clone());
        let (mut frame, mut receive) = (vec![0; self.frame_bytes], vec![0; self.receive_bytes]);
        #[cfg(feature = "server")]
        let mut pack = vec![0; self.pack_bytes];
        executor.spawn(async move {
            let scratch = Scratch::new(&mut frame, &mut receive);
            #[cfg(feature = "server")]
            let scratch = scratch.packing(&mut pack);
            producer.run_connection(&network, slot, scratch).await;
        })
    }

    /// The work of a slot is dropped, wherever it waits.
    pub(super) fn drop_connection(&self, executor: &mut Executor, slot: usize) {
        executor.abort(self.connections[slot]);
    }

    /// Whoever does the work of the clock or of a slot is another from here on.
    pub(super) fn replace_clock(&mut self, executor: &mut Executor) {
        executor.abort(self.clock);
        self.clock = self.spawn_clock(executor);
    }

    pub(super) fn replace_connection(&mut self, executor: &mut Executor, slot: usize) {
        self.drop_connection(executor, slot);
        self.connections[slot] = self.spawn_connection(executor, slot);
    }

    /// Slots whose work nobody does find somebody.
    pub(super) fn respawn_connections(&mut self, executor: &mut Executor) {
        for slot in 0..self.connections.len() {
            if executor.is_done(self.connections[slot]) {
                self.connections[slot] = self.spawn_connection(executor, slot);
            }
        }
    }

    /// Whether all of its tasks have ended.
    pub(super) fn is_done(&self, executor: &Executor) -> bool {
        self.connections.iter().chain([&self.clock]).all(|&task| executor.is_done(task))
    }
}
