use crate::program::{Ended, broker, command, end_of, interrupt, line, run, until};
use demitasse_broker::{Api, Options};
use demitasse_io_std::{Consumer, Start};
use serde_json::json;
use std::fs::File;

#[test]
fn what_was_produced_is_consumed() {
    let (_server, bootstrap) = broker(Options { default_partitions: 3, nodes: 2, ..Options::default() });
    let lines: Vec<String> = (0..5000).map(|number| format!("key-{}:value {number}", number % 17)).collect();
    let arguments = ["produce", "--bootstrap", &bootstrap, "--topic", "t", "--key-separator", ":", "--json"];
    assert_eq!(run(&arguments, (lines.join("\n") + "\n").as_bytes()).counts(), [5000, 0, 0]);

    let consume = ["consume", "--bootstrap", &bootstrap, "--topic", "t", "--exit-at-end"];
    let ended = run(&[&consume[..], &["--format", r"%p %o %k:%s\n"]].concat(), b"");
    assert_eq!(ended.code, 0, "{:?}", ended.errors);
    let mut next = [0; 3];
    let mut found = Vec::new();
    for line in &ended.lines {
        let mut parts = line.splitn(3, ' ');
        let mut number = || parts.next().unwrap().parse::<usize>().unwrap();
        let (partition, offset) = (number(), number());
        assert_eq!(offset, next[partition], "{line}");
        next[partition] += 1;
        found.push(parts.next().unwrap().to_owned());
    }
    found.sort();
    let mut sent = lines.clone();
    sent.sort();
    assert!(found == sent, "{} of {}", found.len(), sent.len());

    let one = ["--partition", "1", "--count", "2", "--json"];
    let ended = run(&[&consume[..5], &one].concat(), b"");
    assert_eq!((ended.code, ended.lines.len(), ended.json()["offset"].as_i64()), (0, 2, Some(1)), "{ended:?}");
}

#[test]
fn what_is_wrong_is_told_in_a_line() {
    let (_server, bootstrap) = broker(Options::default());
    let consume = ["consume", "--bootstrap", &bootstrap, "--topic", "t"];
    for (wrong, named) in [
        (["--format", "%x"], "%x"),
        (["--from", "soon"], "beginning"),
        (["--from=-5", "--json"], "milliseconds since 1970"),
        (["-X", "fetch.memory.bytes=5"], "fetch.memory"),
        (["-X", "fetch.memory.bytes=1000000000000000"], "32768 chunks"),
        (["-X", "fetch.chunk.bytes=1"], "fetch.chunk.bytes"),
        (["-X", "max.pol.records=5"], "max.pol.records"),
        (["-X", "linger.ms=5"], "linger.ms is of producers only"),
        (["-X", "enable.auto.commit=perhaps"], "enable.auto.commit"),
        (["-X", "ssl.truststore.location=/etc/ca.jks"], "ssl.truststore.location"),
        (["--group", ""], "--group"),
    ] {
        let ended = run(&[&consume[..], &wrong].concat(), b"");
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(ended.error().contains(named), "{ended:?}");
    }
}

#[test]
fn a_group_goes_on_where_it_was_and_shows_its_lag() {
    let (_server, bootstrap) = broker(Options { default_partitions: 2, nodes: 3, ..Options::default() });
    let topic = ["--bootstrap", &bootstrap, "--topic", "t"];
    let produce = |partition: &str, count: usize| {
        let arguments = [&["produce"], &topic[..], &["--partition", partition, "--json"]].concat();
        assert_eq!(run(&arguments, "value\n".repeat(count).as_bytes()).counts(), [count as u64, 0, 0]);
    };
    let consume = |more: &[&str]| {
        let arguments = [&["consume"], &topic[..], &["--group", "g", "--format", "%p %o\\n"], more].concat();
        let ended = run(&arguments, b"");
        assert_eq!(ended.code, 0, "{ended:?}");
        ended.lines
    };
    produce("0", 10);
    produce("1", 10);
    assert_eq!(consume(&["--partition", "0", "--count", "4"]), ["0 0", "0 1", "0 2", "0 3"]);
    assert_eq!(consume(&["--partition", "0", "--count", "2"]), ["0 4", "0 5"]);
    let ended = run(&["groups", "--bootstrap", &bootstrap, "--group", "g", "--json"], b"");
    assert_eq!(ended.code, 0, "{ended:?}");
    let row = ended.json();
    assert_eq!(row, json!({"topic": "t", "partition": 0, "committed": 6, "end": 10, "lag": 4}));
    // Of partition 1 the group keeps nothing: it is read from its beginning.
    let rest = consume(&["--exit-at-end"]);
    assert_eq!(rest.iter().filter(|line| line.starts_with("0 ")).count(), 4);
    assert_eq!(rest.iter().filter(|line| line.starts_with("1 ")).count(), 10);
    let none = run(&["groups", "--bootstrap", &bootstrap, "--group", "other"], b"");
    assert_eq!((none.code, none.lines.len()), (0, 1), "{none:?}");
}

