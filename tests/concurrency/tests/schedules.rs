//! Threads that send, wait, flush, drop and close, beside the driver's threads, in thousands of orders: nobody waits for
//! ever, every record is written once, and nothing is left in the end.

use demitasse_concurrency_tests::network::{Network, PORT};
use demitasse_concurrency_tests::platform::{Scheduled, ScheduledLock, StandingClock, tables};
use demitasse_core::{
    Capacities, Config, Delivery, Producer, Record, Scratch, SendError, Settings, Sizing, State, Topic, WaitersFull,
};
use shuttle::future::block_on;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::sync::Arc;
use shuttle::thread::{self, JoinHandle};
use shuttle::{Config as Schedules, MaxSteps, Runner};
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

const TOPIC: &str = "t";

/// So many fill a batch.
const VALUE_BYTES: usize = 100;

/// What a test starts with.
#[derive(Clone, Copy)]
struct Setup {
    nodes: u16,
    buffers: u16,
    seats: u16,
    waiters_full: WaitersFull,
    linger: Duration,
    /// All of the driver in one thread, instead of a thread for each of its futures.
    joined: bool,
}

/// Few buffers, so that those who send wait for those who are served.
const TIGHT: Setup =
    Setup { nodes: 1, buffers: 2, seats: 8, waiters_full: WaitersFull::Refuse, linger: Duration::ZERO, joined: false };

struct Client {
    producer: Arc<Producer<Scheduled>>,
    network: Network,
    topic: Topic,
    nodes: u16,
    threads: Vec<JoinHandle<()>>,
}

impl Client {
    fn start(setup: Setup) -> Client {
        let batch_size = 200;
        let sizing = Sizing {
            buffer_memory: u64::from(setup.buffers * batch_size),
            batch_size: batch_size.into(),
            partitions: setup.nodes,
            topics: 1,
            brokers: setup.nodes + 1,
            connections: setup.nodes,
            max_in_flight: 2,
            waiters: setup.seats,
        };
        let sizes = Capacities::derive(&sizing);
        let mut config = Config::new();
        (config.linger, config.waiters_full) = (setup.linger, setup.waiters_full);
        let network = Network::new(setup.nodes, TOPIC);
        let producer = Producer::new(ScheduledLock::new(State::new(tables(&sizes))), StandingClock);
        producer.lend((0..sizes.buffers).map(|_| vec![0; sizes.batch_bytes as usize].into_boxed_slice()));
        let scratch = (sizes.frame_bytes as usize, sizes.receive_bytes as usize);
        producer.start(Settings::new(&config).unwrap(), &[("127.0.0.1", PORT)], scratch, 1).unwrap();
        let topic = producer.topic(TOPIC).unwrap();
        let mut client =
            Client { producer: Arc::new(producer), network, topic, nodes: setup.nodes, threads: Vec::new() };
        client.run(setup, sizes);
        client
    }

    fn run(&mut self, setup: Setup, sizes: Capacities) {
        let network = self.network.clone();
        self.threads.push(thread::spawn(move || block_on(network.serve())));
        let driver = |parts: Vec<Option<usize>>| {
            let (producer, network) = (self.producer.clone(), self.network.clone());
            thread::spawn(move || block_on(run(&producer, &network, &parts, sizes)))
        };
        let parts = (0..setup.nodes.into()).map(Some).chain([None]);
        if setup.joined {
            self.threads.push(driver(parts.collect()));
        } else {
            self.threads.extend(parts.map(|part| driver(vec![part])));
        }
    }

    /// A thread with a user in it.
    fn user(&self, user: impl FnOnce(&User) + Send + 'static) -> JoinHandle<()> {
        let who = User { producer: self.producer.clone(), topic: self.topic };
        thread::spawn(move || user(&who))
    }

    /// All threads have to end; then so many records are in the log, and nothing is held.
    fn end(self, users: Vec<JoinHandle<()>>, records: usize) {
        users.into_iter().for_each(|user| user.join().unwrap());
        block_on(self.producer.close(Duration::from_secs(1)));
        let mut threads = self.threads.into_iter();
        let broker = threads.next().unwrap();
        threads.for_each(|driver| driver.join().unwrap());
        self.network.stop();
        broker.join().unwrap();
        let counters = self.producer.counters();
        assert_eq!((counters.acknowledged, counters.retries), (records, 0), "{counters:?}");
        let memory = self.producer.memory();
        for pool in [memory.buffers, memory.batches, memory.waiters, memory.connections] {
            assert!(pool.used == 0 && pool.high_water <= pool.capacity, "{memory:?}");
        }
        let written: usize = self.network.with(|cluster| {
            (0..self.nodes.into()).map(|p| cluster.partition(TOPIC, p).unwrap().records().count()).sum()
        });
        assert_eq!(written, records);
    }
}

