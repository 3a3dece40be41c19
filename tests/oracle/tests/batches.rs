//! Record batches written by demitasse, decoded by `kafka-protocol`; checksums by the `crc32c` crate.

mod common;

use bytes::Bytes;
use common::for_versions;
use common::given::record;
use demitasse_core::records::crc32c::{Crc32c, crc32c, crc32c_large, crc32c_small};
use demitasse_core::records::{HEADER_BYTES, Sealing, append, encoded_length, max_record_overhead, seal};
use kafka_protocol::records::{Compression, RecordBatchDecoder, TimestampType};
use proptest::collection::vec;
use proptest::prelude::*;

#[test]
fn batches() {
    for_versions(
        (2, 2),
        |_| {
            let sealing = (0..1i64 << 42, any::<i64>(), -1i64.., -1i16.., -1..i32::MAX - 1000);
            (vec(record(), 1..40), sealing, 0..3usize)
        },
        |_, (records, (base_timestamp, max_timestamp, producer_id, producer_epoch, base_sequence), spare)| {
            let needed = (0..).zip(&records).map(|(i, r)| r.with(|f| encoded_length(i, f))).sum::<usize>();
            let mut batch = vec![0xa5; HEADER_BYTES + needed + spare];
            let mut at = HEADER_BYTES;
            for (index, record) in (0..).zip(&records) {
                record.with(|fields| {
                    let end = at + encoded_length(index, fields);
                    // Not by a byte, and without touching what is there.
                    let before = batch[..at].to_vec();
                    assert_eq!(append(&mut batch[..end - 1], at, index, fields), None);
                    assert_eq!(append(&mut batch[..at], at, index, fields), None);
                    assert_eq!(batch[..at], before);
                    assert_eq!(append(&mut batch, at, index, fields), Some(end));
                    let content = fields.key.map_or(0, <[u8]>::len)
                        + fields.value.map_or(0, <[u8]>::len)
                        + fields.headers.iter().map(|h| h.key.len() + h.value.map_or(0, <[u8]>::len)).sum::<usize>();
                    assert!(end - at <= content + max_record_overhead(fields.headers.len()));
                    at = end;
                });
            }
            assert_eq!(at, HEADER_BYTES + needed);
            batch.truncate(at);
            let sealing = Sealing {
                compression: demitasse_core::records::Compression::None,
                base_timestamp,
                max_timestamp,
                producer_id,
                producer_epoch,
                base_sequence,
                records: records.len() as u32,
            };
            seal(&mut batch, &sealing, crc32c);
            assert_eq!(batch[17..21], ::crc32c::crc32c(&batch[21..]).to_be_bytes());
            assert_eq!(batch[35..43], max_timestamp.to_be_bytes());
            assert_eq!(batch[23..27], (records.len() as i32 - 1).to_be_bytes());

            let mut bytes = Bytes::from(batch);
            let read = RecordBatchDecoder::decode(&mut bytes).expect("a batch");
            assert!(bytes.is_empty());
            assert_eq!((read.version, read.compression), (2, Compression::None));
            assert_eq!(read.records.len(), records.len());
            for ((index, given), read) in (0i64..).zip(&records).zip(&read.records) {
                assert!(!read.transactional && !read.control && !read.delete_horizon);
                assert_eq!((read.offset, read.partition_leader_epoch), (index, -1));
                assert_eq!(read.timestamp_type, TimestampType::Creation);
                assert_eq!(read.timestamp, base_timestamp + given.timestamp_delta);
                assert_eq!((read.producer_id, read.producer_epoch), (producer_id, producer_epoch));
                assert_eq!(read.sequence, base_sequence + index as i32);
                assert_eq!(read.key.as_deref(), given.key.as_deref());
                assert_eq!(read.value.as_deref(), given.value.as_deref());
                let headers: Vec<_> = read.headers.iter().map(|(k, v)| (k.as_str(), v.as_deref())).collect();
                let expected: Vec<_> = given.headers.iter().map(|(k, v)| (k.as_str(), v.as_deref())).collect();
                assert_eq!(headers, expected);
            }
        },
    );
}

#[test]
fn checksums() {
    for_versions(
        (0, 0),
        |_| vec((vec(any::<u8>(), 0..2000), 0..2000usize), 16),
        |_, inputs| {
            for (bytes, cut) in inputs {
                let expected = ::crc32c::crc32c(&bytes);
                assert_eq!(crc32c_small(&bytes), expected);
                assert_eq!(crc32c_large(&bytes), expected);
                let (head, tail) = bytes.split_at(cut.min(bytes.len()));
                let mut crc = Crc32c::new();
                crc.update(head);
                crc.update(tail);
                assert_eq!(crc.value(), expected);
            }
        },
    );
}
