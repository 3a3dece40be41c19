//! The writer: a thread that may be as slow as its disk.

use crate::buffers::{Buffer, Drain};
use crate::folder::{Folder, Part};
use metrics::counter;
use std::io;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// When a file is ended and the next one begun.
#[derive(Clone, Copy)]
pub(crate) struct Roll {
    pub(crate) bytes: u64,
    pub(crate) age: Duration,
}

pub(crate) struct Writer {
    pub(crate) folder: Folder,
    pub(crate) drain: Drain,
    pub(crate) roll: Roll,
    /// Bytes a second, to see what a slow disk makes of it.
    pub(crate) pace: Option<u64>,
    /// By partition, the offset behind the last record that is in a file, finished or not; -1 if there is none.
    pub(crate) next: Box<[i64]>,
    /// The same of finished files alone: what may be committed.
    pub(crate) on_disk: watch::Sender<Box<[i64]>>,
}

struct Open {
    part: Part,
    begun: Instant,
}

impl Writer {
    /// Until there is nothing more to write; then the last file is finished too.
    pub(crate) fn run(mut self) -> io::Result<()> {
        let mut open: Option<Open> = None;
        loop {
            let left = open.as_ref().map(|open| self.roll.age.saturating_sub(open.begun.elapsed()));
            let received = self.drain.full.recv_timeout(left.unwrap_or(Duration::from_secs(3600)));
            match received {
                Ok(buffer) => {
                    let mut now_open = match open.take() {
                        Some(open) => open,
                        None => Open { part: self.folder.begin()?, begun: Instant::now() },
                    };
                    self.write(&mut now_open.part, buffer)?;
                    open = Some(now_open);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return open.map_or(Ok(()), |open| self.finish(open.part)),
            }
            let due = |open: &mut Open| open.part.bytes >= self.roll.bytes || open.begun.elapsed() >= self.roll.age;
            if let Some(open) = open.take_if(due) {
                self.finish(open.part)?;
            }
        }
    }

    fn write(&mut self, part: &mut Part, buffer: Buffer) -> io::Result<()> {
        let lines = buffer.lines();
        part.write(lines)?;
        if let Some(pace) = self.pace {
            std::thread::sleep(Duration::from_secs_f64(lines.len() as f64 / pace as f64));
        }
        for (next, of_buffer) in self.next.iter_mut().zip(&buffer.next).filter(|(_, of_buffer)| **of_buffer >= 0) {
            *next = *of_buffer;
        }
        counter!("pipeline_records_total").increment(buffer.records);
        counter!("pipeline_bytes_total").increment(lines.len() as u64);
        self.drain.give_back(buffer);
        Ok(())
    }

    fn finish(&self, part: Part) -> io::Result<()> {
        self.folder.finish(part)?;
        counter!("pipeline_files_total").increment(1);
        // Only now: who starts after us may begin behind these records.
        self.on_disk.send_modify(|on_disk| on_disk.copy_from_slice(&self.next));
        // Files that nobody can commit would only be written again.
        if self.on_disk.is_closed() { Err(io::Error::other("commits have ended")) } else { Ok(()) }
    }
}
