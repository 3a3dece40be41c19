//! One connection slot's socket, as the core wants it. Nothing of Kafka in here.

use crate::clock::sleep_until;
#[cfg(feature = "dns")]
use core::cell::Cell;
use core::cell::{RefCell, RefMut};
use core::future::Future;
use demitasse_core::{ConnectionError, GatherWrite, Instant, Io, Stream};
use embassy_net::tcp::{ConnectError, Error, TcpReader, TcpSocket, TcpWriter};
use embassy_net::{IpAddress, Ipv4Address, Stack};
use embassy_time::{Duration, with_timeout};
use embedded_io_async::{ErrorType, Read, Write};

/// How long a new connection waits for the network stack to tell the peer before that the last one has ended.
const WORD: Duration = Duration::from_millis(100);

/// The socket of a slot stays in the network stack for good: its buffers belong to it. A connection borrows it.
pub(crate) struct Net {
    #[cfg(feature = "dns")]
    stack: Stack<'static>,
    /// Which of a name's addresses the next attempt begins with.
    #[cfg(feature = "dns")]
    turn: Cell<u8>,
    socket: RefCell<TcpSocket<'static>>,
}

impl Net {
    pub(crate) fn new(stack: Stack<'static>, receive: &'static mut [u8], send: &'static mut [u8]) -> Self {
        Net {
            #[cfg(feature = "dns")]
            stack,
            #[cfg(feature = "dns")]
            turn: Cell::new(0),
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

    async fn connect(&self, host: &[u8], port: u16) -> Result<Tcp, ConnectionError> {
        let net: &'static Net = self;
        // Taken first: wherever this future is dropped, the socket is let go of.
        let mut tcp = Tcp(net.socket.try_borrow_mut().map_err(|_| ConnectionError::Dropped)?);
        // Begun anew at once, the socket would forget whom it has to tell of the end: that broker would keep the connection for
        // ten minutes. Who cannot be told at all is not waited for.
        let _ = with_timeout(WORD, tcp.0.flush()).await;
        if let Some(address) = ipv4(host) {
            tcp.connect(IpAddress::Ipv4(address), port).await?;
            return Ok(tcp);
        }
        #[cfg(feature = "dns")]
        {
            let name = core::str::from_utf8(host).map_err(|_| ConnectionError::Resolve)?;
            let query = self.stack.dns_query(name, embassy_net::dns::DnsQueryType::A);
            let mut error = ConnectionError::Resolve;
            let addresses = query.await.map_err(|_| ConnectionError::Resolve)?;
            for _ in 0..addresses.len() {
                // One that is cut off says nothing until the driver's patience is over, and then this future is dropped: the
                // next attempt begins with the next address.
                let turn = self.turn.get();
                self.turn.set(turn.wrapping_add(1));
                let Some(&address) = addresses.get(usize::from(turn) % addresses.len()) else { break };
                match tcp.connect(address, port).await {
                    Ok(()) => {
                        self.turn.set(turn);
                        return Ok(tcp);
                    }
                    Err(reason) => error = reason,
                }
            }
            Err(error)
        }
        #[cfg(not(feature = "dns"))]
        Err(ConnectionError::Resolve)
    }

    fn sleep_until(&self, at: Instant) -> impl Future<Output = ()> {
        sleep_until(at)
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
    fn read(&mut self, buffer: &mut [u8]) -> impl Future<Output = Result<usize, Error>> {
        self.0.read(buffer)
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
    /// All pieces into the socket's buffer at once, the only copy: each visit to the socket has its price. Where the buffer
    /// is full or comes to its end, the rest goes with the next.
    fn write_gathered(&mut self, pieces: &[&[u8]]) -> impl Future<Output = Result<(), Error>> {
        let mut rest = (pieces, 0);
        async move {
            // By reference: the network stack's future holds what it is given several times.
            let rest = &mut rest;
            while self.0.write_with(|free| copy(rest, free)).await? {}
            Ok(())
        }
    }
}

/// Copies what lies behind the first bytes of the pieces, which were copied before, as much as there is room for: how many
/// bytes, and whether there are more.
fn copy((pieces, copied): &mut (&[&[u8]], usize), to: &mut [u8]) -> (usize, bool) {
    let (mut skip, mut free) = (*copied, to);
    let room = free.len();
    let mut more = false;
    for piece in *pieces {
        let rest = piece.get(skip..).unwrap_or(&[]);
        skip = skip.saturating_sub(piece.len());
        let here = rest.len().min(free.len());
        let Some((place, behind)) = core::mem::take(&mut free).split_at_mut_checked(here) else { break };
        let Some(bytes) = rest.get(..here) else { break };
        place.copy_from_slice(bytes);
        free = behind;
        if here < rest.len() {
            more = true;
            break;
        }
    }
    let count = room - free.len();
    *copied += count;
    (count, more)
}

/// Four decimal numbers with dots between them. Not by `parse`, which is a kilobyte of flash for what it can besides.
fn ipv4(text: &[u8]) -> Option<Ipv4Address> {
    let mut octets = [0u8; 4];
    let (mut at, mut digits) = (0, 0);
    for &byte in text {
        if byte == b'.' {
            if digits == 0 {
                return None;
            }
            (at, digits) = (at + 1, 0);
            continue;
        }
        let digit = byte.checked_sub(b'0').filter(|&digit| digit < 10)?;
        let octet = octets.get_mut(at)?;
        // A leading zero is for some a sign of octal numbers: refused, as Rust's own parser does.
        if digits > 0 && *octet == 0 {
            return None;
        }
        *octet = octet.checked_mul(10)?.checked_add(digit)?;
        digits += 1;
    }
    (at == 3 && digits > 0).then(|| Ipv4Address::from(octets))
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    #[test]
    fn pieces_are_copied_in_order_into_whatever_room_there_is() {
        let pieces: [&[u8]; 4] = [b"abc", b"", b"defgh", b"i"];
        for room in 1..12 {
            let (mut all, mut rest, mut more) = (std::vec::Vec::new(), (&pieces[..], 0), true);
            while more {
                let mut place = std::vec![0; room];
                let count;
                (count, more) = copy(&mut rest, &mut place);
                all.extend_from_slice(&place[..count]);
            }
            assert_eq!(all, b"abcdefghi");
        }
    }

    #[test]
    fn addresses_are_read_as_the_library_reads_them() {
        for text in [
            "10.0.2.2",
            "0.0.0.0",
            "255.255.255.255",
            "256.0.0.1",
            "1.2.3",
            "1.2.3.4.5",
            "1..2.3",
            ".1.2.3",
            "1.2.3.",
            "01.2.3.4",
            "1.2.3.00",
            "1.2.3.4 ",
            "a.b.c.d",
            "",
            "broker",
            "1.2.3.1234",
            "1.2.3.-4",
            "::1",
        ] {
            assert_eq!(ipv4(text.as_bytes()), text.parse().ok(), "{text}");
        }
    }
}
