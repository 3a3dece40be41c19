//! Gives the linker the memory map of the chosen board.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    let chosen = |board: &str| env::var_os(format!("CARGO_FEATURE_{board}")).is_some();
    let map = match (chosen("MPS2_AN385"), chosen("LM3S6965EVB")) {
        (true, false) => "mps2-an385",
        (false, true) => "lm3s6965evb",
        _ => panic!("choose one board: --no-default-features --features mps2-an385 (or lm3s6965evb)"),
    };
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::copy(format!("memory/{map}.x"), out.join("memory.x")).expect("memory.x can be written");
    // The table of interrupts is in src/board.rs; no handler has a name of its own.
    fs::write(out.join("device.x"), "").expect("device.x can be written");
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rerun-if-changed=memory");
}
