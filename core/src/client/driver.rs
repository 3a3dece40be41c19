//! The driver: the state's decisions, carried out over an [`Io`].
//!
//! One future for time and one for each connection slot. They may be joined in one task or run on many threads. Each
//! may be dropped at any await: buffers come home, and what was outstanding on its connection is sent again over
//! another, or by the same slot once it is run again.
//!
//! What lives as long as a connection is an `async move` block: an `async fn` has each of its arguments twice, as what it was
//! called with and as a variable. That was 250 bytes of RAM a connection, and code that copies them.
#![allow(clippy::manual_async_fn, reason = "see above")]

use super::{GatherWrite, Io, Producer, Stream};
use crate::connection::ConnectionError;
use crate::exchange::Order;
use crate::producer::{GATHER, Outgoing};
use crate::records;
#[cfg(feature = "consumer")]
use crate::records::codec::{Decompress, NoCodec};
#[cfg(feature = "compression")]
use crate::records::{Compression, HEADER_BYTES};
#[cfg(feature = "consumer")]
use crate::state::Lock;
use crate::state::{Platform, State};
use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::task::{Context, Poll};
use embedded_io_async::{Error, ErrorKind, Read};

/// What one connection needs for its bytes; as large as [`crate::Capacities`] says.
pub struct Scratch<'a> {
    pub(super) frame: &'a mut [u8],
    pub(super) receive: &'a mut [u8],
    #[cfg(feature = "compression")]
    pack: &'a mut [u8],
}

/// Nothing, and no byte of a future, where nothing is compressed.
#[cfg(feature = "compression")]
type Pack<'a> = &'a mut [u8];
#[cfg(not(feature = "compression"))]
type Pack<'a> = core::marker::PhantomData<&'a ()>;

impl<'a> Scratch<'a> {
    /// Requests are put together in `frame`, but for the batches; responses stream through `receive`.
    pub const fn new(frame: &'a mut [u8], receive: &'a mut [u8]) -> Self {
        Scratch {
            frame,
            receive,
            #[cfg(feature = "compression")]
            pack: &mut [],
        }
    }

    /// A batch is compressed into `pack` before it replaces what it was. What does not fit is sent as it is; a batch's size is
    /// enough, and for the core's own LZ4 ([`Io::compress`]) its table besides.
    #[cfg(feature = "compression")]
    pub fn packing(self, pack: &'a mut [u8]) -> Self {
        Scratch { pack, ..self }
    }
}

impl<P: Platform> Producer<P> {
    /// Runs everything that time does. Ends when the producer is closed.
    ///
    /// # Cancellation
    /// Dropped, nothing expires and nothing lingers to its end until it is run again.
    pub fn run_clock(&self, io: &impl Io) -> impl Future<Output = ()> {
        async move {
            loop {
                let tick = poll_fn(|cx| {
                    let mut replaced = None;
                    let until = self.with(|state| state.tick(self.now(), cx.waker(), &mut replaced));
                    drop(replaced);
                    Poll::Ready(until)
                });
                let Some(until) = tick.await else { return };
                let mut sleep = pin!(io.sleep_until(until));
                // The task may be woken for its other futures: then it is not yet time to look.
                poll_fn(|cx| {
                    let mut replaced = None;
                    let due = self.look(|state| state.is_clock_due(cx.waker(), &mut replaced));
                    drop(replaced);
                    if due { Poll::Ready(()) } else { sleep.as_mut().poll(cx) }
                })
                .await;
            }
        }
    }

