//! SMSC LAN9118, on the MPS2 boards (there a LAN9220): two FIFOs behind a window of registers.

use super::{FRAME, Received, Registers, bytes, checksum, checksums, read_words, write_words};
use core::task::Context;
use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, TxToken};
use embassy_sync::waitqueue::AtomicWaker;
use static_cell::ConstStaticCell;

// Registers that are reached directly.
const RX_DATA: usize = 0x00;
const TX_DATA: usize = 0x20;
const RX_STATUS: usize = 0x40;
const INTERRUPT_CONFIGURATION: usize = 0x54;
const INTERRUPT_STATUS: usize = 0x58;
const INTERRUPT_ENABLE: usize = 0x5C;
const BYTE_TEST: usize = 0x64;
const FIFO_INTERRUPT: usize = 0x68;
const RX_CONFIGURATION: usize = 0x6C;
const TX_CONFIGURATION: usize = 0x70;
const HARDWARE_CONFIGURATION: usize = 0x74;
const RX_FIFO: usize = 0x7C;
const TX_FIFO: usize = 0x80;
const MAC_COMMAND: usize = 0xA4;
const MAC_DATA: usize = 0xA8;
const FLOW_CONTROL: usize = 0xAC;

// Registers of the MAC inside, reached by a command.
const MAC_CONTROL: u32 = 1;
const MAC_ADDRESS_HIGH: u32 = 2;
const MAC_ADDRESS_LOW: u32 = 3;

/// A frame waits.
const RECEIVED: u32 = 1 << 3;
const BUSY: u32 = 1 << 31;

/// A frame begins in the middle of the first word: so the headers behind Ethernet's 14 bytes, and what TCP carries, stand
/// at whole words, and copying takes a third of the time.
const BEFORE: usize = 2;
/// With the checksum, which the controller hands over too.
const RX_WORDS: usize = (BEFORE + FRAME + 4).div_ceil(4);
const TX_WORDS: usize = (BEFORE + FRAME).div_ceil(4);

static WAKER: AtomicWaker = AtomicWaker::new();

/// The controller, with a buffer for a frame each way; more frames wait in its own FIFOs.
pub(crate) struct Lan9118 {
    registers: Registers,
    address: [u8; 6],
    receive: &'static mut [u32; RX_WORDS],
    transmit: &'static mut [u32; TX_WORDS],
}

/// To be called by the interrupt's handler.
pub(crate) fn on_interrupt(base: usize) {
    // The line stays up while frames wait: off, until the task has emptied the FIFO.
    Registers(base).write(INTERRUPT_ENABLE, 0);
    WAKER.wake();
}

impl Lan9118 {
    /// Resets the controller and switches it on; once. An error if there is none at this address.
    pub(crate) fn new(base: usize) -> Option<Self> {
        static RECEIVE: ConstStaticCell<[u32; RX_WORDS]> = ConstStaticCell::new([0; _]);
        static TRANSMIT: ConstStaticCell<[u32; TX_WORDS]> = ConstStaticCell::new([0; _]);

        let registers = Registers(base);
        if registers.read(BYTE_TEST) != 0x8765_4321 {
            return None;
        }
        registers.write(HARDWARE_CONFIGURATION, 1);
        while registers.read(HARDWARE_CONFIGURATION) & 1 != 0 {}
        // The bit that must be one, and 5 KB of FIFO for what is sent.
        registers.write(HARDWARE_CONFIGURATION, 1 << 20 | 5 << 16);
        registers.write(FLOW_CONTROL, 0x006E_3740);
        registers.write(INTERRUPT_ENABLE, 0);
        registers.write(INTERRUPT_STATUS, u32::MAX);
        // On, active high, push-pull; from the first frame on.
        registers.write(INTERRUPT_CONFIGURATION, 1 << 8 | 1 << 4 | 1);
        registers.write(FIFO_INTERRUPT, 0);
        // The reset has read the address from the EEPROM.
        let [a, b, c, d] = read_mac(registers, MAC_ADDRESS_LOW).to_le_bytes();
        let [e, f, ..] = read_mac(registers, MAC_ADDRESS_HIGH).to_le_bytes();
        registers.write(RX_CONFIGURATION, (BEFORE as u32) << 8);
        // On; nobody reads the status of what was sent, so it may be overrun.
        registers.write(TX_CONFIGURATION, 1 << 1 | 1 << 2);
        // Full duplex, sender and receiver on.
        write_mac(registers, MAC_CONTROL, 1 << 20 | 1 << 3 | 1 << 2);
        let address = [a, b, c, d, e, f];
        Some(Lan9118 { registers, address, receive: RECEIVE.take(), transmit: TRANSMIT.take() })
    }

