//! The harness itself, with kcat as the producer: what it reads back is what was written.

use crate::{kafka_3, kafka_4};
use demitasse_kafka_tests::{Kafka, enabled};
use std::io::Write;
use std::process::{Command, Stdio};

fn kcat(kafka: &Kafka, arguments: &[&str], stdin: &[u8]) {
    let mut child = Command::new("kcat")
        .args(["-P", "-b", &kafka.bootstrap()])
        .args(arguments)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stdin).unwrap();
    assert!(child.wait().unwrap().success());
}

fn reads_back_what_kcat_wrote(kafka: &Kafka) {
    let topic = "harness";
    kafka.create_topic(topic, 2, 1, &[("compression.type", "producer")]).unwrap();
    assert_eq!(kafka.end_offsets(topic).unwrap(), [0, 0]);
    assert_eq!(kafka.consume(topic).unwrap(), []);

    // A record a chunk between `|`; -Z: what is empty is null.
    let headers = ["-H", "a=1", "-H", "b=\u{e9}"];
    kcat(kafka, &[&["-t", topic, "-p", "1", "-K", ":", "-D", "|"][..], &headers].concat(), b"k1:line\nline|k2:");
    kcat(kafka, &["-t", topic, "-p", "1", "-K", ":", "-D", "|", "-Z"], b"k3:|:v4");
    assert_eq!(kafka.end_offsets(topic).unwrap(), [0, 4]);

    let records = kafka.consume(topic).unwrap();
    let seen: Vec<_> = records.iter().map(|r| (r.partition, r.offset, r.key.as_deref(), r.value.as_deref())).collect();
    let expected = [
        (1, 0, Some(&b"k1"[..]), Some(&b"line\nline"[..])),
        (1, 1, Some(b"k2"), Some(b"")),
        (1, 2, Some(b"k3"), None),
        (1, 3, None, Some(b"v4")),
    ];
    assert_eq!(seen, expected);
    assert_eq!(records[0].headers, "a=1,b=\u{e9}".as_bytes());
    assert_eq!(records[3].headers, b"");
    assert!(records.iter().all(|r| r.timestamp > 1_600_000_000_000));
}

#[test]
fn reads_back_what_kcat_wrote_to_4() {
    if enabled() {
        reads_back_what_kcat_wrote(kafka_4());
    }
}

#[test]
fn reads_back_what_kcat_wrote_to_3() {
    if enabled() {
        reads_back_what_kcat_wrote(kafka_3());
    }
}

#[test]
fn a_topic_that_cannot_be_made_is_an_error_in_words() {
    if enabled() {
        let error = kafka_4().create_topic("no such name!", 1, 1, &[]).unwrap_err().to_string();
        assert!(error.contains("broker error 17"), "{error}");
    }
}
