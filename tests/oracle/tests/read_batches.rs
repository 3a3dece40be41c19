//! Record batches written by `kafka-protocol`, and by demitasse itself, read by demitasse.

mod common;

use bytes::{BufMut, Bytes, BytesMut};
use common::for_versions;
use common::given::{Given, record};
use demitasse_core::records::crc32c::crc32c;
use demitasse_core::records::read::{Batch, BatchError, Batches, Corrupt, Fault, Marker, Records};
use demitasse_core::records::{Compression, HEADER_BYTES, Sealing, append, encoded_length, seal};
use demitasse_oracle_tests::batches::{BatchRead, batches_of_anything, read_batches, read_records};
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{Compression as Codec, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType};
use proptest::collection::vec;
use proptest::prelude::*;

/// What a batch has besides its records.
#[derive(Clone, Copy, Debug)]
struct Frame {
    transactional: bool,
    control: bool,
    delete_horizon: bool,
    append_time: bool,
    leader_epoch: i32,
    producer: (i64, i16, i32),
    base_timestamp: i64,
    /// Offsets between it and the batch in front of it.
    gap: i64,
}

prop_compose! {
    fn frame()(
        flags in any::<[bool; 4]>(),
        leader_epoch in any::<i32>(),
        producer in (any::<i64>(), any::<i16>(), 0i32..1 << 30),
        base_timestamp in -1i64..1 << 42,
        gap in prop_oneof![2 => Just(0i64), 1 => 0i64..1 << 40],
    ) -> Frame {
        let [transactional, control, delete_horizon, append_time] = flags;
        Frame { transactional, control, delete_horizon, append_time, leader_epoch, producer, base_timestamp, gap }
    }
}

/// Records with the offsets that compaction may have left between each and the one before it.
type Row = Vec<(Given, u8)>;

fn row(least: usize) -> impl Strategy<Value = Row> {
    let gap = prop_oneof![3 => Just(0u8), 1 => any::<u8>()];
    vec((record(), gap), least..8)
}

/// The records of a batch as the oracle has them.
fn oracle_records(frame: &Frame, row: &Row, mut offset: i64) -> Vec<Record> {
    let base = offset;
    let record = |(given, gap): &(Given, u8)| {
        offset += if offset == base { 0 } else { i64::from(*gap) };
        let record = Record {
            transactional: frame.transactional,
            control: frame.control,
            delete_horizon: frame.delete_horizon,
            partition_leader_epoch: frame.leader_epoch,
            producer_id: frame.producer.0,
            producer_epoch: frame.producer.1,
            timestamp_type: TimestampType::Creation,
            offset,
            // The oracle begins another batch where offsets and sequences are not in step.
            sequence: frame.producer.2.wrapping_add((offset - base) as i32),
            timestamp: frame.base_timestamp + given.timestamp_delta,
            key: given.key.clone().map(Bytes::from),
            value: given.value.clone().map(Bytes::from),
            headers: given.headers.iter().map(|(key, value)| (key.clone(), value.clone().map(Bytes::from))).collect(),
        };
        offset += 1;
        record
    };
    row.iter().map(record).collect()
}

const PLAIN: RecordEncodeOptions = RecordEncodeOptions { version: 2, compression: Codec::None };

/// The bytes of one batch.
fn written(frame: &Frame, records: &[Record]) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    RecordBatchEncoder::encode(&mut bytes, records, &PLAIN).expect("the oracle writes what it was given");
    let mut bytes = bytes.to_vec();
    if frame.append_time {
        // Which the oracle does not write.
        bytes[22] |= 1 << 3;
        let crc = ::crc32c::crc32c(&bytes[21..]);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    }
    bytes
}

fn shown(record: &Record, timestamp: i64) -> String {
    let headers: Vec<_> = (record.headers.iter())
        .map(|(key, value)| demitasse_core::records::read::RecordHeader {
            key: key.as_bytes(),
            value: value.as_deref(),
        })
        .collect();
    format!("{} {timestamp} {:?} {:?} {headers:?}", record.offset, record.key.as_deref(), record.value.as_deref())
}

