//! Records of 100 bytes, as fast as they are acknowledged: what a record costs. For `cargo xtask size`.
//!
//! Arguments: `HOST:PORT` of a broker, the topic, how many records, how many before waiting for their acknowledgement.

#![no_std]
#![no_main]

use core::pin::pin;
use core::time::Duration;
use demitasse_io_embassy::{Config, Producer, Record, Runner, storage};
use embassy_futures::join::join;
use embassy_net::Stack;
use firmware_qemu::host::{Arguments, exit};
use firmware_qemu::{board, executor, stack, status};

storage! {
    /// A batch holds 32 records.
    static KAFKA: Kafka { batch_bytes: 4096, buffers: 2, partitions: 1, topics: 1 }
}

/// Kafka's own work and ours in one task: what the one does for the other costs no change of tasks.
#[embassy_executor::task]
async fn load(network: Stack<'static>) {
    let arguments = Arguments::read();
    let bootstrap = arguments.address(0, ("10.0.2.2", 9092));
    network.wait_config_up().await;
    let (producer, mut runner) = start(network, bootstrap);
    // Where they are made: given by value they would stand on the stack, too.
    join(pin!(runner.run()), pin!(send(producer, &arguments))).await;
}

/// Called and not inlined: the stack that it needs would be taken at every poll of the task.
#[inline(never)]
fn start(network: Stack<'static>, bootstrap: (&str, u16)) -> (Producer<Kafka>, Runner<Kafka>) {
    let mut config = Config::new();
    // What is there when the connection's turn comes goes at once.
    config.linger = Duration::ZERO;
    let Ok(started) = KAFKA.start(network, &config, &[bootstrap], 1) else { exit(false) };
    started
}

async fn send(producer: Producer<Kafka>, arguments: &Arguments) {
    let topic = arguments.word(1).unwrap_or("load");
    let (records, burst) = (arguments.number(2, 1000), arguments.number(3, 1));
    let Ok(topic) = producer.topic(topic) else { exit(false) };

    let value = [7; 100];
    let mut sent = 0;
    while sent < records {
        let mut last = None;
        for _ in 0..burst {
            let Ok(delivery) = producer.send(topic, &Record::new(&value)).await else { exit(false) };
            last = Some(delivery);
            sent += 1;
        }
        if let Some(last) = last
            && producer.wait(last).await.is_err()
        {
            exit(false);
        }
    }
    let counters = producer.counters();
    status!(
        "acknowledged={} requests={} connections={} stack={}",
        counters.acknowledged,
        counters.requests,
        counters.connections_opened,
        stack::deepest()
    );
    exit(counters.acknowledged == records as usize)
}

#[cortex_m_rt::entry]
fn main() -> ! {
    executor::run(|spawner| {
        let network = board::start(spawner);
        let Ok(task) = load(network) else { panic!("started twice") };
        spawner.spawn(task);
    })
}
