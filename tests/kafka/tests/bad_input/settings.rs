//! Command lines and properties that make no sense: refused before anything is sent, so no broker is needed.

use crate::{DEADLINE, assert_refused};
use demitasse_kafka_tests::{Demitasse, enabled};

/// Nobody listens there; a wrong setting is found first.
const NOWHERE: &str = "127.0.0.1:1";

#[test]
fn a_property_that_is_unknown() {
    if enabled() {
        for property in ["linger=5", "compresion.type=lz4", "LINGER.MS=5"] {
            let name = property.split('=').next().unwrap();
            assert_refused(NOWHERE, "topic", &["-X", property], b"line\n", &[name]);
        }
    }
}

#[test]
fn a_property_whose_value_is_wrong() {
    if enabled() {
        for (name, value) in [("linger.ms", "soon"), ("linger.ms", "-1"), ("acks", "2"), ("batch.size", "1e9")] {
            assert_refused(NOWHERE, "topic", &["-X", &format!("{name}={value}")], b"line\n", &[name, value]);
        }
        assert_refused(NOWHERE, "topic", &["-X", "linger.ms"], b"line\n", &["linger.ms"]);
    }
}

#[test]
fn properties_that_contradict_each_other() {
    if enabled() {
        let more = ["-X", "enable.idempotence=true", "-X", "max.in.flight.requests.per.connection=6"];
        assert_refused(NOWHERE, "topic", &more, b"line\n", &["max.in.flight.requests.per.connection"]);
        // Buffers that cannot hold one batch.
        let more = ["-X", "buffer.memory=1000", "-X", "batch.size=16384"];
        assert_refused(NOWHERE, "topic", &more, b"line\n", &["buffer.memory"]);
    }
}

#[test]
fn a_command_line_that_is_wrong() {
    if enabled() {
        for arguments in
            [&["produce"][..], &["prodce"], &["produce", "--bootstrap", NOWHERE, "--topic", "t", "--bogus"]]
        {
            let run = Demitasse::run(arguments, b"line\n", DEADLINE).unwrap();
            assert!(run.code.is_some_and(|code| code != 0), "{run:?}");
            assert!(!run.stderr.trim().is_empty() && run.stdout.is_empty(), "{run:?}");
        }
    }
}