#[test]
fn a_group_of_many_topics_is_shown_in_order() {
    const TOPICS: usize = 70;
    let (server, bootstrap) = broker(Options::default());
    // Neither in the order of their names, nor as many as a reader has places for by itself.
    let names: Vec<String> = (0..TOPICS).map(|number| format!("t{:02}", number * 37 % TOPICS)).collect();
    server.with(|cluster| names.iter().for_each(|name| assert!(cluster.create_topic(name, 20))));
    let keep = async {
        let builder = Consumer::builder().bootstrap_servers(&bootstrap).group("g");
        let consumer = builder.set("topics.max", "70").unwrap().set("partitions.max", "1400").unwrap().start().unwrap();
        let mut kept = Vec::new();
        for name in &names {
            let topic = consumer.topic(name).unwrap();
            for partition in 0..20 {
                consumer.assign(topic, partition, Start::Offset(0)).unwrap();
                kept.push((topic, partition, 0));
            }
        }
        consumer.commit_offsets(&kept).await.unwrap();
    };
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(keep);
    let ended = run(&["groups", "--bootstrap", &bootstrap, "--group", "g", "--json"], b"");
    assert_eq!((ended.code, ended.lines.len()), (0, TOPICS * 20), "{ended:?}");
    for (number, line) in ended.lines.iter().enumerate() {
        let (topic, partition) = (format!("t{:02}", number / 20), number % 20);
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let expected = json!({"topic": topic, "partition": partition, "committed": 0, "end": 0, "lag": 0});
        assert_eq!(row, expected);
    }
}

#[test]
fn a_partition_that_is_not_there_is_told() {
    let (_server, bootstrap) = broker(Options { default_partitions: 2, ..Options::default() });
    run(&["produce", "--bootstrap", &bootstrap, "--topic", "t"], b"value\n");
    let ended = run(&["consume", "--bootstrap", &bootstrap, "--topic", "t", "--partition", "7"], b"");
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.error().contains("partition 7") && ended.error().contains("2 partitions"), "{ended:?}");
}

#[test]
fn a_partition_that_fails_stops_no_other() {
    let (_server, bootstrap) = broker(Options { default_partitions: 3, ..Options::default() });
    let topic = ["--bootstrap", &bootstrap, "--topic", "t"];
    for partition in ["0", "1", "2"] {
        run(&[&["produce"], &topic[..], &["--partition", partition]].concat(), "value\n".repeat(100).as_bytes());
    }
    let consume = |more: &[&str]| {
        let arguments = [&["consume"], &topic[..], &["--group", "g", "--format", "%p %o\\n"], more].concat();
        let output = command(&arguments).output().unwrap();
        let lines = |bytes| String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect::<Vec<_>>();
        (output.status.code(), lines(output.stdout), lines(output.stderr))
    };
    let (code, lines, _) = consume(&["--partition", "0", "--count", "50"]);
    assert_eq!((code, lines.len()), (Some(0), 50));
    // Of the other two the group keeps nothing; each is told, and the first is read to its end.
    let strict = ["-X", "auto.offset.reset=none"];
    let (code, lines, errors) = consume(&[&strict[..], &["--exit-at-end"]].concat());
    let expected: Vec<String> = (50..100).map(|offset| format!("0 {offset}")).collect();
    assert_eq!((code, lines), (Some(1), expected), "{errors:?}");
    assert_eq!(errors.len(), 3, "{errors:?}");
    for partition in ["topic t: partition 1", "topic t: partition 2"] {
        assert!(errors[..2].iter().any(|line| line.contains(partition)), "{errors:?}");
    }
    assert!(errors[2].contains("read on: 2"), "{errors:?}");
    // What was read is committed, and with nothing left to read it ends by itself.
    let (code, lines, _) = consume(&[&strict[..], &["--partition", "0", "--exit-at-end"]].concat());
    assert_eq!((code, lines.len()), (Some(0), 0));
    let (code, lines, errors) = consume(&[&strict[..], &["--partition", "1,2"]].concat());
    assert_eq!((code, lines.len(), errors.len()), (Some(1), 0, 2), "{errors:?}");
}

