//! What an image is made of: sections, functions by size, calls of panics. Read from the ELF file and by `nm`.

use crate::Result;
use std::path::Path;
use std::process::Command;

/// An image, taken apart.
pub(super) struct Image {
    /// Bytes of machine code and constants.
    pub(super) text: u64,
    /// Bytes of variables that begin with a value: they stand in flash and in RAM.
    pub(super) data: u64,
    /// Bytes of variables that begin with zero.
    pub(super) bss: u64,
    /// Functions and variables, by address.
    pub(super) symbols: Vec<Symbol>,
    /// Calls of functions that only panic.
    pub(super) panics: usize,
}

/// A function or a variable.
pub(super) struct Symbol {
    pub(super) address: u64,
    pub(super) size: u64,
    /// Whether it is code.
    pub(super) code: bool,
    /// As one would write it in Rust.
    pub(super) name: String,
}

/// Of a section: where it is to be found in memory and in the file.
struct Section {
    kind: u32,
    flags: u32,
    address: u64,
    offset: usize,
    size: u64,
}

const NO_BITS: u32 = 8;
const WRITE: u32 = 1;
const ALLOCATED: u32 = 2;
const CODE: u32 = 4;

/// Bytes of flash and of static RAM that an image takes.
pub(crate) fn footprint(path: &Path) -> Result<(u64, u64)> {
    let sections = sections(&read(path)?).ok_or_else(|| format!("{} is no 32-bit ELF file", path.display()))?;
    let sum = |wanted: fn(&Section) -> bool| sections.iter().filter(|s| wanted(s)).map(|s| s.size).sum();
    Ok((sum(|s| s.kind != NO_BITS), sum(|s| s.flags & WRITE != 0)))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))
}

impl Image {
    pub(super) fn read(path: &Path) -> Result<Image> {
        let file = read(path)?;
        let sections = sections(&file).ok_or_else(|| format!("{} is no 32-bit ELF file", path.display()))?;
        let sum = |wanted: &dyn Fn(&Section) -> bool| sections.iter().filter(|s| wanted(s)).map(|s| s.size).sum();
        let symbols = symbols(path)?;
        let mut panics = 0;
        for section in sections.iter().filter(|s| s.flags & CODE != 0 && s.kind != NO_BITS) {
            let bytes = file.get(section.offset..section.offset + section.size as usize).unwrap_or_default();
            panics += panic_calls(bytes, section.address, &symbols);
        }
        Ok(Image {
            text: sum(&|s| s.flags & WRITE == 0),
            data: sum(&|s| s.flags & WRITE != 0 && s.kind != NO_BITS),
            bss: sum(&|s| s.kind == NO_BITS),
            symbols,
            panics,
        })
    }

    /// What one flashes.
    pub(super) fn flash(&self) -> u64 {
        self.text + self.data
    }

    /// What is taken before the first instruction; the stack comes on top.
    pub(super) fn ram(&self) -> u64 {
        self.data + self.bss
    }

    /// The function that an instruction belongs to.
    pub(super) fn function(&self, address: u64) -> Option<&Symbol> {
        let after = self.symbols.partition_point(|symbol| symbol.address <= address);
        self.symbols[..after].iter().rev().find(|symbol| symbol.code)
    }
}

/// Sections that are in memory at run time.
fn sections(file: &[u8]) -> Option<Vec<Section>> {
    let half = |at: usize| Some(u16::from_le_bytes(file.get(at..at + 2)?.try_into().ok()?));
    let word = |at: usize| Some(u32::from_le_bytes(file.get(at..at + 4)?.try_into().ok()?));
    if file.get(..6)? != b"\x7fELF\x01\x01" {
        return None;
    }
    let (table, entry, count) = (word(32)? as usize, usize::from(half(46)?), usize::from(half(48)?));
    let mut found = Vec::new();
    for at in (0..count).map(|index| table + index * entry) {
        let section = Section {
            kind: word(at + 4)?,
            flags: word(at + 8)?,
            address: word(at + 12)?.into(),
            offset: word(at + 16)? as usize,
            size: word(at + 20)?.into(),
        };
        if section.flags & ALLOCATED != 0 {
            found.push(section);
        }
    }
    Some(found)
}

