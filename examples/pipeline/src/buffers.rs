//! A fixed number of buffers that go around between the consumer and the writer: all memory there is between them.

use crate::line;
use demitasse_io_std::Consumed;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc;
use tokio::sync::mpsc as returns;

/// Lines, and for each partition the offset behind its last record among them.
pub(crate) struct Buffer {
    bytes: Box<[u8]>,
    filled: usize,
    pub(crate) records: u64,
    /// By partition; -1 if there is none of its records.
    pub(crate) next: Box<[i64]>,
}

impl Buffer {
    pub(crate) fn lines(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }

    fn clear(&mut self) {
        (self.filled, self.records) = (0, 0);
        self.next.fill(-1);
    }
}

/// Why a record was not taken.
pub(crate) enum Refused {
    /// Its line does not fit into an empty buffer.
    TooLarge { partition: i32, offset: i64, record: usize, buffer: usize },
    /// The writer has ended; it tells why.
    WriterGone,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::TooLarge { partition, offset, record, buffer } => write!(
                f,
                "partition {partition}, offset {offset}: key and value have {record} bytes, and the line does not fit into a \
                 buffer of {buffer}: raise --buffer-bytes [fault: our settings]"
            ),
            Refused::WriterGone => f.write_str("the writer has ended"),
        }
    }
}

/// The consumer's end.
pub(crate) struct Filler {
    current: Option<Buffer>,
    full: mpsc::SyncSender<Buffer>,
    empty: returns::Receiver<Buffer>,
    /// Bytes on their way to the writer, or in its hands.
    waiting: Arc<AtomicU64>,
    total: u64,
}

/// The writer's end.
pub(crate) struct Drain {
    pub(crate) full: mpsc::Receiver<Buffer>,
    empty: returns::Sender<Buffer>,
    waiting: Arc<AtomicU64>,
}

/// `count` buffers of `bytes` each, for a topic of so many partitions.
pub(crate) fn buffers(count: usize, bytes: usize, partitions: usize) -> (Filler, Drain) {
    let (full_sender, full) = mpsc::sync_channel(count);
    let (empty_sender, empty) = returns::channel(count);
    let next = vec![-1; partitions].into_boxed_slice();
    for _ in 0..count {
        // Touched, so that what the process takes is the same from the start.
        let bytes = vec![1; bytes].into_boxed_slice();
        let _ = empty_sender.try_send(Buffer { bytes, filled: 0, records: 0, next: next.clone() });
    }
    let waiting = Arc::new(AtomicU64::new(0));
    let drain = Drain { full, empty: empty_sender, waiting: waiting.clone() };
    (Filler { current: None, full: full_sender, empty, waiting, total: (count * bytes) as u64 }, drain)
}

impl Filler {
    /// Takes a record, and waits for an empty buffer if need be. Dropped meanwhile, it was not taken.
    pub(crate) async fn put(&mut self, record: &Consumed<'_>) -> Result<(), Refused> {
        loop {
            let buffer = match &mut self.current {
                Some(buffer) => buffer,
                None => {
                    let empty = self.empty.recv().await.ok_or(Refused::WriterGone)?;
                    self.current.insert(empty)
                }
            };
            if let Some(bytes) = line::write(record, &mut buffer.bytes[buffer.filled..]) {
                buffer.filled += bytes;
                buffer.records += 1;
                buffer.next[record.partition as usize] = record.offset + 1;
                return Ok(());
            }
            if buffer.filled == 0 {
                let Consumed { partition, offset, key, value, .. } = *record;
                let record = key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len);
                return Err(Refused::TooLarge { partition, offset, record, buffer: buffer.bytes.len() });
            }
            self.hand_over()?;
        }
    }

    /// What has come does not wait for more while the writer has nothing to do.
    pub(crate) fn hand_over_if_idle(&mut self) -> Result<(), Refused> {
        if self.empty.is_closed() {
            return Err(Refused::WriterGone);
        }
        if self.waiting.load(Relaxed) == 0 { self.hand_over() } else { Ok(()) }
    }

    pub(crate) fn hand_over(&mut self) -> Result<(), Refused> {
        let Some(buffer) = self.current.take_if(|buffer| buffer.filled > 0) else { return Ok(()) };
        self.waiting.fetch_add(buffer.filled as u64, Relaxed);
        // It has room for all buffers that there are.
        self.full.try_send(buffer).map_err(|_| Refused::WriterGone)
    }

    /// The share of all buffers that waits for the writer.
    pub(crate) fn fullness(&self) -> f64 {
        let current = self.current.as_ref().map_or(0, |buffer| buffer.filled as u64);
        (self.waiting.load(Relaxed) + current) as f64 / self.total as f64
    }
}

impl Drain {
    /// Its lines are written.
    pub(crate) fn give_back(&self, mut buffer: Buffer) {
        self.waiting.fetch_sub(buffer.filled as u64, Relaxed);
        buffer.clear();
        // If the consumer is gone, nobody needs it.
        let _ = self.empty.try_send(buffer);
    }
}
