//! A run: everything that the plan says, until it has healed and converged.
//!
//! - `client`: the client and its tasks. `events`: what happens to it, to brokers and to the network, and how that ends.
//! - `proofs`: what must be so when all has healed, and in the end.

mod client;
mod events;
mod proofs;

pub use proofs::ALIVE;

use crate::check;
use crate::executor::Executor;
use crate::network::{Network, millis};
use crate::plan::{Plan, User};
use crate::workload::{Journal, user};
use client::Client;
use demitasse_broker::{Cluster, Faults};
use demitasse_core::{Counters, Topic, UnknownOutcome};
use std::cell::RefCell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Report {
    /// Of everything that went over the network.
    pub trace: u64,
    /// What the client counted.
    pub counters: Counters,
    /// Producer ids that the brokers gave.
    pub producer_ids: usize,
    /// Batches that the brokers had already.
    pub duplicates: usize,
    /// Batches in the logs at the end that are compressed.
    pub compressed: usize,
    /// When it was over, in microseconds.
    pub ended_at: u64,
    /// Polls of all tasks.
    pub polls: u64,
}

/// A promise that was not kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broken {
    /// Which, and how.
    pub what: String,
    /// Of everything that went over the network until then.
    pub trace: u64,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; trace {:016x}", self.what, self.trace)
    }
}

/// Runs a plan.
///
/// # Errors
/// The first promise that was not kept; a panic is one like any other.
pub fn run(plan: &Plan) -> Result<Report, Broken> {
    let mut executor = Executor::new();
    let network = network(plan, &mut executor);
    let lived = AssertUnwindSafe(|| Run::begin(plan, executor, network.clone())?.live());
    let told = catch_unwind(lived).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        Err(format!("panic: {}", text.unwrap_or("without a text")))
    });
    told.map_err(|what| Broken { what, trace: network.trace() })
}

/// The cluster, and the way to it.
fn network(plan: &Plan, executor: &mut Executor) -> Network {
    let time = executor.time.clone();
    let mut cluster = Cluster::new(plan.options.clone());
    cluster.advance(millis(0));
    cluster.set_next_producer_epoch(plan.first_epoch);
    cluster.watch_sequences();
    for (topic, &partitions) in plan.topics.iter().enumerate().filter(|(_, p)| **p > 0) {
        events::create_topic(&mut cluster, plan, topic, partitions);
    }
    cluster.set_faults(Some(Faults::seeded(plan.seed, plan.faults.clone())));
    let network = Network::new(cluster, plan.weather.clone(), plan.seed ^ 0x5eed, time);
    executor.spawn(network.clone().pump());
    network
}

/// Longer than the core takes it for granted that a broker remembers it.
const PAUSE_MICROS: u64 = 61_000_000;

/// A run that is under way.
struct Run<'a> {
    plan: &'a Plan,
    executor: Executor,
    client: Client,
    topics: Vec<Topic>,
    /// The tasks of those who send, and what they were told.
    users: Vec<usize>,
    journal: Rc<RefCell<Journal>>,
}

