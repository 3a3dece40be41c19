//! Streams between the client and the model's nodes: late, in pieces of any size, and cut at any byte.

use crate::executor::Time;
use crate::platform::EPOCH_MILLIS;
use demitasse_broker::{Cluster, ConnectionId};
use demitasse_core::embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use demitasse_core::{ConnectionError, GatherWrite, Instant, Io, Stream};
use fastrand::Rng;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::hash::Hasher;
use std::rc::Rc;
use std::task::{Poll, Waker};

/// The port of node 1; the others follow.
pub const FIRST_PORT: u16 = 9_000;

/// How bad the network is; 0 is good.
#[derive(Clone, Debug, Default)]
pub struct Weather {
    /// One way, in microseconds, at least.
    pub latency: u64,
    /// And up to so much more, drawn for each piece.
    pub jitter: u64,
    /// Reads and writes take at most so many bytes at once; drawn up to it for each.
    pub piece: usize,
    /// Connections that will be cut, in 1000.
    pub cut: u32,
    /// The latest byte of either direction at which those are.
    pub cut_within: u64,
    /// Connections that will stall, in 1000: for up to [`Weather::stall_micros`] nothing arrives.
    pub stall: u32,
    /// See [`Weather::stall`].
    pub stall_micros: u64,
    /// Attempts to connect that fail, in 1000.
    pub refuse: u32,
}

#[derive(Default)]
struct Wire {
    /// Bytes with the time at which they arrive.
    pieces: VecDeque<(u64, Vec<u8>)>,
    last_arrival: u64,
    waker: Option<Waker>,
    /// Bytes until the connection is cut.
    cut_after: Option<u64>,
}

struct Link {
    id: ConnectionId,
    /// From the client; assembled to frames at the far end.
    up: Vec<u8>,
    up_bytes: u64,
    cut_up_after: Option<u64>,
    down: Wire,
    stalled_until: u64,
    closed: bool,
    /// The client let go of it; what it sent before may still arrive.
    abandoned: bool,
    writer: Option<Waker>,
}

/// What a liar makes of an answer: given the request, without its length, and the honest answer, with it.
pub type Liar = Box<dyn FnMut(&[u8], Vec<u8>) -> Vec<u8>>;

/// Everything outside the client.
pub struct World {
    /// The model.
    pub cluster: Cluster,
    /// Stands between the model and the client.
    pub liar: Option<Liar>,
    /// Of the network.
    pub weather: Weather,
    rng: Rng,
    links: Vec<Link>,
    /// Frames under way to a node: when they arrive, on which link.
    frames: Vec<(u64, u64, usize, Vec<u8>)>,
    frame_order: u64,
    trace: std::hash::DefaultHasher,
    pump: Option<Waker>,
    /// Bytes that the client wrote.
    pub written: u64,
    /// Connections that the client made.
    pub connections: u64,
}

/// A handle on the world.
#[derive(Clone)]
pub struct Network {
    /// The world.
    pub world: Rc<RefCell<World>>,
    time: Time,
}

impl Network {
    /// A network in front of `cluster`.
    pub fn new(cluster: Cluster, weather: Weather, seed: u64, time: Time) -> Self {
        let world = World {
            cluster,
            liar: None,
            weather,
            rng: Rng::with_seed(seed),
            links: Vec::new(),
            frames: Vec::new(),
            frame_order: 0,
            trace: std::hash::DefaultHasher::new(),
            pump: None,
            written: 0,
            connections: 0,
        };
        Network { world: Rc::new(RefCell::new(world)), time }
    }

    /// Carries frames to the nodes when they are due. A task of its own; does not end.
    pub async fn pump(self) {
        loop {
            let next = poll_fn(|cx| {
                let mut world = self.world.borrow_mut();
                world.deliver(self.time.now());
                world.pump = Some(cx.waker().clone());
                Poll::Ready(world.frames.iter().map(|frame| frame.0).min().unwrap_or(u64::MAX))
            })
            .await;
            let mut sleep = std::pin::pin!(self.time.sleep_until(next));
            let mut first = true;
            poll_fn(|cx| {
                let _ = std::future::Future::poll(sleep.as_mut(), cx);
                if std::mem::replace(&mut first, false) { Poll::Pending } else { Poll::Ready(()) }
            })
            .await;
        }
    }

    /// A number that two runs of the same seed agree on.
    pub fn trace(&self) -> u64 {
        self.world.borrow().trace.finish()
    }
}

/// The model's time, in milliseconds since 1970.
pub fn millis(now: u64) -> u64 {
    EPOCH_MILLIS as u64 + now / 1000
}

