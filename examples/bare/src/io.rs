//! What the core needs from the world: a non-blocking stream, a clock, and a way to wait. Nothing of Kafka.

use demitasse_core::embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use demitasse_core::{Clock, ConnectionError, GatherWrite, Instant, Io, Stream};
use std::future::poll_fn;
use std::io::{self, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs};
use std::task::Poll;
use std::time::{SystemTime, UNIX_EPOCH};

/// The machine's network and clocks.
#[derive(Clone, Copy)]
pub struct Network(std::time::Instant);

impl Network {
    pub(crate) fn new() -> Self {
        Network(std::time::Instant::now())
    }
}

impl Clock for Network {
    fn now(&self) -> Instant {
        Instant::from_micros(self.0.elapsed().as_micros() as u64)
    }

    fn wall_millis(&self) -> Option<i64> {
        SystemTime::now().duration_since(UNIX_EPOCH).ok().map(|since| since.as_millis() as i64)
    }
}

/// Asks again at each poll until `attempt` does not say that it would block.
async fn retry<T>(mut attempt: impl FnMut() -> io::Result<T>) -> Result<T, ErrorKind> {
    poll_fn(|_| match attempt() {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Poll::Ready(Err(ErrorKind::ConnectionReset)),
        result => Poll::Ready(result.map_err(|_| ErrorKind::Other)),
    })
    .await
}

impl Io for Network {
    type Stream = Socket;

    async fn connect(&self, host: &[u8], port: u16) -> Result<Socket, ConnectionError> {
        let host = str::from_utf8(host).map_err(|_| ConnectionError::Resolve)?;
        // std can only ask and connect blocking; a stack of one's own begins it here and asks for its end at each poll.
        let addresses: Vec<_> = (host, port).to_socket_addrs().map_err(|_| ConnectionError::Resolve)?.collect();
        let stream = TcpStream::connect(addresses.as_slice()).map_err(|error| match error.kind() {
            io::ErrorKind::ConnectionRefused => ConnectionError::Refused,
            _ => ConnectionError::Unreachable,
        })?;
        let prepared = stream.set_nonblocking(true).and_then(|()| stream.set_nodelay(true));
        prepared.map_err(|_| ConnectionError::Io(ErrorKind::Other))?;
        Ok(Socket(stream))
    }

    async fn sleep_until(&self, at: Instant) {
        poll_fn(|_| if self.now() >= at { Poll::Ready(()) } else { Poll::Pending }).await;
    }
}

/// A connection.
pub struct Socket(TcpStream);

/// One direction of it: std's streams are used by reference.
pub struct Half<'a>(&'a TcpStream);

impl Stream for Socket {
    type Reader<'a> = Half<'a>;
    type Writer<'a> = Half<'a>;

    fn split(&mut self) -> (Half<'_>, Half<'_>) {
        (Half(&self.0), Half(&self.0))
    }
}

impl ErrorType for Half<'_> {
    type Error = ErrorKind;
}

impl Read for Half<'_> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        retry(|| self.0.read(buffer)).await
    }
}

impl Write for Half<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        retry(|| self.0.write(bytes)).await
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

// The default writes one piece after the other; a stack that takes several at once overrides it.
impl GatherWrite for Half<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::{Context, Waker};

    #[test]
    fn a_name_that_nobody_knows_is_not_a_host_that_cannot_be_reached() {
        let network = Network::new();
        for host in ["no-such-host.invalid".as_bytes(), b"\xff", b""] {
            let connecting = pin!(network.connect(host, 9092));
            let connected = connecting.poll(&mut Context::from_waker(Waker::noop())).map(|result| result.map(drop));
            assert_eq!(connected, Poll::Ready(Err(ConnectionError::Resolve)), "{host:?}");
        }
    }
}
