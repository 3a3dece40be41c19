use crate::program::{Ended, broker, command, interrupt, line, records, run, until};
use demitasse_broker::{Action, Api, Options, Rule};
use std::io::Write;
use std::time::{Duration, Instant};

#[test]
fn a_line_is_a_record_and_every_one_is_acknowledged() {
    let (server, bootstrap) = broker(Options::default());
    let ended = run(&["produce", "--bootstrap", &bootstrap, "--topic", "t"], b"one\n\n\xff\x00\r\nlast");
    assert_eq!((ended.code, ended.errors.len(), ended.lines.len()), (0, 0, 1), "{ended:?}");
    assert_eq!(ended.counts(), [4, 0, 0]);
    assert!(ended.json()["seconds"].as_f64().unwrap() > 0.0);
    let values: Vec<_> = records(&server, "t", 0).into_iter().map(|(key, value)| (key, value.unwrap())).collect();
    let expected: [&[u8]; 4] = [b"one", b"", b"\xff\0\r", b"last"];
    assert_eq!(values, expected.map(|value| (None, value.to_vec())));
    // Nothing is something, too.
    let ended = run(&["produce", "--bootstrap", &bootstrap, "--topic", "t", "--json"], b"");
    assert_eq!((ended.code, ended.counts()), (0, [0, 0, 0]));
}

#[test]
fn keys_end_at_the_separator_and_a_partition_can_be_named() {
    let (server, bootstrap) = broker(Options { default_partitions: 4, ..Options::default() });
    let arguments = ["produce", "--bootstrap", &bootstrap, "--topic", "t", "--key-separator", "=>", "--partition", "2"];
    let ended = run(&arguments, b"k=>v=>w\nnone\n=>empty\n");
    assert_eq!(ended.code, 0, "{ended:?}");
    let some = |text: &str| Some(text.as_bytes().to_vec());
    assert_eq!(records(&server, "t", 2), [(some("k"), some("v=>w")), (None, some("none")), (some(""), some("empty"))]);
    let ended = run(&["produce", "--bootstrap", &bootstrap, "--topic", "t", "--partition", "9"], b"a\nb\n");
    assert_eq!((ended.code, ended.counts()), (1, [0, 2, 0]));
    assert!(ended.error().contains("partition") && ended.error().contains("fault: the caller"), "{ended:?}");
}

#[test]
fn the_report_is_in_the_order_of_the_input() {
    let (server, bootstrap) = broker(Options { nodes: 2, default_partitions: 5, ..Options::default() });
    let input: String = (0..20_000).map(|number| format!("{}:{number}\n", number % 97)).collect();
    let arguments = ["produce", "--bootstrap", &bootstrap, "--topic", "t", "--key-separator", ":", "--report"];
    let ended = run(&arguments, input.as_bytes());
    assert_eq!((ended.code, ended.counts(), ended.lines.len()), (0, [20_000, 0, 0], 20_001), "{:?}", ended.errors);
    let logs: Vec<_> = (0..5).map(|partition| records(&server, "t", partition)).collect();
    for (number, line) in ended.lines[..20_000].iter().enumerate() {
        let (partition, offset) = line.split_once(' ').unwrap();
        let (_, value) = &logs[partition.parse::<usize>().unwrap()][offset.parse::<usize>().unwrap()];
        assert_eq!(value.as_deref().unwrap(), number.to_string().as_bytes());
    }
}

#[test]
fn a_line_that_is_too_long_fails_alone() {
    let (server, bootstrap) = broker(Options::default());
    let long = "x".repeat(1_000_000);
    let input = format!("one\n{}\n{long}\ntwo\n", &long[..5000]);
    let small = ["-X", "batch.size=4096", "-X", "buffer.memory=65536"];
    let arguments = [&["produce", "--bootstrap", &bootstrap, "--topic", "t", "--report"], &small[..]].concat();
    let ended = run(&arguments, input.as_bytes());
    assert_eq!((ended.code, ended.counts()), (1, [2, 2, 0]));
    assert_eq!(ended.lines[..4], ["0 0", "error", "error", "0 1"]);
    assert!(
        ended.error().contains("batch.size is 4096") && ended.error().contains("of 4 records 2 failed"),
        "{ended:?}"
    );
    assert_eq!(records(&server, "t", 0).len(), 2);
}

