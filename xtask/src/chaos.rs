//! `cargo xtask chaos`: three real Kafka nodes under load, and everything that may happen to them.

use crate::steps::Stop;
use crate::{Result, cargo, tools};
use demitasse_kafka_tests::KAFKA_4;

pub(crate) const HELP: &str = "\
cargo xtask chaos [--minutes M] [--version V] [--only WORDS]
    kills, shuts down, freezes, restarts and moves three Kafka nodes about, in turn, while producers send fast and slowly;
    then kcat reads all of it: what is lost, doubled or out of order? 10 minutes, Kafka 4.3.1.
    --only WORDS    only the events that have these words in their name";

pub(crate) fn run(arguments: &[String]) -> Result {
    let version = arguments.iter().skip_while(|argument| *argument != "--version").nth(1);
    tools::for_kafka(&[version.map_or(KAFKA_4, String::as_str)]).map_err(Stop::words)?;
    let mut command = cargo();
    command.args(["run", "--quiet", "--release", "--locked", "--package", "demitasse-chaos", "--"]);
    crate::run(command.args(arguments))
}
