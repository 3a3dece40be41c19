//! An Ethernet cable in memory, and what can happen on it.

use crate::executor::{now, wake_at};
use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};
use fastrand::Rng;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::task::{Context, Waker};

/// How bad the cable is, for each frame; 0 is good.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// One way, in microseconds.
    pub latency: u64,
    /// Frames lost, in 1000.
    pub loss: u32,
    /// Frames in which one bit is wrong, in 1000.
    pub corruption: u32,
    /// Frames that arrive twice, in 1000.
    pub duplication: u32,
    /// Frames that are overtaken by others, in 1000: they are under way for up to twice as long, and 10 ms.
    pub reordering: u32,
}

/// What has happened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Frames that were put on the cable.
    pub sent: u64,
    /// Frames lost by the weather, or because the cable was out.
    pub lost: u64,
    /// Frames that arrived with a wrong bit.
    pub corrupted: u64,
    /// Frames that arrived twice.
    pub doubled: u64,
    /// Frames that were late.
    pub reordered: u64,
}

#[derive(Default)]
struct Side {
    /// By when they arrive, and in which order they were sent.
    arriving: BTreeMap<(u64, u64), Vec<u8>>,
    waker: Option<Waker>,
}

struct State {
    weather: Weather,
    plugged: bool,
    rng: Rng,
    sides: [Side; 2],
    order: u64,
    tally: Tally,
    /// When frames were lost, or corrupted, which comes to the same.
    losses: Vec<u64>,
}

/// A cable with two ends.
#[derive(Clone)]
pub struct Cable(Rc<RefCell<State>>);

/// Of an Ethernet header: nothing but the frame check sequence of real hardware protects what is in it.
const HEADER: usize = 14;
const IPV4: [u8; 2] = [8, 0];

impl Cable {
    /// A cable, and what it does with frames follows from `seed`.
    pub fn new(weather: Weather, seed: u64) -> Self {
        let (rng, sides) = (Rng::with_seed(seed), Default::default());
        let state = State { weather, plugged: true, rng, sides, order: 0, tally: Tally::default(), losses: Vec::new() };
        Cable(Rc::new(RefCell::new(state)))
    }

    /// The network card at one end: 0 or 1.
    pub fn end(&self, side: usize) -> Card {
        Card { cable: self.clone(), side }
    }

    /// Pulls the cable out, or puts it back. What is on it is lost; both cards notice.
    pub fn plug(&self, plugged: bool) {
        let wakers: Vec<_> = {
            let mut state = self.0.borrow_mut();
            state.plugged = plugged;
            state.sides.iter_mut().for_each(|side| side.arriving.clear());
            state.sides.iter_mut().filter_map(|side| side.waker.take()).collect()
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Frames that did not arrive whole, of those that were sent in that time.
    pub fn losses(&self, from: u64, to: u64) -> usize {
        self.0.borrow().losses.iter().filter(|&&at| (from..=to).contains(&at)).count()
    }

    /// What has happened.
    pub fn tally(&self) -> Tally {
        self.0.borrow().tally
    }
}

impl State {
    fn chance(&mut self, per_mille: u32) -> bool {
        per_mille > 0 && self.rng.u32(0..1000) < per_mille
    }

    fn carry(&mut self, to: usize, mut frame: Vec<u8>) {
        self.tally.sent += 1;
        let Weather { latency, loss, corruption, duplication, reordering } = self.weather;
        if !self.plugged || self.chance(loss) {
            self.tally.lost += 1;
            self.losses.push(now());
            return;
        }
        // What is not IP has no checksum of its own: a card drops it when it is corrupted.
        if self.chance(corruption) && frame.get(12..HEADER) == Some(&IPV4) {
            let at = self.rng.usize(HEADER..frame.len());
            frame[at] ^= 1 << self.rng.u32(0..8);
            self.tally.corrupted += 1;
            self.losses.push(now());
        }
        let mut at = now() + latency;
        if self.chance(reordering) {
            at += self.rng.u64(0..=latency + 10_000);
            self.tally.reordered += 1;
        }
        if self.chance(duplication) {
            let again = at + self.rng.u64(0..=latency);
            self.tally.doubled += 1;
            self.arrive(to, again, frame.clone());
        }
        self.arrive(to, at, frame);
    }

    fn arrive(&mut self, to: usize, at: u64, frame: Vec<u8>) {
        self.order += 1;
        let side = &mut self.sides[to];
        side.arriving.insert((at, self.order), frame);
        if let Some(waker) = &side.waker {
            wake_at(at, waker);
        }
    }
}

/// One end of a cable, as embassy-net's driver.
pub struct Card {
    cable: Cable,
    side: usize,
}

/// A frame that has arrived.
pub struct Received(Vec<u8>);

/// Room for a frame.
pub struct Sending<'a>(&'a Card);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(mut self, f: F) -> R {
        f(&mut self.0)
    }
}

impl TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let mut frame = vec![0; length];
        let result = f(&mut frame);
        self.0.cable.0.borrow_mut().carry(1 - self.0.side, frame);
        result
    }
}

impl Driver for Card {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sending<'a>;

    fn receive(&mut self, cx: &mut Context<'_>) -> Option<(Received, Sending<'_>)> {
        let frame = {
            let mut state = self.cable.0.borrow_mut();
            let side = &mut state.sides[self.side];
            side.waker = Some(cx.waker().clone());
            match side.arriving.first_entry() {
                Some(entry) if entry.key().0 <= now() => entry.remove(),
                Some(entry) => {
                    wake_at(entry.key().0, cx.waker());
                    return None;
                }
                None => return None,
            }
        };
        Some((Received(frame), Sending(self)))
    }

    fn transmit(&mut self, _: &mut Context<'_>) -> Option<Sending<'_>> {
        Some(Sending(self))
    }

    fn link_state(&mut self, _: &mut Context<'_>) -> LinkState {
        if self.cable.0.borrow().plugged { LinkState::Up } else { LinkState::Down }
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = 1514;
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet([2, 0, 0, 0, 0, self.side as u8 + 1])
    }
}
