use crate::program::{broker, run};
use demitasse_broker::Options;

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
        (["-X", "fetch.memory.bytes=5"], "fetch.memory"),
    ] {
        let ended = run(&[&consume[..], &wrong].concat(), b"");
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(ended.error().contains(named), "{ended:?}");
    }
}
