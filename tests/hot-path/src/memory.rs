//! A connection that is a few bytes of memory: what is written is answered at once by the stand-in broker.

use demitasse_broker::{Cluster, ConnectionId};
use demitasse_core::embedded_io_async::{ErrorType, Read, Write};
use demitasse_core::{ConnectionError, GatherWrite, Instant, Io, Stream};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::pending;

/// The broker, and what it has answered.
pub(crate) struct Memory(RefCell<Broker>);

struct Broker {
    cluster: Cluster,
    connection: Option<ConnectionId>,
    request: Vec<u8>,
    answers: VecDeque<u8>,
}

impl Memory {
    pub(crate) fn new(cluster: Cluster) -> Memory {
        Memory(RefCell::new(Broker { cluster, connection: None, request: Vec::new(), answers: VecDeque::new() }))
    }
}

/// The broker's work, which is not ours: callgrind is told to leave it out.
#[inline(never)]
fn aside_answer(broker: &mut Broker, pieces: &[&[u8]]) {
    pieces.iter().for_each(|piece| broker.request.extend_from_slice(piece));
    while let Some((length, rest)) = broker.request.split_first_chunk() {
        let length = u32::from_be_bytes(*length) as usize;
        let (Some(frame), Some(connection)) = (rest.get(..length), broker.connection) else { return };
        let reply = broker.cluster.handle(connection, frame, 0);
        broker.answers.extend(reply.bytes.into_iter().flatten());
        broker.request.drain(..4 + length);
    }
}

impl<'a> Io for &'a Memory {
    type Stream = &'a Memory;

    async fn connect(&self, _: &[u8], _: u16) -> Result<&'a Memory, ConnectionError> {
        let mut broker = self.0.borrow_mut();
        broker.connection = broker.cluster.connect(1);
        Ok(self)
    }

    async fn sleep_until(&self, _: Instant) {
        pending().await
    }

    fn crc32c_append(&self, crc: u32, bytes: &[u8]) -> u32 {
        assert_eq!(crc, 0, "nothing is read here");
        crc_fast::crc32_iscsi(bytes)
    }
}

impl Stream for &Memory {
    type Reader<'a>
        = Half<'a>
    where
        Self: 'a;
    type Writer<'a>
        = Half<'a>
    where
        Self: 'a;

    fn split(&mut self) -> (Half<'_>, Half<'_>) {
        (Half(self), Half(self))
    }
}

/// One direction.
pub(crate) struct Half<'a>(&'a Memory);

impl ErrorType for Half<'_> {
    type Error = Infallible;
}

impl Read for Half<'_> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        if self.0.0.borrow().answers.is_empty() {
            // Whoever drives polls until nothing more comes.
            std::future::poll_fn(|_| {
                if self.0.0.borrow().answers.is_empty() { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
            })
            .await;
        }
        let answers = &mut self.0.0.borrow_mut().answers;
        let count = buffer.len().min(answers.len());
        for (place, byte) in buffer.iter_mut().zip(answers.drain(..count)) {
            *place = byte;
        }
        Ok(count)
    }
}

impl Write for Half<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        aside_answer(&mut self.0.0.borrow_mut(), &[bytes]);
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl GatherWrite for Half<'_> {
    async fn write_gathered(&mut self, pieces: &[&[u8]]) -> Result<(), Infallible> {
        aside_answer(&mut self.0.0.borrow_mut(), pieces);
        Ok(())
    }
}
