//! Threads that send, wait, flush, drop and close, beside the driver's threads, in thousands of orders: nobody waits for
//! ever, every record is written once, and nothing is left in the end.

use demitasse_concurrency_tests::block_on;
use demitasse_concurrency_tests::network::{Network, PORT};
use demitasse_concurrency_tests::platform::{Scheduled, ScheduledLock, StandingClock, tables};
use demitasse_core::records::{Compression, Fields, HEADER_BYTES, Sealing, append, crc32c, seal};
use demitasse_core::{
    Capacities, Config, Consumer, Delivery, Producer, Record, Scratch, SendError, Settings, Sizing, Start, State,
    Topic, WaitersFull,
};
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
        // Time stands still: no backoff would ever be over.
        (config.retry_backoff, config.reconnect_backoff) = (Duration::ZERO, Duration::ZERO);
        let network = Network::new(setup.nodes, TOPIC);
        let producer = Producer::new(ScheduledLock::new(State::new(tables(&sizes, 0))), StandingClock);
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
        assert_eq!(counters.acknowledged, records, "{counters:?}");
        assert!(counters.retries == 0 || counters.connections_lost > 0, "{counters:?}");
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

/// A consumer, a broker with the topic and some more, and the threads of both.
struct Reader {
    consumer: Arc<Consumer<Scheduled>>,
    network: Network,
    threads: Vec<JoinHandle<()>>,
}

const TOPICS: [&str; 4] = ["a", "b", "c", "d"];

impl Reader {
    /// With so many chunks, and the topic's one partition has so many batches.
    fn start(chunks: u16, batches: usize, config: impl FnOnce(&mut Config)) -> Reader {
        let sizing = Sizing {
            buffer_memory: 0,
            batch_size: 0,
            partitions: 8,
            topics: 5,
            brokers: 3,
            connections: 2,
            max_in_flight: 1,
            waiters: 8,
        };
        let sizes = Capacities::derive(&sizing).without_batches();
        let mut own = Config::new();
        // Time stands still, and who has asked for metadata may ask again at once.
        own.retry_backoff = Duration::ZERO;
        config(&mut own);
        let network = Network::new(1, TOPIC);
        network.with(|cluster| {
            TOPICS.iter().for_each(|topic| assert!(cluster.create_topic(topic, 1)));
            (0..batches).for_each(|_| _ = cluster.append_batch(TOPIC, 0, &batch()).unwrap());
        });
        let state = State::new(tables(&sizes, chunks));
        let consumer = Consumer::<Scheduled>::new(ScheduledLock::new(state), StandingClock);
        consumer.lend((0..chunks).map(|_| vec![0; CHUNK_BYTES].into_boxed_slice()));
        let scratch = (sizes.frame_bytes as usize, sizes.receive_bytes as usize);
        consumer.start(Settings::new(&own).unwrap(), &[("127.0.0.1", PORT)], scratch, 1).unwrap();
        let consumer = Arc::new(consumer);
        let broker = network.clone();
        let mut threads = vec![thread::spawn(move || block_on(broker.serve()))];
        threads.extend([Some(0), Some(1), None].map(|part| {
            let (consumer, network) = (consumer.clone(), network.clone());
            thread::spawn(move || block_on(run(consumer.client(), &network, &[part], sizes)))
        }));
        Reader { consumer, network, threads }
    }

    fn user(&self, user: impl FnOnce(&Consumer<Scheduled>) + Send + 'static) -> JoinHandle<()> {
        let consumer = self.consumer.clone();
        thread::spawn(move || user(&consumer))
    }

    /// All threads have to end; then nothing is held.
    fn end(self, users: Vec<JoinHandle<()>>) {
        users.into_iter().for_each(|user| user.join().unwrap());
        let _ = block_on(self.consumer.close());
        let mut threads = self.threads.into_iter();
        let broker = threads.next().unwrap();
        threads.for_each(|driver| driver.join().unwrap());
        self.network.stop();
        broker.join().unwrap();
        // What was fetched and nobody wants any more.
        while let Ok(Some(fetched)) = block_on(self.consumer.poll(100)) {
            fetched.records().for_each(drop);
        }
        let memory = self.consumer.memory();
        assert_eq!((memory.chunks.used, memory.waiters.used, memory.connections.used), (0, 0, 0), "{memory:?}");
    }
}

