//! Brokers that do what the fuzzer's bytes say: answer honestly, or in part, or with a byte changed, or with anything.

use crate::input::Input;
use demitasse_broker::{Cluster, ConnectionId, Options};
use demitasse_core::embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use demitasse_core::{ConnectionError, GatherWrite, Instant, Io, Stream};
use demitasse_simulation::executor::Time;
use demitasse_simulation::network::{FIRST_PORT, millis};
use std::cell::{RefCell, RefMut};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

pub(crate) const NODES: usize = 2;
pub(crate) const PARTITIONS: i32 = 4;
pub(crate) const TOPIC: &str = "t";

/// More connections in one instant than any honest client makes.
const CONNECTIONS_AN_INSTANT: usize = 64;

struct Link {
    id: ConnectionId,
    /// What the client wrote and is not yet a whole request.
    up: Vec<u8>,
    requests: VecDeque<Vec<u8>>,
    down: VecDeque<u8>,
    closed: bool,
    reader: Option<Waker>,
}

struct Brokers {
    cluster: Cluster,
    links: Vec<Link>,
    /// A read gets at most so many bytes.
    piece: usize,
    connected_at: VecDeque<u64>,
}

/// A handle on all of it.
#[derive(Clone)]
pub(crate) struct World {
    brokers: Rc<RefCell<Brokers>>,
    pub(crate) time: Time,
}

impl World {
    pub(crate) fn new(time: Time) -> Self {
        let ports = (FIRST_PORT..FIRST_PORT + NODES as u16).collect();
        let mut cluster = Cluster::new(Options { nodes: NODES, host: "broker".into(), ports, ..Options::default() });
        cluster.advance(millis(0));
        cluster.create_topic(TOPIC, PARTITIONS);
        let brokers = Brokers { cluster, links: Vec::new(), piece: usize::MAX, connected_at: VecDeque::new() };
        World { brokers: Rc::new(RefCell::new(brokers)), time }
    }

    /// Does the next thing that the bytes say to one of the connections.
    pub(crate) fn act(&self, input: &mut Input<'_>) {
        let mut brokers = self.brokers.borrow_mut();
        let choice = input.byte();
        match choice % 12 {
            0 => return brokers.piece = usize::from(input.byte()).wrapping_sub(1).max(1),
            1 => {
                let (partition, node) = (input.below(PARTITIONS as usize), input.below(NODES) + 1);
                brokers.cluster.move_leader(TOPIC, partition as i32, node as i32);
                return;
            }
            _ => {}
        }
        let open: Vec<usize> = (0..brokers.links.len()).filter(|&link| !brokers.links[link].closed).collect();
        let Some(&link) = open.get(usize::from(choice / 12) % open.len().max(1)) else { return };
        match choice % 12 {
            2 => return brokers.close(link),
            3 => return brokers.say(link, input.bytes()),
            _ => {}
        }
        let Some(request) = brokers.links[link].requests.pop_front() else { return };
        let id = brokers.links[link].id;
        if choice % 12 == 4 {
            return brokers.say(link, &framed(&request, input.bytes()));
        }
        let reply = brokers.cluster.handle(id, &request, millis(self.time.now()));
        let answer = lie(choice % 12, reply.bytes.unwrap_or_default(), input);
        brokers.say(link, &answer);
        if reply.close {
            brokers.close(link);
        }
    }
}

/// What is made of an honest answer.
fn lie(choice: u8, mut answer: Vec<u8>, input: &mut Input<'_>) -> Vec<u8> {
    let mut at = |answer: &[u8]| (input.below(256) << 8 | input.below(256)) % answer.len().max(1);
    match choice {
        // One byte is another.
        5 | 6 => {
            let at = at(&answer);
            if let Some(byte) = answer.get_mut(at) {
                *byte = input.byte();
            }
        }
        // It ends early; the next comes right behind it.
        7 => answer.truncate(at(&answer)),
        // It has bytes in its midst that do not belong there, and its length says so.
        8 => {
            let at = at(&answer).max(8).min(answer.len());
            answer.splice(at..at, input.bytes().iter().copied());
            if let Some(length) = (answer.len() as u32).checked_sub(4) {
                answer[..4].copy_from_slice(&length.to_be_bytes());
            }
        }
        _ => {}
    }
    answer
}

