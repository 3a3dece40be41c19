//! Passing over what nobody asked for, in whatever pieces it arrives.

use super::{FLEXIBLE, ReadError, Reader};

/// One thing to pass over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Step {
    /// A section of tagged fields; nothing when the version is not flexible.
    Tags = 1,
    /// A string, null or not.
    String = 2,
    /// An array of `INT32`, null or not.
    I32Array = 3,
    /// One byte.
    One = 4,
    /// Two bytes.
    Two = 5,
    /// Four bytes.
    Four = 6,
}

/// Up to eight steps, packed by the compiler: four bits each, the first one lowest; 0 ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Steps(u32);

impl Steps {
    /// The end of a structure of which nothing else is left.
    pub const TAGS: Steps = Steps::new(&[Step::Tags]);

    /// These steps in this order; those beyond the eighth are dropped.
    pub const fn new(steps: &[Step]) -> Steps {
        let mut packed = 0u32;
        let mut rest = steps;
        let mut shift = 0u32;
        while let Some((step, after)) = rest.split_first() {
            if shift < 32 {
                packed |= (*step as u32) << shift;
            }
            shift = shift.saturating_add(4);
            rest = after;
        }
        Steps(packed)
    }
}

/// What is still to be passed over: fed with chunks of any size, it needs no room of its own.
///
/// A device reads a response of megabytes through a window of a few hundred bytes. Lists, texts and tagged
/// fields that it does not want may be longer than that window, so they are consumed as they come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Skip {
    /// Bytes to drop before anything else.
    bytes: u32,
    /// Tagged fields left of the section being passed over.
    fields: u32,
    /// The steps to come, as in [`Steps`].
    plan: u32,
    flexible: bool,
}

impl Skip {
    /// Nothing to pass over.
    pub const NONE: Skip = Skip { bytes: 0, fields: 0, plan: 0, flexible: false };

    /// `n` bytes.
    pub const fn bytes(n: u32) -> Skip {
        Skip { bytes: n, ..Skip::NONE }
    }

    /// A section of tagged fields, such as the one that ends a flexible response header.
    pub const fn tags() -> Skip {
        Skip::plan(true, Steps::TAGS)
    }

    /// Several things, one after the other.
    pub const fn plan(flexible: bool, steps: Steps) -> Skip {
        Skip { bytes: 0, fields: 0, plan: steps.0, flexible }
    }

    /// Whether nothing is left.
    #[inline]
    pub const fn is_done(&self) -> bool {
        self.bytes | self.fields | self.plan == 0
    }

    /// Takes from the front of `window` what is to be passed over. [`ReadError::Incomplete`] when more is to
    /// come: then at most nine bytes of the window are left.
    #[inline]
    pub fn feed(&mut self, window: &mut &[u8]) -> Result<(), ReadError> {
        if self.is_done() { Ok(()) } else { self.advance(window) }
    }

    fn advance(&mut self, window: &mut &[u8]) -> Result<(), ReadError> {
        loop {
            let here = window.len().min(self.bytes as usize);
            *window = window.get(here..).unwrap_or(&[]);
            self.bytes = self.bytes.wrapping_sub(here as u32);
            if self.bytes > 0 {
                return Err(ReadError::Incomplete);
            }
            let mut reader = Reader::new(window);
            if FLEXIBLE && self.fields > 0 {
                // The tag itself is of no interest; its length is.
                reader.unsigned_varint()?;
                self.bytes = reader.unsigned_varint()?;
                self.fields = self.fields.wrapping_sub(1);
            } else if self.plan == 0 {
                return Ok(());
            } else {
                match self.plan & 0xf {
                    1 if FLEXIBLE && self.flexible => self.fields = reader.unsigned_varint()?,
                    1 => {}
                    2 => self.bytes = reader.string_length(self.flexible)?.unwrap_or(0) as u32,
                    3 => {
                        let length = reader.array_length(self.flexible)?.unwrap_or(0);
                        // More than a frame can hold.
                        self.bytes = length.checked_mul(4).ok_or(ReadError::Malformed)?;
                    }
                    4 => self.bytes = 1,
                    5 => self.bytes = 2,
                    _ => self.bytes = 4,
                }
                self.plan >>= 4;
            }
            *window = reader.remaining();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `bytes` in chunks of `chunk` and tells how many were consumed.
    fn consumed(mut skip: Skip, bytes: &[u8], chunk: usize) -> Result<usize, ReadError> {
        let (mut at, mut there) = (0, 0);
        loop {
            let mut window = &bytes[at..there];
            let result = skip.feed(&mut window);
            at = there - window.len();
            match result {
                Ok(()) => return Ok(at),
                Err(ReadError::Incomplete) if there < bytes.len() => there = bytes.len().min(there + chunk),
                Err(error) => return Err(error),
            }
        }
    }

    #[test]
    #[cfg_attr(feature = "one-version", ignore = "of versions that it does not speak")]
    fn steps_in_chunks_of_any_size() {
        let steps = Steps::new(&[Step::String, Step::I32Array, Step::One, Step::Two, Step::Four, Step::Tags]);
        let flexible: &[u8] = &[
            3, b'a', b'b', // the string
            3, 0, 0, 0, 1, 0, 0, 0, 2, // two integers
            9, 9, 9, 9, 9, 9, 9, // one, two, four
            2, 0x80, 0x01, 3, 1, 2, 3, 5, 0, // a field of tag 128, an empty one of tag 5
            0xee,
        ];
        let rigid: &[u8] = &[0, 2, b'a', b'b', 0, 0, 0, 1, 0, 0, 0, 2, 9, 9, 9, 9, 9, 9, 9, 0xee];
        for chunk in 1..=flexible.len() {
            assert_eq!(consumed(Skip::plan(true, steps), flexible, chunk), Ok(flexible.len() - 1));
            assert_eq!(consumed(Skip::plan(false, steps), rigid, chunk), Ok(rigid.len() - 1));
        }
        for cut in 0..flexible.len() - 1 {
            assert_eq!(consumed(Skip::plan(true, steps), &flexible[..cut], 1), Err(ReadError::Incomplete));
        }
    }

    #[test]
    #[cfg_attr(feature = "one-version", ignore = "of versions that it does not speak")]
    fn nulls_and_nothing() {
        let steps = Steps::new(&[Step::String, Step::I32Array, Step::Tags]);
        assert_eq!(consumed(Skip::plan(true, steps), &[0, 0, 0], 1), Ok(3));
        assert_eq!(consumed(Skip::plan(false, steps), &[0xff; 6], 1), Ok(6));
        assert_eq!(consumed(Skip::NONE, &[1], 1), Ok(0));
        assert!(Skip::plan(true, Steps::new(&[])).is_done());
    }

    #[test]
    #[cfg_attr(feature = "one-version", ignore = "of versions that it does not speak")]
    fn hostile_lengths() {
        // More bytes than 32 bits count.
        let list = Skip::plan(false, Steps::new(&[Step::I32Array]));
        assert_eq!(consumed(list, &[0x40, 0, 0, 0], 4), Err(ReadError::Malformed));
        // Two to the 32nd less one fields, one of which is there.
        assert_eq!(consumed(Skip::tags(), &[0xff, 0xff, 0xff, 0xff, 0x0f, 1, 1, 1], 8), Err(ReadError::Incomplete));
        assert_eq!(consumed(Skip::bytes(u32::MAX), &[0; 9], 4), Err(ReadError::Incomplete));
        assert_eq!(consumed(Skip::tags(), &[1, 0x80, 0x80, 0x80, 0x80, 0x80], 1), Err(ReadError::Malformed));
    }
}
