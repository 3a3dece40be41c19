//! XXH32, which LZ4 frames check themselves with.

const PRIMES: [u32; 5] = [0x9e37_79b1, 0x85eb_ca77, 0xc2b2_ae3d, 0x27d4_eb2f, 0x1656_67b1];

/// The hash of bytes that come in pieces, with seed 0.
#[derive(Clone, Copy, Debug)]
pub(super) struct Xxh32 {
    lanes: [u32; 4],
    length: u32,
    /// Any piece of at least 16 bytes has come in: all four lanes count.
    large: bool,
    rest: [u8; 16],
    have: usize,
}

impl Xxh32 {
    pub(super) const NEW: Xxh32 = Xxh32 {
        lanes: [PRIMES[0].wrapping_add(PRIMES[1]), PRIMES[1], 0, 0u32.wrapping_sub(PRIMES[0])],
        length: 0,
        large: false,
        rest: [0; 16],
        have: 0,
    };

    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        self.length = self.length.wrapping_add(bytes.len() as u32);
        if self.have > 0 {
            let count = bytes.len().min(self.rest.len().saturating_sub(self.have));
            let (now, later) = bytes.split_at_checked(count).unwrap_or((bytes, &[]));
            if let Some(place) = self.rest.get_mut(self.have..self.have.saturating_add(count)) {
                place.copy_from_slice(now);
            }
            self.have = self.have.saturating_add(count);
            bytes = later;
            if self.have < self.rest.len() {
                return;
            }
            let rest = self.rest;
            self.stripe(&rest);
        }
        let (stripes, rest) = bytes.as_chunks::<16>();
        stripes.iter().for_each(|stripe| self.stripe(stripe));
        self.have = rest.len();
        if let Some(place) = self.rest.get_mut(..rest.len()) {
            place.copy_from_slice(rest);
        }
    }

    #[inline]
    fn stripe(&mut self, stripe: &[u8; 16]) {
        self.large = true;
        for (lane, word) in self.lanes.iter_mut().zip(stripe.as_chunks::<4>().0) {
            *lane = lane
                .wrapping_add(u32::from_le_bytes(*word).wrapping_mul(PRIMES[1]))
                .rotate_left(13)
                .wrapping_mul(PRIMES[0]);
        }
    }

    pub(super) fn finish(&self) -> u32 {
        let [a, b, c, d] = self.lanes;
        let start = if self.large {
            a.rotate_left(1)
                .wrapping_add(b.rotate_left(7))
                .wrapping_add(c.rotate_left(12))
                .wrapping_add(d.rotate_left(18))
        } else {
            PRIMES[4]
        };
        let mut hash = start.wrapping_add(self.length);
        let (words, bytes) = self.rest.get(..self.have).unwrap_or(&[]).as_chunks::<4>();
        for word in words {
            hash = hash
                .wrapping_add(u32::from_le_bytes(*word).wrapping_mul(PRIMES[2]))
                .rotate_left(17)
                .wrapping_mul(PRIMES[3]);
        }
        for byte in bytes {
            hash = hash.wrapping_add(u32::from(*byte).wrapping_mul(PRIMES[4])).rotate_left(11).wrapping_mul(PRIMES[0]);
        }
        hash = (hash ^ (hash >> 15)).wrapping_mul(PRIMES[1]);
        hash = (hash ^ (hash >> 13)).wrapping_mul(PRIMES[2]);
        hash ^ (hash >> 16)
    }

    pub(super) fn of(bytes: &[u8]) -> u32 {
        let mut hash = Xxh32::NEW;
        hash.update(bytes);
        hash.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_hashes() {
        assert_eq!(Xxh32::of(b""), 0x02cc_5d05);
        assert_eq!(Xxh32::of(b"abc"), 0x32d1_53ff);
        assert_eq!(Xxh32::of(b"Nobody inspects the spammish repetition"), 0xe229_3b2f);
    }

    #[test]
    fn pieces_make_the_same_hash() {
        let bytes: [u8; 100] = core::array::from_fn(|at| at as u8);
        for first in 0..100 {
            for second in first..100 {
                let mut hash = Xxh32::NEW;
                for piece in [&bytes[..first], &bytes[first..second], &bytes[second..]] {
                    hash.update(piece);
                }
                assert_eq!(hash.finish(), Xxh32::of(&bytes));
            }
        }
    }
}
