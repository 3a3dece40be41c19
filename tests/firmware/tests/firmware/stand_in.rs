//! Against the stand-in broker, whose faults come when a test says so.

use crate::readings::{End, Run, Seen, check, finish, full, until_acknowledged};
use demitasse_broker::{Action, Api, Options, Rule, Server};
use demitasse_firmware_tests::{Board, Machine, Setup, images, number};
use std::time::Duration;

const TOPIC: &str = "readings";

/// A broker that guests can reach, with a topic of three partitions.
fn stand_in() -> (Server, u16) {
    let options = Options { host: "10.0.2.2".into(), ..Options::default() };
    let server = Server::start(options).unwrap();
    server.with(|cluster| cluster.create_topic(TOPIC, 3));
    let port = server.addresses()[0].port();
    (server, port)
}

fn records(server: &Server) -> Vec<Seen> {
    server.with(|cluster| {
        let of = |partition| {
            let found = cluster.partition(TOPIC, partition).unwrap();
            let seen = |record: demitasse_broker::Record<'_>| Seen {
                partition,
                key: record.key.unwrap().to_vec(),
                value: record.value.unwrap().to_vec(),
            };
            found.records().map(seen).collect::<Vec<_>>()
        };
        (0..3).flat_map(of).collect()
    })
}

fn run(board: Board, port: u16, count: u64) -> Run<'static> {
    Run { board, lz4: false, port, topic: TOPIC, count, interval_ms: 5 }
}

#[test]
fn both_boards_deliver() {
    let Some(images) = images() else { return };
    for board in Board::ALL {
        let (server, port) = stand_in();
        let machine = run(board, port, 400).start(&images);
        let end = finish(machine, 400, Duration::from_secs(60));
        assert_eq!(check(&records(&server), &end), Vec::from_iter(0..400));
    }
}

#[test]
fn what_is_compressed_is_the_same() {
    let Some(images) = images() else { return };
    let (server, port) = stand_in();
    let machine = Run { lz4: true, ..run(Board::Mps2An385, port, 400) }.start(&images);
    let end = finish(machine, 400, Duration::from_secs(60));
    assert_eq!(check(&records(&server), &end), Vec::from_iter(0..400));
    server.with(|cluster| {
        let logs = (0..3).filter_map(|partition| cluster.partition(TOPIC, partition));
        assert!(logs.flat_map(|log| log.batches()).all(|batch| batch.bytes()[22] & 7 == 3));
    });
}

#[test]
fn while_the_broker_is_away_the_newest_reading_is_refused() {
    let Some(images) = images() else { return };
    // A minute's readings, too, at the pace of these tests.
    let count = if full() { 15_000 } else { 1_500 };
    for board in Board::ALL {
        let (server, port) = stand_in();
        let mut machine = run(board, port, count).start(&images);
        until_acknowledged(&mut machine, 200, Duration::from_secs(60));
        let now = server.now_ms();
        server.with(|cluster| cluster.node_down(1, now));
        // Some 280 readings fit into its memory: full after a second and a half.
        let refusing = |line: &str| number(line, "refused").filter(|&refused| refused > 300);
        machine.until(Duration::from_secs(60), "readings to be refused", refusing).unwrap();
        let now = server.now_ms();
        if full() {
            // As long as the issue says; what is refused in it is counted.
            std::thread::sleep(Duration::from_secs(60));
        }
        server.with(|cluster| cluster.node_up(1, now));
        let end: End = finish(machine, count, Duration::from_secs(180));
        let numbers = check(&records(&server), &end);
        // What is missing is one stretch in the middle, but for a few at its edge: keys fill their buffers apart.
        let gap = numbers.windows(2).map(|pair| pair[1] - pair[0] - 1).max().unwrap();
        assert!(gap > 250, "what was refused is not the newest: {gap} at most in a row, of {end:?}");
    }
}

#[test]
fn answers_are_lost_and_nothing_is_doubled() {
    let Some(images) = images() else { return };
    let (server, port) = stand_in();
    let lost = Rule::new(Action::ApplyThenDrop).api(Api::Produce).after(3).times(4);
    server.with(|cluster| cluster.add_rule(lost));
    let machine = run(Board::Lm3s6965evb, port, 1000).start(&images);
    let end = finish(machine, 1000, Duration::from_secs(120));
    check(&records(&server), &end);
}

/// What the firmware says when it was given these: an error value with its sizes, on the device too.
#[track_caller]
fn says(arguments: &[&str], words: &[&str]) {
    let Some(images) = images() else { return };
    let board = Board::Lm3s6965evb;
    let mut machine = Machine::start(&Setup::new(board, &images.join(board.name()), arguments)).unwrap();
    let all = |line: &str| words.iter().all(|word| line.contains(word)).then_some(());
    machine.until(Duration::from_secs(30), &format!("{words:?} to be said"), all).unwrap();
}

#[test]
fn wrong_settings_are_named_on_the_device() {
    // Port 1: nobody listens there.
    says(&["10.0.2.2:1"], &["waiting: ", "refused"]);
    says(&["no-such-host:9092"], &["waiting: ", "resolve"]);
    let long = "a-topic-with-a-name-that-is-longer-than-there-is-room-for";
    says(&["10.0.2.2:1", long], &["topic a-topic", "32"]);
    // It has room for an IPv4 address. That its settings contradict each other cannot be: they would not compile.
    says(&["kafka.example.org:9092"], &["cannot start: ", "host_bytes is 15", "at least 17"]);
}
