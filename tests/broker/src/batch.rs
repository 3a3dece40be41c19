//! Record batches as bytes: checked as a leader checks what a producer sends, and read lazily.
//!
//! Nothing here comes from the codec crate: header, checksum and records are read from the raw bytes.

use crate::error;
use std::io::Read;

/// Bytes of a batch header, up to the first record.
pub(crate) const HEADER_BYTES: usize = 61;
/// Base offset and length: what the length field does not count.
const LOG_OVERHEAD: usize = 12;
const MAGIC_AT: usize = 16;
const CRC_AT: usize = 17;
const ATTRIBUTES_AT: usize = 21;

pub(crate) const COMPRESSION_MASK: i16 = 0x07;
pub(crate) const TIMESTAMP_TYPE_BIT: i16 = 0x08;
pub(crate) const TRANSACTIONAL_BIT: i16 = 0x10;
pub(crate) const CONTROL_BIT: i16 = 0x20;
const LZ4: i16 = 3;
const ZSTD: i16 = 4;

fn int16(bytes: &[u8], at: usize) -> i16 {
    i16::from_be_bytes(bytes[at..at + 2].try_into().expect("two bytes"))
}

fn int32(bytes: &[u8], at: usize) -> i32 {
    i32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn int64(bytes: &[u8], at: usize) -> i64 {
    i64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// The fields of a batch header that the broker works with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) attributes: i16,
    pub(crate) last_offset_delta: i32,
    pub(crate) base_timestamp: i64,
    pub(crate) max_timestamp: i64,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) base_sequence: i32,
    pub(crate) count: i32,
}

impl Header {
    /// Reads the header of at least [`HEADER_BYTES`] bytes.
    pub(crate) fn read(bytes: &[u8]) -> Header {
        Header {
            attributes: int16(bytes, ATTRIBUTES_AT),
            last_offset_delta: int32(bytes, 23),
            base_timestamp: int64(bytes, 27),
            max_timestamp: int64(bytes, 35),
            producer_id: int64(bytes, 43),
            producer_epoch: int16(bytes, 51),
            base_sequence: int32(bytes, 53),
            count: int32(bytes, 57),
        }
    }

    pub(crate) fn compressed(&self) -> bool {
        self.attributes & COMPRESSION_MASK != 0
    }
}

/// A batch that is refused: the error, and the records at fault if it is about single records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) error: i16,
    /// Whether it got as far as the log: then Kafka tells where the log starts.
    pub(crate) at_log: bool,
    pub(crate) records: Vec<(i32, &'static str)>,
}

impl Refusal {
    pub(crate) fn new(error: i16) -> Refusal {
        let at_log = matches!(
            error,
            error::UNKNOWN_SERVER_ERROR
                | error::NOT_ENOUGH_REPLICAS
                | error::INVALID_TIMESTAMP
                | error::OUT_OF_ORDER_SEQUENCE_NUMBER
                | error::INVALID_PRODUCER_EPOCH
                | error::INVALID_TXN_STATE
                | error::UNKNOWN_PRODUCER_ID
                | error::INVALID_RECORD
        );
        Refusal { error, at_log, records: Vec::new() }
    }

    /// A refusal before the log was looked for.
    fn early(error: i16) -> Refusal {
        Refusal { at_log: false, ..Refusal::new(error) }
    }
}

/// What a topic asks of the batches it takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) max_message_bytes: usize,
    pub(crate) compacted: bool,
    /// The latest timestamp taken, if there is a limit.
    pub(crate) latest_timestamp: Option<i64>,
}

/// The next batch of a partition's records: Kafka's `ByteBufferLogInputStream`. `None` at the end, or before a batch
/// that is cut.
fn next_batch(bytes: &[u8]) -> Result<Option<usize>, Refusal> {
    if bytes.len() < LOG_OVERHEAD {
        return Ok(None);
    }
    let length = int32(bytes, 8);
    // The smallest batch of any magic has 14 bytes after its length.
    if length < 14 {
        return Err(Refusal::new(error::CORRUPT_MESSAGE));
    }
    if bytes.len() <= MAGIC_AT {
        return Ok(None);
    }
    if !(0..=2).contains(&(bytes[MAGIC_AT] as i8)) {
        return Err(Refusal::new(error::CORRUPT_MESSAGE));
    }
    let size = LOG_OVERHEAD + length as usize;
    Ok((size <= bytes.len()).then_some(size))
}

