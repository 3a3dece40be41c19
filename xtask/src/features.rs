//! Which feature sets of which packages are built and tested.
//!
//! Packages whose features exclude each other stand here by name; all others are taken with all features at once.

use crate::{Result, cargo};
use std::process::Command;

/// A package with features that exclude each other.
struct Exclusive {
    package: &'static str,
    /// Sets that run on the host: linted and tested.
    host: &'static [&'static str],
    /// Sets that only a device can run: linted, and built bare-metal.
    device: &'static [&'static str],
}

/// `defmt` and `log` are two places for the same messages.
const EXCLUSIVE: &[Exclusive] = &[
    Exclusive {
        package: "demitasse-core",
        host: &["", "log,crc-table-1k,consumer,gather,lz4,scaling,audit", "one-version,consumer,audit"],
        device: &["", "log", "defmt,crc-table-1k", "defmt,lz4", "defmt,consumer,lz4", "one-version,crc-table-1k"],
    },
    Exclusive {
        package: "demitasse-io-embassy",
        host: &["", "log,dns", "log,consumer,dns,lz4"],
        device: &["", "defmt,dns", "defmt,consumer", "defmt,lz4"],
    },
];

/// Tested in steps of their own, after a set-up.
pub(crate) const KAFKA_TESTS: &str = "demitasse-kafka-tests";
/// The same, with firmware in QEMU.
pub(crate) const FIRMWARE_TESTS: &str = "demitasse-firmware-tests";

/// The core against the model broker, by default with what a server has.
pub(crate) const SIMULATION: &str = "demitasse-simulation";
/// The same with the core as `examples/firmware-qemu` has it, and its consumer.
pub(crate) const SIMULATED_DEVICE: &[&str] = &[
    "--package",
    SIMULATION,
    "--no-default-features",
    "--features",
    "demitasse-core/one-version,demitasse-core/crc-table-1k",
];

/// One choice of packages and features for cargo.
pub(crate) struct Selection {
    /// For the summary.
    pub(crate) name: String,
    /// Arguments for cargo.
    pub(crate) arguments: Vec<String>,
    /// Whether the host can run it, or only compile it.
    pub(crate) runs: bool,
}

/// Everything in the workspace, once; what excludes each other one after the other.
pub(crate) fn selections() -> Result<Vec<Selection>> {
    let mut found = Vec::new();
    let members = members()?;
    for Exclusive { package, host, device } in EXCLUSIVE.iter().filter(|e| members.iter().any(|m| m == e.package)) {
        let mut sets = host.to_vec();
        sets.extend(device.iter().filter(|set| !host.contains(set)));
        for set in sets {
            let name = format!("{package}, {}", if set.is_empty() { "no features" } else { set });
            let arguments = ["-p", package, "--no-default-features", "--features", set].map(String::from).into();
            found.push(Selection { name, arguments, runs: host.contains(&set) });
        }
    }
    // `cargo xtask simulate --device` runs it.
    let arguments = SIMULATED_DEVICE.iter().map(|argument| argument.to_string()).collect();
    found.push(Selection { name: format!("{SIMULATION}, as on a device"), arguments, runs: false });
    let mut arguments = vec!["--workspace".into(), "--all-features".into()];
    for Exclusive { package, .. } in EXCLUSIVE {
        arguments.extend(["--exclude".into(), package.to_string()]);
    }
    found.push(Selection { name: "all other packages, all features".into(), arguments, runs: true });
    Ok(found)
}

/// The sets of features that `demitasse-core` is built with for a device.
pub(crate) fn device_sets() -> &'static [&'static str] {
    EXCLUSIVE.iter().find(|e| e.package == "demitasse-core").map_or(&[""], |e| e.device)
}

/// The names of the workspace's packages.
pub(crate) fn members() -> Result<Vec<String>> {
    let tree = output(cargo().args(["tree", "--workspace", "--depth", "0", "--prefix", "none", "--format", "{p}"]))?;
    Ok(tree.lines().filter_map(|line| line.split(' ').next()).filter(|n| !n.is_empty()).map(String::from).collect())
}

fn output(command: &mut Command) -> Result<String> {
    let said = command.output().map_err(|e| format!("cannot run cargo: {e}"))?;
    if said.status.success() {
        return Ok(String::from_utf8_lossy(&said.stdout).into_owned());
    }
    Err(String::from_utf8_lossy(&said.stderr).into_owned())
}
