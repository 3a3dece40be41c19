//! Reads record batches in every way that there is, and checks on the way what holds for any bytes.

use demitasse_core::records::crc32c::{crc32c, crc32c_append};
use demitasse_core::records::read::{
    Batch, BatchError, BatchHeader, BatchStream, Batches, Corrupt, Fault, Record, RecordHeader, Records,
};
use demitasse_core::records::{Compression, HEADER_BYTES};

/// A batch that was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BatchRead {
    /// Its header.
    pub header: BatchHeader,
    /// Whether its checksum is right.
    pub crc: Result<(), Corrupt>,
    /// Its records, shown.
    pub records: Vec<String>,
    /// How they ended.
    pub end: Result<(), Corrupt>,
}

/// A record, shown with its headers.
pub fn show_record(record: &Record<'_>) -> String {
    let headers: Vec<RecordHeader<'_>> = record.headers.collect();
    assert_eq!(headers.len(), record.headers.len());
    assert_eq!(headers.is_empty(), record.headers.is_empty());
    let Record { offset, timestamp, key, value, .. } = record;
    format!("{offset} {timestamp} {key:?} {value:?} {headers:?}")
}

/// The records of a batch with this header, shown, and how they ended.
pub fn read_records(header: &BatchHeader, records: Records<'_>) -> (Vec<String>, Result<(), Corrupt>) {
    let (mut shown, mut next) = (Vec::new(), header.base_offset);
    let mut rest = records;
    for record in rest.by_ref() {
        match record {
            Ok(record) => {
                assert!((next..header.next_offset()).contains(&record.offset), "offset {}", record.offset);
                next = record.offset + 1;
                // Any record may be asked what it marks.
                let _ = record.marker();
                shown.push(show_record(&record));
            }
            Err(corrupt) => {
                assert!(rest.next().is_none(), "more comes behind an error");
                return (shown, Err(corrupt));
            }
        }
    }
    assert_eq!(shown.len(), header.records as usize);
    (shown, Ok(()))
}

/// Reads the batches in `bytes`, and the records of those that are not compressed.
pub fn read_batches(bytes: &[u8]) -> (Vec<BatchRead>, Result<(), BatchError>) {
    let (mut batches, mut read) = (Batches::new(bytes), Vec::<BatchRead>::new());
    loop {
        let rest = batches.remaining();
        match batches.next() {
            Ok(None) => return (read, Ok(())),
            Ok(Some(batch)) => {
                let header = batch.header;
                let of = &rest[..rest.len() - batches.remaining().len()];
                assert_eq!(of.len(), header.length as usize);
                assert!(read.last().is_none_or(|last| last.header.next_offset() <= header.base_offset));
                assert_eq!(batch.payload(), &of[HEADER_BYTES..]);
                let (records, end) = read_records(&header, batch.records());
                read.push(BatchRead { header, crc: batch.check_crc(crc32c), records, end });
                compare_with_stream(of, read.last().expect("just pushed"));
            }
            Err(error) => {
                if let BatchError::Incomplete { needed } = error {
                    assert!(needed > rest.len(), "{needed} bytes are there");
                }
                assert_eq!(batches.remaining(), rest);
                return (read, Err(error));
            }
        }
    }
}

/// The same batch as it streams by says the same, but for the checksum, which comes last.
fn compare_with_stream(bytes: &[u8], read: &BatchRead) {
    let compressed = read.header.compression != Compression::None;
    let expected = match (read.end, read.crc) {
        _ if compressed => Err(Fault::Compressed(read.header.compression)),
        (Err(corrupt), _) | (Ok(()), Err(corrupt)) => Err(corrupt.fault),
        (Ok(()), Ok(())) => Ok(()),
    };
    for step in [1, 5, bytes.len()] {
        let (records, end) = stream_batch(bytes, step);
        assert_eq!((&records, end.map_err(|corrupt| corrupt.fault)), (&read.records, expected));
    }
}

/// Reads one batch of which `step` more bytes arrive each time.
pub fn stream_batch(bytes: &[u8], step: usize) -> (Vec<String>, Result<(), Corrupt>) {
    let (mut at, mut there, mut records) = (0, 0, Vec::new());
    let mut stream: Option<BatchStream> = None;
    loop {
        let mut window = &bytes[at..there];
        let result = match &mut stream {
            None => BatchStream::begin(&mut window, crc32c_append).map(|(_, begun)| {
                stream = Some(begun);
                true
            }),
            Some(stream) => stream.next(&mut window, crc32c_append).map(|record| {
                records.extend(record.as_ref().map(show_record));
                record.is_some()
            }),
        };
        let waiting = window.len();
        match result {
            Ok(true) => {
                at = there - waiting;
                assert_eq!(stream.map(|stream| stream.bytes_left()), Some((bytes.len() - at) as u32));
            }
            Ok(false) => return (records, Ok(())),
            Err(BatchError::Incomplete { needed }) => {
                assert_eq!(waiting, there - at, "something was consumed");
                assert!(needed > waiting && there < bytes.len(), "{needed} bytes are needed, {waiting} are there");
                there = (there + step).min(bytes.len());
            }
            Err(BatchError::Corrupt(corrupt)) => return (records, Err(corrupt)),
        }
    }
}

/// Every way to read any bytes as batches: each says the same, and ends.
pub fn batches_of_anything(bytes: &[u8]) {
    let (whole, end) = read_batches(bytes);
    // Not without end on the strength of a count alone.
    let records: usize = whole.iter().map(|batch| batch.records.len()).sum();
    assert!(whole.len() <= bytes.len() / HEADER_BYTES && records <= bytes.len() / 7);
    for cut in 0..bytes.len() {
        let part = Batch::read(&bytes[..cut]).map(|batch| batch.header);
        let full = Batch::read(bytes).map(|batch| batch.header);
        assert!(part == full || matches!(part, Err(BatchError::Incomplete { needed }) if needed > cut));
    }
    if let Err(BatchError::Corrupt(corrupt)) = end {
        assert!(!corrupt.to_string().is_empty());
    }
}
