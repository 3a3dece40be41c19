//! `cargo xtask hot-path`: instructions a record, counted by callgrind on a fixed workload without a network.

use crate::{Result, cargo, debian, root, target};
use demitasse_kafka_tests::found;
use std::fmt::Write;
use std::process::Command;

pub(crate) const HELP: &str = "\
cargo xtask hot-path [--accept]
    counts the instructions that a record takes from `send` to its outcome, without a network, and fails if they are
    more than 3 % above those of tests/hot-path/floor.txt. With --accept those are what was counted now.";

/// How much worse than the floor is too much.
const MARGIN: f64 = 1.03;

/// Enough for a hundred batches.
const RECORDS: u64 = 64_000;

pub(crate) fn run(arguments: &[String]) -> Result {
    crate::only(arguments, &["--accept"])?;
    if !found("valgrind") {
        debian::need(&["valgrind"]).map_err(|stop| stop.words())?;
    }
    crate::run(cargo().args(["build", "--release", "--locked", "--package", "demitasse-hot-path"]))?;
    let program = target().join("release/demitasse-hot-path");
    let workloads = output(&mut Command::new(&program))?;
    let path = root().join("tests/hot-path/floor.txt");
    let floor = std::fs::read_to_string(&path).unwrap_or_default();
    let (mut counted, mut worse) = (String::new(), Vec::new());
    println!("{:<14}{:>12}{:>12}", "workload", "instructions", "floor");
    for workload in workloads.lines() {
        let instructions = count(Command::new("valgrind"), &program, workload)?;
        let before = floor.lines().find_map(|line| line.strip_prefix(workload)?.trim().parse::<f64>().ok());
        println!("{workload:<14}{instructions:>12.1}{:>12}", before.map_or("-".into(), |floor| format!("{floor:.1}")));
        let _ = writeln!(counted, "{workload} {instructions:.1}");
        if before.is_none_or(|floor| instructions > floor * MARGIN) {
            worse.push(workload);
        }
    }
    if arguments.iter().any(|argument| argument == "--accept") {
        return std::fs::write(&path, counted).map_err(|error| format!("{}: {error}", path.display()));
    }
    if worse.is_empty() {
        return Ok(());
    }
    Err(format!("more instructions than the floor allows: {}; see cargo xtask hot-path --accept", worse.join(", ")))
}

/// Instructions a record, of the library alone.
fn count(mut valgrind: Command, program: &std::path::Path, workload: &str) -> Result<f64> {
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    valgrind.args(["--toggle-collect=*hot::*", "--toggle-collect=*aside_answer*"]);
    let told = valgrind.arg(program).arg(workload).arg(RECORDS.to_string()).output();
    let told = told.map_err(|error| format!("valgrind: {error}"))?;
    let text = String::from_utf8_lossy(&told.stderr);
    let collected = text.lines().find_map(|line| line.split("Collected : ").nth(1)?.trim().parse::<f64>().ok());
    match collected.filter(|&collected| told.status.success() && collected > 0.0) {
        Some(collected) => Ok(collected / RECORDS as f64),
        None => Err(format!("{workload} under valgrind: {text}")),
    }
}

fn output(command: &mut Command) -> Result<String> {
    let told = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    String::from_utf8(told.stdout).map_err(|error| error.to_string())
}
