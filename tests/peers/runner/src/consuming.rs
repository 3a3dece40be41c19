//! What reading costs: each client reads the same records, which are in Kafka already.

mod kcat;
mod performance;
pub(crate) mod section;

use crate::brokers::Brokers;
use crate::measure::{self, Line};
use crate::peers::{self, Kind, Peer};
use crate::results::{Measured, Results};
use crate::scenarios::{PARTITIONS, Scenario, Target};
use crate::targets;
use anyhow::{Context, Result};
use std::path::Path;

/// Bytes of a batch: what Kafka's own producer makes by itself.
const BATCH: usize = 16_384;

/// Reads in turn, round after round, and puts its section into numbers.md.
pub(crate) fn run(wanted: &impl Fn(&str) -> bool, rounds: usize, records: u64, folder: &Path) -> Result<()> {
    let readers: Vec<&Peer> = peers::READERS.iter().filter(|peer| wanted(peer.name)).collect();
    let built = peers::build(&readers)?;
    let brokers = Brokers::start()?;
    // Some seconds for each: in less, a client's queues are not yet what they will be.
    let scenarios = [(100, 16 * records), (1000, 4 * records)].map(|(size, records)| {
        let target = Target::Kafka;
        Scenario { target, size, batch: BATCH, linger_ms: 5, rate: None, records }
    });
    let mut results = Results::default();
    for (place, scenario) in scenarios.iter().enumerate() {
        brokers.with_topic(Target::Kafka, |bootstrap, topic| {
            let filled = fill(scenario, bootstrap, topic)?;
            let read = |peer: usize, allocations| {
                let read = || read(readers[peer], scenario, bootstrap, topic, allocations);
                let line = built[peer].clone().and_then(|()| read().map_err(|error| format!("{error:#}")));
                let words = line.as_ref().map_or_else(Clone::clone, Line::summary);
                eprintln!("    {:24} {words}", readers[peer].name);
                line
            };
            eprintln!("reading {} records of {} B", scenario.records, scenario.size);
            // The broker's JVM compiles what it will need.
            readers.first().map(|_| read(0, false));
            for round in 0..rounds {
                eprintln!("round {} of {rounds}", round + 1);
                for turn in 0..readers.len() {
                    let peer = (turn + round) % readers.len();
                    results.add((place, peer), read(peer, false));
                }
            }
            eprintln!("allocations");
            for (peer, _) in readers.iter().enumerate().filter(|(_, peer)| peer.counts_allocations()) {
                results.allocations.extend(read(peer, true).ok().map(|line| ((place, peer), line)));
            }
            Ok(((), filled))
        })?;
    }
    let measured =
        Measured { peers: readers, scenarios: scenarios.into(), results, endurance: None, weights: Vec::new() };
    section::write(folder, &measured)?;
    for verdict in targets::reading(&measured) {
        println!("{verdict}");
    }
    Ok(())
}

/// The records that all will read, in full batches.
fn fill(scenario: &Scenario, bootstrap: &str, topic: &str) -> Result<u64> {
    let writer = peers::ALL.iter().find(|peer| peer.mode == "append").context("there is no floor")?;
    // It warms up with one for each partition.
    let records = performance::TIMES * scenario.records - PARTITIONS as u64;
    let scenario = Scenario { records, ..scenario.clone() };
    Ok(measure::own(writer, &scenario, bootstrap, topic, false)?.records_in_all)
}

fn read(peer: &Peer, scenario: &Scenario, bootstrap: &str, topic: &str, allocations: bool) -> Result<Line> {
    match peer.kind {
        Kind::Java => performance::run(scenario, bootstrap, topic),
        Kind::Kcat => kcat::run(scenario, bootstrap, topic),
        Kind::Rust(_) | Kind::Go => measure::own(peer, scenario, bootstrap, topic, allocations),
    }
}
