//! What a producer was told of each of its records, held against what a consumer found.
//!
//! Records of a stream count from 0, so a ledger is one byte a record.

use std::collections::HashMap;

/// Keys of a stream; record `n` has key `n % KEYS`.
pub(crate) const KEYS: u64 = 97;

const ACKNOWLEDGED: u8 = 1;
const FAILED: u8 = 2;
const UNKNOWN: u8 = 3;
const OUTCOME: u8 = 3;
const OFFSET_KNOWN: u8 = 4;
const FOUND: u8 = 8;

/// The outcomes of a stream's records, in the order in which they were sent.
#[derive(Default)]
pub(crate) struct Ledger {
    records: Vec<u8>,
    /// Of all receipts with an offset: in the end the consumer must come to the same sum.
    offsets: u64,
    /// By key, as receipts told.
    partitions: HashMap<u64, i32>,
    /// Acknowledged by two partitions although they have one key.
    moved_keys: u64,
    /// Why records failed or are unknown, and how many.
    pub(crate) reasons: HashMap<String, u64>,
    /// The first promises that were broken, in words.
    pub(crate) broken: Vec<String>,
}

/// What became of a stream's records. All of it but the first four should be 0.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Account {
    pub(crate) sent: u64,
    pub(crate) acknowledged: u64,
    pub(crate) failed: u64,
    pub(crate) unknown: u64,
    /// Acknowledged and not there.
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    /// Behind a later record of the same partition.
    pub(crate) disordered: u64,
    /// Failed and there all the same.
    pub(crate) lied: u64,
    /// Not what was sent, or not where it was said to be.
    pub(crate) wrong: u64,
}

impl Account {
    pub(crate) fn broken(&self) -> u64 {
        self.lost + self.doubled + self.disordered + self.lied + self.wrong
    }
}

impl Ledger {
    /// The next record was acknowledged.
    pub(crate) fn acknowledged(&mut self, partition: i32, offset: Option<i64>) {
        let number = self.settled();
        let known = *self.partitions.entry(number % KEYS).or_insert(partition);
        self.moved_keys += u64::from(known != partition);
        let mark = offset.map_or(0, |offset| {
            self.offsets = self.offsets.wrapping_add(place(number, partition, offset));
            OFFSET_KNOWN
        });
        self.records.push(ACKNOWLEDGED | mark);
    }

    /// The next record is not in the log and never will be, or was not even taken.
    pub(crate) fn failed(&mut self, why: String) {
        *self.reasons.entry(why).or_default() += 1;
        self.records.push(FAILED);
    }

    /// Nobody can tell of the next record.
    pub(crate) fn unknown(&mut self, why: String) {
        *self.reasons.entry(why).or_default() += 1;
        self.records.push(UNKNOWN);
    }

    fn complain(&mut self, what: impl FnOnce() -> String) {
        if self.broken.len() < 20 {
            self.broken.push(what());
        }
    }

    /// How many have an outcome.
    pub(crate) fn settled(&self) -> u64 {
        self.records.len() as u64
    }
}

/// Holds what a consumer finds in a topic against a ledger. Fed with every record of one stream, a partition's in the
/// order of their offsets.
pub(crate) struct Audit<'a> {
    ledger: &'a mut Ledger,
    account: Account,
    offsets: u64,
    /// By partition: the first record that was found, and the last.
    found: HashMap<i32, (u64, u64)>,
}

impl<'a> Audit<'a> {
    /// Begins; what an earlier audit found does not count.
    pub(crate) fn of(ledger: &'a mut Ledger) -> Self {
        ledger.records.iter_mut().for_each(|record| *record &= !FOUND);
        let account = Account { wrong: ledger.moved_keys, ..Account::default() };
        Audit { ledger, account, offsets: 0, found: HashMap::new() }
    }

    /// A record was found. None: its bytes are none that were sent. A record that has no outcome yet is left alone.
    pub(crate) fn found(&mut self, number: Option<u64>, partition: i32, offset: i64) {
        let Some(number) = number else {
            self.account.wrong += 1;
            return;
        };
        let (_, last) = self.found.entry(partition).or_insert((number, number));
        let before = std::mem::replace(last, number.max(*last));
        let Some(record) = self.ledger.records.get_mut(number as usize) else { return };
        let (doubled, lied) = (*record & FOUND != 0, *record & OUTCOME == FAILED);
        if *record & OFFSET_KNOWN != 0 && !doubled {
            self.offsets = self.offsets.wrapping_add(place(number, partition, offset));
        }
        *record |= FOUND;
        for (wrong, count, what) in [
            (number < before, &mut self.account.disordered, "stands behind"),
            (doubled, &mut self.account.doubled, "is there twice, behind"),
            (lied, &mut self.account.lied, "had failed and is there, behind"),
        ] {
            *count += u64::from(wrong);
            if wrong {
                let at = format!("partition {partition}, offset {offset}");
                self.ledger.complain(|| format!("{at}: record {number} {what} record {before}"));
            }
        }
    }

    /// All is read, and every record of the ledger has its outcome.
    pub(crate) fn whole(mut self) -> Account {
        self.count(self.ledger.settled(), |_| true);
        self.account.wrong += u64::from(self.account.lost == 0 && self.offsets != self.ledger.offsets);
        self.account
    }

