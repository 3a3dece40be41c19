//! Records, one after the other, from bytes that may be cut.

use super::fault::{BatchError, Corrupt, Fault, Part};
use super::header::BatchHeader;
use crate::wire::{ReadError, Reader};

/// A record, in the bytes that it came in.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Its offset in the partition.
    pub offset: i64,
    /// Its timestamp, in milliseconds since 1970: the producer's, or when the broker appended it.
    pub timestamp: i64,
    /// The key, None for null.
    pub key: Option<&'a [u8]>,
    /// The value, None for null: a tombstone in a compacted topic.
    pub value: Option<&'a [u8]>,
    /// The headers, in order.
    pub headers: Headers<'a>,
}

impl Record<'_> {
    /// What the record of a [control batch](BatchHeader::is_control) says.
    pub fn marker(&self) -> Result<Marker, Corrupt> {
        let mut key = Reader::new(self.key.unwrap_or(&[]));
        match (key.i16(), key.i16()) {
            (Ok(0..), Ok(0)) => Ok(Marker::Abort),
            (Ok(0..), Ok(1)) => Ok(Marker::Commit),
            (Ok(0..), Ok(other)) => Ok(Marker::Other(other)),
            _ => Err(Corrupt { offset: self.offset, fault: Fault::ControlRecord }),
        }
    }
}

/// What a record of a control batch says of the transaction of the batch's producer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Marker {
    /// It was aborted.
    Abort,
    /// It was committed.
    Commit,
    /// Something else, of this number: the quorum's own affairs.
    Other(i16),
}

/// The headers of a record, as an iterator.
///
/// Their lengths were checked with the record, so nothing can go wrong any more.
#[derive(Clone, Copy, Debug)]
pub struct Headers<'a> {
    rest: Reader<'a>,
    left: u32,
}

impl Headers<'_> {
    /// Whether there are none left.
    pub const fn is_empty(&self) -> bool {
        self.left == 0
    }
}

/// A header of a record (KIP-82), as it came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RecordHeader<'a> {
    /// Its name. It should be UTF-8, but no broker checks that, and a record must not be lost for it.
    pub key: &'a [u8],
    /// Its value, None for null.
    pub value: Option<&'a [u8]>,
}

impl<'a> RecordHeader<'a> {
    /// Its name as text, if it is.
    pub fn name(&self) -> Option<&'a str> {
        core::str::from_utf8(self.key).ok()
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = RecordHeader<'a>;

    fn next(&mut self) -> Option<RecordHeader<'a>> {
        self.left = self.left.checked_sub(1)?;
        header(&mut self.rest).ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for Headers<'_> {}

#[cfg(feature = "defmt")]
impl defmt::Format for Headers<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{} headers", self.left);
    }
}

fn header<'a>(reader: &mut Reader<'a>) -> Result<RecordHeader<'a>, Fault> {
    let key = bytes(reader, Part::HeaderKey)?.ok_or(Fault::Malformed(Part::HeaderKey))?;
    Ok(RecordHeader { key, value: bytes(reader, Part::HeaderValue)? })
}

/// Reads a length, -1 for null, and that many bytes.
#[inline]
fn bytes<'a>(reader: &mut Reader<'a>, part: Part) -> Result<Option<&'a [u8]>, Fault> {
    match reader.varint() {
        Ok(-1) => Ok(None),
        Ok(length @ 0..) => reader.bytes(length as usize).map(Some).map_err(|_| Fault::Malformed(part)),
        _ => Err(Fault::Malformed(part)),
    }
}

/// Where in the records of a batch the reading is: a few words, without a borrow, for who must let go of the bytes and
/// come back.
///
/// It is asked for the [next](Self::next) record with a window that begins where the last one ended, as the readers of
/// [`protocol`](crate::protocol) are.
#[derive(Clone, Copy, Debug)]
pub struct RecordCursor {
    base_offset: i64,
    /// If the broker has stamped them, that of all records.
    base_timestamp: i64,
    last_delta: i32,
    /// The least difference to the base offset that the next record may have.
    next_delta: u32,
    /// Records still to come.
    records: u32,
    /// Bytes of them still to come.
    bytes: u32,
    /// 1 if the broker has stamped them, else 0. No `bool`: then also "no cursor" is all zero bits, and a table of these
    /// takes nothing in flash.
    stamped: u8,
}

impl RecordCursor {
    /// In front of the first record of the batch with this header. All records take `bytes`: its
    /// [`records_length`](BatchHeader::records_length) when they are not compressed.
    pub const fn new(header: &BatchHeader, bytes: u32) -> Self {
        RecordCursor {
            base_offset: header.base_offset,
            base_timestamp: if header.has_log_append_time() { header.max_timestamp } else { header.base_timestamp },
            last_delta: header.last_offset_delta,
            next_delta: 0,
            records: header.records,
            bytes,
            stamped: header.has_log_append_time() as u8,
        }
    }

