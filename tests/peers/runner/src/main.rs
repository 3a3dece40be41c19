//! `cargo xtask peers`: all clients side by side, in one run, and the tables, plots and targets of it.
//!
//! A peer that cannot be built or that fails stands in the tables with its reason, and without a figure.

mod brokers;
mod builds;
mod consuming;
mod digits;
mod java;
mod machine;
mod measure;
mod peers;
mod plots;
mod report;
mod results;
mod rounds;
mod scenarios;
mod targets;
mod weight;

use anyhow::{Result, ensure};
use clap::Parser;
use rounds::Rounds;
use std::path::{Path, PathBuf};

/// Builds the peers, runs them in turn against one Kafka and against a sink, and writes docs/numbers.md and its plots.
#[derive(Parser)]
#[command(name = "cargo xtask peers")]
struct Arguments {
    /// How often each client does each task; the tables have medians.
    #[arg(long, default_value = "3", default_value_if("quick", "true", "1"))]
    rounds: usize,
    /// Records of 1000 bytes a run; of 100 bytes it is four times as many.
    #[arg(long, default_value = "500000", default_value_if("quick", "true", "50000"))]
    records: u64,
    /// How long each client sends at a fixed rate each round, for its latency.
    #[arg(long, default_value = "10", default_value_if("quick", "true", "1"))]
    latency_seconds: u64,
    /// How long demitasse sends without a pause, for its memory.
    #[arg(long, default_value = "600", default_value_if("quick", "true", "5"))]
    memory_seconds: u64,
    /// Only the clients that have one of these words in their name, with commas between.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    only: Vec<String>,
    /// Only the tasks of producing whose title has this text in it, such as "1 MB, against Kafka"; may be repeated.
    #[arg(long = "row", value_name = "TEXT")]
    rows: Vec<String>,
    /// Only what reading costs: in numbers.md all else stays as it is.
    #[arg(long, conflicts_with = "rows")]
    consuming: bool,
    /// Only what producing costs: in numbers.md the section about reading stays as it is.
    #[arg(long, conflicts_with = "consuming")]
    producing: bool,
    /// Two minutes, to see whether all of it works: little is sent, once, and nothing is weighed.
    #[arg(long)]
    quick: bool,
    /// Do not measure build times and binary sizes, which takes some 15 minutes.
    #[arg(long)]
    no_weight: bool,
    /// Where numbers.md and its plots go; docs by itself.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let wanted = |name: &str| arguments.only.is_empty() || arguments.only.iter().any(|word| name.contains(word));
    let folder = arguments.out.clone().unwrap_or_else(|| root().join("docs"));
    if !arguments.consuming {
        producing(&arguments, &wanted, &folder)?;
    }
    if arguments.producing || !arguments.rows.is_empty() {
        return Ok(());
    }
    consuming::run(&wanted, arguments.rounds, arguments.records, &folder)
}

fn producing(arguments: &Arguments, wanted: &impl Fn(&str) -> bool, folder: &Path) -> Result<()> {
    let peers = peers::ALL.iter().filter(|peer| wanted(peer.name)).collect();
    let mut scenarios = scenarios::all(arguments.records, arguments.latency_seconds);
    if !arguments.rows.is_empty() {
        scenarios.retain(|scenario| arguments.rows.iter().any(|text| scenario.title().contains(text)));
    }
    ensure!(!scenarios.is_empty(), "no task has such a title");
    let mut rounds = Rounds::new(peers, scenarios)?;
    rounds.run(arguments.rounds)?;
    rounds.count_allocations();
    let mut measured = rounds.end(arguments.memory_seconds);

    report::write(folder, &measured)?;
    if !arguments.no_weight && !arguments.quick {
        measured.weights = weight::all(wanted)?;
        report::write(folder, &measured)?;
    }
    for verdict in targets::all(&measured) {
        println!("{verdict}");
    }
    Ok(())
}

/// The repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(3).expect("runner/ is three folders down")
}

/// Where the peers are built: cargo's folder for this program too.
fn target() -> PathBuf {
    let own = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    own.unwrap_or_else(|| root().join("tests/peers/target"))
}
