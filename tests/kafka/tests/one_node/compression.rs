//! Compressed batches: what Kafka's own clients and librdkafka write is read, and what is written here is read by them.

use crate::common::assert_all_acknowledged;
use crate::{kafka_3, kafka_4};
use demitasse_kafka_tests::{Demitasse, KAFKA_3, KAFKA_4, Kafka, enabled};
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

const CODECS: [(&str, u8); 4] = [("gzip", 1), ("snappy", 2), ("lz4", 3), ("zstd", 4)];

/// Lines of one byte to 60 KB, which repeat themselves as text does.
fn lines() -> Vec<String> {
    let words = ["kitchen", "cellar", "roof", "21.5", "-3", "degrees", "closed", "open"];
    let line = |i: usize| {
        let length = if i.is_multiple_of(997) { 60_000 } else { 1 + (i * 7919) % 900 };
        let mut text = format!("{i}:");
        (0..)
            .map(|at| words[(at * at + i) % words.len()])
            .take_while(|word| {
                text.push_str(word);
                text.len() < length
            })
            .for_each(drop);
        text
    };
    (0..3000).map(line).collect()
}

fn text(lines: &[String]) -> Vec<u8> {
    lines.iter().flat_map(|line| format!("{line}\n").into_bytes()).collect()
}

/// Reads a topic by `demitasse consume`, in a window that is smaller than most batches are.
fn read_here(kafka: &Kafka, topic: &str, count: usize, window: &str) -> Vec<String> {
    let (bootstrap, count) = (kafka.bootstrap(), count.to_string());
    let fixed = ["consume", "--bootstrap", &bootstrap, "--topic", topic, "--count", &count, "--format", "%s\\n"];
    let more = ["-X", "fetch.memory.bytes=4400000", "-X", window];
    let run = Demitasse::run(&[&fixed[..], &more].concat(), b"", Duration::from_secs(60)).unwrap();
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    run.stdout.lines().map(str::to_owned).collect()
}

/// Of the batches in the log of partition 0: how they are compressed.
fn codecs_in_the_log(kafka: &Kafka, topic: &str) -> Vec<u8> {
    let path = kafka.folder().join(format!("node1/data/{topic}-0/00000000000000000000.log"));
    let bytes = std::fs::read(path).unwrap();
    let (mut codecs, mut rest) = (Vec::new(), &bytes[..]);
    while rest.len() > 61 {
        let length = u32::from_be_bytes(rest[8..12].try_into().unwrap()) as usize;
        codecs.push(rest[22] & 7);
        rest = &rest[12 + length..];
    }
    codecs
}

fn what_others_compress_is_read(kafka: &Kafka, version: &str) {
    let lines = lines();
    let class =
        if version == KAFKA_3 { "kafka.tools.ConsoleProducer" } else { "org.apache.kafka.tools.ConsoleProducer" };
    for (codec, number) in CODECS {
        let topic = format!("java-{codec}");
        kafka.create_topic(&topic, 1, 1, &[("compression.type", "producer")]).unwrap();
        let bootstrap = kafka.bootstrap();
        let property = format!("compression.type={codec}");
        let flag = if version == KAFKA_3 { "--producer-property" } else { "--command-property" };
        let more = ["--bootstrap-server", &bootstrap, "--topic", &topic, "--compression-codec", codec, flag, &property];
        let large = [flag, "batch.size=500000", flag, "linger.ms=50"];
        kafka.tool(class, &[&more[..], &large].concat(), &text(&lines)).unwrap();
        assert!(codecs_in_the_log(kafka, &topic).iter().all(|&found| found == number), "{codec}");
        assert_eq!(read_here(kafka, &topic, lines.len(), "fetch.decompression.bytes=200000"), lines, "{codec}");

        let topic = format!("kcat-{codec}");
        kafka.create_topic(&topic, 1, 1, &[("compression.type", "producer")]).unwrap();
        let mut kcat = Command::new("kcat")
            .args(["-P", "-b", &bootstrap, "-t", &topic, "-z", codec, "-X", "linger.ms=50"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        kcat.stdin.take().unwrap().write_all(&text(&lines)).unwrap();
        assert!(kcat.wait().unwrap().success());
        assert!(codecs_in_the_log(kafka, &topic).contains(&number), "{codec}");
        // A batch of librdkafka's snappy is one block, which must fit.
        assert_eq!(read_here(kafka, &topic, lines.len(), "fetch.decompression.bytes=1200000"), lines, "{codec}");
    }
}

fn what_is_compressed_here_is_read_by_others(kafka: &Kafka) {
    let lines = lines();
    let class = "org.apache.kafka.tools.consumer.ConsoleConsumer";
    for (codec, number) in CODECS {
        let topic = format!("own-{codec}");
        kafka.create_topic(&topic, 1, 1, &[("compression.type", "producer")]).unwrap();
        let (bootstrap, property) = (kafka.bootstrap(), format!("compression.type={codec}"));
        let arguments = ["produce", "--bootstrap", &bootstrap, "--topic", &topic, "--json", "-X", &property];
        let run = Demitasse::run(&arguments, &text(&lines), Duration::from_secs(60)).unwrap();
        assert_all_acknowledged(&run, lines.len());
        let log = codecs_in_the_log(kafka, &topic);
        assert!(log.iter().filter(|&&found| found == number).count() * 10 > log.len() * 9, "{codec}: {log:?}");

        let by_kcat: Vec<_> = kafka.consume(&topic).unwrap().into_iter().map(|record| record.value.unwrap()).collect();
        assert!(by_kcat.iter().map(|value| &value[..]).eq(lines.iter().map(String::as_bytes)), "{codec}");
        let count = lines.len().to_string();
        let arguments =
            ["--bootstrap-server", &bootstrap, "--topic", &topic, "--from-beginning", "--max-messages", &count];
        let by_java = kafka.tool(class, &arguments, b"").unwrap();
        assert!(by_java.lines().eq(lines.iter()), "{codec}");
        assert_eq!(read_here(kafka, &topic, lines.len(), "fetch.decompression.bytes=140000"), lines, "{codec}");
    }
}

#[test]
fn what_others_compress_is_read_from_4() {
    if enabled() {
        what_others_compress_is_read(kafka_4(), KAFKA_4);
    }
}

#[test]
fn what_others_compress_is_read_from_3() {
    if enabled() {
        what_others_compress_is_read(kafka_3(), KAFKA_3);
    }
}

#[test]
fn what_is_compressed_here_is_read_by_others_from_4() {
    if enabled() {
        what_is_compressed_here_is_read_by_others(kafka_4());
    }
}

#[test]
fn what_is_compressed_here_is_read_by_others_from_3() {
    if enabled() {
        what_is_compressed_here_is_read_by_others(kafka_3());
    }
}
