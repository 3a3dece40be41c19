//! `cargo xtask peers`: this client beside the others, and the tables, plots and targets of it.
//!
//! All of it is in tests/peers, a workspace of its own; what is here sets it up.

use crate::steps::Stop;
use crate::{Result, cargo, root, target, tools};
use demitasse_kafka_tests::KAFKA_4;

pub(crate) const HELP: &str = "\
cargo xtask peers [--rounds N] [--records N] [--only NAMES] [--row TEXT]... [--producing] [--consuming] [--quick] [--no-weight] [--out FOLDER] [--memory-seconds N]
    builds the clients of tests/peers, runs them in turn against one Kafka and against a sink, measures what each makes
    of a minimal program, lets those that can read the same records, writes docs/numbers.md with its plots, and says which targets are met; 3 rounds, half a million
    records of 1000 bytes and four times as many of 100. Needs Java, Go for franz-go, and a C compiler for librdkafka;
    who cannot be built is named in the tables.
    --only NAMES           only the clients that have one of these words in their name, with commas between
    --row TEXT             only tasks of producing that have this text in their title, such as \"1 MB, against Kafka\"
    --producing            only what producing costs
    --consuming            only what reading costs; all else in numbers.md stays as it is
    --quick                two minutes, to see whether all of it works: little is sent, once, and nothing is weighed
    --no-weight            without build times and sizes of programs, which takes some 15 minutes
    --memory-seconds N     how long demitasse sends for its memory over time, 600 by itself
    --latency-seconds N    how long each client sends at a fixed rate each round, in three runs, 10 by itself
    --out FOLDER           where numbers.md and its plots go instead of docs";

pub(crate) fn run(arguments: &[String]) -> Result {
    tools::for_kafka(&[KAFKA_4]).map_err(Stop::words)?;
    tools::for_peers();
    let mut command = cargo();
    command.args(["run", "--quiet", "--release", "--locked", "--package", "peers", "--"]).args(arguments);
    command.current_dir(root().join("tests/peers")).env("CARGO_TARGET_DIR", target().join("peers"));
    crate::run(&mut command)
}
