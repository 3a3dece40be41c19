//! A consumer of a log whose batches have right lengths and checksums, and anything behind: compressed bytes that are none,
//! records that are none, counts that lie. It hands out what is sound, tells what is not, goes on, and ends.

use crate::input::Input;
use demitasse_broker::{Cluster, Options};
use demitasse_core::records::crc32c::crc32c;
use demitasse_core::records::lz4::{self, Lz4};
use demitasse_core::records::{HEADER_BYTES, Sealing, seal};
use demitasse_core::{Capacities, Compression, Config, Consumer, Inflater, Scratch, Settings, Sizing, Start, State};
use demitasse_simulation::executor::Executor;
use demitasse_simulation::network::{FIRST_PORT, Network, Weather, millis};
use demitasse_simulation::platform::{CellLock, Simulated, SimulatedClock, tables_with};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

const SIZING: Sizing = Sizing {
    buffer_memory: 512,
    batch_size: 512,
    partitions: 2,
    topics: 1,
    brokers: 2,
    connections: 1,
    max_in_flight: 1,
    waiters: 4,
};

/// The largest chunk; of three inputs of four a smaller one, so that a batch is more than it holds.
const CHUNK_BYTES: usize = 1024;
const MOST_BATCHES: usize = 12;

/// More polls at one instant than any honest run needs.
const POLLS_AN_INSTANT: u64 = 20_000;

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let mut executor = Executor::new();
    let time = executor.time.clone();
    let ports = vec![FIRST_PORT];
    let mut cluster = Cluster::new(Options { nodes: 1, host: "broker".into(), ports, ..Options::default() });
    cluster.advance(millis(0));
    cluster.create_topic("t", 1);
    let (window, max) = (64 << input.below(12), input.below(20) as u32 + 1);
    for _ in 0..MOST_BATCHES {
        if input.is_over() {
            break;
        }
        cluster.append_batch("t", 0, &batch(&mut input)).unwrap();
    }
    let end = cluster.partition("t", 0).map_or(0, |partition| partition.end_offset());
    let network = Network::new(cluster, Weather { latency: 100, ..Weather::default() }, 1, time.clone());
    executor.spawn(network.clone().pump());

    let capacities = Capacities::derive(&SIZING).without_batches();
    let clock = SimulatedClock { time, wall_offset: Rc::new(Cell::new(0)) };
    let consumer = Rc::new(Consumer::<Simulated>::new(CellLock::new(State::new(tables_with(&capacities, 2))), clock));
    let buffer = |bytes: usize| vec![0; bytes].into_boxed_slice();
    consumer.lend((0..2).map(|_| buffer(CHUNK_BYTES >> (data.len() % 4))));
    consumer.lend_inflater(Box::new(Inflater::new(Lz4::new(), buffer(window))));
    let scratch = (capacities.frame_bytes as usize, capacities.receive_bytes as usize);
    let mut config = Config::new();
    config.fetch_max_wait = Duration::from_millis(10);
    consumer.start(Settings::new(&config).unwrap(), &[("broker", FIRST_PORT)], scratch, 1).unwrap();
    let topic = consumer.topic("t").unwrap();
    consumer.assign(topic, 0, Start::Beginning).unwrap();

    let mut tasks = Vec::new();
    let (driven, world) = (consumer.clone(), network.clone());
    tasks.push(executor.spawn(async move {
        let (mut frame, mut receive) = (buffer(scratch.0), buffer(scratch.1));
        let scratch = Scratch::new(&mut frame, &mut receive);
        driven.run_connection(&world, 0, scratch).await;
    }));
    let (driven, world) = (consumer.clone(), network.clone());
    tasks.push(executor.spawn(async move { driven.run_clock(&world).await }));
    let reached = Rc::new(RefCell::new(0));
    let (polled, at) = (consumer.clone(), reached.clone());
    tasks.push(executor.spawn(async move {
        let mut next = 0;
        loop {
            match polled.poll(max).await {
                Ok(None) => return,
                Ok(Some(fetched)) => {
                    for record in fetched.records() {
                        assert!(record.offset >= next && record.offset < end, "{} behind {next}", record.offset);
                        let _ =
                            (record.key.map(<[u8]>::len), record.headers.map(|header| header.key.len()).sum::<usize>());
                        next = record.offset + 1;
                    }
                }
                Err(error) => {
                    assert!(error.offset >= next && error.offset <= end, "{error} at {next} of {end}");
                    // Past the record that is wrong, or the first one of the batch that is.
                    next = (error.offset + 1).min(end);
                    polled.seek(topic, 0, Start::Offset(next));
                }
            }
            *at.borrow_mut() = next;
        }
    }));
    advance(&mut executor, 20_000_000);
    consumer.close_in_background();
    advance(&mut executor, 2_000_000);
    assert!(tasks.iter().all(|&task| executor.is_done(task)), "a task does not end");
    let position = consumer.position(topic, 0);
    assert!(position.is_some_and(|position| position >= end), "it stopped at {position:?} of {end}");
}

fn advance(executor: &mut Executor, micros: u64) {
    let until = executor.time.now() + micros;
    executor.spawn(executor.time.sleep_until(until));
    while executor.step(until, POLLS_AN_INSTANT).unwrap() {}
}

/// The next batch that the bytes say.
fn batch(input: &mut Input<'_>) -> Vec<u8> {
    let (kind, records) = (input.byte(), input.below(20) as u32 + 1);
    let mut bytes = vec![0; HEADER_BYTES];
    let content = input.bytes();
    let compression = match kind % 4 {
        0 => Compression::None,
        1 => Compression::Gzip,
        _ => Compression::Lz4,
    };
    if kind % 4 == 3 {
        // The codec's bytes are right, what they stand for is not; several times, so that it is more than a window.
        let content = content.repeat(1 + usize::from(kind / 4));
        let mut packed = vec![0; content.len() + 1000];
        let length = lz4::compress(&content, &mut packed, &mut [[0; 2]; lz4::TABLE]).unwrap();
        bytes.extend(&packed[..length.min(CHUNK_BYTES - 200)]);
    } else {
        bytes.extend(content);
    }
    let sealing = Sealing {
        compression,
        base_timestamp: 1,
        max_timestamp: 1,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        records,
    };
    seal(&mut bytes, &sealing, crc32c);
    bytes
}
