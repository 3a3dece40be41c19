//! What a record costs at run time: an image runs twice in QEMU, with few and with many records, and the difference,
//! divided, is the cost of one. Neither the start nor the end counts.

use super::image::Image;
use crate::{Result, root, run, target};
use demitasse_firmware_tests::{Board, Machine, Setup, number};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The cost of a record.
pub(super) struct Cost {
    pub(super) instructions: f64,
    /// Of frames, both ways, headers and TCP's acknowledgements included.
    pub(super) wire_bytes: f64,
    /// The deepest use of the stack, of a whole run.
    pub(super) stack: u64,
    /// Instructions a record, by function, the most first.
    pub(super) functions: Vec<(String, f64)>,
}

/// What one run came to.
struct Total {
    instructions: BTreeMap<u64, u64>,
    wire_bytes: u64,
    round_trips: u64,
    stack: u64,
}

/// The plugin for QEMU that counts.
pub(super) fn plugin() -> Result<PathBuf> {
    let path = target().join("firmware/count.so");
    std::fs::create_dir_all(target().join("firmware")).map_err(|e| e.to_string())?;
    let mut command = Command::new("cc");
    run(command.args(["-O2", "-shared", "-fPIC", "-o"]).arg(&path).arg(root().join("tests/firmware/count.c")))?;
    Ok(path)
}

/// Runs the image with `few` and with `many` records; `arguments` gives the firmware's for a number of records.
pub(super) fn cost(
    board: Board,
    image: &Path,
    plugin: &Path,
    [few, many]: [u32; 2],
    arguments: impl Fn(u32) -> Vec<String>,
) -> Result<Cost> {
    let parts = Image::read(image)?;
    let [before, after] =
        [total(board, image, plugin, &arguments(few))?, total(board, image, plugin, &arguments(many))?];
    let records = f64::from(many - few);
    let each = |more: u64, less: u64| (more as f64 - less as f64) / records;
    let mut functions: BTreeMap<&str, f64> = BTreeMap::new();
    for (address, count) in &after.instructions {
        let name = parts.function(*address).map_or("?", |function| &function.name);
        // The clock's interrupt comes with time, not with records.
        if name != "SysTick" {
            *functions.entry(name).or_default() += each(*count, before.instructions.get(address).copied().unwrap_or(0));
        }
    }
    let mut functions: Vec<_> = functions.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
    functions.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    Ok(Cost {
        instructions: functions.iter().map(|(_, count)| count).sum(),
        wire_bytes: each(after.wire_bytes, before.wire_bytes),
        stack: after.stack,
        functions,
    })
}

/// The round trips of a run: with one record, those to the first acknowledgement.
pub(super) fn trips(board: Board, image: &Path, plugin: &Path, arguments: &[String]) -> Result<u64> {
    Ok(total(board, image, plugin, arguments)?.round_trips)
}

fn total(board: Board, image: &Path, plugin: &Path, arguments: &[String]) -> Result<Total> {
    let folder = target().join("firmware");
    let (blocks, capture) = (folder.join("blocks"), folder.join("frames"));
    let mut setup = Setup::new(board, image, &arguments.iter().map(String::as_str).collect::<Vec<_>>());
    setup.options = [
        "-plugin".into(),
        format!("{},out={}", plugin.display(), blocks.display()),
        "-object".into(),
        format!("filter-dump,id=dump,netdev=cable,file={}", capture.display()),
    ]
    .into();
    let machine = Machine::start(&setup).map_err(|e| e.to_string())?;
    let (_, lines) = machine.finish(Duration::from_secs(120)).map_err(|e| e.to_string())?;
    let stack = lines.last().and_then(|line| number(line, "stack")).ok_or("the firmware did not say its stack")?;
    let read = |path: &Path| std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()));
    let text = String::from_utf8_lossy(&read(&blocks)?).into_owned();
    let capture = read(&capture)?;
    let (wire_bytes, round_trips) = (wire_bytes(&capture), round_trips(&capture));
    Ok(Total { instructions: instructions(&text), wire_bytes, round_trips, stack })
}

/// What the plugin wrote, as instructions by the address of their block.
fn instructions(text: &str) -> BTreeMap<u64, u64> {
    let mut found = BTreeMap::new();
    for line in text.lines() {
        let words: Vec<_> = line.split(' ').collect();
        let [address, length, runs] = words[..] else { continue };
        let numbers = (u64::from_str_radix(address, 16), length.parse::<u64>(), runs.parse::<u64>());
        if let (Ok(address), Ok(length), Ok(runs)) = numbers {
            *found.entry(address).or_default() += length * runs;
        }
    }
    found
}

/// The frames in a capture, each with its length on the wire: a header of 24 bytes, then each frame behind one of 16.
fn frames(capture: &[u8]) -> Vec<(u64, &[u8])> {
    let mut found = Vec::new();
    let mut rest = capture.get(24..).unwrap_or_default();
    while let Some((header, after)) = rest.split_first_chunk::<16>() {
        let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let (frame, others) = after.split_at_checked(word(8) as usize).unwrap_or((after, &[]));
        found.push((u64::from(word(12)), frame));
        rest = others;
    }
    found
}