/// Whether the first batch of a partition's records is part of a transaction: what Kafka asks of a whole Produce request
/// before anything else, and so refuses all of it if a batch cannot even be told from its neighbours.
pub(crate) fn is_transactional(bytes: &[u8]) -> Result<bool, Refusal> {
    let size = next_batch(bytes)?;
    Ok(size.is_some_and(|size| {
        size > ATTRIBUTES_AT + 1 && bytes[MAGIC_AT] == 2 && int16(bytes, ATTRIBUTES_AT) & TRANSACTIONAL_BIT != 0
    }))
}

/// Finds the one batch that a partition's records in a Produce request may have: what Kafka looks at before it looks for
/// the leader. Bytes of a cut batch behind it are ignored, as Kafka does.
pub(crate) fn find(bytes: &[u8], zstd_allowed: bool) -> Result<&[u8], Refusal> {
    let invalid = || Err(Refusal::early(error::INVALID_RECORD));
    let Some(size) = next_batch(bytes)? else {
        return invalid();
    };
    let batch = &bytes[..size];
    if batch[MAGIC_AT] != 2 {
        return invalid();
    }
    if size > ATTRIBUTES_AT + 1 && int16(batch, ATTRIBUTES_AT) & COMPRESSION_MASK == ZSTD && !zstd_allowed {
        return Err(Refusal::early(error::UNSUPPORTED_COMPRESSION_TYPE));
    }
    if next_batch(&bytes[size..])?.is_some() {
        return invalid();
    }
    Ok(batch)
}

/// Checks a batch that was [found](find) in the order in which Kafka does, before it asks the producer's state.
pub(crate) fn check(batch: &[u8], rules: &Rules) -> Result<Header, Refusal> {
    let invalid = || Err(Refusal::new(error::INVALID_RECORD));
    if int64(batch, 0) != 0 {
        return invalid();
    }
    if batch.len() > rules.max_message_bytes {
        return Err(Refusal::new(error::MESSAGE_TOO_LARGE));
    }
    if batch.len() < HEADER_BYTES || crc32c::crc32c(&batch[ATTRIBUTES_AT..]) != int32(batch, CRC_AT) as u32 {
        return Err(Refusal::new(error::CORRUPT_MESSAGE));
    }
    let header = Header::read(batch);
    if header.attributes & COMPRESSION_MASK > ZSTD {
        // Kafka has no error for it and falls over its own enumeration.
        return Err(Refusal::new(error::UNKNOWN_SERVER_ERROR));
    }
    let count_by_offsets = i64::from(header.last_offset_delta) + 1;
    if header.count <= 0 || count_by_offsets != i64::from(header.count) {
        return invalid();
    }
    if header.attributes & CONTROL_BIT != 0 {
        return invalid();
    }
    if header.producer_id >= 0 && header.base_sequence < 0 {
        return invalid();
    }
    match decompressed(batch) {
        Ok(None) if header.compressed() => {}
        Ok(plain) => check_records(plain.as_deref().unwrap_or(batch), &header, rules)?,
        Err(Corrupt) => return Err(Refusal::new(error::CORRUPT_MESSAGE)),
    }
    if header.attributes & TRANSACTIONAL_BIT != 0 {
        return Err(Refusal::new(error::INVALID_TXN_STATE));
    }
    Ok(header)
}

/// Compressed bytes that are not what they should be.
#[derive(Debug)]
pub(crate) struct Corrupt;

/// The batch as it would stand without compression, if it is compressed by LZ4: the one codec that is looked into here, for
/// the simulation, by other code than the client's.
pub(crate) fn decompressed(batch: &[u8]) -> Result<Option<Vec<u8>>, Corrupt> {
    let (header, records) = batch.split_at(HEADER_BYTES);
    if Header::read(header).attributes & COMPRESSION_MASK != LZ4 {
        return Ok(None);
    }
    let mut plain = header.to_vec();
    plain[ATTRIBUTES_AT + 1] &= !(COMPRESSION_MASK as u8);
    let mut decoder = lz4_flex::frame::FrameDecoder::new(records);
    // More than any client here writes: a bomb is no better than nonsense.
    let most = 64 << 20;
    match decoder.by_ref().take(most).read_to_end(&mut plain) {
        Ok(bytes) if (bytes as u64) < most && decoder.get_ref().is_empty() => Ok(Some(plain)),
        _ => Err(Corrupt),
    }
}

