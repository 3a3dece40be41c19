//! A topic into files of lines, in bounded memory, with nothing lost however it ends.
//!
//! ```text
//! Kafka -> Consumer -> a few buffers -> writer thread -> T-00000000.jsonl.part -> fsync, rename, fsync -> commit
//!             ^              |
//!             +-- fullness --+
//! ```
//! An offset is committed once the file with the records before it is on disk under its final name. So whatever kills this
//! program, the next start reads again what was in no such file. What was in a file and not committed yet is then there
//! twice: partition and offset of each line tell.

mod buffers;
mod folder;
mod line;
mod watch;
mod writer;

use buffers::{Filler, buffers};
use clap::Parser;
use demitasse_io_std::{CommitError, ConsumeError, ConsumeFault, Consumer, ConsumerBuilder, OffsetReset, Start, Topic};
use folder::Folder;
use metrics::counter;
use std::cell::Cell;
use std::fmt::Display;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch as latest;
use writer::{Roll, Writer};

/// Records that are taken at once while the writer keeps up.
const MOST: u32 = 5_000;

/// How long lines may wait in a buffer that is not full while the writer has nothing to do.
const HAND_OVER_EVERY: Duration = Duration::from_millis(100);

/// Writes a topic to files, a line of JSON a record, and commits to a group what is on disk.
///
/// Kill it at any moment and start it again: each record is in the files. Ctrl-C or SIGTERM ends it well. Partitions that the
/// topic gains later are read from the next start on.
#[derive(Parser)]
#[command(name = "demitasse-pipeline", version)]
struct Arguments {
    /// Brokers to begin with.
    #[arg(long, value_name = "HOST:PORT[,..]")]
    bootstrap: String,
    /// The topic to read.
    #[arg(long)]
    topic: String,
    /// The group that keeps the offsets.
    #[arg(long, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    group: String,
    /// The folder for the files; nobody else may write to it.
    #[arg(long, value_name = "FOLDER")]
    to: PathBuf,
    /// A file is finished once it has so many bytes.
    #[arg(long, default_value_t = 64 << 20)]
    file_bytes: u64,
    /// A file is finished after so many milliseconds.
    #[arg(long, default_value_t = 10_000)]
    file_ms: u64,
    /// Buffers between the consumer and the writer.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(2..))]
    buffers: u16,
    /// Bytes of each; the longest line must fit.
    #[arg(long, default_value_t = 2 << 20)]
    buffer_bytes: usize,
    /// Slow the writer down to so many bytes a second, to see what that does.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pace: Option<u64>,
    /// Where to listen for Prometheus.
    #[arg(long, value_name = "ADDRESS:PORT")]
    metrics: Option<SocketAddr>,
    /// A setting of the consumer by Kafka's name, such as fetch.memory.bytes=8388608.
    #[arg(short = 'X', value_name = "NAME=VALUE")]
    properties: Vec<String>,
}

