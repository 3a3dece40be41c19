//! Records that are lent: handed out one after the other where they landed, and given back.

use super::{Consumer, Producer};
use crate::consumer::{Cursor, Lent, Step};
use crate::exchange::Topic;
use crate::records::read::{Headers, Record};
use crate::state::Platform;
use core::cell::RefCell;

/// A record that is lent, until its [`Fetched`] is dropped.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Consumed<'a> {
    /// Its topic.
    pub topic: Topic,
    /// Its partition's number.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// Milliseconds since 1970: the producer's, or when the broker appended it.
    pub timestamp: i64,
    /// The key, None for null.
    pub key: Option<&'a [u8]>,
    /// The value, None for null.
    pub value: Option<&'a [u8]>,
    /// The headers, in order.
    pub headers: Headers<'a>,
    /// Whether the checksum of its batch is known to be right. False only while a batch that is larger than
    /// `fetch.chunk.bytes` streams by, see [`stream_large_batches`](crate::Config::stream_large_batches).
    pub verified: bool,
}

/// Records that are lent. What was iterated over counts as read when this is dropped; the rest comes with the next poll.
///
/// What is compressed is decompressed by the poll, a window at a time: the records end where the window does.
pub struct Fetched<'c, P: Platform> {
    consumer: &'c Consumer<P>,
    /// None once it was given back.
    lent: Option<Lent<P>>,
    progress: RefCell<Progress>,
    /// Where in the chunk the first segment begins that it has to do with.
    from: u32,
    /// Whether the records are those of a compressed batch.
    inflated: bool,
}

#[derive(Clone, Copy)]
struct Progress {
    cursor: Cursor,
    /// Records that may still be handed out.
    left: u32,
    /// The partition of the segment that is being read, and the first offset of it that is wanted.
    wanted: Option<(i64, Topic, i32)>,
    over: bool,
    /// The rest of a batch that streams by is to come.
    cut: bool,
}

impl Progress {
    /// Hands a record out, if it is wanted.
    #[inline]
    fn take<'a>(&mut self, record: Record<'a>, verified: bool) -> Option<Consumed<'a>> {
        let (from, topic, partition) = self.wanted.as_mut()?;
        if record.offset < *from {
            return None;
        }
        *from = record.offset + 1;
        self.left -= 1;
        let (topic, partition) = (*topic, *partition);
        let Record { offset, timestamp, key, value, headers } = record;
        Some(Consumed { topic, partition, offset, timestamp, key, value, headers, verified })
    }
}

impl<'c, P: Platform> Fetched<'c, P> {
    pub(super) fn new(consumer: &'c Consumer<P>, lent: Lent<P>, cursor: Cursor, max: u32) -> Self {
        // Where a poll ended within a segment, the next one goes on, unless somebody has sought meanwhile.
        let segment = cursor.segment(&lent.buffer).filter(|_| !cursor.is_at_end());
        let (left, wanted) = consumer
            .client()
            .with(|state| (state.pace(max), segment.and_then(|segment| state.begin_segment(&segment))));
        let mut progress = Progress { cursor, left, wanted, over: false, cut: false };
        if wanted.is_none() {
            progress.cursor.pass_over();
        }
        Fetched { consumer, lent: Some(lent), progress: RefCell::new(progress), from: cursor.passed(), inflated: false }
    }

    /// Goes up to the first record that is wanted, and has it decompressed if need be. False: there is none.
    pub(super) fn prepare(&mut self) -> bool {
        let Some(Lent { buffer, filled, number, inflater, .. }) = &mut self.lent else { return true };
        let client = self.consumer.client();
        let progress = self.progress.get_mut();
        while progress.left > 0 {
            let mut cursor = progress.cursor;
            match cursor.step(buffer, *filled) {
                Step::Record(record) if progress.wanted.is_none_or(|(from, ..)| record.offset >= from) => return true,
                Step::Record(_) => progress.cursor = cursor,
                Step::Compressed(segment, header) => {
                    progress.cursor = cursor;
                    let Some(((from, ..), inflater)) = progress.wanted.zip(inflater.as_mut()) else { return true };
                    let (payload, epoch) = (cursor.payload(buffer, &header), cursor.epoch());
                    match inflater.prepare((*number, cursor.at()), &header, payload, from) {
                        Ok(true) => {
                            progress.cursor.begin_batch(&header);
                            self.inflated = true;
                            return true;
                        }
                        Ok(false) => progress.cursor.pass_batch(&header),
                        Err(stopped) => {
                            progress.cursor.pass_over();
                            progress.wanted = None;
                            client.with(|state| {
                                state.handed_out(&segment, from, epoch);
                                state.stop_segment(&segment, stopped);
                            });
                        }
                    }
                }
                step => {
                    progress.cursor = cursor;
                    if !between(client, progress, step) {
                        return false;
                    }
                }
            }
        }
        true
    }

