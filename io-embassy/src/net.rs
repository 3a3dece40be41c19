//! One connection slot's socket, as the core wants it. Nothing of Kafka in here.

use crate::clock::sleep_until;
use core::cell::{RefCell, RefMut};
use demitasse_core::{ConnectionError, GatherWrite, Instant, Io, Stream};
use embassy_net::tcp::{ConnectError, Error, TcpReader, TcpSocket, TcpWriter};
use embassy_net::{IpAddress, Ipv4Address, Stack};
use embedded_io_async::{ErrorType, Read, Write};

/// The socket of a slot stays in the network stack for good: its buffers belong to it. A connection borrows it.
pub(crate) struct Net {
    #[cfg(feature = "dns")]
    stack: Stack<'static>,
    socket: RefCell<TcpSocket<'static>>,
}

impl Net {
    pub(crate) fn new(stack: Stack<'static>, receive: &'static mut [u8], send: &'static mut [u8]) -> Self {
        Net {
            #[cfg(feature = "dns")]
            stack,
            socket: RefCell::new(TcpSocket::new(stack, receive, send)),
        }
    }

    /// Waits until what `Tcp`'s drop left to be said has been said.
    #[allow(clippy::await_holding_refcell_ref, reason = "a connection that cannot have the socket says so")]
    pub(crate) async fn flush(&self) {
        if let Ok(mut socket) = self.socket.try_borrow_mut() {
            let _ = socket.flush().await;
        }
    }
}

impl Io for &'static Net {
    type Stream = Tcp;

    async fn connect(&self, host: &str, port: u16) -> Result<Tcp, ConnectionError> {
        let net: &'static Net = self;
        // Taken first: wherever this future is dropped, the socket is let go of.
        let mut tcp = Tcp(net.socket.try_borrow_mut().map_err(|_| ConnectionError::Dropped)?);
        if let Ok(address) = host.parse::<Ipv4Address>() {
            tcp.connect(IpAddress::Ipv4(address), port).await?;
            return Ok(tcp);
        }
        #[cfg(feature = "dns")]
        {
            let query = self.stack.dns_query(host, embassy_net::dns::DnsQueryType::A);
            let mut error = ConnectionError::Resolve;
            for address in query.await.map_err(|_| ConnectionError::Resolve)? {
                match tcp.connect(address, port).await {
                    Ok(()) => return Ok(tcp),
                    Err(reason) => error = reason,
                }
            }
            Err(error)
        }
        #[cfg(not(feature = "dns"))]
        Err(ConnectionError::Resolve)
    }

    async fn sleep_until(&self, at: Instant) {
        sleep_until(at).await;
    }
}

/// A connection, from the first attempt on.
pub(crate) struct Tcp(RefMut<'static, TcpSocket<'static>>);

impl Tcp {
    async fn connect(&mut self, address: IpAddress, port: u16) -> Result<(), ConnectionError> {
        self.0.connect((address, port)).await.map_err(|error| match error {
            ConnectError::ConnectionReset => ConnectionError::Refused,
            ConnectError::NoRoute => ConnectionError::Unreachable,
            ConnectError::TimedOut => ConnectionError::ConnectTimeout,
            ConnectError::InvalidState => ConnectionError::Dropped,
        })?;
        // Requests are written whole: waiting for more to fill a segment gains nothing.
        self.0.set_nagle_enabled(false);
        Ok(())
    }
}

impl Drop for Tcp {
    /// Nothing lingers: the peer is told by a reset, which the network stack sends when it runs next. What was written
    /// and matters has been answered by now.
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Stream for Tcp {
    type Reader<'a> = Reader<'a>;
    type Writer<'a> = Writer<'a>;

    fn split(&mut self) -> (Reader<'_>, Writer<'_>) {
        let (reader, writer) = self.0.split();
        (Reader(reader), Writer(writer))
    }
}

pub(crate) struct Reader<'a>(TcpReader<'a>);
pub(crate) struct Writer<'a>(TcpWriter<'a>);

impl ErrorType for Reader<'_> {
    type Error = Error;
}

impl ErrorType for Writer<'_> {
    type Error = Error;
}

impl Read for Reader<'_> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        self.0.read(buffer).await
    }
}

impl Write for Writer<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        self.0.write(bytes).await
    }

    /// Nothing to do: what is written is on its way. The socket's own `flush` waits for the peer's acknowledgement.
    async fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

impl GatherWrite for Writer<'_> {
    /// Piece by piece into the socket's buffer, the only copy. The network stack looks at it when this task waits, so the
    /// pieces still share segments.
    async fn write_gathered(&mut self, pieces: &[&[u8]]) -> Result<(), Error> {
        for mut piece in pieces.iter().copied() {
            while !piece.is_empty() {
                let written = self.0.write(piece).await?;
                piece = piece.get(written..).unwrap_or(&[]);
            }
        }
        Ok(())
    }
}
