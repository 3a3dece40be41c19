//! The program against the stand-in broker; that it loses nothing when it is killed is tested in tests/kafka.

use demitasse_broker::{Options, Server};
use demitasse_io_std::{Header, Producer, Record};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("demitasse-pipeline-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Folder(path)
    }

    /// The lines of all whole files, in their order.
    fn lines(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).into_iter().flatten().map(|entry| entry.unwrap().path());
        let mut whole: Vec<_> =
            entries.filter(|path| path.extension().is_some_and(|ending| ending == "jsonl")).collect();
        whole.sort();
        whole
            .iter()
            .flat_map(|path| fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect::<Vec<_>>())
            .collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn start(bootstrap: &str, folder: &Path, more: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_demitasse-pipeline"));
    command.args(["--bootstrap", bootstrap, "--topic", "t", "--group", "g", "--to", folder.to_str().unwrap()]);
    command.args(more).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Ends it as a container would.
fn end(child: Child) -> Output {
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    child.wait_with_output().unwrap()
}

fn ends_well(child: Child) {
    let output = end(child);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

fn until(what: &str, mut true_now: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !true_now() {
        assert!(begun.elapsed() < Duration::from_secs(60), "in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn send(bootstrap: &str, records: &[(i32, Record<'_>)]) {
    let producer = Producer::builder().bootstrap_servers(bootstrap).start().unwrap();
    let topic = producer.topic("t").unwrap();
    let send = |(partition, record)| producer.send_blocking(topic.partition(partition), record).unwrap();
    let sent: Vec<_> = records.iter().map(|(partition, record)| send((*partition, record))).collect();
    sent.into_iter().for_each(|delivery| assert!(producer.wait_blocking(delivery).is_ok()));
}

fn broker() -> (Server, String) {
    let server = Server::start(Options { default_partitions: 2, ..Options::default() }).unwrap();
    let bootstrap = server.bootstrap();
    (server, bootstrap)
}

/// Offsets of the old topic would stand for records of the new one that are in no file.
#[test]
fn a_topic_that_is_made_again_is_read_from_its_beginning() {
    let (server, bootstrap) = broker();
    let records =
        |value: &'static [u8], count| [0, 1].map(|partition| vec![(partition, Record::new(value)); count]).concat();
    let folder = Folder::new("anew");
    send(&bootstrap, &records(b"old", 10));
    let child = start(&bootstrap, &folder.0, &["--file-ms", "600000"]);
    let part = folder.0.join("t-00000000.jsonl.part");
    until("all is in a file", || fs::read_to_string(&part).is_ok_and(|text| text.lines().count() == 20));
    server.with(|cluster| assert!(cluster.delete_topic("t") && cluster.create_topic("t", 2)));
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && told.contains("made anew"), "{told}");
    assert_eq!([0, 1].map(|partition| server.with(|cluster| cluster.committed("g", "t", partition))), [None; 2]);
    send(&bootstrap, &records(b"new", 30));
    let child = start(&bootstrap, &folder.0, &["--file-ms", "50"]);
    until("all of the new topic is there", || folder.lines().iter().filter(|line| line.contains("new")).count() == 60);
    ends_well(child);
}

#[test]
fn every_kind_of_record_is_a_line_and_a_restart_goes_on() {
    let (_server, bootstrap) = broker();
    let headers = [Header { key: "a", value: Some(b"1") }, Header { key: "a", value: None }];
    let first = [
        (0, Record::new(b"plain \"text\"\n").timestamp(7)),
        (1, Record::tombstone(b"gone").timestamp(8)),
        (1, Record::new(b"\xff\0").key(b"").headers(&headers).timestamp(9)),
    ];
    send(&bootstrap, &first);
    let folder = Folder::new("kinds");
    let child = start(&bootstrap, &folder.0, &["--file-ms", "100"]);
    until("three lines", || folder.lines().len() == 3);
    ends_well(child);
    let mut lines = folder.lines();
    lines.sort();
    let expected = [
        r#"{"partition":0,"offset":0,"timestamp":7,"key":null,"value":"plain \"text\"\n"}"#,
        r#"{"partition":1,"offset":0,"timestamp":8,"key":"gone","value":null}"#,
        r#"{"partition":1,"offset":1,"timestamp":9,"key":"","value":{"base64":"/wA="},"headers":[["a","1"],["a",null]]}"#,
    ];
    assert_eq!(lines, expected);

    // Long files: at its end it finishes what it has all the same.
    send(&bootstrap, &[(0, Record::new(b"later").timestamp(10))]);
    let child = start(&bootstrap, &folder.0, &["--file-ms", "100000"]);
    let in_part = || fs::metadata(folder.0.join("t-00000001.jsonl.part")).is_ok_and(|file| file.len() > 0);
    until("a fourth line", || in_part() || folder.0.join("t-00000002.jsonl.part").exists());
    ends_well(child);
    assert_eq!(folder.lines().len(), 4);
    assert!(folder.lines()[3].contains(r#""partition":0,"offset":1"#), "{:?}", folder.lines());
}

/// Records of partitions that were added would be in no file, and nobody told.
#[test]
fn a_topic_that_grows_is_told_and_a_restart_reads_all_of_it() {
    let (server, bootstrap) = broker();
    send(&bootstrap, &[(0, Record::new(b"old")), (1, Record::new(b"old"))]);
    let folder = Folder::new("grows");
    let child = start(&bootstrap, &folder.0, &["--file-ms", "50", "-X", "metadata.max.age.ms=100"]);
    until("all is there", || folder.lines().len() == 2);
    server.with(|cluster| assert!(cluster.add_partitions("t", 1)));
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && told.contains("3 partitions now, and had 2"), "{told}");
    send(&bootstrap, &[(2, Record::new(b"new"))]);
    let child = start(&bootstrap, &folder.0, &["--file-ms", "50"]);
    until("the new partition, too", || folder.lines().len() == 3);
    ends_well(child);
}

#[test]
fn what_cannot_go_on_is_told() {
    let (_server, bootstrap) = broker();
    send(&bootstrap, &[(0, Record::new(b"small")), (0, Record::new(&[b'x'; 5000]))]);
    let folder = Folder::new("told");
    let child = start(&bootstrap, &folder.0, &["--buffer-bytes", "4096"]);
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    for part in ["partition 0, offset 1", "5000 bytes", "4096", "--buffer-bytes"] {
        assert!(told.contains(part), "{told}");
    }
    // What came before it is on disk.
    assert_eq!(folder.lines().len(), 1);

    let mut one = start(&bootstrap, &folder.0, &[]);
    until("it has the folder", || fs::File::open(folder.0.join(".lock")).unwrap().try_lock_shared().is_err());
    let other = start(&bootstrap, &folder.0, &[]).wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&other.stderr).contains("another pipeline"), "{other:?}");
    one.kill().unwrap();
    one.wait().unwrap();
}

/// Told to end while no broker is there: it does not wait for ever, and what it had is on disk.
#[test]
fn an_end_without_a_broker_is_an_end() {
    let (server, bootstrap) = broker();
    send(&bootstrap, &[(0, Record::new(b"value"))]);
    let folder = Folder::new("alone");
    let child = start(&bootstrap, &folder.0, &["--file-ms", "100000", "-X", "default.api.timeout.ms=1000"]);
    let part = folder.0.join("t-00000000.jsonl.part");
    until("a line", || fs::metadata(&part).is_ok_and(|file| file.len() > 0));
    drop(server);
    let output = end(child);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("commit of partition 0, offset 1") && told.contains("default.api.timeout.ms"), "{told}");
    assert_eq!(folder.lines().len(), 1);
}

fn scrape(address: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    text.starts_with("HTTP/1.1 200").then_some(text)
}

fn value(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}

#[cfg(target_os = "linux")]
fn resident_mib(pid: u32, name: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1024.0
}

/// A writer that is far too slow: polls shrink to their least, memory stays where it was, Prometheus sees it.
#[test]
#[cfg(target_os = "linux")]
fn a_slow_writer_slows_the_consumer_down() {
    let (_server, bootstrap) = broker();
    let value_of_20_kb = vec![b'x'; 20_000];
    let records: Vec<_> = (0..3000).map(|number| (number % 2, Record::new(&value_of_20_kb))).collect();
    send(&bootstrap, &records);
    let folder = Folder::new("slow");
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let settings = ["-X", "fetch.memory.bytes=4456448", "--buffer-bytes", "262144", "--pace", "2000000"];
    let child = start(&bootstrap, &folder.0, &[&["--metrics", &address], &settings[..]].concat());
    let mut text = String::new();
    until("fullness", || {
        text = scrape(&address).unwrap_or_default();
        text.contains("pipeline_buffer_fullness ") && value(&text, "pipeline_buffer_fullness") > 0.9
    });
    until("small polls", || {
        text = scrape(&address).unwrap_or_default();
        value(&text, "pipeline_poll_size") <= 500.0
    });
    let before = resident_mib(child.id(), "VmRSS:");
    std::thread::sleep(Duration::from_secs(2));
    text = scrape(&address).unwrap();
    let memory = value(&text, "pipeline_fetch_memory_bytes");
    assert!(memory <= 4_456_448.0, "{text}");
    assert!(value(&text, "pipeline_held_bytes") + value(&text, "pipeline_in_flight_bytes") <= memory, "{text}");
    assert!(value(&text, "pipeline_lag{partition=\"1\"}") > 100.0, "{text}");
    let peak = resident_mib(child.id(), "VmHWM:");
    assert!(peak < before + 1.0 && peak < 25.0, "resident {before} MiB, then at most {peak} MiB");
    ends_well(child);
    let lines = folder.lines();
    assert!(lines.len() > 100 && lines.len() < 3000, "{}", lines.len());

    // At full speed the rest comes, and the group knows.
    let child = start(&bootstrap, &folder.0, &["--file-ms", "100", "--metrics", &address]);
    until("everything", || folder.lines().len() == 3000);
    until("everything is committed", || {
        text = scrape(&address).unwrap_or_default();
        text.contains("pipeline_committed_offset{partition=\"1\"} 1500")
    });
    assert!(value(&text, "pipeline_files_total") >= 1.0, "{text}");
    assert!(value(&text, "pipeline_commits_total") >= 1.0, "{text}");
    assert_eq!(value(&text, "pipeline_records_total") as usize, 3000 - lines.len());
    ends_well(child);
    assert_eq!(folder.lines().len(), 3000);
}
