//! Processes by pid: is it still the one we started, signal it, run one to its end.

use crate::{Error, Result, until};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// Whether a program is in `PATH`.
pub fn found(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// True if `pid` lives and names `folder` in its command line. A pid may have been used again by somebody else,
/// and a dead process that nobody has waited for has no command line.
pub(crate) fn is_ours(pid: u32, folder: &Path) -> bool {
    let Ok(line) = std::fs::read(format!("/proc/{pid}/cmdline")) else { return false };
    let mark = format!("{}/", folder.display()).into_bytes();
    line.windows(mark.len()).any(|part| part == mark)
}

/// Sends a signal by its name. `kill` the program, because the system call needs `unsafe` or a crate.
pub(crate) fn signal(pid: u32, name: &str) -> Result<()> {
    let sent = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status()?;
    if sent.success() { Ok(()) } else { Err(Error::new(format!("cannot send {name} to process {pid}"))) }
}

/// What a process said.
pub(crate) struct Said {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

/// Runs a command to its end, or kills it at the limit.
pub(crate) fn run(command: &mut Command, stdin: &[u8], limit: Duration) -> Result<Said> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| Error::new(format!("cannot start {name}: {e}")))?;
    let mut input = child.stdin.take().expect("piped");
    std::thread::scope(|scope| {
        // A process that ends without reading all of its input is no error of ours.
        scope.spawn(move || drop(input.write_all(stdin)));
        finish(child, &name, limit)
    })
}

/// Reads what a child says until it ends; kills it at the limit, which is an error.
pub(crate) fn finish(mut child: Child, name: &str, limit: Duration) -> Result<Said> {
    let mut out = child.stdout.take().expect("piped");
    let mut err = child.stderr.take().expect("piped");
    std::thread::scope(|scope| {
        let out = scope.spawn(move || {
            let mut bytes = Vec::new();
            out.read_to_end(&mut bytes).map(|_| bytes)
        });
        let err = scope.spawn(move || {
            let mut bytes = Vec::new();
            err.read_to_end(&mut bytes).map(|_| bytes)
        });
        let ended = until(limit, &format!("{name} to end"), || child.try_wait().ok().flatten());
        if ended.is_err() {
            child.kill()?;
            child.wait()?;
        }
        let stdout = out.join().expect("no panic")?;
        let stderr = err.join().expect("no panic")?;
        match ended {
            Ok(status) => Ok(Said { status, stdout, stderr }),
            Err(late) => {
                Err(Error::new(format!("{late}; it was killed, and had said: {}{}", tail(&stdout), tail(&stderr))))
            }
        }
    })
}

/// The last of what was said, for an error message.
pub(crate) fn tail(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(2000)..]).into_owned()
}
