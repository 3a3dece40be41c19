//! What readers of responses have in common.

use crate::wire::{ReadError, Reader, Skip};

/// A reader of items: a stage, and what must be passed over before the next one.
pub(super) trait Stages {
    /// What it hands out.
    type Item<'a>;

    /// What is to be passed over first.
    fn skip(&mut self) -> &mut Skip;

    /// Whether the body is at its end.
    fn is_done(&self) -> bool;

    /// Reads one piece: an item, or something that matters to the reader alone. Changes nothing of itself before the last read
    /// that can fail.
    fn step<'a>(&mut self, reader: &mut Reader<'a>) -> Result<Option<Self::Item<'a>>, ReadError>;
}

/// Takes step after step until there is an item; None at the end of the body.
pub(super) fn next<'a, S: Stages>(stages: &mut S, window: &mut &'a [u8]) -> Result<Option<S::Item<'a>>, ReadError> {
    loop {
        stages.skip().feed(window)?;
        if stages.is_done() {
            return Ok(None);
        }
        let mut reader = Reader::new(window);
        let item = stages.step(&mut reader)?;
        *window = reader.remaining();
        if item.is_some() {
            return Ok(item);
        }
    }
}

/// A section of tagged fields of which some are looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tags {
    /// Fields still to come.
    left: u32,
}

impl Tags {
    pub(super) const NONE: Tags = Tags { left: 0 };

    /// Reads how many there are.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Tags, ReadError> {
        Ok(Tags { left: reader.unsigned_varint()? })
    }

    /// Reads the head of the next field: its tag and the bytes of its value. None behind the last.
    ///
    /// A value that is known says itself where it ends; like the Java client, trust that, not the length.
    pub(super) fn next(&mut self, reader: &mut Reader<'_>) -> Result<Option<(u32, u32)>, ReadError> {
        if self.left == 0 {
            return Ok(None);
        }
        let head = (reader.unsigned_varint()?, reader.unsigned_varint()?);
        self.left = self.left.wrapping_sub(1);
        Ok(Some(head))
    }
}
