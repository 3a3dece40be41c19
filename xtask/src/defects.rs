//! `cargo xtask defects`: plants known bugs, one at a time, and expects the simulation to catch each.

use crate::{Result, cargo, root, target};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) const HELP: &str = "\
cargo xtask defects [--seeds N] [--some K] [NAME...]
    applies each patch of tests/simulation/defects to a copy of the sources, runs the simulation on it and prints how many
    seeds it took to catch it. One that survives is a hole in the simulation.
    --seeds N   give up after so many seeds, 20,000 unless told otherwise, or a fifth as many of a consumer
    --some K    only K of them, others each day";

pub(crate) fn run(arguments: &[String]) -> Result {
    let (mut seeds, mut some, mut names) = (20_000u64, usize::MAX, Vec::new());
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let mut number = || rest.next().ok_or(format!("{argument} takes a number"));
        match argument.as_str() {
            "--seeds" => seeds = number()?.parse().map_err(|_| "--seeds takes a number")?,
            "--some" => some = number()?.parse().map_err(|_| "--some takes a number")?,
            name => names.push(name.to_owned()),
        }
    }
    let tree = target().join("defects/tree");
    let mut survived = Vec::new();
    for patch in chosen(&names, some)? {
        let name = patch.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        copy_sources(&tree)?;
        apply(&tree, &patch)?;
        let mut command = cargo();
        command.current_dir(&tree).env("CARGO_TARGET_DIR", target().join("defects/target"));
        command.args(["run", "--quiet", "--profile", "simulation", "--package", "demitasse-simulation", "--"]);
        // Of a producer, or of a consumer: then there are as many seeds as `simulate` has of those.
        let text = fs::read_to_string(&patch).map_err(|e| format!("{}: {e}", patch.display()))?;
        let reads = text.starts_with("Reading: ");
        let (whose, seeds) = if reads { ("--reading", seeds.div_ceil(5)) } else { ("--writing", seeds) };
        let output = command.args([whose, "--seeds", &seeds.to_string(), "--stop-after", "1"]).output();
        let output = output.map_err(|e| e.to_string())?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let Some(last) =
            said.lines().last().filter(|line| line.contains(" seeds, ") || line.contains(" seeds reading, "))
        else {
            return Err(format!("{name} does not build: {}", String::from_utf8_lossy(&output.stderr)));
        };
        let took = last.split(' ').next().unwrap_or_default();
        if output.status.success() {
            println!("SURVIVED {took:>6} seeds  {name}");
            survived.push(name);
        } else {
            println!("caught   {took:>6} seeds  {name}");
        }
    }
    if survived.is_empty() { Ok(()) } else { Err(format!("not caught: {}", survived.join(", "))) }
}

/// The patches to apply; of many a few, others each day.
fn chosen(names: &[String], some: usize) -> Result<Vec<PathBuf>> {
    let folder = root().join("tests/simulation/defects");
    let entries = fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut patches: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    patches.retain(|path| path.extension().is_some_and(|extension| extension == "patch"));
    patches.sort();
    if !names.is_empty() {
        patches.retain(|path| names.iter().any(|name| path.file_stem().is_some_and(|stem| stem == name.as_str())));
    }
    let days = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs() / 86_400) as usize;
    let start = days.wrapping_mul(some.min(patches.len()));
    let count = some.min(patches.len());
    let total = patches.len().max(1);
    Ok((0..count).map(|i| patches[(start + i) % total].clone()).collect())
}

/// Only what the simulation needs, as it stands in the working tree.
fn copy_sources(tree: &Path) -> Result {
    let members = ["core", "tests/broker", "tests/simulation"];
    for member in members {
        let to = tree.join(member);
        let _ = fs::remove_dir_all(&to);
        copy(&root().join(member), &to)?;
    }
    let manifest = fs::read_to_string(root().join("Cargo.toml")).map_err(|e| e.to_string())?;
    let (before, after) = manifest.split_once("members = [").ok_or("Cargo.toml lists no members")?;
    let after = after.split_once(']').map(|(_, after)| after).ok_or("Cargo.toml lists no members")?;
    let manifest = format!("{before}members = {members:?}{after}");
    fs::write(tree.join("Cargo.toml"), manifest).map_err(|e| e.to_string())?;
    fs::copy(root().join("Cargo.lock"), tree.join("Cargo.lock")).map_err(|e| e.to_string())?;
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result {
    let wrong = |e: std::io::Error| format!("copying {}: {e}", from.display());
    fs::create_dir_all(to).map_err(wrong)?;
    for entry in fs::read_dir(from).map_err(wrong)? {
        let entry = entry.map_err(wrong)?;
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &to)?;
        } else {
            fs::copy(&path, &to).map_err(wrong)?;
        }
    }
    Ok(())
}

fn apply(tree: &Path, patch: &Path) -> Result {
    let mut command = Command::new("git");
    // The copy lies inside the repository, whose ignored files git would not touch: so it is told of no repository.
    command.current_dir(tree).env("GIT_DIR", tree.join("no-repository"));
    crate::run(command.args(["apply", "-p1"]).arg(patch))
        .map_err(|e| format!("{} does not apply any more, renew it: {e}", patch.display()))
}
