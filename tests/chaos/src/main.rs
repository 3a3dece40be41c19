//! `cargo xtask chaos`: three Kafka nodes are killed, shut down, frozen, restarted and moved about while producers send
//! numbered, keyed records as fast as they can and slowly. In the end kcat, which shares no code with us, reads all of
//! it: nothing acknowledged may be missing, nothing be there twice or behind what was sent after it, and every record
//! must have an outcome.
//!
//! [`stream`] sends and keeps a [`ledger`]; [`events`] are what happens; [`timeline`] knows which of them a producer had to
//! wait for; [`audit`] holds the ledgers against the topics.

mod audit;
mod events;
mod ledger;
mod stream;
mod timeline;

use clap::Parser;
use demitasse_io_std::{Builder, Producer, UnknownOutcome};
use demitasse_kafka_tests::{KAFKA_4, Kafka, Options, until};
use events::{EVENTS, LONG, Scene};
use ledger::Account;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use stream::{Plan, Stream};
use timeline::{Span, Timeline, length};

/// Two producers write to it.
const NUMBERED: &str = "numbered";
/// All three replicas must be in sync, so whenever a node is away its producer is told so.
const STRICT: &str = "strict";
/// It is deleted and made again.
const REMADE: &str = "remade";

const PARTITIONS: i32 = 6;

/// Records at once and the milliseconds after them. As fast as there is room is several times as much, and ten minutes of
/// that do not fit three times on everybody's disk.
const FULL: (u64, u64) = (5_000, 50);

type Result<T = ()> = std::result::Result<T, String>;

#[derive(Parser)]
#[command(about = "Three Kafka nodes are killed, frozen and restarted under load")]
struct Arguments {
    /// How long, in minutes; the event that runs then still ends.
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// Of Kafka.
    #[arg(long, default_value = KAFKA_4)]
    version: String,
    /// Only events with these words in their name.
    #[arg(long, default_value = "")]
    only: String,
}

fn main() -> ExitCode {
    match chaos(&Arguments::parse()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(broken) => {
            println!("{broken} promises were broken");
            ExitCode::FAILURE
        }
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// How many promises were broken.
fn chaos(arguments: &Arguments) -> Result<u64> {
    let kafka = Kafka::start(Options::three(&arguments.version)).map_err(|e| e.to_string())?;
    for (topic, in_sync) in [(NUMBERED, "2"), (STRICT, "3"), (REMADE, "2")] {
        let configs = [("min.insync.replicas", in_sync)];
        kafka.create_topic(topic, PARTITIONS, 3, &configs).map_err(|e| e.to_string())?;
    }
    let timeline = Arc::new(Timeline::start());
    let streams = streams(&kafka, &timeline)?;
    let mut broken = run(arguments, &kafka, &streams, &timeline)?;
    let end = timeline.now();
    println!("[{:6.1} s] no more records; outcomes are waited for", end.as_secs_f64());
    streams.iter().for_each(Stream::stop);
    // What has no outcome after that will never have one.
    let _ = until(LONG, "outcomes", || streams.iter().all(|stream| stream.unsettled() == 0).then_some(()));
    println!("[{:6.1} s] kcat reads all of it", timeline.now().as_secs_f64());
    let accounts = audit::all(&kafka, &streams)?;
    for (stream, account) in streams.iter().zip(&accounts) {
        report(stream, account, &timeline, end);
        broken += account.broken() + stream.unsettled();
    }
    Ok(broken)
}

fn streams(kafka: &Kafka, timeline: &Arc<Timeline>) -> Result<Vec<Stream>> {
    let builder = || {
        let mut builder = Producer::builder().bootstrap_servers(&kafka.bootstrap());
        builder.config_mut().allow_auto_create_topics = false;
        builder
    };
    let hold = |builder: Builder| builder.unknown_outcome(UnknownOutcome::Hold);
    let mut impatient = builder().delivery_timeout(Duration::from_secs(6));
    impatient.config_mut().request_timeout = Duration::from_secs(3);
    // With few buffers, so that whatever happens finds them full; and with connections that come and go all the while.
    let mut full = builder().batch_size(16 << 10).buffer_memory(4 << 20).connections_per_broker(1..=4);
    full.config_mut().connections_scale_interval = Duration::from_millis(20);
    let start = |name, topic, burst, millis, builder| {
        Stream::start(Plan { name, topic, burst, pause: Duration::from_millis(millis) }, builder, timeline)
    };
    Ok(vec![
        start("full", NUMBERED, FULL.0, FULL.1, full)?,
        start("slow", NUMBERED, 1, 20, hold(builder()))?,
        start("strict", STRICT, 1, 5, impatient)?,
        start("remade", REMADE, 1, 2, builder())?,
    ])
}

/// One event after the other until the time is over; how many promises were seen to be broken by then.
fn run(arguments: &Arguments, kafka: &Kafka, streams: &[Stream], timeline: &Timeline) -> Result<u64> {
    let time = Duration::from_secs_f64(60.0 * arguments.minutes);
    let events: Vec<_> = EVENTS.iter().filter(|(what, _)| what.contains(&arguments.only)).collect();
    if events.is_empty() {
        let all: Vec<_> = EVENTS.iter().map(|(what, _)| *what).collect();
        return Err(format!("no event is called {:?}; there are: {}", arguments.only, all.join(", ")));
    }
    let (mut broken, mut turn) = (0, 0);
    let mut scene = Scene { kafka, streams, round: 0 };
    scene.whole().map_err(|e| e.to_string())?;
    while timeline.now() < time {
        let (what, strike) = events[turn % events.len()];
        scene.round = turn / events.len();
        turn += 1;
        let victim = scene.victim().map_err(|e| e.to_string())?;
        if what.contains("made again") {
            broken += audit::before_deletion(kafka, streams)?;
        }
        let act = || strike(&scene, victim).and_then(|()| scene.whole());
        let (done, span) = timeline.during(format!("{what} (node {victim})"), act);
        done.map_err(|error| format!("{what}: {error}"))?;
        println!("           over after {:.1} s; {}", length(span).as_secs_f64(), waits(streams, span));
    }
    Ok(broken)
}

/// The longest wait of each stream.
fn waits(streams: &[Stream], span: Span) -> String {
    let of =
        |stream: &Stream| format!("{} {:.1} s", stream.plan.name, length(stream.longest_stall(span)).as_secs_f64());
    format!("longest without an acknowledgement: {}", streams.iter().map(of).collect::<Vec<_>>().join(", "))
}

fn report(stream: &Stream, account: &Account, timeline: &Timeline, end: Duration) {
    let Account { sent, acknowledged, failed, unknown, lost, doubled, disordered, lied, wrong } = account;
    println!(
        "\n{}: {sent} sent, {acknowledged} acknowledged, {unknown} unknown, {failed} failed; {lost} lost, {doubled} \
         doubled, {disordered} out of order, {lied} failed and there, {wrong} wrong, {} unsettled",
        stream.plan.name,
        stream.unsettled()
    );
    let stall = stream.longest_stall((Duration::ZERO, end));
    let why = timeline.explain(stall);
    println!("  longest stall {:.1} s from {:.1} s on: {why}", length(stall).as_secs_f64(), stall.0.as_secs_f64());
    println!("  {}", stream.counters());
    stream.ledger().broken.iter().for_each(|what| println!("  BROKEN: {what}"));
    for (reason, count) in &stream.ledger().reasons {
        println!("  {count} records: {reason}");
    }
}
