//! What it costs at least: record batches through one blocking socket, five requests in flight.
//!
//! `--mode frames` sends requests that were ready before the start: the kernel's part. `--mode append` encodes every
//! record into its batch and computes every batch's CRC: what no client can do without. Neither is idempotent, retries,
//! lingers or knows of metadata: it needs one broker that leads all partitions.

mod frame;

use anyhow::{Context, Result, bail, ensure};
use frame::Frame;
use peer::{Arguments, Counting, Latencies, Parser, Run};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// `max.in.flight.requests.per.connection` of idempotent clients.
const IN_FLIGHT: usize = 5;

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let append = match &*arguments.mode {
        "frames" => false,
        "append" => true,
        other => bail!("--mode is frames or append, not {other:?}"),
    };
    let mut connection = Connection::open(&arguments.bootstrap)?;
    // As many as a client holds that keeps every batch until its acknowledgement: they do not stay in the cache.
    let count = IN_FLIGHT as u32 * arguments.partitions;
    let mut frames: Vec<_> = (0..count).map(|i| Frame::new(&arguments, i % arguments.partitions)).collect();
    let payload = arguments.payload();
    for frame in &mut frames[..arguments.partitions as usize] {
        frame.fill(&payload, 1);
        connection.warm_up(frame)?;
    }

    let latencies = Latencies::new();
    let per_batch = if arguments.rate.is_some() { 1 } else { u64::MAX };
    frames.iter_mut().for_each(|frame| frame.fill(&payload, per_batch));
    let run = Run::begin(&arguments)?;
    let mut left = arguments.records;
    for turn in (0..frames.len()).cycle() {
        if left == 0 {
            break;
        }
        let frame = &mut frames[turn];
        if append || frame.records() > left {
            frame.fill(&payload, per_batch.min(left));
        }
        let sent = arguments.rate.map(|_| run.pace(arguments.records - left));
        connection.send(frame)?;
        left -= frame.records();
        if let Some(sent) = sent {
            connection.settle()?;
            latencies.seen(sent);
        }
    }
    connection.settle()?;
    let client = format_args!("floor {}", arguments.mode);
    run.end(client, env!("CARGO_PKG_VERSION"), arguments.records, arguments.partitions.into(), &latencies)
}

struct Connection {
    stream: TcpStream,
    sent: i32,
    answered: i32,
}

impl Connection {
    fn open(address: &str) -> Result<Connection> {
        let stream = TcpStream::connect(address).with_context(|| address.to_owned())?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, sent: 0, answered: 0 })
    }

    fn send(&mut self, frame: &mut Frame) -> Result<()> {
        while self.sent - self.answered >= IN_FLIGHT as i32 {
            self.acknowledgement()?;
        }
        self.stream.write_all(frame.numbered(self.sent))?;
        self.sent += 1;
        Ok(())
    }

    fn settle(&mut self) -> Result<()> {
        while self.answered < self.sent {
            self.acknowledgement()?;
        }
        Ok(())
    }

    /// The first request to a partition: a broker may have told of a new topic before it leads it.
    fn warm_up(&mut self, frame: &mut Frame) -> Result<()> {
        for _ in 0..1000 {
            self.send(frame)?;
            if self.answer()? == 0 {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        bail!("a partition without a leader")
    }

    fn acknowledgement(&mut self) -> Result<()> {
        let error = self.answer()?;
        ensure!(error == 0, "the broker's error {error}");
        Ok(())
    }

    /// The error code of the next response: correlation id, one topic with its name, one partition.
    fn answer(&mut self) -> Result<i16> {
        let mut size = [0; 4];
        self.stream.read_exact(&mut size)?;
        let mut body = [0; 512];
        let body = body.get_mut(..u32::from_be_bytes(size) as usize).context("a response of more than 512 bytes")?;
        self.stream.read_exact(body)?;
        let (correlation, rest) = body.split_first_chunk().context("no correlation id")?;
        ensure!(i32::from_be_bytes(*correlation) == self.answered, "an answer to another request");
        let name = rest.get(4..6).context("no topic")?;
        let error = 6 + usize::from(u16::from_be_bytes([name[0], name[1]])) + 8;
        let error = rest.get(error..error + 2).context("no partition")?;
        self.answered += 1;
        Ok(i16::from_be_bytes([error[0], error[1]]))
    }
}
