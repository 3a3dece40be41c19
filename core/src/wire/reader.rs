//! Reading primitives from bytes that may be cut anywhere.

use super::{FLEXIBLE, MAX_STRING_BYTES};

/// Why a value could not be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReadError {
    /// The bytes end before the value does: more of them may complete it.
    Incomplete,
    /// No further byte can make it valid.
    Malformed,
}

/// A cursor over received bytes. A failed read leaves the position anywhere up to the end: copy the reader
/// (it is three words) to be able to go back.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    length: usize,
}

impl<'a> Reader<'a> {
    /// A reader at the first of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes, length: bytes.len() }
    }

    /// Bytes read so far.
    pub fn position(&self) -> usize {
        self.length.wrapping_sub(self.rest.len())
    }

    /// The bytes not yet read.
    pub fn remaining(&self) -> &'a [u8] {
        self.rest
    }

    #[inline]
    fn take<const N: usize>(&mut self) -> Result<[u8; N], ReadError> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(ReadError::Incomplete)?;
        self.rest = rest;
        Ok(*head)
    }

    /// Reads an `INT8`.
    #[inline]
    pub fn i8(&mut self) -> Result<i8, ReadError> {
        self.take().map(i8::from_be_bytes)
    }

    /// Reads an `INT16`.
    #[inline]
    pub fn i16(&mut self) -> Result<i16, ReadError> {
        self.take().map(i16::from_be_bytes)
    }

    /// Reads an `INT32`.
    #[inline]
    pub fn i32(&mut self) -> Result<i32, ReadError> {
        self.take().map(i32::from_be_bytes)
    }

    /// Reads an `INT64`.
    #[inline]
    pub fn i64(&mut self) -> Result<i64, ReadError> {
        self.take().map(i64::from_be_bytes)
    }

    /// Reads a `UINT16`.
    #[inline]
    pub fn u16(&mut self) -> Result<u16, ReadError> {
        self.take().map(u16::from_be_bytes)
    }

    /// Reads a `UINT32`.
    #[inline]
    pub fn u32(&mut self) -> Result<u32, ReadError> {
        self.take().map(u32::from_be_bytes)
    }

    /// Reads a `BOOLEAN`: any byte but 0 is true, as in Kafka.
    #[inline]
    pub fn bool(&mut self) -> Result<bool, ReadError> {
        self.i8().map(|byte| byte != 0)
    }

    /// Reads a `UUID` as its 16 bytes.
    #[inline]
    pub fn uuid(&mut self) -> Result<[u8; 16], ReadError> {
        self.take()
    }

    /// The next `N` bytes apart, for fields of known lengths: whether they are all there is looked at once.
    #[inline]
    pub(crate) fn part<const N: usize>(&mut self) -> Result<Reader<'a>, ReadError> {
        let (part, rest) = self.rest.split_first_chunk::<N>().ok_or(ReadError::Incomplete)?;
        self.rest = rest;
        Ok(Reader::new(part))
    }

    /// Reads the next `n` bytes.
    #[inline]
    pub fn bytes(&mut self, n: usize) -> Result<&'a [u8], ReadError> {
        let (head, rest) = self.rest.split_at_checked(n).ok_or(ReadError::Incomplete)?;
        self.rest = rest;
        Ok(head)
    }

    /// Reads an `UNSIGNED_VARINT` of at most 32 bits; a longer one is malformed.
    #[inline(never)]
    pub fn unsigned_varint(&mut self) -> Result<u32, ReadError> {
        match self.short_varint() {
            Some(value) => Ok(value),
            None => u32::try_from(self.unsigned_varlong(5)?).map_err(|_| ReadError::Malformed),
        }
    }

    /// One of one or two bytes, as most are.
    #[inline]
    fn short_varint(&mut self) -> Option<u32> {
        let (value, rest) = match self.rest {
            [low @ ..0x80, rest @ ..] => (u32::from(*low), rest),
            [low, high @ ..0x80, rest @ ..] => (u32::from(low & 0x7f) | u32::from(*high) << 7, rest),
            _ => return None,
        };
        self.rest = rest;
        Some(value)
    }

    /// Reads a `VARINT`.
    #[inline]
    pub fn varint(&mut self) -> Result<i32, ReadError> {
        let raw = self.unsigned_varint()?;
        Ok((raw >> 1) as i32 ^ ((raw & 1) as i32).wrapping_neg())
    }

    /// Reads a `VARLONG`.
    pub fn varlong(&mut self) -> Result<i64, ReadError> {
        let raw = match self.short_varint() {
            Some(value) => u64::from(value),
            None => self.unsigned_varlong(10)?,
        };
        Ok((raw >> 1) as i64 ^ ((raw & 1) as i64).wrapping_neg())
    }

    fn unsigned_varlong(&mut self, most: u32) -> Result<u64, ReadError> {
        let mut value = 0u64;
        let mut shift = 0u32;
        for _ in 0..most {
            let byte = u64::from(self.take::<1>()?[0]);
            // The tenth byte has room for one bit.
            if shift == 63 && byte > 1 {
                return Err(ReadError::Malformed);
            }
            value |= (byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
            shift = shift.wrapping_add(7);
        }
        Err(ReadError::Malformed)
    }

    /// Reads the length of a string; None is null.
    pub fn string_length(&mut self, flexible: bool) -> Result<Option<usize>, ReadError> {
        let length = if flexible && FLEXIBLE {
            match self.unsigned_varint()?.checked_sub(1) {
                None => return Ok(None),
                Some(length) => length as usize,
            }
        } else {
            match self.i16()? {
                -1 => return Ok(None),
                length => usize::try_from(length).map_err(|_| ReadError::Malformed)?,
            }
        };
        if length > MAX_STRING_BYTES { Err(ReadError::Malformed) } else { Ok(Some(length)) }
    }

    /// Reads a `STRING` or `COMPACT_STRING`; null and bytes that are not UTF-8 are malformed.
    #[inline]
    pub fn string(&mut self, flexible: bool) -> Result<&'a str, ReadError> {
        self.nullable_string(flexible)?.ok_or(ReadError::Malformed)
    }

    /// As [`Reader::string`], of bytes that are only kept or compared: whether they are UTF-8 does not matter.
    #[inline]
    pub fn text(&mut self, flexible: bool) -> Result<&'a [u8], ReadError> {
        self.nullable_text(flexible)?.ok_or(ReadError::Malformed)
    }

    /// As [`Reader::nullable_string`], of such bytes.
    pub fn nullable_text(&mut self, flexible: bool) -> Result<Option<&'a [u8]>, ReadError> {
        self.string_length(flexible)?.map(|length| self.bytes(length)).transpose()
    }

    /// Reads a `NULLABLE_STRING` or `COMPACT_NULLABLE_STRING`; bytes that are not UTF-8 are malformed.
    pub fn nullable_string(&mut self, flexible: bool) -> Result<Option<&'a str>, ReadError> {
        let text = self.nullable_text(flexible)?.map(core::str::from_utf8);
        text.transpose().map_err(|_| ReadError::Malformed)
    }

    /// Reads the count of an `ARRAY` or `COMPACT_ARRAY`, at most `i32::MAX`; None is null. A count below -1
    /// is malformed.
    ///
    /// The count is only a claim: nothing may be reserved or looped over on its strength alone.
    pub fn array_length(&mut self, flexible: bool) -> Result<Option<u32>, ReadError> {
        if flexible && FLEXIBLE {
            let length = self.unsigned_varint()?.checked_sub(1);
            if length.is_some_and(|length| length > i32::MAX as u32) {
                return Err(ReadError::Malformed);
            }
            return Ok(length);
        }
        match self.i32()? {
            -1 => Ok(None),
            length => u32::try_from(length).map(Some).map_err(|_| ReadError::Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Writer;

    #[test]
    fn varints_at_every_length_edge() {
        let mut buffer = [0u8; 10];
        for bits in 0..64u32 {
            for value in [1i64 << bits, (1i64 << bits).wrapping_sub(1), (1i64 << bits).wrapping_neg(), i64::MIN] {
                let mut writer = Writer::new(&mut buffer);
                writer.varlong(value);
                let length = writer.finish().unwrap();
                assert_eq!(length, crate::wire::varlong_len(value));
                assert_eq!(Reader::new(&buffer[..length]).varlong(), Ok(value));
                assert_eq!(Reader::new(&buffer[..length - 1]).varlong(), Err(ReadError::Incomplete));

                let value = value as i32;
                let mut writer = Writer::new(&mut buffer);
                writer.varint(value);
                let length = writer.finish().unwrap();
                assert_eq!(length, crate::wire::varint_len(value));
                assert_eq!(Reader::new(&buffer[..length]).varint(), Ok(value));

                let mut writer = Writer::new(&mut buffer);
                writer.unsigned_varint(value as u32);
                let length = writer.finish().unwrap();
                assert_eq!(length, crate::wire::unsigned_varint_len(value as u32));
                assert_eq!(Reader::new(&buffer[..length]).unsigned_varint(), Ok(value as u32));
            }
        }
    }

    #[test]
    fn published_varints() {
        // From Kafka's own ByteUtilsTest.
        assert_eq!(Reader::new(&[0xff, 0xff, 0xff, 0xff, 0x0f]).unsigned_varint(), Ok(u32::MAX));
        assert_eq!(Reader::new(&[0xac, 0x02]).unsigned_varint(), Ok(300));
        assert_eq!(Reader::new(&[0x7f]).varint(), Ok(-64));
        assert_eq!(Reader::new(&[0x80, 0x01]).varint(), Ok(64));
        assert_eq!(Reader::new(&[0xff, 0xff, 0xff, 0xff, 0x0f]).varint(), Ok(i32::MIN));
        assert_eq!(Reader::new(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]).varlong(), Ok(i64::MIN));
    }

    #[test]
    fn varints_that_never_end_or_overflow() {
        assert_eq!(Reader::new(&[0xff; 4]).unsigned_varint(), Err(ReadError::Incomplete));
        assert_eq!(Reader::new(&[0x80; 5]).unsigned_varint(), Err(ReadError::Malformed));
        assert_eq!(Reader::new(&[0xff, 0xff, 0xff, 0xff, 0x10]).unsigned_varint(), Err(ReadError::Malformed));
        assert_eq!(Reader::new(&[0x80; 10]).varlong(), Err(ReadError::Malformed));
        let mut over = [0xff; 10];
        over[9] = 0x02;
        assert_eq!(Reader::new(&over).varlong(), Err(ReadError::Malformed));
        // Longer than it need be, but a number: Kafka reads it, too.
        assert_eq!(Reader::new(&[0x81, 0x00]).unsigned_varint(), Ok(1));
    }

    #[test]
    #[cfg_attr(feature = "one-version", ignore = "of versions that it does not speak")]
    fn lengths() {
        use ReadError::{Incomplete, Malformed};
        let string = |bytes: &'static [u8], flexible| Reader::new(bytes).nullable_string(flexible);
        assert_eq!(string(&[0xff, 0xff], false), Ok(None));
        assert_eq!(string(&[0], true), Ok(None));
        assert_eq!(string(&[0, 0], false), Ok(Some("")));
        assert_eq!(string(&[1], true), Ok(Some("")));
        assert_eq!(string(&[0, 2, b'o', b'k'], false), Ok(Some("ok")));
        assert_eq!(string(&[3, b'o', b'k'], true), Ok(Some("ok")));
        assert_eq!(string(&[0, 2, b'o'], false), Err(Incomplete));
        assert_eq!(string(&[0xff, 0xfe], false), Err(Malformed));
        assert_eq!(string(&[0x80, 0x80, 0x02], true), Err(Incomplete)); // 32767
        assert_eq!(string(&[0x81, 0x80, 0x02], true), Err(Malformed)); // 32768
        assert_eq!(string(&[2, 0xc3], true), Err(Malformed));
        assert_eq!(Reader::new(&[0]).string(true), Err(Malformed));

        let array = |bytes: &'static [u8], flexible| Reader::new(bytes).array_length(flexible);
        assert_eq!(array(&[0xff; 4], false), Ok(None));
        assert_eq!(array(&[0], true), Ok(None));
        assert_eq!(array(&[0x7f, 0xff, 0xff, 0xff], false), Ok(Some(i32::MAX as u32)));
        assert_eq!(array(&[0xff, 0xff, 0xff, 0xfe], false), Err(Malformed));
        assert_eq!(array(&[0x80, 0x80, 0x80, 0x80, 0x08], true), Ok(Some(i32::MAX as u32)));
        assert_eq!(array(&[0x81, 0x80, 0x80, 0x80, 0x08], true), Err(Malformed));
    }

    #[test]
    fn fixed_sizes_and_position() {
        let bytes: [u8; 20] = core::array::from_fn(|at| at as u8);
        let mut reader = Reader::new(&bytes);
        assert_eq!((reader.i8(), reader.i16(), reader.i32()), (Ok(0), Ok(0x0102), Ok(0x0304_0506)));
        assert_eq!((reader.i64(), reader.u16()), (Ok(0x0708_090a_0b0c_0d0e), Ok(0x0f10)));
        assert_eq!((reader.position(), reader.remaining()), (17, &bytes[17..]));
        assert_eq!(reader.u32(), Err(ReadError::Incomplete));
        assert_eq!((reader.bool(), reader.bytes(2)), (Ok(true), Ok(&bytes[18..])));
        assert_eq!(reader.bytes(1), Err(ReadError::Incomplete));
    }
}
