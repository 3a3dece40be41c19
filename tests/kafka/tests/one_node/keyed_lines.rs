//! `demitasse produce` with keys: the same bytes, each once, in order, in the partition that Java would choose, at
//! the offset that it reports.

use crate::common::{Line, assert_all_acknowledged, assert_same, input};
use crate::{kafka_3, kafka_4};
use demitasse_kafka_tests::{Demitasse, Kafka, Record, enabled};
use std::collections::HashMap;
use std::time::Duration;

const LINES: usize = 10_000;
const KEYS: usize = 500;

fn key(number: usize) -> String {
    match number % 5 {
        0 => format!("key-{number}"),
        1 => format!("ключ {number}"),
        2 => format!("\u{1f511}{number}"),
        3 => format!("{number}"),
        // Long enough for every tail of murmur2's 4-byte steps to be seen with the others.
        _ => format!("{number}{}", "x".repeat(number % 97)),
    }
}

fn lines() -> Vec<Line> {
    let value = |i: usize| match i % 5 {
        // Empty, once a key: lines must differ, or an order cannot be told.
        _ if i < KEYS => String::new(),
        0 => format!("{i} \t the separator again"),
        1 => format!("{i} héllo wörld \u{1f30d}"),
        2 => format!("{i} {}", "long ".repeat(i % 200)),
        3 => format!(" {i} \"quoted\" \\n "),
        _ => i.to_string(),
    };
    (0..LINES).map(|i| Line { key: key(i % KEYS), value: value(i) }).collect()
}

fn arrive_as_they_were_written(kafka: &Kafka) {
    let topic = "keyed";
    kafka.create_topic(topic, 4, 1, &[]).unwrap();
    let lines = lines();
    let bootstrap = kafka.bootstrap();
    let arguments =
        ["produce", "--bootstrap", &bootstrap, "--topic", topic, "--key-separator", "\t", "--report", "--json"];
    let run = Demitasse::run(&arguments, &input(&lines), Duration::from_secs(60)).unwrap();
    assert_all_acknowledged(&run, LINES);

    let records = kafka.consume(topic).unwrap();
    assert_same(&lines, &records);

    let by_place: HashMap<(i32, i64), &Record> = records.iter().map(|r| ((r.partition, r.offset), r)).collect();
    let reports: Vec<_> = run.stdout.lines().filter(|line| !line.trim().is_empty()).collect();
    assert_eq!(reports.len(), LINES + 1, "a report a line, and the summary");
    for (line, report) in lines.iter().zip(&reports) {
        let place = report.split_once(' ').and_then(|(p, o)| Some((p.parse().ok()?, o.parse().ok()?)));
        let place = place.unwrap_or_else(|| panic!("not `partition offset`: {report:?}"));
        let record = by_place.get(&place).unwrap_or_else(|| panic!("nothing is at the reported place {report}"));
        assert_eq!(record.key.as_deref(), Some(line.key.as_bytes()), "at the reported place {report}");
        assert_eq!(record.value.as_deref(), Some(line.value.as_bytes()), "at the reported place {report}");
    }
}

#[test]
fn keyed_lines_arrive_as_they_were_written_at_4() {
    if enabled() {
        arrive_as_they_were_written(kafka_4());
    }
}

#[test]
fn keyed_lines_arrive_as_they_were_written_at_3() {
    if enabled() {
        arrive_as_they_were_written(kafka_3());
    }
}

#[test]
fn a_key_goes_where_the_java_client_puts_it() {
    if !enabled() {
        return;
    }
    let kafka = kafka_4();
    let bootstrap = kafka.bootstrap();
    let lines: Vec<_> = (0..KEYS).map(|i| Line { key: key(i), value: i.to_string() }).collect();
    let lines = input(&lines);
    for topic in ["keys-of-java", "keys-of-demitasse"] {
        kafka.create_topic(topic, 7, 1, &[]).unwrap();
    }
    let arguments = ["--bootstrap-server", &bootstrap, "--topic", "keys-of-java"];
    let reader = ["--reader-property", "parse.key=true", "--reader-property", "key.separator=\t"];
    kafka.tool("org.apache.kafka.tools.ConsoleProducer", &[arguments, reader].concat(), &lines).unwrap();
    let arguments = ["produce", "--bootstrap", &bootstrap, "--topic", "keys-of-demitasse", "--key-separator", "\t"];
    let run = Demitasse::run(&arguments, &lines, Duration::from_secs(60)).unwrap();
    assert_eq!(run.code, Some(0), "{run:?}");

    let partitions = |topic| -> HashMap<Vec<u8>, i32> {
        kafka.consume(topic).unwrap().into_iter().map(|r| (r.key.expect("a key"), r.partition)).collect()
    };
    let (java, ours) = (partitions("keys-of-java"), partitions("keys-of-demitasse"));
    assert_eq!(java.len(), KEYS);
    assert_eq!(ours, java);
}

#[test]
fn a_named_partition_takes_all() {
    if !enabled() {
        return;
    }
    let kafka = kafka_4();
    kafka.create_topic("named", 4, 1, &[]).unwrap();
    let bootstrap = kafka.bootstrap();
    let arguments = ["produce", "--bootstrap", &bootstrap, "--topic", "named", "--partition", "2", "--json"];
    let run = Demitasse::run(&arguments, b"one\n\nthree\n", Duration::from_secs(60)).unwrap();
    assert_all_acknowledged(&run, 3);
    let records = kafka.consume("named").unwrap();
    let values: Vec<_> = records.iter().map(|r| (r.partition, r.key.as_deref(), r.value.as_deref())).collect();
    let expected = [(2, None, Some(&b"one"[..])), (2, None, Some(b"")), (2, None, Some(b"three"))];
    assert_eq!(values, expected);
}
