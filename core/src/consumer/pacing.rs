//! How many records a poll may hand out, and what there is to see of a consumer at a moment.
//!
//! Pacing only smooths: the bound on memory is the chunks alone.

use super::table::{Chunk, Holder};
use crate::producer::{Platform, Pool, State};

/// A consumer at a moment, in bytes and records.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Gauges {
    /// What polls go by: as [`crate::Consumer::set_fullness`] has said; without it, the share of the chunks that callers
    /// hold. From 0 to 1.
    pub fullness: f64,
    /// The most records that the last poll could have handed out.
    pub poll_size: u32,
    /// Bytes that were fetched and are not released yet.
    pub bytes_held: u64,
    /// Bytes that requests under way may bring. With those held never more than `memory`.
    pub bytes_in_flight: u64,
    /// All bytes of chunks.
    pub memory: u64,
}

/// At most `max * (1 - fullness)` records, rounded down, but `min` of them all the same, and never more than `max`.
pub(crate) fn paced(max: u32, min: u32, fullness: f64) -> u32 {
    let wanted = (f64::from(max) * (1.0 - fullness)) as u32;
    wanted.max(min).min(max)
}

/// Below zero is empty, above one and what is no number is full.
pub(crate) fn sane(fullness: f64) -> f64 {
    if fullness >= 0.0 {
        fullness.min(1.0)
    } else if fullness < 0.0 {
        0.0
    } else {
        1.0
    }
}

impl<P: Platform> State<P> {
    /// How many records a poll that wants `max`, and has its chunk already, may hand out.
    pub(crate) fn pace(&mut self, max: u32) -> u32 {
        let others = self.s.callers.saturating_sub(1);
        self.s.poll_size = match self.s.fullness {
            // Whoever polls alone gets what it wants.
            None if others == 0 => max,
            _ => paced(max, self.s.settings.poll_min_records, self.fullness(others)),
        };
        self.s.poll_size
    }

    fn fullness(&self, callers: u16) -> f64 {
        let chunks = self.chunks.len().max(1) as u32;
        self.s.fullness.unwrap_or(f64::from(callers) / f64::from(chunks))
    }

    /// The chunks as a pool of the memory plan.
    pub(crate) fn chunk_pool(&self) -> Pool {
        let used = self.chunks.iter().filter(|chunk| chunk.holder != Holder::Nobody).count();
        let bytes = self.s.chunk_bytes as usize + size_of::<Chunk<P::Buffer>>();
        Pool::of(bytes, self.chunks.len() as u16).in_use(used, self.s.chunks_high.into())
    }

    pub(crate) fn gauges(&self) -> Gauges {
        let (mut held, mut in_flight) = (0, 0);
        for chunk in self.chunks.iter() {
            match chunk.holder {
                Holder::Nobody => {}
                Holder::Request => in_flight += u64::from(self.s.chunk_bytes),
                Holder::Verifier | Holder::Queue | Holder::Caller => held += u64::from(chunk.filled),
            }
        }
        let memory = self.chunks.len() as u64 * u64::from(self.s.chunk_bytes);
        Gauges {
            fullness: self.fullness(self.s.callers),
            poll_size: self.s.poll_size,
            bytes_held: held,
            bytes_in_flight: in_flight,
            memory,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{paced, sane};

    #[test]
    fn a_fuller_buffer_asks_for_less_but_never_nothing() {
        for (max, min, fullness, expected) in [
            (1000, 10, 0.0, 1000),
            (1000, 10, 0.5, 500),
            (1000, 10, 0.9995, 10),
            (1000, 10, 1.0, 10),
            (999, 10, 0.5, 499),
            (u32::MAX, 10, 0.0, u32::MAX),
            // The caller's own most is never passed.
            (5, 10, 0.0, 5),
            (5, 10, 1.0, 5),
            (0, 10, 0.3, 0),
            (100, 0, 1.0, 0),
        ] {
            assert_eq!(paced(max, min, fullness), expected, "{max} {min} {fullness}");
        }
    }

    #[test]
    fn what_is_no_share_is_taken_for_one() {
        for (given, taken) in [
            (-0.5, 0.0),
            (f64::NEG_INFINITY, 0.0),
            (-0.0, 0.0),
            (0.25, 0.25),
            (1.5, 1.0),
            (f64::INFINITY, 1.0),
            (f64::NAN, 1.0),
        ] {
            assert_eq!(sane(given), taken, "{given}");
        }
    }
}
