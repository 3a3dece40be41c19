//! A device that follows a topic of commands: each arrives once, in order, whatever happens to the broker, the cable and the
//! device.

use crate::batch::batch;
use crate::readings::full;
use demitasse_broker::{Options, Server};
use demitasse_firmware_tests::{Board, Machine, Setup, images, number};
use demitasse_kafka_tests::{KAFKA_4, Kafka, Options as KafkaOptions};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const TOPIC: &str = "commands";
const MINUTE: Duration = Duration::from_secs(60);

/// The device, which keeps its place under its board's name.
fn start(images: &Path, board: Board, port: u16) -> Machine {
    let image = images.join(format!("{}-commands", board.name()));
    let address = format!("10.0.2.2:{port}");
    Machine::start(&Setup::new(board, &image, &[&address, TOPIC])).unwrap()
}

fn intervals(numbers: std::ops::Range<u64>) -> Vec<String> {
    numbers.map(|number| format!("{number} interval {}", 10 + number % 50)).collect()
}

/// Waits until the device has obeyed this command, and with it all in front of it.
fn until_obeyed(machine: &mut Machine, command: u64) {
    let what = format!("command {command} to be obeyed");
    machine.until(2 * MINUTE, &what, |line| number(line, "command").filter(|&found| found >= command)).unwrap();
}

/// What is none: no number, an empty one, too large a one, a word too few or too many, nothing at all.
const NO_COMMANDS: [&str; 8] =
    ["interval 10", " interval 10", "1 interval ", "1 interval", "1 interval -1", "4294967296 stop", "1 stop 1", ""];

/// The numbers of the commands that were obeyed, in that order. So many others may have been read, and nothing else.
fn obeyed(lines: &[String], others: usize) -> Vec<u64> {
    assert_eq!(lines.iter().filter(|line| line.contains("no command")).count(), others, "{lines:?}");
    assert!(lines.iter().all(|line| !line.contains("cannot read")), "{lines:?}");
    let obeyed = lines.iter().filter_map(|line| number(line, "command"));
    eprintln!("{} | {}", lines[0], lines.last().unwrap());
    obeyed.collect()
}

#[test]
fn both_boards_obey_over_a_restart_of_the_stand_in() {
    let Some(images) = images() else { return };
    for board in Board::ALL {
        let server = Server::start(Options { host: "10.0.2.2".into(), ..Options::default() }).unwrap();
        server.with(|cluster| cluster.create_topic(TOPIC, 1));
        let say = |commands: &[String]| {
            // Some commands a batch.
            for some in commands.chunks(7) {
                server.with(|cluster| cluster.append_batch(TOPIC, 0, &batch(some)));
            }
        };
        let mut machine = start(&images, board, server.addresses()[0].port());
        say(&intervals(0..100));
        until_obeyed(&mut machine, 99);
        let now = server.now_ms();
        server.with(|cluster| cluster.node_down(1, now));
        say(&NO_COMMANDS.map(str::to_owned));
        say(&intervals(100..200));
        let now = server.now_ms();
        server.with(|cluster| cluster.node_up(1, now));
        until_obeyed(&mut machine, 199);
        say(&["200 stop".into()]);
        let (_, lines) = machine.finish(MINUTE).unwrap();
        assert_eq!(obeyed(&lines, NO_COMMANDS.len()), Vec::from_iter(0..=200));
    }
}

/// Writes commands with kcat, once and in order.
fn say(kafka: &Kafka, topic: &str, commands: &[String]) {
    let mut command = Command::new("kcat");
    command.args(["-P", "-b", &kafka.bootstrap(), "-t", topic, "-p", "0", "-X", "enable.idempotence=true"]);
    // What the device's chunk has room for.
    command.args(["-X", "batch.size=2000"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all((commands.join("\n") + "\n").as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

/// The broker is killed while commands are obeyed, the cable of the smaller board pulled meanwhile, and each board started
/// anew in the midst.
#[test]
fn commands_survive_a_killed_broker_a_pulled_cable_and_a_restart() {
    let Some(images) = images() else { return };
    let each = if full() { 1000 } else { 200 };
    let kafka = Kafka::start(KafkaOptions::one(KAFKA_4)).unwrap();
    let port = kafka.ports(1).guest;
    kafka.create_topic(TOPIC, 1, 1, &[]).unwrap();
    let mut machines = Board::ALL.map(|board| (board, start(&images, board, port), Vec::new()));
    let mut said = 0;
    for cut in 0..3 {
        say(&kafka, TOPIC, &intervals(said..said + each));
        // Not all of these are obeyed when it dies.
        until_obeyed(&mut machines[0].1, said + each / 4);
        let small = |plugged| machines[1].1.cable(plugged).unwrap();
        small(cut != 1);
        kafka.kill(1).unwrap();
        kafka.start_node(1).unwrap();
        small(true);
        say(&kafka, TOPIC, &intervals(said + each..said + 2 * each));
        said += 2 * each;
        // It ends behind a commit: cut off in front of it, it would obey some commands once more, as it says.
        say(&kafka, TOPIC, &[format!("{said} stop")]);
        said += 1;
        for (board, machine, lines) in &mut machines {
            until_obeyed(machine, said - 1);
            let ended = std::mem::replace(machine, start(&images, *board, port));
            lines.extend(ended.finish(2 * MINUTE).unwrap().1);
        }
    }
    for (_, _, lines) in &machines {
        assert_eq!(obeyed(lines, 0), Vec::from_iter(0..said));
    }
}
