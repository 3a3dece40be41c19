//! `cargo xtask size`: what the firmware takes of flash, RAM, stack, instructions and wire, beside its budgets.

mod buys;
mod image;
mod measure;
mod reading;

use crate::bare::Toolchain;
use crate::firmware::{image as build, set_up};
use crate::steps::Stop;
use crate::{Result, only};
use buys::buys;
use demitasse_firmware_tests::{Board, Machine, Setup, number};
use image::Image;
pub(crate) use image::footprint;
use measure::{Cost, StandIn, cost, echo};
use std::collections::BTreeMap;
use std::time::Duration;

pub(crate) const HELP: &str = "\
cargo xtask size [--writing] [--functions N]
    builds the sensor of examples/firmware-qemu, the one that follows commands and a plain TCP image, runs them in QEMU
    against the stand-in broker, and prints what they take beside the budgets; fails if a \"must\" is broken
    --writing        only what writes, without the rows of reading: what CI runs
    --functions N    the N functions that take most flash and most instructions, even if all goals are met";

/// Records of the short and of the long run; by 32 for batches.
const SINGLE: [u32; 2] = [200, 1200];
const BATCHED: [u32; 2] = [640, 6400];
/// Where the single ones and those in batches go; both are read again.
const TOPICS: [&str; 2] = ["alone", "batched"];
/// Bytes of the sockets' buffers of the plain TCP image.
const BASE_SOCKETS: u64 = 2 * 1536;

/// Flash of the plain TCP image that the MQTT clients were measured with. Ours is less by the compiler's copy loops and the
/// table of interrupts, see `memory.rs` and `board.rs` of the firmware; so theirs would be, too.
const OTHERS_BASE: f64 = 25_200.0;

/// A figure with its budget.
struct Row {
    what: &'static str,
    unit: &'static str,
    is: f64,
    must: Option<f64>,
    goal: Option<f64>,
    /// What other clients take, from the notes of the measurement that gave the budgets.
    others: &'static str,
}

pub(crate) fn run(arguments: &[String]) -> Result {
    let (mut writing, mut functions, mut rest) = (false, None, arguments);
    loop {
        rest = match rest {
            [] => break,
            [flag, rest @ ..] if flag == "--writing" => {
                writing = true;
                rest
            }
            [flag, number, rest @ ..] if flag == "--functions" => {
                let number = number.parse().map_err(|_| format!("--functions takes a number, not {number}"))?;
                functions = Some(number);
                rest
            }
            odd => return only(odd, &["--writing", "--functions"]),
        };
    }
    let toolchain = set_up().map_err(Stop::words)?;
    let mut broken = Vec::new();
    for board in Board::ALL {
        broken.extend(report(&toolchain, board, writing, functions)?);
    }
    if broken.is_empty() { Ok(()) } else { Err(format!("over the budget: {}", broken.join("; "))) }
}

