//! What a figure is worth nothing without: the machine, the versions, the commit.

use crate::root;
use std::process::Command;

/// The first line that a program says, or that it is not there.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(root()).output();
    let Ok(output) = output else { return format!("no {program}") };
    // Java tells its version on standard error.
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_owned()
}

pub(crate) fn rust() -> String {
    said("rustc", &["--version"])
}

pub(crate) fn java() -> String {
    said("java", &["-version"])
}

/// The day, as the clock has it.
pub(crate) fn day() -> String {
    said("date", &["+%Y-%m-%d"])
}

/// The commit, and whether the code has changed since. What this program itself writes is no change.
pub(crate) fn commit() -> String {
    let changed = said("git", &["status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs"]);
    let and = if changed.is_empty() { "" } else { " with changes" };
    format!("{}{and}", said("git", &["rev-parse", "--short=12", "HEAD"]))
}

/// Processor, cores, memory, system.
pub(crate) fn hardware() -> String {
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("not known");
        line.trim_start_matches([':', ' ', '\t']).trim().to_owned()
    };
    let cores = std::thread::available_parallelism().map_or(0, |cores| cores.get());
    let processor = field(&read("/proc/cpuinfo"), "model name");
    let memory = field(&read("/proc/meminfo"), "MemTotal");
    format!("{processor}, {cores} cores, {memory}, Linux {}", read("/proc/sys/kernel/osrelease").trim())
}
