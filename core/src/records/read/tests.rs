extern crate std;

use super::*;
use crate::records::crc32c::{crc32c, crc32c_append};
use crate::records::{Fields, Header, Sealing, append, seal};
use std::format;
use std::string::ToString;
use std::vec;
use std::vec::Vec;

const HEADERS: [Header<'_>; 2] = [Header { key: "h", value: Some(b"x") }, Header { key: "h", value: None }];

/// Where the records are: the first one has 7 bytes and its length, the second one 15 and its length, headers and all.
const FIRST: usize = HEADER_BYTES;
const SECOND: usize = FIRST + 8;
const END: usize = SECOND + 16;

/// A batch of two records with base offset 100.
fn batch() -> Vec<u8> {
    let mut bytes = vec![0u8; 128];
    let first = Fields { key: None, value: Some(b"v"), headers: &[], timestamp_delta: 5 };
    let second = Fields { key: Some(b"k"), value: None, headers: &HEADERS, timestamp_delta: -200 };
    let at = append(&mut bytes, HEADER_BYTES, 0, &first).unwrap();
    assert_eq!(at, SECOND);
    let at = append(&mut bytes, at, 1, &second).unwrap();
    bytes.truncate(at);
    let sealing = Sealing {
        compression: Compression::None,
        base_timestamp: 1000,
        max_timestamp: 1005,
        producer_id: 5,
        producer_epoch: 6,
        base_sequence: 7,
        records: 2,
    };
    seal(&mut bytes, &sealing, crc32c);
    bytes[..8].copy_from_slice(&100i64.to_be_bytes());
    bytes
}

/// The batch with other bytes at some place, and a checksum that fits.
fn with(at: usize, changed: &[u8]) -> Vec<u8> {
    let mut bytes = batch();
    bytes[at..at + changed.len()].copy_from_slice(changed);
    let crc = crc32c(&bytes[CRC_FROM..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    bytes
}

/// What is wrong with the header.
fn header_fault(at: usize, changed: &[u8]) -> (i64, Fault) {
    match Batch::read(&with(at, changed)) {
        Err(BatchError::Corrupt(corrupt)) => (corrupt.offset, corrupt.fault),
        other => panic!("{:?}", other.map(|batch| batch.header)),
    }
}

/// How many records can be read, and what is wrong with the next one; the same as the batch streams by.
fn record_fault(bytes: &[u8]) -> (usize, i64, Fault) {
    let batch = Batch::read(bytes).unwrap();
    let mut records = batch.records();
    let mut fine = 0;
    let corrupt = loop {
        match records.next().expect("an error") {
            Ok(_) => fine += 1,
            Err(corrupt) => break corrupt,
        }
    };
    assert!(records.next().is_none());

    let mut window = bytes;
    let (header, mut stream) = BatchStream::begin(&mut window, crc32c_append).unwrap();
    assert_eq!(header, batch.header);
    for _ in 0..fine {
        assert!(stream.next(&mut window, crc32c_append).unwrap().is_some());
    }
    assert_eq!(stream.next(&mut window, crc32c_append).map(|_| ()), Err(corrupt.into()));
    (fine, corrupt.offset, corrupt.fault)
}

#[test]
fn everything_is_where_it_was_written() {
    let bytes = batch();
    assert_eq!(bytes.len(), END);
    let batch = Batch::read(&bytes).unwrap();
    let header = batch.header;
    assert_eq!((header.base_offset, header.next_offset(), header.length), (100, 102, END as u32));
    assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence), (5, 6, 7));
    assert_eq!((header.base_timestamp, header.max_timestamp, header.records), (1000, 1005, 2));
    assert!(!header.is_transactional() && !header.is_control() && !header.has_log_append_time());
    assert_eq!(batch.check_crc(crc32c), Ok(()));
    assert_eq!(batch.payload(), &bytes[HEADER_BYTES..]);

    let records: Vec<_> = batch.records().map(Result::unwrap).collect();
    assert_eq!(records.len(), 2);
    assert_eq!((records[0].offset, records[0].timestamp), (100, 1005));
    assert_eq!((records[0].key, records[0].value), (None, Some(&b"v"[..])));
    assert!(records[0].headers.is_empty());
    assert_eq!((records[1].offset, records[1].timestamp), (101, 800));
    assert_eq!((records[1].key, records[1].value), (Some(&b"k"[..]), None));
    assert_eq!((records[1].headers.is_empty(), records[1].headers.len()), (false, 2));
    let headers: Vec<_> = records[1].headers.map(|header| (header.name(), header.value)).collect();
    assert_eq!(headers, [(Some("h"), Some(&b"x"[..])), (Some("h"), None)]);
}

#[test]
fn flags() {
    for (bit, expected) in [(3, [true, false, false]), (4, [false, true, false]), (5, [false, false, true])] {
        let bytes = with(22, &[1 << bit]);
        let batch = Batch::read(&bytes).unwrap();
        let header = batch.header;
        assert_eq!([header.has_log_append_time(), header.is_transactional(), header.is_control()], expected);
        let timestamps: Vec<_> = batch.records().map(|record| record.unwrap().timestamp).collect();
        assert_eq!(timestamps, if bit == 3 { [1005, 1005] } else { [1005, 800] });
    }
}

#[test]
fn what_is_cut_says_how_much_it_needs() {
    let bytes = batch();
    for cut in 0..END {
        let needed = match cut {
            ..17 => 17,
            17..HEADER_BYTES => HEADER_BYTES,
            _ => END,
        };
        assert_eq!(Batch::read(&bytes[..cut]).map(|_| ()), Err(BatchError::Incomplete { needed }));
    }
    // Streamed, a record at a time.
    let mut window = &bytes[..FIRST];
    let (_, stream) = BatchStream::begin(&mut window, crc32c_append).unwrap();
    for cut in FIRST..SECOND {
        let needed = if cut == FIRST { 1 } else { SECOND - FIRST };
        let mut window = &bytes[FIRST..cut];
        let next = { stream }.next(&mut window, crc32c_append).map(|_| ());
        assert_eq!((next, window.len()), (Err(BatchError::Incomplete { needed }), cut - FIRST));
    }
    // Nothing at all is the end, not something cut.
    assert!(matches!(Batches::new(&[]).next(), Ok(None)));
}

#[test]
fn headers_that_lie() {
    assert_eq!(header_fault(16, &[0]), (100, Fault::OldFormat(0)));
    assert_eq!(header_fault(16, &[1]), (100, Fault::OldFormat(1)));
    assert_eq!(header_fault(16, &[3]), (100, Fault::UnknownFormat(3)));
    assert_eq!(header_fault(16, &[0xff]), (100, Fault::UnknownFormat(-1)));
    for length in [48, 0, -1, i32::MIN] {
        assert_eq!(header_fault(8, &length.to_be_bytes()), (100, Fault::BatchLength(length)));
    }
    for offset in [-1, i64::MIN, i64::MAX, i64::MAX - 1] {
        assert_eq!(header_fault(0, &offset.to_be_bytes()), (offset, Fault::Offset));
    }
    assert!(Batch::read(&with(0, &(i64::MAX - 2).to_be_bytes())).is_ok());
    for delta in [-1, i32::MIN] {
        assert_eq!(header_fault(23, &delta.to_be_bytes()), (100, Fault::LastOffsetDelta(delta)));
    }
    for count in [3, i32::MAX, -1, i32::MIN] {
        assert_eq!(header_fault(57, &count.to_be_bytes()), (100, Fault::RecordCount(count)));
    }
    for number in 5..8 {
        assert_eq!(header_fault(22, &[number]), (100, Fault::UnknownCompression(number)));
    }
    // An old message set is shorter than our header, and known for what it is all the same.
    let old = BatchError::Corrupt(Corrupt { offset: 100, fault: Fault::OldFormat(1) });
    assert_eq!(Batch::read(&with(16, &[1])[..34]).map(|_| ()), Err(old));
    let text =
        "at offset 100: a message set of magic 1, from before Kafka 0.11: only record batches of magic 2 are read";
    assert_eq!(old.to_string(), text);
}

#[test]
fn lengths_that_lie() {
    // The batch claims less than it has: the second record is cut, and the rest is no batch.
    let mut bytes = batch();
    bytes[8..12].copy_from_slice(&(SECOND as i32 - 12 + 2).to_be_bytes());
    assert_eq!(record_fault(&bytes), (1, 101, Fault::RecordLength(15)));
    // Or more: it is waited for.
    bytes[8..12].copy_from_slice(&i32::MAX.to_be_bytes());
    let needed = i32::MAX as usize + 12;
    assert_eq!(Batch::read(&bytes).map(|_| ()), Err(BatchError::Incomplete { needed }));

    for (length, stored) in [(-1, &[1u8][..]), (64, &[0x80, 1]), (i32::MIN, &[0xff, 0xff, 0xff, 0xff, 0x0f])] {
        assert_eq!(record_fault(&with(FIRST, stored)), (0, 100, Fault::RecordLength(length)));
    }
    // More than 32 bits.
    assert_eq!(record_fault(&with(FIRST, &[0xff; 5])), (0, 100, Fault::RecordLength(-1)));
    // Too short for what is in it, and for anything.
    assert_eq!(record_fault(&with(FIRST, &[10])), (0, 100, Fault::Malformed(Part::Value)));
    assert_eq!(record_fault(&with(FIRST, &[0])), (0, 100, Fault::Malformed(Part::Attributes)));
    // Too long for it.
    assert_eq!(record_fault(&with(FIRST, &[16])), (0, 100, Fault::RecordNotOver(1)));
}

#[test]
fn records_that_lie() {
    // Length, attributes, timestamp, offset, key, value, a byte, count of headers.
    let first = |at: usize, byte: u8| record_fault(&with(FIRST + at, &[byte]));
    assert_eq!(first(2, 0x80), (0, 100, Fault::OffsetDelta(-1)));
    assert_eq!(first(3, 1), (0, 100, Fault::OffsetDelta(-1)));
    assert_eq!(first(3, 4), (0, 100, Fault::OffsetDelta(2)));
    assert_eq!(first(3, 2), (1, 102, Fault::OffsetDelta(1)));
    assert_eq!(first(4, 3), (0, 100, Fault::Malformed(Part::Key)));
    assert_eq!(first(4, 100), (0, 100, Fault::Malformed(Part::Key)));
    assert_eq!(first(5, 6), (0, 100, Fault::Malformed(Part::Value)));
    assert_eq!(first(5, 4), (0, 100, Fault::Malformed(Part::HeaderCount)));
    assert_eq!(first(7, 1), (0, 100, Fault::Malformed(Part::HeaderCount)));
    assert_eq!(first(7, 2), (0, 100, Fault::Malformed(Part::HeaderKey)));
    // As many as there can be named: ends with the bytes.
    let many = with(FIRST + 3, &[0, 1, 1, 0xfe, 0x0f]);
    assert_eq!(record_fault(&many), (0, 100, Fault::Malformed(Part::HeaderKey)));

    // The second one: the two bytes of its timestamp, then offset, key, value, headers.
    let second = |at: usize, byte: u8| record_fault(&with(SECOND + at, &[byte]));
    assert_eq!(second(4, 0), (1, 101, Fault::OffsetDelta(0)));
    assert_eq!(second(8, 2), (1, 101, Fault::RecordNotOver(3)));
    assert_eq!(second(8, 6), (1, 101, Fault::Malformed(Part::HeaderKey)));
    assert_eq!(second(9, 1), (1, 101, Fault::Malformed(Part::HeaderKey)));
    assert_eq!(second(11, 99), (1, 101, Fault::Malformed(Part::HeaderValue)));
}

#[test]
fn counts_that_lie() {
    assert_eq!(record_fault(&with(57, &1i32.to_be_bytes())), (1, 101, Fault::BatchNotOver(END as u32 - SECOND as u32)));
    let mut bytes = with(23, &[0, 0, 0, 9, 0, 0]);
    bytes[57..61].copy_from_slice(&10i32.to_be_bytes());
    assert_eq!(record_fault(&bytes), (2, 102, Fault::RecordsMissing(8)));

    // The batch ends within the length of a record.
    for spare in [&[0x80u8][..], &[0xff, 0x80]] {
        let mut bytes = batch();
        bytes.extend_from_slice(spare);
        let length = (bytes.len() - 12) as i32;
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        bytes[23..27].copy_from_slice(&2i32.to_be_bytes());
        bytes[57..61].copy_from_slice(&3i32.to_be_bytes());
        assert_eq!(record_fault(&bytes), (2, 102, Fault::RecordLength(-1)));
    }

    // Nothing left of a batch but its header, which compaction may do.
    let mut empty = with(57, &0i32.to_be_bytes());
    empty.truncate(HEADER_BYTES);
    empty[8..12].copy_from_slice(&(HEADER_BYTES as i32 - 12).to_be_bytes());
    let crc = crc32c(&empty[CRC_FROM..]);
    empty[17..21].copy_from_slice(&crc.to_be_bytes());
    let batch = Batch::read(&empty).unwrap();
    assert_eq!((batch.header.next_offset(), batch.records().count()), (102, 0));
    let mut window = &empty[..];
    let (_, mut stream) = BatchStream::begin(&mut window, crc32c_append).unwrap();
    assert!(stream.next(&mut window, crc32c_append).unwrap().is_none());
}

#[test]
fn offsets_that_go_back() {
    let (mut first, second) = (batch(), batch());
    let mut both = first.clone();
    both.extend_from_slice(&second);
    let mut batches = Batches::new(&both);
    assert!(batches.next().unwrap().is_some());
    let corrupt = Corrupt { offset: 100, fault: Fault::OffsetsGoBack { expected: 102 } };
    assert_eq!(batches.next().map(|_| ()), Err(corrupt.into()));
    assert_eq!(batches.remaining().len(), END);
    assert_eq!(corrupt.to_string(), "at offset 100: a batch where offset 102 or later is due");

    assert_eq!(Batches::behind(102, &second).next().map(|_| ()), Err(corrupt.into()));
    assert!(matches!(Batches::behind(100, &second).next(), Ok(Some(_))));

    first[..8].copy_from_slice(&98i64.to_be_bytes());
    first.extend_from_slice(&second);
    let mut batches = Batches::new(&first);
    assert!(
        batches.next().unwrap().is_some() && batches.next().unwrap().is_some() && batches.next().unwrap().is_none()
    );
}

#[test]
fn a_cursor_goes_on_where_it_was() {
    let bytes = batch();
    let header = BatchHeader::read(&bytes).unwrap();
    let mut cursor = RecordCursor::new(&header, header.records_length());
    assert_eq!((cursor.records_left(), cursor.bytes_left()), (2, END as u32 - FIRST as u32));
    let record = cursor.next(&mut &bytes[FIRST..]).unwrap().unwrap();
    assert_eq!((record.offset, cursor.records_left(), cursor.bytes_left()), (100, 1, END as u32 - SECOND as u32));
    let record = cursor.next(&mut &bytes[SECOND..]).unwrap().unwrap();
    assert_eq!((record.offset, cursor.records_left(), cursor.bytes_left()), (101, 0, 0));
    let mut behind = &bytes[..];
    assert!(cursor.next(&mut behind).unwrap().is_none());
    assert_eq!(behind.len(), END);
}

#[test]
fn faults_have_words_of_their_own() {
    let parts = [
        Part::Attributes,
        Part::Timestamp,
        Part::Offset,
        Part::Key,
        Part::Value,
        Part::HeaderCount,
        Part::HeaderKey,
        Part::HeaderValue,
    ];
    let faults = [
        Fault::OldFormat(1),
        Fault::UnknownFormat(7),
        Fault::BatchLength(-1),
        Fault::Offset,
        Fault::LastOffsetDelta(-1),
        Fault::RecordCount(-1),
        Fault::UnknownCompression(7),
        Fault::Compressed(Compression::Snappy),
        Fault::OffsetsGoBack { expected: 5 },
        Fault::Crc { stored: 1, computed: 2 },
        Fault::RecordLength(-1),
        Fault::OffsetDelta(-1),
        Fault::RecordNotOver(1),
        Fault::RecordsMissing(1),
        Fault::BatchNotOver(1),
        Fault::ControlRecord,
    ];
    let all = faults.into_iter().chain(parts.map(Fault::Malformed));
    let mut words: Vec<_> = all.map(|fault| Corrupt { offset: 9, fault }.to_string()).collect();
    assert!(words.iter().all(|text| text.starts_with("at offset 9: ") && text.len() > 30));
    let many = words.len();
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), many);
    assert_eq!(BatchError::Incomplete { needed: 61 }.to_string(), "it is cut: 61 bytes are needed");
}