/// Measures and prints for one board; what is broken comes back.
fn report(toolchain: &Toolchain, board: Board, writing: bool, functions: Option<usize>) -> Result<Vec<String>> {
    let named = |program: &str, kind: &str| format!("size-{}-{program}-{kind}", board.name());
    // As one would flash them: nobody listens to what they say.
    let read = |program| Image::read(&build(toolchain, board, program, "", &named(program, "flashed"))?);
    let (base, sensor) = (read("base")?, read("sensor")?);
    // The same, but saying what they measure.
    let measured = |program| build(toolchain, board, program, "semihosting,paint-stack", &named(program, "measured"));
    let (base_runs, load_runs, sensor_runs) = (measured("base")?, measured("load")?, measured("sensor")?);

    let plugin = measure::plugin()?;
    let echo = echo()?;
    let tcp = cost(board, &base_runs, &plugin, SINGLE, |count| vec![echo.to_string(), count.to_string()])?;
    let broker = StandIn::start()?;
    let words = |count: u32, burst: u32| {
        let topic = if burst == 1 { TOPICS[0] } else { TOPICS[1] };
        vec![format!("10.0.2.2:{}", broker.port), topic.into(), count.to_string(), burst.to_string()]
    };
    let load = |counts, burst| cost(board, &load_runs, &plugin, counts, |count| words(count, burst));
    let (single, batched) = (load(SINGLE, 1)?, load(BATCHED, 32)?);
    // The topic is there by now, as it is in use.
    let trips = measure::trips(board, &load_runs, &plugin, &words(1, 1))?;
    let reading = if writing { None } else { Some(reading::measure(toolchain, board, &plugin, broker.port, TOPICS)?) };
    let address = format!("10.0.2.2:{}", broker.port);
    let machine = Machine::start(&Setup::new(board, &sensor_runs, &[&address, "size", "1"]));
    let (_, said) = machine.and_then(|machine| machine.finish(Duration::from_secs(60))).map_err(|e| e.to_string())?;
    let said = said.first().cloned().unwrap_or_default();
    let buffers = number(&said, "buffers").ok_or("the sensor did not say its buffers")?;

    let own_ram = (sensor.ram() as f64 - buffers as f64) - (base.ram() as f64 - BASE_SOCKETS as f64);
    let over = sensor.flash() as f64 - base.flash() as f64;
    let rows = [
        Row::new("flash in all", "B", sensor.flash() as f64, "mountain-mqtt 39,912, minimq 41,936, rust-mqtt 68,388")
            .budget(48_000.0, 40_000.0),
        Row::new("flash, had plain TCP what the MQTT clients' had", "B", over + OTHERS_BASE, "as above"),
        Row::new("flash over plain TCP", "B", over, "14,712, 16,736, 43,188").goal(15_000.0),
        Row::new(".data over plain TCP", "B", sensor.data as f64 - base.data as f64, "").must(0.0),
        Row::new("static RAM in all", "B", sensor.ram() as f64, ""),
        Row::new("of it buffers: batches, frames, sockets", "B", buffers as f64, ""),
        Row::new("static RAM over plain TCP, no buffers", "B", own_ram, "1,416 to 2,016").budget(3_000.0, 2_000.0),
        Row::new("stack", "B", single.stack.max(batched.stack) as f64, "2,100 to 2,500").budget(4_000.0, 3_000.0),
        Row::new("instructions a record, alone", "", single.instructions, "11,500, 12,400, 9,900")
            .budget(13_000.0, 10_000.0),
        Row::new("instructions a record, batches of 32", "", batched.instructions, "").budget(2_000.0, 1_500.0),
        Row::new("bytes on the wire a record, alone", "B", single.wire_bytes, ""),
        Row::new("bytes on the wire a record, batches of 32", "B", batched.wire_bytes, ""),
        Row::new("round trips to the first acknowledgement", "", trips as f64, "").must(3.0),
        Row::new("calls that panic", "", sensor.panics as f64, ""),
        Row::new("symbols of an allocator", "", count(&sensor, &ALLOCATOR), "").must(0.0),
        Row::new("symbols of float formatting", "", count(&sensor, &FLOATS), "").must(0.0),
    ];
    println!(
        "\n{}, {}, opt-level s, fat LTO, one-version, crc-table-1k; records of 100 bytes",
        board.name(),
        toolchain.version()
    );
    println!(
        "plain TCP, 128 bytes out and 4 back: flash {} B, static RAM {} B, stack {} B, {:.0} instructions and {:.0} bytes \
         on the wire a message, {} calls that panic\n",
        base.flash(),
        base.ram(),
        tcp.stack,
        tcp.instructions,
        tcp.wire_bytes,
        base.panics
    );
    println!("| | is | must | goal | MQTT: mountain, minimq, rust-mqtt |\n| --- | --- | --- | --- | --- |");
    let of_reading = reading.iter().flat_map(|reading| reading.rows(&base));
    let rows: Vec<_> = rows.into_iter().chain(of_reading).collect();
    for row in &rows {
        row.print();
    }
    let missed = rows.iter().any(|row| row.goal.is_some_and(|goal| row.is > goal));
    if missed || functions.is_some() {
        let most = functions.unwrap_or(15);
        print_functions("the sensor", &base, &sensor, most);
        print_instructions(&[("alone", &single), ("in batches of 32", &batched)], most);
        if let Some(reading) = &reading {
            print_functions("the one that follows commands", &base, &reading.image, most);
            let [alone, batched] = &reading.costs;
            print_instructions(&[("read, in batches of one", alone), ("read, in batches of 32", batched)], most);
        }
    }
    let broken = rows.iter().filter(|row| row.must.is_some_and(|must| row.is > must));
    Ok(broken.map(|row| format!("{}: {}", board.name(), row.what)).collect())
}

