//! `cargo xtask simulate`: many seeds, or one with its plan.
//!
//!     demitasse-simulation [--seeds N] [--first SEED] [--stop-after FAILURES]
//!     demitasse-simulation --seed SEED [--shrink]
//!
//! With `--reading` it is a consumer that is simulated, with `--writing` a producer; many seeds with neither are both, a fifth
//! as many of the former. With `--plain` the plan of a consumer's seed is what it was before there were transactions in it.

use demitasse_simulation::attempt::{attempt, attempts};
use demitasse_simulation::plan::Plan;
use demitasse_simulation::reading::plan::Plan as ReadingPlan;
use demitasse_simulation::shrink::{shrink, size};
use demitasse_simulation::{reading, run};
use std::process::ExitCode;
use std::time::Instant;

/// A run of so many seeds that leaves a state out proves too little.
const MANY: u64 = 5000;

/// What runs a seed of this core again.
const AGAIN: &str = if cfg!(feature = "server") { "cargo xtask simulate" } else { "cargo xtask simulate --device" };

fn main() -> ExitCode {
    let (mut seeds, mut first, mut stop_after, mut one, mut smallest) = (10_000, 0, 10, None, false);
    let (mut only_reading, mut only_writing, mut plain) = (false, false, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        match name.as_str() {
            "--shrink" => smallest = true,
            "--reading" => only_reading = true,
            "--writing" => only_writing = true,
            "--plain" => plain = true,
            _ => {}
        }
        if matches!(name.as_str(), "--shrink" | "--reading" | "--writing" | "--plain") {
            continue;
        }
        let Some(value) = arguments.next().and_then(|value| value.parse().ok()) else {
            eprintln!(
                "{name} takes a number; there are --seeds, --first, --stop-after, --seed, --shrink, --reading, --writing and --plain"
            );
            return ExitCode::from(2);
        };
        match name.as_str() {
            "--seeds" => seeds = value,
            "--first" => first = value,
            "--stop-after" => stop_after = value as usize,
            "--seed" => one = Some(value),
            _ => {
                eprintln!("unknown: {name}");
                return ExitCode::from(2);
            }
        }
    }
    // What goes wrong is told in one line a seed.
    std::panic::set_hook(Box::new(|_| {}));
    match one {
        Some(seed) if only_reading => {
            show_reading(&if plain { ReadingPlan::draw_plain(seed) } else { ReadingPlan::draw(seed) })
        }
        Some(seed) if smallest => show_smallest(seed),
        Some(seed) => show(seed),
        None => {
            let written = only_reading || many(first, seeds, stop_after);
            // Each takes some times longer.
            let readers = if only_reading { seeds } else { seeds.div_ceil(5) };
            let read = only_writing || many_reading(first, readers, stop_after);
            if read && written { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
    }
}

fn show_reading(plan: &ReadingPlan) -> ExitCode {
    let seed = plan.seed;
    println!("{plan:#?}");
    match reading::run(plan) {
        Ok(report) => {
            println!("{report:#?}\nseed {seed}: every promise was kept; trace {:016x}", report.trace);
            ExitCode::SUCCESS
        }
        Err(what) => {
            println!("seed {seed}: {what}");
            ExitCode::FAILURE
        }
    }
}

fn show(seed: u64) -> ExitCode {
    println!("{:#?}", Plan::draw(seed));
    match attempt(seed) {
        Ok(report) => {
            println!("{report:#?}\nseed {seed}: every promise was kept; trace {:016x}", report.trace);
            ExitCode::SUCCESS
        }
        Err(what) => {
            println!("seed {seed}: {what}");
            ExitCode::FAILURE
        }
    }
}

/// The smallest plan that fails as the seed does.
fn show_smallest(seed: u64) -> ExitCode {
    let plan = Plan::draw(seed);
    let Err(broken) = run(&plan) else {
        println!("seed {seed}: every promise was kept, so there is nothing to shrink");
        return ExitCode::SUCCESS;
    };
    println!("seed {seed}: {broken}\n  {}", size(&plan));
    let least = shrink(plan, |plan| run(plan).err().map(|broken| broken.what));
    println!("{least:#?}");
    if let Err(broken) = run(&least) {
        println!("smallest of seed {seed}: {broken}\n  {}", size(&least));
    }
    ExitCode::FAILURE
}

fn many_reading(first: u64, seeds: u64, stop_after: usize) -> bool {
    let start = Instant::now();
    let summary = reading::attempts(first, seeds, stop_after);
    let seconds = start.elapsed().as_secs_f64();
    for (name, count) in summary.reached() {
        println!("{count:>12}  {name}");
    }
    for (seed, what) in &summary.failed {
        println!("seed {seed}, reading: {what}\n  again: {AGAIN} --reading --seed {seed}");
    }
    let never: Vec<_> = summary.reached().filter(|(_, count)| *count == 0 && summary.seeds >= MANY).collect();
    for (name, _) in &never {
        println!("never reached: {name}");
    }
    println!(
        "{} seeds reading, {:.0} a second; {} records handed out; trace {:016x}; {} failed",
        summary.seeds,
        summary.seeds as f64 / seconds,
        summary.records,
        summary.trace,
        summary.failed.len()
    );
    summary.failed.is_empty() && never.is_empty()
}

fn many(first: u64, seeds: u64, stop_after: usize) -> bool {
    let start = Instant::now();
    let summary = attempts(first, seeds, stop_after);
    let seconds = start.elapsed().as_secs_f64();
    for (name, count) in summary.reached.list() {
        println!("{count:>12}  {name}");
    }
    for (seed, what) in &summary.failed {
        println!("seed {seed}: {what}\n  again: {AGAIN} --seed {seed}");
    }
    // So many must have been everywhere; fewer need not.
    let never: Vec<_> = summary.reached.list().filter(|(_, count)| *count == 0 && summary.seeds >= MANY).collect();
    for (name, _) in &never {
        println!("never reached: {name}");
    }
    println!(
        "{} seeds, {:.0} a second; {} records acknowledged; trace {:016x}; {} failed",
        summary.seeds,
        summary.seeds as f64 / seconds,
        summary.acknowledged,
        summary.trace,
        summary.failed.len()
    );
    summary.failed.is_empty() && never.is_empty()
}
