use crate::program::{broker, command, end_of, interrupt, records, run, until};
use demitasse_broker::{Api, Options};

#[test]
fn the_benchmark_counts_and_does_not_allocate() {
    // With one broker nothing is allocated after the first acknowledgement. With three, the sockets to the other two are
    // opened after it, and the runtime allocates for each.
    for (nodes, threads, sockets) in [(1, "0", 0), (1, "1", 0), (3, "0", 2), (3, "1", 2)] {
        let (server, bootstrap) = broker(Options { nodes, ..Options::default() });
        let topic = format!("t{threads}");
        let arguments = ["bench", "produce", "--bootstrap", &bootstrap, "--topic", &topic, "--records", "100001"];
        let rest = ["--size", "100", "--partitions", "6", "--threads", threads, "--json"];
        let ended = run(&[&arguments[..], &rest].concat(), b"");
        let json = ended.json();
        assert_eq!((ended.code, ended.lines.len(), ended.counts()), (0, 1, [100_001, 0, 0]), "{ended:?}");
        assert_eq!(json["records"], 100_001);
        assert!(json["allocations_after_start"].as_u64().unwrap() <= sockets, "{json}");
        for name in ["seconds", "records_per_second", "megabytes_per_second", "cpu_microseconds_per_record"] {
            assert!(json[name].as_f64().unwrap() > 0.0, "{name}");
        }
        if cfg!(target_os = "linux") {
            assert!(json["resident_mib_at_start"].as_f64() <= json["resident_mib_at_end"].as_f64(), "{json}");
        }
        let latency = ["p50", "p99", "p999", "max"].map(|name| json["latency_ms"][name].as_f64().unwrap());
        assert!(latency.is_sorted() && latency[0] > 0.0, "{latency:?}");
        let counts: Vec<_> = (0..6).map(|partition| records(&server, &topic, partition).len()).collect();
        assert_eq!(counts.iter().sum::<usize>(), 100_001);
        assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
        assert!(server.with(|cluster| cluster.partition(&topic, 6).is_none()));
    }
}

#[test]
fn a_rate_is_kept() {
    let (_server, bootstrap) = broker(Options::default());
    let arguments =
        ["bench", "produce", "--bootstrap", &bootstrap, "--topic", "t", "--records", "2000", "--size", "10"];
    let ended = run(&[&arguments[..], &["--rate", "2000", "--json"]].concat(), b"");
    let json = ended.json();
    assert_eq!(ended.counts(), [2000, 0, 0]);
    assert_eq!(json["allocations_after_start"], 0, "{json}");
    let seconds = json["seconds"].as_f64().unwrap();
    assert!((0.95..10.0).contains(&seconds), "{seconds}");
    // A person gets a table.
    let ended = run(&arguments, b"");
    assert!(ended.lines.iter().any(|line| line.starts_with("allocations after start") && line.ends_with(" 0")));
}

#[test]
fn what_fails_is_told_by_the_exit_code() {
    let (server, bootstrap) = broker(Options::default());
    server.with(|cluster| cluster.deny_topic("secret"));
    let arguments =
        ["bench", "produce", "--bootstrap", &bootstrap, "--topic", "secret", "--records", "9", "--size", "1"];
    let ended = run(&arguments, b"");
    assert_eq!(ended.code, 1);
    assert!(ended.error().contains("TOPIC_AUTHORIZATION_FAILED"), "{ended:?}");
    let ended = run(&[&arguments[..], &["--partitions", "2"]].concat(), b"");
    assert_eq!((ended.code, ended.lines.len()), (1, 0));
    assert!(ended.error().contains("secret was not created"), "{ended:?}");
    let too_large =
        ["bench", "produce", "--bootstrap", &bootstrap, "--topic", "t", "--records", "9", "--size", "999999"];
    let ended = run(&too_large, b"");
    assert_eq!(ended.code, 1);
    assert!(ended.error().contains("batch.size"), "{ended:?}");
}

