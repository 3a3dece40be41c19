//! What went wrong once, and must not again: stories of the whole client, in virtual time.

use demitasse_broker::{Action, Api, Rule, error};
use demitasse_core::embedded_io_async::{ErrorKind, ErrorType, Write};
use demitasse_core::{ConnectionError, Delivery, GatherWrite, Instant, Io, Record, Stream};
use demitasse_simulation::executor::Time;
use demitasse_simulation::network::{FIRST_PORT, Network};
use demitasse_simulation::rig::{Rig, Setup};
use std::cell::Cell;
use std::future::pending;
use std::rc::Rc;
use std::time::Duration;

const SECOND: u64 = 1_000_000;

/// The network, with writers of a certain manner.
#[derive(Clone)]
struct Peculiar {
    network: Network,
    time: Time,
    manner: Manner,
}

#[derive(Clone, Copy)]
enum Manner {
    /// From a moment on nothing can be written to this port.
    Stuck { port: u16, from: u64 },
    /// A gathered write returns so many microseconds after its bytes have left.
    Late(u64),
}

impl Peculiar {
    fn new(rig: &Rig, manner: Manner) -> Peculiar {
        Peculiar { network: rig.network.clone(), time: rig.executor.time.clone(), manner }
    }
}

type Plain = <Network as Io>::Stream;

struct PeculiarStream {
    stream: Plain,
    network: Peculiar,
    port: u16,
}

struct PeculiarWriter<W> {
    writer: W,
    network: Peculiar,
    port: u16,
}

impl Io for Peculiar {
    type Stream = PeculiarStream;

    async fn connect(&self, host: &[u8], port: u16) -> Result<PeculiarStream, ConnectionError> {
        Ok(PeculiarStream { stream: self.network.connect(host, port).await?, network: self.clone(), port })
    }

    async fn sleep_until(&self, at: Instant) {
        self.network.sleep_until(at).await;
    }
}

impl Stream for PeculiarStream {
    type Reader<'a> = <Plain as Stream>::Reader<'a>;
    type Writer<'a> = PeculiarWriter<<Plain as Stream>::Writer<'a>>;

    fn split(&mut self) -> (Self::Reader<'_>, Self::Writer<'_>) {
        let (reader, writer) = self.stream.split();
        (reader, PeculiarWriter { writer, network: self.network.clone(), port: self.port })
    }
}

impl<W: ErrorType<Error = ErrorKind>> ErrorType for PeculiarWriter<W> {
    type Error = ErrorKind;
}

impl<W: Write<Error = ErrorKind>> Write for PeculiarWriter<W> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        match self.network.manner {
            Manner::Stuck { port, from } if port == self.port && self.network.time.now() >= from => pending().await,
            _ => self.writer.write(bytes).await,
        }
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        self.writer.flush().await
    }
}

impl<W: Write<Error = ErrorKind>> GatherWrite for PeculiarWriter<W> {
    async fn write_gathered(&mut self, pieces: &[&[u8]]) -> Result<(), ErrorKind> {
        for piece in pieces {
            self.write_all(piece).await?;
        }
        if let Manner::Late(micros) = self.network.manner {
            self.network.time.sleep(micros).await;
        }
        Ok(())
    }
}

/// One partition for each of so many brokers, and so many connection slots.
fn brokers(nodes: u16, slots: u16) -> Setup {
    let mut setup = Setup { nodes, partitions: nodes.into(), ..Setup::default() };
    setup.sizing.connections = slots;
    setup
}

fn run(rig: &mut Rig) -> Vec<usize> {
    rig.run(&rig.network.clone())
}

fn send(rig: &Rig, partition: i32) {
    rig.producer.try_send(rig.partition(partition), &Record::new(b"x")).unwrap();
}

/// A record to each partition every so many microseconds, for so many rounds; what was taken, by partition.
fn send_regularly(rig: &mut Rig, partitions: usize, every: u64, rounds: usize) -> Vec<Vec<Delivery>> {
    let mut taken = vec![Vec::new(); partitions];
    for _ in 0..rounds {
        for (partition, taken) in taken.iter_mut().enumerate() {
            taken.extend(rig.producer.try_send(rig.partition(partition as i32), &Record::new(b"x")));
        }
        rig.advance(every);
    }
    taken
}

