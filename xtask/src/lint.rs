//! `cargo xtask lint`: format, clippy, documentation; every warning is an error.

use crate::steps::Steps;
use crate::{Result, cargo, features, only};

pub(crate) const HELP: &str = "\
cargo xtask lint
    rustfmt, clippy over all targets and feature sets, rustdoc; warnings are errors";

pub(crate) fn run(arguments: &[String]) -> Result {
    only(arguments, &[])?;
    let mut steps = Steps::new();
    steps.step("rustfmt", || crate::run(cargo().args(["fmt", "--all", "--check"])));
    // A workspace of its own; what it would build needs a C++ compiler, and is what `tests/hostile` has.
    steps.step("rustfmt: fuzz", || crate::run(cargo().args(["fmt", "--check", "--manifest-path", "fuzz/Cargo.toml"])));
    // Its clippy would compile a hundred crates and librdkafka: by hand.
    let peers = "tests/peers/Cargo.toml";
    steps.step("rustfmt: peers", || crate::run(cargo().args(["fmt", "--all", "--check", "--manifest-path", peers])));
    let selections = features::selections()?;
    for selection in &selections {
        steps.step(&format!("clippy: {}", selection.name), || {
            let mut command = cargo();
            command.args(["clippy", "--all-targets", "--locked"]).args(&selection.arguments);
            crate::run(command.args(["--", "-D", "warnings"]))
        });
    }
    for selection in &selections {
        steps.step(&format!("rustdoc: {}", selection.name), || {
            let mut command = cargo();
            command
                .args(["doc", "--no-deps", "--locked"])
                .args(&selection.arguments)
                .env("RUSTDOCFLAGS", "-D warnings");
            crate::run(&mut command)
        });
    }
    steps.finish()
}
