//! A device that follows a topic of commands: a sensor whose pace is set from afar. Copy it, put your own commands in place
//! of `obey`, your board in place of `board`, your addresses in place of the defaults.
//!
//! A command is `NUMBER interval MILLISECONDS`, and for tests `NUMBER stop`. Each is obeyed in the order of the log; then
//! the group keeps how far the device is: started again, it goes on behind it. If it is cut off between the two it obeys the
//! last command once more, so a command should be such that twice is as good as once.
//!
//! Arguments, all optional, by semihosting: `HOST:PORT` of a broker, the topic.

#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use demitasse_io_embassy::{Config, Consumer, Fixed, Name, OffsetReset, Runner, Start, Topic, consumer_storage};
use embassy_executor::Spawner;
use embassy_net::Stack;
use embassy_time::{Instant, Timer};
use firmware_qemu::host::{Arguments, exit};
use firmware_qemu::{board, executor, stack, status};

/// They are known when the program is compiled, so that what they do not ask for is not in it.
struct Settings;

impl Fixed for Settings {
    const CONFIG: Config = {
        let mut config = Config::new();
        // Under which Kafka keeps its place: a name of its own for each device. One that is only known at the start, a serial
        // number say, is in a `Config` that is given to `KAFKA.start`, with a storage that is `Commands` without `Settings`.
        config.group_id = Name::new(board::NAME);
        // A device that is new, or was away for so long that its place is forgotten, begins with the oldest command there is.
        config.offset_reset = OffsetReset::Earliest;
        // Who reads makes no topics, not even by a mistyped name.
        config.allow_auto_create_topics = false;
        // Nothing is obeyed before the checksum of its batch was found right.
        config.stream_large_batches = false;
        // The broker answers when there is a command, or after this long: fewer bytes on the wire while there is none.
        config.fetch_max_wait = Duration::from_secs(5);
        // A connection that is silent for so long is taken for dead: the cable, or a frozen broker.
        config.request_timeout = Duration::from_secs(10);
        config
    };
}

consumer_storage! {
    /// All that Kafka takes. One partition, and batches of up to 4 KiB: what sends commands must not make larger ones. A
    /// connection to read it and one for the group; one task waits; and every host is an IPv4 address.
    static KAFKA: Commands<Settings> { chunk_bytes: 4096, connections: 2, waiters: 1, host_bytes: 15 }
}

// A change that needs more memory than you thought does not compile.
const MEMORY_BYTES: usize = KAFKA.memory_bytes();
const _: () = assert!(MEMORY_BYTES < if cfg!(feature = "lz4") { 22 } else { 14 } * 1024);

/// How much of it holds records and the network's bytes; the rest is tables. Only to be told.
const BUFFER_BYTES: usize = KAFKA.buffer_bytes();

/// Milliseconds between readings. 0, which takes no flash: nobody has told, then it is a second.
static INTERVAL: AtomicU32 = AtomicU32::new(0);
static MEASURED: AtomicU32 = AtomicU32::new(0);

/// Kafka's own work, beside ours.
#[embassy_executor::task]
async fn kafka(mut runner: Runner<Commands>) {
    runner.run().await;
}

/// What the commands are for. A new pace begins with the next reading.
#[embassy_executor::task]
async fn sensor() {
    loop {
        let interval = INTERVAL.load(Ordering::Relaxed);
        Timer::after_millis(if interval == 0 { 1000 } else { interval.into() }).await;
        MEASURED.fetch_add(1, Ordering::Relaxed);
    }
}

/// Here and not in the task: what that holds while it waits is taken from RAM for good, and what it needs of the stack is
/// there with each of its polls.
#[inline(never)]
fn start(network: Stack<'static>, spawner: Spawner, bootstrap: (&str, u16)) -> Consumer<Commands> {
    // It must differ from start to start: the random number generator of your chip.
    let seed = Instant::now().as_ticks() as u32;
    let (consumer, runner) = match KAFKA.start(network, Settings, &[bootstrap], seed) {
        Ok(started) => started,
        Err(error) => {
            status!("cannot start: {error}");
            exit(false)
        }
    };
    let (Ok(task), Ok(other)) = (kafka(runner), sensor()) else { panic!("started twice") };
    spawner.spawn(task);
    spawner.spawn(other);
    consumer
}

#[embassy_executor::task]
async fn follow(network: Stack<'static>, spawner: Spawner) {
    let arguments = Arguments::read();
    let bootstrap = arguments.address(0, ("10.0.2.2", 9092));
    let topic = arguments.word(1).unwrap_or("commands");
    status!("memory={MEMORY_BYTES} buffers={BUFFER_BYTES}");

    network.wait_config_up().await;

    let consumer = start(network, spawner, bootstrap);
    let assigned = consumer.topic(topic).and_then(|topic| {
        consumer.assign(topic, 0, Start::Committed)?;
        Ok(topic)
    });
    match assigned {
        Ok(topic) => while obeyed(consumer, topic).await {},
        Err(error) => {
            status!("topic {topic}: {error}");
            exit(false)
        }
    }

    // Only a test comes here: what a device is told to do does not end.
    let counters = consumer.counters();
    status!("end connections={} lost={}", counters.connections_opened, counters.connections_lost);
    exit(true)
}

/// Waits for commands and obeys them; whether there may be more.
async fn obeyed(consumer: Consumer<Commands>, topic: Topic) -> bool {
    let mut more = true;
    match consumer.poll(16).await {
        Ok(Some(fetched)) => {
            for record in fetched.records() {
                more &= obey(record.offset, record.value.unwrap_or_default());
            }
        }
        Ok(None) => return false,
        Err(error) => {
            // A batch that is too large, say. Later commands matter more than one that cannot be read.
            status!("cannot read: {error}");
            consumer.seek(topic, 0, Start::End);
            return true;
        }
    }
    if let Err(error) = consumer.commit().await {
        // The next one will keep this place, too.
        status!("cannot commit: {error}");
    }
    more
}

/// Does what is said, and says so; what nobody understands is passed over. False: it was the last.
fn obey(offset: i64, command: &[u8]) -> bool {
    let mut words = command.split(|&byte| byte == b' ');
    let number = words.next().and_then(decimal);
    let measured = MEASURED.load(Ordering::Relaxed);
    match (number, words.next(), words.next().and_then(decimal)) {
        (Some(number), Some(b"interval"), Some(interval)) => {
            INTERVAL.store(interval, Ordering::Relaxed);
            status!(
                "command={number} offset={offset} interval={interval} measured={measured} stack={}",
                stack::deepest()
            );
            true
        }
        (Some(number), Some(b"stop"), None) => {
            status!("command={number} offset={offset} stop measured={measured} stack={}", stack::deepest());
            false
        }
        _ => {
            status!("offset={offset}: no command");
            true
        }
    }
}

/// The number that is written there.
fn decimal(text: &[u8]) -> Option<u32> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u32, |number, &byte| {
        let digit = byte.checked_sub(b'0').filter(|&digit| digit < 10)?;
        number.checked_mul(10)?.checked_add(digit.into())
    })
}

#[cortex_m_rt::entry]
fn main() -> ! {
    executor::run(|spawner| {
        let network = board::start(spawner);
        let Ok(task) = follow(network, spawner) else { panic!("started twice") };
        spawner.spawn(task);
    })
}
