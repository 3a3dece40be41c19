//! Running the program, and looking into the broker.

use demitasse_broker::{Options, Server};
use serde_json::Value;
use std::io::{Read, Write};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_demitasse"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What the program said and how it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) lines: Vec<String>,
    pub(crate) errors: Vec<String>,
}

impl Ended {
    pub(crate) fn of(output: Output) -> Ended {
        let lines = |bytes| String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect::<Vec<_>>();
        let ended =
            Ended { code: output.status.code().unwrap(), lines: lines(output.stdout), errors: lines(output.stderr) };
        assert!(ended.errors.len() <= 1, "one line is enough: {ended:?}");
        assert!(!ended.errors.iter().any(|line| line.contains("panicked")), "{ended:?}");
        ended
    }

    /// The last line of its output.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(self.lines.last().expect("there is output")).unwrap()
    }

    /// Acknowledged, failed, unknown.
    pub(crate) fn counts(&self) -> [u64; 3] {
        let json = self.json();
        ["acknowledged", "failed", "unknown"].map(|name| json[name].as_u64().unwrap())
    }

    pub(crate) fn error(&self) -> &str {
        &self.errors[0]
    }
}

pub(crate) fn run(arguments: &[&str], input: &[u8]) -> Ended {
    let mut child = command(arguments).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // It may end before it has read all.
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    let _ = writer.join().unwrap();
    Ended::of(output)
}

pub(crate) fn interrupt(child: &Child) {
    signal(child, "-INT");
}

pub(crate) fn terminate(child: &Child) {
    signal(child, "-TERM");
}

fn signal(child: &Child, signal: &str) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
}

pub(crate) fn until(what: &str, mut true_now: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !true_now() {
        assert!(begun.elapsed() < Duration::from_secs(60), "in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What became of a program that ends by itself. One that does not within 20 s is killed, and has no exit code.
pub(crate) fn end_of(mut child: Child) -> Ended {
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() && begun.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let _ = child.kill();
    Ended::of(child.wait_with_output().unwrap())
}

/// Bytes up to the end of a line.
pub(crate) fn line(from: &mut impl Read) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    while from.read(&mut byte).unwrap() == 1 && byte != *b"\n" {
        line.push(byte[0]);
    }
    String::from_utf8(line).unwrap()
}

pub(crate) fn broker(options: Options) -> (Server, String) {
    let server = Server::start(options).unwrap();
    let bootstrap = server.bootstrap();
    (server, bootstrap)
}

pub(crate) type Bytes = Option<Vec<u8>>;

/// Key and value of all records of a partition.
pub(crate) fn records(server: &Server, topic: &str, partition: i32) -> Vec<(Bytes, Bytes)> {
    server.with(|cluster| {
        let Some(partition) = cluster.partition(topic, partition) else { return Vec::new() };
        partition.records().map(|record| (record.key.map(<[u8]>::to_vec), record.value.map(<[u8]>::to_vec))).collect()
    })
}
