//! A broker in memory: pipes between the client's threads and the broker's.

use crate::platform::StandingClock;
use demitasse_broker::{Cluster, ConnectionId, Options};
use demitasse_core::embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use demitasse_core::{Clock, ConnectionError, GatherWrite, Instant, Io, Stream};
use shuttle::sync::{Arc, Mutex};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

/// The broker's port; the other brokers' follow.
pub const PORT: u16 = 9092;

/// Bytes that a pipe to the broker holds: who writes more has to wait.
const PIPE_BYTES: usize = 100;

struct Pipe {
    id: ConnectionId,
    up: VecDeque<u8>,
    /// What the broker has taken out of `up` of a frame that is not whole.
    frame: Vec<u8>,
    down: VecDeque<u8>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

struct World {
    cluster: Cluster,
    pipes: Vec<Pipe>,
    broker: Option<Waker>,
    over: bool,
}

/// A handle on the brokers.
#[derive(Clone)]
pub struct Network(Arc<Mutex<World>>);

impl Network {
    /// So many brokers, and a topic with a partition for each.
    pub fn new(nodes: u16, topic: &str) -> Self {
        let ports = (PORT..PORT + nodes).collect();
        let mut cluster = Cluster::new(Options { nodes: nodes.into(), ports, ..Options::default() });
        cluster.create_topic(topic, nodes.into());
        Network(Arc::new(Mutex::new(World { cluster, pipes: Vec::new(), broker: None, over: false })))
    }

    /// Looks at the brokers.
    pub fn with<R>(&self, f: impl FnOnce(&mut Cluster) -> R) -> R {
        f(&mut self.0.lock().unwrap().cluster)
    }

    /// The brokers' work, for a thread of its own, until [`Network::stop`].
    pub async fn serve(self) {
        poll_fn(|cx| {
            loop {
                let step = self.0.lock().unwrap().step(cx);
                match step {
                    Step::Done(waker) => waker.into_iter().for_each(Waker::wake),
                    Step::Idle => return Poll::Pending,
                    Step::Over => return Poll::Ready(()),
                }
            }
        })
        .await;
    }

    /// Ends the brokers' work.
    pub fn stop(&self) {
        let mut world = self.0.lock().unwrap();
        world.over = true;
        let broker = world.broker.take();
        drop(world);
        broker.into_iter().for_each(Waker::wake);
    }
}

/// What a broker did.
enum Step {
    /// Something, and this task waits for it.
    Done(Option<Waker>),
    Idle,
    Over,
}

impl World {
    /// Takes bytes out of a pipe, or answers a request.
    fn step(&mut self, cx: &Context<'_>) -> Step {
        if self.over {
            return Step::Over;
        }
        for pipe in &mut self.pipes {
            if !pipe.up.is_empty() {
                pipe.frame.extend(pipe.up.drain(..));
                return Step::Done(pipe.writer.take());
            }
            let length = pipe.frame.first_chunk::<4>().map_or(usize::MAX, |l| 4 + u32::from_be_bytes(*l) as usize);
            if pipe.frame.len() >= length {
                let frame: Vec<u8> = pipe.frame.drain(..length).collect();
                let now = StandingClock.wall_millis().unwrap() as u64;
                let reply = self.cluster.handle(pipe.id, &frame[4..], now);
                pipe.down.extend(reply.bytes.into_iter().flatten());
                assert!(!reply.close, "these brokers never close");
                return Step::Done(pipe.reader.take());
            }
        }
        self.broker = Some(cx.waker().clone());
        Step::Idle
    }
}

impl Io for Network {
    type Stream = Connected;

    async fn connect(&self, _host: &[u8], port: u16) -> Result<Connected, ConnectionError> {
        let mut world = self.0.lock().unwrap();
        let id = world.cluster.connect(i32::from(port - PORT) + 1).ok_or(ConnectionError::Refused)?;
        let (up, down, frame) = (VecDeque::new(), VecDeque::new(), Vec::new());
        world.pipes.push(Pipe { id, up, frame, down, reader: None, writer: None });
        Ok(Connected(Half { network: self.clone(), pipe: world.pipes.len() - 1 }))
    }

    async fn sleep_until(&self, at: Instant) {
        if at > StandingClock.now() {
            std::future::pending().await
        }
    }
}

/// A connection.
pub struct Connected(Half);

/// One direction of a connection.
#[derive(Clone)]
pub struct Half {
    network: Network,
    pipe: usize,
}

impl Stream for Connected {
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
            let pipe = &mut self.network.0.lock().unwrap().pipes[self.pipe];
            if pipe.down.is_empty() {
                pipe.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
            let count = buffer.len().min(pipe.down.len());
            for (place, byte) in buffer.iter_mut().zip(pipe.down.drain(..count)) {
                *place = byte;
            }
            Poll::Ready(Ok(count))
        })
        .await
    }
}

impl Write for Half {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        let (count, broker) = poll_fn(|cx| {
            let mut world = self.network.0.lock().unwrap();
            let pipe = &mut world.pipes[self.pipe];
            let count = bytes.len().min(PIPE_BYTES - pipe.up.len());
            if count == 0 {
                pipe.writer = Some(cx.waker().clone());
                return Poll::Pending;
            }
            pipe.up.extend(&bytes[..count]);
            Poll::Ready((count, world.broker.take()))
        })
        .await;
        broker.into_iter().for_each(Waker::wake);
        Ok(count)
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

impl GatherWrite for Half {}
