//! Without the feature `consumer`: what its tables would have, if they had entries.

use core::marker::PhantomData;

/// What a consumer knows of one partition; nothing, without the feature `consumer`.
#[derive(Debug)]
pub struct Position(());

impl Position {
    /// Of a partition that nobody reads.
    pub const EMPTY: Position = Position(());
}

/// A buffer for the answer to one Fetch request; nothing, without the feature `consumer`.
#[derive(Debug)]
pub struct Chunk<B>(PhantomData<B>);

impl<B> Chunk<B> {
    /// One without a buffer.
    pub const EMPTY: Chunk<B> = Chunk(PhantomData);
}

/// Decoders of compressed batches; nothing, without the feature `consumer`.
#[derive(Debug)]
pub struct Inflater<B, D>(PhantomData<(B, D)>);