    /// Serves one connection slot: connects where the state says to, writes and reads, and begins anew when the
    /// connection ends. Ends when the producer is closed.
    ///
    /// # Cancellation
    /// Dropped, its connection ends; what was outstanding on it is sent again.
    pub fn run_connection(&self, io: &impl Io, slot: usize, scratch: Scratch<'_>) -> impl Future<Output = ()> {
        #[cfg(feature = "compression")]
        let Scratch { frame, receive, mut pack } = scratch;
        #[cfg(not(feature = "compression"))]
        let (Scratch { frame, receive }, mut pack) = (scratch, Pack::default());
        async move {
            self.with(|state| state.serve(slot, true));
            let mut served = Served { producer: self, slot, connects: false };
            loop {
                let order = poll_fn(|cx| {
                    let mut replaced = None;
                    let order = self.with(|state| state.order(slot, self.now(), receive, cx.waker(), &mut replaced));
                    drop(replaced);
                    if let Order::Wait = order { Poll::Pending } else { Poll::Ready(order) }
                });
                let Order::Open { host, port } = order.await else { return };
                served.connects = true;
                let host = receive.get(..host).unwrap_or(&[]);
                let mut stream = self.connect(io, slot, host, port).await;
                let error = match &mut stream {
                    Ok(stream) => {
                        self.with(|state| state.opened(slot, self.now()));
                        let (reader, writer) = stream.split();
                        let write = pin!(self.write(io, slot, writer, frame, &mut pack));
                        let read = pin!(self.read(io, slot, reader, receive));
                        self.talk(slot, read, write).await
                    }
                    Err(error) => *error,
                };
                drop(stream);
                served.connects = false;
                self.with(|state| state.closed(slot, error, self.now()));
            }
        }
    }

    async fn connect<I: Io>(&self, io: &I, slot: usize, host: &[u8], port: u16) -> Result<I::Stream, ConnectionError> {
        let mut connect = pin!(io.connect(host, port));
        poll_fn(|cx| match self.closing(slot, cx) {
            Some(error) => Poll::Ready(Err(error)),
            None => connect.as_mut().poll(cx),
        })
        .await
    }

    /// Reads and writes until the connection ends.
    fn talk(
        &self,
        slot: usize,
        mut read: Pin<&mut impl Future<Output = ConnectionError>>,
        mut write: Pin<&mut impl Future<Output = ConnectionError>>,
    ) -> impl Future<Output = ConnectionError> {
        // In this order: `closing` leaves the waker in the state before anything is looked at, and what was read is acted on
        // by `write` in the same poll, without a wake.
        poll_fn(move |cx| {
            if let Some(end) = self.closing(slot, cx) {
                return Poll::Ready(end);
            }
            match read.as_mut().poll(cx) {
                Poll::Pending => write.as_mut().poll(cx),
                end => end,
            }
        })
    }

    /// Whether the state wants the slot's stream to end; else its task is woken when it does.
    fn closing(&self, slot: usize, cx: &mut Context<'_>) -> Option<ConnectionError> {
        let mut replaced = None;
        let closing = self.look(|state| state.closing(slot, cx.waker(), &mut replaced));
        drop(replaced);
        closing
    }

    fn write(
        &self,
        io: &impl Io,
        slot: usize,
        mut writer: impl GatherWrite,
        frame: &mut [u8],
        pack: &mut Pack<'_>,
    ) -> impl Future<Output = ConnectionError> {
        async move {
            let mut job = Job { producer: self, outgoing: Outgoing::EMPTY };
            loop {
                // Woken for whatever reason it looks again; `closing` has left the waker in the state.
                let writes = poll_fn(|_| {
                    self.pack(io, slot, pack);
                    self.with(|state| {
                        let some = state.may_send(slot) && state.next(slot, self.now(), frame, &mut job.outgoing);
                        if some { Poll::Ready(state.writes()) } else { Poll::Pending }
                    })
                })
                .await;
                if writes {
                    job.seal(|bytes| io.crc32c_append(0, bytes));
                }
                let mut pieces = [&[][..]; 2 * GATHER + 1];
                let count = job.pieces(frame, &mut pieces, writes);
                if let Err(error) = writer.write_gathered(pieces.get(..count).unwrap_or(&[])).await {
                    return lost(error.kind());
                }
                self.with(|state| {
                    job.put_back(state);
                    state.written(slot, self.now());
                });
            }
        }
    }

    /// Compresses what goes out next, while it belongs to nobody else.
    #[cfg(feature = "compression")]
    fn pack(&self, io: &impl Io, slot: usize, scratch: &mut Pack<'_>) {
        while let Some(mut unpacked) = self.with(|state| state.take_unpacked(slot, self.now())) {
            let records = unpacked.buffer.get_mut(HEADER_BYTES..unpacked.length as usize).unwrap_or(&mut []);
            let length = io.compress(unpacked.compression, records, scratch);
            let packed = length.and_then(|length| scratch.get(..length)).filter(|packed| packed.len() < records.len());
            match packed.zip(packed.and_then(|packed| records.get_mut(..packed.len()))) {
                Some((packed, place)) => {
                    place.copy_from_slice(packed);
                    unpacked.length = HEADER_BYTES.saturating_add(packed.len()) as u32;
                }
                None => unpacked.compression = Compression::None,
            }
            self.with(|state| state.packed(unpacked));
        }
    }

