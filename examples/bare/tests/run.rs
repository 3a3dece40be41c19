//! The program, against the stand-in broker.

use demitasse_broker::{Options, Server};
use std::process::Command;

#[test]
fn ten_records_arrive_without_a_runtime() {
    let server = Server::start(Options { default_partitions: 1, ..Options::default() }).unwrap();
    let output =
        Command::new(env!("CARGO_BIN_EXE_demitasse-bare")).args([&server.bootstrap(), "bare"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let values: Vec<String> = server.with(|cluster| {
        let partition = cluster.partition("bare", 0).unwrap();
        partition.records().map(|record| String::from_utf8(record.value.unwrap().to_vec()).unwrap()).collect()
    });
    assert_eq!(values, (0..10).map(|i| format!("reading {i}")).collect::<Vec<_>>());
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().last(), Some("partition 0 offset Some(9)"));
}

#[test]
fn what_goes_wrong_is_told_in_words() {
    let server = Server::start(Options::default()).unwrap();
    server.with(|cluster| {
        cluster.create_topic("bare", 1);
        cluster.deny_topic("bare");
    });
    let output =
        Command::new(env!("CARGO_BIN_EXE_demitasse-bare")).args([&server.bootstrap(), "bare"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.starts_with("demitasse-bare: ") && said.contains("TOPIC_AUTHORIZATION_FAILED"), "{said}");
}