/// Runs slots, and the clock if one of the parts is none, until all have ended.
async fn run(producer: &Producer<Scheduled>, network: &Network, parts: &[Option<usize>], sizes: Capacities) {
    let part = |part: Option<usize>| async move {
        let Some(slot) = part else { return producer.run_clock(network).await };
        let (mut frame, mut receive) = (vec![0; sizes.frame_bytes as usize], vec![0; sizes.receive_bytes as usize]);
        producer.run_connection(network, slot, Scratch::new(&mut frame, &mut receive)).await;
    };
    let mut parts: Vec<_> = parts.iter().map(|&which| Box::pin(part(which))).collect();
    poll_fn(|cx| {
        parts.retain_mut(|part| part.as_mut().poll(cx).is_pending());
        if parts.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

struct User {
    producer: Arc<Producer<Scheduled>>,
    topic: Topic,
}

impl User {
    fn send(&self) -> Delivery {
        block_on(self.producer.send(self.topic, &Record::new(&[1; VALUE_BYTES]))).unwrap()
    }

    fn send_small(&self) -> Delivery {
        block_on(self.producer.send(self.topic, &Record::new(b"x"))).unwrap()
    }

    fn wait(&self, delivery: Delivery) {
        assert!(block_on(self.producer.wait(delivery)).unwrap().offset.is_some());
    }

    fn flush(&self) {
        block_on(self.producer.flush()).unwrap();
    }
}

/// Runs the story in many orders that are drawn.
fn in_fair_orders(story: fn()) {
    in_orders(RandomScheduler::new_from_seed(SEED, orders()), story);
}

/// And in as many with few but far-reaching changes of turn: a thread may have to wait until all others wait for it.
fn in_many_orders(story: fn()) {
    in_fair_orders(story);
    in_orders(PctScheduler::new_from_seed(SEED, CHANGES, orders()), story);
}

fn in_orders(scheduler: impl Scheduler + 'static, story: fn()) {
    let mut schedules = Schedules::new();
    // Futures of a debug build are large.
    schedules.stack_size = 512 * 1024;
    schedules.max_steps = MaxSteps::FailAfter(20_000);
    assert_eq!(Runner::new(scheduler, schedules).run(story), orders());
}

const SEED: u64 = 1;

/// Of each test and each way of drawing; `DEMITASSE_ORDERS` is for more, by hand.
fn orders() -> usize {
    std::env::var("DEMITASSE_ORDERS").map_or(250, |orders| orders.parse().expect("a number"))
}

const CHANGES: usize = 3;

#[test]
fn two_threads_send_and_wait() {
    in_many_orders(|| {
        let client = Client::start(TIGHT);
        let sends = |user: &User| (0..2).for_each(|_| user.wait(user.send()));
        let users = vec![client.user(sends), client.user(sends)];
        client.end(users, 4);
    });
}

#[test]
fn threads_that_wait_for_room() {
    in_many_orders(|| {
        let client = Client::start(Setup { buffers: 1, ..TIGHT });
        let sends = |user: &User| {
            user.send();
            user.send();
        };
        let users = vec![client.user(sends), client.user(sends), client.user(|user| user.wait(user.send()))];
        client.end(users, 5);
    });
}

#[test]
fn the_driver_in_one_thread() {
    in_many_orders(|| {
        let client = Client::start(Setup { nodes: 2, joined: true, ..TIGHT });
        let sends = |user: &User| (0..2).for_each(|_| user.wait(user.send()));
        let users = vec![client.user(sends), client.user(sends)];
        client.end(users, 4);
    });
}

/// Time stands still, so nothing but the flush ends the linger.
#[test]
fn a_flush_while_others_send() {
    in_many_orders(|| {
        let client = Client::start(Setup { buffers: 4, linger: Duration::from_secs(1), ..TIGHT });
        let flushes = |user: &User| {
            let delivery = user.send();
            user.flush();
            assert!(user.producer.outcome(&delivery).unwrap().is_ok());
        };
        let users = vec![client.user(flushes), client.user(flushes)];
        client.end(users, 2);
    });
}

/// All wait for the same batch; more than leave the state in one go.
#[test]
fn many_who_are_woken_at_once() {
    in_many_orders(|| {
        let client = Client::start(Setup { buffers: 1, linger: Duration::from_secs(1), ..TIGHT });
        let waits = |user: &User| user.wait(user.send_small());
        let mut users: Vec<_> = (0..5).map(|_| client.user(waits)).collect();
        users.push(client.user(|user| {
            while user.producer.counters().records < 5 {
                thread::yield_now();
            }
            user.flush();
        }));
        client.end(users, 5);
    });
}

/// With one seat for two threads the surplus one asks again and again, so the others must have their turns.
#[test]
fn more_threads_than_seats() {
    in_fair_orders(|| {
        let client = Client::start(Setup { seats: 1, waiters_full: WaitersFull::Spin, ..TIGHT });
        let sends = |user: &User| user.wait(user.send());
        let users = vec![client.user(sends), client.user(sends)];
        client.end(users, 2);
    });
}

/// A wait is dropped while it may be woken at that very moment; others wait for the same.
#[test]
fn waits_that_are_dropped() {
    in_many_orders(|| {
        let client = Client::start(Setup { buffers: 1, ..TIGHT });
        let drops = |user: &User| {
            let delivery = user.send();
            block_on(async {
                let mut wait = pin!(user.producer.wait(delivery));
                let _ = poll_fn(|cx| Poll::Ready(wait.as_mut().poll(cx))).await;
            });
            user.wait(delivery);
        };
        let sends = |user: &User| {
            user.send();
        };
        let users = vec![client.user(drops), client.user(sends), client.user(drops)];
        client.end(users, 3);
    });
}

/// Whoever closes, and however many do, every thread ends; what was taken before is written.
#[test]
fn threads_that_close() {
    in_many_orders(|| {
        let client = Client::start(TIGHT);
        let closes = |user: &User| {
            user.wait(user.send());
            block_on(user.producer.close(Duration::from_secs(1)));
        };
        let goes_on = |user: &User| {
            for _ in 0..3 {
                match block_on(user.producer.send(user.topic, &Record::new(b"x"))) {
                    Ok(delivery) => user.wait(delivery),
                    Err(error) => assert_eq!(error, SendError::Closed),
                }
            }
        };
        let users = vec![client.user(closes), client.user(goes_on)];
        users.into_iter().for_each(|user| user.join().unwrap());
        let taken = client.producer.counters().records;
        client.end(Vec::new(), taken);
    });
}
