//! `cargo xtask simulate`: the real core against the model broker, as many seeds as one likes.

use crate::{Result, cargo, features};

pub(crate) const HELP: &str = "\
cargo xtask simulate [--device] [--reading | --writing] [--seeds N] [--first SEED] [--stop-after FAILURES] | --seed SEED [--shrink | --plain]
    runs the real core against the model broker, 10,000 seeds of a producer unless told otherwise and a fifth as
    many of a consumer, and prints which states were reached and which seeds broke a promise. With --reading a consumer only, with --writing a producer; with
    --seed one, with its plan; with --shrink the smallest plan that fails as that seed of a producer does, with --plain the plan of a
    consumer's seed as it was before there were transactions in it.
    With --device it is the core that one flashes: one version of each message, no compression, one connection to a broker.";

pub(crate) fn run(arguments: &[String]) -> Result {
    let (device, others): (Vec<_>, Vec<_>) = arguments.iter().partition(|argument| *argument == "--device");
    let mut command = cargo();
    command.args(["run", "--quiet", "--profile", "simulation"]);
    if device.is_empty() {
        command.args(["--package", features::SIMULATION]);
    } else {
        command.args(features::SIMULATED_DEVICE);
    }
    crate::run(command.arg("--").args(others))
}
