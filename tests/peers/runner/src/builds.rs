//! Running what builds.

use crate::root;
use anyhow::{Context, Result, bail};
use std::process::Command;

/// The cargo that runs us, in this workspace.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    command.current_dir(root().join("tests/peers"));
    command
}

/// What it wrote to standard output. If it fails, all it complained of goes to the terminal, and the line that says why
/// is the error.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout)?);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    eprintln!("{said}");
    let reason = said.lines().find(|line| line.contains("error")).or(said.lines().last());
    bail!("{}", reason.unwrap_or("it did not say why").trim());
}
