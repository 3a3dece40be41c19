//! What reading and writing share of the work with brokers.
//!
//! As `producer` and `consumer` it is functions of (state, bytes, now) on [`State`](crate::State), called by `client`.
//!
//! - `ask`: what a connection is to write next. `answer`: what it received. Both ask `producer` and `consumer` for their parts.
//! - `open`: whom to connect to. `links`: what follows when a connection is made, ends or is lost.
//! - `tick`: everything that time does, in one poll.
//! - `topics`: what callers know of topics.

mod answer;
mod ask;
mod links;
mod open;
mod tick;
mod topics;

pub(crate) use ask::Order;
#[cfg(feature = "consumer")]
pub(crate) use open::HOLD_MILLIS;
pub use topics::{Topic, TopicError};
