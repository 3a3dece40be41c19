//! `demitasse produce`: a record a line.
//!
//! Memory is bounded: a few blocks of input, the producer's own pools, and a window of deliveries whose outcomes are read
//! in the order of the input.

use crate::interrupt::Interrupt;
use crate::lines::{Block, Lines};
use crate::report::{Output, Problem, Tally, Trouble, rounded};
use crate::runtime;
use crate::settings::{Bootstrap, Properties};
use clap::Args;
use demitasse_io_std::{Builder, Delivery, DeliveryError, Destination, Producer, Receipt, Record, SendError};
use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use serde::Serialize;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Records whose outcome may be open at once: of the smallest records still some batches of the default size, and a few MB
/// of memory.
const WINDOW: usize = 32 * 1024;

/// Records that are handed over at once.
const SLICE: usize = 64;

/// After a Ctrl-C: how long to wait for the outcomes of what was taken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Sends each line of standard input as a record, and writes one JSON object with `acknowledged`, `failed`, `unknown`
/// (records) and `seconds` to standard output.
///
/// A line is bytes; its newline is cut. An empty line is a record with an empty value. Exit code 0 only if every line was
/// acknowledged. If a line cannot be taken for want of a broker or of room (max.block.ms), the rest of the input is left.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    bootstrap: Bootstrap,
    /// The topic to send to.
    #[arg(long)]
    topic: String,
    /// What stands before its first occurrence in a line is the record's key. A line without it has no key.
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    key_separator: Option<String>,
    /// Send all to this partition.
    #[arg(long, allow_negative_numbers = true, value_parser = clap::value_parser!(i32).range(0..))]
    partition: Option<i32>,
    #[command(flatten)]
    properties: Properties,
    /// No progress bar.
    #[arg(long)]
    json: bool,
    /// Before the JSON object one line a record, in the order of the input: partition and offset (-1: written, but the
    /// offset is not known), or `error` if it was not written, or `unknown` if nobody can tell.
    #[arg(long)]
    report: bool,
}

#[derive(Serialize)]
struct Summary {
    acknowledged: u64,
    failed: u64,
    unknown: u64,
    seconds: f64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Problem> {
    let (mut builder, bootstrap) = arguments.properties.with::<Builder>(&arguments.bootstrap)?;
    let longest = builder.sizing_mut().batch_size as usize;
    // One worker runs the producer's connections; this thread cuts lines. More workers would only wake each other.
    runtime::run(1, async {
        let producer = builder.start()?;
        let topic = producer.topic(&arguments.topic)?;
        let to = Destination { topic, partition: arguments.partition };
        let mut session = Session {
            to,
            separator: arguments.key_separator.as_deref().map(str::as_bytes),
            interrupt: Interrupt::listen()?,
            window: VecDeque::with_capacity(WINDOW),
            tally: Tally::default(),
            output: Output::new(),
            report: arguments.report,
            bar: progress_bar(!arguments.json),
            producer,
        };
        let begun = Instant::now();
        let mut lines = Lines::of_stdin(longest)?;
        let end = session.run(&mut lines).await;
        session.settle(end == End::Interrupted).await;
        let seconds = begun.elapsed().as_secs_f64();
        session.finish(end, seconds, &arguments.topic, &bootstrap)
    })
}

fn progress_bar(wanted: bool) -> ProgressBar {
    // Indicatif hides it by itself if standard error is no terminal.
    let target = if wanted { ProgressDrawTarget::stderr_with_hz(10) } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(None, target);
    let rate = |state: &ProgressState, to: &mut dyn std::fmt::Write| {
        let _ = write!(to, "{}", HumanCount(state.per_sec() as u64));
    };
    match ProgressStyle::with_template("{spinner} {human_pos} records acknowledged, {rate} a second, {elapsed}") {
        Ok(style) => bar.with_style(style.with_key("rate", rate)),
        Err(_) => bar,
    }
}

/// Why no more lines are read.
#[derive(PartialEq)]
enum End {
    Input,
    Interrupted,
    /// A line could not be taken, nor could those that follow.
    Stopped,
    Unreadable(String),
}

/// What a line has become.
enum Entry {
    Taken(Delivery),
    Refused(Trouble),
}

struct Session<'a> {
    producer: Producer,
    to: Destination,
    separator: Option<&'a [u8]>,
    interrupt: Interrupt,
    /// In the order of the input. It never holds more than it had room for from the start.
    window: VecDeque<Entry>,
    tally: Tally,
    output: Output,
    report: bool,
    bar: ProgressBar,
}

