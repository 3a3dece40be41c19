//! `demitasse consume`: a line a record, in kcat's letters or as JSON.

mod format;

use crate::interrupt::Interrupt;
use crate::report::{Output, Problem};
use crate::runtime;
use crate::settings::{Bootstrap, Properties, Settable};
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};
use demitasse_io_std::{
    BuildError, ConsumeError, Consumed, Consumer, ConsumerBuilder, IsolationLevel, OffsetReset, Start, Topic,
};
use format::Format;
use serde::Serialize;
use std::borrow::Cow;
use std::time::Duration;
use tokio::time::Instant;

/// With a group, positions are committed so often by themselves, and at the end.
const COMMIT_EVERY: Duration = Duration::from_secs(5);

/// Without records it is looked so often whether all that is there was read, or whether partitions were added.
const LOOK_FOR_END: Duration = Duration::from_millis(100);
const LOOK_FOR_PARTITIONS: Duration = Duration::from_secs(1);

/// Records that are taken at once.
const MOST: u32 = 10_000;

/// Writes each record of a topic to standard output, as it comes, until Ctrl-C.
///
/// A partition that cannot be read on is told, and the others go on; at the end the exit code is 1.
///
/// Memory is fetch.memory.bytes (16 MiB) whatever the backlog: -X sets it, and all other settings.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    bootstrap: Bootstrap,
    /// The topic to read.
    #[arg(long)]
    topic: String,
    /// Only these partitions. Without it all of them, and those that are added, which are seen within metadata.max.age.ms.
    #[arg(long, value_name = "P[,..]", value_delimiter = ',')]
    partition: Vec<i32>,
    /// Where to begin: beginning, end, or a time in milliseconds since 1970. With a group the default is where the group
    /// has been, else the beginning.
    #[arg(long, value_parser = start)]
    from: Option<Start>,
    /// The group that keeps the positions: committed every 5 seconds (auto.commit.interval.ms) and at the end, behind what was
    /// written, unless enable.auto.commit is false. Begins where auto.offset.reset says (earliest by itself) if it keeps none.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    group: Option<String>,
    /// End after so many records.
    #[arg(long)]
    count: Option<u64>,
    /// End when everything was read that is there.
    #[arg(long)]
    exit_at_end: bool,
    /// Which records of transactions are seen.
    #[arg(long, value_enum)]
    isolation: Option<Isolation>,
    /// As kcat has it: %t topic, %p partition, %o offset, %k key, %s value, %K and %S their bytes (-1: null), %R those of
    /// the value as four bytes, big-endian, %T timestamp, %h headers, %% a per cent sign; \n, \r, \t, \\, and \xNN for a byte.
    #[arg(long, default_value = "%s\\n", conflicts_with = "json", value_parser = Format::parse)]
    format: Format,
    /// One JSON object a record.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    properties: Properties,
}

#[derive(Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Isolation {
    ReadUncommitted,
    ReadCommitted,
}

fn start(text: &str) -> Result<Start, String> {
    match text {
        "beginning" => Ok(Start::Beginning),
        "end" => Ok(Start::End),
        // kcat's -5 is the last five records, which is something else.
        millis => match millis.parse() {
            Ok(millis @ 0..) => Ok(Start::Timestamp(millis)),
            _ => Err("beginning, end, or milliseconds since 1970".into()),
        },
    }
}

/// Those of the consumer, and those of Java's that stand for what this command does itself.
struct Settings {
    builder: ConsumerBuilder,
    /// Whether `auto.offset.reset` is among them.
    names_reset: bool,
    auto_commit: bool,
    commit_every: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { builder: ConsumerBuilder::new(), names_reset: false, auto_commit: true, commit_every: COMMIT_EVERY }
    }
}

impl Settable for Settings {
    fn means_nothing(name: &str) -> bool {
        !matches!(name, "enable.auto.commit" | "auto.commit.interval.ms") && ConsumerBuilder::means_nothing(name)
    }

