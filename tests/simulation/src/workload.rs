//! What users do, and what they were told.

use crate::executor::{Abandon, Time};
use crate::plan::User;
use crate::platform::Simulated;
use demitasse_core::{Delivery, DeliveryError, Destination, Producer, Receipt, Record, SendError, Topic};
use fastrand::Rng;
use std::cell::RefCell;
use std::rc::Rc;

/// Records that were offered in one call, or in one step of a call.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The first record's number; records of a user are numbered in the order in which they are offered.
    pub first: u32,
    /// How many.
    pub count: u32,
    /// The topic's number.
    pub topic: usize,
    /// What the call said; `None` if it was dropped half-way.
    pub taken: Option<Result<Delivery, SendError>>,
    /// What the delivery came to, when it was first asked for.
    pub outcome: Option<Result<Receipt, DeliveryError>>,
}

/// All that users were told.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    /// By user.
    pub users: Vec<Vec<Entry>>,
}

/// The value of a record: who, which, and something to fill it.
pub fn value(user: usize, number: u32, bytes: usize) -> Vec<u8> {
    let mut value = vec![user as u8];
    value.extend(number.to_be_bytes());
    value.resize(bytes.max(5), b'.');
    value
}

/// Who and which.
pub fn parse(value: &[u8]) -> Option<(usize, u32)> {
    let (user, rest) = value.split_first()?;
    Some((*user as usize, u32::from_be_bytes(*rest.first_chunk()?)))
}

struct Session {
    producer: Rc<Producer<Simulated>>,
    topics: Vec<Topic>,
    journal: Rc<RefCell<Journal>>,
    user: usize,
    plan: User,
    next: u32,
    rng: Rng,
}

impl Session {
    fn numbers(&mut self, count: u32) -> u32 {
        let first = self.next;
        self.next += count;
        first
    }

    fn note(&self, entry: Entry) -> usize {
        let mut journal = self.journal.borrow_mut();
        journal.users[self.user].push(entry);
        journal.users[self.user].len() - 1
    }

    fn destination(&mut self) -> (usize, Destination) {
        let topic = self.rng.usize(0..self.topics.len());
        let to = self.topics[topic];
        (topic, if self.rng.bool() { to.into() } else { to.partition(self.rng.i32(0..self.plan.partitions)) })
    }

    /// Waits for the outcome of one of its deliveries.
    async fn ask(&mut self, polls: Option<u32>) {
        let (index, delivery) = {
            let journal = self.journal.borrow();
            let entries = &journal.users[self.user];
            let open: Vec<usize> = (0..entries.len())
                .filter(|&i| matches!(entries[i].taken, Some(Ok(_))) && entries[i].outcome.is_none())
                .collect();
            if open.is_empty() {
                return;
            }
            let index = open[self.rng.usize(0..open.len())];
            let Some(Ok(delivery)) = entries[index].taken else { return };
            (index, delivery)
        };
        let wait = self.producer.wait(delivery);
        let outcome = match polls {
            None => Some(wait.await),
            Some(polls) => Abandon::after(polls, wait).await,
        };
        let refused = demitasse_core::DeliveryFailure::TooManyWaiters;
        if let Some(outcome) = outcome
            && !outcome.is_err_and(|error| error.cause == refused)
        {
            self.journal.borrow_mut().users[self.user][index].outcome = Some(outcome);
        }
    }

    /// Perhaps a timestamp of its own: its number, by which [`crate::check`] knows it.
    fn timestamp(&mut self, number: u32) -> Option<i64> {
        // Drawn only if there is a choice, so that runs without are as they always were.
        let own = self.plan.timestamps > 0 && self.rng.u32(0..1000) < self.plan.timestamps;
        own.then_some(i64::from(number))
    }

    async fn call(&mut self, value_bytes: usize, polls: Option<u32>) {
        let (topic, to) = self.destination();
        let size = self.rng.usize(0..=value_bytes);
        let key = [b'k', self.rng.u8(0..4)];
        match self.rng.u32(0..10) {
            0..=3 => {
                let number = self.numbers(1);
                let value = value(self.user, number, size);
                let key = self.rng.bool().then_some(&key[..]);
                let record = Record { key, timestamp: self.timestamp(number), ..Record::new(&value) };
                let taken = match polls {
                    None => Some(self.producer.send(to, &record).await),
                    Some(polls) => Abandon::after(polls, self.producer.send(to, &record)).await,
                };
                self.note(Entry { first: number, count: 1, topic, taken, outcome: None });
            }
            4 | 5 => {
                let number = self.numbers(1);
                let value = value(self.user, number, size);
                let record = Record { timestamp: self.timestamp(number), ..Record::new(&value) };
                let taken = Some(self.producer.try_send(to, &record));
                self.note(Entry { first: number, count: 1, topic, taken, outcome: None });
            }
            6 => {
                let count = self.rng.u32(0..8);
                let number = self.numbers(count);
                let values: Vec<_> = (0..count).map(|i| value(self.user, number + i, size)).collect();
                let records: Vec<_> = (number..)
                    .zip(&values)
                    .map(|(number, value)| Record { timestamp: self.timestamp(number), ..Record::new(value) })
                    .collect();
                let taken = match polls {
                    None => Some(self.producer.send_slice(to, &records).await),
                    Some(polls) => Abandon::after(polls, self.producer.send_slice(to, &records)).await,
                };
                self.note(Entry { first: number, count, topic, taken, outcome: None });
            }
            7 => {
                let count = self.rng.u32(0..8);
                let number = self.numbers(count);
                let values: Vec<_> = (0..count).map(|i| value(self.user, number + i, size)).collect();
                let keys: Vec<_> = (0..count).map(|i| [b'k', i as u8]).collect();
                let records: Vec<_> =
                    values.iter().zip(&keys).map(|(value, key)| Record::new(value).key(key)).collect();
                let mut deliveries = Vec::new();
                let send = self.producer.send_each(to, &records, |delivery| deliveries.push(delivery));
                match polls {
                    None => drop(send.await),
                    Some(polls) => drop(Abandon::after(polls, send).await),
                }
                for i in 0..count {
                    let taken = deliveries.get(i as usize).map(|delivery| Ok(*delivery));
                    self.note(Entry { first: number + i, count: 1, topic, taken, outcome: None });
                }
            }
            8 => match polls {
                None => drop(self.producer.flush().await),
                Some(polls) => drop(Abandon::after(polls, self.producer.flush()).await),
            },
            _ => self.ask(polls).await,
        }
    }
}

/// One user's task.
pub async fn user(
    producer: Rc<Producer<Simulated>>,
    topics: Vec<Topic>,
    journal: Rc<RefCell<Journal>>,
    time: Time,
    user: usize,
    plan: User,
) {
    let rng = Rng::with_seed(plan.seed);
    let mut session = Session { producer, topics, journal, user, plan: plan.clone(), next: 0, rng };
    for _ in 0..plan.calls {
        let abandoned = session.rng.u32(0..1000) < plan.abandons;
        let polls = abandoned.then(|| session.rng.u32(0..4));
        session.call(plan.value_bytes, polls).await;
        if plan.pause > 0 {
            let pause = session.rng.u64(0..=plan.pause);
            time.sleep(pause).await;
        }
    }
}
