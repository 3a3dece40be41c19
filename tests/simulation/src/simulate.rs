//! A run: everything that the plan says, until it has healed and converged.

use crate::check;
use crate::executor::Executor;
use crate::network::{FIRST_PORT, Network, Weather, millis};
use crate::plan::{Event, Plan, User};
use crate::platform::{CellLock, Simulated, SimulatedClock, tables};
use crate::workload::{Journal, user};
use demitasse_broker::{Cluster, Faults, Release, TopicOptions};
use demitasse_core::{Counters, Producer, Scratch, Settings, StartError, State, UnknownOutcome};
use std::cell::{Cell, RefCell};
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

/// More polls at one instant than any honest run needs.
const POLLS_AN_INSTANT: u64 = 20_000;

struct Client {
    producer: Rc<Producer<Simulated>>,
    network: Network,
    frame_bytes: usize,
    receive_bytes: usize,
    #[cfg(feature = "server")]
    pack_bytes: usize,
    clock_task: usize,
    connection_tasks: Vec<usize>,
    buried: check::Buried,
}

impl Client {
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
    let told = catch_unwind(AssertUnwindSafe(|| live(plan, executor, network.clone()))).unwrap_or_else(|panic| {
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
        create_topic(&mut cluster, plan, topic, partitions);
    }
    cluster.set_faults(Some(Faults::seeded(plan.seed, plan.faults.clone())));
    let network = Network::new(cluster, plan.weather.clone(), plan.seed ^ 0x5eed, time);
    executor.spawn(network.clone().pump());
    network
}

fn live(plan: &Plan, mut executor: Executor, network: Network) -> Result<Report, String> {
    let time = executor.time.clone();
    let wall_offset = Rc::new(Cell::new(0));
    let clock = SimulatedClock { time: time.clone(), wall_offset: wall_offset.clone() };
    let c = plan.capacities;
    c.check().map_err(|error| format!("the plan cannot be: {error}"))?;
    let producer = Rc::new(Producer::new(CellLock::new(State::new(tables(&c))), clock));
    producer.lend((0..c.buffers).map(|_| vec![0xdb; c.batch_bytes as usize].into_boxed_slice()));
    let bootstrap = [("broker", FIRST_PORT), ("broker", FIRST_PORT + 1)];
    let bootstrap = &bootstrap[..plan.options.nodes.min(2)];
    let (frame_bytes, receive_bytes) = (c.frame_bytes as usize, c.receive_bytes as usize);
    let settings = Settings::new(&plan.config).map_err(StartError::from);
    let started = settings
        .and_then(|settings| producer.start(settings, bootstrap, (frame_bytes, receive_bytes), plan.seed as u32 | 1));
    started.map_err(|error| format!("the plan cannot be: {error}"))?;

    let mut client = Client {
        producer,
        network,
        frame_bytes,
        receive_bytes,
        #[cfg(feature = "server")]
        pack_bytes: if plan.config.compression == demitasse_core::Compression::None {
            0
        } else {
            c.batch_bytes as usize + demitasse_core::records::lz4::TABLE_BYTES
        },
        clock_task: 0,
        connection_tasks: Vec::new(),
        buried: check::Buried::new(),
    };
    let audited = client.producer.clone();
    executor.check_with(move || audited.audit());
    client.clock_task = client.spawn_clock(&mut executor);
    client.connection_tasks =
        (0..c.connections as usize).map(|slot| client.spawn_connection(&mut executor, slot)).collect();

    let journal = Rc::new(RefCell::new(Journal { users: vec![Vec::new(); plan.users.len()] }));
    let name = |topic| client.producer.topic(&format!("t{topic}")).map_err(|error| error.to_string());
    let topics: Vec<_> = (0..plan.topics.len()).map(name).collect::<Result<_, _>>()?;
    let users: Vec<usize> = plan
        .users
        .iter()
        .enumerate()
        .map(|(number, plan)| {
            executor.spawn(user(
                client.producer.clone(),
                topics.clone(),
                journal.clone(),
                time.clone(),
                number,
                plan.clone(),
            ))
        })
        .collect();

    for &(at, event) in &plan.events {
        advance(&mut executor, at)?;
        happen(event, plan, &mut executor, &mut client, &wall_offset);
    }
    advance(&mut executor, plan.heal_at)?;
    heal(&client.network, plan, time.now());
    for slot in 0..client.connection_tasks.len() {
        if executor.is_done(client.connection_tasks[slot]) {
            client.connection_tasks[slot] = client.spawn_connection(&mut executor, slot);
        }
    }

    // Whatever users still wait for ends by their own deadlines.
    let longest = (plan.config.max_block + plan.config.delivery_timeout).as_micros() as u64;
    let patience: u64 = plan.users.iter().map(|user| u64::from(user.calls) * (longest + user.pause)).max().unwrap_or(0);
    let users_done = |executor: &Executor| users.iter().all(|&task| executor.is_done(task));
    until(&mut executor, plan.heal_at + patience, users_done).map_err(|error| format!("users: {error}"))?;
    if plan.second_act {
        second_act(plan, &mut executor, &client, &topics, &journal).map_err(|error| format!("second act: {error}"))?;
    }

    // With two places users may have taken both for partitions that nobody leads.
    if plan.capacities.partitions > 2 {
        prove_alive(&mut executor, &client, topics[0])?;
        prove_turns(&mut executor, &client, topics[0], plan)?;
    }
    if plan.calm {
        prove_prompt(&mut executor, &client, topics[0], plan.config.linger)?;
        unhurt(plan, &client.producer.counters(), &journal.borrow())?;
    }

    let closing = client.producer.clone();
    // A batch that is held may have to wait for what was only just healed.
    let hold = plan.config.unknown_outcome == UnknownOutcome::Hold;
    let delivery_timeout = if hold { Duration::from_secs(30) } else { plan.config.delivery_timeout };
    let close_task = executor.spawn(async move { closing.close(delivery_timeout).await });
    // When nothing is in the way, closing takes no longer than sending does.
    let patience = if plan.calm { 2_000_000 } else { delivery_timeout.as_micros() as u64 + 1 };
    let close_by = time.now() + patience;
    until(&mut executor, close_by, |executor| executor.is_done(close_task))
        .map_err(|error| format!("close: {error}"))?;
    let mut tasks = client.connection_tasks.clone();
    tasks.push(client.clock_task);
    let driver_done = |executor: &Executor| tasks.iter().all(|&task| executor.is_done(task));
    until(&mut executor, time.now() + 1_000_000, driver_done).map_err(|error| format!("driver: {error}"))?;

    audit(&client, &journal)?;
    let world = client.network.world.borrow();
    let violations = world.cluster.counters().throttle_violations;
    let stalls = plan.events.iter().any(|(_, event)| matches!(event, Event::StallLinks(_)));
    let timely = !stalls && plan.weather.stall == 0 && plan.weather.jitter == 0 && plan.faults.delay == 0;
    if violations > 0 && timely {
        return Err(format!("{violations} requests where silence was asked for"));
    }
    check::check(&journal.borrow(), &world.cluster, plan.topics.len(), &plan.config, &client.buried)?;
    let counters = client.producer.counters();
    // What is held is settled in the end: after all has healed, every batch is written or known to have been.
    // Kafka before 2.4 that has forgotten the producer refuses what it cannot place: then nobody can tell.
    // What is refused, by the topic or because of its size, ends without an answer to whether it was written before.
    let refuses = |(_, event): &(u64, Event)| matches!(event, Event::DenyTopic { .. } | Event::RemakeTopic { .. });
    let refused = plan.max_message_bytes.is_some() || plan.events.iter().any(refuses);
    let cannot_tell = refused || plan.second_act && plan.options.release == Release::V2_1;
    if plan.config.unknown_outcome == UnknownOutcome::Hold && counters.unknown > 0 && !cannot_tell {
        return Err(format!("{} records were left unknown although they were held", counters.unknown));
    }
    let brokers = world.cluster.counters();
    if brokers.rewritten_batches > 0 {
        return Err(format!("{} sequences stood for other bytes than before", brokers.rewritten_batches));
    }
    Ok(Report {
        trace: client.network.trace(),
        counters,
        producer_ids: brokers.producer_ids,
        duplicates: brokers.duplicates as usize,
        compressed: check::compressed(&world.cluster, plan.topics.len()),
        ended_at: time.now(),
        polls: executor.polls(),
    })
}

/// Longer than the core takes it for granted that a broker remembers it.
const PAUSE_MICROS: u64 = 61_000_000;

/// After a pause the brokers have forgotten the producer: whatever sequence comes first, they take it.
fn second_act(
    plan: &Plan,
    executor: &mut Executor,
    client: &Client,
    topics: &[demitasse_core::Topic],
    journal: &Rc<RefCell<Journal>>,
) -> Result<(), String> {
    // Users may be gone before their last batch is acknowledged: the pause begins with that.
    let settled = |_: &Executor| client.producer.memory().batches.used == 0;
    until(executor, executor.time.now() + PAUSE_MICROS, settled)
        .map_err(|error| format!("a batch was left without an outcome: {error}"))?;
    advance(executor, executor.time.now() + PAUSE_MICROS)?;
    {
        let mut world = client.network.world.borrow_mut();
        let ids = world.cluster.counters().producer_ids as i64;
        for topic in (0..plan.topics.len()).map(|topic| format!("t{topic}")) {
            for partition in 0..world.cluster.partitions(&topic) {
                for id in 0..ids {
                    world.cluster.forget_producer(&topic, partition, id);
                }
            }
        }
        world.weather = plan.weather.clone();
        world.cluster.set_faults(Some(Faults::seeded(plan.seed ^ 2, plan.faults.clone())));
    }
    journal.borrow_mut().users.push(Vec::new());
    let another = User { seed: plan.seed ^ 3, ..plan.users[0].clone() };
    let longest = (plan.config.max_block + plan.config.delivery_timeout).as_micros() as u64;
    let patience = u64::from(another.calls) * (longest + another.pause);
    let (producer, time) = (client.producer.clone(), executor.time.clone());
    let task = executor.spawn(user(producer, topics.to_vec(), journal.clone(), time, plan.users.len(), another));
    advance(executor, executor.time.now() + 3_000_000)?;
    heal(&client.network, plan, executor.time.now());
    until(executor, executor.time.now() + patience, |executor| executor.is_done(task))
}

/// After everything has healed, whoever sends more than there is room for is served, and soon: nobody is forgotten.
fn prove_alive(executor: &mut Executor, client: &Client, topic: demitasse_core::Topic) -> Result<(), String> {
    let refused = Rc::new(RefCell::new(None));
    let tasks: Vec<usize> = (0..2)
        .map(|_| {
            let refused = refused.clone();
            let (producer, time) = (client.producer.clone(), executor.time.clone());
            executor.spawn(async move {
                let value = [ALIVE; 60];
                for _ in 0..30 {
                    while let Err(error) = producer.send(topic, &demitasse_core::Record::new(&value)).await {
                        *refused.borrow_mut() = Some(error);
                        time.sleep(10_000).await;
                    }
                }
            })
        })
        .collect();
    let soon = executor.time.now() + 10_000_000;
    until(executor, soon, |executor| tasks.iter().all(|&task| executor.is_done(task))).map_err(|error| {
        format!("healed, but not alive: {error}: {:?} {:?}", refused.borrow(), client.producer.counters())
    })
}

/// After everything has healed, each partition's leader is reached soon, one after the other, however few slots there are.
fn prove_turns(
    executor: &mut Executor,
    client: &Client,
    topic: demitasse_core::Topic,
    plan: &Plan,
) -> Result<(), String> {
    // Silence that was asked for last is kept, and a topic that was made again is believed after some answers only.
    let slow = |(_, event): &(u64, Event)| matches!(event, Event::RemakeTopic { .. } | Event::Throttle(201..));
    let patience = if plan.events.iter().any(slow) { 10_000_000 } else { 3_000_000 };
    for partition in 0..client.producer.partitions(topic).unwrap_or(0).min(6) as i32 {
        let producer = client.producer.clone();
        let task = executor.spawn(async move {
            if let Ok(delivery) =
                producer.send(topic.partition(partition), &demitasse_core::Record::new(&[ALIVE])).await
            {
                let _ = producer.wait(delivery).await;
            }
        });
        let soon = executor.time.now() + plan.config.linger.as_micros() as u64 + patience;
        until(executor, soon, |executor| executor.is_done(task))
            .map_err(|error| format!("partition {partition} has no turn: {error}: {:?}", client.producer.counters()))?;
    }
    Ok(())
}

/// When nothing goes wrong and nobody else sends, a record is acknowledged soon after its linger is over.
fn prove_prompt(
    executor: &mut Executor,
    client: &Client,
    topic: demitasse_core::Topic,
    linger: Duration,
) -> Result<(), String> {
    advance(executor, executor.time.now() + 2_000_000)?;
    let producer = client.producer.clone();
    let task = executor.spawn(async move {
        if let Ok(delivery) = producer.send(topic.partition(0), &demitasse_core::Record::new(&[ALIVE])).await {
            let _ = producer.wait(delivery).await;
        }
    });
    let soon = executor.time.now() + linger.as_micros() as u64 + 500_000;
    until(executor, soon, |executor| executor.is_done(task)).map_err(|error| format!("not prompt: {error}"))
}

/// When nothing goes wrong, nothing is refused, sent twice, numbered again or lost.
fn unhurt(plan: &Plan, counters: &Counters, journal: &Journal) -> Result<(), String> {
    let hurt = [
        counters.failed,
        counters.unknown,
        counters.retries,
        counters.duplicates,
        counters.epoch_bumps,
        counters.sequence_gaps,
        // A broker of before Kafka 2.4 closes on what newer ones are asked without waiting.
        if plan.options.release == Release::V2_1 { 0 } else { counters.connections_lost },
        counters.late_answers,
        counters.protocol_violations,
    ];
    let late =
        |entry: &&crate::workload::Entry| matches!(entry.taken, Some(Err(demitasse_core::SendError::Timeout { .. })));
    match (hurt.iter().any(|&count| count > 0), journal.users.iter().flatten().find(late)) {
        (false, None) => Ok(()),
        (_, late) => Err(format!("nothing went wrong, yet {counters:?} {late:?}")),
    }
}

/// The first byte of records that are not in the journal.
pub const ALIVE: u8 = 0xff;

pub(crate) fn advance(executor: &mut Executor, until: u64) -> Result<(), String> {
    while executor.time.now() < until {
        if !executor.step(until, POLLS_AN_INSTANT)? && executor.time.now() < until {
            // Nothing is left to happen by itself before then.
            break;
        }
    }
    Ok(())
}

pub(crate) fn until(executor: &mut Executor, at: u64, done: impl Fn(&Executor) -> bool) -> Result<(), String> {
    loop {
        let more = executor.step(at, POLLS_AN_INSTANT)?;
        if done(executor) {
            return Ok(());
        }
        if !more {
            return Err(format!("not done by {at} us, and nothing is left to happen"));
        }
    }
}

fn happen(event: Event, plan: &Plan, executor: &mut Executor, client: &mut Client, wall_offset: &Cell<i64>) {
    let now = millis(executor.time.now());
    let name = |topic: usize| format!("t{topic}");
    {
        let mut world = client.network.world.borrow_mut();
        world.note(format!("{event:?}").as_bytes());
        match event {
            Event::NodeDown(node) => drop(world.cluster.node_down(node, now)),
            Event::NodeUp(node) => drop(world.cluster.node_up(node, now)),
            Event::MoveLeader { topic, partition, node } => {
                world.cluster.move_leader(&name(topic), partition, node);
            }
            Event::StaleMetadata { node, stale } => world.cluster.set_stale_metadata(node, stale),
            Event::HideTopic { topic, node, millis } => {
                world.cluster.hide_topic(&name(topic), Some(node), now + millis)
            }
            Event::Throttle(millis) => world.cluster.set_throttle_all(millis),
            Event::DiskFull { node, full } => world.cluster.set_disk_full(node, full),
            Event::StallLinks(within) => world.stall_links(within, executor.time.now()),
            Event::WallClock(millis) => wall_offset.set(millis),
            Event::DenyTopic { topic, denied: true } => world.cluster.deny_topic(&name(topic)),
            Event::DenyTopic { topic, denied: false } => world.cluster.allow_topic(&name(topic)),
            Event::DenyIds(denied) => world.cluster.set_idempotent_write_denied(denied),
            Event::AddPartitions { topic, more } => drop(world.cluster.add_partitions(&name(topic), more)),
            Event::RemakeTopic { topic, partitions } => {
                check::bury(&world.cluster, topic, &mut client.buried);
                world.cluster.delete_topic(&name(topic));
                create_topic(&mut world.cluster, plan, topic, partitions);
            }
            Event::DropConnectionTask(_) | Event::LeaveConnectionTask(_) | Event::DropClockTask => {}
        }
        world.cut_dead();
    }
    match event {
        Event::DropConnectionTask(slot) => {
            executor.abort(client.connection_tasks[slot as usize]);
            client.connection_tasks[slot as usize] = client.spawn_connection(executor, slot as usize);
        }
        Event::LeaveConnectionTask(slot) => executor.abort(client.connection_tasks[slot as usize]),
        Event::DropClockTask => {
            executor.abort(client.clock_task);
            client.clock_task = client.spawn_clock(executor);
        }
        _ => {}
    }
}

fn create_topic(cluster: &mut Cluster, plan: &Plan, topic: usize, partitions: i32) {
    let options = TopicOptions { max_message_bytes: plan.max_message_bytes, ..TopicOptions::default() };
    cluster.create_topic_with(&format!("t{topic}"), partitions, options);
}

fn heal(network: &Network, plan: &Plan, now: u64) {
    let mut world = network.world.borrow_mut();
    world.weather = Weather { latency: 500, ..Weather::default() };
    world.cluster.clear_faults();
    world.cluster.set_throttle_all(0);
    world.cluster.set_idempotent_write_denied(false);
    (0..plan.topics.len()).for_each(|topic| world.cluster.allow_topic(&format!("t{topic}")));
    for node in 1..=plan.options.nodes as i32 {
        world.cluster.node_up(node, millis(now));
        world.cluster.set_stale_metadata(node, false);
        world.cluster.set_disk_full(node, false);
    }
}

/// Asks for every outcome that nobody has asked for, and counts what was lent.
fn audit(client: &Client, journal: &Rc<RefCell<Journal>>) -> Result<(), String> {
    for entry in journal.borrow_mut().users.iter_mut().flatten() {
        if let (Some(Ok(delivery)), None) = (&entry.taken, &entry.outcome) {
            entry.outcome = client.producer.outcome(delivery);
        }
    }
    let memory = client.producer.memory();
    for (name, pool) in [
        ("buffers", memory.buffers),
        ("batches", memory.batches),
        ("waiters", memory.waiters),
        ("connections", memory.connections),
    ] {
        if pool.used != 0 || pool.high_water > pool.capacity {
            return Err(format!("{name} at the end: {pool:?}"));
        }
    }
    let counters = client.producer.counters();
    if counters.records != counters.acknowledged + counters.failed + counters.unknown {
        return Err(format!("records and outcomes differ: {counters:?}"));
    }
    Ok(())
}
