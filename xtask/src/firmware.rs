//! `cargo xtask firmware`: the firmware for both boards, in QEMU, against a real Kafka and against the stand-in.
//!
//! That the images link is a proof by itself: Debian's sysroot has no `alloc`, and rustup's would ask for an allocator.

use crate::bare::{TARGET, Toolchain};
use crate::steps::{Steps, Stop};
use crate::{Result, cargo, debian, features, only, root, target, tools};
use demitasse_firmware_tests::Board;
use demitasse_kafka_tests::{KAFKA_4, found};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

pub(crate) const HELP: &str = "\
cargo xtask firmware [--full]
    builds examples/firmware-qemu for both boards and runs it in QEMU: against a real Kafka that is killed, with the
    cable pulled, and against the stand-in broker; an independent client reads back what arrived
    --full    10,000 readings through the failures instead of 2,000";

pub(crate) fn run(arguments: &[String]) -> Result {
    only(arguments, &["--full"])?;
    let mut steps = Steps::new();
    self::steps(&mut steps, arguments.iter().any(|argument| argument == "--full"));
    steps.finish()
}

/// The steps, as a part of a longer run.
pub(crate) fn steps(steps: &mut Steps, full: bool) {
    let mut toolchain = None;
    let ready = steps.step("set-up for firmware", || {
        tools::for_kafka(&[KAFKA_4])?;
        toolchain = Some(set_up()?);
        Ok::<_, Stop>(())
    });
    let missing = || Stop::Skipped("the set-up for firmware did not go well".into());
    steps.step("rustfmt: examples/firmware-qemu", || {
        crate::run(cargo().args(["fmt", "--check", "--manifest-path", "examples/firmware-qemu/Cargo.toml"]))
    });
    for board in Board::ALL {
        steps.step(&format!("clippy: examples/firmware-qemu for {}", board.name()), || {
            let toolchain = toolchain.as_ref().ok_or_else(missing)?;
            toolchain.need_clippy()?;
            let mut command = in_room(toolchain, "clippy", board, "semihosting,dhcp,paint-stack,consumer,lz4");
            Ok::<_, Stop>(crate::run(command.args(["--", "-D", "warnings"]))?)
        });
        steps.step(&format!("firmware for {}", board.name()), || {
            let toolchain = toolchain.as_ref().ok_or_else(missing)?;
            // One of the two gets its address from the network.
            let dhcp = if board == Board::Mps2An385 { "semihosting,dhcp" } else { "semihosting" };
            image(toolchain, board, "sensor", dhcp, board.name())?;
            if board == Board::Mps2An385 {
                image(toolchain, board, "sensor", &format!("{dhcp},lz4"), &format!("{}-lz4", board.name()))?;
            }
            let reading = format!("{dhcp},consumer");
            image(toolchain, board, "commands", &reading, &format!("{}-commands", board.name()))?;
            Ok::<_, Stop>(())
        });
    }
    steps.step("firmware in QEMU", || {
        if !ready {
            return Err(missing());
        }
        let mut command = cargo();
        command.args(["test", "--locked", "--no-fail-fast", "-p", features::FIRMWARE_TESTS, "--tests"]);
        // One after the other: they measure time, and a machine may be small.
        command.args(["--", "--test-threads=1"]);
        command.env("DEMITASSE_FIRMWARE", images()).env("DEMITASSE_FIRMWARE_FULL", if full { "1" } else { "" });
        Ok(crate::run(command.current_dir(root()))?)
    });
}

/// A compiler, a linker and QEMU.
pub(crate) fn set_up() -> std::result::Result<Toolchain, Stop> {
    let toolchain = Toolchain::find(TARGET, "core")?;
    toolchain.need_linker()?;
    if !found("qemu-system-arm") {
        debian::need(&["qemu-system-arm"])?;
    }
    Ok(toolchain)
}

/// Where images are put.
fn images() -> PathBuf {
    target().join("firmware/images")
}

/// Builds a program of examples/firmware-qemu for a board, with these features besides; the image under this name.
pub(crate) fn image(toolchain: &Toolchain, board: Board, program: &str, features: &str, name: &str) -> Result<PathBuf> {
    let mut command = in_room(toolchain, "build", board, features);
    crate::run(command.args(["--bin", program]))?;
    let built = target().join("firmware").join(TARGET).join("release").join(program);
    let kept = images().join(name);
    let words = |e: std::io::Error| format!("{}: {e}", kept.display());
    fs::create_dir_all(images()).map_err(words)?;
    fs::copy(built, &kept).map_err(words)?;
    Ok(kept)
}

/// Cargo in examples/firmware-qemu.
fn in_room(toolchain: &Toolchain, verb: &str, board: Board, features: &str) -> Command {
    let mut command = toolchain.cargo();
    command.args([verb, "--quiet", "--release", "--locked", "--no-default-features"]);
    command.args(["--features", &format!("{},{features}", board.name())]);
    command.current_dir(root().join("examples/firmware-qemu"));
    command.env("CARGO_TARGET_DIR", target().join("firmware"));
    command
}
