//! Writing primitives into a buffer that may be too small.

use super::MAX_STRING_BYTES;
use super::varint::{unsigned_varint_len, zigzag32, zigzag64};

/// The buffer was too small.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Overflow {
    /// Bytes that would have been enough; `usize::MAX` when something cannot be expressed at any size, such
    /// as a string of more than 32767 bytes.
    pub needed: usize,
    /// Bytes that there were.
    pub capacity: usize,
}

/// Writes into a borrowed buffer and goes on counting when it is full.
///
/// So a caller writes everything, asks once at the end whether it fitted, and is told the size that would
/// have. Nothing is ever written in part: a value that does not fit leaves its place untouched.
#[derive(Debug)]
pub struct Writer<'a> {
    buffer: &'a mut [u8],
    at: usize,
}

impl<'a> Writer<'a> {
    /// A writer at the start of `buffer`.
    pub fn new(buffer: &'a mut [u8]) -> Self {
        Writer { buffer, at: 0 }
    }

    /// A writer without a buffer: it only counts, and its [`position`](Self::position) is the result.
    pub fn counting() -> Writer<'static> {
        Writer { buffer: &mut [], at: 0 }
    }

    /// Bytes asked for so far, whether or not they fitted.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Marks the message as one that no buffer can hold.
    pub(crate) fn cannot_express(&mut self) {
        self.at = usize::MAX;
    }

    /// Writes `bytes` as they are, without a length.
    #[inline(never)]
    pub fn bytes(&mut self, bytes: &[u8]) {
        // In two steps, so that the compiler sees the lengths to be equal and leaves no panic behind.
        if let Some(place) = self.buffer.get_mut(self.at..).and_then(|rest| rest.get_mut(..bytes.len())) {
            place.copy_from_slice(bytes);
        }
        self.at = self.at.saturating_add(bytes.len());
    }

    /// As many as are known where this is compiled: a store, and no copying.
    #[inline]
    fn array<const N: usize>(&mut self, bytes: [u8; N]) {
        if let Some(place) = self.buffer.get_mut(self.at..).and_then(<[u8]>::first_chunk_mut) {
            *place = bytes;
        }
        self.at = self.at.saturating_add(N);
    }

    /// Writes an `INT8`.
    #[inline(never)]
    pub fn i8(&mut self, value: i8) {
        self.array(value.to_be_bytes());
    }

    /// Writes an `INT16`.
    #[inline(never)]
    pub fn i16(&mut self, value: i16) {
        self.array(value.to_be_bytes());
    }

    /// Writes an `INT32`.
    #[inline(never)]
    pub fn i32(&mut self, value: i32) {
        self.array(value.to_be_bytes());
    }

    /// Writes an `INT64`.
    pub fn i64(&mut self, value: i64) {
        self.bytes(&value.to_be_bytes());
    }

    /// Writes a `BOOLEAN`.
    pub fn bool(&mut self, value: bool) {
        self.i8(i8::from(value));
    }

    /// Writes a `UUID`.
    pub fn uuid(&mut self, value: &[u8; 16]) {
        self.bytes(value);
    }

    /// Writes an `UNSIGNED_VARINT`.
    pub fn unsigned_varint(&mut self, value: u32) {
        self.unsigned_varlong(u64::from(value));
    }

    /// Writes a `VARINT`.
    pub fn varint(&mut self, value: i32) {
        self.unsigned_varint(zigzag32(value));
    }

    /// Writes a `VARLONG`.
    pub fn varlong(&mut self, value: i64) {
        self.unsigned_varlong(zigzag64(value));
    }

    fn unsigned_varlong(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes(&[value as u8 | 0x80]);
            value >>= 7;
        }
        self.bytes(&[value as u8]);
    }

    /// Writes a `STRING` or `COMPACT_STRING`. One of more than 32767 bytes cannot be expressed. Of bytes: they are known to be
    /// text, nobody looks at them again.
    pub fn string(&mut self, flexible: bool, value: impl AsRef<[u8]>) {
        self.nullable_string(flexible, Some(value.as_ref()));
    }

    /// Writes a `NULLABLE_STRING` or `COMPACT_NULLABLE_STRING`. One of more than 32767 bytes cannot be
    /// expressed.
    pub fn nullable_string(&mut self, flexible: bool, value: Option<&[u8]>) {
        let length = value.map_or(0, <[u8]>::len);
        if length > MAX_STRING_BYTES {
            return self.cannot_express();
        }
        match (flexible, value) {
            (true, None) => self.unsigned_varint(0),
            (true, Some(_)) => self.unsigned_varint((length as u32).wrapping_add(1)),
            (false, None) => self.i16(-1),
            (false, Some(_)) => self.i16(length as i16),
        }
        self.bytes(value.unwrap_or(&[]));
    }

    /// Writes the count of an `ARRAY` or `COMPACT_ARRAY`, and equally the length of `BYTES`, `COMPACT_BYTES`
    /// and `RECORDS`. More than `i32::MAX` cannot be expressed.
    pub fn array_length(&mut self, flexible: bool, length: usize) {
        match i32::try_from(length) {
            Err(_) => self.cannot_express(),
            Ok(length) if flexible => self.unsigned_varint((length as u32).wrapping_add(1)),
            Ok(length) => self.i32(length),
        }
    }

    /// Begins an array whose count is not known before its end: its place, for [`Writer::end_array`].
    pub(crate) fn begin_array(&mut self, flexible: bool) -> usize {
        let at = self.at;
        self.array_length(flexible, 0);
        at
    }

    /// Ends the array that began `at` there, with so many elements. A count that takes more than the one byte that was left for
    /// it moves them up.
    #[inline(never)]
    pub(crate) fn end_array(&mut self, flexible: bool, at: usize, count: usize) {
        if flexible {
            let length = u32::try_from(count).unwrap_or(u32::MAX).saturating_add(1);
            self.move_up(at.saturating_add(1), unsigned_varint_len(length).saturating_sub(1));
        }
        let end = self.at;
        self.at = at;
        self.array_length(flexible, count);
        // Behind the elements again, unless the count cannot be expressed.
        self.at = self.at.max(end);
    }

    /// Makes room for `more` bytes in front of those that were written from `at` on.
    fn move_up(&mut self, at: usize, more: usize) {
        let bytes = self.at.saturating_sub(at);
        self.at = self.at.saturating_add(more);
        if more > 0
            && let Some(place) = self.buffer.get_mut(at..self.at)
        {
            place.copy_within(..bytes, more);
        }
    }

    /// Writes a null array.
    pub fn null_array(&mut self, flexible: bool) {
        if flexible {
            self.unsigned_varint(0);
        } else {
            self.i32(-1);
        }
    }

    /// Ends a structure: an empty section of tagged fields when the version is flexible, else nothing.
    pub fn no_tags(&mut self, flexible: bool) {
        if flexible {
            self.i8(0);
        }
    }

    /// Overwrites four bytes written before with an `INT32`; nothing when they did not fit.
    pub fn patch_i32(&mut self, at: usize, value: i32) {
        if let Some(place) = self.buffer.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
            *place = value.to_be_bytes();
        }
    }

    /// The bytes written, or what would have been enough.
    pub fn finish(self) -> Result<usize, Overflow> {
        let capacity = self.buffer.len();
        if self.at > capacity { Err(Overflow { needed: self.at, capacity }) } else { Ok(self.at) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn everything(writer: &mut Writer<'_>) {
        writer.i32(0);
        writer.i16(-2);
        writer.i64(3);
        writer.bool(true);
        writer.unsigned_varint(300);
        writer.varint(-65);
        writer.varlong(i64::MIN);
        for flexible in [false, true] {
            writer.string(flexible, "text");
            writer.nullable_string(flexible, None);
            writer.array_length(flexible, 200);
            writer.null_array(flexible);
            writer.no_tags(flexible);
        }
        writer.uuid(&[7; 16]);
        writer.patch_i32(0, 0x0102_0304);
    }

    #[test]
    fn any_capacity_is_safe_and_tells_what_was_needed() {
        let mut counting = Writer::counting();
        everything(&mut counting);
        let needed = counting.position();
        let mut whole = [0u8; 128];
        let mut writer = Writer::new(&mut whole);
        everything(&mut writer);
        assert_eq!(writer.finish(), Ok(needed));
        assert_eq!(whole[..4], [1, 2, 3, 4]);
        for capacity in 0..needed {
            let mut buffer = [0xeeu8; 128];
            let mut writer = Writer::new(&mut buffer[..capacity]);
            everything(&mut writer);
            assert_eq!(writer.position(), needed);
            assert_eq!(writer.finish(), Err(Overflow { needed, capacity }));
            assert!(buffer[capacity..].iter().all(|byte| *byte == 0xee));
        }
    }

    #[test]
    fn what_cannot_be_expressed_is_an_overflow_of_any_buffer() {
        static LONG: [u8; MAX_STRING_BYTES + 1] = [b'x'; MAX_STRING_BYTES + 1];
        let long = core::str::from_utf8(&LONG).unwrap();
        for flexible in [false, true] {
            let mut buffer = [0u8; 16];
            let mut writer = Writer::new(&mut buffer);
            writer.string(flexible, long);
            writer.i32(1);
            assert_eq!(writer.finish(), Err(Overflow { needed: usize::MAX, capacity: 16 }));

            let mut counting = Writer::counting();
            counting.string(flexible, &long[1..]);
            assert_eq!(counting.position(), MAX_STRING_BYTES + if flexible { 3 } else { 2 });

            let mut counting = Writer::counting();
            counting.array_length(flexible, i32::MAX as usize + 1);
            assert_eq!(counting.position(), usize::MAX);
        }
    }

    #[test]
    fn a_count_that_comes_last_is_written_as_one_that_comes_first() {
        let mut buffers = [[0u8; 17_000]; 2];
        for flexible in [false, true] {
            for count in [0, 1, 126, 127, 128, 500, 16_382, 16_383, 16_500] {
                let [before, behind] = &mut buffers;
                let mut writer = Writer::new(before);
                writer.i8(7);
                writer.array_length(flexible, count);
                (0..count).for_each(|number| writer.i8(number as i8));
                writer.i8(8);
                let end = writer.finish().unwrap();

                let fill = |writer: &mut Writer<'_>| {
                    writer.i8(7);
                    let at = writer.begin_array(flexible);
                    (0..count).for_each(|number| writer.i8(number as i8));
                    writer.end_array(flexible, at, count);
                    writer.i8(8);
                };
                let mut writer = Writer::new(behind);
                fill(&mut writer);
                assert_eq!(writer.finish(), Ok(end));
                assert_eq!(before[..end], behind[..end]);

                for capacity in (0..end.min(200)).chain(end.saturating_sub(4)..end) {
                    behind.fill(0xee);
                    let mut writer = Writer::new(&mut behind[..capacity]);
                    fill(&mut writer);
                    assert_eq!(writer.finish(), Err(Overflow { needed: end, capacity }));
                    assert!(behind[capacity..].iter().all(|byte| *byte == 0xee));
                }
            }
        }
    }

    #[test]
    fn a_patch_outside_is_dropped() {
        let mut buffer = [0u8; 6];
        let mut writer = Writer::new(&mut buffer);
        writer.patch_i32(3, -1);
        writer.patch_i32(usize::MAX, -1);
        writer.patch_i32(2, 0x0506_0708);
        assert_eq!(buffer, [0, 0, 5, 6, 7, 8]);
    }
}
