//! What this project has set itself, beside what was measured: met or not.
//!
//! The numbers are those of issue 6, whose fifth target is about connections and not about peers, and of issue 7.

use crate::digits::short;
use crate::measure::{Figure, Line};
use crate::peers::Role;
use crate::results::{Key, Measured};
use crate::scenarios::{Scenario, Target};
use crate::weight::Figures;
use std::fmt::{Display, Formatter};

/// One target, or one part of it.
pub(crate) struct Verdict {
    pub(crate) target: u8,
    /// What was compared, and with whom.
    pub(crate) what: String,
    pub(crate) ours: f64,
    pub(crate) bound: f64,
    pub(crate) met: bool,
}

impl Verdict {
    pub(crate) fn word(&self) -> &'static str {
        if self.met { "met" } else { "NOT met" }
    }
}

impl Display for Verdict {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let Verdict { target, what, ours, bound, .. } = self;
        write!(f, "target {target}, {}: {what}: {} beside {}", self.word(), short(*ours), short(*bound))
    }
}

/// All of them for which there are figures.
pub(crate) fn all(measured: &Measured) -> Vec<Verdict> {
    let mut judge = Judge { measured, verdicts: Vec::new() };
    for target in Target::ALL {
        judge.processor(target);
    }
    for (place, scenario) in measured.scenarios.iter().enumerate() {
        match scenario.rate {
            None => judge.speed(place, scenario),
            Some(_) => judge.latency(place, scenario),
        }
    }
    judge.memory();
    judge.weight();
    judge.verdicts
}

/// 7: those of issue 7, for who reads.
pub(crate) fn reading(measured: &Measured) -> Vec<Verdict> {
    let mut judge = Judge { measured, verdicts: Vec::new() };
    for (place, scenario) in measured.scenarios.iter().enumerate() {
        judge.half(place, &format!("CPU us a record of {} B", scenario.size), Line::cpu);
        judge.half(place, &format!("peak MiB, records of {} B", scenario.size), |line| Some(line.peak_mib));
    }
    judge.verdicts
}

/// A client's median of some figure.
#[derive(Clone, Copy)]
struct Median {
    name: &'static str,
    key: Key,
    value: f64,
}

/// All peers, however they take their records.
const PEERS: &[Role] = &[Role::Records, Role::Batches];

struct Judge<'a> {
    measured: &'a Measured,
    verdicts: Vec<Verdict>,
}

impl<'a> Judge<'a> {
    /// 1: CPU time a record.
    fn processor(&mut self, target: Target) {
        for size in [1000, 100] {
            let Some(place) = self.measured.place(|scenario| scenario.is_large(target, size)) else { continue };
            let least = |roles: &[Role]| self.least(place, roles, Line::cpu);
            let floor = least(&[Role::Floor]);
            let (ours, slices) = (least(&[Role::Ours]), least(&[Role::Slices]));
            let comparisons = match size {
                1000 => vec![(0.5, ours, least(PEERS)), (1.35, ours, floor)],
                _ => vec![
                    (0.2, ours, least(&[Role::Records])),
                    (1.0, ours, least(&[Role::Batches])),
                    (2.0, slices, floor),
                ],
            };
            for (factor, ours, theirs) in comparisons {
                let (Some(ours), Some(theirs)) = (ours, theirs) else { continue };
                let what = format!("CPU us a record of {size} B, {}: {factor} of {}", target.name(), theirs.name);
                self.at_most(1, with(ours, &what), ours.value, factor * theirs.value);
            }
        }
    }

    /// 2: records a second. Against Kafka our best round has to reach the other's worst: that is the noise.
    fn speed(&mut self, place: usize, scenario: &Scenario) {
        let rate = |line: &Line| Some(line.records_per_second);
        let (ours, theirs) = (self.most(place, &[Role::Ours], rate), self.most(place, PEERS, rate));
        let (Some(ours), Some(theirs)) = (ours, theirs) else { return };
        let range = |figure: Median| self.measured.results.range(figure.key, rate).unwrap_or_default();
        let met = match scenario.target {
            Target::Sink => ours.value > theirs.value,
            Target::Kafka => range(ours).1 >= range(theirs).0,
        };
        let what = with(ours, &format!("records/s, {}: {}", scenario.title(), theirs.name));
        self.verdicts.push(Verdict { target: 2, what, ours: ours.value, bound: theirs.value, met });
    }

