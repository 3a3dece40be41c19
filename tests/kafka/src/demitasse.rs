//! Running the `demitasse` binary as a user does.

use crate::processes::finish;
use crate::{Error, Result};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

/// A `demitasse` that runs.
pub struct Demitasse {
    child: Option<Child>,
    stdin: Option<ChildStdin>,
}

/// What one said, and how it ended.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its exit code; none: a signal ended it.
    pub code: Option<i32>,
    /// All of its standard output.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
}

impl Demitasse {
    /// The binary: `DEMITASSE_BIN`, else `target/release/demitasse` of this workspace.
    pub fn binary() -> Result<PathBuf> {
        let path = match std::env::var_os("DEMITASSE_BIN") {
            Some(path) => PathBuf::from(path),
            None => PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/release/demitasse")),
        };
        if path.is_file() {
            return Ok(path);
        }
        let advice = "run `cargo build --release --bin demitasse`, or set DEMITASSE_BIN";
        Err(Error::new(format!("there is no {}: {advice}", path.display())))
    }

    /// Starts it; what it reads is given by [`Demitasse::input`].
    pub fn start(arguments: &[&str]) -> Result<Demitasse> {
        let mut command = Command::new(Demitasse::binary()?);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let stdin = child.stdin.take();
        Ok(Demitasse { child: Some(child), stdin })
    }

    /// Starts it, gives it all of `stdin`, and waits for its end; later than `limit` is an error.
    pub fn run(arguments: &[&str], stdin: &[u8], limit: Duration) -> Result<Run> {
        let mut this = Demitasse::start(arguments)?;
        let mut input = this.input();
        std::thread::scope(|scope| {
            // If it ends without reading everything, its exit code and words tell why.
            scope.spawn(move || drop(input.write_all(stdin)));
            this.finish(limit)
        })
    }

    /// The pipe to its standard input, to be written by another thread; once.
    pub fn input(&mut self) -> ChildStdin {
        self.stdin.take().expect("taken once")
    }

    /// Waits for its end; closes its input, unless that was taken. At `limit` it is killed, which is an error.
    pub fn finish(mut self, limit: Duration) -> Result<Run> {
        drop(self.stdin.take());
        let said = finish(self.child.take().expect("runs until now"), "demitasse", limit)?;
        Ok(Run {
            code: said.status.code(),
            stdout: String::from_utf8_lossy(&said.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&said.stderr).into_owned(),
        })
    }
}

impl Drop for Demitasse {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
