//! Names of topics and hosts: one stretch of bytes, cut into equal cells, one for each entry of a table.

use core::ops::DerefMut;

pub(crate) struct Text<S> {
    bytes: S,
    cell: usize,
}

/// Bytes of a cell when `bytes` are cut into so many: the longest text that it holds, at most 255.
fn cell_bytes(bytes: usize, entries: usize) -> usize {
    bytes.checked_div(entries).unwrap_or(0).min(u8::MAX as usize)
}

impl<S: DerefMut<Target = [u8]>> Text<S> {
    /// Cells for so many entries.
    pub(crate) fn new(bytes: S, entries: usize) -> Self {
        let cell = cell_bytes(bytes.len(), entries);
        Text { bytes, cell }
    }

    pub(crate) fn cell_bytes(&self) -> usize {
        self.cell
    }

    pub(crate) fn get(&self, index: usize, length: u8) -> &[u8] {
        let start = index * self.cell;
        self.bytes.get(start..start + length as usize).unwrap_or(&[])
    }

    /// The length to remember, or `None`: the text is longer than a cell.
    #[inline(never)]
    pub(crate) fn set(&mut self, index: usize, text: &[u8]) -> Option<u8> {
        let start = index * self.cell;
        let length = u8::try_from(text.len()).ok().filter(|&l| l as usize <= self.cell)?;
        self.bytes.get_mut(start..start + text.len())?.copy_from_slice(text);
        Some(length)
    }
}

/// FNV-1a. Good enough to tell names apart before they are compared.
pub(crate) fn hash(text: &[u8]) -> u32 {
    text.iter().fold(0x811c_9dc5, |h, &b| (h ^ b as u32).wrapping_mul(0x0100_0193))
}
