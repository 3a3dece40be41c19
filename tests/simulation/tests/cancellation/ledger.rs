//! What was offered to the producer, what it said, and whether that is true.

use demitasse_core::{Delivery, SendError};
use demitasse_simulation::rig::Rig;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;

/// The records of one call, or of one step of a call.
struct Entry {
    first: u32,
    count: u32,
    taken: Option<Delivery>,
}

/// Users are numbered from 0.
const USERS: usize = 3;

/// Numbers that each user has.
const NUMBERS: u32 = 1_000_000;

#[derive(Default)]
pub(crate) struct Ledger {
    entries: RefCell<Vec<Entry>>,
    next: [Cell<u32>; USERS],
}

impl Ledger {
    /// Numbers for so many records of a user; a record's value begins with its number.
    pub(crate) fn numbers(&self, user: usize, count: u32) -> u32 {
        let first = self.next[user].replace(self.next[user].get() + count);
        user as u32 * NUMBERS + first
    }

    /// Notes what a call came to; `None`: it was dropped. Its delivery, if it has one.
    pub(crate) fn note(&self, first: u32, count: u32, said: Option<Result<Delivery, SendError>>) -> Option<Delivery> {
        let taken = said.and_then(Result::ok);
        self.entries.borrow_mut().push(Entry { first, count, taken });
        taken
    }

    /// Holds all of it against the logs. How many records are written, by what the producer says.
    pub(crate) fn audit(&self, rig: &Rig, story: &str) -> u32 {
        let found = logs(rig, story);
        let mut acknowledged = 0;
        for &Entry { first, count, taken } in self.entries.borrow().iter() {
            let places: Vec<i64> = (first..first + count).filter_map(|number| found.get(&number).copied()).collect();
            let present = places.len() as u32;
            let story = format!("{story}: records {first} and on, {count} of them, {present} are in the log");
            let Some(delivery) = taken else {
                assert_eq!(present, 0, "{story}, but none was taken");
                continue;
            };
            match rig.producer.outcome(&delivery) {
                None => panic!("{story}: no outcome"),
                Some(Ok(receipt)) => {
                    assert_eq!(present, count, "{story}: acknowledged");
                    assert!(receipt.offset.is_none_or(|offset| offset == places[0]), "{story}: {receipt:?}");
                    acknowledged += count;
                }
                Some(Err(error)) => {
                    assert_eq!(error.written + error.failed + error.unknown, count, "{story}: {error}");
                    let possible = error.written..=error.written + error.unknown;
                    assert!(possible.contains(&present), "{story}: {error}");
                }
            }
        }
        acknowledged
    }
}

/// The offset of each record; each is there once, and in its partition behind those that its user offered before it.
fn logs(rig: &Rig, story: &str) -> HashMap<u32, i64> {
    let world = rig.network.world.borrow();
    let mut found = HashMap::new();
    for partition in 0..world.cluster.partitions("t") {
        let mut last = [None; USERS];
        for record in world.cluster.partition("t", partition).unwrap().records() {
            let number = u32::from_be_bytes(*record.value.and_then(<[u8]>::first_chunk).expect("a number"));
            let last = &mut last[(number / NUMBERS) as usize];
            assert!(*last < Some(number), "{story}: {number} stands behind {last:?} in partition {partition}");
            *last = Some(number);
            found.insert(number, record.offset);
        }
    }
    found
}
