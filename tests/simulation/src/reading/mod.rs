//! The consumer against the model broker: logs that grow, are cut at both ends and change their leaders, while a reader
//! polls, pauses, seeks and commits; until all has healed and everything has been read.
//!
//! [`plan`] draws a run from its seed: `driver` is the client with its tasks; `writer` fills the logs, with transactions and gaps; `events` happen to brokers and
//! client; `reader` reads, and does what stands in `acts` beside it; and [`ledger`] knows what was ever in the logs and holds
//! each record that is handed out against it, at once, and each offset that the group keeps. In some runs brokers lie
//! (`liar`) until all heals: then nothing may break meanwhile, and behind it all must be as it is in the others.

mod account;
mod acts;
mod batch;
mod driver;
mod events;
pub mod ledger;
mod liar;
pub mod plan;
mod reader;
mod world;
mod writer;

pub use batch::{batch, marker};
pub use world::World;

use crate::executor::Executor;
use crate::network::{Network, millis};
use crate::simulate::Broken;
use demitasse_broker::{Cluster, Faults};
use demitasse_core::{CommitError, Counters, Start};
use driver::Driver;
use ledger::Told;
use plan::Plan;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

/// A state, and how often a run was in it.
type Probe = (&'static str, fn(&Report) -> usize);

/// States that a run of many seeds must have reached.
const PROBES: &[Probe] = &[
    ("a log had lost what was read, and it was told", |run| run.told.truncated),
    ("a log had no such offset, and it was told", |run| run.told.out_of_range),
    ("reading went on where the reset policy says", |run| run.told.resets),
    ("positions were committed", |run| run.told.commits.0),
    ("a commit was not heard of in time", |run| run.told.commits.1),
    ("a connection of a reader was lost", |run| run.counters.connections_lost),
    ("a reader was asked for silence", |run| run.counters.throttles),
    // Later versions tell of it than a device speaks.
    #[cfg(feature = "server")]
    ("a leader was learnt from a Fetch response", |run| run.counters.leader_hints),
    ("records of aborted transactions were passed over", |run| run.told.aborted),
    ("a reader went elsewhere in the midst of a loan", |run| run.told.recalled),
    ("a topic was deleted and made again", |run| run.told.remade),
    ("a broker lied", |run| run.told.lies),
];

/// What many runs came to.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Seeds run.
    pub seeds: u64,
    /// Records handed out in all of them.
    pub records: u64,
    /// Of all their traces.
    pub trace: u64,
    reached: [u64; PROBES.len()],
    /// Seeds that failed, and why.
    pub failed: Vec<(u64, Broken)>,
}

impl Summary {
    /// States, and how often each was reached.
    pub fn reached(&self) -> impl Iterator<Item = (&'static str, u64)> {
        PROBES.iter().zip(self.reached).map(|((name, _), count)| (*name, count))
    }
}

/// Runs the seeds from `first` on, `seeds` of them, or until so many have failed.
pub fn attempts(first: u64, seeds: u64, failures: usize) -> Summary {
    let mut summary = Summary::default();
    for seed in first..first + seeds {
        summary.seeds += 1;
        match run(&Plan::draw(seed)) {
            Ok(report) => {
                summary.records += report.told.records as u64;
                summary.trace = summary.trace.rotate_left(1) ^ report.trace;
                for (sum, (_, probe)) in summary.reached.iter_mut().zip(PROBES) {
                    *sum += probe(&report) as u64;
                }
            }
            Err(what) => summary.failed.push((seed, what)),
        }
        if summary.failed.len() >= failures {
            break;
        }
    }
    summary
}

/// The group that keeps positions.
pub const GROUP: &str = "g";

/// How a run ended.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    /// Of everything that went over the network.
    pub trace: u64,
    /// What the client counted.
    pub counters: Counters,
    /// What the reader met.
    pub told: Told,
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

fn network(plan: &Plan, executor: &mut Executor) -> Network {
    let time = executor.time.clone();
    let mut cluster = Cluster::new(plan.options.clone());
    cluster.advance(millis(0));
    for (topic, &partitions) in plan.topics.iter().enumerate() {
        cluster.create_topic(&name(topic), partitions);
    }
    cluster.set_faults(Some(Faults::seeded(plan.seed, plan.faults.clone())));
    let network = Network::new(cluster, plan.weather.clone(), plan.seed ^ 0x5eed, time);
    executor.spawn(network.clone().pump());
    network
}

/// The topic's name.
pub fn name(topic: usize) -> String {
    format!("t{topic}")
}

/// A run that is under way.
struct Run<'a> {
    plan: &'a Plan,
    executor: Executor,
    driver: Driver,
    world: World,
    writers: Vec<usize>,
    readers: Vec<usize>,
}