impl World {
    /// Adds something that happened to the trace.
    pub fn note(&mut self, what: &[u8]) {
        self.trace.write(what);
    }

    fn chance(&mut self, per_mille: u32) -> bool {
        per_mille > 0 && self.rng.u32(0..1000) < per_mille
    }

    fn delay(&mut self) -> u64 {
        self.weather.latency + if self.weather.jitter > 0 { self.rng.u64(0..=self.weather.jitter) } else { 0 }
    }

    fn piece(&mut self, most: usize) -> usize {
        match self.weather.piece {
            _ if most == 0 => 0,
            0 => most,
            piece => self.rng.usize(1..=piece).min(most),
        }
    }

    /// Cuts every connection to the nodes that are down.
    pub fn cut_dead(&mut self) {
        for link in 0..self.links.len() {
            if !self.links[link].closed && !self.cluster.is_connected(self.links[link].id) {
                self.cut(link);
            }
        }
    }

    fn cut(&mut self, link: usize) {
        self.trace.write_usize(link);
        let link = &mut self.links[link];
        link.closed = true;
        link.down.pieces.clear();
        self.cluster.disconnect(link.id);
        for waker in [link.down.waker.take(), link.writer.take()].into_iter().flatten() {
            waker.wake();
        }
    }

    /// The client's bytes reach the far end of the link's sending side.
    fn sent(&mut self, link: usize, bytes: &[u8], now: u64) {
        self.written += bytes.len() as u64;
        let state = &mut self.links[link];
        state.up_bytes += bytes.len() as u64;
        state.up.extend_from_slice(bytes);
        while let Some(length) = state.up.first_chunk::<4>().map(|length| u32::from_be_bytes(*length) as usize) {
            if state.up.len() < 4 + length {
                break;
            }
            let frame: Vec<u8> = state.up.drain(..4 + length).skip(4).collect();
            let order = self.frame_order;
            self.frame_order += 1;
            let at = (now + self.weather.latency).max(state.stalled_until);
            self.frames.push((at, order, link, frame));
        }
        if let Some(pump) = self.pump.take() {
            pump.wake();
        }
    }

    /// Stops every connection; each goes on within so many microseconds.
    pub fn stall_links(&mut self, within: u64, now: u64) {
        for link in self.links.iter_mut().filter(|link| !link.closed) {
            link.stalled_until = link.stalled_until.max(now + self.rng.u64(0..within));
        }
    }

    fn deliver(&mut self, now: u64) {
        loop {
            let due = self.frames.iter().enumerate().filter(|(_, f)| f.0 <= now).min_by_key(|(_, f)| (f.0, f.1));
            let Some((index, _)) = due else { return };
            let (_, _, link, frame) = self.frames.remove(index);
            let id = self.links[link].id;
            if !self.cluster.is_connected(id) {
                continue;
            }
            self.note(&frame);
            let reply = self.cluster.handle(id, &frame, millis(now));
            let at = (reply.at_ms - EPOCH_MILLIS as u64) * 1000;
            if let Some(mut bytes) = reply.bytes {
                if let Some(liar) = &mut self.liar {
                    bytes = liar(&frame, bytes);
                }
                self.note(&bytes);
                self.send_down(link, bytes, at.max(now));
            }
            if reply.close {
                self.send_down(link, Vec::new(), at.max(now));
            }
        }
    }

    /// An answer on its way back, in pieces that arrive one after the other; empty is the end of the stream.
    fn send_down(&mut self, link: usize, mut bytes: Vec<u8>, from: u64) {
        loop {
            let piece = self.piece(bytes.len());
            let rest = if self.weather.jitter > 0 { bytes.split_off(piece) } else { Vec::new() };
            let delay = self.delay();
            let state = &mut self.links[link];
            if state.closed || state.abandoned {
                return;
            }
            let arrival = (from + delay).max(state.down.last_arrival).max(state.stalled_until);
            state.down.last_arrival = arrival;
            state.down.pieces.push_back((arrival, bytes));
            if rest.is_empty() {
                break;
            }
            bytes = rest;
        }
        if let Some(waker) = self.links[link].down.waker.take() {
            waker.wake();
        }
    }
}

impl Io for Network {
    type Stream = Tcp;

