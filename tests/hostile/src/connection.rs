//! A producer whose brokers may do anything: it may lose connections and records, but it tells of each record, gives its
//! memory back, ends when it is closed, and never works without end.

use crate::input::Input;
use crate::world::{PARTITIONS, TOPIC, World};
use demitasse_core::{
    Capacities, Config, Delivery, Producer, Record, Scratch, Settings, Sizing, State, Topic, UnknownOutcome,
    WaitersFull,
};
use demitasse_simulation::executor::Executor;
use demitasse_simulation::network::FIRST_PORT;
use demitasse_simulation::platform::{CellLock, Simulated, SimulatedClock, tables};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

const SIZING: Sizing = Sizing {
    buffer_memory: 4096,
    batch_size: 512,
    partitions: 8,
    topics: 2,
    brokers: 4,
    connections: 2,
    max_in_flight: 5,
    waiters: 8,
};

/// More polls at one instant than any honest run needs.
const POLLS_AN_INSTANT: u64 = 5_000;

/// More things than these take too long for a fuzzer.
const MOST_STEPS: usize = 400;

/// Seconds of virtual time for `close`, and for all tasks to end after it.
const CLOSING: u64 = 3;

struct Client {
    executor: Executor,
    world: World,
    producer: Rc<Producer<Simulated>>,
    topic: Topic,
    capacities: Capacities,
    /// The clock and the slots.
    driver: Vec<usize>,
    /// Who waits for room and for outcomes.
    users: Vec<usize>,
    taken: Rc<RefCell<Vec<Delivery>>>,
}

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let mut client = Client::start(input.byte());
    for _ in 0..MOST_STEPS {
        if input.is_over() {
            break;
        }
        client.step(&mut input);
    }
    client.end();
}

impl Client {
    fn start(choice: u8) -> Client {
        let executor = Executor::new();
        let time = executor.time.clone();
        let world = World::new(time.clone());
        let capacities = Capacities::derive(&SIZING);
        let clock = SimulatedClock { time, wall_offset: Rc::new(Cell::new(0)) };
        let producer = Rc::new(Producer::new(CellLock::new(State::new(tables(&capacities))), clock));
        let Capacities { buffers, batch_bytes, frame_bytes, receive_bytes, .. } = capacities;
        producer.lend((0..buffers).map(|_| vec![0; batch_bytes as usize].into_boxed_slice()));
        let scratch = (frame_bytes as usize, receive_bytes as usize);
        producer.start(Settings::new(&config(choice)).unwrap(), &[("broker", FIRST_PORT)], scratch, 1).unwrap();
        let topic = producer.topic(TOPIC).unwrap();
        let (driver, users, taken) = (Vec::new(), Vec::new(), Rc::default());
        let mut client = Client { executor, world, producer, topic, capacities, driver, users, taken };
        client.driver = (0..=SIZING.connections as usize).map(|part| client.drive(part)).collect();
        client
    }

    /// Runs the clock, which is part 0, or a slot.
    fn drive(&mut self, part: usize) -> usize {
        let (producer, world) = (self.producer.clone(), self.world.clone());
        let Capacities { frame_bytes, receive_bytes, .. } = self.capacities;
        self.executor.spawn(async move {
            let Some(slot) = part.checked_sub(1) else { return producer.run_clock(&world).await };
            let (mut frame, mut receive) = (vec![0; frame_bytes as usize], vec![0; receive_bytes as usize]);
            producer.run_connection(&world, slot, Scratch::new(&mut frame, &mut receive)).await;
        })
    }

    /// Does one thing and lets everything happen that follows at once.
    fn step(&mut self, input: &mut Input<'_>) {
        match input.byte() % 16 {
            0..=2 => self.send(input),
            3 => self.send_waiting(input),
            4 | 5 => {
                let micros = 1_000 << input.below(16);
                self.advance(micros);
            }
            6 => {
                let part = input.below(self.driver.len());
                self.executor.abort(self.driver[part]);
                self.driver[part] = self.drive(part);
                // Whoever drops tasks without end connects without end.
                self.advance(50_000);
            }
            7 => {
                let _ = self.producer.topic("other");
            }
            _ => self.world.act(input),
        }
        self.advance(0);
    }

    fn send(&mut self, input: &mut Input<'_>) {
        let value = vec![b'v'; input.below(200)];
        let to = self.topic.partition(input.below(PARTITIONS as usize + 1) as i32);
        self.taken.borrow_mut().extend(self.producer.try_send(to, &Record::new(&value)));
    }

    fn send_waiting(&mut self, input: &mut Input<'_>) {
        let (producer, topic, taken) = (self.producer.clone(), self.topic, self.taken.clone());
        let value = vec![b'w'; input.below(256)];
        self.users.push(self.executor.spawn(async move {
            if let Ok(delivery) = producer.send(topic, &Record::new(&value)).await {
                taken.borrow_mut().push(delivery);
                let _ = producer.wait(delivery).await;
            }
        }));
    }

    /// Lets everything happen that does within so many microseconds.
    fn advance(&mut self, micros: u64) {
        let until = self.executor.time.now() + micros;
        self.executor.spawn(self.executor.time.sleep_until(until));
        while self.executor.step(until, POLLS_AN_INSTANT).unwrap() {}
    }

    fn end(mut self) {
        let closing = self.producer.clone();
        let closed = self.executor.spawn(async move { closing.close(Duration::from_secs(CLOSING)).await });
        self.advance((CLOSING + 1) * 1_000_000);
        assert!(self.executor.is_done(closed), "close does not end");
        for &task in self.driver.iter().chain(&self.users) {
            assert!(self.executor.is_done(task), "task {task} does not end");
        }
        for delivery in self.taken.borrow().iter() {
            assert!(self.producer.outcome(delivery).is_some(), "{delivery:?} has no outcome");
        }
        let memory = self.producer.memory();
        for pool in [memory.buffers, memory.batches, memory.waiters, memory.connections] {
            assert!(pool.used == 0 && pool.high_water <= pool.capacity, "{memory:?}");
        }
        let c = self.producer.counters();
        assert_eq!(c.records, c.acknowledged + c.failed + c.unknown, "{c:?}");
        // However long it took: what has to wait waits longer and longer, a second at most.
        let seconds = self.executor.time.now() / 1_000_000;
        let most = 20_000 + 400 * (MOST_STEPS as u64 + seconds);
        assert!(self.executor.polls() < most, "{} polls in {seconds} s", self.executor.polls());
    }
}

fn config(choice: u8) -> Config {
    let mut config = Config::new();
    config.linger = Duration::ZERO;
    config.delivery_timeout = Duration::from_secs(20);
    config.request_timeout = Duration::from_secs(5);
    config.metadata_max_age = Duration::from_secs(30);
    config.idempotence = choice & 3 != 3;
    if choice & 3 == 1 {
        config.unknown_outcome = UnknownOutcome::Hold;
    }
    // Who finds no seat asks again at once, without end: right, but not to be told from a busy loop.
    config.waiters_full = WaitersFull::Refuse;
    config
}