    fn set(mut self, name: &str, value: &str) -> Result<Self, BuildError> {
        let wrong = |expected| BuildError::Property(format!("{name}: {value:?} is not {expected}"));
        match name {
            "enable.auto.commit" => self.auto_commit = value.parse().map_err(|_| wrong("true or false"))?,
            "auto.commit.interval.ms" => {
                self.commit_every = Duration::from_millis(value.parse().map_err(|_| wrong("a number"))?);
            }
            _ => {
                self.names_reset |= name == "auto.offset.reset";
                self.builder = self.builder.set(name, value)?;
            }
        }
        Ok(self)
    }
}

/// A record as JSON; bytes that are no text have their odd ones replaced. Headers are pairs of name and value.
#[derive(Serialize)]
struct Json<'a> {
    topic: &'a str,
    partition: i32,
    offset: i64,
    timestamp: i64,
    key: Option<Cow<'a, str>>,
    value: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    headers: Vec<(Cow<'a, str>, Option<Cow<'a, str>>)>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Problem> {
    let (settings, bootstrap) = arguments.properties.with::<Settings>(&arguments.bootstrap)?;
    let Settings { mut builder, names_reset, auto_commit, commit_every } = settings;
    // The settings may name one, too.
    let has_group = arguments.group.is_some() || !builder.config_mut().group_id.is_empty();
    if !names_reset {
        builder = builder.offset_reset(if has_group { OffsetReset::Earliest } else { OffsetReset::None });
    }
    if let Some(group) = &arguments.group {
        builder = builder.group(group);
    }
    if let Some(isolation) = arguments.isolation {
        builder = builder.isolation_level(match isolation {
            Isolation::ReadUncommitted => IsolationLevel::ReadUncommitted,
            Isolation::ReadCommitted => IsolationLevel::ReadCommitted,
        });
    }
    runtime::run(0, async {
        let mut interrupt = Interrupt::listen()?;
        let consumer = builder.start()?;
        let topic = consumer.topic(&arguments.topic)?;
        let partitions = tokio::select! {
            biased;
            () = interrupt.pressed() => return Err(interrupt.problem("interrupted before the topic was found")),
            partitions = partitions(arguments, &consumer, topic, &bootstrap) => partitions?,
        };
        let from = arguments.from.unwrap_or(if has_group { Start::Committed } else { Start::Beginning });
        for &partition in &partitions {
            consumer.assign(topic, partition, from)?;
        }
        let known = if arguments.partition.is_empty() { partitions.len() as u32 } else { u32::MAX };
        // All that a partition has that was not there is new.
        let from_of_new = if from == Start::End { Start::Beginning } else { from };
        let mut reader = Reader {
            arguments,
            consumer,
            topic,
            partitions,
            known,
            from_of_new,
            failed: 0,
            commit_every: (has_group && auto_commit).then_some(commit_every),
            written: 0,
            output: Output::new(),
            committed_at: Instant::now(),
            uncommitted: false,
        };
        let end = reader.all(interrupt).await;
        reader.output.flush();
        if reader.output.is_broken() {
            // What was not written is not committed: there is no `close`.
            return reader.output.finish();
        }
        if !auto_commit {
            return end;
        }
        let closed = reader.consumer.close().await.map_err(|error| Problem::failed(format!("commit: {error}")));
        end.and(closed)
    })
}

/// Those that were named, or all that the topic has.
async fn partitions(
    arguments: &Arguments,
    consumer: &Consumer,
    topic: Topic,
    bootstrap: &str,
) -> Result<Vec<i32>, Problem> {
    let known = consumer.wait_partitions(topic).await;
    let count = known.map_err(|error| Problem::failed(format!("{bootstrap}, topic {}: {error}", arguments.topic)))?;
    Ok(if arguments.partition.is_empty() { (0..count as i32).collect() } else { arguments.partition.clone() })
}

struct Reader<'a> {
    arguments: &'a Arguments,
    consumer: Consumer,
    topic: Topic,
    /// Those that can be read.
    partitions: Vec<i32>,
    /// How many the topic had when it was last looked, and where those begin that are added. If some were named, none is.
    known: u32,
    from_of_new: Start,
    /// How many can not.
    failed: usize,
    /// None: not at all.
    commit_every: Option<Duration>,
    written: u64,
    output: Output,
    committed_at: Instant,
    /// Something was written since.
    uncommitted: bool,
}

