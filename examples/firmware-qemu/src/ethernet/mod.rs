//! The two Ethernet controllers, as drivers for embassy-net. Neither needs interrupts or memory beyond a frame each way.
//!
//! Neither watches the cable: a pulled one looks like a peer that does not answer, and TCP and the client notice.

mod checksum;
#[cfg(feature = "mps2-an385")]
mod lan9118;
#[cfg(feature = "lm3s6965evb")]
mod stellaris;

#[cfg(feature = "mps2-an385")]
pub(crate) use lan9118::{Lan9118 as Controller, on_interrupt};
#[cfg(feature = "lm3s6965evb")]
pub(crate) use stellaris::{Stellaris as Controller, on_interrupt};

use embassy_net_driver::{Checksum, ChecksumCapabilities};

/// The longest frame, without its checksum.
const FRAME: usize = 1514;

/// The registers of a controller, from an address on.
#[derive(Clone, Copy)]
struct Registers(usize);

impl Registers {
    fn read(self, offset: usize) -> u32 {
        // SAFETY: whoever made this says that registers are there, and any of them may be read.
        unsafe { core::ptr::read_volatile((self.0 + offset) as *const u32) }
    }

    fn write(self, offset: usize, value: u32) {
        // SAFETY: as for `read`; no register makes the controller write to memory: both are read and written by words.
        unsafe { core::ptr::write_volatile((self.0 + offset) as *mut u32, value) }
    }
}

/// `length` bytes of the words, from byte `first` on.
fn bytes(words: &mut [u32], first: usize, length: usize) -> &mut [u8] {
    assert!(first + length <= size_of_val(words));
    // SAFETY: within the words, as just asserted; any bytes are words and any words are bytes.
    unsafe { core::slice::from_raw_parts_mut(words.as_mut_ptr().cast::<u8>().add(first), length) }
}

/// Reads that many words from a register, as many as there are places for; four at a time, as in [`write_words`].
fn read_words(registers: Registers, register: usize, count: usize, places: &mut [u32]) {
    let (here, beyond) = (count.min(places.len()), count.saturating_sub(places.len()));
    let (fours, rest) = places.get_mut(..here).unwrap_or(&mut []).as_chunks_mut::<4>();
    for [a, b, c, d] in fours {
        *a = registers.read(register);
        *b = registers.read(register);
        *c = registers.read(register);
        *d = registers.read(register);
    }
    for place in rest {
        *place = registers.read(register);
    }
    for _ in 0..beyond {
        registers.read(register);
    }
}

/// Writes the words to a register; four at a time, which takes half as long.
fn write_words(registers: Registers, register: usize, words: &[u32]) {
    let (fours, rest) = words.as_chunks::<4>();
    for [a, b, c, d] in fours {
        registers.write(register, *a);
        registers.write(register, *b);
        registers.write(register, *c);
        registers.write(register, *d);
    }
    for word in rest {
        registers.write(register, *word);
    }
}

/// What the drivers do of checksums themselves: TCP's, see `checksum`.
fn checksums() -> ChecksumCapabilities {
    let mut checksums = ChecksumCapabilities::default();
    checksums.tcp = Checksum::None;
    checksums
}

/// A frame that came in.
pub(crate) struct Received<'a>(&'a mut [u8]);

impl embassy_net_driver::RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, look: F) -> R {
        look(self.0)
    }
}
