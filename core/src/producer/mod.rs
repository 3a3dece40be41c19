//! The producer: accumulate, sequence, send, retry, deliver.
//!
//! All of it is plain functions of (state, bytes, now) on [`State`], whose tables are slices of any length, so that two
//! capacities on one device share their machine code. What calls them is in `client`.
//!
//! - `choose`: which partition a record goes to. `append`: a record into a batch. `refused`: why not. `deliver`: what became of it,
//!   and who waits for that.
//! - `ready`: partitions with something to send. `pack`: compression. `send`: requests. `answer`: what came of them. `expire`:
//!   what time does.
//! - `identity`: the producer id. `sequence`: numbering batches, and the epoch.
//! - `scaling`: how many connections a broker has, and which of them a partition uses.
//! - `audit`: whether all tables agree, for tests.
//!
//! Connections and what else is shared with reading is in `exchange`.

mod answer;
mod append;
#[cfg(feature = "audit")]
mod audit;
mod batch;
mod choose;
mod deliver;
mod error;
mod expire;
mod identity;
#[cfg(feature = "compression")]
mod pack;
mod queue;
mod ready;
mod record;
mod refused;
#[cfg(feature = "scaling")]
mod scaling;
mod send;
mod sequence;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use append::record_bytes;
pub(crate) use batch::queue_hooks;
pub use batch::{Batch, Outcome};
pub use deliver::{Delivery, Receipt};
pub use error::{DeliveryError, DeliveryFailure, Failure, Fault, Reason, SendError, Usage};
pub use queue::PartitionQueue;
pub use record::{Destination, Record};
pub(crate) use refused::Refused;
#[cfg(feature = "scaling")]
pub(crate) use scaling::Scale;
pub(crate) use send::{GATHER, Outgoing};

use crate::config::{Acks, Partitioner, UnknownOutcome};
use crate::state::{Identity, Platform, State};