impl Row {
    fn new(what: &'static str, unit: &'static str, is: f64, others: &'static str) -> Row {
        Row { what, unit, is, must: None, goal: None, others }
    }

    fn must(self, must: f64) -> Row {
        Row { must: Some(must), ..self }
    }

    fn goal(self, goal: f64) -> Row {
        Row { goal: Some(goal), ..self }
    }

    fn budget(self, must: f64, goal: f64) -> Row {
        self.must(must).goal(goal)
    }

    fn print(&self) {
        let limit = |limit: Option<f64>, over: &str| match limit {
            Some(limit) if self.is > limit => format!("{} {over}", thousands(limit)),
            Some(limit) => thousands(limit),
            None => String::new(),
        };
        let (must, goal) = (limit(self.must, "BROKEN"), limit(self.goal, "missed"));
        println!("| {} | {} {} | {must} | {goal} | {} |", self.what, thousands(self.is), self.unit, self.others);
    }
}

/// A number as one reads it.
fn thousands(number: f64) -> String {
    let digits = format!("{:.0}", number.abs());
    let mut text = if number < -0.5 { "-".to_owned() } else { String::new() };
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

const ALLOCATOR: [&str; 4] = ["__rust_alloc", "__rg_alloc", "__rdl_alloc", "GlobalAlloc"];
const FLOATS: [&str; 4] = ["flt2dec", "float_to_", "fmt::float", "dec2flt"];

fn count(image: &Image, names: &[&str]) -> f64 {
    let has =
        |symbol: &&image::Symbol| names.iter().any(|name| symbol.name.starts_with(name) || fmt(&symbol.name, name));
    image.symbols.iter().filter(has).count() as f64
}

/// Whether a name of formatting machinery is in it, wherever; `alloc::` is only one at the beginning.
fn fmt(symbol: &str, name: &str) -> bool {
    !name.contains("alloc") && symbol.contains(name)
}

/// The crate that a function is from. What was inlined counts for the function that it ended up in.
fn crate_of(name: &str) -> &str {
    let start = name.trim_start_matches(['<', '&', ' ']).trim_start_matches("mut ").trim_start_matches("impl ");
    let end = start.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(start.len());
    if start[end..].starts_with("::") { &start[..end] } else { "others" }
}

fn print_functions(what: &str, base: &Image, sensor: &Image, most: usize) {
    let by_crate = |image: &Image| {
        let mut sums: BTreeMap<String, u64> = BTreeMap::new();
        for symbol in image.symbols.iter().filter(|symbol| symbol.code) {
            *sums.entry(crate_of(&symbol.name).into()).or_default() += symbol.size;
        }
        sums
    };
    let (before, after) = (by_crate(base), by_crate(sensor));
    let mut crates: Vec<_> = after.iter().collect();
    crates.sort_by_key(|(_, size)| std::cmp::Reverse(**size));
    println!("\n{what}: code by crate (with what was inlined into it), and the same in the plain TCP image");
    for (name, size) in crates.into_iter().take(most) {
        println!(
            "{:>9} {:>9}  {name}",
            thousands(*size as f64),
            thousands(before.get(name).copied().unwrap_or(0) as f64)
        );
    }
    let mut largest: Vec<_> = sensor.symbols.iter().filter(|symbol| symbol.code).collect();
    largest.sort_by_key(|symbol| std::cmp::Reverse(symbol.size));
    println!("\n{what}: the largest functions, and what each buys");
    for symbol in largest.into_iter().take(most) {
        println!("{:>9}  {}\n           {}", thousands(symbol.size as f64), symbol.name, buys(&symbol.name));
    }
}

fn print_instructions(costs: &[(&str, &Cost)], most: usize) {
    for (how, cost) in costs {
        println!(
            "\ninstructions a record, {how}: {}, in which functions, and what each buys",
            thousands(cost.instructions)
        );
        for (name, count) in cost.functions.iter().take(most) {
            println!("{:>9}  {name}\n           {}", thousands(*count), buys(name));
        }
    }
}