    async fn connect(&self, host: &[u8], port: u16) -> Result<Tcp, ConnectionError> {
        let delay = self.world.borrow_mut().delay();
        self.time.sleep(2 * delay).await;
        let mut world = self.world.borrow_mut();
        if host != b"broker" {
            return Err(ConnectionError::Resolve);
        }
        let refuse = world.weather.refuse;
        if world.chance(refuse) {
            return Err(ConnectionError::Unreachable);
        }
        let node = i32::from(port) - i32::from(FIRST_PORT) + 1;
        let id = world.cluster.connect(node).ok_or(ConnectionError::Refused)?;
        let Weather { cut, cut_within, stall, stall_micros, .. } = world.weather.clone();
        let cut_up_after = world.chance(cut).then(|| world.rng.u64(0..=cut_within));
        let cut_down_after = world.chance(cut).then(|| world.rng.u64(0..=cut_within));
        let now = self.time.now();
        let stalled_until = if world.chance(stall) { now + world.rng.u64(0..=stall_micros) } else { 0 };
        world.connections += 1;
        world.links.push(Link {
            id,
            up: Vec::new(),
            up_bytes: 0,
            cut_up_after,
            down: Wire { cut_after: cut_down_after, ..Wire::default() },
            stalled_until,
            closed: false,
            abandoned: false,
            writer: None,
        });
        let link = world.links.len() - 1;
        drop(world);
        Ok(Tcp(Half { network: self.clone(), link }))
    }

    async fn sleep_until(&self, at: Instant) {
        if at == Instant::NEVER {
            // A timer in the queue is something that is still to happen: the world would run on to it.
            std::future::pending().await
        }
        self.time.sleep_until(at.as_micros()).await;
    }

    // A device has the core's own.
    #[cfg(feature = "server")]
    fn crc32c_append(&self, crc: u32, bytes: &[u8]) -> u32 {
        crc32c::crc32c_append(crc, bytes)
    }
}

#[derive(Clone)]
struct Half {
    network: Network,
    link: usize,
}

/// A connection.
pub struct Tcp(Half);

impl Drop for Tcp {
    fn drop(&mut self) {
        // What was written is under way and may still be acted on; what comes back finds nobody.
        self.0.network.world.borrow_mut().links[self.0.link].abandoned = true;
    }
}

/// One direction of a connection.
pub struct Direction(Half);

impl Stream for Tcp {
    type Reader<'a> = Direction;
    type Writer<'a> = Direction;

    fn split(&mut self) -> (Direction, Direction) {
        (Direction(self.0.clone()), Direction(self.0.clone()))
    }
}

impl ErrorType for Direction {
    type Error = ErrorKind;
}

impl Read for Direction {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        let Half { network, link } = &self.0;
        let link = *link;
        loop {
            let wait = {
                let mut world = network.world.borrow_mut();
                let now = network.time.now();
                let state = &mut world.links[link];
                if state.closed {
                    return Err(ErrorKind::ConnectionReset);
                }
                match state.down.pieces.front() {
                    Some((at, bytes)) if *at <= now => {
                        if bytes.is_empty() {
                            return Ok(0);
                        }
                        let most = bytes.len().min(buffer.len());
                        let mut count = world.piece(most);
                        let down = &mut world.links[link].down;
                        if let Some(left) = &mut down.cut_after {
                            count = count.min(*left as usize);
                            *left -= count as u64;
                            if count == 0 {
                                world.cut(link);
                                return Err(ErrorKind::ConnectionReset);
                            }
                        }
                        let (_, bytes) = down.pieces.front_mut().unwrap();
                        buffer[..count].copy_from_slice(&bytes[..count]);
                        bytes.drain(..count);
                        if bytes.is_empty() {
                            down.pieces.pop_front();
                        }
                        return Ok(count);
                    }
                    Some((at, _)) => *at,
                    None => u64::MAX,
                }
            };
            let mut sleep = std::pin::pin!(network.time.sleep_until(wait));
            let mut first = true;
            poll_fn(|cx| {
                network.world.borrow_mut().links[link].down.waker = Some(cx.waker().clone());
                let _ = std::future::Future::poll(sleep.as_mut(), cx);
                if std::mem::replace(&mut first, false) { Poll::Pending } else { Poll::Ready(()) }
            })
            .await;
        }
    }
}

impl Write for Direction {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        let Half { network, link } = &self.0;
        let link = *link;
        loop {
            let until = {
                let mut world = network.world.borrow_mut();
                let now = network.time.now();
                let state = &world.links[link];
                if state.closed {
                    return Err(ErrorKind::BrokenPipe);
                }
                if state.stalled_until <= now {
                    let mut count = world.piece(bytes.len());
                    if let Some(cut) = world.links[link].cut_up_after {
                        let left = cut.saturating_sub(world.links[link].up_bytes);
                        count = count.min(left as usize);
                        if count == 0 {
                            world.cut(link);
                            return Err(ErrorKind::BrokenPipe);
                        }
                    }
                    world.sent(link, &bytes[..count], now);
                    return Ok(count);
                }
                state.stalled_until
            };
            network.time.sleep_until(until).await;
        }
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

impl GatherWrite for Direction {}