fn written(rig: &Rig, deliveries: &[Delivery]) -> usize {
    deliveries.iter().filter(|delivery| matches!(rig.producer.outcome(delivery), Some(Ok(_)))).count()
}

/// A slot was taken from its broker for a batch that lingered, which then waited with the connection: nobody else could
/// use it, and as soon as somebody did the next lingering batch took it back.
#[test]
fn batches_that_linger_need_no_connection() {
    const ROUNDS: usize = 10;
    let mut setup = brokers(3, 1);
    setup.config.linger = Duration::from_secs(2);
    let mut rig = Rig::new(setup);
    run(&mut rig);
    rig.advance_to(SECOND);
    for _ in 0..ROUNDS {
        for partition in 0..3 {
            send(&rig, partition);
        }
        rig.advance(3 * SECOND);
    }
    let counters = rig.producer.counters();
    assert_eq!(counters.acknowledged, 3 * ROUNDS);
    assert!(counters.connections_opened <= 3 * ROUNDS + 1, "{} connections", counters.connections_opened);
}

/// The slot whose task was gone was the first that is closed: it was told to open, again and again, and nobody did.
#[test]
fn a_slot_that_nobody_serves_is_left_alone() {
    let mut rig = Rig::new(brokers(3, 4));
    let slots = run(&mut rig);
    rig.advance_to(SECOND);
    (0..3).for_each(|partition| send(&rig, partition));
    rig.advance_to(2 * SECOND);
    assert_eq!(rig.producer.counters().acknowledged, 3);
    rig.executor.abort(slots[0]);
    (0..3).for_each(|partition| send(&rig, partition));
    rig.advance_to(3 * SECOND);
    assert_eq!(rig.producer.counters().acknowledged, 6);
}

/// Before the start the clock's task slept until time zero, over and over within one poll.
#[test]
fn the_clock_may_be_run_before_the_start() {
    #[derive(Clone)]
    struct Counting(Network, Rc<Cell<u32>>);
    impl Io for Counting {
        type Stream = Plain;
        async fn connect(&self, host: &[u8], port: u16) -> Result<Plain, ConnectionError> {
            self.0.connect(host, port).await
        }
        async fn sleep_until(&self, at: Instant) {
            self.1.set(self.1.get() + 1);
            assert!(self.1.get() < 1000, "it sleeps again and again, now until {at:?}");
            self.0.sleep_until(at).await;
        }
    }
    let mut rig = Rig::unstarted(Setup::default());
    let sleeps = Rc::new(Cell::new(0));
    rig.run(&Counting(rig.network.clone(), sleeps.clone()));
    rig.advance_to(SECOND);
    assert!(sleeps.get() < 10, "each slot that begins to be served wakes it once; {} sleeps", sleeps.get());
    rig.start();
    send(&rig, 0);
    rig.advance(SECOND);
    assert_eq!(rig.producer.counters().acknowledged, 1);
}

/// Metadata fell due while the only connection was in the midst of a write: the clock told the connection, which was its
/// own task, and so looked again at once, and told it again.
#[test]
fn clock_and_slot_joined_in_one_task_are_quiet_while_a_write_stands_still() {
    let mut setup = Setup::default();
    setup.config.metadata_max_age = Duration::from_secs(3);
    let mut rig = Rig::new(setup);
    let io = Peculiar::new(&rig, Manner::Stuck { port: FIRST_PORT, from: 2 * SECOND });
    rig.run_joined(&io);
    rig.advance_to(2 * SECOND + 100_000);
    let polls = rig.executor.polls();
    send(&rig, 0);
    rig.advance_to(10 * SECOND);
    let polls = rig.executor.polls() - polls;
    assert!(polls < 50, "{polls} polls for a write and what falls due");
}

/// Metadata was asked of the connection that had the least to do, be it in the midst of a write that stood still.
#[test]
fn metadata_is_not_asked_of_a_connection_that_stands_still() {
    for port in [FIRST_PORT, FIRST_PORT + 1] {
        let mut setup = brokers(2, 3);
        setup.partitions = 4;
        let mut rig = Rig::new(setup);
        rig.network.world.borrow_mut().cluster.create_topic("u", 2);
        rig.run(&Peculiar::new(&rig, Manner::Stuck { port, from: 2 * SECOND }));
        rig.advance_to(SECOND);
        (0..4).for_each(|partition| send(&rig, partition));
        rig.advance_to(2 * SECOND + 100_000);
        assert_eq!(rig.producer.counters().acknowledged, 4);
        (0..4).for_each(|partition| send(&rig, partition));
        rig.advance(100_000);
        let other = rig.producer.topic("u").unwrap();
        rig.advance(100_000);
        assert_eq!(rig.producer.partitions(other), Some(2), "port {port} stands still");
    }
}