impl Session<'_> {
    /// Until there is no more to read.
    async fn run(&mut self, lines: &mut Lines) -> End {
        loop {
            self.read_outcomes();
            let waits_for = self.front();
            if waits_for.is_none() {
                // Nothing is outstanding: whoever reads the report along sees all of it.
                self.output.flush();
            }
            let producer = self.producer.clone();
            let block = tokio::select! {
                biased;
                () = self.interrupt.pressed() => return End::Interrupted,
                block = lines.next() => match block {
                    None => return End::Input,
                    Some(Err(error)) => return End::Unreadable(error.to_string()),
                    Some(Ok(block)) => block,
                },
                // Outcomes are told when they come, not with the next line.
                result = wait(&producer, waits_for) => {
                    self.told(result);
                    continue;
                }
            };
            if let Err(end) = self.send(&block).await {
                return end;
            }
            lines.give_back(block);
        }
    }

    /// Hands the lines of a block over. If one cannot be taken and the next would not be either, all of them failed.
    async fn send(&mut self, block: &Block) -> Result<(), End> {
        if let Some(bytes) = block.too_long() {
            self.make_room(1).await?;
            self.window.push_back(Entry::Refused(Trouble::LineTooLong { bytes, capacity: self.batch_bytes() }));
        }
        let mut stopped = None;
        let mut lines = block.lines();
        loop {
            let mut records = [Record::default(); SLICE];
            let mut count = 0;
            while count < SLICE
                && let Some(line) = lines.next()
            {
                records[count] = record(line, self.separator);
                count += 1;
            }
            if count == 0 {
                break;
            }
            self.make_room(count).await?;
            let mut rest = &records[..count];
            while !rest.is_empty() {
                if let Some(error) = stopped {
                    self.window.push_back(Entry::Refused(Trouble::Send(error)));
                    rest = &rest[1..];
                    continue;
                }
                let before = self.window.len();
                let result = {
                    let window = &mut self.window;
                    let taken = |delivery| window.push_back(Entry::Taken(delivery));
                    tokio::select! {
                        biased;
                        result = self.producer.send_each(self.to, rest, taken) => result,
                        () = self.interrupt.pressed() => return Err(End::Interrupted),
                    }
                };
                rest = &rest[self.window.len() - before..];
                if let Err(error) = result {
                    self.window.push_back(Entry::Refused(Trouble::Send(error)));
                    rest = &rest[1..];
                    stopped = (!concerns_one_record(&error)).then_some(error);
                }
            }
        }
        if stopped.is_some() { Err(End::Stopped) } else { Ok(()) }
    }

    /// Waits for outcomes until the window takes so many more.
    async fn make_room(&mut self, records: usize) -> Result<(), End> {
        if WINDOW - self.window.len() >= records {
            return Ok(());
        }
        self.read_outcomes();
        while WINDOW - self.window.len() < records {
            let delivery = self.front();
            tokio::select! {
                biased;
                result = wait(&self.producer, delivery) => self.told(result),
                () = self.interrupt.pressed() => return Err(End::Interrupted),
            }
            self.read_outcomes();
        }
        Ok(())
    }

    /// Reads the outcomes that are known, up to the first that is not.
    fn read_outcomes(&mut self) {
        while let Some(entry) = self.window.front() {
            match *entry {
                Entry::Refused(trouble) => {
                    self.window.pop_front();
                    self.tally.refused(trouble, 1);
                    self.say("error");
                }
                Entry::Taken(delivery) => match self.producer.outcome(&delivery) {
                    Some(result) => self.told(result),
                    None => break,
                },
            }
        }
        self.bar.set_position(self.tally.acknowledged);
    }

    /// The front of the window has its outcome.
    fn told(&mut self, result: Result<Receipt, DeliveryError>) {
        self.window.pop_front();
        match result {
            Ok(receipt) => {
                self.tally.acknowledged += 1;
                if self.report {
                    self.output.line(format_args!("{} {}", receipt.partition, receipt.offset.unwrap_or(-1)));
                }
            }
            Err(error) => {
                self.tally.undelivered(error);
                self.say(if error.failed > 0 { "error" } else { "unknown" });
            }
        }
    }

    fn say(&mut self, word: &str) {
        if self.report {
            self.output.line(word);
        }
    }

    fn front(&self) -> Option<Delivery> {
        match self.window.front() {
            Some(Entry::Taken(delivery)) => Some(*delivery),
            _ => None,
        }
    }

    fn batch_bytes(&self) -> u64 {
        // A buffer has its owner's few bytes beside its own; it is the number that was set that a user knows.
        u64::from(self.producer.memory().buffers.entry_bytes) - size_of::<Option<demitasse_io_std::Buffer>>() as u64
    }

    /// Reads the outcomes of all that was taken; bounded by `delivery.timeout.ms`, or after a Ctrl-C by our patience.
    async fn settle(&mut self, in_a_hurry: bool) {
        // Both send without lingering; after its patience `close` gives an outcome to what has none.
        let patience = if in_a_hurry { PATIENCE } else { Duration::MAX };
        tokio::select! {
            biased;
            () = self.producer.close(patience) => {}
            () = self.interrupt.pressed(), if !in_a_hurry => self.producer.close(PATIENCE).await,
        }
        self.read_outcomes();
    }

    fn finish(mut self, end: End, seconds: f64, topic: &str, bootstrap: &str) -> Result<(), Problem> {
        self.bar.finish_and_clear();
        let Tally { acknowledged, failed, unknown, .. } = self.tally;
        self.output.json(&Summary { acknowledged, failed, unknown, seconds: rounded(seconds, 6) });
        let written = self.output.finish();
        let problem = self.tally.problem(topic, bootstrap);
        let records = self.tally.records();
        if self.interrupt.is_pressed() {
            let and = problem.map_or(String::new(), |problem| format!("; {problem}"));
            return Err(self.interrupt.problem(format!("interrupted after {records} records{and}")));
        }
        let rest = if end == End::Stopped { "; the rest of the input was not read" } else { "" };
        if let End::Unreadable(error) = end {
            let and = problem.map_or(String::new(), |problem| format!("; {problem}"));
            return Err(Problem::failed(format!("standard input after {records} records: {error}{and}")));
        }
        match problem {
            Some(problem) => Err(Problem::failed(format!("{problem}{rest}"))),
            None => written,
        }
    }
}