    #[cfg(not(feature = "compression"))]
    fn pack(&self, _: &impl Io, _: usize, _: &mut Pack<'_>) {}

    /// Verifies what a Fetch request has brought, and reads what is to come of it straight into its chunk; while the caller has
    /// a piece of a batch, it waits. Ends when something else comes next: whether it has done anything, so that the state is to
    /// look again at what is there, and at what may have been the end of the response. Of `rest` bytes it has made nothing so far.
    #[cfg(feature = "consumer")]
    fn land(
        &self,
        io: &impl Io,
        slot: usize,
        reader: &mut impl Read,
        rest: usize,
    ) -> impl Future<Output = Result<bool, ConnectionError>> {
        async move {
            let mut some = false;
            loop {
                if let Some(mut taken) = self.with(|state| state.take_unverified(slot)) {
                    if let Some((crc, from)) = taken.piece.filter(|_| self.look(|state| state.streams())) {
                        let crc = io.crc32c_append(crc, taken.buffer.get(from..taken.filled).unwrap_or(&[]));
                        self.with(|state| state.piece_verified(taken.chunk, taken.buffer, crc, self.now()));
                        return Ok(true);
                    }
                    let supports = if taken.inflates { P::Decompress::supports } else { NoCodec::supports };
                    let crc = |bytes: &[u8]| io.crc32c_append(0, bytes);
                    let (streams, committed) = (taken.streams, taken.committed);
                    let judge = crate::consumer::Judge { crc, supports, streams, committed };
                    let compressed = crate::consumer::verify(&mut taken.buffer, taken.filled, &judge);
                    self.with(|state| state.verified(taken.chunk, taken.buffer, compressed));
                    return Ok(true);
                }
                let mut held = false;
                poll_fn(|_| match self.look(|state| state.holds_back(slot)) {
                    true => {
                        held = true;
                        Poll::Pending
                    }
                    false => Poll::Ready(()),
                })
                .await;
                if held {
                    return Ok(true);
                }
                // A piece may have come back from another thread since the state looked, and its batch be wanted no more: what is
                // left there comes first.
                if !P::Lock::CHEAP && rest > 0 && self.look(|state| state.brings_records(slot)) {
                    return Ok(true);
                }
                let mut landing =
                    Arriving { producer: self, slot, landing: self.with(|state| state.take_landing(slot)) };
                let Some(place) = landing.place() else { return Ok(some) };
                match reader.read(place).await {
                    Ok(0) => return Err(ConnectionError::Closed),
                    Ok(count) => landing.landed(count),
                    Err(error) => return Err(lost(error.kind())),
                }
                some = true;
            }
        }
    }

    #[cfg(not(feature = "consumer"))]
    async fn land(&self, _: &impl Io, _: usize, _: &mut impl Read, _: usize) -> Result<bool, ConnectionError> {
        Ok(false)
    }

    fn read(
        &self,
        io: &impl Io,
        slot: usize,
        mut reader: impl Read,
        receive: &mut [u8],
    ) -> impl Future<Output = ConnectionError> {
        async move {
            let mut have = 0;
            loop {
                let Some(free) = receive.get_mut(have..).filter(|free| !free.is_empty()) else {
                    // One item of a response fills the buffer: no broker that is one sends that.
                    return ConnectionError::Protocol;
                };
                match reader.read(free).await {
                    Ok(0) => return ConnectionError::Closed,
                    Ok(count) => have += count,
                    Err(error) => return lost(error.kind()),
                }
                loop {
                    let bytes = receive.get(..have).unwrap_or(&[]);
                    let delivered = &mut |micros, records| io.delivered(micros, records);
                    match self.with(|state| state.receive(slot, bytes, self.now(), delivered)) {
                        Ok(used) => {
                            receive.copy_within(used..have, 0);
                            have -= used;
                        }
                        Err(error) => return error,
                    }
                    match self.land(io, slot, &mut reader, have).await {
                        Ok(true) => {}
                        Ok(false) => break,
                        Err(end) => return end,
                    }
                }
            }
        }
    }
}

pub(super) fn lost(kind: ErrorKind) -> ConnectionError {
    match kind {
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted => ConnectionError::Closed,
        kind => ConnectionError::Io(kind),
    }
}

/// Tells the state, should the driver be dropped, that the slot's stream is gone, and that nobody serves it any more.
struct Served<'a, P: Platform> {
    producer: &'a Producer<P>,
    slot: usize,
    connects: bool,
}