/// The slots went to the first partitions of the table, whoever had waited longer, and one that had been told to drain
/// was waited for, for ever if its broker was stuck.
#[test]
fn a_broker_that_stands_still_leaves_the_slots_to_others() {
    const ROUNDS: usize = 300;
    for (nodes, slots, stuck, least) in [(2, 1, false, 90), (3, 2, false, 90), (2, 1, true, 30), (3, 2, true, 90)] {
        let mut setup = brokers(nodes, slots);
        setup.config.delivery_timeout = Duration::from_secs(5);
        let mut rig = Rig::new(setup);
        let from = if stuck { 2 * SECOND } else { u64::MAX };
        rig.run(&Peculiar::new(&rig, Manner::Stuck { port: FIRST_PORT, from }));
        rig.advance_to(2 * SECOND);
        let taken = send_regularly(&mut rig, nodes.into(), 100_000, ROUNDS);
        rig.advance(6 * SECOND);
        // Partition 0 is the stuck broker's.
        for (partition, taken) in taken.iter().enumerate().skip(usize::from(stuck)) {
            let written = written(&rig, taken);
            let story = format!("{nodes} brokers, {slots} slots, one stuck: {stuck}");
            assert!(written >= ROUNDS * least / 100, "{story}: partition {partition}: {written} of {ROUNDS} written");
        }
        let connections = rig.producer.counters().connections_opened;
        assert!(connections <= 2 * ROUNDS, "{connections} connections");
    }
}

/// As above, of brokers that are well: depending on how the records came, one of the two had hardly a turn.
#[test]
fn brokers_that_share_a_slot_have_it_in_turn() {
    for linger in [0, 5] {
        for every in [100_000, 97_000, 20_000] {
            let rounds = (20 * SECOND / every) as usize;
            let mut setup = brokers(2, 1);
            setup.config.delivery_timeout = Duration::from_secs(5);
            setup.config.linger = Duration::from_millis(linger);
            let mut rig = Rig::new(setup);
            run(&mut rig);
            rig.advance_to(2 * SECOND);
            let taken = send_regularly(&mut rig, 2, every, rounds);
            rig.advance(6 * SECOND);
            let story = format!("linger {linger}, every {every}");
            for (partition, taken) in taken.iter().enumerate() {
                let written = written(&rig, taken);
                assert!(written >= rounds * 9 / 10, "{story}: partition {partition}: {written} of {rounds} written");
            }
            let connections = rig.producer.counters().connections_opened;
            assert!(connections <= rounds + rounds / 10 + 50, "{story}: {connections} connections");
        }
    }
}

/// Whenever the slot came free, the partition that always has something to send had it again.
#[test]
fn a_busy_partition_gives_a_quiet_one_its_turn() {
    const ROUNDS: usize = 20;
    for (linger, busy, quiet) in [(0, 0, 1), (0, 1, 0), (5, 0, 1), (5, 1, 0)] {
        let mut setup = Setup { latency: 5000, ..brokers(2, 1) };
        setup.config.linger = Duration::from_millis(linger);
        setup.config.delivery_timeout = Duration::from_secs(20);
        let mut rig = Rig::new(setup);
        run(&mut rig);
        rig.advance_to(SECOND);
        // That settles who comes first in the table.
        (0..2).for_each(|partition| send(&rig, partition));
        rig.advance_to(5 * SECOND);
        for _ in 0..4 {
            let (producer, to) = (rig.producer.clone(), rig.partition(busy));
            rig.executor.spawn(async move {
                loop {
                    let delivery = producer.send(to, &Record::new(&[1; 400])).await.unwrap();
                    producer.wait(delivery).await.unwrap();
                }
            });
        }
        let mut deliveries = Vec::new();
        for _ in 0..ROUNDS {
            deliveries.extend(rig.producer.try_send(rig.partition(quiet), &Record::new(b"x")));
            rig.advance(SECOND);
        }
        let story = format!("linger {linger}, {busy} is busy");
        let written = written(&rig, &deliveries);
        assert!(written >= ROUNDS * 9 / 10, "{story}: {written} of {ROUNDS} written");
        let counters = rig.producer.counters();
        assert!(counters.acknowledged > 1000, "{story}: {} of all", counters.acknowledged);
        assert!(counters.connections_opened <= 60, "{story}: {} connections", counters.connections_opened);
    }
}

