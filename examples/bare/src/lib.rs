//! The core without an adapter and without a runtime: the template for a system of one's own.
//!
//! `io.rs` is what such a system must bring; `storage.rs` says where the memory lies. Here is the loop: every future is
//! polled again and again, with a waker that does nothing. An RTOS would sleep until its network or its timer has news;
//! asking too often does no harm, since the core looks at what is true and not at who called. `main.rs` is the application.

pub mod io;
pub mod storage;

use demitasse_core::{Capacities, Config, Scratch, Settings, Sizing, State};
use std::error::Error;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// The core's producer, with this program's storage.
pub type Producer = demitasse_core::Producer<storage::Bare>;

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

/// Runs an application beside the producer that it uses. `address` is `HOST:PORT` of a broker.
///
/// # Errors
/// The settings cannot work, or the application ended so.
pub fn run(
    address: &str,
    config: &Config,
    application: impl AsyncFnOnce(&Producer) -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let (host, port) = address.rsplit_once(':').ok_or("HOST:PORT")?;
    let mut config = config.clone();
    config.max_in_flight = SIZING.max_in_flight;
    let network = io::Network::new();
    let producer = Producer::new(storage::Lock::new(State::new(storage::tables(&CAPACITIES))), network);
    producer.lend((0..CAPACITIES.buffers).map(|_| vec![0; CAPACITIES.batch_bytes as usize]));
    let scratch = (CAPACITIES.frame_bytes as usize, CAPACITIES.receive_bytes as usize);
    producer.start(Settings::new(&config)?, &[(host, port.parse()?)], scratch, std::process::id())?;

    let (mut frame, mut receive) = (vec![0; scratch.0], vec![0; scratch.1]);
    let mut clock = pin!(producer.run_clock(&network));
    let mut connection = pin!(producer.run_connection(&network, 0, Scratch::new(&mut frame, &mut receive)));
    let mut application = pin!(async {
        let result = application(&producer).await;
        producer.close(Duration::from_secs(5)).await;
        result
    });

    let mut context = Context::from_waker(Waker::noop());
    let (mut connection_ended, mut clock_ended) = (false, false);
    loop {
        // First, so that the topics it wants are asked for in the first requests.
        if let Poll::Ready(result) = application.as_mut().poll(&mut context) {
            return result;
        }
        clock_ended = clock_ended || clock.as_mut().poll(&mut context).is_ready();
        connection_ended = connection_ended || connection.as_mut().poll(&mut context).is_ready();
        std::thread::sleep(Duration::from_millis(1));
    }
}
