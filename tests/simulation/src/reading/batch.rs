//! Batches as a log has them: of transactions, their markers, and with the gaps that compaction leaves.

use demitasse_core::records::{Compression, Fields, HEADER_BYTES, Sealing, append, seal};

/// Bits of a batch's attributes, in their lower byte.
const TRANSACTIONAL: u8 = 1 << 4;
const CONTROL: u8 = 1 << 5;

/// A batch, but for its records.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shape {
    /// Of a transaction of this producer.
    pub(super) producer: Option<i64>,
    /// What the last offset is behind the first: behind it compaction has left nothing.
    pub(super) last_delta: i64,
    pub(super) compressed: bool,
    /// No records but a marker.
    control: bool,
}

impl Shape {
    /// Of records up to this difference of offsets.
    pub(super) fn up_to(last_delta: i64) -> Shape {
        Shape { last_delta, ..Shape::default() }
    }
}

/// A batch of these values, without a producer's id; compressed by LZ4 if it is to be.
pub fn batch(values: &[Vec<u8>], compressed: bool) -> Vec<u8> {
    let records: Vec<_> = (0..).zip(values).map(|(delta, value)| (delta, &value[..])).collect();
    shaped(&records, None, &Shape { compressed, ..Shape::up_to(values.len() as i64 - 1) })
}

/// What ends the transaction of a producer.
pub fn marker(producer: i64, aborted: bool) -> Vec<u8> {
    let shape = Shape { producer: Some(producer), control: true, ..Shape::default() };
    shaped(&[(0, &[0; 6])], Some(&[0, 0, 0, u8::from(!aborted)]), &shape)
}

/// A batch of values at these differences to its first offset.
pub(super) fn shaped(records: &[(i64, &[u8])], key: Option<&[u8]>, shape: &Shape) -> Vec<u8> {
    let room: usize = records.iter().map(|(_, value)| value.len() + 50).sum();
    let mut bytes = vec![0; HEADER_BYTES + room];
    let mut at = HEADER_BYTES;
    for &(delta, value) in records {
        let fields = Fields { key, value: Some(value), headers: &[], timestamp_delta: 0 };
        at = append(&mut bytes, at, delta as u32, &fields).unwrap_or_else(|| unreachable!("there is room"));
    }
    bytes.truncate(at);
    #[cfg(feature = "server")]
    if shape.compressed {
        use demitasse_core::records::lz4;
        let mut packed = vec![0; bytes.len() + 64];
        let length = lz4::compress(&bytes[HEADER_BYTES..], &mut packed, &mut [[0; 2]; lz4::TABLE]).unwrap_or(0);
        bytes.truncate(HEADER_BYTES);
        bytes.extend(&packed[..length]);
    }
    let sealing = Sealing {
        compression: if shape.compressed { Compression::Lz4 } else { Compression::None },
        base_timestamp: 1,
        max_timestamp: 1,
        producer_id: shape.producer.unwrap_or(-1),
        producer_epoch: if shape.producer.is_some() { 0 } else { -1 },
        base_sequence: -1,
        records: records.len().max(1) as u32,
    };
    seal(&mut bytes, &sealing, crc32c::crc32c);
    // What no producer of ours writes.
    bytes[22] |= if shape.producer.is_some() { TRANSACTIONAL } else { 0 };
    bytes[22] |= if shape.control { CONTROL } else { 0 };
    bytes[23..27].copy_from_slice(&(shape.last_delta as i32).to_be_bytes());
    bytes[57..61].copy_from_slice(&(records.len() as i32).to_be_bytes());
    let crc = crc32c::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    bytes
}
