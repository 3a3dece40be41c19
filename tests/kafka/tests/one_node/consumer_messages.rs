//! What a consumer says and hears, message by message: a real broker takes each version, and its answers are read.

use crate::{kafka_3, kafka_4};
use demitasse_core::protocol::{
    self, ApiKey, ErrorCode, IsolationLevel, TopicItem, TopicReader, api_versions, fetch, find_coordinator,
    list_offsets, metadata, offset_commit, offset_fetch, offset_for_leader_epoch,
};
use demitasse_core::records::Compression;
use demitasse_core::records::crc32c::crc32c;
use demitasse_core::records::read::{Batches, Marker};
use demitasse_core::wire::{ReadError, Skip, Writer};
use demitasse_kafka_tests::{Kafka, enabled, until};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

const GROUP: &str = "messages";
const NEVER: &str = "messages-none";

/// A connection that asks one thing after the other.
struct Talk {
    stream: TcpStream,
    /// Key, lowest version, highest version of the broker's APIs.
    offered: Vec<(i16, i16, i16)>,
}

impl Talk {
    fn new(kafka: &Kafka) -> Talk {
        let stream = TcpStream::connect(kafka.bootstrap()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut talk = Talk { stream, offered: Vec::new() };
        let body = talk.ask(ApiKey::ApiVersions, 3, |writer| api_versions::request(writer, 3));
        let (mut reader, mut window) = (api_versions::ResponseReader::new(3), &body[..]);
        while let Some(item) = reader.next(&mut window).unwrap() {
            if let api_versions::Item::Range { key, min, max } = item {
                talk.offered.push((key, min, max));
            }
        }
        talk
    }

    /// The versions that both sides speak.
    fn versions(&self, key: ApiKey) -> std::ops::RangeInclusive<i16> {
        let (first, last) = protocol::versions(key);
        let (_, min, max) = self.offered.iter().find(|offered| offered.0 == key as i16).unwrap();
        assert!(first.max(*min) <= last.min(*max), "{key:?}: {min} to {max}");
        first.max(*min)..=last.min(*max)
    }

    /// Sends a request; the body of its answer.
    fn ask(&mut self, key: ApiKey, version: i16, body: impl Fn(&mut Writer<'_>)) -> Vec<u8> {
        let write = |mut writer: Writer<'_>| {
            protocol::request_header(&mut writer, key, version, 7, Some(b"test"));
            body(&mut writer);
            protocol::finish_frame(writer)
        };
        let needed = write(Writer::counting()).unwrap_err().needed;
        let mut frame = vec![0; needed];
        write(Writer::new(&mut frame)).unwrap();
        self.stream.write_all(&frame).unwrap();
        let mut length = [0; 4];
        let read = self.stream.read_exact(&mut length);
        read.unwrap_or_else(|e| panic!("{key:?} {version}: the broker does not take it: {e}"));
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer[..4], [0, 0, 0, 7]);
        let mut window = &answer[4..];
        if protocol::response_header_tags(key, version) {
            Skip::tags().feed(&mut window).unwrap();
        }
        window.to_vec()
    }

    fn topic_id(&mut self, topic: &str) -> [u8; 16] {
        let body = self.ask(ApiKey::Metadata, 12, |w| metadata::request(w, 12, 1, [topic].into_iter(), false));
        let (mut reader, mut window) = (metadata::ResponseReader::new(12), &body[..]);
        loop {
            if let metadata::Item::Topic { id, .. } = reader.next(&mut window).unwrap().unwrap() {
                return id;
            }
        }
    }
}

/// Reads a whole body and wants nothing left over; `each` item is shown.
fn items<T>(mut next: impl FnMut(&mut &[u8]) -> Result<Option<T>, ReadError>, mut body: &[u8]) -> Vec<T> {
    let mut items = Vec::new();
    while let Some(item) = next(&mut body).unwrap() {
        items.push(item);
    }
    assert!(body.is_empty(), "{} bytes left over", body.len());
    items
}

/// What a Fetch response said.
#[derive(Default)]
struct Fetched {
    session: i32,
    error: ErrorCode,
    /// By partition: its high watermark, its records, how many aborted transactions it named.
    partitions: BTreeMap<i32, (i64, Vec<u8>, u32)>,
}