/// Whether the next record may well be taken. If not, every further line would wait in vain as this one did.
fn concerns_one_record(error: &SendError) -> bool {
    matches!(error, SendError::RecordTooLarge { .. })
        // Ends at once for each line; so all lines are counted.
        || matches!(error, SendError::TopicRefused { .. } | SendError::NoSuchPartition { .. })
}

async fn wait(producer: &Producer, delivery: Option<Delivery>) -> Result<Receipt, DeliveryError> {
    match delivery {
        Some(delivery) => producer.wait(delivery).await,
        None => std::future::pending().await,
    }
}

fn record<'a>(line: &'a [u8], separator: Option<&[u8]>) -> Record<'a> {
    match separator.and_then(|separator| Some((memchr::memmem::find(line, separator)?, separator.len()))) {
        Some((at, length)) => Record::new(&line[at + length..]).key(&line[..at]),
        None => Record::new(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_separator_ends_the_key() {
        let read = |line: &'static [u8], separator: Option<&'static str>| {
            let Record { key, value, .. } = record(line, separator.map(str::as_bytes));
            (key, value.unwrap())
        };
        assert_eq!(read(b"a:b:c", None), (None, &b"a:b:c"[..]));
        assert_eq!(read(b"a:b:c", Some(":")), (Some(&b"a"[..]), &b"b:c"[..]));
        assert_eq!(read(b"abc", Some(":")), (None, &b"abc"[..]));
        assert_eq!(read(b":abc", Some(":")), (Some(&b""[..]), &b"abc"[..]));
        assert_eq!(read(b"a=>", Some("=>")), (Some(&b"a"[..]), &b""[..]));
        assert_eq!(read(b"\xff\0=>\xfe", Some("=>")), (Some(&b"\xff\0"[..]), &b"\xfe"[..]));
    }
}
