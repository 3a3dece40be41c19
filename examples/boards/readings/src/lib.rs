//! What the programs for boards have in common: a reading every 100 ms into Kafka. A board brings network, sensor and a
//! way to say something; change here what is sent, how often, and how much memory it may take.
//!
//! It goes on whatever the network does. Readings wait in RAM while the broker is away; when that is full, **the newest
//! reading is refused, and counted**: what was measured first is kept. Each reading that was taken is in the log once, in
//! order, or counted as failed or unknown.

#![no_std]

use core::fmt::{Arguments, Write};
use core::time::Duration;
use demitasse_io_embassy::heapless::String;
use demitasse_io_embassy::{Config, Producer, Record, storage};
use embassy_futures::select::select;
use embassy_net::Stack;
use embassy_time::Ticker;

/// Between two readings.
const INTERVAL: embassy_time::Duration = embassy_time::Duration::from_millis(100);
/// Readings between two status lines: 10 s.
const STATUS: u32 = 100;

storage! {
    /// All that Kafka takes. A reading is about 45 bytes in a batch: 8 batches of 2 KiB hold some 350 of them, half a
    /// minute of a broker that is away.
    static KAFKA: Kafka { batch_bytes: 2048, buffers: 8, partitions: 4, topics: 1 }
}

const MEMORY_BYTES: usize = KAFKA.memory_bytes();

// A change that needs more memory than you thought does not compile.
const _: () = assert!(MEMORY_BYTES < 25 * 1024);

/// Where readings go, and whose they are.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Host and port of any broker of the cluster. The others, and this one again, are reached by the names that they
    /// advertise.
    pub broker: (&'static str, u16),
    /// The topic.
    pub topic: &'static str,
    /// The key of each record: readings with the same key stay in order.
    pub device: &'static str,
}

/// Measures and sends, for ever; ends only if the settings cannot work, and says why. Once.
///
/// `seed` must differ from start to start: the chip's random number generator. `measure` gives hundredths of a degree.
pub async fn run(
    network: Stack<'static>,
    seed: u32,
    place: Place,
    measure: impl AsyncFnMut() -> i32,
    say: impl Fn(Arguments<'_>),
) {
    say(format_args!("memory={MEMORY_BYTES}"));
    network.wait_config_up().await;
    match KAFKA.start(network, &config(), &[place.broker], seed) {
        Ok((producer, mut runner)) => {
            select(runner.run(), send(producer, place, measure, say)).await;
        }
        Err(error) => say(format_args!("cannot start: {error}")),
    }
}

fn config() -> Config {
    let mut config = Config::new();
    // Longer waits fill larger requests: fewer bytes on the wire and fewer wake-ups of the radio a reading.
    config.linger = Duration::from_secs(1);
    // A reading may wait this long for the broker to come back. After it, it is given up, and counted.
    config.delivery_timeout = Duration::from_secs(3600);
    // A connection that is silent for so long is taken for dead: the cable, or a frozen broker.
    config.request_timeout = Duration::from_secs(10);
    // How often we hear what is in the way, while nothing has been taken yet.
    config.max_block = Duration::from_secs(5);
    config
}

async fn send(
    producer: Producer<Kafka>,
    place: Place,
    mut measure: impl AsyncFnMut() -> i32,
    say: impl Fn(Arguments<'_>),
) {
    let topic = match producer.topic(place.topic) {
        Ok(topic) => topic,
        Err(error) => return say(format_args!("topic {}: {error}", place.topic)),
    };
    let key = place.device.as_bytes();

    // Before the broker has told where the topic's partitions are, nothing can be taken. Wait for that with the first
    // reading, and say what is in the way: a wrong address shows here.
    let first = reading(0, measure().await);
    while let Err(error) = producer.send(topic, &Record::new(first.as_bytes()).key(key)).await {
        say(format_args!("waiting: {error}"));
    }

    let mut refused = 0;
    let mut ticker = Ticker::every(INTERVAL);
    for number in 1.. {
        ticker.next().await;
        let reading = reading(number, measure().await);
        // It never waits, so that the sensor keeps its pace. There is nothing to keep of the delivery: the producer
        // repeats what must be repeated, and counts what came of it.
        if producer.try_send(topic, &Record::new(reading.as_bytes()).key(key)).is_err() {
            refused += 1;
        }
        if number % STATUS == 0 {
            let counters = producer.counters();
            say(format_args!(
                "measured={number} acknowledged={} failed={} unknown={} refused={refused} retries={} connections={}",
                counters.acknowledged, counters.failed, counters.unknown, counters.retries, counters.connections_opened
            ));
        }
    }
}

/// The bytes that go into Kafka. Numbered, so that who reads them can tell that none is missing.
fn reading(number: u32, centidegrees: i32) -> String<64> {
    let mut text = String::new();
    // 64 bytes hold the longest numbers, so nothing can be cut off.
    let _ = write!(text, "{{\"number\":{number},\"centidegrees\":{centidegrees}}}");
    text
}
