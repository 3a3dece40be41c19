//! Reads records as fast as they come: what a record costs. For `cargo xtask size`.
//!
//! Arguments: `HOST:PORT` of a broker, the topic, how many records.

#![no_std]
#![no_main]

use demitasse_io_embassy::{Config, Consumer, Runner, Start, consumer_storage};
use embassy_executor::Spawner;
use embassy_net::Stack;
use firmware_qemu::host::{Arguments, exit};
use firmware_qemu::{board, executor, stack, status};

consumer_storage! {
    /// A batch of 32 records fits into its chunk.
    static KAFKA: Records { chunk_bytes: 4096 }
}

#[embassy_executor::task]
async fn kafka(mut runner: Runner<Records>) {
    runner.run().await;
}

/// A function of its own: what a start needs of the stack does not weigh on the task for good.
#[inline(never)]
fn start(network: Stack<'static>, spawner: Spawner, bootstrap: (&str, u16)) -> Consumer<Records> {
    let Ok((consumer, runner)) = KAFKA.start(network, &Config::new(), &[bootstrap], 1) else { exit(false) };
    let Ok(task) = kafka(runner) else { exit(false) };
    spawner.spawn(task);
    consumer
}

#[embassy_executor::task]
async fn read(network: Stack<'static>, spawner: Spawner) {
    let arguments = Arguments::read();
    let bootstrap = arguments.address(0, ("10.0.2.2", 9092));
    let topic = arguments.word(1).unwrap_or("load");
    let records = arguments.number(2, 1000);
    network.wait_config_up().await;
    let consumer = start(network, spawner, bootstrap);
    let Ok(topic) = consumer.topic(topic) else { exit(false) };
    if consumer.assign(topic, 0, Start::Beginning).is_err() {
        exit(false);
    }

    let (mut read, mut bytes) = (0, 0);
    while read < records {
        let Ok(Some(fetched)) = consumer.poll(records - read).await else { exit(false) };
        for record in fetched.records() {
            read += 1;
            bytes += record.value.map_or(0, <[u8]>::len);
        }
    }
    status!(
        "read={read} bytes={bytes} connections={} stack={}",
        consumer.counters().connections_opened,
        stack::deepest()
    );
    exit(bytes == 100 * records as usize)
}

#[cortex_m_rt::entry]
fn main() -> ! {
    executor::run(|spawner| {
        let network = board::start(spawner);
        let Ok(task) = read(network, spawner) else { panic!("started twice") };
        spawner.spawn(task);
    })
}
