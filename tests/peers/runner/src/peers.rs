//! Who is compared, how it is built, and with which settings.

use crate::{builds, root, target};
use anyhow::{Context, Result, ensure};
use demitasse_kafka_tests::{KAFKA_4, fetch_jars, found};
use std::path::PathBuf;
use std::process::Command;

/// How a client's program comes to be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A package of this workspace.
    Rust(&'static str),
    Go,
    /// Kafka's own tool.
    Java,
    /// A program that is here already, or is not.
    Kcat,
}

/// What a client is in the targets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The one that others are compared with.
    Floor,
    /// Less than must be done.
    BelowFloor,
    /// This project's, record by record.
    Ours,
    /// This project's, many records at once.
    Slices,
    /// A peer that takes a record at a time.
    Records,
    /// A peer whose caller builds the batches.
    Batches,
}

pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) role: Role,
    pub(crate) kind: Kind,
    /// The program's `--mode`.
    pub(crate) mode: &'static str,
    /// What a reader has to know of how it was used.
    pub(crate) settings: &'static str,
}

const fn peer(name: &'static str, role: Role, kind: Kind, mode: &'static str, settings: &'static str) -> Peer {
    Peer { name, role, kind, mode, settings }
}

const CONFLUENT: Kind = Kind::Rust("peer-confluent");
const DEMITASSE: Kind = Kind::Rust("peer-demitasse");
const FLOOR: Kind = Kind::Rust("peer-floor");
const KRAFKA: Kind = Kind::Rust("peer-krafka");
const RDKAFKA: Kind = Kind::Rust("peer-rdkafka");
const RSKAFKA: Kind = Kind::Rust("peer-rskafka");

/// This project's, as most will use it.
pub(crate) const OURS: &str = "demitasse";

/// In the order in which they stand in the tables. The broker's warm-up takes the first.
pub(crate) const ALL: &[Peer] = &[
    peer(
        "floor, frames",
        Role::BelowFloor,
        FLOOR,
        "frames",
        "ready-made requests through one blocking socket, 5 in flight",
    ),
    peer(
        "floor, append",
        Role::Floor,
        FLOOR,
        "append",
        "the same, each record encoded, each batch's CRC computed; not idempotent",
    ),
    peer(
        "demitasse, slices",
        Role::Slices,
        DEMITASSE,
        "slices",
        "`send_slice` of 64 records, one thread (tokio) for all",
    ),
    peer(
        OURS,
        Role::Ours,
        DEMITASSE,
        "send",
        "`try_send` a record, else `send`; one thread (tokio) for all; deliveries of one batch are joined",
    ),
    peer(
        "demitasse, threads",
        Role::Ours,
        DEMITASSE,
        "threads",
        "`send_blocking` a record from a plain thread; a second one for IO",
    ),
    peer(
        "demitasse, connections",
        Role::Ours,
        DEMITASSE,
        "connections",
        "as above, on one thread, with a connection for each partition, as rskafka has: connections.per.broker.min=4",
    ),
    peer(
        "rskafka",
        Role::Batches,
        RSKAFKA,
        "",
        "the caller builds each batch; not idempotent, no linger; 5 batches and a connection a partition; one thread",
    ),
    peer(
        "rdkafka, callback",
        Role::Records,
        RDKAFKA,
        "callback",
        "`ThreadedProducer`; librdkafka with batch.num.messages=1000000, no limit of messages in the queue",
    ),
    peer(
        "rdkafka, future",
        Role::Records,
        RDKAFKA,
        "future",
        "`FutureProducer`, the same settings; when full it asks again after 1 ms",
    ),
    peer(
        "confluent",
        Role::Records,
        CONFLUENT,
        "",
        "`send` with slices and a callback a record; one thread (tokio) for all",
    ),
    peer("confluent, threads", Role::Records, CONFLUENT, "threads", "the same on tokio's multi-threaded runtime"),
    peer(
        "krafka",
        Role::Records,
        KRAFKA,
        "",
        "`enqueue`, a future a record, awaited in order by a second task; values as `Bytes`; no telemetry; \
         one thread (tokio) for all",
    ),
    peer("krafka, threads", Role::Records, KRAFKA, "threads", "the same on tokio's multi-threaded runtime"),
    peer(
        "franz-go",
        Role::Records,
        Kind::Go,
        "",
        "`Produce` with a promise a record; no compression, no limit of records, `UniformBytesPartitioner` with the \
         batch's size, no telemetry",
    ),
    peer(
        "Java",
        Role::Records,
        Kind::Java,
        "",
        "Kafka's `ProducerPerformance` with a payload file, in a JVM as Kafka's scripts start it (-Xmx512M, G1); as \
         many records to warm up as are measured, and CPU time is that of the whole run less that of a run of the \
         warm-up alone",
    ),
];

