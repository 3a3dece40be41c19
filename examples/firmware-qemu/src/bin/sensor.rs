//! A sensor that puts its readings into Kafka. Copy it, put your sensor in place of `measure`, your board in place of
//! `board`, your addresses in place of the defaults.
//!
//! It goes on whatever the network does. Readings wait in RAM while the broker is away; when that is full, **the newest
//! reading is refused, and counted**: what was measured first is kept. Each reading that was taken is in the log once, in
//! order, or counted as failed or unknown.
//!
//! Arguments, all optional, by semihosting: `HOST:PORT` of a broker, the topic, how many readings (0: for ever),
//! milliseconds between them.

#![no_std]
#![no_main]

use demitasse_io_embassy::{Config, Fixed, Producer, Record, Runner, Sizes, storage};
use embassy_executor::Spawner;
use embassy_net::Stack;
use embassy_time::{Duration, Instant, Timer};
use firmware_qemu::host::{Arguments, exit};
use firmware_qemu::text::Text;
use firmware_qemu::{board, executor, stack, status};

/// They are known when the program is compiled, so that what they do not ask for is not in it. Settings that are only known at
/// the start are a `Config` that is given to `KAFKA.start`, and the storage is then a `Kafka` without them.
struct Settings;

impl Fixed for Settings {
    const CONFIG: Config = {
        let mut config = Config::new();
        // Longer waits fill larger requests: fewer bytes on the wire and fewer wake-ups of the radio a reading.
        config.linger = core::time::Duration::from_millis(200);
        // A reading may wait this long for the broker to come back. After it, it is given up, and counted.
        config.delivery_timeout = core::time::Duration::from_secs(3600);
        // A connection that is silent for so long is taken for dead: the cable, or a frozen broker.
        config.request_timeout = core::time::Duration::from_secs(10);
        // Readings resemble each other: fewer bytes on the wire and in the log. What it takes is in `docs/sizing.md`.
        #[cfg(feature = "lz4")]
        {
            config.compression = demitasse_io_embassy::Compression::Lz4;
        }
        config
    };
}

storage! {
    /// All that Kafka takes. A reading is about 55 bytes in a batch: 4 batches of 4 KiB hold some 290 of them, half a
    /// minute of a broker that is away. Each of the three keys may go to a partition of its own, which then fills a batch of
    /// its own. Nobody here asks for outcomes, so that few slots are enough to remember them; no task waits, but one for the
    /// end of a test; and without a name service every host is an IPv4 address.
    static KAFKA: Kafka<Settings> {
        batch_bytes: 4096, buffers: 4, batches: 6, partitions: 3, topics: 1, waiters: Sizes::NONE, host_bytes: 15,
        socket_send_bytes: 2304, compression_bytes: if cfg!(feature = "lz4") { 1024 + 2048 } else { 0 },
    }
}

// A change that needs more memory than you thought does not compile.
const MEMORY_BYTES: usize = KAFKA.memory_bytes();
const _: () = assert!(MEMORY_BYTES < if cfg!(feature = "lz4") { 28 } else { 25 } * 1024);

/// How much of it holds your records and the network's bytes; the rest is tables. Only to be told.
const BUFFER_BYTES: usize = KAFKA.buffer_bytes();

/// Kafka's own work, beside ours.
#[embassy_executor::task]
async fn kafka(mut runner: Runner<Kafka>) -> ! {
    runner.run().await;
    core::future::pending().await
}

#[embassy_executor::task]
async fn sensor(network: Stack<'static>, spawner: Spawner) -> ! {
    let arguments = Arguments::read();
    let bootstrap = arguments.address(0, ("10.0.2.2", 9092));
    let topic = arguments.word(1).unwrap_or("readings");
    let interval = Duration::from_millis(arguments.number(3, 100).into());
    status!("memory={MEMORY_BYTES} buffers={BUFFER_BYTES}");

    network.wait_config_up().await;

    // It must differ from start to start: the random number generator of your chip.
    let seed = Instant::now().as_ticks() as u32;
    let (producer, runner) = match KAFKA.start(network, Settings, &[bootstrap], seed) {
        Ok(started) => started,
        Err(error) => {
            status!("cannot start: {error}");
            exit(false)
        }
    };
    let Ok(task) = kafka(runner) else { panic!("started twice") };
    spawner.spawn(task);
    let readings = match producer.topic(topic) {
        Ok(readings) => readings,
        Err(error) => {
            status!("topic {topic}: {error}");
            exit(false)
        }
    };

    let mut refused = 0;
    let mut next = Instant::now();
    let mut number = 0;
    loop {
        // Only a test comes to an end: a sensor does not, and what it needed for that is not in its image.
        #[cfg(feature = "semihosting")]
        if number > 0 && number == arguments.number(2, 0) {
            let _ = producer.flush().await;
            report("end", &producer, number, refused);
            exit(true);
        }
        next += interval;
        Timer::at(next).await;
        // It never waits, so that the sensor keeps its pace. There is nothing to keep of the delivery: the producer
        // repeats what must be repeated, and counts what came of it.
        match producer.try_send(readings, &Record::new(measure(number).bytes()).key(key(number))) {
            Ok(_) => {}
            // Before the broker has told where the topic's partitions are, nothing can be taken. The first reading waits for
            // that, and says what is in the way: a wrong address shows here.
            Err(error) if number == 0 => {
                status!("waiting: {error}");
                next += Duration::from_secs(1);
                continue;
            }
            Err(_) => refused += 1,
        }
        number += 1;
        if number % 64 == 0 {
            report("status", &producer, number, refused);
        }
    }
}

/// Where it was measured. Readings with the same key stay in order.
fn key(number: u32) -> &'static [u8] {
    match number % 3 {
        0 => b"kitchen",
        1 => b"cellar",
        _ => b"garden",
    }
}

/// A reading, as the bytes that go into Kafka. Numbered, so that who reads them can tell that none is missing.
fn measure(number: u32) -> Text<64> {
    // A day of 1,024 readings, between 15 and 25 degrees.
    let ramp = number % 1024;
    let centidegrees = 1500 + 1000 * ramp.min(1024 - ramp) / 512;
    let mut reading = Text::new();
    reading.text("{\"number\":").number(number).text(",\"centidegrees\":").number(centidegrees).text("}");
    reading
}

fn report(what: &str, producer: &Producer<Kafka>, measured: u32, refused: u32) {
    let counters = producer.counters();
    status!(
        "{what} measured={measured} acknowledged={} failed={} unknown={} refused={refused} retries={} connections={} stack={}",
        counters.acknowledged,
        counters.failed,
        counters.unknown,
        counters.retries,
        counters.connections_opened,
        stack::deepest()
    );
}

#[cortex_m_rt::entry]
fn main() -> ! {
    executor::run(|spawner| {
        let network = board::start(spawner);
        let Ok(task) = sensor(network, spawner) else { panic!("started twice") };
        spawner.spawn(task);
    })
}
