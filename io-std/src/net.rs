//! Tokio's sockets, names, clocks and sleep, as the core wants them. Nothing of Kafka in here.

use crate::codec::Encoder;
use crate::guard;
use crate::metrics::Latencies;
use crate::system::{self, ReadHalf, TcpStream, WriteHalf, lookup_host};
use demitasse_core::embedded_io_async::{ErrorType, Read, Write};
use demitasse_core::{Clock, Compression, ConnectionError, GatherWrite, Instant, Io, Stream};
use std::future::poll_fn;
use std::io::{Error, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The machine's clocks; monotonic time counts from when it was made.
#[derive(Clone, Copy, Debug)]
pub struct StdClock(system::Instant);

impl StdClock {
    pub(crate) fn start() -> Self {
        StdClock(system::Instant::now())
    }
}

impl Clock for StdClock {
    fn now(&self) -> Instant {
        Instant::from_micros(self.0.elapsed().as_micros() as u64)
    }

    fn wall_millis(&self) -> Option<i64> {
        SystemTime::now().duration_since(UNIX_EPOCH).ok().map(|since| since.as_millis() as i64)
    }
}

/// The network of one producer.
#[derive(Clone)]
pub(crate) struct TokioIo {
    pub(crate) clock: StdClock,
    pub(crate) latencies: Arc<Latencies>,
    /// Of one connection, so nobody waits for it.
    pub(crate) encoder: Option<Arc<Mutex<Encoder>>>,
}

impl Io for TokioIo {
    type Stream = Tcp;

    async fn connect(&self, host: &[u8], port: u16) -> Result<Tcp, ConnectionError> {
        let host = str::from_utf8(host).map_err(|_| ConnectionError::Resolve)?;
        // Sockets and name look-ups are the runtime's, and allocate there.
        guard::exempt(async {
            let addresses = lookup_host((host, port)).await.map_err(|_| ConnectionError::Resolve)?;
            let stream = first_of(addresses).await?;
            // Requests are written whole: waiting for more to fill a segment gains nothing.
            let _ = stream.set_nodelay(true);
            Ok(Tcp(Some(stream)))
        })
        .await
    }

    async fn sleep_until(&self, at: Instant) {
        let since_start = Duration::from_micros(at.as_micros());
        match self.clock.0.checked_add(since_start) {
            Some(at) => system::sleep_until(at).await,
            None => std::future::pending().await,
        }
    }

    fn crc32c_append(&self, crc: u32, bytes: &[u8]) -> u32 {
        crc32c_append(crc, bytes)
    }

    fn compress(&self, _: Compression, input: &[u8], output: &mut [u8]) -> Option<usize> {
        let mut encoder = self.encoder.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        encoder.compress(input, output)
    }

    fn delivered(&self, micros: u64, records: u32) {
        self.latencies.record(micros, records);
    }
}

/// Before the next address of a name is tried as well, as RFC 8305 recommends.
const HEAD_START: Duration = Duration::from_millis(250);

/// Connects to the address that answers first. Each has a head start only: one that is cut off says nothing, until the
/// driver's patience is over, and the others would never have their turn.
async fn first_of(mut addresses: impl Iterator<Item = SocketAddr>) -> Result<TcpStream, ConnectionError> {
    let first = addresses.next().ok_or(ConnectionError::Resolve)?;
    let Some(second) = addresses.next() else {
        // Nothing to choose from, hence nothing to remember: the usual case allocates no more than the runtime does.
        return TcpStream::connect(first).await.map_err(|reason| connect_error(&reason));
    };
    let mut addresses = [first, second].into_iter().chain(addresses);
    let mut error = ConnectionError::Resolve;
    let mut attempts = Vec::new();
    loop {
        let next = addresses.next();
        let patience = if next.is_some() { HEAD_START } else { Duration::MAX };
        attempts.extend(next.map(|address| Box::pin(TcpStream::connect(address))));
        if attempts.is_empty() {
            return Err(error);
        }
        let ended = poll_fn(|cx| {
            for at in 0..attempts.len() {
                if let Poll::Ready(result) = attempts[at].as_mut().poll(cx) {
                    drop(attempts.swap_remove(at));
                    return Poll::Ready(result);
                }
            }
            Poll::Pending
        });
        match tokio::time::timeout(patience, ended).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(reason)) => error = connect_error(&reason),
            Err(_) => {}
        }
    }
}

fn connect_error(error: &Error) -> ConnectionError {
    match error.kind() {
        ErrorKind::ConnectionRefused => ConnectionError::Refused,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::AddrNotAvailable => {
            ConnectionError::Unreachable
        }
        ErrorKind::TimedOut => ConnectionError::ConnectTimeout,
        kind => ConnectionError::Io(kind.into()),
    }
}

pub(crate) struct Tcp(Option<TcpStream>);

impl Drop for Tcp {
    fn drop(&mut self) {
        // The runtime notes that it is to forget the socket.
        guard::drop_exempt(self.0.take());
    }
}

impl Stream for Tcp {
    type Reader<'a> = Reader<'a>;
    type Writer<'a> = Writer<'a>;

    fn split(&mut self) -> (Reader<'_>, Writer<'_>) {
        let Some(stream) = &mut self.0 else { unreachable!("there is a socket until it is dropped") };
        let (reader, writer) = stream.split();
        (Reader(reader), Writer(writer))
    }
}

pub(crate) struct Reader<'a>(ReadHalf<'a>);
pub(crate) struct Writer<'a>(WriteHalf<'a>);

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

    async fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// That of bytes that end with `bytes` and had the checksum `crc` before them.
///
/// Pieces are rare, those of batches that are larger than a chunk: for them the core's own table will do. What `crc_fast` has
/// for pieces brings 0.7 MB of all the checksums that it knows into every program.
fn crc32c_append(crc: u32, bytes: &[u8]) -> u32 {
    if crc == 0 { crc_fast::crc32_iscsi(bytes) } else { demitasse_core::records::crc32c::crc32c_append(crc, bytes) }
}

/// The core gathers at most 8 batches, each with bytes before it, and a tail.
const PIECES: usize = 17;

impl GatherWrite for Writer<'_> {
    async fn write_gathered(&mut self, pieces: &[&[u8]]) -> Result<(), Error> {
        for pieces in pieces.chunks(PIECES) {
            let mut slices = [IoSlice::new(&[]); PIECES];
            for (slice, piece) in slices.iter_mut().zip(pieces) {
                *slice = IoSlice::new(piece);
            }
            let mut rest = &mut slices[..pieces.len()];
            while !rest.is_empty() {
                let written = self.0.write_vectored(rest).await?;
                if written == 0 {
                    return Err(ErrorKind::WriteZero.into());
                }
                IoSlice::advance_slices(&mut rest, written);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::crc32c_append;
    use demitasse_core::records::crc32c::crc32c;

    #[test]
    fn a_checksum_of_pieces_is_that_of_the_whole() {
        let bytes: Vec<u8> = (0..3000u32).map(|i| ((i * i) >> 3) as u8).collect();
        for cut in [0, 1, 7, 255, 256, 1024, 2999, 3000] {
            let (front, back) = bytes.split_at(cut);
            assert_eq!(crc32c_append(crc32c_append(0, front), back), crc32c(&bytes), "cut at {cut}");
        }
    }
}