#[test]
fn a_wrong_checksum() {
    let mut bytes = batch();
    bytes[SECOND - 2] ^= 1;
    let batch = Batch::read(&bytes).unwrap();
    let (stored, computed) = (batch.header.crc, crc32c(&bytes[CRC_FROM..]));
    let corrupt = Corrupt { offset: 100, fault: Fault::Crc { stored, computed } };
    assert_eq!(batch.check_crc(crc32c), Err(corrupt));
    // As it streams by it comes last.
    let mut window = &bytes[..];
    let (_, mut stream) = BatchStream::begin(&mut window, crc32c_append).unwrap();
    for left in [END - SECOND, 0] {
        assert!(stream.next(&mut window, crc32c_append).unwrap().is_some());
        assert_eq!(stream.bytes_left() as usize, left);
    }
    assert_eq!(stream.next(&mut window, crc32c_append).map(|_| ()), Err(corrupt.into()));
}

#[test]
fn compressed_records_are_not_taken_for_records() {
    let bytes = with(22, &[4]);
    let batch = Batch::read(&bytes).unwrap();
    assert_eq!(batch.check_crc(crc32c), Ok(()));
    let corrupt = Corrupt { offset: 100, fault: Fault::Compressed(Compression::Zstd) };
    let records: Vec<_> = batch.records().map(|record| record.map(|record| record.offset)).collect();
    assert_eq!(records, [Err(corrupt)]);
    let mut window = &bytes[..];
    assert_eq!(BatchStream::begin(&mut window, crc32c_append).map(|_| ()), Err(corrupt.into()));
    assert_eq!(window.len(), END);
    // What they were decompressed to is.
    assert_eq!(Records::new(&batch.header, batch.payload()).filter(Result::is_ok).count(), 2);
}