    fn waiting(&self) -> bool {
        self.registers.read(RX_FIFO) >> 16 & 0xff != 0
    }

    /// Takes the next good frame out of the FIFO: its length.
    fn take(&mut self) -> Option<usize> {
        while self.waiting() {
            let status = self.registers.read(RX_STATUS);
            let length = (status >> 16 & 0x3fff) as usize;
            read_words(self.registers, RX_DATA, (BEFORE + length).div_ceil(4), self.receive);
            let well = status & 1 << 15 == 0;
            if let Some(frame) = length.checked_sub(4).filter(|&frame| well && frame > 0 && frame <= FRAME)
                && checksum::is_right(self.receive, frame)
            {
                return Some(frame);
            }
        }
        None
    }

    fn room(&self) -> bool {
        (self.registers.read(TX_FIFO) & 0xffff) as usize >= FRAME + 16
    }
}

fn ready_mac(registers: Registers) {
    while registers.read(MAC_COMMAND) & BUSY != 0 {}
}

fn read_mac(registers: Registers, register: u32) -> u32 {
    ready_mac(registers);
    registers.write(MAC_COMMAND, BUSY | 1 << 30 | register);
    ready_mac(registers);
    registers.read(MAC_DATA)
}

fn write_mac(registers: Registers, register: u32, value: u32) {
    ready_mac(registers);
    registers.write(MAC_DATA, value);
    registers.write(MAC_COMMAND, BUSY | register);
    ready_mac(registers);
}

/// Room for a frame.
pub(crate) struct Room<'a> {
    registers: Registers,
    words: &'a mut [u32; TX_WORDS],
}

impl TxToken for Room<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, fill: F) -> R {
        let result = fill(bytes(self.words, BEFORE, length));
        // Where it begins, that it is the first and last piece of a frame, the length of the piece and of the frame.
        self.registers.write(TX_DATA, (BEFORE as u32) << 16 | 1 << 13 | 1 << 12 | length as u32);
        self.registers.write(TX_DATA, length as u32);
        checksum::fill(self.words, length);
        write_words(self.registers, TX_DATA, &self.words[..(BEFORE + length).div_ceil(4)]);
        result
    }
}

impl Driver for Lan9118 {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Room<'a>;

    fn receive(&mut self, context: &mut Context<'_>) -> Option<(Received<'_>, Room<'_>)> {
        // Without room for an answer the stack takes no frame.
        if !self.room() {
            context.waker().wake_by_ref();
            return None;
        }
        let Some(length) = self.take() else {
            WAKER.register(context.waker());
            self.registers.write(INTERRUPT_STATUS, u32::MAX);
            self.registers.write(INTERRUPT_ENABLE, RECEIVED);
            if self.waiting() {
                // It came after the look and before the interrupt was on.
                context.waker().wake_by_ref();
            }
            return None;
        };
        let room = Room { registers: self.registers, words: self.transmit };
        Some((Received(bytes(self.receive, BEFORE, length)), room))
    }

    fn transmit(&mut self, context: &mut Context<'_>) -> Option<Room<'_>> {
        if !self.room() {
            // It empties at the speed of the wire, in microseconds: no interrupt for it.
            context.waker().wake_by_ref();
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
        // Not 1: the stack would then offer a window of one segment, and wait for a delayed acknowledgement each time.
        capabilities.max_burst_size = Some(4);
        capabilities.checksum = checksums();
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet(self.address)
    }
}
