//! Firmware in QEMU: an image is started with a network, watched line by line, its cable pulled, and waited for.
//!
//! The tests need images, QEMU and Kafka's jars: `cargo xtask firmware` sets all of that up and runs them.

mod guard;
mod machine;

pub use machine::{Board, Machine, Setup};

use std::path::PathBuf;

/// The folder with the images, if `cargo xtask firmware` has built them and says so; otherwise the tests say that they
/// are skipped, and pass.
pub fn images() -> Option<PathBuf> {
    let folder = std::env::var_os("DEMITASSE_FIRMWARE").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("skipped: needs firmware images; run `cargo xtask firmware`");
    }
    folder
}

/// The number behind `name=` in a line of `name=number` words.
pub fn number(line: &str, name: &str) -> Option<u64> {
    line.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
}
