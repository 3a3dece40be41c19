//! `verifiable-producer`: what it sends and tells. That Kafka's own tells the same is tested in tests/kafka.

use crate::program::{Ended, broker, command, interrupt, records, run, terminate, until};
use demitasse_broker::Options;
use serde_json::Value;

fn events(ended: &Ended) -> Vec<Value> {
    ended.lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn named<'a>(events: &'a [Value], name: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["name"] == name).collect()
}

#[test]
fn numbers_are_sent_and_each_is_told() {
    let (server, bootstrap) = broker(Options { default_partitions: 2, ..Options::default() });
    let file = std::env::temp_dir().join(format!("demitasse-verifiable-{}", std::process::id()));
    std::fs::write(&file, "linger.ms=1\nkey.serializer=some.java.Class\n").unwrap();
    let arguments = ["verifiable-producer", "--bootstrap-server", &bootstrap, "--topic", "t"];
    let more = ["--max-messages", "1000", "--value-prefix", "7", "--repeating-keys", "3", "--acks", "1"];
    let config = ["--command-config", file.to_str().unwrap(), "--message-create-time", "1234567890123"];
    let ended = run(&[&arguments[..], &more, &config].concat(), b"");
    std::fs::remove_file(file).unwrap();
    assert_eq!(ended.code, 0, "{ended:?}");
    // What is not a setting of ours is told.
    assert!(ended.error().contains("key.serializer"), "{ended:?}");
    let events = events(&ended);
    let names: Vec<_> = events.iter().map(|event| event["name"].as_str().unwrap()).collect();
    assert_eq!((names[0], &names[names.len() - 2..]), ("startup_complete", &["shutdown_complete", "tool_data"][..]));
    let told = named(&events, "producer_send_success");
    assert_eq!((told.len(), events.len()), (1000, 1003));
    let there = [records(&server, "t", 0), records(&server, "t", 1)];
    for (number, event) in told.iter().enumerate() {
        let (key, value) = ((number % 3).to_string(), format!("7.{number}"));
        assert_eq!(
            (&event["key"], &event["value"], &event["topic"]),
            (&key.as_str().into(), &value.as_str().into(), &"t".into())
        );
        let at = |name: &str| event[name].as_u64().unwrap() as usize;
        let record = &there[at("partition")][at("offset")];
        assert_eq!(*record, (Some(key.into_bytes()), Some(value.into_bytes())));
    }
    let data = events.last().unwrap();
    assert_eq!((&data["sent"], &data["acked"], &data["target_throughput"]), (&1000.into(), &1000.into(), &(-1).into()));
    assert!(data["avg_throughput"].as_f64().unwrap() > 0.0);
}

#[test]
fn it_goes_on_at_its_pace_until_it_is_told_to_end() {
    let (server, bootstrap) = broker(Options::default());
    let arguments = ["verifiable-producer", "--bootstrap-server", &bootstrap, "--topic", "t", "--throughput", "200"];
    let child = command(&arguments).spawn().unwrap();
    until("some are there", || records(&server, "t", 0).len() > 100);
    interrupt(&child);
    let ended = Ended::of(child.wait_with_output().unwrap());
    assert_eq!(ended.code, 130, "{ended:?}");
    let events = events(&ended);
    let data = events.last().unwrap();
    let sent = records(&server, "t", 0).len();
    assert_eq!((&data["sent"], &data["acked"], &data["target_throughput"]), (&sent.into(), &sent.into(), &200.into()));
    assert!(data["avg_throughput"].as_f64().unwrap() < 250.0, "{data}");
    assert_eq!(named(&events, "producer_send_success").len(), sent);
    assert!(events[1]["key"].is_null());
}

#[test]
fn the_exit_code_says_that_it_was_terminated_as_kafkas_does() {
    let (server, bootstrap) = broker(Options::default());
    let arguments = ["verifiable-producer", "--bootstrap-server", &bootstrap, "--topic", "t", "--throughput", "200"];
    let child = command(&arguments).spawn().unwrap();
    until("some are there", || records(&server, "t", 0).len() > 10);
    terminate(&child);
    let ended = Ended::of(child.wait_with_output().unwrap());
    assert_eq!(ended.code, 143, "{ended:?}");
    let events = events(&ended);
    let sent = records(&server, "t", 0).len();
    assert_eq!((&ended.json()["name"], &ended.json()["acked"]), (&"tool_data".into(), &sent.into()));
    assert_eq!(named(&events, "shutdown_complete").len(), 1);
}

#[test]
fn what_fails_is_told_record_by_record() {
    let (server, bootstrap) = broker(Options::default());
    server.with(|cluster| cluster.deny_topic("secret"));
    let arguments = ["verifiable-producer", "--bootstrap-server", &bootstrap, "--topic", "secret"];
    let ended = run(&[&arguments[..], &["--max-messages", "3"]].concat(), b"");
    // As Kafka's own, whose exit code says nothing of the records.
    assert_eq!(ended.code, 0, "{ended:?}");
    let events = events(&ended);
    let failed = named(&events, "producer_send_error");
    assert_eq!(failed.len(), 3, "{ended:?}");
    for (number, event) in failed.iter().enumerate() {
        assert_eq!((&event["value"], &event["topic"]), (&number.to_string().into(), &"secret".into()));
        assert!(event["message"].as_str().unwrap().contains("TOPIC_AUTHORIZATION_FAILED"), "{event}");
    }
    let data = events.last().unwrap();
    assert_eq!((&data["sent"], &data["acked"]), (&3.into(), &0.into()));
}
