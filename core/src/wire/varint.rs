//! The variable-length integers: seven bits a byte, least significant first.

/// Maps small magnitudes of either sign to small unsigned numbers.
pub(crate) const fn zigzag32(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)) as u32
}

pub(crate) const fn zigzag64(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// Bytes of an unsigned varint (`UNSIGNED_VARINT`): 1 to 5.
pub const fn unsigned_varint_len(value: u32) -> usize {
    length_of(32u32.wrapping_sub((value | 1).leading_zeros()))
}

/// Bytes of a zigzag-encoded 32-bit integer (`VARINT`): 1 to 5.
pub const fn varint_len(value: i32) -> usize {
    unsigned_varint_len(zigzag32(value))
}

/// Bytes of a zigzag-encoded 64-bit integer (`VARLONG`): 1 to 10.
pub const fn varlong_len(value: i64) -> usize {
    unsigned_varlong_len(zigzag64(value))
}

pub(crate) const fn unsigned_varlong_len(value: u64) -> usize {
    length_of(64u32.wrapping_sub((value | 1).leading_zeros()))
}

/// ceil(bits / 7) for 1..=64 bits, without a division.
const fn length_of(bits: u32) -> usize {
    (bits.wrapping_mul(9).wrapping_add(64) >> 6) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_change_at_every_seventh_bit() {
        assert_eq!(unsigned_varlong_len(0), 1);
        for bits in 1..=64u32 {
            let low = 1u64 << (bits - 1);
            let high = low | (low - 1);
            let expected = bits.div_ceil(7) as usize;
            assert_eq!(unsigned_varlong_len(low), expected, "{bits}");
            assert_eq!(unsigned_varlong_len(high), expected, "{bits}");
        }
    }

    #[test]
    fn zigzag_alternates() {
        assert_eq!([0, -1, 1, -2, 2].map(zigzag32), [0, 1, 2, 3, 4]);
        assert_eq!([i32::MAX, i32::MIN].map(zigzag32), [u32::MAX - 1, u32::MAX]);
        assert_eq!([i64::MAX, i64::MIN].map(zigzag64), [u64::MAX - 1, u64::MAX]);
        assert_eq!((varint_len(63), varint_len(64), varint_len(-64), varint_len(-65)), (1, 2, 1, 2));
        assert_eq!((varint_len(i32::MIN), varlong_len(i64::MIN), unsigned_varint_len(u32::MAX)), (5, 10, 5));
    }
}
