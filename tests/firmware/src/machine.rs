//! One machine: how it is started, what it says, its cable, its end.

use crate::guard::Guard;
use demitasse_kafka_tests::{Error, Result, until};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A board that QEMU has and for which there is firmware.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Board {
    /// ARM's MPS2 with a Cortex-M3.
    Mps2An385,
    /// Luminary's LM3S6965: 64 KB of RAM.
    Lm3s6965evb,
}

impl Board {
    /// Both.
    pub const ALL: [Board; 2] = [Board::Mps2An385, Board::Lm3s6965evb];

    /// Its name, in QEMU and as a feature of the firmware.
    pub fn name(self) -> &'static str {
        match self {
            Board::Mps2An385 => "mps2-an385",
            Board::Lm3s6965evb => "lm3s6965evb",
        }
    }

    fn ethernet(self) -> &'static str {
        match self {
            Board::Mps2An385 => "lan9118",
            Board::Lm3s6965evb => "stellaris",
        }
    }
}

/// What is to be started.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The machine.
    pub board: Board,
    /// What runs on it: an ELF file.
    pub image: PathBuf,
    /// What the firmware reads as its command line.
    pub arguments: Vec<String>,
    /// More for QEMU itself.
    pub options: Vec<String>,
}

impl Setup {
    /// An image without more options.
    pub fn new(board: Board, image: &Path, arguments: &[&str]) -> Setup {
        let arguments = arguments.iter().map(|&argument| argument.into()).collect();
        Setup { board, image: image.into(), arguments, options: Vec::new() }
    }
}

/// A machine that runs. Dropping it, or the death of this process, ends it.
pub struct Machine {
    qemu: Child,
    guard: Option<Guard>,
    monitor: PathBuf,
    heard: Arc<Mutex<Heard>>,
}

/// What it has said so far.
#[derive(Default)]
struct Heard {
    lines: Vec<String>,
    /// What QEMU itself says.
    complaints: String,
}

impl Machine {
    /// Starts QEMU with a network in which the host's 127.0.0.1 is 10.0.2.2.
    pub fn start(setup: &Setup) -> Result<Machine> {
        static MACHINES: AtomicU32 = AtomicU32::new(0);
        let number = MACHINES.fetch_add(1, Ordering::Relaxed);
        let monitor = std::env::temp_dir().join(format!("demitasse-qemu-{}-{number}", std::process::id()));
        let _ = std::fs::remove_file(&monitor);
        // The first argument is the program's name.
        let arguments: String = setup.arguments.iter().map(|argument| format!(",arg={argument}")).collect();
        let mut command = Command::new("qemu-system-arm");
        command
            .args(["-M", setup.board.name(), "-display", "none", "-serial", "none"])
            .args(["-monitor", &format!("unix:{},server=on,wait=off", monitor.display())])
            .args(["-nic", &format!("user,id=cable,model={}", setup.board.ethernet())])
            .args(["-semihosting-config", &format!("enable=on,target=native,arg=firmware{arguments}")])
            .arg("-kernel")
            .arg(&setup.image)
            .args(&setup.options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut qemu = command.spawn().map_err(|e| Error::new(format!("cannot start qemu-system-arm: {e}")))?;
        let (out, err) = (qemu.stdout.take().expect("piped"), qemu.stderr.take().expect("piped"));
        let heard = Arc::new(Mutex::new(Heard::default()));
        // Made before anything can fail: dropped, it ends QEMU.
        let mut machine = Machine { qemu, guard: None, monitor, heard };
        machine.guard = Some(Guard::watch(machine.qemu.id())?);
        let heard = Arc::clone(&machine.heard);
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(std::result::Result::ok) {
                lock(&heard).lines.push(line);
            }
        });
        let heard = Arc::clone(&machine.heard);
        std::thread::spawn(move || {
            let mut text = String::new();
            let _ = BufReader::new(err).read_to_string(&mut text);
            lock(&heard).complaints = text;
        });
        Ok(machine)
    }

    /// The lines so far.
    pub fn lines(&self) -> Vec<String> {
        lock(&self.heard).lines.clone()
    }

    /// Waits until `wanted` finds something in a line; the newest lines are asked first.
    pub fn until<T>(&mut self, limit: Duration, what: &str, wanted: impl Fn(&str) -> Option<T>) -> Result<T> {
        let found = until(limit, what, || {
            let found = lock(&self.heard).lines.iter().rev().find_map(|line| wanted(line)).map(Ok);
            let dead = || self.qemu.try_wait().ok().flatten().map(Err);
            // Dead, it may still have said it just before.
            found.or_else(dead)
        });
        match found {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(status)) => Err(Error::new(format!("{status} before {what}; {}", self.words()))),
            Err(late) => Err(Error::new(format!("{late}; {}", self.words()))),
        }
    }

    /// Pulls the cable, or puts it back.
    pub fn cable(&self, plugged: bool) -> Result<()> {
        let mut monitor = UnixStream::connect(&self.monitor)?;
        monitor.set_read_timeout(Some(Duration::from_secs(10)))?;
        prompt(&mut monitor)?;
        writeln!(monitor, "set_link cable {}", if plugged { "on" } else { "off" })?;
        let answer = prompt(&mut monitor)?;
        if answer.contains("Error") { Err(Error::new(format!("QEMU says: {answer}"))) } else { Ok(()) }
    }

    /// Waits until the firmware ends: its exit status and all that it said. At the limit it is killed.
    pub fn finish(mut self, limit: Duration) -> Result<(ExitStatus, Vec<String>)> {
        let ended = until(limit, "the firmware to end", || self.qemu.try_wait().ok().flatten());
        let status = ended.map_err(|late| Error::new(format!("{late}; {}", self.words())))?;
        // The readers may be a moment behind.
        let _ = until(Duration::from_secs(5), "its last words", || (Arc::strong_count(&self.heard) == 1).then_some(()));
        if !status.success() {
            return Err(Error::new(format!("the firmware ended badly; {}", self.words())));
        }
        Ok((status, self.lines()))
    }

    /// For an error message.
    fn words(&self) -> String {
        let heard = lock(&self.heard);
        let last = heard.lines.len().saturating_sub(20);
        format!("it said:\n{}\n{}", heard.lines[last..].join("\n"), heard.complaints)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        drop(self.guard.take());
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
        let _ = std::fs::remove_file(&self.monitor);
    }
}

/// Reads up to the monitor's prompt: it has done what it was told. What it said.
fn prompt(monitor: &mut UnixStream) -> Result<String> {
    let mut seen = Vec::new();
    let mut byte = [0];
    while !seen.ends_with(b"(qemu) ") {
        monitor.read_exact(&mut byte)?;
        seen.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&seen).into_owned())
}

fn lock(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}