    /// The records. Iterating again goes on where the last one ended.
    pub fn records(&self) -> impl Iterator<Item = Consumed<'_>> {
        core::iter::from_fn(|| self.next_record())
    }

    #[inline]
    pub(super) fn next_record(&self) -> Option<Consumed<'_>> {
        let lent = self.lent.as_ref()?;
        // Nobody has it between two records.
        let mut progress = self.progress.try_borrow_mut().ok()?;
        match &lent.inflater {
            Some(inflater) if self.inflated => {
                let record = if progress.left > 0 { inflater.next()? } else { return None };
                progress.take(record, lent.verified)
            }
            _ => self.advance(&mut progress, lent),
        }
    }

    #[inline]
    fn advance<'a>(&self, progress: &mut Progress, lent: &'a Lent<P>) -> Option<Consumed<'a>> {
        while progress.left > 0 {
            match progress.cursor.step(&lent.buffer, lent.filled) {
                Step::Record(record) => {
                    if let Some(record) = progress.take(record, lent.verified) {
                        return Some(record);
                    }
                }
                // It comes with the next poll.
                Step::Compressed(..) => return None,
                step => {
                    if !between(self.consumer.client(), progress, step) {
                        return None;
                    }
                }
            }
        }
        None
    }
}

/// What there is between the records of a chunk; false when it is over.
#[inline(never)]
fn between<P: Platform>(client: &Producer<P>, progress: &mut Progress, step: Step<'_>) -> bool {
    match step {
        Step::Record(_) | Step::Compressed(..) => {}
        Step::Segment(segment) => {
            progress.wanted = client.with(|state| state.begin_segment(&segment));
            if progress.wanted.is_none() {
                progress.cursor.pass_over();
            }
        }
        Step::SegmentEnd => progress.wanted = None,
        // The loan ends here: what it has gone through counts when it is over.
        Step::Stopped(segment, stopped) => {
            client.with(|state| state.stop_segment(&segment, stopped));
            return false;
        }
        Step::Cut => {
            progress.cut = true;
            return false;
        }
        Step::End => {
            progress.over = true;
            return false;
        }
    }
    true
}

impl<P: Platform> Drop for Fetched<'_, P> {
    fn drop(&mut self) {
        let Some(Lent { mut buffer, chunk, filled, inflater, .. }) = self.lent.take() else { return };
        let progress = self.progress.get_mut();
        // It may well be the last of its chunk.
        if self.inflated
            && inflater.as_ref().is_some_and(|inflater| inflater.is_over())
            && let Step::Compressed(_, header) = progress.cursor.step(&buffer, filled)
        {
            progress.cursor.pass_batch(&header);
        }
        let segment = progress.cursor.segment(&buffer);
        let client = self.consumer.client();
        // If only ends of segments are left, the chunk is free at once and not after another poll.
        let over = progress.over || progress.cursor.is_over(&buffer, filled);
        let passed = if over { filled } else { progress.cursor.passed() as usize };
        if progress.cut {
            progress.cursor.compact(&mut buffer);
        }
        client.with(|state| {
            let within =
                segment.zip(progress.wanted).map(|(segment, (next, ..))| (segment, next, progress.cursor.epoch()));
            state.loan_over(buffer.get(self.from as usize..passed).unwrap_or(&[]), within);
            if progress.cut && state.streams() {
                return state.give_back_piece(chunk, buffer, progress.cursor, client.now());
            }
            state.give_back(chunk, buffer, inflater, progress.cursor, over.then(|| client.now()));
        });
    }
}