impl Run<'_> {
    fn begin(plan: &Plan, mut executor: Executor, network: Network) -> Result<Run<'_>, String> {
        let client = Client::start(plan, &mut executor, network)?;
        let name = |topic| client.producer.topic(&format!("t{topic}")).map_err(|error| error.to_string());
        let topics = (0..plan.topics.len()).map(name).collect::<Result<_, _>>()?;
        let journal = Rc::default();
        let mut run = Run { plan, executor, client, topics, users: Vec::new(), journal };
        run.users = plan.users.iter().map(|user| run.spawn_user(user.clone())).collect();
        Ok(run)
    }

    /// Somebody who sends; the task.
    fn spawn_user(&mut self, plan: User) -> usize {
        let number = self.journal.borrow().users.len();
        self.journal.borrow_mut().users.push(Vec::new());
        let (producer, time) = (self.client.producer.clone(), self.executor.time.clone());
        self.executor.spawn(user(producer, self.topics.clone(), self.journal.clone(), time, number, plan))
    }

    fn live(mut self) -> Result<Report, String> {
        let plan = self.plan;
        for &(at, event) in &plan.events {
            self.executor.advance(at)?;
            events::happen(event, plan, &mut self.executor, &mut self.client);
        }
        self.executor.advance(plan.heal_at)?;
        events::heal(&self.client.network, plan, self.executor.time.now());
        self.client.respawn_connections(&mut self.executor);
        self.users_end().map_err(|error| format!("users: {error}"))?;
        if plan.second_act {
            self.second_act().map_err(|error| format!("second act: {error}"))?;
        }
        // With two places users may have taken both for partitions that nobody leads.
        if plan.capacities.partitions > 2 {
            self.prove_alive()?;
            self.prove_turns()?;
        }
        if plan.calm {
            self.prove_prompt()?;
            self.prove_unhurt()?;
        }
        self.close()?;
        self.prove_settled()?;
        self.prove_kept()?;
        Ok(self.report())
    }

    /// The longest that a user can be at work: whatever it waits for ends by its own deadline.
    fn patience(&self, user: &User) -> u64 {
        let longest = (self.plan.config.max_block + self.plan.config.delivery_timeout).as_micros() as u64;
        u64::from(user.calls) * (longest + user.pause)
    }

    fn users_end(&mut self) -> Result<(), String> {
        let patience = self.plan.users.iter().map(|user| self.patience(user)).max().unwrap_or(0);
        let done = |executor: &Executor| self.users.iter().all(|&task| executor.is_done(task));
        self.executor.until(self.plan.heal_at + patience, done)
    }

    /// After a pause the brokers have forgotten the producer: whatever sequence comes first, they take it.
    fn second_act(&mut self) -> Result<(), String> {
        // Users may be gone before their last batch is acknowledged: the pause begins with that.
        let settled = |_: &Executor| self.client.producer.memory().batches.used == 0;
        self.executor
            .until(self.executor.time.now() + PAUSE_MICROS, settled)
            .map_err(|error| format!("a batch was left without an outcome: {error}"))?;
        self.executor.advance(self.executor.time.now() + PAUSE_MICROS)?;
        events::forget_and_trouble(&self.client.network, self.plan);
        let another = User { seed: self.plan.seed ^ 3, ..self.plan.users[0].clone() };
        let patience = self.patience(&another);
        let task = self.spawn_user(another);
        self.executor.advance(self.executor.time.now() + 3_000_000)?;
        events::heal(&self.client.network, self.plan, self.executor.time.now());
        self.executor.until(self.executor.time.now() + patience, |executor| executor.is_done(task))
    }

    fn close(&mut self) -> Result<(), String> {
        let config = &self.plan.config;
        // A batch that is held may have to wait for what was only just healed.
        let hold = config.unknown_outcome == UnknownOutcome::Hold;
        let delivery_timeout = if hold { Duration::from_secs(30) } else { config.delivery_timeout };
        let closing = self.client.producer.clone();
        let close = self.executor.spawn(async move { closing.close(delivery_timeout).await });
        // When nothing is in the way, closing takes no longer than sending does.
        let patience = if self.plan.calm { 2_000_000 } else { delivery_timeout.as_micros() as u64 + 1 };
        let now = self.executor.time.now();
        self.executor
            .until(now + patience, |executor| executor.is_done(close))
            .map_err(|error| format!("close: {error}"))?;
        let now = self.executor.time.now();
        self.executor
            .until(now + 1_000_000, |executor| self.client.is_done(executor))
            .map_err(|error| format!("driver: {error}"))
    }

    fn report(&self) -> Report {
        let world = self.client.network.world.borrow();
        let brokers = world.cluster.counters();
        Report {
            trace: self.client.network.trace(),
            counters: self.client.producer.counters(),
            producer_ids: brokers.producer_ids,
            duplicates: brokers.duplicates as usize,
            compressed: check::compressed(&world.cluster, self.plan.topics.len()),
            ended_at: self.executor.time.now(),
            polls: self.executor.polls(),
        }
    }
}
