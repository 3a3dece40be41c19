//! What a user gets wrong: every fault ends within its time, with a code other than 0 and one line that names it,
//! and disturbs nobody else.

mod addresses;
mod bystander;
#[path = "../common/mod.rs"]
#[allow(dead_code, reason = "each test binary needs a part of it")]
mod common;
mod settings;
mod topics;

use demitasse_kafka_tests::{Demitasse, KAFKA_3, KAFKA_4, Kafka, Options};
use std::sync::OnceLock;
use std::time::Duration;

/// Twice the delivery timeout and some for two slow cores on which everything starts at once.
const DEADLINE: Duration = Duration::from_secs(30);

/// Short waits, by Kafka's names.
const QUICK: [&str; 6] = ["-X", "max.block.ms=5000", "-X", "request.timeout.ms=4000", "-X", "delivery.timeout.ms=8000"];

/// A topic on [`kafka`] that everybody may describe and nobody may write.
const FORBIDDEN: &str = "forbidden";

/// The shared node. It has an authorizer, which allows everything but what is said of [`FORBIDDEN`].
fn kafka() -> &'static Kafka {
    static NODE: OnceLock<Kafka> = OnceLock::new();
    NODE.get_or_init(|| {
        let options = Options::one(KAFKA_4)
            .with("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer")
            .with("allow.everyone.if.no.acl.found", "true");
        let kafka = Kafka::start(options).unwrap();
        kafka.create_topic(FORBIDDEN, 1, 1, &[]).unwrap();
        let rule = ["--add", "--allow-principal", "User:ANONYMOUS", "--operation", "Describe", "--topic", FORBIDDEN];
        let server = kafka.bootstrap();
        let arguments = [&["--bootstrap-server", &server][..], &rule].concat();
        kafka.tool("org.apache.kafka.tools.AclCommand", &arguments, b"").unwrap();
        kafka
    })
}

/// The shared node that makes no topic by itself.
fn kafka_without_auto_create() -> &'static Kafka {
    static NODE: OnceLock<Kafka> = OnceLock::new();
    NODE.get_or_init(|| Kafka::start(Options::one(KAFKA_3).with("auto.create.topics.enable", "false")).unwrap())
}

/// Runs `demitasse produce` on what is wrong: it must end in time, not with 0, and say one line that has all `words`
/// (small and large letters are the same).
fn assert_refused(bootstrap: &str, topic: &str, more: &[&str], stdin: &[u8], words: &[&str]) {
    let fixed = ["produce", "--bootstrap", bootstrap, "--topic", topic];
    let run = Demitasse::run(&[&fixed[..], &QUICK, more].concat(), stdin, DEADLINE).unwrap();
    assert!(run.code.is_some_and(|code| code != 0), "it must end with a code other than 0: {run:?}");
    assert_eq!(run.stderr.trim_end().lines().count(), 1, "one line names the fault: {run:?}");
    let said = run.stderr.to_lowercase();
    for word in words {
        assert!(said.contains(&word.to_lowercase()), "{word:?} must be named: {run:?}");
    }
}
