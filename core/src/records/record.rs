//! One record, encoded where it stays.

use crate::wire::{varint_len, varlong_len};

/// A header of a record (KIP-82).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Header<'a> {
    /// Its name; several headers may have the same.
    pub key: &'a str,
    /// Its value, None for null.
    pub value: Option<&'a [u8]>,
}

/// What a record carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fields<'a> {
    /// The key, None for null.
    pub key: Option<&'a [u8]>,
    /// The value, None for null: a tombstone in a compacted topic.
    pub value: Option<&'a [u8]>,
    /// The headers, in order.
    pub headers: &'a [Header<'a>],
    /// The record's timestamp less the batch's base timestamp, in milliseconds; either sign.
    pub timestamp_delta: i64,
}

/// The most that a record without headers takes besides its key and value: length, attributes, timestamp
/// delta, offset delta, key length, value length, header count.
pub const MAX_RECORD_OVERHEAD: usize = 5 + 1 + 10 + 5 + 5 + 5 + 5;

/// The most that a header takes besides its key and value: the two lengths.
pub const MAX_HEADER_OVERHEAD: usize = 5 + 5;

/// The most that a record with that many headers takes besides the bytes of its key and value and those of its
/// headers; saturating.
pub const fn max_record_overhead(headers: usize) -> usize {
    MAX_RECORD_OVERHEAD.saturating_add(MAX_HEADER_OVERHEAD.saturating_mul(headers))
}

/// The length of a nullable field as it is written. A length beyond `i32::MAX` gives nonsense: it cannot be
/// written, since then the whole record is refused for its size.
#[inline]
fn field_length(field: Option<&[u8]>) -> i32 {
    field.map_or(-1, |bytes| bytes.len() as i32)
}

#[inline]
fn nullable_len(field: Option<&[u8]>) -> usize {
    varint_len(field_length(field)).saturating_add(field.map_or(0, <[u8]>::len))
}

/// The bytes behind the length prefix.
#[cfg_attr(target_pointer_width = "64", inline)]
#[cfg_attr(not(target_pointer_width = "64"), inline(never))]
fn body_length(index: u32, fields: &Fields<'_>) -> usize {
    let numbers = varlong_len(fields.timestamp_delta)
        .wrapping_add(varint_len(index as i32))
        .wrapping_add(varint_len(fields.headers.len() as i32))
        .wrapping_add(1)
        .wrapping_add(varint_len(field_length(fields.key)))
        .wrapping_add(varint_len(field_length(fields.value)));
    // Of two slices: that fits, a slice has `isize::MAX` bytes at most.
    let bytes = fields.key.map_or(0, <[u8]>::len).wrapping_add(fields.value.map_or(0, <[u8]>::len));
    let mut length = bytes.saturating_add(numbers);
    for header in fields.headers {
        length =
            length.saturating_add(nullable_len(Some(header.key.as_bytes()))).saturating_add(nullable_len(header.value));
    }
    length
}

/// Bytes that a record takes as the `index`th of its batch, its length prefix included; saturating.
pub fn encoded_length(index: u32, fields: &Fields<'_>) -> usize {
    let body = body_length(index, fields);
    body.saturating_add(varint_len(i32::try_from(body).unwrap_or(i32::MAX)))
}

/// Writes a record at `at` as the `index`th of its batch, from 0. Its end, or None when it does not fit; then
/// nothing is promised about the bytes behind `at`.
///
/// A record of more than `i32::MAX` bytes fits nowhere, nor does an index beyond `i32::MAX`.
#[inline]
pub fn append(batch: &mut [u8], at: usize, index: u32, fields: &Fields<'_>) -> Option<usize> {
    let delta = crate::wire::zigzag64(fields.timestamp_delta);
    if cfg!(target_pointer_width = "64") && fields.headers.is_empty() && index < 1 << 20 && delta < 1 << 35 {
        return append_plain(batch, at, Word::of(delta).and(Word::of((index << 1).into())), fields);
    }
    let body = i32::try_from(body_length(index, fields)).ok()?;
    let end = at.checked_add(varint_len(body))?.checked_add(body as usize)?;
    let mut rest = batch.get_mut(at..end)?;
    rest = put_varint(rest, body)?;
    rest = put_bytes(rest, &[0])?;
    rest = put_varlong(rest, fields.timestamp_delta)?;
    rest = put_varint(rest, i32::try_from(index).ok()?)?;
    rest = put_nullable(rest, fields.key)?;
    rest = put_nullable(rest, fields.value)?;
    rest = put_varint(rest, fields.headers.len() as i32)?;
    for header in fields.headers {
        rest = put_nullable(rest, Some(header.key.as_bytes()))?;
        rest = put_nullable(rest, header.value)?;
    }
    rest.is_empty().then_some(end)
}

