//! Against a real Kafka, which is killed, and with the cable pulled.

use crate::readings::{Run, Seen, check, finish, full, until_acknowledged};
use demitasse_firmware_tests::{Board, Machine, images, number};
use demitasse_kafka_tests::{KAFKA_4, Kafka, Options};
use std::time::Duration;

/// How often the broker is killed, and the cable pulled.
const CUTS: u64 = 5;

fn records(kafka: &Kafka, topic: &str) -> Vec<Seen> {
    let found = kafka.consume(topic).unwrap();
    let seen = |record: demitasse_kafka_tests::Record| Seen {
        partition: record.partition,
        key: record.key.unwrap(),
        value: record.value.unwrap(),
    };
    found.into_iter().map(seen).collect()
}

/// Both boards at once, the larger one compresses: the broker dies five times while they measure, and between two deaths the
/// smaller board loses its cable.
#[test]
fn readings_survive_a_killed_broker_and_a_pulled_cable() {
    let Some(images) = images() else { return };
    let (count, interval_ms) = if full() { (10_000, 20) } else { (2_000, 40) };
    let kafka = Kafka::start(Options::one(KAFKA_4)).unwrap();
    let mut machines: Vec<_> = Board::ALL
        .iter()
        .map(|&board| {
            let topic = board.name();
            // A device without a clock has no date: the broker stamps what it writes.
            kafka.create_topic(topic, 3, 1, &[("message.timestamp.type", "LogAppendTime")]).unwrap();
            let run =
                Run { board, lz4: board == Board::Mps2An385, port: kafka.ports(1).guest, topic, count, interval_ms };
            run.start(&images)
        })
        .collect();
    for cut in 0..CUTS {
        // Every cut in the midst of traffic: a share of the readings has gone through since the last.
        let reached = count * cut / (CUTS + 2) + 100;
        for machine in &mut machines {
            until_measured(machine, reached);
        }
        eprintln!("cut {cut} after {reached} readings");
        kafka.kill(1).unwrap();
        kafka.start_node(1).unwrap();
        let small = machines.last_mut().unwrap();
        let before = acknowledged(small);
        until_acknowledged(small, before + 1, Duration::from_secs(90));
        small.cable(false).unwrap();
        // The length of the outage, not a hope: long enough for retransmissions to have failed.
        std::thread::sleep(Duration::from_secs(2));
        small.cable(true).unwrap();
    }
    for (board, machine) in Board::ALL.into_iter().zip(machines) {
        let end = finish(machine, count, Duration::from_secs(600));
        check(&records(&kafka, board.name()), &end);
    }
}

/// Waits until so many readings were measured: acknowledged, refused or waiting.
fn until_measured(machine: &mut Machine, count: u64) {
    let what = format!("{count} readings to be measured");
    let enough = |line: &str| number(line, "measured").filter(|&n| n >= count);
    machine.until(Duration::from_secs(300), &what, enough).unwrap();
}

/// How many readings are acknowledged by the newest status line.
fn acknowledged(machine: &Machine) -> u64 {
    let lines = machine.lines();
    lines.iter().rev().find_map(|line| number(line, "acknowledged")).unwrap_or(0)
}