/// A writer that flushes until the peer has acknowledged, as TLS over some stacks does, returns after the answer has
/// come: the answer to a request that was not yet written closed the connection.
#[test]
fn a_writer_that_returns_after_the_answer_loses_no_connection() {
    let mut rig = Rig::new(Setup::default());
    rig.run(&Peculiar::new(&rig, Manner::Late(2000)));
    rig.advance_to(SECOND);
    for _ in 0..10 {
        send(&rig, 0);
        rig.advance(SECOND);
    }
    // Requests whose answers have come must not time out either.
    rig.advance_to(100 * SECOND);
    let counters = rig.producer.counters();
    assert_eq!((counters.acknowledged, counters.retries, counters.connections_lost), (10, 0, 0));
}

/// Found by `cargo xtask chaos`: a topic was deleted and made again. The brokers that had just made it knew nothing of us,
/// so they took any sequence; the first batch came to one that had not heard of the topic yet, and the second, which was
/// right behind it, was written before it.
#[test]
fn a_topic_that_is_made_again_has_its_records_in_order() {
    const RECORDS: u8 = 12;
    for refusal in [error::UNKNOWN_TOPIC_OR_PARTITION, error::NOT_LEADER_OR_FOLLOWER] {
        let mut setup = Setup::default();
        setup.config.linger = Duration::ZERO;
        setup.config.allow_auto_create_topics = false;
        let mut rig = Rig::new(setup);
        run(&mut rig);
        rig.advance_to(SECOND);
        send(&rig, 0);
        rig.advance(SECOND);
        assert_eq!(rig.producer.counters().acknowledged, 1);

        rig.network.world.borrow_mut().cluster.delete_topic("t");
        for number in 0..RECORDS {
            // One fills more than half a batch, so each has its own.
            rig.producer.try_send(rig.partition(0), &Record::new(&[number; 300])).unwrap();
        }
        rig.advance(SECOND / 2);
        {
            let cluster = &mut rig.network.world.borrow_mut().cluster;
            cluster.create_topic("t", 1);
            cluster.add_rule(Rule::new(Action::Error(refusal)).api(Api::Produce));
        }
        rig.advance(10 * SECOND);
        assert_eq!(rig.producer.counters().acknowledged, 1 + usize::from(RECORDS));
        let world = rig.network.world.borrow();
        let log = world.cluster.partition("t", 0).unwrap();
        let found: Vec<u8> = log.records().filter_map(|record| record.value?.first().copied()).collect();
        assert_eq!(found, (0..RECORDS).collect::<Vec<_>>());
    }
}

/// A topic was made again between two batches that were under way: the first was refused, the second taken by the log that knew
/// nobody, and its answer lost. Then both were numbered anew, and the second was there twice.
#[test]
fn a_topic_that_is_made_again_has_no_record_twice() {
    const RECORDS: u8 = 12;
    let mut setup = Setup::default();
    setup.config.linger = Duration::ZERO;
    let mut rig = Rig::new(setup);
    run(&mut rig);
    rig.advance_to(SECOND);
    send(&rig, 0);
    rig.advance(SECOND);
    {
        let cluster = &mut rig.network.world.borrow_mut().cluster;
        cluster.delete_topic("t");
        cluster.create_topic("t", 1);
        cluster.add_rule(Rule::new(Action::Error(error::UNKNOWN_TOPIC_OR_PARTITION)).api(Api::Produce));
        cluster.add_rule(Rule::new(Action::ApplyThenDrop).api(Api::Produce));
    }
    for number in 0..RECORDS {
        rig.producer.try_send(rig.partition(0), &Record::new(&[number; 300])).unwrap();
    }
    rig.advance(20 * SECOND);
    let counters = rig.producer.counters();
    assert_eq!((counters.acknowledged, counters.failed, counters.unknown), (1 + usize::from(RECORDS), 0, 0));
    let world = rig.network.world.borrow();
    let log = world.cluster.partition("t", 0).unwrap();
    let mut found: Vec<u8> = log.records().filter_map(|record| record.value?.first().copied()).collect();
    found.sort_unstable();
    assert_eq!(found, (0..RECORDS).collect::<Vec<_>>());
}