/// A record without headers; `position` is its timestamp and its index, which fit a word. Numbers are put together in a
/// register and copied eight bytes at a time, whatever comes behind them covers what was too much: a third of the
/// instructions, and more code than a device would have for it.
#[inline]
fn append_plain(batch: &mut [u8], at: usize, position: Word, fields: &Fields<'_>) -> Option<usize> {
    let (key, value) = (fields.key.unwrap_or(&[]), fields.value.unwrap_or(&[]));
    let (key_length, value_length) = (Word::of_length(fields.key), Word::of_length(fields.value));
    // Before them the attributes, one byte; behind them the number of headers, one byte. Both are zero.
    let numbers = 1 + position.length + key_length.length + value_length.length + 1;
    let body = i32::try_from(key.len().saturating_add(value.len()).saturating_add(numbers)).ok()?;
    let length = Word::of(u64::from(body as u32) << 1).and(Word::of(0));
    let end = at.checked_add(length.length - 1 + body as usize)?;

    let (headers, rest) = batch.get_mut(at..end)?.split_last_mut()?;
    *headers = 0;
    let mut rest = position.put(length.put(rest)?)?;
    if key.is_empty() {
        rest = key_length.and(value_length).put(rest)?;
    } else {
        rest = value_length.put(put_bytes(key_length.put(rest)?, key)?)?;
    }
    (rest.len() == value.len()).then(|| rest.copy_from_slice(value))?;
    Some(end)
}

/// Varints of eight bytes at most, together, the first in the lowest bits.
#[derive(Clone, Copy)]
struct Word {
    bits: u64,
    length: usize,
}

impl Word {
    /// A number below 2^35.
    #[inline(always)]
    fn of(value: u64) -> Word {
        match value {
            0..0x80 => Word { bits: value, length: 1 },
            0x80..0x4000 => Word { bits: value & 0x7f | 0x80 | value >> 7 << 8, length: 2 },
            _ => Word::of_large(value),
        }
    }

    #[inline(never)]
    fn of_large(mut value: u64) -> Word {
        let (mut bits, mut length) = (0, 0);
        while value >= 0x80 {
            bits |= (value & 0x7f | 0x80) << (8 * length);
            value >>= 7;
            length += 1;
        }
        Word { bits: bits | value << (8 * length), length: length + 1 }
    }

    /// Of a nullable field; one that is too long is refused for its size, whatever is written here.
    #[inline(always)]
    fn of_length(field: Option<&[u8]>) -> Word {
        Word::of(field.map_or(1, |bytes| u64::from(bytes.len() as u32) << 1))
    }

    #[inline(always)]
    fn and(self, next: Word) -> Word {
        Word { bits: self.bits | next.bits << (8 * self.length), length: self.length + next.length }
    }

    /// Into the beginning of `place`; what is behind it.
    #[inline(always)]
    fn put(self, place: &mut [u8]) -> Option<&mut [u8]> {
        let bytes = self.bits.to_le_bytes();
        match place.first_chunk_mut() {
            Some(chunk) => {
                *chunk = bytes;
                place.get_mut(self.length..)
            }
            None => put_bytes(place, bytes.get(..self.length)?),
        }
    }
}

#[inline]
fn put_bytes<'b>(place: &'b mut [u8], bytes: &[u8]) -> Option<&'b mut [u8]> {
    let (here, rest) = place.split_at_mut_checked(bytes.len())?;
    here.copy_from_slice(bytes);
    Some(rest)
}

#[inline]
fn put_nullable<'b>(place: &'b mut [u8], field: Option<&[u8]>) -> Option<&'b mut [u8]> {
    let rest = put_varint(place, field_length(field))?;
    match field {
        Some(bytes) => put_bytes(rest, bytes),
        None => Some(rest),
    }
}