/// A batch that is larger than the only chunk goes through it in pieces, while another thread has something to ask over the same
/// connection: who waits for a piece to come back is woken, and what came behind it is read before what comes next. Behind the batch
/// the broker has nothing and says so at once, so the others must have their turns.
#[test]
fn pieces_of_a_batch_beside_other_questions() {
    in_fair_orders(|| {
        const BATCHES: usize = 4;
        let client = Reader::start(1, BATCHES, |_| ());
        let reads = client.user(|consumer| {
            let topic = consumer.topic(TOPIC).unwrap();
            consumer.assign(topic, 0, Start::Beginning).unwrap();
            let mut read = 0;
            while read < BATCHES * RECORDS {
                let fetched = block_on(consumer.poll(1)).unwrap().unwrap();
                read += fetched.records().count();
            }
            consumer.unassign(topic, 0);
        });
        let asks = client.user(|consumer| {
            for topic in TOPICS {
                let topic = consumer.topic(topic).unwrap();
                consumer.assign(topic, 0, Start::End).unwrap();
                assert_eq!(block_on(consumer.wait_position(topic, 0)), Ok(0));
                consumer.unassign(topic, 0);
            }
        });
        client.end(vec![reads, asks]);
    });
}

/// Two threads poll, a third pauses and goes on, and commits: everything is read once.
#[test]
fn two_threads_read_while_a_third_pauses_and_commits() {
    in_fair_orders(|| {
        const BATCHES: usize = 4;
        let client = Reader::start(2, BATCHES, |config| config.group_id = "g".try_into().unwrap());
        let topic = client.consumer.topic(TOPIC).unwrap();
        client.consumer.assign(topic, 0, Start::Committed).unwrap();
        client.consumer.seek(topic, 0, Start::Beginning);
        let read = Arc::new(shuttle::sync::Mutex::new(Vec::new()));
        let reads = || {
            let read = read.clone();
            client.user(move |consumer| {
                loop {
                    let Some(fetched) = block_on(consumer.poll(3)).unwrap() else { return };
                    let offsets: Vec<i64> = fetched.records().map(|record| record.offset).collect();
                    drop(fetched);
                    let mut read = read.lock().unwrap();
                    read.extend(offsets);
                    if read.len() == BATCHES * RECORDS {
                        drop(read);
                        consumer.unassign(topic, 0);
                        consumer.close_in_background();
                        return;
                    }
                }
            })
        };
        let pauses = client.user(move |consumer| {
            for _ in 0..3 {
                consumer.pause(topic, 0);
                let _ = block_on(consumer.commit());
                consumer.resume(topic, 0);
            }
        });
        let users = vec![reads(), reads(), pauses];
        client.end(users);
        let mut read = read.lock().unwrap().clone();
        read.sort_unstable();
        assert_eq!(read, (0..(BATCHES * RECORDS) as i64).collect::<Vec<_>>());
    });
}

/// Connections end in the midst of a batch, whoever has its piece: each record comes once, and in order.
#[test]
fn connections_that_end_under_who_reads() {
    in_fair_orders(|| {
        const BATCHES: usize = 2;
        let client = Reader::start(2, BATCHES, |config| config.reconnect_backoff = Duration::ZERO);
        let topic = client.consumer.topic(TOPIC).unwrap();
        client.consumer.assign(topic, 0, Start::Beginning).unwrap();
        let reads = client.user(move |consumer| {
            let mut read = Vec::new();
            while read.len() < BATCHES * RECORDS {
                let fetched = block_on(consumer.poll(3)).unwrap().unwrap();
                read.extend(fetched.records().map(|record| record.offset));
            }
            assert_eq!(read, (0..(BATCHES * RECORDS) as i64).collect::<Vec<_>>());
            consumer.unassign(topic, 0);
        });
        let cuts = client.user(|consumer| (0..4).for_each(|_| consumer.disconnect()));
        client.end(vec![reads, cuts]);
    });
}