    /// 3: latency at a fixed rate.
    fn latency(&mut self, place: usize, scenario: &Scenario) {
        let quantiles: [(&str, Figure); 2] = [("p50", |line| line.p50_ms), ("p99", |line| line.p99_ms)];
        for (name, quantile) in quantiles {
            let (ours, theirs) = (self.least(place, &[Role::Ours], quantile), self.least_exact(place, quantile));
            let (Some(ours), Some(theirs)) = (ours, theirs) else { continue };
            let what = format!("{name} ms, {}: {}", scenario.title(), theirs.name);
            self.at_most(3, with(ours, &what), ours.value, theirs.value);
        }
    }

    /// 4: memory. Peers have had a short run: what they have at the end of a long one is no less.
    fn memory(&mut self) {
        let Some((seconds, line)) = &self.measured.endurance else { return };
        let allocations = line.allocations_per_record.map(|each| (each * line.records_in_all as f64).round());
        if let (Some(start), Some(end)) = (line.start_mib, line.end_mib) {
            let what = format!("resident MiB after {seconds:.0} s at full speed: 1 more than before");
            self.at_most(4, what, end, start + 1.0);
            let place = self.measured.place(|scenario| scenario.is_large(Target::Sink, 1000));
            let theirs = place.and_then(|place| self.least(place, PEERS, |line| Some(line.peak_mib)));
            if let Some(theirs) = theirs {
                self.below(4, format!("resident MiB: {}", theirs.name), end, theirs.value);
            }
        }
        if let Some(allocations) = allocations {
            self.at_most(4, "allocations in that time: 0".into(), allocations, 0.0);
        }
    }

    /// 6: what a program gets.
    fn weight(&mut self) {
        let Some(ours) = self.figures_of("demitasse") else { return };
        self.below(6, "seconds to build: 60".into(), ours.seconds, 60.0);
        self.below(6, "crates: 40".into(), ours.crates as f64, 40.0);
        let mb = |figures: &Figures| figures.small_bytes as f64 / 1e6;
        self.below(6, "MB, built for size: 0.95".into(), mb(ours), 0.95);
        if let Some(theirs) = self.figures_of("rskafka") {
            self.below(6, "MB, built for size: rskafka, here".into(), mb(ours), mb(theirs));
        }
    }

    fn half(&mut self, place: usize, what: &str, figure: Figure) {
        let (ours, theirs) = (self.least(place, &[Role::Ours], figure), self.least(place, PEERS, figure));
        let (Some(ours), Some(theirs)) = (ours, theirs) else { return };
        self.at_most(7, format!("{what}: 0.5 of {}", theirs.name), ours.value, 0.5 * theirs.value);
    }

    fn figures_of(&self, client: &str) -> Option<&'a Figures> {
        let weight = self.measured.weights.iter().find(|weight| weight.client == client)?;
        weight.figures.as_ref().ok()
    }

    fn at_most(&mut self, target: u8, what: String, ours: f64, bound: f64) {
        self.verdicts.push(Verdict { target, what, ours, bound, met: ours <= bound });
    }

    fn below(&mut self, target: u8, what: String, ours: f64, bound: f64) {
        self.verdicts.push(Verdict { target, what, ours, bound, met: ours < bound });
    }

    fn least(&self, place: usize, roles: &[Role], figure: impl Fn(&Line) -> Option<f64>) -> Option<Median> {
        self.medians(place, roles, figure).min_by(|a, b| a.value.total_cmp(&b.value))
    }

    /// Of those peers that measure better than by the millisecond.
    fn least_exact(&self, place: usize, figure: impl Fn(&Line) -> Option<f64>) -> Option<Median> {
        let exact =
            |median: &Median| self.measured.peers.get(median.key.1).is_some_and(|peer| !peer.counts_milliseconds());
        self.medians(place, PEERS, figure).filter(exact).min_by(|a, b| a.value.total_cmp(&b.value))
    }

    fn most(&self, place: usize, roles: &[Role], figure: impl Fn(&Line) -> Option<f64>) -> Option<Median> {
        self.medians(place, roles, figure).max_by(|a, b| a.value.total_cmp(&b.value))
    }

    /// Of all clients that have one of these roles.
    fn medians(
        &self,
        place: usize,
        roles: &[Role],
        figure: impl Fn(&Line) -> Option<f64>,
    ) -> impl Iterator<Item = Median> {
        let peers = self.measured.peers.iter().enumerate().filter(|(_, peer)| roles.contains(&peer.role));
        peers.filter_map(move |(index, peer)| {
            let key = (place, index);
            let value = self.measured.results.median(key, &figure)?;
            Some(Median { name: peer.name, key, value })
        })
    }
}

/// Which of ours it was.
fn with(ours: Median, what: &str) -> String {
    format!("{what} ({})", ours.name)
}
