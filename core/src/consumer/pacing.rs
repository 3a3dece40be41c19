//! How many records a poll may hand out, and what there is to see of a consumer at a moment.
//!
//! Pacing only smooths: the bound on memory is the chunks alone.

use super::table::{Chunk, Holder};
use crate::state::{Platform, Pool, State};

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

/// How full what comes after is, from 0 to 1, as a whole number: no poll needs floating point, which a device pays for with
/// kilobytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Fullness {
    /// What is still free, of [`Fullness::ALL`].
    free: u32,
}

impl Fullness {
    const ALL: u32 = 1 << 31;

    /// Below zero is empty, above one and what is no number is full.
    pub(crate) fn of(fullness: f64) -> Fullness {
        let free = 1.0 - fullness;
        // To the nearest; a cast ends at the ends, and makes 0 of what is no number.
        Fullness { free: ((free * f64::from(Self::ALL) + 0.5) as u32).min(Self::ALL) }
    }

    /// So many of `all` are in use.
    fn share(used: u32, all: u32) -> Fullness {
        let free = u64::from(Self::ALL) * u64::from(all.saturating_sub(used)) / u64::from(all.max(1));
        Fullness { free: free as u32 }
    }

    fn as_f64(self) -> f64 {
        1.0 - f64::from(self.free) / f64::from(Self::ALL)
    }

    /// At most `max * (1 - fullness)` records, rounded down, but `min` of them all the same, and never more than `max`.
    fn paced(self, max: u32, min: u32) -> u32 {
        // What `free` lacks to the share that was meant is less than one, and must not cost a whole record.
        let wanted = (u64::from(max) * (u64::from(self.free) + 1)) >> 31;
        let wanted = if self.free == 0 { 0 } else { wanted.min(max.into()) as u32 };
        wanted.max(min).min(max)
    }
}

impl<P: Platform> State<P> {
    /// How many records a poll that wants `max`, and has its chunk already, may hand out.
    pub(crate) fn pace(&mut self, max: u32) -> u32 {
        let others = self.s.consumer.callers.saturating_sub(1);
        self.s.consumer.poll_size = match self.s.consumer.fullness {
            // Whoever polls alone gets what it wants.
            None if others == 0 => max,
            _ => self.fullness(others).paced(max, self.settings.poll_min_records),
        };
        self.s.consumer.poll_size
    }

    fn fullness(&self, callers: u16) -> Fullness {
        self.s.consumer.fullness.unwrap_or_else(|| Fullness::share(callers.into(), self.chunks.len() as u32))
    }

    /// The chunks as a pool of the memory plan.
    pub(crate) fn chunk_pool(&self) -> Pool {
        let used = self.chunks.iter().filter(|chunk| chunk.holder != Holder::Nobody).count();
        let bytes = self.s.consumer.chunk_bytes as usize + size_of::<Chunk<P::Buffer>>();
        Pool::of(bytes, self.chunks.len() as u16).in_use(used, self.s.consumer.chunks_high.into())
    }

    pub(crate) fn gauges(&self) -> Gauges {
        let (mut held, mut in_flight) = (0, 0);
        for chunk in self.chunks.iter() {
            match chunk.holder {
                Holder::Nobody => {}
                Holder::Request => in_flight += u64::from(self.s.consumer.chunk_bytes),
                Holder::Verifier | Holder::Queue | Holder::Caller => held += u64::from(chunk.filled),
            }
        }
        let memory = self.chunks.len() as u64 * u64::from(self.s.consumer.chunk_bytes);
        Gauges {
            fullness: self.fullness(self.s.consumer.callers).as_f64(),
            poll_size: self.s.consumer.poll_size,
            bytes_held: held,
            bytes_in_flight: in_flight,
            memory,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Fullness;

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
            (u32::MAX, 0, 1.0, 0),
        ] {
            assert_eq!(Fullness::of(fullness).paced(max, min), expected, "{max} {min} {fullness}");
        }
    }

    #[test]
    fn a_share_that_is_no_binary_number_costs_no_record() {
        for all in 1..100u32 {
            for used in 0..=all {
                let given = Fullness::of(f64::from(used) / f64::from(all));
                assert_eq!(given.paced(all * 10, 0), (all - used) * 10, "{used} of {all}");
                assert_eq!(Fullness::share(used, all).paced(all * 10, 0), (all - used) * 10, "{used} of {all}");
            }
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
            assert_eq!(Fullness::of(given).as_f64(), taken, "{given}");
        }
    }
}