impl<P: Platform> Drop for Served<'_, P> {
    fn drop(&mut self) {
        let now = self.producer.now();
        if self.connects {
            self.producer.with(|state| state.closed(self.slot, ConnectionError::Dropped, now));
        }
        self.producer.with(|state| {
            state.serve(self.slot, false);
            state.abandoned(self.slot, now);
        });
    }
}

/// Batches in the hands of a connection. It owns their buffers; dropped, at any await, it puts them back.
struct Job<'a, P: Platform> {
    producer: &'a Producer<P>,
    outgoing: Outgoing<P::Buffer>,
}

impl<P: Platform> Job<'_, P> {
    /// The CRC is computed here, where the state is not locked.
    fn seal(&mut self, crc: impl Fn(&[u8]) -> u32) {
        for batch in self.outgoing.batches.iter_mut().flatten() {
            if core::mem::take(&mut batch.lacks_crc)
                && let Some(bytes) = batch.buffer.get_mut(..batch.length as usize)
            {
                records::write_crc(bytes, &crc);
            }
        }
    }

    /// The bytes to be written, in order, and how many pieces they are. There are no batches unless somebody `writes`.
    fn pieces<'b>(&'b self, frame: &'b [u8], pieces: &mut [&'b [u8]; 2 * GATHER + 1], writes: bool) -> usize {
        let (mut count, mut from) = (0, 0);
        let mut push = |piece: &'b [u8]| {
            if let Some(place) = pieces.get_mut(count).filter(|_| !piece.is_empty()) {
                *place = piece;
                count += 1;
            }
        };
        for batch in self.outgoing.batches.iter().flatten().filter(|_| writes) {
            let to = batch.frame_before as usize;
            push(frame.get(from..to).unwrap_or(&[]));
            push(batch.buffer.get(..batch.length as usize).unwrap_or(&[]));
            from = to;
        }
        push(frame.get(from..self.outgoing.frame_bytes).unwrap_or(&[]));
        count
    }

    /// Gives the buffers back to the state.
    fn put_back(&mut self, state: &mut State<P>) {
        if !state.writes() {
            return;
        }
        for batch in self.outgoing.batches.iter_mut().filter_map(Option::take) {
            state.put_back(batch.slot, batch.generation, batch.buffer);
        }
    }
}

impl<P: Platform> Drop for Job<'_, P> {
    fn drop(&mut self) {
        let producer = self.producer;
        producer.with(|state| self.put_back(state));
    }
}

/// A chunk that is read into. Dropped, at any await, it goes back.
#[cfg(feature = "consumer")]
struct Arriving<'a, P: Platform> {
    producer: &'a Producer<P>,
    slot: usize,
    landing: Option<crate::consumer::Landing<P::Buffer>>,
}

#[cfg(feature = "consumer")]
impl<P: Platform> Arriving<'_, P> {
    fn place(&mut self) -> Option<&mut [u8]> {
        let landing = self.landing.as_mut()?;
        landing.buffer.get_mut(landing.from..landing.from.saturating_add(landing.wanted))
    }

    fn landed(&mut self, count: usize) {
        if let Some(crate::consumer::Landing { buffer, chunk, .. }) = self.landing.take() {
            self.producer.with(|state| state.landed(self.slot, chunk, buffer, count));
        }
    }
}

#[cfg(feature = "consumer")]
impl<P: Platform> Drop for Arriving<'_, P> {
    fn drop(&mut self) {
        self.landed(0);
    }
}
