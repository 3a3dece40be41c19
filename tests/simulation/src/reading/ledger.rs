//! What was ever in the logs, and what a reader may be handed next.

use super::plan::Plan;
use demitasse_broker::PartitionInfo;
use demitasse_core::{ConsumeFault, OffsetReset};
use std::collections::BTreeMap;

/// What the reader met, for the probes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Told {
    /// Records handed out.
    pub records: usize,
    /// Partitions whose log had lost what was read.
    pub truncated: usize,
    /// Places that the log had no more.
    pub out_of_range: usize,
    /// Times that reading went on elsewhere by the reset policy.
    pub resets: usize,
    /// Commits that were kept, and others.
    pub commits: (usize, usize),
}

/// One partition.
#[derive(Clone, Debug, Default)]
struct Account {
    /// What was written at an offset, and how often the log had lost its end before.
    written: BTreeMap<i64, Vec<(Vec<u8>, usize)>>,
    /// Where the log ended each time that it had lost its end.
    lost: Vec<i64>,
    /// The log begins there at the earliest.
    deleted: i64,
    /// What comes next, if it is known; and when what came last was written.
    next: Option<i64>,
    last: Option<usize>,
    /// Something happened since then by which the reset policy may come in.
    disturbed: bool,
    handed_out: BTreeMap<i64, Vec<u8>>,
}

/// All partitions.
#[derive(Clone, Debug)]
pub struct Ledger {
    accounts: BTreeMap<(usize, i32), Account>,
    reset: OffsetReset,
    /// Nothing goes wrong any more.
    pub healed: bool,
    /// What the reader met.
    pub told: Told,
}

impl Ledger {
    /// One for the plan's topics.
    pub fn new(plan: &Plan) -> Ledger {
        let of = |(topic, &partitions): (usize, &i32)| {
            (0..partitions).map(move |partition| ((topic, partition), Account::default()))
        };
        let accounts = plan.topics.iter().enumerate().flat_map(of).collect();
        Ledger { accounts, reset: plan.config.offset_reset, healed: false, told: Told::default() }
    }

    fn account(&mut self, topic: usize, partition: i32) -> &mut Account {
        self.accounts.entry((topic, partition)).or_default()
    }

    /// A batch was appended.
    pub fn written(&mut self, topic: usize, partition: i32, base: i64, values: Vec<Vec<u8>>) {
        let account = self.account(topic, partition);
        let losses = account.lost.len();
        for (offset, value) in (base..).zip(values) {
            account.written.entry(offset).or_default().push((value, losses));
        }
    }

    /// Records before this offset may be gone.
    pub fn deleted(&mut self, topic: usize, partition: i32, before: i64) {
        let account = self.account(topic, partition);
        account.deleted = account.deleted.max(before);
        account.disturbed = true;
    }

    /// The log ends here now.
    pub fn lost(&mut self, topic: usize, partition: i32, end: i64) {
        let account = self.account(topic, partition);
        account.lost.push(end);
        account.disturbed = true;
    }

    /// The reader goes on from elsewhere; None: wherever that is.
    pub fn jumped(&mut self, topic: usize, partition: i32, next: Option<i64>) {
        let account = self.account(topic, partition);
        (account.next, account.last) = (next, None);
    }

    /// The offset that comes next, if it is known.
    pub fn next(&self, topic: usize, partition: i32) -> Option<i64> {
        self.accounts.get(&(topic, partition))?.next
    }

    /// For a look at all of a log.
    pub fn forget_handed_out(&mut self, topic: usize, partition: i32) {
        self.account(topic, partition).handed_out.clear();
    }

    /// A record was handed out.
    ///
    /// # Errors
    /// It should not have been.
    pub fn handed_out(&mut self, topic: usize, partition: i32, offset: i64, value: &[u8]) -> Result<(), String> {
        let reset = self.reset;
        self.told.records += 1;
        let (account, told) = (self.accounts.entry((topic, partition)).or_default(), &mut self.told);
        let here = || format!("t{topic}-{partition}, offset {offset}");
        let written = account.written.get(&offset).map(Vec::as_slice).unwrap_or_default();
        let Some((_, losses)) = written.iter().rev().find(|(written, _)| written == value).cloned() else {
            return Err(format!("{}: {value:?} was never written there", here()));
        };
        if let Some(next) = account.next
            && next != offset
        {
            let may = account.disturbed && reset != OffsetReset::None;
            if !may {
                return Err(format!("{} was handed out, {next} was next", here()));
            }
            told.resets += 1;
            account.last = None;
        }
        // What was read before must still have been in the log when this was written: else the reader should know. Where
        // the log begins behind the loss by now, no broker can tell.
        let deleted = account.deleted;
        if let Some(last) = account.last
            && account.lost.get(last..losses).unwrap_or_default().iter().any(|&end| end < offset && end >= deleted)
        {
            return Err(format!("{}: the log had lost what was read before it, and nobody was told", here()));
        }
        (account.next, account.last) = (Some(offset + 1), Some(losses));
        account.handed_out.insert(offset, value.to_vec());
        Ok(())
    }

    /// An error of a partition was told; where to go on from.
    ///
    /// # Errors
    /// There was no reason for it.
    pub fn failed(&mut self, topic: usize, partition: i32, fault: ConsumeFault) -> Result<Option<i64>, String> {
        let reset = self.reset;
        let (account, told) = (self.accounts.entry((topic, partition)).or_default(), &mut self.told);
        match fault {
            ConsumeFault::Truncated { end_offset } if !account.lost.is_empty() => {
                told.truncated += 1;
                Ok(Some(end_offset))
            }
            ConsumeFault::OffsetOutOfRange if account.disturbed && reset == OffsetReset::None => {
                told.out_of_range += 1;
                Ok(None)
            }
            fault => Err(format!("t{topic}-{partition} stopped: {fault:?}")),
        }
    }

    /// Whether every record that the log has was handed out.
    ///
    /// # Errors
    /// The first that was not.
    pub fn all_handed_out(&self, topic: usize, partition: i32, log: &PartitionInfo<'_>) -> Result<(), String> {
        let Some(account) = self.accounts.get(&(topic, partition)) else { return Ok(()) };
        for record in log.records() {
            let handed_out = account.handed_out.get(&record.offset).map(Vec::as_slice);
            if handed_out != record.value {
                let offset = record.offset;
                return Err(format!("t{topic}-{partition}, offset {offset} was not handed out: {handed_out:?}"));
            }
        }
        Ok(())
    }
}