fn fetched(version: i16, body: &[u8], topic: &[u8], id: [u8; 16]) -> Fetched {
    let (mut reader, mut window) = (fetch::ResponseReader::new(version), body);
    let (mut fetched, mut current) = (Fetched::default(), -1);
    while let Some(item) = reader.next(&mut window).unwrap() {
        match item {
            fetch::Item::Start { error, session_id, .. } => (fetched.error, fetched.session) = (error, session_id),
            fetch::Item::Topic { name, id: by, .. } => {
                assert_eq!((name, by), if version >= 13 { (&[][..], id) } else { (topic, [0; 16]) });
            }
            fetch::Item::Partition { index, error, high_watermark, .. } => {
                assert_eq!(error, ErrorCode::NONE, "version {version}, partition {index}");
                fetched.partitions.insert(index, (high_watermark, Vec::new(), 0));
                current = index;
            }
            fetch::Item::AbortedTransaction { .. } => fetched.partitions.get_mut(&current).unwrap().2 += 1,
            fetch::Item::Records { length, preferred_read_replica } => {
                let records = reader.take(&mut window);
                assert_eq!((records.len() as u32, preferred_read_replica), (length, -1));
                fetched.partitions.get_mut(&current).unwrap().1 = records.to_vec();
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(window.is_empty());
    fetched
}

fn kcat(kafka: &Kafka, partition: &str, codec: &str, stdin: &[u8]) {
    let mut child = Command::new("kcat")
        .args([
            "-P",
            "-b",
            &kafka.bootstrap(),
            "-t",
            "messages",
            "-p",
            partition,
            "-z",
            codec,
            "-K",
            ":",
            "-H",
            "a=1",
            "-X",
            "linger.ms=500",
        ])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stdin).unwrap();
    assert!(child.wait().unwrap().success());
}

const CODECS: [(&str, Compression); 5] = [
    ("none", Compression::None),
    ("gzip", Compression::Gzip),
    ("snappy", Compression::Snappy),
    ("lz4", Compression::Lz4),
    ("zstd", Compression::Zstd),
];

fn every_message_and_version(kafka: &Kafka) {
    for topic in ["messages", NEVER] {
        kafka.create_topic(topic, 2, 1, &[("compression.type", "producer")]).unwrap();
    }
    let long = "v".repeat(500);
    for (codec, _) in CODECS {
        kcat(kafka, "0", codec, format!("k1:{long}\nk2:{long}\n").as_bytes());
    }
    kcat(kafka, "1", "none", b"k:v\n");
    let mut talk = Talk::new(kafka);
    let id = talk.topic_id("messages");
    assert_ne!(id, [0; 16]);
    for version in talk.versions(ApiKey::Fetch) {
        fetch_in_a_session(&mut talk, version, id);
    }
    positions(&mut talk);
    group(&mut talk);
}

fn settings(session_id: i32, session_epoch: i32) -> fetch::Settings<'static> {
    fetch::Settings {
        max_wait_ms: 100,
        min_bytes: 1,
        max_bytes: 1 << 20,
        isolation_level: IsolationLevel::ReadCommitted,
        session_id,
        session_epoch,
        rack_id: b"rack",
    }
}

fn fetch_in_a_session(talk: &mut Talk, version: i16, id: [u8; 16]) {
    let topic = fetch::Topic { name: b"messages", id };
    let from = |index, fetch_offset| fetch::Partition {
        topic,
        index,
        current_leader_epoch: 0,
        fetch_offset,
        last_fetched_epoch: if fetch_offset > 0 { 0 } else { -1 },
        max_bytes: 1 << 20,
    };
    let mut ask = |session: (i32, i32), partitions: &[fetch::Partition<'_>], forgotten: &[i32]| {
        let settings = settings(session.0, session.1);
        let body = talk.ask(ApiKey::Fetch, version, |w| {
            let forgotten = forgotten.iter().map(|index| (topic, *index));
            fetch::request(w, version, &settings, partitions.iter().copied(), forgotten);
        });
        let fetched = fetched(version, &body, topic.name, id);
        assert_eq!(fetched.error, ErrorCode::NONE);
        fetched
    };
    let first = ask((fetch::NO_SESSION, fetch::NEW_SESSION), &[from(0, 0), from(1, 0)], &[]);
    assert_ne!(first.session, fetch::NO_SESSION);
    assert_eq!(first.partitions.keys().collect::<Vec<_>>(), [&0, &1]);
    assert_eq!((first.partitions[&0].0, first.partitions[&1].0), (10, 1));
    look_at(&first.partitions[&0].1);

    // One partition has moved on, the other one is not wanted any more: there is nothing new.
    let epoch = fetch::next_epoch(fetch::NEW_SESSION);
    let second = ask((first.session, epoch), &[from(0, 10)], &[1]);
    assert_eq!(second.session, first.session);
    assert!(second.partitions.values().all(|partition| partition.1.is_empty()));
    // And then back again, in the same session.
    let third = ask((first.session, fetch::next_epoch(epoch)), &[from(0, 8)], &[]);
    assert_eq!(third.partitions.keys().collect::<Vec<_>>(), [&0]);
    // It ends.
    let last = ask((first.session, fetch::NO_EPOCH), &[from(1, 0)], &[]);
    assert_eq!((last.session, last.partitions.len()), (fetch::NO_SESSION, 1));
}

/// Reads the batches that kcat wrote.
fn look_at(records: &[u8]) {
    let mut batches = Batches::new(records);
    for (at, (_, compression)) in (0i64..).zip(CODECS) {
        let batch = batches.next().unwrap().expect("a batch for each codec");
        let header = &batch.header;
        assert_eq!((header.compression, header.base_offset, header.records), (compression, 2 * at, 2));
        assert_eq!((header.next_offset(), header.leader_epoch), (2 * at + 2, 0));
        assert_eq!(batch.check_crc(crc32c), Ok(()));
        if compression == Compression::None {
            let read: Vec<_> = batch.records().map(Result::unwrap).collect();
            assert_eq!(read.len(), 2);
            for (record, (offset, key)) in read.iter().zip([(0, b"k1"), (1, b"k2")]) {
                assert_eq!((record.offset, record.key, record.value.unwrap().len()), (offset, Some(&key[..]), 500));
                assert!(record.timestamp > 1_600_000_000_000);
                let headers: Vec<_> = record.headers.map(|header| (header.name(), header.value)).collect();
                assert_eq!(headers, [(Some("a"), Some(&b"1"[..]))]);
            }
        } else {
            assert!(batch.payload().len() < 500);
            assert!(batch.records().next().unwrap().is_err());
        }
    }
    assert!(batches.next().unwrap().is_none());
}

/// What there is at which offset, and where an epoch ends.
fn positions(talk: &mut Talk) {
    use list_offsets::{EARLIEST, LATEST, MAX_TIMESTAMP, Partition};
    for version in talk.versions(ApiKey::ListOffsets) {
        let mut offset_of = |timestamp| {
            let of = |topic| Partition { topic, index: 0, current_leader_epoch: 0, timestamp };
            let body = talk.ask(ApiKey::ListOffsets, version, |w| {
                let partitions = [of(b"messages"), of(NEVER.as_bytes())].into_iter();
                list_offsets::request(w, version, IsolationLevel::ReadCommitted, partitions);
            });
            let mut reader = TopicReader::new(ApiKey::ListOffsets, version);
            let found = items(
                |window| {
                    Ok(reader.next(window)?.map(|item| match item {
                        TopicItem::Partition { index, error, offset, .. } => Some((index, error, offset)),
                        _ => None,
                    }))
                },
                &body,
            );
            let found: Vec<_> = found.into_iter().flatten().collect();
            assert!(found.iter().all(|found| (found.0, found.1) == (0, ErrorCode::NONE)), "{found:?}");
            let offsets: Vec<_> = found.iter().map(|found| found.2).collect();
            offsets
        };
        let mut found = vec![offset_of(EARLIEST), offset_of(LATEST), offset_of(0), offset_of(i64::MAX)];
        let mut expected = vec![[0, 0], [10, 0], [0, -1], [-1, -1]];
        if version >= 7 {
            found.push(offset_of(MAX_TIMESTAMP).iter().map(|offset| offset.signum()).collect());
            expected.push([1, -1]);
        }
        // The answer may name the topics in another order.
        found.iter_mut().for_each(|row| row.sort_unstable());
        expected.iter_mut().for_each(|row| row.sort_unstable());
        assert_eq!(found, expected, "version {version}");
    }
    for version in talk.versions(ApiKey::OffsetForLeaderEpoch) {
        let of = |index| offset_for_leader_epoch::Partition {
            topic: b"messages",
            index,
            current_leader_epoch: 0,
            leader_epoch: 0,
        };
        let body = talk.ask(ApiKey::OffsetForLeaderEpoch, version, |w| {
            offset_for_leader_epoch::request(w, version, [of(0), of(1)].into_iter());
        });
        let mut reader = TopicReader::new(ApiKey::OffsetForLeaderEpoch, version);
        let mut read = items(|window| Ok(reader.next(window)?.map(|item| format!("{item:?}"))), &body);
        read.sort_unstable();
        let end = |index, end_offset| {
            let (error, timestamp, offset, leader_epoch) = (ErrorCode::NONE, -1, end_offset, 0);
            format!("{:?}", TopicItem::Partition { index, error, timestamp, offset, leader_epoch })
        };
        assert_eq!(read[..2], [end(0, 10), end(1, 1)], "version {version}");
    }
}

/// A group without members keeps positions.
fn group(talk: &mut Talk) {
    for version in talk.versions(ApiKey::FindCoordinator) {
        let coordinator = until(Duration::from_secs(60), "the group's coordinator", || {
            let body =
                talk.ask(ApiKey::FindCoordinator, version, |w| find_coordinator::request(w, version, GROUP.as_bytes()));
            let mut reader = find_coordinator::ResponseReader::new(version);
            let read = items(
                |window| {
                    Ok(reader.next(window)?.map(|item| match item {
                        find_coordinator::Item::Coordinator { error, node_id, host, port } => {
                            Some((error, node_id, String::from_utf8(host.to_vec()).unwrap(), port))
                        }
                        find_coordinator::Item::Throttle(_) => None,
                    }))
                },
                &body,
            );
            let coordinator = read.into_iter().flatten().next().unwrap();
            (coordinator.0 == ErrorCode::NONE).then_some(coordinator)
        });
        let (_, node, host, port) = coordinator.unwrap();
        assert!(node >= 0 && format!("{host}:{port}") == talk.stream.peer_addr().unwrap().to_string());
    }
    for (version, offset) in talk.versions(ApiKey::OffsetCommit).zip(100i64..) {
        let kept = until(Duration::from_secs(60), "a commit", || {
            let of = |index, metadata| offset_commit::Position {
                topic: b"messages",
                index,
                offset: offset + i64::from(index),
                leader_epoch: 5,
                metadata,
            };
            let body = talk.ask(ApiKey::OffsetCommit, version, |w| {
                offset_commit::request(w, version, GROUP.as_bytes(), [of(0, None), of(1, Some("words"))].into_iter());
            });
            let mut reader = TopicReader::new(ApiKey::OffsetCommit, version);
            let read = items(|window| Ok(reader.next(window)?.map(|item| format!("{item:?}"))), &body);
            (!read.iter().any(|item| item.contains("COORDINATOR"))).then_some(read)
        });
        // A broker answers in what order it likes.
        let mut kept = kept.unwrap();
        kept.sort_unstable();
        let fine = |index| {
            let (error, timestamp, offset, leader_epoch) = (ErrorCode::NONE, -1, -1, -1);
            format!("{:?}", TopicItem::Partition { index, error, timestamp, offset, leader_epoch })
        };
        assert_eq!(kept[..2], [fine(0), fine(1)], "version {version}");
        for version in talk.versions(ApiKey::OffsetFetch) {
            committed(talk, version, offset);
        }
    }
}

fn committed(talk: &mut Talk, version: i16, offset: i64) {
    let show = |item: TopicItem<'_>| format!("{item:?}");
    let position = |index, offset, leader_epoch| {
        show(TopicItem::Partition { index, error: ErrorCode::NONE, timestamp: -1, offset, leader_epoch })
    };
    let mut ask = |named: bool| {
        let body = talk.ask(ApiKey::OffsetFetch, version, |w| {
            if named {
                let partitions = [0, 1, 77].map(|index| (&b"messages"[..], index)).into_iter();
                offset_fetch::request(w, version, GROUP.as_bytes(), true, partitions);
            } else {
                offset_fetch::request_all(w, version, GROUP.as_bytes(), false);
            }
        });
        let mut reader = TopicReader::new(ApiKey::OffsetFetch, version);
        items(|window| Ok(reader.next(window)?.map(show)), &body)
    };
    let sorted = |mut items: Vec<String>| {
        items.sort_unstable();
        items
    };
    let topic = |partitions| show(TopicItem::Topic { name: b"messages", partitions });
    let (first, second) = (position(0, offset, 5), position(1, offset + 1, 5));
    let (start, end) = (show(TopicItem::Throttle(0)), show(TopicItem::Group(ErrorCode::NONE)));
    let all = sorted(vec![start.clone(), topic(2), first.clone(), second.clone(), end.clone()]);
    assert_eq!(sorted(ask(false)), all, "version {version}");
    let named = sorted(vec![start, topic(3), first, second, position(77, -1, -1), end]);
    assert_eq!(sorted(ask(true)), named, "version {version}");
}

/// What Java's producer wrote in a transaction ends with a marker.
fn a_transaction_has_an_end(kafka: &Kafka) {
    kafka.create_topic("transaction", 1, 1, &[]).unwrap();
    let servers = format!("bootstrap.servers={}", kafka.bootstrap());
    let arguments = ["--topic", "transaction", "--num-records", "10", "--record-size", "20", "--throughput", "-1"];
    let more = ["--producer-props", &servers, "--transactional-id", "messages", "--transaction-duration-ms", "60000"];
    let class = "org.apache.kafka.tools.ProducerPerformance";
    kafka.tool(class, &[&arguments[..], &more].concat(), b"").unwrap();

    let mut talk = Talk::new(kafka);
    let settings = settings(fetch::NO_SESSION, fetch::NO_EPOCH);
    let topic = fetch::Topic { name: b"transaction", id: [0; 16] };
    let body = talk.ask(ApiKey::Fetch, 12, |w| {
        let partition = fetch::Partition {
            topic,
            index: 0,
            current_leader_epoch: -1,
            fetch_offset: 0,
            last_fetched_epoch: -1,
            max_bytes: 1 << 20,
        };
        fetch::request(w, 12, &settings, std::iter::once(partition), std::iter::empty());
    });
    let fetched = fetched(12, &body, topic.name, topic.id);
    assert_eq!((fetched.partitions[&0].0, fetched.partitions[&0].2), (11, 0));
    let mut batches = Batches::new(&fetched.partitions[&0].1);
    let (mut records, mut markers, mut producers) = (0, Vec::new(), Vec::new());
    while let Some(batch) = batches.next().unwrap() {
        assert_eq!(batch.check_crc(crc32c), Ok(()));
        assert!(batch.header.is_transactional());
        producers.push(batch.header.producer_id);
        for record in batch.records() {
            let record = record.unwrap();
            if batch.header.is_control() {
                markers.push((record.offset, record.marker().unwrap()));
            } else {
                assert_eq!((record.offset, record.value.unwrap().len()), (records, 20));
                records += 1;
            }
        }
    }
    assert_eq!((records, markers), (10, vec![(10, Marker::Commit)]));
    assert!(producers[0] >= 0 && producers.iter().all(|id| *id == producers[0]));
}

#[test]
fn a_transaction_has_an_end_in_4() {
    if enabled() {
        a_transaction_has_an_end(kafka_4());
    }
}

#[test]
fn every_message_and_version_of_4() {
    if enabled() {
        every_message_and_version(kafka_4());
    }
}

#[test]
fn every_message_and_version_of_3() {
    if enabled() {
        every_message_and_version(kafka_3());
    }
}