/// Who reads.
pub(crate) const READERS: &[Peer] = &[
    peer(OURS, Role::Ours, DEMITASSE, "read", "`poll` of at most 10,000 records, one thread (tokio) for all"),
    peer(
        "rdkafka",
        Role::Records,
        RDKAFKA,
        "read",
        "`BaseConsumer::poll`, whose messages borrow librdkafka's memory; check.crcs=true, nothing is committed",
    ),
    peer(
        "kcat",
        Role::Records,
        Kind::Kcat,
        "",
        "librdkafka from C; check.crcs=true, an empty format, so that nothing is written; CPU time is the process's",
    ),
    peer(
        "franz-go",
        Role::Records,
        Kind::Go,
        "read",
        "`PollFetches` and `EachRecord`, partitions by hand, no telemetry",
    ),
    peer(
        "Java",
        Role::Records,
        Kind::Java,
        "",
        "Kafka's `ConsumerPerformance`, in a JVM as Kafka's scripts start it (-Xmx512M, G1); CPU time is that of a \
         run over three times as many records less that of a run over as many; records a second are \
         those after the rebalance, the JVM's compiling included",
    ),
];

impl Peer {
    /// In C, the allocator of Rust sees nothing; Go's runtime counts always; the JVM does not tell.
    pub(crate) fn counts_allocations(&self) -> bool {
        matches!(self.kind, Kind::Rust(package) if package != "peer-rdkafka")
    }

    /// `ProducerPerformance` tells latencies in whole milliseconds: a p50 of 0.
    pub(crate) fn counts_milliseconds(&self) -> bool {
        matches!(self.kind, Kind::Java)
    }

    pub(crate) fn program(&self) -> PathBuf {
        match self.kind {
            Kind::Rust(package) => target().join("release").join(package),
            Kind::Go => target().join("release/peer-franz-go"),
            Kind::Java => PathBuf::from("java"),
            Kind::Kcat => PathBuf::from("kcat"),
        }
    }

    fn build(&self) -> Result<()> {
        match self.kind {
            Kind::Rust(package) => cargo(package),
            Kind::Go => go(self.program()),
            Kind::Java => fetch_jars(KAFKA_4).map(drop).map_err(|error| anyhow::anyhow!("{error}")),
            Kind::Kcat => found("kcat").then_some(()).context("there is no kcat here"),
        }
    }
}

/// Builds all that is needed. A client that cannot be built is left out, with the reason.
pub(crate) fn build(peers: &[&Peer]) -> Result<Vec<Result<(), String>>> {
    cargo("peer-sink")?;
    // The broker is warmed up by the floor, wanted or not.
    cargo("peer-floor")?;
    let mut known: Vec<(Kind, Result<(), String>)> = vec![(FLOOR, Ok(()))];
    for peer in peers {
        if known.iter().all(|(kind, _)| *kind != peer.kind) {
            known.push((peer.kind, peer.build().map_err(|error| format!("not built: {error:#}"))));
        }
    }
    let result = |peer: &&Peer| known.iter().find(|(kind, _)| *kind == peer.kind).map_or(Ok(()), |(_, is)| is.clone());
    Ok(peers.iter().map(result).collect())
}

/// The release build of one package of this workspace.
fn cargo(package: &str) -> Result<()> {
    let mut command = builds::cargo();
    build_one(package, command.args(["build", "--release", "--locked", "--quiet", "--package", package]))
}

fn go(program: PathBuf) -> Result<()> {
    ensure!(found("go"), "there is no Go here");
    let mut command = Command::new("go");
    command.args(["build", "-buildvcs=false", "-o"]).arg(program).current_dir(root().join("tests/peers/franz-go"));
    build_one("franz-go", &mut command)
}

fn build_one(name: &str, command: &mut Command) -> Result<()> {
    eprintln!("building {name}");
    builds::run(command).map(drop)
}