#[test]
fn a_denied_topic_is_one_line_with_the_brokers_code() {
    let (server, bootstrap) = broker(Options::default());
    server.with(|cluster| {
        cluster.create_topic("secret", 1);
        cluster.deny_topic("secret");
    });
    let ended = run(&["produce", "--bootstrap", &bootstrap, "--topic", "secret", "--report"], b"a\nb\nc\n");
    assert_eq!((ended.code, ended.counts()), (1, [0, 3, 0]));
    assert_eq!(ended.lines[..3], ["error"; 3]);
    assert!(ended.error().contains("error 29 TOPIC_AUTHORIZATION_FAILED: give this user the right"), "{ended:?}");
    assert!(ended.error().contains("of 3 records 3 failed"), "{ended:?}");
}

#[test]
fn records_that_the_broker_refuses_are_counted() {
    let (server, bootstrap) = broker(Options::default());
    server.with(|cluster| {
        cluster.create_topic("t", 1);
        cluster.add_rule(Rule::new(Action::Error(87)).api(Api::Produce));
    });
    let ended = run(&["produce", "--bootstrap", &bootstrap, "--topic", "t"], b"a\nb\n");
    assert_eq!((ended.code, ended.counts()), (1, [0, 2, 0]), "{ended:?}");
    assert!(ended.error().contains("broker error 87 INVALID_RECORD"), "{ended:?}");
    assert!(ended.error().contains("fault: the broker"), "{ended:?}");
}

#[test]
fn who_cannot_be_reached_is_named() {
    let arguments = ["produce", "--bootstrap", "127.0.0.1:1", "--topic", "t", "-X", "max.block.ms=300"];
    let ended = run(&arguments, b"a\nb\nc\n");
    assert_eq!((ended.code, ended.counts()), (1, [0, 3, 0]));
    let error = ended.error();
    assert!(error.contains("bootstrap.servers 127.0.0.1:1") && error.contains("connection refused"), "{error}");
    assert!(error.contains("fault: the network"), "{error}");
}