#[test]
fn ctrl_c_reports_what_was_done() {
    let (server, bootstrap) = broker(Options::default());
    let arguments =
        ["bench", "produce", "--bootstrap", &bootstrap, "--topic", "t", "--records", "1000000", "--size", "9"];
    let child = command(&[&arguments[..], &["--rate", "100", "--json"]].concat()).spawn().unwrap();
    until("some are there", || records(&server, "t", 0).len() > 20);
    interrupt(&child);
    let ended = crate::program::Ended::of(child.wait_with_output().unwrap());
    assert_eq!(ended.code, 130, "{ended:?}");
    let [acknowledged, failed, unknown] = ended.counts();
    assert_eq!((acknowledged as usize, failed, unknown), (records(&server, "t", 0).len(), 0, 0));
}

fn filled(nodes: usize) -> (demitasse_broker::Server, String) {
    let (server, bootstrap) = broker(Options { nodes, ..Options::default() });
    let arguments =
        ["bench", "produce", "--bootstrap", &bootstrap, "--topic", "t", "--records", "100000", "--size", "100"];
    let ended = run(&[&arguments[..], &["--partitions", "6", "--json"]].concat(), b"");
    assert_eq!(ended.counts(), [100_000, 0, 0], "{ended:?}");
    (server, bootstrap)
}

#[test]
fn reading_is_measured_and_does_not_allocate() {
    for (nodes, threads) in [(1, "0"), (1, "1"), (3, "0"), (3, "1")] {
        let (_server, bootstrap) = filled(nodes);
        let arguments = ["bench", "consume", "--bootstrap", &bootstrap, "--topic", "t", "--records", "99999"];
        let ended = run(&[&arguments[..], &["--threads", threads, "--json"]].concat(), b"");
        let json = ended.json();
        assert_eq!((ended.code, ended.lines.len()), (0, 1), "{ended:?}");
        assert_eq!((&json["records"], &json["bytes"]), (&99_999.into(), &9_999_900.into()));
        // The sockets to other nodes may be opened after the first records; the runtime allocates for each.
        assert!(json["allocations_after_start"].as_u64().unwrap() < nodes as u64, "{json}");
        for name in ["seconds", "records_per_second", "megabytes_per_second", "cpu_microseconds_per_record"] {
            assert!(json[name].as_f64().unwrap() > 0.0, "{name}");
        }
        // Between when they were written, just now, and when they were read.
        let latency = ["p50", "p99", "p999", "max"].map(|name| json["latency_ms"][name].as_f64().unwrap());
        assert!(latency.is_sorted() && latency[0] > 0.0 && latency[3] < 600_000.0, "{latency:?}");
        if cfg!(target_os = "linux") {
            let resident = ["start", "end", "peak"].map(|at| json[format!("resident_mib_at_{at}")].as_f64().unwrap());
            assert!(resident[0] > 0.0 && resident[2] >= resident[1].max(resident[0]), "{json}");
            // Of the 16 MiB of fetch memory only what was used.
            assert!(resident[2] < resident[0] + 16.0, "{json}");
        }
    }
}

#[test]
fn reading_more_than_there_is_waits_for_ctrl_c() {
    let (server, bootstrap) = filled(1);
    let arguments = ["bench", "consume", "--bootstrap", &bootstrap, "--topic", "t", "--records", "100001"];
    let child = command(&arguments).spawn().unwrap();
    until("it reads", || server.with(|cluster| cluster.requests(Api::Fetch)) > 0);
    interrupt(&child);
    let ended = crate::program::Ended::of(child.wait_with_output().unwrap());
    assert_eq!(ended.code, 130, "{ended:?}");
    // A person gets a table.
    assert!(ended.lines.iter().any(|line| line.starts_with("records ")), "{ended:?}");
    assert!(ended.error().contains("of 100001 records"), "{ended:?}");
}

#[test]
fn who_waits_for_a_topic_can_be_interrupted() {
    for begin in [&["bench", "consume", "--records", "1"][..], &["consume"]] {
        let (server, bootstrap) = broker(Options::default());
        let arguments = [begin, &["--bootstrap", &bootstrap, "--topic", "none"]].concat();
        let child = command(&arguments).spawn().unwrap();
        until("the topic is asked for", || server.with(|cluster| cluster.requests(Api::Metadata)) > 0);
        interrupt(&child);
        assert_eq!(end_of(child).code, 130, "{begin:?}");
    }
}
