//! `cargo xtask`: the project's chores, each a subcommand with a file of its own.
//!
//! A new one: a file with `HELP` and `run(arguments)`, a line in [`COMMANDS`].

mod bare;
mod boards;
mod chaos;
mod debian;
mod defects;
mod features;
mod firmware;
mod fuzz;
mod hot_path;
mod kafka;
mod lint;
mod peers;
mod simulate;
mod size;
mod steps;
mod test;
mod tools;

use std::path::Path;
use std::process::{Command, ExitCode};

/// What ends a subcommand early, in words for the developer.
type Result<T = ()> = std::result::Result<T, String>;

/// Name, help, what to run.
type Subcommand = (&'static str, &'static str, fn(&[String]) -> Result);

const COMMANDS: &[Subcommand] = &[
    ("test", test::HELP, test::run),
    ("lint", lint::HELP, lint::run),
    ("bare", bare::HELP, bare::run),
    ("firmware", firmware::HELP, firmware::run),
    ("boards", boards::HELP, boards::run),
    ("size", size::HELP, size::run),
    ("kafka", kafka::HELP, kafka::run),
    ("simulate", simulate::HELP, simulate::run),
    ("defects", defects::HELP, defects::run),
    ("chaos", chaos::HELP, chaos::run),
    ("fuzz", fuzz::HELP, fuzz::run),
    ("hot-path", hot_path::HELP, hot_path::run),
    ("peers", peers::HELP, peers::run),
];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    let rest: Vec<_> = arguments.collect();
    let Some((_, help, run)) = COMMANDS.iter().find(|(command, ..)| *command == name) else {
        for (_, help, _) in COMMANDS {
            eprintln!("{help}\n");
        }
        return ExitCode::from(2);
    };
    if rest.iter().any(|argument| argument == "--help" || argument == "-h") {
        println!("{help}");
        return ExitCode::SUCCESS;
    }
    match run(&rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo xtask {name}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The workspace's folder.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask/ is in the workspace")
}

/// Where cargo puts what it builds.
fn target() -> std::path::PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}

/// The cargo that runs us, in the workspace's folder.
fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    command.current_dir(root());
    command
}

/// Runs a command; what it says goes to the terminal.
fn run(command: &mut Command) -> Result {
    let line = line(command);
    eprintln!("> {line}");
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{line}: {status}")),
        Err(error) => Err(format!("cannot start {line}: {error}")),
    }
}

/// A command as one would type it, without the path of the program.
fn line(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let arguments = command.get_args().map(|argument| format!(" {}", argument.to_string_lossy()));
    program + &arguments.collect::<String>()
}

/// Refuses arguments that are not among `known`.
fn only(arguments: &[String], known: &[&str]) -> Result {
    match arguments.iter().find(|argument| !known.contains(&argument.as_str())) {
        Some(odd) => Err(format!("unknown argument {odd}; see --help")),
        None => Ok(()),
    }
}
