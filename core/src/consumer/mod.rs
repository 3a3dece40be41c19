//! The consumer: positions, requests for records, and the lending of what they brought.
//!
//! All fetch memory is a fixed number of chunks. A Fetch request takes one before it is written, and what its answer brings
//! lands there and stays there until it was handed out: so fetched and asked for together are never more than there is.
//! A partition is asked for only while nothing of it is there, and one that is paused lets go of what it had: it holds up
//! nobody.
//!
//! - `assign`: which partitions are read, and from where. `ask`: what a connection is to write; `session`: what the broker
//!   remembers of it; `turns`: whose turn it is.
//! - `receive`: what an answer says. `verify`: a full chunk, outside the lock. `segment`: what stands in a chunk.
//! - `pacing`: how many records a poll hands out, and gauges. `group`: positions that a group keeps.
//! - `lend`: chunks to the caller and back. `cursor`: where in a chunk the handing out is. `inflate`: the records of
//!   compressed batches. `stream`: a batch that is larger than a chunk.
//! - `table`: what there is for each partition and each chunk; `scalars`: the rest.

#[cfg(not(feature = "consumer"))]
mod absent;
#[cfg(feature = "consumer")]
mod ask;
#[cfg(feature = "consumer")]
mod assign;
#[cfg(all(feature = "consumer", feature = "audit"))]
mod audit;
#[cfg(feature = "consumer")]
mod cursor;
#[cfg(feature = "consumer")]
mod error;
#[cfg(feature = "consumer")]
mod group;
#[cfg(feature = "consumer")]
mod inflate;
#[cfg(feature = "consumer")]
mod lend;
#[cfg(feature = "consumer")]
mod pacing;
#[cfg(feature = "consumer")]
mod receive;
#[cfg(feature = "consumer")]
mod scalars;
#[cfg(feature = "consumer")]
mod segment;
#[cfg(feature = "consumer")]
mod session;
#[cfg(feature = "consumer")]
mod stream;
#[cfg(feature = "consumer")]
mod table;
#[cfg(feature = "consumer")]
mod turns;
#[cfg(feature = "consumer")]
mod verify;

#[cfg(not(feature = "consumer"))]
pub use absent::{Chunk, Inflater, Position};
#[cfg(feature = "consumer")]
pub use assign::Start;
#[cfg(feature = "consumer")]
pub(crate) use cursor::{Cursor, Step};
#[cfg(feature = "consumer")]
pub use error::{CommitError, ConsumeError, ConsumeFault};
#[cfg(feature = "consumer")]
pub(crate) use group::Group;
#[cfg(feature = "consumer")]
pub use inflate::Inflater;
#[cfg(feature = "consumer")]
pub(crate) use lend::{Landing, Lent};
#[cfg(feature = "consumer")]
pub(crate) use pacing::Fullness;
#[cfg(feature = "consumer")]
pub use pacing::Gauges;
#[cfg(feature = "consumer")]
pub(crate) use scalars::Scalars;
#[cfg(feature = "consumer")]
pub use segment::CHUNK_BYTES_MIN;
#[cfg(feature = "consumer")]
pub(crate) use session::Session;
#[cfg(feature = "consumer")]
pub use table::{Chunk, Position};
#[cfg(feature = "consumer")]
pub(crate) use verify::{Judge, verify};