/// Compares a batch with what the oracle was given.
fn compare(frame: &Frame, records: &[Record], read: &BatchRead) {
    let header = &read.header;
    let (first, last) = (records.first().expect("one"), records.last().expect("one"));
    let timestamps = || records.iter().map(|record| record.timestamp);
    assert_eq!((read.crc, read.end), (Ok(()), Ok(())));
    assert_eq!((header.base_offset, header.next_offset()), (first.offset, last.offset + 1));
    assert_eq!((header.leader_epoch, header.compression), (frame.leader_epoch, Compression::None));
    assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence), frame.producer);
    assert_eq!(header.is_transactional(), frame.transactional);
    assert_eq!(header.is_control(), frame.control);
    assert_eq!(header.has_log_append_time(), frame.append_time);
    assert_eq!(header.attributes & 1 << 6 != 0, frame.delete_horizon);
    assert_eq!(Some(header.base_timestamp), timestamps().min());
    assert_eq!(Some(header.max_timestamp), timestamps().max());
    let timestamp = |record: &Record| if frame.append_time { header.max_timestamp } else { record.timestamp };
    let expected: Vec<_> = records.iter().map(|record| shown(record, timestamp(record))).collect();
    assert_eq!(read.records, expected);
}

#[test]
fn batches_of_the_oracle() {
    for_versions(
        (2, 2),
        |_| vec((frame(), row(1)), 1..4),
        |_, given| {
            let (mut bytes, mut all, mut ends, mut offset) = (Vec::new(), Vec::new(), vec![0], 0);
            for (frame, row) in &given {
                let records = oracle_records(frame, row, offset + frame.gap);
                offset = records.last().expect("one").offset + 1;
                bytes.extend(written(frame, &records));
                ends.push(bytes.len());
                all.push((frame, records));
            }
            let (read, end) = read_batches(&bytes);
            assert_eq!((read.len(), end), (all.len(), Ok(())));
            for ((frame, records), read) in all.iter().zip(&read) {
                compare(frame, records, read);
            }

            // Cut anywhere, and told how much is missing.
            let step = bytes.len() / 600 + 1;
            for cut in (0..bytes.len()).step_by(step) {
                let mut batches = Batches::new(&bytes[..cut]);
                let whole = ends.iter().filter(|end| (1..=cut).contains(*end)).count();
                for read in &read[..whole] {
                    assert_eq!(batches.next().map(|batch| batch.map(|batch| batch.header)), Ok(Some(read.header)));
                }
                let (start, next) = (ends[whole], ends[whole + 1]);
                assert_eq!(batches.remaining(), &bytes[start..cut]);
                let needed = match cut - start {
                    0 => {
                        assert!(matches!(batches.next(), Ok(None)));
                        continue;
                    }
                    1..17 => 17,
                    17..HEADER_BYTES => HEADER_BYTES,
                    _ => next - start,
                };
                assert_eq!(batches.next().map(|_| ()), Err(BatchError::Incomplete { needed }));
            }
        },
    );
}

#[test]
fn compressed_batches_hand_out_their_payload() {
    // Not any codec's: the bytes backwards, which is enough to see who is asked for what.
    let backwards = |records: &mut BytesMut, place: &mut BytesMut, _: Codec| {
        records.iter().rev().for_each(|byte| place.put_u8(*byte));
        Ok(())
    };
    let codecs = [
        (Codec::Gzip, Compression::Gzip),
        (Codec::Snappy, Compression::Snappy),
        (Codec::Lz4, Compression::Lz4),
        (Codec::Zstd, Compression::Zstd),
    ];
    for_versions(
        (2, 2),
        |_| (frame(), row(1), 0..codecs.len()),
        |_, (frame, row, codec)| {
            let (codec, expected) = codecs[codec];
            let records = oracle_records(&Frame { append_time: false, ..frame }, &row, frame.gap);
            let mut bytes = BytesMut::new();
            let options = RecordEncodeOptions { version: 2, compression: codec };
            RecordBatchEncoder::encode_with_custom_compression(&mut bytes, &records, &options, Some(backwards))
                .expect("the oracle writes what it was given");
            let batch = Batch::read(&bytes).expect("a batch");
            assert_eq!(batch.check_crc(::crc32c::crc32c), Ok(()));
            let refused = Corrupt { offset: frame.gap, fault: Fault::Compressed(expected) };
            assert_eq!(read_records(&batch.header, batch.records()), (vec![], Err(refused)));
            batches_of_anything(&bytes);

            let payload: Vec<u8> = batch.payload().iter().rev().copied().collect();
            let (read, end) = read_records(&batch.header, Records::new(&batch.header, &payload));
            let expected: Vec<_> = records.iter().map(|record| shown(record, record.timestamp)).collect();
            assert_eq!((read, end), (expected, Ok(())));
        },
    );
}

