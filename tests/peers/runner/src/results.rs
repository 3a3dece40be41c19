//! What all runs gave.

use crate::measure::Line;
use crate::peers::Peer;
use crate::scenarios::Scenario;
use crate::weight::Weight;
use std::collections::BTreeMap;

/// Everything that tables, plots and targets are made of.
pub(crate) struct Measured {
    pub(crate) peers: Vec<&'static Peer>,
    pub(crate) scenarios: Vec<Scenario>,
    pub(crate) results: Results,
    /// One run of demitasse that took long: how many seconds, and what it said.
    pub(crate) endurance: Option<(f64, Line)>,
    pub(crate) weights: Vec<Weight>,
}

impl Measured {
    /// The place of the first scenario of this kind.
    pub(crate) fn place(&self, of: impl Fn(&Scenario) -> bool) -> Option<usize> {
        self.scenarios.iter().position(of)
    }
}

/// By place of the scenario and of the peer.
pub(crate) type Key = (usize, usize);

#[derive(Default)]
pub(crate) struct Results {
    lines: BTreeMap<Key, Vec<Line>>,
    /// The first thing that went wrong.
    problems: BTreeMap<Key, String>,
    pub(crate) allocations: BTreeMap<Key, Line>,
}

impl Results {
    pub(crate) fn add(&mut self, key: Key, result: Result<Line, String>) {
        match result {
            Ok(line) => self.lines.entry(key).or_default().push(line),
            Err(problem) => drop(self.problems.entry(key).or_insert(problem)),
        }
    }

    /// All runs that went well.
    pub(crate) fn lines(&self, key: Key) -> &[Line] {
        self.lines.get(&key).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn problem(&self, key: Key) -> Option<&str> {
        self.problems.get(&key).map(String::as_str)
    }

    /// By scenario and client.
    pub(crate) fn problems(&self) -> impl Iterator<Item = (Key, &str)> {
        self.problems.iter().map(|(key, problem)| (*key, problem.as_str()))
    }

    /// The median of one figure.
    pub(crate) fn median(&self, key: Key, figure: impl Fn(&Line) -> Option<f64>) -> Option<f64> {
        let mut values: Vec<f64> = self.lines(key).iter().filter_map(figure).collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        match values.len() {
            0 => None,
            odd if odd % 2 == 1 => Some(values[middle]),
            _ => Some((values[middle - 1] + values[middle]) / 2.0),
        }
    }

    /// The least and the most of one figure.
    pub(crate) fn range(&self, key: Key, figure: impl Fn(&Line) -> Option<f64>) -> Option<(f64, f64)> {
        let values = self.lines(key).iter().filter_map(figure);
        values.fold(None, |range, value| match range {
            None => Some((value, value)),
            Some((least, most)) => Some((value.min(least), value.max(most))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_of_the_runs_that_went_well() {
        let rate = |line: &Line| Some(line.records_per_second);
        let mut results = Results::default();
        assert_eq!(results.median((0, 0), rate), None);
        for records_per_second in [9.0, 1.0, 2.0] {
            results.add((0, 0), Ok(Line { records_per_second, ..Line::default() }));
        }
        results.add((0, 0), Err("first".into()));
        results.add((0, 0), Err("second".into()));
        assert_eq!(results.median((0, 0), rate), Some(2.0));
        assert_eq!(results.range((0, 0), rate), Some((1.0, 9.0)));
        assert_eq!(results.problem((0, 0)), Some("first"));
    }
}