#[test]
fn markers() {
    let marker = |key: Option<&[u8]>| {
        let mut bytes = [0u8; 80];
        let fields = Fields { key, value: None, headers: &[], timestamp_delta: 0 };
        let end = append(&mut bytes, HEADER_BYTES, 0, &fields).unwrap();
        let sealing = Sealing {
            compression: Compression::None,
            base_timestamp: 0,
            max_timestamp: 0,
            producer_id: 1,
            producer_epoch: 1,
            base_sequence: -1,
            records: 1,
        };
        seal(&mut bytes[..end], &sealing, crc32c);
        Batch::read(&bytes[..end]).unwrap().records().next().unwrap().unwrap().marker()
    };
    assert_eq!(marker(Some(&[0, 0, 0, 0])), Ok(Marker::Abort));
    assert_eq!(marker(Some(&[0, 0, 0, 1])), Ok(Marker::Commit));
    // A version to come, with more behind it.
    assert_eq!(marker(Some(&[0, 1, 0, 1, 9])), Ok(Marker::Commit));
    assert_eq!(marker(Some(&[0, 0, 0, 5])), Ok(Marker::Other(5)));
    let corrupt = Corrupt { offset: 0, fault: Fault::ControlRecord };
    for key in [None, Some(&[][..]), Some(&[0, 0, 0]), Some(&[0xff, 0xff, 0, 1])] {
        assert_eq!(marker(key), Err(corrupt));
    }
    assert_eq!(format!("{corrupt}"), "at offset 0: a control record that does not say what it is");
}
