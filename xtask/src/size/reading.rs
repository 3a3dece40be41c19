//! What reading takes: the program that follows commands, and a record that is read.

use super::image::Image;
use super::measure::{Cost, cost};
use super::{ALLOCATOR, BASE_SOCKETS, BATCHED, FLOATS, Row, SINGLE, build, count};
use crate::Result;
use crate::bare::Toolchain;
use demitasse_firmware_tests::{Board, Machine, Setup, number};
use std::path::Path;
use std::time::Duration;

/// What is measured of it.
pub(super) struct Reading {
    pub(super) image: Image,
    /// A record that was sent alone, and one of a batch of 32.
    pub(super) costs: [Cost; 2],
    /// Bytes that hold records and the network's bytes.
    buffers: u64,
    /// The deepest use of the stack by the program that follows commands, its start and what it prints included.
    stack: u64,
}

/// Builds and runs; `topics` are those that the sender has filled, with single records and with batches.
pub(super) fn measure(
    toolchain: &Toolchain,
    board: Board,
    plugin: &Path,
    port: u16,
    topics: [&str; 2],
) -> Result<Reading> {
    let named = |program: &str, kind: &str| format!("size-{}-{program}-{kind}", board.name());
    let image = Image::read(&build(toolchain, board, "commands", "consumer", &named("commands", "flashed"))?)?;
    let measured =
        |program| build(toolchain, board, program, "consumer,semihosting,paint-stack", &named(program, "measured"));
    let (commands, read) = (measured("commands")?, measured("read")?);
    let address = format!("10.0.2.2:{port}");
    let words = |topic: &str, count: u32| vec![address.clone(), topic.into(), count.to_string()];
    let [alone, batched] = topics;
    let costs = [
        cost(board, &read, plugin, SINGLE, |count| words(alone, count))?,
        cost(board, &read, plugin, BATCHED, |count| words(batched, count))?,
    ];
    // It obeys what the stand-in broker has for it, and ends.
    let machine = Machine::start(&Setup::new(board, &commands, &[&address, "commands"]));
    let ended = machine.and_then(|machine| machine.finish(Duration::from_secs(60)));
    let (_, said) = ended.map_err(|e| e.to_string())?;
    let told = |name| said.iter().rev().find_map(|line| number(line, name)).ok_or(format!("it did not say its {name}"));
    Ok(Reading { image, costs, buffers: told("buffers")?, stack: told("stack")? })
}

impl Reading {
    /// The budgets are those of the sensor, and one that keeps what was reached: 20 KB over plain TCP for what writes, from
    /// which the sensor's was made, and as much again for what reads.
    pub(super) fn rows(&self, base: &Image) -> [Row; 14] {
        let Reading { image, costs: [alone, batched], buffers, stack } = self;
        let own_ram = (image.ram() as f64 - *buffers as f64) - (base.ram() as f64 - BASE_SOCKETS as f64);
        let row = |what, unit, is| Row::new(what, unit, is, "");
        [
            row("commands: flash in all", "B", image.flash() as f64).budget(48_000.0, 40_000.0),
            row("commands: flash over plain TCP", "B", image.flash() as f64 - base.flash() as f64)
                .budget(40_000.0, 15_000.0),
            row("commands: .data over plain TCP", "B", image.data as f64 - base.data as f64).must(0.0),
            row("commands: static RAM in all", "B", image.ram() as f64),
            row("commands: of it buffers: chunk, frames, sockets", "B", *buffers as f64),
            row("commands: static RAM over plain TCP, no buffers", "B", own_ram).budget(3_000.0, 2_000.0),
            row("commands: stack", "B", *stack as f64).budget(4_000.0, 3_000.0),
            row("reading: stack", "B", alone.stack.max(batched.stack) as f64).budget(4_000.0, 3_000.0),
            row("reading: instructions a record, batches of one", "", alone.instructions),
            row("reading: instructions a record, batches of 32", "", batched.instructions),
            row("reading: bytes on the wire a record, batches of one", "B", alone.wire_bytes),
            row("reading: bytes on the wire a record, batches of 32", "B", batched.wire_bytes),
            row("commands: symbols of an allocator", "", count(image, &ALLOCATOR)).must(0.0),
            row("commands: symbols of float formatting", "", count(image, &FLOATS)).must(0.0),
        ]
    }
}