#[test]
fn partitions_that_are_added_are_read_from_their_beginning() {
    for (begin, first) in [(&["--from", "end"][..], 0), (&["--group", "g"], 1), (&[], 1)] {
        let (server, bootstrap) = broker(Options::default());
        let topic = ["--bootstrap", &bootstrap, "--topic", "t"];
        let produce = |partition: &str| {
            run(&[&["produce"], &topic[..], &["--partition", partition]].concat(), b"value\n");
        };
        produce("0");
        let more =
            ["--format", "%p %o\\n", "--count", if first == 1 { "2" } else { "1" }, "-X", "metadata.max.age.ms=100"];
        let child = command(&[&["consume"], &topic[..], begin, &more].concat()).spawn().unwrap();
        until("records are asked for", || server.with(|cluster| cluster.requests(Api::Fetch)) > 0);
        server.with(|cluster| assert!(cluster.add_partitions("t", 1)));
        produce("1");
        let ended = end_of(child);
        assert_eq!((ended.code, &ended.lines[..first]), (0, &["0 0".to_owned()][..first]), "{ended:?}");
        assert_eq!(ended.lines[first..], ["1 0"], "{ended:?}");
    }
}

#[test]
fn reading_makes_no_topic() {
    let (server, bootstrap) = broker(Options::default());
    for partition in [&[][..], &["--partition", "0"]] {
        let consume = ["consume", "--bootstrap", &bootstrap, "--topic", "t", "-X", "default.api.timeout.ms=300"];
        let ended = run(&[&consume, partition].concat(), b"");
        assert_eq!(ended.code, 1, "{ended:?}");
        assert!(ended.error().contains("UNKNOWN_TOPIC"), "{ended:?}");
    }
    assert!(server.with(|cluster| cluster.partition("t", 0).is_none()));
    let nobody = ["consume", "--bootstrap", "127.0.0.1:1", "--topic", "t", "-X", "default.api.timeout.ms=300"];
    let ended = run(&nobody, b"");
    assert!(ended.error().contains("refused"), "{ended:?}");
}

#[test]
fn a_group_that_the_settings_name_is_gone_on_with() {
    let (_server, bootstrap) = broker(Options::default());
    let topic = ["--bootstrap", &bootstrap, "--topic", "t"];
    run(&[&["produce"], &topic[..]].concat(), "value\n".repeat(9).as_bytes());
    let consume = |more: &[&str]| run(&[&["consume"], &topic[..], &["--format", "%o\\n"], more].concat(), b"");
    assert_eq!(consume(&["--group", "g", "--count", "4"]).lines, ["0", "1", "2", "3"]);
    assert_eq!(consume(&["-X", "group.id=g", "--count", "2"]).lines, ["4", "5"]);
    assert_eq!(consume(&["--group", "g", "--count", "1"]).lines, ["6"]);
    let ended = consume(&["--group", "new", "--count", "1", "-X", "auto.offset.reset=none"]);
    assert!(ended.code == 1 && ended.error().contains("keeps no position"), "{ended:?}");
}

