//! What a consumer has in the state besides its tables.

use super::{Fullness, Group};
use crate::pool::List;

/// A part of the state's scalars.
pub(crate) struct Scalars {
    /// Errors of partitions that have not been told.
    pub(crate) faults: u16,
    /// Some position may be `Looking`.
    pub(crate) some_look: bool,
    /// Requests for records so far: who has sent one least lately is the next.
    pub(crate) fetches: u32,
    /// Of the smallest chunk.
    pub(crate) chunk_bytes: u32,
    /// Chunks that wait to be handed out.
    pub(crate) full_chunks: List,
    /// The most chunks that were ever in use.
    pub(crate) chunks_high: u16,
    /// Chunks that callers have.
    pub(crate) callers: u16,
    /// How full callers say that what comes after them is.
    pub(crate) fullness: Option<Fullness>,
    /// How many records the last poll could give.
    pub(crate) poll_size: u32,
    pub(crate) group: Group,
    /// Bytes of what decompresses, 0 if there is none.
    pub(crate) inflater_bytes: usize,
    /// How many chunks had compressed batches.
    pub(crate) inflated_chunks: u32,
}

impl Scalars {
    pub(crate) const NEW: Scalars = Scalars {
        faults: 0,
        some_look: false,
        fetches: 0,
        chunk_bytes: 0,
        full_chunks: List::EMPTY,
        chunks_high: 0,
        callers: 0,
        fullness: None,
        poll_size: 0,
        group: Group::NONE,
        inflater_bytes: 0,
        inflated_chunks: 0,
    };
}