/// Two threads commit over and over, a third once, and a fourth seeks while loans are out: all of them end.
#[test]
fn threads_that_commit_and_seek() {
    in_fair_orders(|| {
        let client = Reader::start(2, 2, |config| config.group_id = "g".try_into().unwrap());
        let topic = client.consumer.topic(TOPIC).unwrap();
        // Once the coordinator is known, no answer for the group is behind a piece of a batch.
        client.consumer.assign(topic, 0, Start::Committed).unwrap();
        let _ = block_on(client.consumer.wait_position(topic, 0));
        client.consumer.seek(topic, 0, Start::Beginning);
        let commits = move |consumer: &Consumer<Scheduled>| {
            for _ in 0..3 {
                assert!(block_on(consumer.poll(2)).unwrap().unwrap().records().count() > 0);
                assert_eq!(block_on(consumer.commit()), Ok(()));
            }
        };
        let seeks = move |consumer: &Consumer<Scheduled>| {
            for offset in [3, 1, 2] {
                let fetched = block_on(consumer.poll(1)).unwrap().unwrap();
                fetched.records().for_each(drop);
                consumer.seek(topic, 0, Start::Offset(offset));
                drop(fetched);
                assert!(consumer.position(topic, 0).unwrap() >= offset);
            }
        };
        let waits = move |consumer: &Consumer<Scheduled>| {
            for _ in 0..3 {
                assert!(block_on(consumer.wait_position(topic, 0)).is_ok());
            }
        };
        let users = vec![client.user(commits), client.user(seeks), client.user(waits)];
        client.end(users);
    });
}

/// One closes while others poll and commit: all of them end.
#[test]
fn a_thread_that_closes_while_others_poll_and_commit() {
    in_fair_orders(|| {
        let client = Reader::start(2, 2, |config| config.group_id = "g".try_into().unwrap());
        let topic = client.consumer.topic(TOPIC).unwrap();
        // Once the coordinator is known, no answer for the group is behind a piece of a batch.
        client.consumer.assign(topic, 0, Start::Committed).unwrap();
        let _ = block_on(client.consumer.wait_position(topic, 0));
        client.consumer.seek(topic, 0, Start::Beginning);
        let reads = move |consumer: &Consumer<Scheduled>| {
            while let Some(fetched) = block_on(consumer.poll(3)).unwrap() {
                fetched.records().for_each(drop);
                drop(fetched);
                let _ = block_on(consumer.commit());
            }
        };
        let closes = move |consumer: &Consumer<Scheduled>| {
            while consumer.position(topic, 0).is_none_or(|position| position < 3) {
                thread::yield_now();
            }
            assert_eq!(block_on(consumer.close()), Ok(()));
        };
        let users = vec![client.user(reads), client.user(reads), client.user(closes)];
        client.end(users);
    });
}

/// Connections end under who recalls what a group keeps, and commits.
#[test]
fn connections_that_end_under_who_commits() {
    in_fair_orders(|| {
        let client = Reader::start(2, 1, |config| {
            config.group_id = "g".try_into().unwrap();
            config.reconnect_backoff = Duration::ZERO;
        });
        let topic = client.consumer.topic(TOPIC).unwrap();
        let commits = client.user(move |consumer| {
            for offset in 1..4 {
                consumer.assign(topic, 0, Start::Offset(0)).unwrap();
                assert_eq!(block_on(consumer.commit_offsets(&[(topic, 0, offset)])), Ok(()));
                consumer.assign(topic, 0, Start::Committed).unwrap();
                assert_eq!(block_on(consumer.wait_position(topic, 0)), Ok(offset));
            }
            consumer.unassign(topic, 0);
        });
        let cuts = client.user(|consumer| (0..4).for_each(|_| consumer.disconnect()));
        client.end(vec![commits, cuts]);
    });
}

/// Connections end under who sends: each record is written once.
#[test]
fn connections_that_end_under_who_sends() {
    in_many_orders(|| {
        let client = Client::start(Setup { nodes: 2, ..TIGHT });
        let sends = |user: &User| {
            for _ in 0..3 {
                let delivery = user.send();
                let _ = block_on(user.producer.wait(delivery)).unwrap();
            }
        };
        let cuts = |user: &User| (0..4).for_each(|_| user.producer.disconnect());
        let users = vec![client.user(sends), client.user(sends), client.user(cuts)];
        client.end(users, 6);
    });
}

const RECORDS: usize = 8;

/// Room for two records.
const CHUNK_BYTES: usize = 400;

fn batch() -> Vec<u8> {
    let mut bytes = vec![0; HEADER_BYTES + RECORDS * 150];
    let mut at = HEADER_BYTES;
    for index in 0..RECORDS {
        let fields = Fields { key: None, value: Some(&[1; 120]), headers: &[], timestamp_delta: 0 };
        at = append(&mut bytes, at, index as u32, &fields).unwrap();
    }
    bytes.truncate(at);
    let sealing = Sealing {
        compression: Compression::None,
        base_timestamp: 1,
        max_timestamp: 1,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        records: RECORDS as u32,
    };
    seal(&mut bytes, &sealing, crc32c::crc32c);
    bytes
}
