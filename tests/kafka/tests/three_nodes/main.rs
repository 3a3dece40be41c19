//! Three Kafka nodes, three replicas, two in sync at least: a leader dies by `kill -9` and comes back while records
//! are written. Nothing is lost, doubled or out of order.

#[path = "../common/mod.rs"]
#[allow(dead_code, reason = "each test binary needs a part of it")]
mod common;
mod coordinator;
mod hints;
mod hold;

use common::{Feed, assert_all_acknowledged, assert_same, bench, produce_while};
use demitasse_kafka_tests::{KAFKA_4, Kafka, Options, enabled, until};
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::time::Duration;

const PARTITIONS: i32 = 6;
const LONG: Duration = Duration::from_secs(90);

/// The shared cluster, for one test at a time: two dead nodes of three would be another test.
fn cluster() -> (&'static Kafka, MutexGuard<'static, ()>) {
    static CLUSTER: OnceLock<Kafka> = OnceLock::new();
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let turn = ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    (CLUSTER.get_or_init(|| Kafka::start(Options::three(KAFKA_4)).unwrap()), turn)
}

/// Kills a leader once records arrive, waits until others lead and take records, starts it again, waits until all
/// replicas are in sync.
fn kill_a_leader_and_bring_it_back(kafka: &Kafka, topic: &str) {
    let arrived = || kafka.end_offsets(topic).map(|offsets| offsets.iter().sum::<i64>());
    until(LONG, "the first records", || (arrived().ok()? > 1000).then_some(())).unwrap();
    let victim = kafka.partitions(topic).unwrap()[0].leader;
    kafka.kill(victim as u16).unwrap();
    until(LONG, "new leaders", || {
        let partitions = kafka.partitions(topic).ok()?;
        partitions.iter().all(|p| p.leader > 0 && p.leader != victim).then_some(())
    })
    .unwrap();
    let before = arrived().unwrap();
    until(LONG, "records at the new leaders", || (arrived().ok()? > before).then_some(())).unwrap();
    kafka.start_node(victim as u16).unwrap();
    until(LONG, "all replicas to be in sync", || {
        let partitions = kafka.partitions(topic).ok()?;
        partitions.iter().all(|p| p.in_sync == p.replicas).then_some(())
    })
    .unwrap();
}

#[test]
fn a_killed_leader_loses_doubles_and_reorders_no_line() {
    if !enabled() {
        return;
    }
    let (kafka, _turn) = cluster();
    let topic = "numbered";
    kafka.create_topic(topic, PARTITIONS, 3, &[("min.insync.replicas", "2")]).unwrap();
    let bootstrap = kafka.bootstrap();
    let arguments = ["produce", "--bootstrap", &bootstrap, "--topic", topic, "--key-separator", "\t", "--json"];
    // Some 20,000 lines a second, until the cluster is whole again.
    let feed = Feed { keys: 200, burst: 100, pause: Duration::from_millis(5), limit: Duration::from_secs(150) };
    let (run, lines) = produce_while(&arguments, &feed, || kill_a_leader_and_bring_it_back(kafka, topic));
    assert_all_acknowledged(&run, lines.len());
    eprintln!("{} lines were written while a leader died and came back", lines.len());
    assert_same(&lines, &kafka.consume(topic).unwrap());
}

#[test]
fn a_killed_leader_does_not_change_the_count() {
    if !enabled() {
        return;
    }
    let (kafka, _turn) = cluster();
    let topic = "counted";
    kafka.create_topic(topic, PARTITIONS, 3, &[("min.insync.replicas", "2")]).unwrap();
    let records = 600_000;
    std::thread::scope(|scope| {
        // 20 s at this rate: the leader dies and comes back within it.
        let bench = scope.spawn(|| bench(&kafka.bootstrap(), topic, records, &["--size", "100", "--rate", "30000"]));
        kill_a_leader_and_bring_it_back(kafka, topic);
        bench.join().unwrap();
    });
    let end_offsets = kafka.end_offsets(topic).unwrap();
    assert_eq!(end_offsets.iter().sum::<i64>(), records as i64, "{end_offsets:?}");
    assert_eq!(kafka.consume(topic).unwrap().len(), records as usize);
}
