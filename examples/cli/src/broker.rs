//! `demitasse broker`: a stand-in for Kafka, to try things out without one.

use crate::interrupt::Interrupt;
use crate::report::{Output, Problem};
use crate::runtime;
use clap::Args;
use demitasse_broker::{Options, Server};

/// The most nodes that are worth a thread each.
const NODES: i64 = 64;

/// Runs a stand-in broker on 127.0.0.1 until Ctrl-C. It is not Kafka: it keeps the last 256 MiB of records in memory and
/// forgets everything when it ends. Topics are created on demand.
///
/// The first line of output says what it is, the second is its address, for --bootstrap.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The first node's port, the others follow it; 0 for any that are free.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Nodes of the cluster.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=NODES))]
    nodes: u16,
    /// Partitions of a topic that is created on demand.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..))]
    partitions: i32,
    /// Nobody may write to this topic: to see what that looks like.
    #[arg(long, value_name = "TOPIC")]
    deny: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Problem> {
    let Arguments { port, nodes, partitions, ref deny } = *arguments;
    let ports = match port {
        0 => Vec::new(),
        first => (0..nodes).map_while(|index| first.checked_add(index)).collect(),
    };
    let mut interrupt = Interrupt::listen()?;
    let options = Options { nodes: nodes.into(), default_partitions: partitions, ports, ..Options::default() };
    let cannot =
        |error| Problem::failed(format!("the stand-in broker cannot listen on 127.0.0.1 port {port}: {error}"));
    let server = Server::start(options).map_err(cannot)?;
    for topic in deny {
        server.with(|cluster| cluster.deny_topic(topic));
    }
    let mut output = Output::new();
    output.line("a stand-in broker, not Kafka: records are kept in memory only, and lost when it ends");
    output.line(server.bootstrap());
    output.flush();
    runtime::run(0, async {
        interrupt.pressed().await;
        output.finish()
    })
}