#[test]
fn our_own_batches() {
    for_versions(
        (2, 2),
        |_| (row(1), frame()),
        |_, (row, frame)| {
            let lengths = (0..).zip(&row).map(|(index, (given, _))| given.with(|of| encoded_length(index, of)));
            let mut bytes = vec![0; HEADER_BYTES + lengths.sum::<usize>()];
            let mut at = HEADER_BYTES;
            for (index, (given, _)) in (0..).zip(&row) {
                at = given.with(|of| append(&mut bytes, at, index, of)).expect("room");
            }
            let sealing = Sealing {
                compression: Compression::None,
                base_timestamp: frame.base_timestamp,
                max_timestamp: frame.base_timestamp,
                producer_id: frame.producer.0,
                producer_epoch: frame.producer.1,
                base_sequence: frame.producer.2,
                records: row.len() as u32,
            };
            seal(&mut bytes, &sealing, crc32c);
            let (read, end) = read_batches(&bytes);
            assert_eq!((read.len(), end), (1, Ok(())));
            let frame = Frame { transactional: false, control: false, ..frame };
            let row = row.into_iter().map(|(given, _)| (given, 0)).collect();
            let records = oracle_records(&frame, &row, 0);
            let expected: Vec<_> = records.iter().map(|record| shown(record, record.timestamp)).collect();
            assert_eq!((&read[0].records, read[0].crc, read[0].end), (&expected, Ok(()), Ok(())));
            assert_eq!((read[0].header.leader_epoch, read[0].header.base_sequence), (-1, frame.producer.2));
        },
    );
}

/// A few batches with a bit of everything in them, none large.
fn some_batches() -> Vec<u8> {
    let header = |key: &'static str, value| (StrBytes::from_static_str(key), value);
    let given = |key: Option<&str>, headers| Given {
        key: key.map(|key| key.as_bytes().to_vec()),
        value: Some(b"value".to_vec()),
        headers,
        timestamp_delta: 70,
    };
    let first = vec![
        (given(Some("key"), vec![header("a", None), header("b", Some(b"x".to_vec()))]), 0),
        (given(None, vec![]), 3),
    ];
    let frame = Frame {
        transactional: true,
        control: false,
        delete_horizon: false,
        append_time: false,
        leader_epoch: 4,
        producer: (5, 6, 7),
        base_timestamp: 1 << 40,
        gap: 0,
    };
    let mut bytes = written(&frame, &oracle_records(&frame, &first, 100));
    let marker = Given { key: Some(vec![0, 0, 0, 1]), ..given(None, vec![]) };
    let control = Frame { control: true, ..frame };
    bytes.extend(written(&control, &oracle_records(&control, &vec![(marker, 0)], 300)));
    bytes
}

#[test]
fn any_byte_changed() {
    let bytes = some_batches();
    let (read, _) = read_batches(&bytes);
    let second = read[0].header.length as usize;
    for at in 0..bytes.len() {
        for change in [0, 1, 2, 0x7f, 0x80, 0xff, bytes[at] ^ 1, bytes[at] ^ 0x80, bytes[at].wrapping_add(1)] {
            let mut changed = bytes.clone();
            changed[at] = change;
            batches_of_anything(&changed);
            let within = if at < second { at } else { at - second };
            if change != bytes[at] && within >= 17 {
                // The checksum notices, or the header makes no sense to begin with.
                let (read, end) = read_batches(&changed);
                assert!(end.is_err() || read.iter().any(|batch| batch.crc.is_err()), "{at}: {change}");
            }
        }
    }
}

#[test]
fn markers() {
    let bytes = some_batches();
    let mut batches = Batches::new(&bytes);
    batches.next().expect("a batch");
    let batch = batches.next().expect("a batch").expect("two of them");
    assert!(batch.header.is_control());
    let marks: Vec<_> = batch.records().map(|record| record.expect("a record").marker()).collect();
    assert_eq!(marks, [Ok(Marker::Commit)]);
}
