//! From a key to a partition, as other clients do it: the same key must reach the same partition whoever
//! sends it.

/// CRC-32 of IEEE 802.3, bits reversed.
static CRC32: [[u32; 16]; 2] = super::crc_halves(0xedb8_8320);

/// MurmurHash2 with Kafka's seed: Java's `Utils.murmur2`, its `int` taken as unsigned.
pub fn murmur2(bytes: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ bytes.len() as u32;
    let (words, tail) = bytes.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !tail.is_empty() {
        for (at, byte) in (0u32..).zip(tail) {
            hash ^= u32::from(*byte) << (at & 3).wrapping_mul(8);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ hash >> 15
}

/// CRC-32 (IEEE, that of zlib).
pub fn crc32(bytes: &[u8]) -> u32 {
    !super::crc_by_halves(&CRC32, !0, bytes)
}

/// The partition of a key among `partitions` in the Java client (`BuiltInPartitioner`; librdkafka's
/// `murmur2`); 0 when there are none.
///
/// An empty key is a key like others. A record without one has no partition of its own there: the Java client
/// stays on one until a batch is full (KIP-480, KIP-794).
pub fn java_partition(key: &[u8], partitions: u32) -> u32 {
    (murmur2(key) & 0x7fff_ffff).checked_rem(partitions).unwrap_or(0)
}

/// The partition of a key among `partitions` in librdkafka's `consistent` partitioner; 0 when there are none.
///
/// librdkafka's default is `consistent_random`: the same for a key of one byte or more, but a record whose key
/// is null *or empty* goes to a random partition. Under plain `consistent` both count as the empty key.
pub fn librdkafka_partition(key: &[u8], partitions: u32) -> u32 {
    crc32(key).checked_rem(partitions).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn murmur2_is_that_of_java() {
        // From Kafka's own UtilsTest, and the last ones from running kafka-clients 4.3.1.
        for (key, expected) in [
            ("21", -973932308i32),
            ("foobar", -790332482),
            ("a-little-bit-long-string", -985981536),
            ("a-little-bit-longer-string", -1486304829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
            ("abc", 479470107),
            ("", 275646681),
            ("a", -1563381124),
            ("ab", 316155434),
        ] {
            assert_eq!(murmur2(key.as_bytes()) as i32, expected, "{key}");
        }
    }

    #[test]
    fn crc32_is_that_of_zlib() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
        assert_eq!(crc32(b"The quick brown fox jumps over the lazy dog"), 0x414f_a339);
    }

    #[test]
    fn partitions_are_in_range() {
        assert_eq!(java_partition(b"foobar", 7), ((-790332482i32 & 0x7fff_ffff) % 7) as u32);
        assert_eq!(librdkafka_partition(b"123456789", 10), 0xcbf4_3926u32 % 10);
        assert_eq!((java_partition(b"a", 0), librdkafka_partition(b"a", 0)), (0, 0));
        assert_eq!((java_partition(b"a", 1), librdkafka_partition(b"a", 1)), (0, 0));
    }
}