fn symbols(path: &Path) -> Result<Vec<Symbol>> {
    let said = Command::new("nm").args(["-C", "-S", "--defined-only"]).arg(path).output();
    let said = said.map_err(|e| format!("cannot start nm (Debian's package binutils has it): {e}"))?;
    let mut symbols: Vec<_> = String::from_utf8_lossy(&said.stdout).lines().filter_map(symbol).collect();
    symbols.sort_by_key(|symbol| symbol.address);
    if symbols.is_empty() { Err(format!("nm finds nothing in {}", path.display())) } else { Ok(symbols) }
}

/// `address size kind name`; symbols without a size mark places.
fn symbol(line: &str) -> Option<Symbol> {
    let mut words = line.splitn(4, ' ');
    let address = u64::from_str_radix(words.next()?, 16).ok()?;
    let size = u64::from_str_radix(words.next()?, 16).ok()?;
    let code = matches!(words.next()?, "t" | "T" | "w" | "W");
    // The lowest bit of a function's address says "Thumb".
    Some(Symbol { address: address & !u64::from(code), size, code, name: words.next()?.into() })
}

/// Whether a function does nothing but panic.
fn is_panic(name: &str) -> bool {
    const PANICS: [&str; 11] = [
        "core::panicking::",
        "core::option::unwrap_failed",
        "core::option::expect_failed",
        "core::result::unwrap_failed",
        "core::slice::index::slice_",
        "core::str::slice_error_fail",
        "core::cell::panic_",
        "len_mismatch_fail",
        "rust_begin_unwind",
        // Our own, which all accesses of tables share.
        "pool::table::outside",
        "platform::taken_twice",
    ];
    PANICS.iter().any(|panic| name.contains(panic))
}

/// Calls in Thumb code of functions that panic, out of functions that do not. Constants between the code may look like
/// a call, yet hardly like one of these few targets.
fn panic_calls(bytes: &[u8], start: u64, symbols: &[Symbol]) -> usize {
    let panics: Vec<_> = symbols.iter().filter(|s| s.code && is_panic(&s.name)).collect();
    let within = |at: u64| panics.iter().any(|panic| (panic.address..panic.address + panic.size).contains(&at));
    let halves: Vec<_> = bytes.as_chunks().0.iter().map(|half| u16::from_le_bytes(*half)).collect();
    let mut found = 0;
    for (index, pair) in halves.windows(2).enumerate() {
        let at = start + 2 * index as u64;
        let Some(target) = branch(pair[0], pair[1], at) else { continue };
        if panics.iter().any(|panic| panic.address == target) && !within(at) {
            found += 1;
        }
    }
    found
}

/// Where `BL` or a long `B` goes: ARMv7-M manual, encodings T1 of BL and T4 of B.
fn branch(first: u16, second: u16, at: u64) -> Option<u64> {
    if first & 0xf800 != 0xf000 || second & 0x9000 != 0x9000 {
        return None;
    }
    let bit = |half: u16, n: u16| i64::from(half >> n & 1);
    let sign = bit(first, 10);
    let (i1, i2) = (1 ^ bit(second, 13) ^ sign, 1 ^ bit(second, 11) ^ sign);
    let offset = -sign << 24 | i1 << 23 | i2 << 22 | i64::from(first & 0x3ff) << 12 | i64::from(second & 0x7ff) << 1;
    u64::try_from(at as i64 + 4 + offset).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_forth_and_back() {
        // f000 f804: bl 8 bytes past the instruction after; f7ff fffe: bl to itself; 4770: bx lr.
        assert_eq!(branch(0xf000, 0xf804, 0x100), Some(0x10c));
        assert_eq!(branch(0xf7ff, 0xfffe, 0x100), Some(0x100));
        assert_eq!(branch(0xf7ff, 0xbffe, 0x100), Some(0x100));
        assert_eq!(branch(0x4770, 0xbf00, 0x100), None);
    }

    #[test]
    fn lines_of_nm() {
        let function = symbol("00000a69 00000282 t core::panicking::panic_fmt").unwrap();
        assert_eq!((function.address, function.size, function.code), (0xa68, 0x282, true));
        assert!(is_panic(&function.name));
        assert!(symbol("00000400 T Reset").is_none());
    }
}