/// Who had no right to a topic at first was refused for `metadata.max.age.ms`, five minutes, after the right had come: nobody asked
/// again.
#[test]
fn a_topic_that_is_allowed_after_all_is_taken_soon() {
    let mut rig = Rig::new(Setup::default());
    rig.network.world.borrow_mut().cluster.deny_topic("t");
    run(&mut rig);
    rig.advance(SECOND);
    let requests = |rig: &Rig| rig.network.world.borrow().cluster.requests(Api::Metadata);
    let refused = |rig: &Rig| rig.producer.try_send(rig.partition(0), &Record::new(b"x")).is_err();
    let before = requests(&rig);
    for _ in 0..1000 {
        assert!(refused(&rig));
        rig.advance(SECOND / 100);
    }
    assert!(requests(&rig) - before <= 110, "{} questions in 10 s", requests(&rig) - before);
    rig.network.world.borrow_mut().cluster.allow_topic("t");
    assert!(refused(&rig));
    rig.advance(SECOND);
    assert!(!refused(&rig));
}

/// A topic that there is not is asked for again and again, and no other with it.
fn beside_a_topic_that_there_is_not() -> Rig {
    let rig = Rig::new(Setup::default());
    rig.network.world.borrow_mut().cluster.hide_topic("missing", None, u64::MAX);
    rig.producer.topic("missing").unwrap();
    rig
}

/// The topic that somebody was refused was not among those that were asked for when he tried again, as long as another was wanted.
#[test]
fn a_topic_that_is_allowed_after_all_is_taken_soon_beside_one_that_there_is_not() {
    let mut rig = beside_a_topic_that_there_is_not();
    rig.network.world.borrow_mut().cluster.deny_topic("t");
    run(&mut rig);
    rig.advance(SECOND);
    let refused = |rig: &Rig| rig.producer.try_send(rig.partition(0), &Record::new(b"x")).is_err();
    assert!(refused(&rig));
    rig.network.world.borrow_mut().cluster.allow_topic("t");
    assert!(refused(&rig));
    rig.advance(3 * SECOND);
    assert!(!refused(&rig));
}

#[test]
fn a_partition_that_is_new_is_known_soon_beside_a_topic_that_there_is_not() {
    let mut rig = beside_a_topic_that_there_is_not();
    run(&mut rig);
    rig.advance(SECOND);
    rig.network.world.borrow_mut().cluster.add_partitions("t", 1);
    let refused = |rig: &Rig| rig.producer.try_send(rig.partition(1), &Record::new(b"x")).is_err();
    assert!(refused(&rig));
    rig.advance(3 * SECOND);
    assert!(!refused(&rig));
}

#[test]
fn metadata_of_what_is_known_gets_no_older_beside_a_topic_that_there_is_not() {
    let mut rig = beside_a_topic_that_there_is_not();
    run(&mut rig);
    rig.advance(SECOND);
    rig.network.world.borrow_mut().cluster.add_partitions("t", 1);
    rig.advance(302 * SECOND);
    let topic = rig.producer.topic("t").unwrap();
    assert_eq!(rig.producer.partitions(topic), Some(2));
}

/// Silence of one broker that is asked about a new topic.
#[test]
fn a_silent_broker_does_not_keep_others_from_telling_of_a_topic() {
    for node in [1, 2] {
        let mut setup = brokers(2, 2);
        setup.config.linger = Duration::ZERO;
        let mut rig = Rig::new(setup);
        rig.network.world.borrow_mut().cluster.create_topic("new", 1);
        run(&mut rig);
        rig.advance(SECOND);
        send(&rig, 0);
        send(&rig, 1);
        rig.advance(SECOND);
        rig.network
            .world
            .borrow_mut()
            .cluster
            .add_rule(Rule::new(Action::Silence).api(Api::Metadata).node(node).times(u64::MAX));
        let topic = rig.producer.topic("new").unwrap();
        let begun = rig.now();
        while rig.producer.partitions(topic).is_none() {
            rig.advance(SECOND / 10);
        }
        let took = (rig.now() - begun) / 1000;
        assert!(took <= 3000, "node {node}: {took} ms");
    }
}
