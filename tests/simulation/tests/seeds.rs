//! Some seeds in the ordinary tests; `cargo xtask simulate` runs more, or one again.

use demitasse_simulation::attempt::{attempt, attempts};
use demitasse_simulation::reading;

/// Each takes a fraction of a millisecond when built for speed, as `cargo xtask test` runs 20,000 of them, and some when
/// built for tests.
const SEEDS: u64 = 600;

#[test]
fn every_promise_is_kept_whatever_the_seed() {
    let summary = attempts(0, SEEDS, 10);
    for (seed, what) in &summary.failed {
        println!("seed {seed}: {what}\n  again: cargo xtask simulate --seed {seed}");
    }
    assert!(summary.failed.is_empty(), "{} of {} seeds failed", summary.failed.len(), summary.seeds);
    let never: Vec<_> = summary.reached.list().filter(|(_, count)| *count == 0).collect();
    assert!(never.is_empty(), "states that no seed reached: {never:?}");
}

/// The brokers look into every batch, by other code than what wrote it.
#[cfg(feature = "server")]
#[test]
fn every_promise_is_kept_of_batches_that_are_compressed() {
    for seed in 0..SEEDS / 2 {
        let mut plan = demitasse_simulation::plan::Plan::draw(seed);
        plan.config.compression = demitasse_core::Compression::Lz4;
        if let Err(broken) = demitasse_simulation::run(&plan) {
            panic!("seed {seed} with compression: {broken}");
        }
    }
}

#[test]
fn a_seed_replays_byte_for_byte() {
    for seed in 0..20 {
        let trace = |seed| attempt(seed).map(|report| (report.trace, report.polls, report.ended_at));
        assert_eq!(trace(seed), trace(seed), "seed {seed}");
    }
}

#[test]
fn every_promise_is_kept_to_readers() {
    let summary = reading::attempts(0, SEEDS / 4, 10);
    for (seed, what) in &summary.failed {
        println!("seed {seed}: {what}\n  again: cargo xtask simulate --reading --seed {seed}");
    }
    assert!(summary.failed.is_empty(), "{} of {} seeds failed", summary.failed.len(), summary.seeds);
}

/// One slot and four brokers: each silent one was waited with, and a backlog came at a chunk a round. And a truncated log of a
/// broker that does not tell was read on while another offset was being asked for. And in one session topics were named first and
/// then went by ids.
///
/// They are seeds of plans before there were transactions in them, drawn as they were then.
#[test]
fn what_readers_stumbled_over_stays_mended() {
    for seed in [2_005_095, 2_006_768, 2_009_431, 40_000_401, 40_000_433] {
        if let Err(broken) = reading::run(&reading::plan::Plan::draw_plain(seed)) {
            panic!("seed {seed}: {broken}");
        }
    }
}

/// A session that had been asked for under the old id of a topic that was made again; and partitions for which the requests to
/// their broker had no room: each time the same ones, since the requests to others said where the next one begins.
#[test]
fn what_readers_stumbled_over_since_there_are_transactions_stays_mended() {
    for seed in [2832, 4947, 9349, 16134, 17620] {
        if let Err(broken) = reading::run(&reading::plan::Plan::draw(seed)) {
            panic!("seed {seed}: {broken}");
        }
    }
}

#[test]
fn a_seed_of_a_reader_replays_byte_for_byte() {
    for seed in 0..10 {
        let trace = |seed| reading::run(&reading::plan::Plan::draw(seed)).map(|report| report.trace);
        assert_eq!(trace(seed), trace(seed), "seed {seed}");
    }
}
