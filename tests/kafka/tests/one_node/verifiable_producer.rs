//! `demitasse verifiable-producer` beside Kafka's own, with the same arguments: the same records, and lines of the same shape.

use crate::kafka_4;
use demitasse_kafka_tests::{Demitasse, Kafka, enabled, until};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The fields of each kind of line, with the type of their values.
type Shapes = BTreeMap<String, BTreeSet<(String, &'static str)>>;

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Lines that are no JSON are passed over, as Kafka's system tests do it.
fn events(text: &str) -> Vec<Value> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).filter(Value::is_object).collect()
}

fn shapes(events: &[Value]) -> Shapes {
    let mut shapes = Shapes::new();
    for event in events {
        let name = event["name"].as_str().unwrap_or_else(|| panic!("no name: {event}"));
        let fields = event.as_object().expect("an object").iter().map(|(name, value)| (name.clone(), kind(value)));
        shapes.entry(name.into()).or_default().extend(fields);
    }
    shapes
}

/// What it is that was sent and told, without what may differ from run to run.
fn outcomes(events: &[Value], name: &str) -> BTreeSet<(String, String)> {
    let told = events.iter().filter(|event| event["name"] == name);
    told.map(|event| (event["key"].to_string(), event["value"].to_string())).collect()
}

/// Both with the same arguments, each to a topic of its own: Kafka's lines, then ours.
fn side_by_side(kafka: &Kafka, name: &str, configs: &[(&str, &str)], arguments: &[&str]) -> [Vec<Value>; 2] {
    let bootstrap = kafka.bootstrap();
    ["java", "demitasse"].map(|whose| {
        let topic = format!("{name}-{whose}");
        kafka.create_topic(&topic, 2, 1, configs).unwrap();
        let arguments = [&["--bootstrap-server", &bootstrap, "--topic", &topic], arguments].concat();
        let text = match whose {
            "java" => kafka.tool("org.apache.kafka.tools.VerifiableProducer", &arguments, b"").unwrap(),
            _ => {
                let arguments = [&["verifiable-producer"], &arguments[..]].concat();
                Demitasse::run(&arguments, b"", Duration::from_secs(60)).unwrap().stdout
            }
        };
        events(&text)
    })
}

#[test]
fn the_lines_are_those_of_kafkas_own() {
    if !enabled() {
        return;
    }
    let kafka = kafka_4();
    let more: [&[&str]; 3] = [
        &["--max-messages", "50"],
        &["--max-messages", "50", "--value-prefix", "3", "--repeating-keys", "7", "--acks", "1", "--throughput", "500"],
        &["--max-messages", "50", "--message-create-time", "1234567890123", "--acks", "0"],
    ];
    // The broker looks for what is too old every five seconds, and some of these records are of 2009.
    let configs = [("retention.ms", "-1")];
    for (number, arguments) in more.into_iter().enumerate() {
        let [java, ours] = side_by_side(kafka, &format!("verifiable-{number}"), &configs, arguments);
        assert_eq!(java.len(), 53, "{java:?}");
        assert_eq!(shapes(&ours), shapes(&java), "{arguments:?}");
        let success = "producer_send_success";
        assert_eq!(outcomes(&ours, success), outcomes(&java, success));
        let order = |events: &[Value]| [0, events.len() - 2, events.len() - 1].map(|at| events[at]["name"].to_string());
        assert_eq!(order(&ours), order(&java));
        for field in ["sent", "acked", "target_throughput"] {
            assert_eq!(ours[52][field], java[52][field]);
        }
        // With keys the partitions are the same too, and so are the records.
        let records = ["java", "demitasse"].map(|whose| {
            // With acks=0 nobody has heard that they are there.
            let found = until(Duration::from_secs(60), "50 records in the log", || {
                let found = kafka.consume(&format!("verifiable-{number}-{whose}")).unwrap();
                (found.len() >= 50).then_some(found)
            });
            let found = found.unwrap();
            let partition = |partition| if arguments.contains(&"--repeating-keys") { partition } else { 0 };
            let content = found.into_iter().map(|r| (partition(r.partition), r.key, r.value));
            content.collect::<BTreeSet<_>>()
        });
        assert_eq!(records[0].len(), 50);
        assert!(records[0] == records[1], "{records:?}");
    }
}

#[test]
fn an_error_is_told_in_the_shape_of_kafkas_own() {
    if !enabled() {
        return;
    }
    // A broker that refuses what is older than an hour. (Of a batch that is too large Kafka's tells nothing: it splits
    // even a single record for ever.)
    let configs = [("message.timestamp.before.max.ms", "3600000")];
    let arguments = ["--max-messages", "5", "--message-create-time", "1234567890123"];
    let [java, ours] = side_by_side(kafka_4(), "verifiable-refused", &configs, &arguments);
    let failed = "producer_send_error";
    assert_eq!(outcomes(&java, failed).len(), 5, "{java:?}");
    assert_eq!(outcomes(&ours, failed), outcomes(&java, failed));
    assert_eq!(shapes(&ours), shapes(&java));
}
