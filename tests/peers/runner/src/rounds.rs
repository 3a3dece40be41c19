//! Who runs what, and in which order.

use crate::brokers::Brokers;
use crate::measure::{self, Line};
use crate::peers::{self, OURS, Peer};
use crate::results::{Measured, Results};
use crate::scenarios::{Scenario, Target};
use anyhow::{Result, ensure};

pub(crate) struct Rounds {
    peers: Vec<&'static Peer>,
    scenarios: Vec<Scenario>,
    results: Results,
    brokers: Brokers,
    /// Why a client could not be built, by its place.
    built: Vec<Result<(), String>>,
}

impl Rounds {
    /// Builds the clients and starts the brokers.
    pub(crate) fn new(peers: Vec<&'static Peer>, scenarios: Vec<Scenario>) -> Result<Rounds> {
        ensure!(!peers.is_empty(), "no client has such a name");
        let built = peers::build(&peers)?;
        let brokers = Brokers::start()?;
        Ok(Rounds { peers, scenarios, results: Results::default(), brokers, built })
    }

    pub(crate) fn run(&mut self, rounds: usize) -> Result<()> {
        self.brokers.warm_up()?;
        for round in 0..rounds {
            // Latency first, before gigabytes wait for Kafka's disk.
            for (place, scenario) in self.scenarios.iter().enumerate().rev() {
                eprintln!("round {} of {rounds}: {}", round + 1, scenario.title());
                // Who comes first, after another scenario, changes with the round.
                for turn in 0..self.peers.len() * scenario.runs() as usize {
                    let peer = (turn + round) % self.peers.len();
                    let line = self.measure(peer, scenario, false);
                    self.results.add((place, peer), line);
                }
            }
        }
        Ok(())
    }

    fn measure(&self, peer: usize, scenario: &Scenario, allocations: bool) -> Result<Line, String> {
        self.built[peer].clone()?;
        let name = self.peers[peer].name;
        let line = measure::run(&self.brokers, self.peers[peer], scenario, allocations);
        match &line {
            Ok(line) => eprintln!("    {name:24} {}", line.summary()),
            Err(error) => eprintln!("    {name:24} {error:#}"),
        }
        line.map_err(|error| format!("{error:#}"))
    }

    /// In runs of their own, because counting costs a little.
    pub(crate) fn count_allocations(&mut self) {
        for (place, scenario) in self.scenarios.iter().enumerate().filter(|(_, is)| is.counts_allocations()) {
            eprintln!("allocations: {}", scenario.title());
            for (index, _) in self.peers.iter().enumerate().filter(|(_, peer)| peer.counts_allocations()) {
                if let Ok(line) = self.measure(index, scenario, true) {
                    self.results.allocations.insert((place, index), line);
                }
            }
        }
    }

    /// The last run, after which the brokers go away.
    pub(crate) fn end(self, memory_seconds: u64) -> Measured {
        let endurance = self.endurance(memory_seconds);
        let Rounds { peers, scenarios, results, .. } = self;
        Measured { peers, scenarios, results, endurance, weights: Vec::new() }
    }

    /// Some seconds of demitasse at full speed, for what it has resident, and what it allocates.
    fn endurance(&self, seconds: u64) -> Option<(f64, Line)> {
        let ours = self.peers.iter().position(|peer| peer.name == OURS)?;
        let place = self.scenarios.iter().position(|scenario| scenario.is_large(Target::Sink, 1000))?;
        // Of the quickest round, and a quarter more: it is to last at least as long.
        let (_, rate) = self.results.range((place, ours), |line| Some(line.records_per_second))?;
        let records = (1.25 * rate * seconds as f64) as u64;
        let scenario = Scenario { records, ..self.scenarios[place].clone() };
        eprintln!("memory: {records} records");
        let line = self.measure(ours, &scenario, true).ok()?;
        Some((records as f64 / line.records_per_second, line))
    }
}
