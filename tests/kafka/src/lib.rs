//! A real Apache Kafka on loopback, for tests: one JVM a node, KRaft, no container.
//!
//! [`Kafka::start`] gives a cluster that answers, and takes it away when it is dropped or when the process dies,
//! in whatever way. [`Demitasse`] drives the binary under test; [`Kafka::consume`] reads back what arrived with
//! kcat, which shares no code with it.
//!
//! Nothing here sleeps and hopes: [`until`] asks for a condition again and again, up to a limit.

mod certificates;
mod demitasse;
mod disk;
mod error;
mod guard;
mod jars;
mod kafka;
mod kcat;
mod node;
mod ports;
mod processes;
mod wait;
mod wire;

pub use demitasse::{Demitasse, Run};
pub use disk::can_be_made as disks_can_be_made;
pub use error::{Error, Result};
pub use jars::{KAFKA_3, KAFKA_4, cached as jars_cached, fetch as fetch_jars};
pub use kafka::{Kafka, Options};
pub use kcat::{Plain, Record};
pub use node::Ports;
pub use processes::found;
pub use wait::until;
pub use wire::Partition;

/// Whether the tests that need Kafka run: `cargo xtask test` sets `DEMITASSE_KAFKA=1` once it has all they need.
///
/// Otherwise they say so and pass, so that a plain `cargo test` is green on a machine without Java.
pub fn enabled() -> bool {
    let on = std::env::var_os("DEMITASSE_KAFKA").is_some_and(|v| v == "1");
    if !on {
        eprintln!("skipped: needs a real Kafka; run `cargo xtask test`, see docs/testing.md");
    }
    on
}
