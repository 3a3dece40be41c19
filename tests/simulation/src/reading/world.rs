//! What all tasks of a run share, and what a reader asks of the consumer, with the ledger told.

use super::ledger::Ledger;
use super::{GROUP, name};
use crate::network::Network;
use crate::platform::Simulated;
use demitasse_core::{ConsumeError, Consumer, Start, Topic};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// See the module.
#[derive(Clone)]
pub struct World {
    /// The one that is tested.
    pub consumer: Rc<Consumer<Simulated>>,
    /// The way to the brokers, and they.
    pub network: Network,
    /// The topics, by number.
    pub topics: Vec<Topic>,
    /// What was written and what was read.
    pub ledger: Rc<RefCell<Ledger>>,
    /// The first promise that was broken by what was handed out.
    pub broken: Rc<RefCell<Option<String>>>,
    /// Commits that were looked at.
    pub(super) commits: Rc<Cell<u64>>,
}

impl World {
    /// Every partition: the topic's number, and its own.
    pub fn partitions(&self) -> Vec<(usize, i32)> {
        self.ledger.borrow().partitions()
    }

    /// The first thing that is wrong is what the run ends with.
    pub(super) fn keep(&self, result: Result<(), String>) {
        if let Err(what) = result {
            self.broken.borrow_mut().get_or_insert(what);
        }
    }

    pub(super) fn verdict(&self) -> Result<(), String> {
        self.broken.borrow_mut().take().map_or(Ok(()), Err)
    }

    /// Reads a partition from there on.
    pub(super) fn assign(&self, topic: usize, partition: i32, start: Start) {
        self.ledger.borrow_mut().jumped(topic, partition, start);
        let assigned = self.consumer.assign(self.topics[topic], partition, start);
        self.keep(assigned.map_err(|error| error.to_string()));
    }

    pub(super) fn unassign(&self, topic: usize, partition: i32) {
        self.ledger.borrow_mut().unassigned(topic, partition);
        self.consumer.unassign(self.topics[topic], partition);
    }

    pub(super) fn go_on_after(&self, error: ConsumeError) {
        let topic = self.topics.iter().position(|topic| *topic == error.topic).unwrap_or(usize::MAX);
        let next = self.ledger.borrow_mut().failed(topic, &error);
        match next {
            Ok(Some(offset)) => self.assign(topic, error.partition, Start::Offset(offset)),
            Ok(None) => self.assign(topic, error.partition, Start::Beginning),
            Err(what) => self.keep(Err(what)),
        }
    }

    /// Where all partitions are is about to be committed.
    pub(super) fn will_commit(&self) {
        for (topic, partition) in self.partitions() {
            if let Some(position) = self.consumer.position(self.topics[topic], partition) {
                let may = self.ledger.borrow_mut().may_commit(topic, partition, position);
                self.keep(may);
            }
        }
    }

    /// What the group keeps, somebody has asked it to.
    pub(super) fn audit_commits(&self) {
        let network = self.network.world.borrow();
        let commits = network.cluster.commits(GROUP);
        if self.commits.replace(commits) == commits {
            return;
        }
        for (topic, partition) in self.partitions() {
            if let Some((offset, _)) = network.cluster.committed(GROUP, &name(topic), partition) {
                self.keep(self.ledger.borrow().is_kept(topic, partition, offset));
            }
        }
    }

    /// Whatever the group keeps is no news.
    pub(super) fn take_commits_over(&self) {
        let network = self.network.world.borrow();
        for (topic, partition) in self.partitions() {
            if let Some((offset, _)) = network.cluster.committed(GROUP, &name(topic), partition) {
                self.ledger.borrow_mut().will_commit(topic, partition, offset);
            }
        }
    }

    /// Whether every partition was read to its end.
    pub(super) fn is_caught_up(&self) -> bool {
        self.partitions().into_iter().all(|(topic, partition)| {
            let network = self.network.world.borrow();
            let end = network.cluster.partition(&name(topic), partition).map(|log| log.end_offset());
            self.consumer.position(self.topics[topic], partition) == end
        })
    }

    /// Where each partition is.
    pub(super) fn positions(&self) -> Vec<Option<i64>> {
        let of = |(topic, partition): (usize, i32)| self.consumer.position(self.topics[topic], partition);
        self.partitions().into_iter().map(of).collect()
    }

    /// Where each partition is, and where it should be.
    pub(super) fn backlog(&self) -> String {
        let of = |(topic, partition)| {
            let network = self.network.world.borrow();
            let end = network.cluster.partition(&name(topic), partition).map_or(-1, |log| log.end_offset());
            let position = self.consumer.position(self.topics[topic], partition);
            format!("t{topic}-{partition} {position:?} of {end}")
        };
        self.partitions().into_iter().map(of).collect::<Vec<_>>().join(", ")
    }
}
