//! `cargo xtask fuzz`: libFuzzer on every decoder and on the whole client.

use crate::steps::{Steps, Stop};
use crate::{Result, cargo, debian, root, target};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

pub(crate) const HELP: &str = "\
cargo xtask fuzz [--seconds N] [--minimise] [TARGET...]
    runs the fuzzers of fuzz/, all of them or these, 60 s each unless told otherwise; installs cargo-fuzz and a C++ compiler
    if need be. What is new goes to the target folder; a finding is printed with its file.
    --minimise    then makes fuzz/corpus anew: as few files as reach all that is reached, for `cargo test` to replay";

/// With the compiler that the project has: without sanitizers, which want a nightly one. `unsafe` there is none.
const CARGO_FUZZ: &str = "0.13.2";

/// Larger inputs reach nothing new, and take long.
const LENGTH_MAX: &str = "-max_len=400";

pub(crate) fn run(arguments: &[String]) -> Result {
    let (mut seconds, mut minimise, mut names) = ("60".to_owned(), false, Vec::new());
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--seconds" => seconds = rest.next().ok_or("--seconds takes a number")?.clone(),
            "--minimise" => minimise = true,
            name => names.push(name.to_owned()),
        }
    }
    let all = targets()?;
    if let Some(odd) = names.iter().find(|name| !all.contains(name)) {
        return Err(format!("there is no fuzzer {odd}; there are: {}", all.join(", ")));
    }
    let names = if names.is_empty() { all } else { names };
    debian::need(&["g++"]).map_err(Stop::words)?;
    let program = cargo_fuzz()?;
    let mut steps = Steps::new();
    for name in &names {
        let found = folder("corpus").join(name);
        let kept = root().join("fuzz/corpus").join(name);
        make(&[&found, &folder("findings"), &kept])?;
        let well = steps.step(&format!("fuzz {name}"), || {
            let time = format!("-max_total_time={seconds}");
            crate::run(fuzzer(&program, name).args([&found, &kept]).args(["--", LENGTH_MAX, &time]).args(options()))
        });
        if well && minimise {
            steps.step(&format!("minimise {name}"), || smallest(&program, name, &found, &kept));
        }
    }
    steps.finish()
}

/// The fuzzers by name.
fn targets() -> Result<Vec<String>> {
    let entries = fs::read_dir(root().join("fuzz/fuzz_targets")).map_err(|e| e.to_string())?;
    let stem = |entry: fs::DirEntry| Some(entry.path().file_stem()?.to_str()?.to_owned());
    let mut names: Vec<_> = entries.filter_map(|entry| stem(entry.ok()?)).collect();
    names.sort();
    Ok(names)
}

/// `cargo-fuzz`, installed if need be.
fn cargo_fuzz() -> Result<PathBuf> {
    let tools = target().join("tools").join(format!("cargo-fuzz-{CARGO_FUZZ}"));
    let program = tools.join("bin/cargo-fuzz");
    if !program.is_file() {
        let mut command = cargo();
        command.args(["install", "--quiet", "--locked", "cargo-fuzz", "--version", CARGO_FUZZ, "--root"]);
        crate::run(command.arg(&tools))?;
    }
    Ok(program)
}

fn folder(name: &str) -> PathBuf {
    target().join("fuzz").join(name)
}

fn make(folders: &[&PathBuf]) -> Result {
    folders.iter().try_for_each(|folder| fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display())))
}

/// Builds and runs one; folders of inputs follow, and options for libFuzzer.
fn fuzzer(program: &PathBuf, name: &str) -> Command {
    let mut command = Command::new(program);
    command.args(["fuzz", "run", "--sanitizer", "none", name]).current_dir(root().join("fuzz"));
    command.env("CARGO_TARGET_DIR", folder("build"));
    command
}

/// An input that takes ten seconds is a busy loop.
fn options() -> [String; 2] {
    ["-timeout=10".into(), format!("-artifact_prefix={}/", folder("findings").display())]
}

/// The fewest inputs that reach every edge that any of them reaches.
fn smallest(program: &PathBuf, name: &str, found: &PathBuf, kept: &PathBuf) -> Result {
    let fresh = folder("minimal").join(name);
    let _ = fs::remove_dir_all(&fresh);
    make(&[&fresh])?;
    let mut command = fuzzer(program, name);
    command.args([&fresh, kept, found]).args(["--", "-set_cover_merge=1", "-use_counters=0", LENGTH_MAX]);
    crate::run(command.args(options()))?;
    fs::remove_dir_all(kept).map_err(|e| e.to_string())?;
    make(&[kept])?;
    for entry in fs::read_dir(&fresh).map_err(|e| e.to_string())? {
        let path = entry.map_err(|e| e.to_string())?.path();
        fs::copy(&path, kept.join(path.file_name().unwrap_or_default())).map_err(|e| e.to_string())?;
    }
    Ok(())
}