impl Reader<'_> {
    async fn all(&mut self, mut interrupt: Interrupt) -> Result<(), Problem> {
        let arguments = self.arguments;
        // Of its own: what it lends is not to hold all of this.
        let consumer = self.consumer.clone();
        let left = |written| arguments.count.map_or(u64::MAX, |count| count - written);
        let look_again = if arguments.exit_at_end { LOOK_FOR_END } else { LOOK_FOR_PARTITIONS };
        while left(self.written) > 0 {
            self.assign_new()?;
            let most = left(self.written).min(u64::from(MOST)) as u32;
            let commit_at = self.commit_at();
            let fetched = tokio::select! {
                biased;
                () = interrupt.pressed() => return Err(interrupt.problem(format!("interrupted after {} records", self.written))),
                fetched = consumer.poll(most) => fetched,
                () = tokio::time::sleep_until(commit_at.unwrap_or(self.committed_at)), if commit_at.is_some() => {
                    self.commit().await?;
                    continue;
                }
                () = tokio::time::sleep(look_again) => {
                    if arguments.exit_at_end && self.at_end() {
                        break;
                    }
                    continue;
                }
            };
            let fetched = match fetched {
                Ok(Some(fetched)) => fetched,
                Ok(None) => break,
                Err(error) => {
                    self.give_up(&error)?;
                    continue;
                }
            };
            for record in fetched.records() {
                self.written += 1;
                tell(self.arguments, &mut self.output, &record);
            }
            drop(fetched);
            self.output.flush();
            if self.output.is_broken() {
                break;
            }
            self.uncommitted = true;
            if self.commit_at().is_some_and(|at| at <= Instant::now()) {
                self.commit().await?;
            }
        }
        match self.failed {
            0 => Ok(()),
            failed => Err(Problem::failed(format!("partitions that could not be read on: {failed}, see above"))),
        }
    }

    /// Partitions that were added since are read, too: the consumer looks every `metadata.max.age.ms` how many there are.
    fn assign_new(&mut self) -> Result<(), Problem> {
        let count = self.consumer.partitions(self.topic).unwrap_or(0);
        for partition in self.known..count {
            self.consumer.assign(self.topic, partition as i32, self.from_of_new)?;
            self.partitions.push(partition as i32);
        }
        self.known = self.known.max(count);
        Ok(())
    }

    /// The others go on; with the last the error is that of all.
    fn give_up(&mut self, error: &ConsumeError) -> Result<(), Problem> {
        self.partitions.retain(|&partition| partition != error.partition);
        self.failed += 1;
        let problem = Problem::failed(format!("topic {}: {error}", self.consumer.topic_name(error.topic)));
        if self.partitions.is_empty() {
            return Err(problem);
        }
        // At once: the end may be far away.
        problem.tell();
        Ok(())
    }

    /// When what was written is to be committed, if anything is.
    fn commit_at(&self) -> Option<Instant> {
        self.committed_at.checked_add(self.commit_every?).filter(|_| self.uncommitted)
    }

    async fn commit(&mut self) -> Result<(), Problem> {
        (self.committed_at, self.uncommitted) = (Instant::now(), false);
        self.consumer.commit().await.map_err(|error| Problem::failed(format!("commit: {error}")))
    }

    /// Whether all that was there has been read.
    fn at_end(&self) -> bool {
        self.partitions.iter().all(|&partition| self.consumer.lag(self.topic, partition) == Some(0))
    }
}

fn tell(arguments: &Arguments, output: &mut Output, record: &Consumed<'_>) {
    if arguments.json {
        let text = |bytes| String::from_utf8_lossy(bytes);
        let Consumed { partition, offset, timestamp, key, value, headers, .. } = *record;
        let headers = headers.map(|header| (text(header.key), header.value.map(text))).collect();
        let (key, value) = (key.map(text), value.map(text));
        output.json(&Json { topic: &arguments.topic, partition, offset, timestamp, key, value, headers });
    } else {
        output.bytes(|to| arguments.format.write(to, &arguments.topic, record));
    }
}