fn wire_bytes(capture: &[u8]) -> u64 {
    frames(capture).iter().map(|(length, _)| length).sum()
}

/// How often the machine waited for the host: once to connect, then each time it spoke after it had heard something.
fn round_trips(capture: &[u8]) -> u64 {
    let (mut trips, mut spoke_last) = (0, false);
    for (_, frame) in frames(capture) {
        let Some((from_guest, opens, payload)) = tcp(frame) else { continue };
        if opens && from_guest {
            trips += 1;
        }
        if payload {
            trips += u64::from(from_guest && !spoke_last);
            spoke_last = from_guest;
        }
    }
    trips
}

/// Of a frame with TCP in it: whether it is the guest's, whether it opens a connection, whether it carries something.
fn tcp(frame: &[u8]) -> Option<(bool, bool, bool)> {
    let ip = frame.get(12..)?.strip_prefix(&[8, 0])?;
    let header = usize::from(ip.first()? & 15) * 4;
    let length = usize::from(u16::from_be_bytes([*ip.get(2)?, *ip.get(3)?]));
    let segment = ip.get(header..).filter(|_| ip.get(9) == Some(&6))?;
    let (offset, flags) = (usize::from(segment.get(12)? >> 4) * 4, segment.get(13)?);
    Some((ip.get(12..16)? == GUEST, flags & 2 != 0, length > header + offset))
}

/// The machine's address in QEMU's network.
const GUEST: [u8; 4] = [10, 0, 2, 15];

/// The stand-in broker, in a process of its own; dropped, it ends.
pub(super) struct StandIn {
    process: Child,
    pub(super) port: u16,
}

impl StandIn {
    pub(super) fn start() -> Result<StandIn> {
        let package = ["-p", crate::features::FIRMWARE_TESTS, "--example", "stand-in"];
        run(crate::cargo().args(["build", "--quiet", "--release", "--locked"]).args(package))?;
        let mut command = Command::new(target().join("release/examples/stand-in"));
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut process = spawned.map_err(|e| format!("cannot start the stand-in broker: {e}"))?;
        let mut line = String::new();
        if let Some(out) = process.stdout.take() {
            BufReader::new(out).read_line(&mut line).map_err(|e| e.to_string())?;
        }
        let mut this = StandIn { process, port: 0 };
        this.port = line.trim().parse().map_err(|_| "the stand-in broker did not say its port")?;
        Ok(this)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// What the plain TCP image talks to: answers 4 bytes to every 128, on every connection, while this process lives.
pub(super) fn echo() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|e| e.to_string())?;
    let port = listener.local_addr().map_err(|e| e.to_string())?.port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.set_nodelay(true);
            let mut message = [0; 128];
            while stream.read_exact(&mut message).is_ok() && stream.write_all(&message[..4]).is_ok() {}
        }
    });
    Ok(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_at_one_address_add_up() {
        let found = instructions("a68 3 10\na68 2 1\nb00 1 7\n");
        assert_eq!(found, BTreeMap::from([(0xa68, 32), (0xb00, 7)]));
    }

    #[test]
    fn a_machine_that_speaks_after_it_has_heard_makes_a_round_trip() {
        let frame = |from: [u8; 4], flags: u8, payload: u16| {
            let mut frame = vec![0; 54];
            frame[12] = 8;
            (frame[14], frame[23]) = (0x45, 6);
            frame[16..18].copy_from_slice(&(40 + payload).to_be_bytes());
            frame[26..30].copy_from_slice(&from);
            (frame[46], frame[47]) = (0x50, flags);
            frame
        };
        let host = [10, 0, 2, 2];
        let talk = [
            (GUEST, 2, 0),
            (host, 18, 0),
            (GUEST, 16, 9),
            (GUEST, 16, 9),
            (host, 16, 9),
            (host, 16, 9),
            (GUEST, 16, 9),
        ];
        let mut capture = vec![0; 24];
        for (from, flags, payload) in talk {
            capture.extend([0; 8]);
            capture.extend([54, 0, 0, 0, 54, 0, 0, 0]);
            capture.extend(frame(from, flags, payload));
        }
        // To connect, two requests at once, and one that follows from their answers.
        assert_eq!(round_trips(&capture), 3);
    }

    #[test]
    fn frames_are_counted_at_their_length_on_the_wire() {
        let mut capture = vec![0; 24];
        for (kept, length) in [(2u32, 60u32), (3, 1514)] {
            capture.extend([0; 8]);
            capture.extend(kept.to_le_bytes());
            capture.extend(length.to_le_bytes());
            capture.extend(vec![7; kept as usize]);
        }
        assert_eq!(wire_bytes(&capture), 1574);
    }
}
