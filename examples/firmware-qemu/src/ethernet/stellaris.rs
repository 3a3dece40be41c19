//! The Ethernet controller of the Stellaris LM3S6965: a FIFO of 2 KB each way behind one register.

use super::{FRAME, Received, Registers, bytes, checksum, checksums, read_words, write_words};
use core::task::Context;
use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, TxToken};
use embassy_sync::waitqueue::AtomicWaker;
use static_cell::ConstStaticCell;

/// Read: what happened; written: forget it.
const INTERRUPT_STATUS: usize = 0x00;
const INTERRUPT_MASK: usize = 0x04;
const RECEIVE_CONTROL: usize = 0x08;
const TRANSMIT_CONTROL: usize = 0x0C;
const DATA: usize = 0x10;
const ADDRESS_LOW: usize = 0x14;
const ADDRESS_HIGH: usize = 0x18;
const FRAMES_WAITING: usize = 0x34;
const TRANSMIT_REQUEST: usize = 0x38;

/// Which parts of the chip have a clock: a register outside the controller.
const CLOCK_GATES: usize = 0x400F_E108;

const RECEIVED: u32 = 1 << 0;
const SENT: u32 = 1 << 2;

/// A frame begins in the middle of the first word, behind its length; its checksum follows.
const BEFORE: usize = 2;
const WORDS: usize = (BEFORE + FRAME + 4).div_ceil(4);

static WAKER: AtomicWaker = AtomicWaker::new();

/// The controller, with a buffer for a frame each way.
pub(crate) struct Stellaris {
    registers: Registers,
    address: [u8; 6],
    receive: &'static mut [u32; WORDS],
    transmit: &'static mut [u32; WORDS],
}

/// To be called by the interrupt's handler.
pub(crate) fn on_interrupt(base: usize) {
    // Off, until the task has emptied the FIFO.
    Registers(base).write(INTERRUPT_MASK, 0);
    WAKER.wake();
}

impl Stellaris {
    /// Switches the controller on; once.
    pub(crate) fn new(base: usize) -> Option<Self> {
        static RECEIVE: ConstStaticCell<[u32; WORDS]> = ConstStaticCell::new([0; _]);
        static TRANSMIT: ConstStaticCell<[u32; WORDS]> = ConstStaticCell::new([0; _]);

        // Clocks for MAC and PHY: the chip needs them, QEMU does not care.
        let gates = Registers(CLOCK_GATES);
        gates.write(0, gates.read(0) | 1 << 28 | 1 << 30);
        let registers = Registers(base);
        registers.write(INTERRUPT_MASK, 0);
        // Empties the FIFO.
        registers.write(RECEIVE_CONTROL, 1 << 4);
        registers.write(INTERRUPT_STATUS, u32::MAX);
        let [a, b, c, d] = registers.read(ADDRESS_LOW).to_le_bytes();
        let [e, f, ..] = registers.read(ADDRESS_HIGH).to_le_bytes();
        // Sender: on, padding, checksum, full duplex. Receiver: on, drops what has a wrong checksum.
        registers.write(TRANSMIT_CONTROL, 1 | 1 << 1 | 1 << 2 | 1 << 4);
        registers.write(RECEIVE_CONTROL, 1 | 1 << 3);
        let address = [a, b, c, d, e, f];
        Some(Stellaris { registers, address, receive: RECEIVE.take(), transmit: TRANSMIT.take() })
    }

    fn waiting(&self) -> bool {
        self.registers.read(FRAMES_WAITING) & 0x3f != 0
    }

    /// Takes the next good frame out of the FIFO: its length.
    fn take(&mut self) -> Option<usize> {
        while self.waiting() {
            let first = self.registers.read(DATA);
            self.receive[0] = first;
            // It counts itself and the checksum.
            let length = (first & 0xffff) as usize;
            read_words(self.registers, DATA, length.div_ceil(4).saturating_sub(1), &mut self.receive[1..]);
            if let Some(frame) = length.checked_sub(BEFORE + 4).filter(|&frame| frame > 0 && frame <= FRAME)
                && checksum::is_right(self.receive, frame)
            {
                return Some(frame);
            }
        }
        None
    }

    fn sending(&self) -> bool {
        self.registers.read(TRANSMIT_REQUEST) & 1 != 0
    }

    /// Has the task woken when one of these happens, or at once if it has happened just now.
    fn wake_for(&self, context: &Context<'_>, what: u32) {
        WAKER.register(context.waker());
        self.registers.write(INTERRUPT_STATUS, u32::MAX);
        self.registers.write(INTERRUPT_MASK, what);
        if what & RECEIVED != 0 && self.waiting() || what & SENT != 0 && !self.sending() {
            context.waker().wake_by_ref();
        }
    }
}

/// Room for a frame.
pub(crate) struct Room<'a> {
    registers: Registers,
    words: &'a mut [u32; WORDS],
}

impl TxToken for Room<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, fill: F) -> R {
        let result = fill(bytes(self.words, BEFORE, length));
        // What the controller calls length leaves the header of 14 bytes out.
        self.words[0] = self.words[0] & 0xffff_0000 | (length as u32).saturating_sub(14);
        checksum::fill(self.words, length);
        write_words(self.registers, DATA, &self.words[..(BEFORE + length).div_ceil(4)]);
        self.registers.write(TRANSMIT_REQUEST, 1);
        result
    }
}

impl Driver for Stellaris {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Room<'a>;

    fn receive(&mut self, context: &mut Context<'_>) -> Option<(Received<'_>, Room<'_>)> {
        // Without room for an answer the stack takes no frame.
        if self.sending() {
            self.wake_for(context, SENT);
            return None;
        }
        let Some(length) = self.take() else {
            self.wake_for(context, RECEIVED);
            return None;
        };
        let room = Room { registers: self.registers, words: self.transmit };
        Some((Received(bytes(self.receive, BEFORE, length)), room))
    }

    fn transmit(&mut self, context: &mut Context<'_>) -> Option<Room<'_>> {
        if self.sending() {
            self.wake_for(context, SENT | RECEIVED);
            return None;
        }
        Some(Room { registers: self.registers, words: self.transmit })
    }

    fn link_state(&mut self, _: &mut Context<'_>) -> LinkState {
        LinkState::Up
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = FRAME;
        // One frame fits into the chip's FIFO. Yet not 1: the stack would offer a window of one segment, and wait for a
        // delayed acknowledgement each time; TCP repairs the rare loss.
        capabilities.max_burst_size = None;
        capabilities.checksum = checksums();
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet(self.address)
    }
}