    /// Of no batch.
    #[cfg(feature = "consumer")]
    pub(crate) const EMPTY: RecordCursor = RecordCursor {
        base_offset: 0,
        base_timestamp: 0,
        last_delta: 0,
        next_delta: 0,
        records: 0,
        bytes: 0,
        stamped: 0,
    };

    /// Bytes of records still to come.
    pub const fn bytes_left(&self) -> u32 {
        self.bytes
    }

    /// Records still to come, by the header's count.
    pub const fn records_left(&self) -> u32 {
        self.records
    }

    /// Bytes of records still to come are so many after all: of compressed ones it is not known before the end.
    #[cfg(feature = "consumer")]
    pub(crate) fn set_bytes_left(&mut self, bytes: u32) {
        self.bytes = bytes;
    }

    /// The offset that the next record has at least.
    #[cfg(feature = "consumer")]
    pub(crate) fn due(&self) -> i64 {
        self.base_offset.saturating_add(i64::from(self.next_delta))
    }

    /// No more records.
    pub(super) fn end(&mut self) {
        (self.records, self.bytes) = (0, 0);
    }

    /// That something is wrong where the next record is due.
    pub(crate) fn corrupt(&self, fault: Fault) -> Corrupt {
        Corrupt { offset: self.base_offset.saturating_add(i64::from(self.next_delta)), fault }
    }

    /// The next record, or None behind the last, from a window that starts with it; an error is final unless it is
    /// [`Incomplete`](BatchError::Incomplete). What is in the window behind the batch is left alone.
    #[inline]
    pub fn next<'a>(&mut self, window: &mut &'a [u8]) -> Result<Option<Record<'a>>, BatchError> {
        if self.records == 0 || self.bytes == 0 {
            return self.over().map(|()| None).map_err(BatchError::Corrupt);
        }
        let here = window.len().min(self.bytes as usize);
        let mut reader = Reader::new(window.get(..here).unwrap_or(window));
        let length = match reader.varint() {
            Ok(length) => length,
            Err(ReadError::Incomplete) if here < self.bytes as usize => {
                return Err(BatchError::Incomplete { needed: here.saturating_add(1) });
            }
            Err(_) => return Err(self.corrupt(Fault::RecordLength(-1)).into()),
        };
        let prefix = reader.position();
        let left = (self.bytes as usize).saturating_sub(prefix);
        let body = match usize::try_from(length) {
            Ok(length) if length <= left => {
                reader.bytes(length).map_err(|_| BatchError::Incomplete { needed: prefix.saturating_add(length) })?
            }
            _ => return Err(self.corrupt(Fault::RecordLength(length)).into()),
        };
        let (delta, record) = self.record(body).map_err(|fault| self.corrupt(fault))?;
        self.next_delta = delta.saturating_add(1);
        self.records = self.records.wrapping_sub(1);
        self.bytes = self.bytes.wrapping_sub(reader.position() as u32);
        *window = window.get(reader.position()..).unwrap_or(&[]);
        Ok(Some(record))
    }

    /// Where there can be no record any more: whether that is right.
    fn over(&self) -> Result<(), Corrupt> {
        match (self.records, self.bytes) {
            (0, 0) => Ok(()),
            (0, bytes) => Err(self.corrupt(Fault::BatchNotOver(bytes))),
            (records, _) => Err(self.corrupt(Fault::RecordsMissing(records))),
        }
    }

    /// Reads what is behind a record's length, and tells the difference of its offset.
    #[inline]
    fn record<'a>(&self, body: &'a [u8]) -> Result<(u32, Record<'a>), Fault> {
        let mut reader = Reader::new(body);
        // Not used yet by any format.
        reader.i8().map_err(|_| Fault::Malformed(Part::Attributes))?;
        let timestamp_delta = reader.varlong().map_err(|_| Fault::Malformed(Part::Timestamp))?;
        let delta = reader.varint().map_err(|_| Fault::Malformed(Part::Offset))?;
        if delta > self.last_delta || i64::from(delta) < i64::from(self.next_delta) {
            return Err(Fault::OffsetDelta(delta));
        }
        let key = bytes(&mut reader, Part::Key)?;
        let value = bytes(&mut reader, Part::Value)?;
        let headers = headers(reader)?;
        let record = Record {
            offset: self.base_offset.saturating_add(i64::from(delta)),
            timestamp: self.base_timestamp.wrapping_add(if self.stamped == 0 { timestamp_delta } else { 0 }),
            key,
            value,
            headers,
        };
        Ok((delta as u32, record))
    }
}

/// Checks the headers that are the rest of a record. A count that lies ends with the bytes.
#[inline]
fn headers(mut reader: Reader<'_>) -> Result<Headers<'_>, Fault> {
    let count = reader.varint().ok().and_then(|count| u32::try_from(count).ok());
    let left = count.ok_or(Fault::Malformed(Part::HeaderCount))?;
    let headers = Headers { rest: reader, left };
    for _ in 0..left {
        header(&mut reader)?;
    }
    match reader.remaining().len() {
        0 => Ok(headers),
        spare => Err(Fault::RecordNotOver(spare as u32)),
    }
}
