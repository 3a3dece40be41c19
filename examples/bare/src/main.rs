//! `cargo run -p demitasse-bare -- HOST:PORT TOPIC`: ten records, with no runtime at all.
//!
//! `io.rs` is what a system of one's own must bring; `storage.rs` says where the memory lies. Here is the loop: every future
//! is polled again and again, with a waker that does nothing. An RTOS would sleep until its network or its timer has news;
//! asking too often does no harm, since the core looks at what is true and not at who called.

mod io;
mod storage;

use demitasse_core::{Capacities, Config, Producer, Record, Scratch, Sizing, State};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

const SIZING: Sizing = Sizing {
    buffer_memory: 4 * 1024,
    batch_size: 1024,
    partitions: 16,
    topics: 1,
    brokers: 4,
    connections: 1,
    max_in_flight: 2,
    waiters: 4,
};
const CAPACITIES: Capacities = Capacities::derive(&SIZING);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, topic] = arguments.as_slice() else { return Err("usage: demitasse-bare HOST:PORT TOPIC".into()) };
    let (host, port) = address.rsplit_once(':').ok_or("HOST:PORT")?;

    let mut config = Config::new();
    config.max_in_flight = SIZING.max_in_flight;
    let network = io::Network::new();
    let producer: Producer<storage::Bare> =
        Producer::new(storage::Lock::new(State::new(storage::tables(&CAPACITIES))), network);
    producer.lend((0..CAPACITIES.buffers).map(|_| vec![0; CAPACITIES.batch_bytes as usize]));
    let scratch = (CAPACITIES.frame_bytes as usize, CAPACITIES.receive_bytes as usize);
    producer.start(&config, &[(host, port.parse()?)], scratch, std::process::id())?;

    let (mut frame, mut receive) = (vec![0; scratch.0], vec![0; scratch.1]);
    let mut clock = pin!(producer.run_clock(&network));
    let mut connection =
        pin!(producer.run_connection(&network, 0, Scratch { frame: &mut frame, receive: &mut receive }));
    let mut application = pin!(async {
        let topic = producer.topic(topic)?;
        for i in 0..10 {
            let value = format!("reading {i}");
            let delivery = producer.send(topic, &Record::new(value.as_bytes())).await?;
            let receipt = producer.wait(delivery).await?;
            println!("partition {} offset {:?}", receipt.partition, receipt.offset);
        }
        producer.close(Duration::from_secs(5)).await;
        Ok::<_, Box<dyn std::error::Error>>(())
    });

    let mut context = Context::from_waker(Waker::noop());
    let (mut connection_ended, mut clock_ended) = (false, false);
    loop {
        clock_ended = clock_ended || clock.as_mut().poll(&mut context).is_ready();
        connection_ended = connection_ended || connection.as_mut().poll(&mut context).is_ready();
        if let Poll::Ready(result) = application.as_mut().poll(&mut context) {
            return result;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
