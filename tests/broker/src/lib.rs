//! A stand-in for a Kafka cluster: a deterministic, sans-IO model of what producers and simple readers meet.
//!
//! [`Cluster::handle`] takes one request frame and the time and gives one answer; nothing else makes time pass. Nodes go
//! down, leaders move, clients are throttled and [faults](Rule) strike when a test says so, or when a
//! [seed](Faults::seeded) does. What is in the logs, and what was counted, can be looked at any time.
//!
//! Messages are coded by the crate `kafka-protocol` and record batches are checked from their raw bytes: nothing is
//! shared with the client that this is to test. Rules and order of checks are those of Apache Kafka's broker.
//!
//! With the feature `tcp`, `Server` serves a cluster on this machine.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod batch;
mod cluster;
mod create_topics;
pub mod error;
mod event;
mod fault;
mod fetch;
mod group;
mod hello;
mod inspect;
mod log;
mod metadata;
mod options;
mod produce;
mod producer_state;
mod random;
mod request;
mod sent;
#[cfg(feature = "tcp")]
mod server;
mod topic;
mod transactions;
mod wire;

pub use batch::Record;
pub use cluster::{Cluster, ConnectionId, Reply};
pub use fault::{Action, Faults, Probabilities, Rule, RuleId};
pub use inspect::{Counters, PartitionInfo};
pub use log::Batch;
pub use options::{Api, Options, Release, TopicOptions};
#[cfg(feature = "tcp")]
pub use server::Server;

/// The README's example is compiled and run with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