#[inline]
fn put_varint(place: &mut [u8], value: i32) -> Option<&mut [u8]> {
    put_unsigned(place, crate::wire::zigzag32(value))
}

/// Nearly always it fits 32 bits, which cost a small processor far less than 64.
#[inline]
fn put_varlong(place: &mut [u8], value: i64) -> Option<&mut [u8]> {
    let value = crate::wire::zigzag64(value);
    match u32::try_from(value) {
        Ok(value) => put_unsigned(place, value),
        Err(_) => put_long(place, value),
    }
}

#[inline(never)]
fn put_unsigned(mut place: &mut [u8], mut value: u32) -> Option<&mut [u8]> {
    loop {
        let (here, rest) = place.split_first_mut()?;
        place = rest;
        if value < 0x80 {
            *here = value as u8;
            return Some(place);
        }
        *here = value as u8 | 0x80;
        value >>= 7;
    }
}

#[cold]
fn put_long(mut place: &mut [u8], mut value: u64) -> Option<&mut [u8]> {
    while value > u64::from(u32::MAX) {
        let (here, rest) = place.split_first_mut()?;
        *here = value as u8 | 0x80;
        value >>= 7;
        place = rest;
    }
    put_unsigned(place, value as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Reader;

    fn fields<'a>(key: Option<&'a [u8]>, value: Option<&'a [u8]>) -> Fields<'a> {
        Fields { key, value, headers: &[], timestamp_delta: 0 }
    }

    #[test]
    fn bytes_as_in_the_protocol_guide() {
        let mut buffer = [0xee; 32];
        assert_eq!(append(&mut buffer, 0, 0, &fields(None, None)), Some(7));
        // Length 6, attributes, timestamp delta, offset delta, two nulls, no headers.
        assert_eq!(buffer[..8], [12, 0, 0, 0, 1, 1, 0, 0xee]);

        let headers = [Header { key: "h", value: Some(b"x") }, Header { key: "h", value: None }];
        let record = Fields { key: Some(b"k"), value: Some(b""), headers: &headers, timestamp_delta: -1 };
        assert_eq!(append(&mut buffer, 3, 64, &record), Some(19));
        assert_eq!(buffer[3..21], [30, 0, 1, 0x80, 1, 2, b'k', 0, 4, 2, b'h', 2, b'x', 2, b'h', 1, 0xee, 0xee][..]);
    }

    #[test]
    fn any_timestamp_delta() {
        for delta in [i64::MIN, i64::MAX, 0, -64, 64] {
            let mut buffer = [0; 32];
            let record = Fields { timestamp_delta: delta, ..fields(None, None) };
            let end = append(&mut buffer, 0, 0, &record).unwrap();
            assert_eq!(end, encoded_length(0, &record));
            assert_eq!(Reader::new(&buffer[2..end]).varlong(), Ok(delta));
        }
    }

    #[test]
    fn the_overhead_is_reached_but_never_passed() {
        // Everything at its longest but the lengths, which would need gigabytes.
        let record = Fields { timestamp_delta: i64::MIN, ..fields(Some(b""), Some(b"")) };
        assert_eq!(encoded_length(i32::MAX as u32, &record), MAX_RECORD_OVERHEAD - 4 * 4);
        assert_eq!(max_record_overhead(2), MAX_RECORD_OVERHEAD + 2 * MAX_HEADER_OVERHEAD);
        assert_eq!(max_record_overhead(usize::MAX), usize::MAX);
    }

    #[test]
    fn what_fits_nowhere() {
        let mut buffer = [0; 64];
        let record = fields(None, None);
        assert_eq!(append(&mut buffer, 0, i32::MAX as u32, &record), Some(11));
        assert_eq!(append(&mut buffer, 0, i32::MAX as u32 + 1, &record), None);
        assert_eq!(append(&mut buffer, 58, 0, &record), None);
        assert_eq!(append(&mut buffer, 65, 0, &record), None);
        assert_eq!(append(&mut buffer, usize::MAX, 0, &record), None);
        assert_eq!(append(&mut [], 0, 0, &record), None);
    }
}