#[test]
fn settings_of_javas_consumer_serve() {
    let (server, bootstrap) = broker(Options::default());
    run(&["produce", "--bootstrap", &bootstrap, "--topic", "t"], "value\n".repeat(9).as_bytes());
    let path = std::env::temp_dir().join(format!("demitasse-consumer-{}.properties", std::process::id()));
    let java = "group.id=g\nauto.offset.reset=earliest\nfetch.min.bytes=1\nfetch.max.wait.ms=100\nmax.poll.records=500\n\
                enable.auto.commit=false\nsession.timeout.ms=45000\nmax.partition.fetch.bytes=1048576\n\
                key.deserializer=org.apache.kafka.common.serialization.StringDeserializer\n";
    std::fs::write(&path, format!("bootstrap.servers={bootstrap}\n{java}")).unwrap();
    let consume = |more: &[&str]| {
        let file = ["consume", "--config", path.to_str().unwrap(), "--topic", "t", "--format", "%o\\n"];
        run(&[&file[..], more].concat(), b"")
    };
    let ended = consume(&["--count", "4", "-X", "group.instance.id=me"]);
    assert_eq!((ended.code, &ended.lines[..]), (0, &["0", "1", "2", "3"].map(String::from)[..]), "{ended:?}");
    // What means nothing here is told, and nothing else is.
    let (text, names) = ended.error().rsplit_once(": ").unwrap();
    assert!(text.contains("left out"), "{text}");
    let expected = [
        "max.poll.records",
        "session.timeout.ms",
        "max.partition.fetch.bytes",
        "key.deserializer",
        "group.instance.id",
    ];
    assert_eq!(names.split(", ").collect::<Vec<_>>(), expected);
    // Nothing is committed where nothing is to be.
    assert_eq!(server.with(|cluster| cluster.committed("g", "t", 0)), None);
    let ended = consume(&["--count", "4", "-X", "enable.auto.commit=true", "-X", "auto.commit.interval.ms=0"]);
    assert_eq!((ended.code, ended.lines[0].as_str()), (0, "0"), "{ended:?}");
    assert_eq!(server.with(|cluster| cluster.committed("g", "t", 0)).map(|(offset, _)| offset), Some(4));
    std::fs::remove_file(path).unwrap();
}

/// Where nothing more comes, what came last was never committed.
#[test]
fn what_was_read_is_committed_while_nothing_more_comes() {
    let (server, bootstrap) = broker(Options::default());
    let topic = ["--bootstrap", &bootstrap, "--topic", "t"];
    run(&[&["produce"], &topic[..]].concat(), "value\n".repeat(9).as_bytes());
    let consume = [&["consume"], &topic[..], &["--group", "g", "-X", "auto.commit.interval.ms=1000"]].concat();
    let child = command(&consume).spawn().unwrap();
    until("all is committed", || server.with(|cluster| cluster.committed("g", "t", 0)).is_some_and(|kept| kept.0 == 9));
    interrupt(&child);
    child.wait_with_output().unwrap();
}

#[test]
fn what_nobody_could_read_is_not_committed() {
    let (server, bootstrap) = broker(Options::default());
    let topic = ["--bootstrap", &bootstrap, "--topic", "t"];
    // More than a pipe holds.
    run(&[&["produce"], &topic[..]].concat(), format!("{:0100}\n", 0).repeat(5000).as_bytes());
    let consume = [&["consume"], &topic[..], &["--group", "g"]].concat();
    let mut child = command(&consume).spawn().unwrap();
    line(child.stdout.as_mut().unwrap());
    drop(child.stdout.take());
    let gone = Ended::of(child.wait_with_output().unwrap());
    assert_eq!((gone.code, gone.errors.len()), (0, 0), "{gone:?}");

    let full = command(&consume).stdout(File::options().write(true).open("/dev/full").unwrap()).spawn().unwrap();
    let full = Ended::of(full.wait_with_output().unwrap());
    assert!(full.code == 1 && full.error().contains("standard output"), "{full:?}");
    assert_eq!(server.with(|cluster| cluster.committed("g", "t", 0)), None);
}
