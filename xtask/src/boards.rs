//! `cargo xtask boards`: the programs of examples/boards, for the hardware that this machine does not have.
//!
//! That they link is a proof by itself, as for the firmware: only the ESP32's image has an allocator, for its radio.

use crate::bare::Toolchain;
use crate::size::footprint;
use crate::steps::{Steps, Stop};
use crate::{Result, cargo, root, target};
use std::process::Command;

pub(crate) const HELP: &str = "\
cargo xtask boards [NAME...]
    lints and builds the programs of examples/boards, all or those named, and prints what each takes of flash and RAM";

/// A folder of examples/boards.
struct Board {
    name: &'static str,
    target: &'static str,
    /// What there must be of Rust's library.
    libraries: &'static str,
}

const BOARDS: &[Board] = &[
    Board { name: "stm32h743", target: "thumbv7em-none-eabihf", libraries: "core" },
    Board { name: "pico-w", target: "thumbv6m-none-eabi", libraries: "core" },
    Board { name: "esp32-c3", target: "riscv32imc-unknown-none-elf", libraries: "core,alloc" },
];

/// The one that `cargo xtask test` builds: the others take minutes.
const QUICKEST: &str = "stm32h743";

pub(crate) fn run(arguments: &[String]) -> Result {
    if let Some(odd) = arguments.iter().find(|name| BOARDS.iter().all(|board| board.name != **name)) {
        let known: Vec<_> = BOARDS.iter().map(|board| board.name).collect();
        return Err(format!("there is no board {odd}, only {}", known.join(", ")));
    }
    let mut steps = Steps::new();
    for board in BOARDS.iter().filter(|board| arguments.is_empty() || arguments.iter().any(|name| name == board.name)) {
        board.steps(&mut steps);
    }
    steps.finish()
}

/// The steps of the quickest board, as a part of a longer run.
pub(crate) fn steps(steps: &mut Steps) {
    BOARDS.iter().filter(|board| board.name == QUICKEST).for_each(|board| board.steps(steps));
}

impl Board {
    fn steps(&self, steps: &mut Steps) {
        let Board { name, target, libraries } = *self;
        let mut toolchain = None;
        steps.step(&format!("set-up for examples/boards/{name}"), || {
            toolchain = Some(set_up(target, libraries)?);
            Ok::<_, Stop>(())
        });
        let missing = || Stop::Skipped(format!("the set-up for {name} did not go well"));
        steps.step(&format!("rustfmt: examples/boards/{name}"), || {
            let manifest = format!("examples/boards/{name}/Cargo.toml");
            crate::run(cargo().args(["fmt", "--check", "--manifest-path", &manifest]))
        });
        for verb in ["clippy", "build"] {
            steps.step(&format!("{verb}: examples/boards/{name}"), || {
                let mut command = self.in_room(toolchain.as_ref().ok_or_else(missing)?, verb);
                Ok::<_, Stop>(crate::run(&mut command)?)
            });
        }
        steps.step(&format!("size of examples/boards/{name}"), || self.print_size());
    }

    /// Cargo in the board's folder.
    fn in_room(&self, toolchain: &Toolchain, verb: &str) -> Command {
        let mut command = toolchain.cargo();
        command.args([verb, "--quiet", "--release", "--locked"]);
        if verb == "clippy" {
            command.args(["--", "-D", "warnings"]);
        }
        command.current_dir(root().join("examples/boards").join(self.name));
        // Compiled into the image; here it only has to be there.
        command.env("WIFI_NAME", "name").env("WIFI_PASSWORD", "password");
        command.env("CARGO_TARGET_DIR", target().join("boards"));
        command
    }

    fn print_size(&self) -> Result {
        let program = format!("demitasse-{}", self.name);
        let (flash, ram) = footprint(&target().join("boards").join(self.target).join("release").join(program))?;
        println!("{:10} {flash:>9} bytes of flash {ram:>9} bytes of static RAM", self.name);
        Ok(())
    }
}

/// A compiler with its lints, and a linker.
fn set_up(target: &'static str, libraries: &str) -> std::result::Result<Toolchain, Stop> {
    let toolchain = Toolchain::find(target, libraries)?;
    toolchain.need_linker()?;
    toolchain.need_clippy()?;
    Ok(toolchain)
}