#[test]
fn wrong_settings_are_refused_by_name_and_nothing_is_sent() {
    let (server, bootstrap) = broker(Options::default());
    let path = std::env::temp_dir().join(format!("demitasse-cli-{}.properties", std::process::id()));
    std::fs::write(&path, "# ours\nlinger.ms=5\nfetch.min.bytes=1\n").unwrap();
    let file = path.to_str().unwrap();
    let cases: [(&[&str], &str); 9] = [
        (&["-X", "lingr.ms=5"], "lingr.ms"),
        (&["-X", "linger.ms=soon"], "linger.ms"),
        (&["-X", "linger.ms"], "linger.ms"),
        (&["-X", "delivery.timeout.ms=1"], "delivery.timeout.ms"),
        (&["-X", "batch.size=1000", "-X", "buffer.memory=10"], "buffer.memory"),
        (&["--config", file], "fetch.min.bytes"),
        (&["-X", "group.id=g"], "group.id is of consumers only"),
        (&["--config", "/nowhere"], "/nowhere"),
        (&["--partition", "-1"], "--partition"),
    ];
    for (wrong, name) in cases {
        let arguments = [&["produce", "--bootstrap", &bootstrap, "--topic", "t"], wrong].concat();
        let ended = run(&arguments, b"a\n");
        assert_eq!((ended.code, ended.lines.len()), (2, 0), "{wrong:?} {ended:?}");
        assert!(ended.error().contains(name), "{wrong:?} {ended:?}");
    }
    let ended = run(&["produce", "--bootstrap", &bootstrap, "--topic", "bad topic"], b"a\n");
    assert_eq!(ended.code, 2);
    // The command line goes before the file, which then is as it should be.
    std::fs::write(&path, format!("bootstrap.servers={bootstrap}\nlinger.ms=3600000\n")).unwrap();
    let ended = run(&["produce", "--config", file, "--topic", "t", "-X", "linger.ms=1"], b"a\n");
    assert_eq!((ended.code, ended.counts()), (0, [1, 0, 0]), "{ended:?}");
    assert_eq!(records(&server, "t", 0).len(), 1);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn the_end_of_the_input_does_not_linger() {
    let (_server, bootstrap) = broker(Options::default());
    let begun = Instant::now();
    let arguments = ["produce", "--bootstrap", &bootstrap, "--topic", "t", "-X", "linger.ms=60000"];
    assert_eq!(run(&arguments, b"a\n").counts(), [1, 0, 0]);
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[test]
fn outcomes_are_told_while_the_input_is_open_and_ctrl_c_ends_it_well() {
    let (server, bootstrap) = broker(Options::default());
    let mut child = command(&["produce", "--bootstrap", &bootstrap, "--topic", "t", "--report"]).spawn().unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    stdin.write_all(b"one\ntwo\n").unwrap();
    assert_eq!((line(&mut stdout), line(&mut stdout)), ("0 0".to_owned(), "0 1".to_owned()));
    // Not a whole line yet, so not a record.
    stdin.write_all(b"three").unwrap();
    interrupt(&child);
    assert!(line(&mut stdout).contains("\"acknowledged\":2,\"failed\":0"));
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "demitasse: interrupted after 2 records\n");
    assert_eq!(records(&server, "t", 0).len(), 2);
}

#[test]
fn ctrl_c_sends_what_was_taken() {
    let (server, bootstrap) = broker(Options::default());
    let arguments = ["produce", "--bootstrap", &bootstrap, "--topic", "t", "-X", "linger.ms=600000"];
    let arguments = [&arguments[..], &["-X", "delivery.timeout.ms=900000"]].concat();
    let mut child = command(&arguments).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"lingers\n").unwrap();
    until("the topic is known", || server.with(|cluster| cluster.partition("t", 0).is_some()));
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(records(&server, "t", 0).len(), 0);
    interrupt(&child);
    let ended = Ended::of(child.wait_with_output().unwrap());
    assert_eq!((ended.code, ended.counts()), (130, [1, 0, 0]), "{ended:?}");
    assert_eq!(records(&server, "t", 0).len(), 1);
}

#[test]
fn a_second_ctrl_c_ends_it_at_once() {
    let (server, bootstrap) = broker(Options::default());
    server.with(|cluster| {
        cluster.create_topic("t", 1);
        cluster.add_rule(Rule::new(Action::Delay(120_000)).api(Api::Produce));
    });
    let mut child = command(&["produce", "--bootstrap", &bootstrap, "--topic", "t"]).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"a\n").unwrap();
    until("it was sent", || !records(&server, "t", 0).is_empty());
    let begun = Instant::now();
    interrupt(&child);
    std::thread::sleep(Duration::from_millis(300));
    assert!(child.try_wait().unwrap().is_none(), "it waits for the answer");
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(130), 0));
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn what_is_not_answered_after_ctrl_c_is_unknown() {
    let (server, bootstrap) = broker(Options::default());
    server.with(|cluster| {
        cluster.create_topic("t", 1);
        cluster.add_rule(Rule::new(Action::Delay(120_000)).api(Api::Produce));
    });
    let mut child = command(&["produce", "--bootstrap", &bootstrap, "--topic", "t", "--report"]).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"a\n").unwrap();
    until("it was sent", || !records(&server, "t", 0).is_empty());
    interrupt(&child);
    let begun = Instant::now();
    let ended = Ended::of(child.wait_with_output().unwrap());
    assert!(begun.elapsed() < Duration::from_secs(20), "its patience is ten seconds");
    assert_eq!((ended.code, ended.counts(), ended.lines[0].as_str()), (130, [0, 0, 1], "unknown"), "{ended:?}");
    drop(stdin);
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let (server, bootstrap) = broker(Options::default());
    let mut child = command(&["produce", "--bootstrap", &bootstrap, "--topic", "t", "--report"]).spawn().unwrap();
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all("some line\n".repeat(50_000).as_bytes()).unwrap();
    drop(stdin);
    let ended = Ended::of(child.wait_with_output().unwrap());
    assert_eq!((ended.code, ended.errors.len()), (0, 0), "{ended:?}");
    assert_eq!(records(&server, "t", 0).len(), 50_000);
}
