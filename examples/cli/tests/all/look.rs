//! The commands that look: topics, sizes, and the stand-in broker itself.

use crate::program::{broker, command, interrupt, line, run};
use demitasse_broker::Options;
use serde_json::json;

#[test]
fn topics_are_created_and_listed() {
    let (server, bootstrap) = broker(Options { nodes: 2, ..Options::default() });
    let topics = |arguments: &[&str]| run(&[&["topics", "--bootstrap", &bootstrap], arguments].concat(), b"");
    assert_eq!(topics(&[]).lines.last().unwrap(), "no topics");
    let create = ["--create", "readings", "--partitions", "3", "--replication", "1"];
    let ended = topics(&[&create[..], &["--config", "cleanup.policy=compact", "--json"]].concat());
    assert_eq!((ended.code, ended.json()), (0, json!({"created": "readings"})), "{ended:?}");
    let again = topics(&create);
    assert_eq!(again.code, 1);
    assert!(again.error().contains("error 36 TOPIC_ALREADY_EXISTS"), "{again:?}");
    let listed = topics(&["--json"]).json();
    assert_eq!(listed["topics"][0]["name"], "readings");
    assert_eq!(listed["topics"][0]["partitions"][1], json!({"partition": 1, "leader": 2, "error": null}));
    assert!(topics(&[]).lines.iter().any(|line| line.contains("readings") && line.ends_with("3  1 2 1")));
    // What is wrong with a partition is shown.
    server.with(|cluster| cluster.start_election("readings", 0, u64::MAX));
    let listed = topics(&["--json"]).json();
    assert_eq!(listed["topics"][0]["partitions"][0]["error"], "LEADER_NOT_AVAILABLE", "{listed}");

    let nobody = run(&["topics", "--bootstrap", "127.0.0.1:1"], b"");
    assert_eq!(nobody.code, 1);
    assert!(nobody.error().contains("127.0.0.1:1") && nobody.error().contains("refused"), "{nobody:?}");
    assert_eq!(topics(&["--create", "x", "--config", "nothing"]).code, 2);
    assert_eq!(topics(&["--partitions", "3"]).code, 2);
    assert_eq!(run(&["topics"], b"").code, 2);
}

#[test]
fn sizes_add_up_without_a_broker() {
    let ended = run(&["sizes", "-X", "buffer.memory=1048576", "-X", "batch.size=16384", "--json"], b"");
    let json = ended.json();
    let pools = json["pools"].as_array().unwrap();
    let number = |pool: &serde_json::Value, name: &str| pool[name].as_u64().unwrap();
    assert!(pools.iter().all(|p| number(p, "bytes") == number(p, "entry_bytes") * number(p, "capacity")));
    assert_eq!(pools.iter().map(|pool| number(pool, "bytes")).sum::<u64>(), json["total_bytes"]);
    assert_eq!((&pools[0]["name"], number(&pools[0], "capacity")), (&json!("buffers"), 64));
    assert!(run(&["sizes"], b"").lines.last().unwrap().starts_with("total"));
    let ended = run(&["sizes", "-X", "buffer.memory=10"], b"");
    assert_eq!(ended.code, 2);
    assert!(ended.error().contains("buffer.memory") && ended.error().contains("at least 1"), "{ended:?}");
}

#[test]
fn the_stand_in_says_what_it_is_and_ends_with_ctrl_c() {
    let mut child = command(&["broker", "--nodes", "2", "--partitions", "3"]).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    assert!(line(&mut stdout).contains("stand-in broker, not Kafka"));
    let bootstrap = line(&mut stdout);
    assert_eq!(bootstrap.split(',').count(), 2);
    let ended = run(&["produce", "--bootstrap", &bootstrap, "--topic", "t", "--report"], b"a\n");
    assert_eq!((ended.code, ended.counts()), (0, [1, 0, 0]), "{ended:?}");
    let port = bootstrap.split([':', ',']).nth(1).unwrap();
    let taken = run(&["broker", "--port", port], b"");
    assert_eq!(taken.code, 1);
    assert!(taken.error().contains(port), "{taken:?}");
    interrupt(&child);
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(0));
}

#[test]
fn wrong_arguments_are_one_line_and_exit_code_2() {
    for wrong in [&["topics", "--nonsense"][..], &["unknown"], &["produce", "--bootstrap", "a:1"]] {
        let ended = run(wrong, b"");
        assert_eq!((ended.code, ended.lines.len(), ended.errors.len()), (2, 0, 1), "{ended:?}");
    }
    assert_eq!(run(&["--help"], b"").code, 0);
    assert_eq!(run(&["--version"], b"").code, 0);
}