impl Run<'_> {
    fn begin(plan: &Plan, mut executor: Executor, network: Network) -> Result<Run<'_>, String> {
        let driver = Driver::start(plan, &mut executor, network)?;
        let (world, time) = (driver.world.clone(), executor.time.clone());
        if plan.lies {
            let told = world.ledger.clone();
            let liar = liar::liar(plan.seed, plan.topics.len(), move || told.borrow_mut().told.lies += 1);
            world.network.world.borrow_mut().liar = Some(liar);
        }
        let mut writers = Vec::new();
        for (topic, partition) in world.partitions() {
            world.assign(topic, partition, Start::Beginning);
            writers.push(executor.spawn(writer::write(world.clone(), plan.clone(), time.clone(), topic, partition)));
        }
        let read = |number| executor.spawn(reader::read(world.clone(), plan.clone(), time.clone(), number));
        let readers = (0..plan.readers).map(read).collect();
        Ok(Run { plan, executor, driver, world, writers, readers })
    }

    fn live(mut self) -> Result<Report, String> {
        let plan = self.plan;
        for &(at, event) in &plan.events {
            self.executor.advance(at)?;
            events::happen(event, plan, &mut self.executor, &mut self.driver);
            self.world.verdict()?;
        }
        self.executor.advance(plan.heal_at)?;
        events::heal(plan, &self.world, self.executor.time.now());
        self.writers_end()?;
        self.catch_up(plan.heal_at + 120_000_000, "healed, but not caught up")?;
        if plan.has_group() {
            self.keep_and_go_on()?;
        }
        // The rest is not what the plan drew.
        let told = self.world.ledger.borrow().told;
        self.read_all_again()?;
        self.close()?;
        Ok(Report { trace: self.world.network.trace(), counters: self.world.consumer.counters(), told })
    }

    /// All is written, and nobody lies any more.
    fn writers_end(&mut self) -> Result<(), String> {
        // By now nobody draws what to do; they only read on.
        let done = |executor: &Executor| self.writers.iter().all(|&task| executor.is_done(task));
        self.executor.until(self.plan.heal_at + 60_000_000, done)?;
        writer::end_all(&self.world);
        if self.plan.lies {
            // What was under way at the healing has come.
            self.executor.advance(self.executor.time.now() + 10_000_000)?;
            events::believe(&self.world);
        }
        Ok(())
    }

    /// By then all that is in the logs is handed out; if not, `what` is broken.
    fn catch_up(&mut self, at: u64, what: &str) -> Result<(), String> {
        let world = &self.world;
        self.executor
            .until(at, |_| world.broken.borrow().is_some() || world.is_caught_up())
            .map_err(|error| format!("{what}: {error}: {}", world.backlog()))?;
        world.verdict()
    }

    /// The positions are kept, and where they are somebody goes on who knows nothing else.
    fn keep_and_go_on(&mut self) -> Result<(), String> {
        let (executor, world) = (&mut self.executor, self.world.clone());
        let kept = Rc::new(RefCell::new((None, Vec::new())));
        let (committing, outcome) = (world.clone(), kept.clone());
        let task = executor.spawn(async move {
            // The first may wait out a backoff of before.
            loop {
                // A truncation may be noticed meanwhile, in a log that has grown again to where the reader is.
                committing.will_commit();
                let positions = committing.positions();
                let committed = committing.consumer.commit().await;
                *outcome.borrow_mut() = (Some(committed), positions);
                if !matches!(committed, Err(CommitError::TimedOut { .. })) {
                    return;
                }
            }
        });
        executor
            .until(executor.time.now() + 10_000_000, |executor| executor.is_done(task))
            .map_err(|error| format!("healed, but no commit: {error} {}", world.backlog()))?;
        let (outcome, positions) = kept.take();
        if outcome != Some(Ok(())) {
            return Err(format!("healed, but the commit: {outcome:?}"));
        }
        for ((topic, partition), position) in world.partitions().into_iter().zip(positions) {
            let committed = world.network.world.borrow().cluster.committed(GROUP, &name(topic), partition);
            if position != committed.map(|(offset, _)| offset) {
                return Err(format!("t{topic}-{partition} is at {position:?}, the group keeps {committed:?}"));
            }
            world.assign(topic, partition, Start::Committed);
        }
        self.catch_up(self.executor.time.now() + 60_000_000, "not recalled")
    }

    /// From its beginning to its end every log is handed out, record by record.
    fn read_all_again(&mut self) -> Result<(), String> {
        let world = self.world.clone();
        for (topic, partition) in world.partitions() {
            world.ledger.borrow_mut().forget_handed_out(topic, partition);
            world.assign(topic, partition, Start::Beginning);
        }
        self.catch_up(self.executor.time.now() + 120_000_000, "healed, but not read again")?;
        for (topic, partition) in world.partitions() {
            let network = world.network.world.borrow();
            let log = network.cluster.partition(&name(topic), partition).ok_or("no partition")?;
            world.ledger.borrow().all_handed_out(topic, partition, log.start_offset())?;
        }
        Ok(())
    }

    /// Everybody comes to an end, and all that was lent is back.
    fn close(&mut self) -> Result<(), String> {
        self.world.will_commit();
        let closing = self.world.consumer.clone();
        let close = self.executor.spawn(async move {
            let _ = closing.close().await;
        });
        let tasks = [&self.driver.connections[..], &self.readers, &[self.driver.clock, close]].concat();
        let done = |executor: &Executor| tasks.iter().all(|&task| executor.is_done(task));
        self.executor.until(self.executor.time.now() + 10_000_000, done).map_err(|error| format!("close: {error}"))?;
        self.world.verdict()?;
        let gauges = self.world.consumer.gauges();
        if gauges.bytes_held > 0 || gauges.bytes_in_flight > 0 {
            return Err(format!("at the end {gauges:?}"));
        }
        Ok(())
    }
}
