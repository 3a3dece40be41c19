use crate::program::{broker, run};
use demitasse_broker::Options;

#[test]
fn a_soak_keeps_its_promises_and_prints_them() {
    let (server, bootstrap) = broker(Options::default());
    let arguments = ["soak", "--bootstrap", &bootstrap, "--duration", "4s", "--every", "250ms", "--partitions", "3"];
    let rest = ["--rate", "20000", "--faults", "--json", "-X", "connections.per.broker.max=2"];
    let ended = run(&[&arguments[..], &rest].concat(), b"");
    let json = ended.json();
    assert_eq!((ended.code, json["broken"].as_array().unwrap().len()), (0, 0), "{ended:?}");
    let [acknowledged, failed, unknown] = ended.counts();
    assert_eq!((acknowledged, failed, unknown), (json["records"].as_u64().unwrap(), 0, 0));
    assert_eq!(json["client_allocations"], 0);
    assert!((10..=16).contains(&(ended.lines.len() - 1)), "{ended:?}");
    let line: serde_json::Value = serde_json::from_str(&ended.lines[3]).unwrap();
    let pool =
        |name: &str| line["pools"].as_array().unwrap().iter().find(|pool| pool["name"] == name).cloned().unwrap();
    assert!(pool("buffers")["high_water"].as_u64() <= pool("buffers")["capacity"].as_u64(), "{line}");
    let ends = server
        .with(|cluster| (0..3).map(|p| cluster.partition("demitasse-soak", p).unwrap().end_offset()).sum::<i64>());
    assert_eq!(ends as u64, acknowledged);
}

#[test]
fn what_is_too_short_to_judge_is_refused() {
    let (_server, bootstrap) = broker(Options::default());
    let ended = run(&["soak", "--bootstrap", &bootstrap, "--duration", "9s", "--every", "1s"], b"");
    assert_eq!(ended.code, 2);
    assert!(ended.error().contains("--duration"), "{ended:?}");
}