    /// All is read of a topic that was made anew in the meantime: what came before the first record that was found in a
    /// partition is gone by the user's will. Of those after `settled` nothing is known yet.
    pub(crate) fn remade(mut self, settled: u64) -> Account {
        let found = std::mem::take(&mut self.found);
        let partitions = self.ledger.partitions.clone();
        self.count(settled, |number| {
            let partition = partitions.get(&(number % KEYS));
            partition.and_then(|partition| found.get(partition)).is_some_and(|(first, _)| number > *first)
        });
        self.account
    }

    fn count(&mut self, until: u64, expected: impl Fn(u64) -> bool) {
        let account = &mut self.account;
        account.sent = until;
        for number in 0..until {
            let record = self.ledger.records[number as usize];
            match record & OUTCOME {
                ACKNOWLEDGED => {
                    account.acknowledged += 1;
                    if record & FOUND == 0 && expected(number) {
                        account.lost += 1;
                        self.ledger.complain(|| format!("record {number} was acknowledged and is not there"));
                    }
                }
                FAILED => account.failed += 1,
                _ => account.unknown += 1,
            }
        }
    }
}

/// A number for a record at its place, such that sums of them differ if any differs.
fn place(number: u64, partition: i32, offset: i64) -> u64 {
    let mut mixed = number ^ (partition as u64) << 56 ^ (offset as u64).rotate_left(32);
    for _ in 0..2 {
        mixed = (mixed ^ mixed >> 31).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    mixed ^ mixed >> 29
}

/// The value of a record. Lengths differ, so that batches do not end at the same places.
pub(crate) fn value(number: u64, value: &mut Vec<u8>) {
    value.clear();
    value.extend(number.to_string().bytes());
    value.resize(value.len() + (number % 41) as usize, b'.');
}

/// The number of a record, if key and value are those of one.
pub(crate) fn number(key: u64, found: &[u8]) -> Option<u64> {
    let digits = found.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number: u64 = std::str::from_utf8(&found[..digits]).ok()?.parse().ok()?;
    let mut sent = Vec::new();
    value(number, &mut sent);
    (sent == found && number % KEYS == key).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten records, of which 3 failed and 4 is unknown; even keys go to partition 0.
    fn ledger() -> Ledger {
        let mut ledger = Ledger::default();
        for number in 0..10 {
            match number {
                3 => ledger.failed("no".into()),
                4 => ledger.unknown("who knows".into()),
                _ => ledger.acknowledged(number % 2, (number != 5).then_some(number.into())),
            }
        }
        ledger
    }

    fn audit(found: &[u64]) -> Account {
        let mut ledger = ledger();
        let mut audit = Audit::of(&mut ledger);
        found.iter().for_each(|&number| audit.found(Some(number), number as i32 % 2, number as i64));
        audit.whole()
    }

    #[test]
    fn what_was_acknowledged_is_there_and_nothing_else() {
        let sound = Account { sent: 10, acknowledged: 8, failed: 1, unknown: 1, ..Account::default() };
        assert_eq!(audit(&[0, 1, 2, 5, 6, 7, 8, 9]), sound);
        assert_eq!(
            audit(&[1, 5, 7, 9, 0, 2, 4, 6, 8]),
            sound,
            "an unknown one may be there, partitions come in any order"
        );
        assert_eq!(audit(&[0, 1, 2, 5, 6, 7, 8]), Account { lost: 1, ..sound });
        assert_eq!(audit(&[0, 1, 2, 5, 6, 6, 7, 8, 9]), Account { doubled: 1, ..sound });
        assert_eq!(audit(&[0, 1, 2, 5, 8, 6, 7, 9]), Account { disordered: 1, ..sound });
        assert_eq!(audit(&[0, 1, 2, 3, 5, 6, 7, 8, 9]), Account { lied: 1, ..sound });
    }

    #[test]
    fn bytes_and_places_are_those_that_were_told() {
        let mut ledger = ledger();
        let mut audit = Audit::of(&mut ledger);
        audit.found(None, 0, 0);
        [0, 1, 2, 5, 6, 7, 8].iter().for_each(|&n| audit.found(Some(n), n as i32 % 2, n as i64));
        audit.found(Some(9), 1, 10);
        assert_eq!(audit.whole().wrong, 2, "one is none of ours, another is at offset 10 and not 9");
        let mut bytes = Vec::new();
        value(123, &mut bytes);
        assert_eq!(number(123 % KEYS, &bytes), Some(123));
        assert_eq!(number(0, &bytes), None);
        assert_eq!(number(123 % KEYS, &bytes[1..]), None);
    }

    #[test]
    fn of_a_topic_that_was_made_anew_the_beginning_is_gone() {
        let account = |found: &[u64]| {
            let mut ledger = ledger();
            let mut audit = Audit::of(&mut ledger);
            found.iter().for_each(|&number| audit.found(Some(number), number as i32 % 2, 0));
            audit.remade(9)
        };
        assert_eq!(account(&[6, 7, 8, 9]).broken(), 0);
        assert_eq!(account(&[5, 6, 8, 9]).lost, 1, "7 came after the first of its partition");
        assert_eq!(account(&[6, 7, 8]).broken(), 0, "of 9 nothing was known yet");
    }
}
