//! `DEMITASSE_SEEDS=20000` runs more seeds, `DEMITASSE_SEED=17` one, with its plan.

use demitasse_simulation::plan::Plan;
use demitasse_simulation::run;
use std::panic::{AssertUnwindSafe, catch_unwind};

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().expect("a number"))
}

fn attempt(seed: u64) -> Result<demitasse_simulation::Report, String> {
    let plan = Plan::draw(seed);
    catch_unwind(AssertUnwindSafe(|| run(&plan))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Err(format!("panic: {}", text.or(panic.downcast_ref::<&str>().map(|s| (*s).to_owned())).unwrap_or_default()))
    })
}

#[test]
fn every_promise_is_kept_whatever_the_seed() {
    if let Some(seed) = variable("DEMITASSE_SEED") {
        println!("{:#?}", Plan::draw(seed));
        println!("{:#?}", attempt(seed));
    }
    let seeds = variable("DEMITASSE_SEEDS").unwrap_or(1000);
    let first = variable("DEMITASSE_FIRST_SEED").unwrap_or(0);
    let mut failed = Vec::new();
    let (mut acknowledged, mut unknown, mut bumps) = (0, 0, 0);
    for seed in first..first + seeds {
        match attempt(seed) {
            Ok(report) => {
                acknowledged += report.counters.acknowledged;
                unknown += report.counters.unknown;
                bumps += report.counters.epoch_bumps;
            }
            Err(what) => failed.push((seed, what)),
        }
    }
    println!("{seeds} seeds: {acknowledged} records acknowledged, {unknown} unknown, {bumps} epoch bumps");
    for (seed, what) in failed.iter().take(10) {
        println!(
            "seed {seed}: {what}\n  again: DEMITASSE_SEED={seed} DEMITASSE_SEEDS=0 cargo test -p demitasse-simulation"
        );
    }
    assert!(failed.is_empty(), "{} of {seeds} seeds failed", failed.len());
}

#[test]
fn a_seed_replays_byte_for_byte() {
    for seed in 0..20 {
        let trace = |seed| attempt(seed).map(|report| (report.trace, report.polls, report.ended_at));
        assert_eq!(trace(seed), trace(seed), "seed {seed}");
    }
}
