//! What was ever in the logs, and what a reader may be handed next.

use super::account::Account;
use super::plan::Plan;
use demitasse_core::{ConsumeError, ConsumeFault, OffsetReset, Start};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

/// What the reader met, for the probes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Told {
    /// Records handed out.
    pub records: usize,
    /// Times that records of aborted transactions were passed over.
    pub aborted: usize,
    /// Partitions whose log had lost what was read.
    pub truncated: usize,
    /// Places that the log had no more.
    pub out_of_range: usize,
    /// Times that reading went on elsewhere by the reset policy.
    pub resets: usize,
    /// Records of loans that came after their reader had gone elsewhere.
    pub recalled: usize,
    /// Commits that were kept, and others.
    pub commits: (usize, usize),
    /// Topics that were deleted and made again.
    pub remade: usize,
    /// Answers that were altered.
    pub lies: usize,
}

/// What is lent: when, and of which partitions something was taken.
#[derive(Clone, Debug)]
pub struct Loan {
    jumps: u64,
    taken: BTreeSet<(usize, i32)>,
}

/// All partitions.
#[derive(Clone, Debug)]
pub struct Ledger {
    accounts: BTreeMap<(usize, i32), Account>,
    jumps: u64,
    reset: OffsetReset,
    committed: bool,
    /// What brokers say is not true: only that it is borne counts.
    pub lies: bool,
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
        let (reset, committed) = (plan.config.offset_reset, plan.reads_committed());
        let (lies, healed, told) = (plan.lies, false, Told::default());
        Ledger { accounts, jumps: 0, reset, committed, lies, healed, told }
    }

    /// Every partition: the topic's number, and its own.
    pub fn partitions(&self) -> Vec<(usize, i32)> {
        self.accounts.keys().copied().collect()
    }

    fn account(&mut self, topic: usize, partition: i32) -> &mut Account {
        self.accounts.entry((topic, partition)).or_default()
    }

    /// A batch was appended: records, each with its difference to the first offset, of a transaction of that producer.
    pub fn written(
        &mut self,
        topic: usize,
        partition: i32,
        offsets: RangeInclusive<i64>,
        records: Vec<(i64, Vec<u8>)>,
        producer: Option<i64>,
    ) {
        self.account(topic, partition).append(offsets, records, producer);
    }

    /// A marker was appended.
    pub fn ended(&mut self, topic: usize, partition: i32, offset: i64, producer: i64, aborted: bool) {
        self.account(topic, partition).end(offset, producer, aborted);
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

    /// The topic is gone, and will be another one.
    pub fn remade(&mut self, topic: usize) {
        self.told.remade += 1;
        for (_, account) in self.accounts.range_mut((topic, 0)..(topic + 1, 0)) {
            account.lost.push(0);
            (account.deleted, account.disturbed, account.remade) = (0, true, true);
        }
    }

    /// Whether nothing is known of what comes next, because the topic was made again.
    pub fn is_remade(&self, topic: usize, partition: i32) -> bool {
        self.accounts.get(&(topic, partition)).is_some_and(|account| account.remade)
    }

    /// The reader goes on from elsewhere.
    pub fn jumped(&mut self, topic: usize, partition: i32, start: Start) {
        let next = if let Start::Offset(offset) = start { Some(offset) } else { None };
        self.jumps += 1;
        let jump = self.jumps;
        let account = self.account(topic, partition);
        (account.next, account.last, account.given_back) = (next, None, next);
        (account.jump, account.read, account.remade) = (jump, true, false);
        // The others ask for a place that is there.
        account.disturbed &= matches!(start, Start::Offset(_) | Start::Committed);
    }

    /// Nobody reads it any more.
    pub fn unassigned(&mut self, topic: usize, partition: i32) {
        self.jumped(topic, partition, Start::Beginning);
        self.account(topic, partition).read = false;
    }

    /// Whether somebody reads it.
    pub fn is_read(&self, topic: usize, partition: i32) -> bool {
        self.accounts.get(&(topic, partition)).is_some_and(|account| account.read)
    }

    /// The offset that comes next, if it is known.
    pub fn next(&self, topic: usize, partition: i32) -> Option<i64> {
        self.accounts.get(&(topic, partition))?.next
    }

    /// For a look at all of a log.
    pub fn forget_handed_out(&mut self, topic: usize, partition: i32) {
        self.account(topic, partition).handed_out.clear();
    }

    /// Something is lent.
    pub fn lend(&self) -> Loan {
        Loan { jumps: self.jumps, taken: BTreeSet::new() }
    }

    /// A record of a loan was handed out.
    ///
    /// # Errors
    /// It should not have been.
    pub fn handed_out(
        &mut self,
        loan: &mut Loan,
        (topic, partition): (usize, i32),
        offset: i64,
        value: &[u8],
    ) -> Result<(), String> {
        let (reset, committed) = (self.reset, self.committed);
        self.told.records += 1;
        if self.lies {
            return Ok(());
        }
        let told = &mut self.told;
        let here = || format!("t{topic}-{partition}, offset {offset}");
        let account = self.accounts.get_mut(&(topic, partition)).ok_or_else(|| format!("{}: no partition", here()))?;
        if account.jump > loan.jumps {
            // It was lent before.
            told.recalled += 1;
            return Ok(());
        }
        if !account.read {
            return Err(format!("{}: nobody reads it", here()));
        }
        let Some(written) = account.find(offset, value) else {
            return Err(format!("{}: {value:?} was never written there", here()));
        };
        let losses = written.losses;
        if committed && !written.was_committed() {
            return Err(format!("{}: its transaction was not committed", here()));
        }
        loan.taken.insert((topic, partition));
        if account.remade {
            return Ok(());
        }
        let before = account.next.unwrap_or(offset).min(offset);
        if let Some(next) = account.next {
            if account.must_not_come(next, offset, committed) {
                if !account.disturbed || reset == OffsetReset::None {
                    return Err(format!("{} was handed out, {next} was next", here()));
                }
                told.resets += 1;
                account.last = None;
            } else {
                told.aborted += usize::from(!account.may_pass(next..offset, false));
            }
        }
        // What was read before must still have been in the log when this was written: else the reader should know. Where
        // the log begins behind the loss by now, no broker can tell.
        let deleted = account.deleted;
        if let Some(last) = account.last
            && account.lost.get(last..losses).unwrap_or_default().iter().any(|&end| end < before && end >= deleted)
        {
            return Err(format!("{}: the log had lost what was read before it, and nobody was told", here()));
        }
        (account.next, account.last) = (Some(offset + 1), Some(losses));
        account.handed_out.insert(offset, value.to_vec());
        Ok(())
    }

    /// The loan is over.
    pub fn given_back(&mut self, loan: Loan) {
        for (topic, partition) in loan.taken {
            let account = self.account(topic, partition);
            if account.jump <= loan.jumps {
                account.given_back = account.next;
            }
        }
    }

    /// Where the reader says it is, is asked to be committed.
    ///
    /// # Errors
    /// It has not come so far, or farther.
    pub fn may_commit(&mut self, topic: usize, partition: i32, position: i64) -> Result<(), String> {
        let (reset, committed) = (self.reset, self.committed);
        let lies = self.lies;
        let account = self.account(topic, partition);
        let unsure = lies || account.remade || account.disturbed && reset != OffsetReset::None;
        if let Some(given_back) = account.given_back
            && !unsure
            && account.must_not_come(given_back, position, committed)
        {
            return Err(format!("t{topic}-{partition} is said to be at {position}, given back was up to {given_back}"));
        }
        account.commits.insert(position);
        Ok(())
    }

    /// An offset is asked to be committed, wherever the reader is.
    pub fn will_commit(&mut self, topic: usize, partition: i32, offset: i64) {
        self.account(topic, partition).commits.insert(offset);
    }

    /// The group keeps this.
    ///
    /// # Errors
    /// Nobody has asked it to.
    pub fn is_kept(&self, topic: usize, partition: i32, offset: i64) -> Result<(), String> {
        let account = self.accounts.get(&(topic, partition));
        if self.lies || account.is_some_and(|account| account.commits.contains(&offset)) {
            return Ok(());
        }
        Err(format!("t{topic}-{partition}: {offset} was committed, and nobody was ever there"))
    }

    /// An error of a partition was told; where to go on from.
    ///
    /// # Errors
    /// There was no reason for it.
    pub fn failed(&mut self, topic: usize, error: &ConsumeError) -> Result<Option<i64>, String> {
        let (reset, lies, ConsumeError { partition, offset, fault, .. }) = (self.reset, self.lies, *error);
        let Some(account) = self.accounts.get_mut(&(topic, partition)).filter(|_| offset >= -1) else {
            return Err(format!("an error of what nobody knows: {error:?}"));
        };
        if !account.read {
            return Err(format!("t{topic}-{partition}: {fault:?}, and nobody reads it"));
        }
        match fault {
            _ if lies => Ok(None),
            ConsumeFault::Truncated { end_offset } if !account.lost.is_empty() => {
                self.told.truncated += 1;
                Ok(Some(end_offset))
            }
            ConsumeFault::OffsetOutOfRange if account.disturbed && reset == OffsetReset::None => {
                self.told.out_of_range += 1;
                Ok(None)
            }
            fault => Err(format!("t{topic}-{partition} stopped: {fault:?}")),
        }
    }

    /// Whether all that the log has from an offset on was handed out, and nothing else.
    ///
    /// # Errors
    /// The first record of which that is not so.
    pub fn all_handed_out(&self, topic: usize, partition: i32, start: i64) -> Result<(), String> {
        let Some(account) = self.accounts.get(&(topic, partition)) else { return Ok(()) };
        for (offset, value, is_seen) in account.present(start, self.committed) {
            let handed_out = account.handed_out.get(&offset).map(Vec::as_slice);
            if handed_out != is_seen.then_some(value) {
                let but = if is_seen { "was not handed out" } else { "was handed out" };
                return Err(format!("t{topic}-{partition}, offset {offset} {but}: {handed_out:?}"));
            }
        }
        Ok(())
    }
}