/// One line for a person.
type Result<T = (), E = String> = std::result::Result<T, E>;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let end = match runtime {
        Ok(runtime) => runtime.block_on(run(&arguments)),
        Err(error) => Err(format!("no runtime: {error}")),
    };
    match end {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("demitasse-pipeline: {problem}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result {
    let folder = Folder::open(&arguments.to, &arguments.topic).map_err(at(arguments.to.display()))?;
    if let Some(address) = arguments.metrics {
        watch::listen(address)?;
    }
    let consumer = consumer(arguments)?;
    let (topic, partitions) = assign(arguments, &consumer).await?;
    let (mut filler, drain) = buffers(arguments.buffers.into(), arguments.buffer_bytes, partitions);
    let none = vec![-1; partitions].into_boxed_slice();
    let (on_disk, to_commit) = latest::channel(none.clone());
    let roll = Roll { bytes: arguments.file_bytes, age: Duration::from_millis(arguments.file_ms) };
    let writer = Writer { folder, drain, roll, pace: arguments.pace, next: none, on_disk };
    let writer = tokio::task::spawn_blocking(|| writer.run());
    let lost = Lost::default();
    let filling = async {
        let end = tokio::select! {
            end = fill(&consumer, &mut filler, &lost) => end,
            end = told_to_end() => end,
            end = until_it_grows(&consumer, topic, partitions) => end,
            () = watch::show(&consumer, topic, partitions) => Ok(()),
        };
        // However that ended, what was taken is written, and then the writer ends.
        let _ = filler.hand_over();
        drop(filler);
        end
    };
    let written = async { writer.await.map_err(|error| error.to_string())?.map_err(at(arguments.to.display())) };
    // All three come to an end one after the other: the filler's makes the writer end, and that the committer.
    let (filled, written, committed) = tokio::join!(filling, written, commit(&consumer, topic, to_commit, &lost));
    // Not `close`: it would commit what was handed out, whether it is on disk or not.
    drop(consumer);
    // The first cause first: without commits the writer ends, without the writer the filler.
    committed.and(written).and(filled)
}

fn at(place: impl Display) -> impl Fn(std::io::Error) -> String {
    move |error| format!("{place}: {error}")
}

fn consumer(arguments: &Arguments) -> Result<Consumer> {
    let text = |error: demitasse_io_std::BuildError| format!("{error} [fault: our settings]");
    let mut builder =
        ConsumerBuilder::new().bootstrap_servers(&arguments.bootstrap).offset_reset(OffsetReset::Earliest);
    for property in &arguments.properties {
        let (name, value) = property.split_once('=').ok_or_else(|| format!("-X: {property:?} is not NAME=VALUE"))?;
        builder = builder.set(name, value).map_err(text)?;
    }
    builder.group(&arguments.group).start().map_err(text)
}

/// All partitions of the topic, from where the group has been.
async fn assign(arguments: &Arguments, consumer: &Consumer) -> Result<(Topic, usize)> {
    let name = &arguments.topic;
    let wrong = |error| format!("{}, topic {name}: {error}", arguments.bootstrap);
    let topic = consumer.topic(name).map_err(wrong)?;
    let partitions = consumer.wait_partitions(topic).await.map_err(wrong)?;
    for partition in 0..partitions as i32 {
        consumer.assign(topic, partition, Start::Committed).map_err(wrong)?;
    }
    Ok((topic, partitions as usize))
}

/// Whether a log has lost what was read of it: where that was, other records stand now, and who commits its end passes over
/// them. A topic that was made anew tells it of one partition first, and means all.
type Lost = Cell<bool>;

/// From the consumer into the buffers, for ever.
async fn fill(consumer: &Consumer, filler: &mut Filler, lost: &Lost) -> Result {
    let failed = |error: ConsumeError| {
        if let ConsumeFault::Truncated { .. } = error.fault {
            lost.set(true);
        }
        error.to_string()
    };
    let text = |refused: buffers::Refused| refused.to_string();
    let mut tick = tokio::time::interval(HAND_OVER_EVERY);
    loop {
        consumer.set_fullness(filler.fullness());
        let fetched = tokio::select! {
            biased;
            fetched = consumer.poll(MOST) => fetched.map_err(failed)?,
            _ = tick.tick() => {
                filler.hand_over_if_idle().map_err(text)?;
                continue;
            }
        };
        let Some(fetched) = fetched else { return Err("the consumer was closed".into()) };
        for record in fetched.records() {
            filler.put(&record).await.map_err(text)?;
        }
        drop(fetched);
        filler.hand_over_if_idle().map_err(text)?;
    }
}

/// All tables are as long as the topic had partitions: who starts it again reads those that were added, too, from their beginning.
/// The consumer looks for them every `metadata.max.age.ms`.
async fn until_it_grows(consumer: &Consumer, topic: Topic, partitions: usize) -> Result {
    loop {
        let now = consumer.partitions(topic).unwrap_or(0) as usize;
        if now > partitions {
            return Err(format!(
                "the topic has {now} partitions now, and had {partitions}: start again to read all of them"
            ));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Ctrl-C, or what a container gets.
async fn told_to_end() -> Result {
    let cannot = |error| format!("cannot listen for signals: {error}");
    let mut terminate = signal(SignalKind::terminate()).map_err(cannot)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Commits what is on disk, whenever that is more than before; until the writer has ended, or what was read is lost.
async fn commit(consumer: &Consumer, topic: Topic, mut on_disk: latest::Receiver<Box<[i64]>>, lost: &Lost) -> Result {
    let mut committed = on_disk.borrow().clone();
    loop {
        let last = on_disk.changed().await.is_err();
        if lost.get() {
            return Ok(());
        }
        let next = on_disk.borrow_and_update().clone();
        let news = (0..).zip(next.iter().zip(&committed)).filter(|(_, (next, committed))| next != committed);
        let offsets: Vec<_> = news.map(|(partition, (&next, _))| (topic, partition, next)).collect();
        while committed != next {
            match consumer.commit_offsets(&offsets).await {
                Ok(()) => {
                    counter!("pipeline_commits_total").increment(offsets.len() as u64);
                    committed.clone_from(&next);
                }
                // The files are safe, and there is time, unless the writer has ended and all wait for us.
                Err(CommitError::TimedOut { .. }) if on_disk.has_changed().is_ok() => {
                    eprintln!("demitasse-pipeline: commit: no answer yet");
                }
                Err(error) => {
                    let each =
                        offsets.iter().map(|(_, partition, offset)| format!("partition {partition}, offset {offset}"));
                    return Err(format!("commit of {}: {error}", each.collect::<Vec<_>>().join("; ")));
                }
            }
        }
        if last {
            return Ok(());
        }
    }
}
