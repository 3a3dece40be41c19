//! One partition in the ledger: what its log ever had, by offset, and where the reader is.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

/// A record that was ever in the log.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) value: Vec<u8>,
    /// How often the log had lost its end before.
    pub(super) losses: usize,
    /// Of a transaction of this producer.
    producer: Option<i64>,
    /// How that ended: whether it was aborted. More than once if its end was lost.
    ends: Vec<bool>,
}

impl Written {
    /// Whether a reader of committed records may see it; whatever was fetched in time may be handed out later.
    pub(super) fn was_committed(&self) -> bool {
        self.producer.is_none() || self.ends.contains(&false)
    }

    fn was_aborted(&self) -> bool {
        self.ends.contains(&true)
    }

    /// As of now.
    fn is_committed(&self) -> bool {
        self.producer.is_none() || self.ends.last() == Some(&false)
    }
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Account {
    written: BTreeMap<i64, Vec<Written>>,
    /// Offsets that had no record: markers, and what compaction leaves.
    holes: BTreeSet<i64>,
    /// Where transactions ended: offset, producer, and how often the log had lost its end before.
    markers: Vec<(i64, i64, usize)>,
    /// Where the log ended each time that it had lost its end.
    pub(super) lost: Vec<i64>,
    /// The log begins there at the earliest.
    pub(super) deleted: i64,
    /// Somebody reads it.
    pub(super) read: bool,
    /// The number of the last jump.
    pub(super) jump: u64,
    /// What comes next, if it is known; when what came last was written; and what came next when the last loan was over.
    pub(super) next: Option<i64>,
    pub(super) last: Option<usize>,
    pub(super) given_back: Option<i64>,
    /// Something happened since then by which the reset policy may come in.
    pub(super) disturbed: bool,
    /// Since then the topic was deleted and made again: nothing is known of what comes next.
    pub(super) remade: bool,
    pub(super) handed_out: BTreeMap<i64, Vec<u8>>,
    /// What somebody has asked to commit.
    pub(super) commits: BTreeSet<i64>,
}

impl Account {
    /// A batch with these records was appended; its other offsets have none.
    pub(super) fn append(&mut self, offsets: RangeInclusive<i64>, records: Vec<(i64, Vec<u8>)>, producer: Option<i64>) {
        let (base, losses) = (*offsets.start(), self.lost.len());
        let mut holes: BTreeSet<i64> = offsets.collect();
        for (delta, value) in records {
            holes.remove(&(base + delta));
            let written = Written { value, losses, producer, ends: Vec::new() };
            self.written.entry(base + delta).or_default().push(written);
        }
        self.holes.extend(holes);
    }

    /// A marker ends what the log has of a producer since the marker before.
    pub(super) fn end(&mut self, offset: i64, producer: i64, aborted: bool) {
        let before = self.markers.iter().filter(|of| of.1 == producer && self.is_there(of.0, of.2));
        let since = before.map(|of| of.0 + 1).max().unwrap_or(0);
        for offset in self.written.range(since..).map(|(&offset, _)| offset).collect::<Vec<_>>() {
            if let Some(written) = self.present_mut(offset).filter(|written| written.producer == Some(producer)) {
                written.ends.push(aborted);
            }
        }
        self.markers.push((offset, producer, self.lost.len()));
        self.holes.insert(offset);
    }

    /// Whether what was written at an offset, after so many losses, was not lost since.
    fn is_there(&self, offset: i64, losses: usize) -> bool {
        self.lost.get(losses..).unwrap_or_default().iter().all(|&end| offset < end)
    }

    fn present_mut(&mut self, offset: i64) -> Option<&mut Written> {
        let losses = self.written.get(&offset)?.last()?.losses;
        if self.is_there(offset, losses) { self.written.get_mut(&offset)?.last_mut() } else { None }
    }

    /// What stands at an offset, or did.
    pub(super) fn find(&self, offset: i64, value: &[u8]) -> Option<&Written> {
        self.written.get(&offset)?.iter().rev().find(|written| written.value == value)
    }

    /// Whether a reader may pass over all these offsets; of aborted records, if it is one of committed records.
    pub(super) fn may_pass(&self, mut offsets: std::ops::Range<i64>, committed: bool) -> bool {
        let aborted = |offset| self.written.get(&offset).is_some_and(|all| all.iter().any(Written::was_aborted));
        offsets.all(|offset| self.holes.contains(&offset) || committed && aborted(offset))
    }

    /// Whether that is a step back, or one over a record.
    pub(super) fn must_not_come(&self, next: i64, offset: i64, committed: bool) -> bool {
        offset < next || !self.may_pass(next..offset, committed)
    }

    /// What a reader must see of the log now, from an offset on, and what it must not.
    pub(super) fn present(&self, start: i64, committed: bool) -> impl Iterator<Item = (i64, &[u8], bool)> {
        self.written.range(start..).filter_map(move |(&offset, all)| {
            let written = all.last()?;
            self.is_there(offset, written.losses).then_some((
                offset,
                &written.value[..],
                !committed || written.is_committed(),
            ))
        })
    }
}
