//! The transactions of a log: which are open, which were aborted, and so how far a reader of committed records may read.
//!
//! They are known by the batches and markers that were appended: nobody here coordinates transactions.

use crate::batch::{CONTROL_BIT, Header, TRANSACTIONAL_BIT, records};

/// The second number of a marker's key: the transaction was aborted.
const ABORT: &[u8] = &[0, 0];

#[derive(Debug, Clone)]
struct Transaction {
    producer_id: i64,
    first_offset: i64,
    /// Where its marker stands, and whether that says that it was aborted. `None` while it is open.
    end: Option<(i64, bool)>,
}

/// See the module; oldest first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Transactions(Vec<Transaction>);

impl Transactions {
    /// A batch is appended at an offset; `bytes` is all of it.
    pub(crate) fn append(&mut self, header: &Header, base_offset: i64, bytes: &[u8]) {
        if header.attributes & TRANSACTIONAL_BIT == 0 {
            return;
        }
        let open = self.0.iter_mut().find(|of| of.producer_id == header.producer_id && of.end.is_none());
        if header.attributes & CONTROL_BIT != 0 {
            let key = records(bytes, base_offset).next().and_then(|record| record.key);
            let aborted = key.and_then(|key| key.get(2..4)) == Some(ABORT);
            open.into_iter().for_each(|open| open.end = Some((base_offset, aborted)));
        } else if open.is_none() {
            self.0.push(Transaction { producer_id: header.producer_id, first_offset: base_offset, end: None });
        }
    }

    /// The log ends here now: what began later was never there, and what ended later is open.
    pub(crate) fn truncate(&mut self, end_offset: i64) {
        self.0.retain(|of| of.first_offset < end_offset);
        for of in &mut self.0 {
            of.end = of.end.filter(|(offset, _)| *offset < end_offset);
        }
    }

    /// The first offset of those that are open.
    pub(crate) fn first_open(&self) -> Option<i64> {
        self.0.iter().find(|of| of.end.is_none()).map(|of| of.first_offset)
    }

    /// The producers of those that are open.
    pub(crate) fn open(&self) -> impl Iterator<Item = i64> + '_ {
        self.0.iter().filter(|of| of.end.is_none()).map(|of| of.producer_id)
    }

    /// Producer and first offset of those that were aborted and have something from `from` on and in front of `until`.
    pub(crate) fn aborted(&self, from: i64, until: i64) -> impl Iterator<Item = (i64, i64)> + '_ {
        let concerns = move |of: &&Transaction| {
            of.first_offset < until && of.end.is_some_and(|(offset, aborted)| aborted && offset >= from)
        };
        self.0.iter().filter(concerns).map(|of| (of.producer_id, of.first_offset))
    }
}