/// A body with the length and the correlation id that the client expects.
fn framed(request: &[u8], body: &[u8]) -> Vec<u8> {
    let id = request.get(4..8).unwrap_or(&[0; 4]);
    let length = (4 + body.len()) as u32;
    [&length.to_be_bytes(), id, body].concat()
}

impl Brokers {
    fn say(&mut self, link: usize, bytes: &[u8]) {
        let link = &mut self.links[link];
        link.down.extend(bytes);
        link.reader.take().into_iter().for_each(Waker::wake);
    }

    fn close(&mut self, link: usize) {
        let link = &mut self.links[link];
        link.closed = true;
        self.cluster.disconnect(link.id);
        link.reader.take().into_iter().for_each(Waker::wake);
    }

    fn written(&mut self, link: usize, bytes: &[u8]) {
        let link = &mut self.links[link];
        link.up.extend_from_slice(bytes);
        while let Some(length) = link.up.first_chunk::<4>().map(|length| u32::from_be_bytes(*length) as usize)
            && link.up.len() >= 4 + length
        {
            link.requests.push_back(link.up.drain(..4 + length).skip(4).collect());
        }
    }
}

impl Io for World {
    type Stream = Socket;

    async fn connect(&self, host: &[u8], port: u16) -> Result<Socket, ConnectionError> {
        let mut brokers = self.brokers.borrow_mut();
        let now = self.time.now();
        brokers.connected_at.push_back(now);
        if brokers.connected_at.len() > CONNECTIONS_AN_INSTANT {
            assert_ne!(brokers.connected_at.pop_front(), Some(now), "it connects without end");
        }
        if host != b"broker" {
            return Err(ConnectionError::Resolve);
        }
        let node = i32::from(port) - i32::from(FIRST_PORT) + 1;
        let id = brokers.cluster.connect(node).ok_or(ConnectionError::Refused)?;
        let (up, requests, down) = (Vec::new(), VecDeque::new(), VecDeque::new());
        brokers.links.push(Link { id, up, requests, down, closed: false, reader: None });
        Ok(Socket(Half { world: self.clone(), link: brokers.links.len() - 1 }))
    }

    async fn sleep_until(&self, at: Instant) {
        let at = if at == Instant::NEVER { u64::MAX } else { at.as_micros() };
        self.time.sleep_until(at).await;
    }
}

#[derive(Clone)]
pub(crate) struct Half {
    world: World,
    link: usize,
}

impl Half {
    fn brokers(&self) -> RefMut<'_, Brokers> {
        self.world.brokers.borrow_mut()
    }
}

pub(crate) struct Socket(Half);

impl Drop for Socket {
    fn drop(&mut self) {
        let link = self.0.link;
        self.0.brokers().close(link);
    }
}

impl Stream for Socket {
    type Reader<'a> = Half;
    type Writer<'a> = Half;

    fn split(&mut self) -> (Half, Half) {
        (self.0.clone(), self.0.clone())
    }
}

impl ErrorType for Half {
    type Error = ErrorKind;
}

impl Read for Half {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        poll_fn(|cx| {
            let mut brokers = self.brokers();
            let most = brokers.piece.min(buffer.len());
            let link = &mut brokers.links[self.link];
            let count = most.min(link.down.len());
            for (to, byte) in buffer.iter_mut().zip(link.down.drain(..count)) {
                *to = byte;
            }
            if count > 0 || link.closed {
                return Poll::Ready(Ok(count));
            }
            link.reader = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }
}

impl Write for Half {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        let mut brokers = self.brokers();
        if brokers.links[self.link].closed {
            return Err(ErrorKind::BrokenPipe);
        }
        brokers.written(self.link, bytes);
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

impl GatherWrite for Half {}
