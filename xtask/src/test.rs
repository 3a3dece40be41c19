//! `cargo xtask test`: every test there is, with all the set-up that they need.

use crate::steps::{Steps, Stop};
use crate::{
    Result, bare, boards, cargo, defects, features, firmware, hot_path, only, root, simulate, size, target, tools,
};
use demitasse_kafka_tests::{KAFKA_3, KAFKA_4};

pub(crate) const HELP: &str = "\
cargo xtask test [--quick]
    sets up what is missing (Kafka's jars, kcat, a bare-metal compiler, QEMU), then runs all tests:
    of every package and feature set, 20,000 seeds of the simulation, 5,000 with a device's core, and whether it
    catches planted bugs, the instructions of the hot path, against real Kafka brokers, the build without an
    allocator, a board's program, firmware in QEMU, and what it takes.
    With CI=true in the environment nothing may be skipped.
    --quick    only what needs no set-up: neither brokers nor bare metal";

pub(crate) fn run(arguments: &[String]) -> Result {
    only(arguments, &["--quick"])?;
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let mut steps = Steps::new();
    for selection in features::selections()?.iter().filter(|selection| selection.runs) {
        steps.step(&format!("tests and doc tests: {}", selection.name), || {
            let mut command = cargo();
            command.args(["test", "--locked", "--no-fail-fast"]).args(&selection.arguments);
            // Without brokers in any case: those tests come below.
            crate::run(command.env_remove("DEMITASSE_KAFKA"))
        });
    }
    let seeds = ["--seeds", "20000"].map(str::to_owned);
    steps.step("simulation: 20,000 seeds", || simulate::run(&seeds));
    // So many that states which are never reached are told.
    let seeds = ["--device", "--seeds", "5000"].map(str::to_owned);
    steps.step("simulation of a device: 5,000 seeds", || simulate::run(&seeds));
    if !quick {
        steps.step("instructions of the hot path", || hot_path::run(&[]));
        let some = ["--some", "2"].map(str::to_owned);
        steps.step("planted defects: two of them, others each day", || defects::run(&some));
        let ready = steps.step("set-up for Kafka", || tools::for_kafka(&[KAFKA_4, KAFKA_3]));
        let built = steps.step("release build of demitasse and its pipeline", build_demitasse);
        steps.step("tests against Kafka", || if ready && built { kafka_tests() } else { Err(not_tried()) });
        bare::steps(&mut steps);
        boards::steps(&mut steps);
        firmware::steps(&mut steps, false);
        let writing = ["--writing".to_owned()];
        steps.step("what the sensor takes, beside its budgets", || size::run(&writing));
    }
    steps.finish()
}

fn build_demitasse() -> Result {
    crate::run(cargo().args(["build", "--release", "--locked", "--bin", "demitasse", "--bin", "demitasse-pipeline"]))
}

fn kafka_tests() -> std::result::Result<(), Stop> {
    let mut command = cargo();
    command.args(["test", "--locked", "--no-fail-fast", "-p", features::KAFKA_TESTS, "--tests"]);
    command.env("DEMITASSE_KAFKA", "1").env("DEMITASSE_BIN", target().join("release/demitasse"));
    Ok(crate::run(command.current_dir(root()))?)
}

fn not_tried() -> Stop {
    Stop::Skipped("a step before it that it needs did not go well".into())
}
