//! The network, with a direction that carries a byte at a time, and has to be waited for each time.

use demitasse_core::embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use demitasse_core::{ConnectionError, GatherWrite, Instant, Io, Stream};
use demitasse_simulation::executor::Time;
use demitasse_simulation::network::Network;
use demitasse_simulation::rig::Rig;

type Plain = <Network as Io>::Stream;

#[derive(Clone)]
pub(crate) struct Trickle {
    network: Network,
    time: Time,
    slow: Slow,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slow {
    Nothing,
    Writes,
    Reads,
}

impl Trickle {
    pub(crate) fn new(rig: &Rig, slow: Slow) -> Trickle {
        Trickle { network: rig.network.clone(), time: rig.executor.time.clone(), slow }
    }
}

pub(crate) struct TrickleStream(Plain, Trickle);

pub(crate) struct Trickling<W>(W, Trickle);

impl Io for Trickle {
    type Stream = TrickleStream;

    async fn connect(&self, host: &[u8], port: u16) -> Result<TrickleStream, ConnectionError> {
        Ok(TrickleStream(self.network.connect(host, port).await?, self.clone()))
    }

    async fn sleep_until(&self, at: Instant) {
        self.network.sleep_until(at).await;
    }
}

impl Stream for TrickleStream {
    type Reader<'a> = Trickling<<Plain as Stream>::Reader<'a>>;
    type Writer<'a> = Trickling<<Plain as Stream>::Writer<'a>>;

    fn split(&mut self) -> (Self::Reader<'_>, Self::Writer<'_>) {
        let (reader, writer) = self.0.split();
        (Trickling(reader, self.1.clone()), Trickling(writer, self.1.clone()))
    }
}

impl<W> ErrorType for Trickling<W> {
    type Error = ErrorKind;
}

impl<R: Read<Error = ErrorKind>> Read for Trickling<R> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        if self.1.slow != Slow::Reads {
            return self.0.read(buffer).await;
        }
        self.1.time.sleep(1).await;
        self.0.read(&mut buffer[..1]).await
    }
}

impl<W: Write<Error = ErrorKind>> Write for Trickling<W> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        if self.1.slow != Slow::Writes {
            return self.0.write(bytes).await;
        }
        self.1.time.sleep(1).await;
        self.0.write(&bytes[..1]).await
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        self.0.flush().await
    }
}

impl<W: Write<Error = ErrorKind>> GatherWrite for Trickling<W> {}
