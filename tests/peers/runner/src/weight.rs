//! What a program gets with each Rust client: time to build, crates, bytes.

use crate::{builds, target};
use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

/// The packages in tests/peers/minimal.
const CLIENTS: [&str; 5] = ["demitasse", "rskafka", "rdkafka", "krafka", "confluent"];

pub(crate) struct Weight {
    pub(crate) client: &'static str,
    pub(crate) figures: Result<Figures>,
}

pub(crate) struct Figures {
    /// Of the release build, from an empty target folder; everything had been downloaded.
    pub(crate) seconds: f64,
    pub(crate) crates: usize,
    /// Stripped.
    pub(crate) release_bytes: u64,
    /// Stripped, with the profile `small`.
    pub(crate) small_bytes: u64,
}

pub(crate) fn all(wanted: &impl Fn(&str) -> bool) -> Result<Vec<Weight>> {
    cargo(&["fetch", "--locked"])?;
    let clients = CLIENTS.into_iter().filter(|client| wanted(client));
    Ok(clients.map(|client| Weight { client, figures: weigh(client) }).collect())
}

fn weigh(client: &str) -> Result<Figures> {
    eprintln!("weight: {client}");
    let package = format!("minimal-{client}");
    let folder = target().join("weight");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    let build = |profile: &str| build(&package, profile, &folder);
    let begun = Instant::now();
    let release_bytes = build("release")?;
    let seconds = begun.elapsed().as_secs_f64();
    let figures = Figures { seconds, crates: crates(&package)?, release_bytes, small_bytes: build("small")? };
    std::fs::remove_dir_all(&folder)?;
    let Figures { seconds, crates, release_bytes, small_bytes } = &figures;
    eprintln!("    {seconds:.0} s, {crates} crates, {release_bytes} bytes, built for size {small_bytes}");
    Ok(figures)
}

/// Builds, and says how large the program is.
fn build(package: &str, profile: &str, folder: &Path) -> Result<u64> {
    let target = folder.to_str().context("a path that is not UTF-8")?;
    cargo(&["build", "--quiet", "--locked", "--profile", profile, "--package", package, "--target-dir", target])?;
    Ok(folder.join(profile).join(package).metadata()?.len())
}

/// All that is compiled for it, with what runs at build time, without itself.
fn crates(package: &str) -> Result<usize> {
    let tree = cargo(&["tree", "--locked", "--package", package, "--edges", "normal,build", "--prefix", "none"])?;
    // A line is a name, a version, and remarks.
    let names: BTreeSet<_> =
        tree.lines().filter_map(|line| line.split_once(" (").map_or(Some(line), |(name, _)| Some(name))).collect();
    ensure!(!names.is_empty(), "cargo tree says nothing");
    Ok(names.len() - 1)
}

fn cargo(arguments: &[&str]) -> Result<String> {
    let mut command = builds::cargo();
    // The profiles as they are, but for what is not part of a program that one ships.
    for profile in ["RELEASE", "SMALL"] {
        command.env(format!("CARGO_PROFILE_{profile}_DEBUG"), "false");
        command.env(format!("CARGO_PROFILE_{profile}_STRIP"), "symbols");
    }
    builds::run(command.args(arguments)).context("not built")
}
