//! `demitasse`: the library on the command line. What is shared by all commands: the arguments, the exit code, the log.

mod bench;
mod broker;
mod consume;
mod groups;
mod interrupt;
mod lines;
mod load;
mod process;
mod produce;
mod report;
mod runtime;
mod settings;
mod sizes;
mod soak;
mod topics;
mod verifiable;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};
use report::Problem;
use std::io::Write;
use std::process::ExitCode;

/// Counts every allocation of the program, for `bench`: what the library promises is measured, not claimed.
#[global_allocator]
static ALLOCATOR: demitasse_io_std::guard::GuardedAllocator = demitasse_io_std::guard::GuardedAllocator::new();

/// A Kafka client that fits in a small cup.
///
/// Exit codes: 0 all went well; 1 something was not acknowledged or could not be done; 2 wrong arguments or settings, and
/// nothing was sent; 130 interrupted by Ctrl-C, 143 by SIGTERM.
#[derive(Parser)]
#[command(name = "demitasse", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// The library's log lines on standard error.
    #[arg(long, short, global = true)]
    verbose: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Sends each line of standard input as a record.
    Produce(produce::Arguments),
    /// Writes the records of a topic, a line each.
    Consume(consume::Arguments),
    /// Measures throughput, latency, CPU time, allocations and memory.
    #[command(subcommand)]
    Bench(Bench),
    /// Produces for as long as one likes, and sees to it that memory does not move.
    Soak(soak::Arguments),
    /// Shows what a group has committed, and how far it is behind.
    Groups(groups::Arguments),
    /// Lists the topics of a cluster, or creates one.
    Topics(topics::Arguments),
    /// Shows the memory that a producer with these settings takes, pool by pool, without a broker.
    Sizes(sizes::Arguments),
    /// Sends numbers and writes the JSON lines of Kafka's own kafka-verifiable-producer, for its system tests.
    VerifiableProducer(verifiable::Arguments),
    /// Runs a stand-in broker on this machine until Ctrl-C. It is not Kafka and forgets everything when it ends.
    Broker(broker::Arguments),
}

#[derive(Subcommand)]
enum Bench {
    /// Produces records of one size and observes the outcome of every one.
    Produce(bench::Arguments),
    /// Reads the records of a topic from the beginning.
    Consume(bench::consume::Arguments),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    if cli.verbose {
        // It can fail only if there is a logger already.
        let _ = log::set_logger(&StderrLog).map(|()| log::set_max_level(log::LevelFilter::Debug));
    }
    let result = match cli.command {
        Command::Produce(arguments) => produce::run(&arguments),
        Command::Consume(arguments) => consume::run(&arguments),
        Command::Bench(Bench::Produce(arguments)) => bench::run(&arguments),
        Command::Bench(Bench::Consume(arguments)) => bench::consume::run(&arguments),
        Command::Soak(arguments) => soak::run(&arguments),
        Command::Groups(arguments) => groups::run(&arguments),
        Command::Topics(arguments) => topics::run(&arguments),
        Command::Sizes(arguments) => sizes::run(&arguments),
        Command::VerifiableProducer(arguments) => verifiable::run(&arguments),
        Command::Broker(arguments) => broker::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => problem.tell(),
    }
}

/// Help and version as clap prints them; an error in one line, like every error of this program.
fn usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = error.print();
        return ExitCode::from(2);
    }
    let text = error.to_string();
    let what = text.split("\n\n").next().unwrap_or(&text);
    let what: Vec<&str> = what.trim_start_matches("error: ").split_whitespace().collect();
    Problem::usage(format!("{}; see --help", what.join(" "))).tell()
}

/// Twenty lines instead of a crate: level and text on standard error.
struct StderrLog;

impl log::Log for StderrLog {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.target().starts_with("demitasse")
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            let _ = writeln!(std::io::stderr(), "{:5} {}", record.level().as_str().to_lowercase(), record.args());
        }
    }

    fn flush(&self) {}
}