fn check_records(batch: &[u8], header: &Header, rules: &Rules) -> Result<(), Refusal> {
    let invalid = || Err(Refusal::new(error::INVALID_RECORD));
    let mut reader = Reader(&batch[HEADER_BYTES..]);
    let mut refused = Vec::new();
    let mut error = error::INVALID_RECORD;
    for index in 0..header.count {
        let Some(record) = read_record(&mut reader) else {
            return invalid();
        };
        // Kafka takes these offsets as they come; a client that gets them wrong should hear of it here.
        if record.offset_delta != index {
            return invalid();
        }
        if rules.compacted && record.key.is_none() {
            refused.push((index, "Compacted topic cannot accept message without key"));
        } else if let Some(latest) = rules.latest_timestamp
            && header.base_timestamp.saturating_add(record.timestamp_delta) > latest
        {
            error = error::INVALID_TIMESTAMP;
            refused.push((index, "Timestamp of message is out of range"));
        }
    }
    if !reader.0.is_empty() {
        return invalid();
    }
    if refused.is_empty() {
        return Ok(());
    }
    Err(Refusal { records: refused, ..Refusal::new(error) })
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn varint(&mut self, most_bytes: u32) -> Option<i64> {
        let mut value = 0u64;
        for index in 0..most_bytes {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                return Some((value >> 1) as i64 ^ -((value & 1) as i64));
            }
        }
        None
    }

    fn varint32(&mut self) -> Option<i32> {
        i32::try_from(self.varint(5)?).ok()
    }

    /// A length and that many bytes; -1 is null.
    fn field(&mut self) -> Option<Option<&'a [u8]>> {
        match self.varint32()? {
            -1 => Some(None),
            length => Some(Some(self.take(usize::try_from(length).ok()?)?)),
        }
    }
}

struct RawRecord<'a> {
    timestamp_delta: i64,
    offset_delta: i32,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    header_count: i32,
    headers: &'a [u8],
}

/// Reads one record and all its headers, so that what it gives is sound throughout.
fn read_record<'a>(reader: &mut Reader<'a>) -> Option<RawRecord<'a>> {
    let length = usize::try_from(reader.varint32()?).ok()?;
    let mut body = Reader(reader.take(length)?);
    let _attributes = body.take(1)?;
    let timestamp_delta = body.varint(10)?;
    let offset_delta = body.varint32()?;
    let key = body.field()?;
    let value = body.field()?;
    let header_count = body.varint32()?;
    let headers = body.0;
    if header_count < 0 {
        return None;
    }
    for _ in 0..header_count {
        // A header's key may not be null.
        body.field()??;
        body.field()?;
    }
    body.0.is_empty().then_some(RawRecord { timestamp_delta, offset_delta, key, value, header_count, headers })
}

/// One record of a batch in a log, borrowed from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its offset in the partition.
    pub offset: i64,
    /// Milliseconds since the epoch: the producer's, or the time of the append if the topic says so.
    pub timestamp: i64,
    /// The key; `None` is null.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is null, a tombstone.
    pub value: Option<&'a [u8]>,
    header_count: i32,
    headers: &'a [u8],
}

impl<'a> Record<'a> {
    /// The headers in their order: key and value.
    pub fn headers(&self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> + use<'a> {
        let mut reader = Reader(self.headers);
        (0..self.header_count).map_while(move |_| Some((reader.field()??, reader.field()?)))
    }
}

/// The records of a batch that is not compressed; else nothing.
pub(crate) fn records(bytes: &[u8], base_offset: i64) -> impl Iterator<Item = Record<'_>> {
    let header = Header::read(bytes);
    let count = if header.compressed() { 0 } else { header.count };
    let mut reader = Reader(&bytes[HEADER_BYTES..]);
    (0..count).map_while(move |_| {
        let record = read_record(&mut reader)?;
        Some(Record {
            offset: base_offset + i64::from(record.offset_delta),
            timestamp: if header.attributes & TIMESTAMP_TYPE_BIT != 0 {
                header.max_timestamp
            } else {
                header.base_timestamp.saturating_add(record.timestamp_delta)
            },
            key: record.key,
            value: record.value,
            header_count: record.header_count,
            headers: record.headers,
        })
    })
}

/// Writes what the leader sets: base offset and leader epoch, which the checksum does not cover.
pub(crate) fn stamp(bytes: &mut [u8], base_offset: i64, leader_epoch: i32) {
    bytes[..8].copy_from_slice(&base_offset.to_be_bytes());
    bytes[12..16].copy_from_slice(&leader_epoch.to_be_bytes());
}

/// Writes the time of the append as the batch's timestamp, and its checksum anew.
pub(crate) fn stamp_append_time(bytes: &mut [u8], attributes: i16, now_ms: i64) {
    let attributes = attributes | TIMESTAMP_TYPE_BIT;
    bytes[ATTRIBUTES_AT..ATTRIBUTES_AT + 2].copy_from_slice(&attributes.to_be_bytes());
    bytes[35..43].copy_from_slice(&now_ms.to_be_bytes());
    let crc = crc32c::crc32c(&bytes[ATTRIBUTES_AT..]);
    bytes[CRC_AT..ATTRIBUTES_AT].copy_from_slice(&crc.to_be_bytes());
}
