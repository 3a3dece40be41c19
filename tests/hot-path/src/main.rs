//! A fixed workload without a network: records handed over, batched, sealed, written, acknowledged, their outcomes asked
//! for. `cargo xtask hot-path` counts its instructions under callgrind and compares them with those of `floor.txt`.
//!
//! Counted is what runs inside the functions of [`hot`]; the stand-in broker's own work is left out.

mod memory;

use demitasse_broker::{Cluster, Options};
use demitasse_core::{Capacities, Config, Delivery, Destination, Producer, Record, Scratch, Settings, Sizing, State};
use demitasse_simulation::executor::Executor;
use demitasse_simulation::platform::{CellLock, Simulated, SimulatedClock, tables};
use memory::Memory;
use std::cell::Cell;
use std::collections::VecDeque;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Waker};

const PARTITIONS: i32 = 4;
const SLICE: usize = 64;

/// What is counted: functions that are never inlined, so that callgrind knows them by name.
mod hot {
    use super::*;
    use demitasse_core::{DeliveryError, Receipt, SendError};

    #[inline(never)]
    pub(crate) fn send(
        producer: &Producer<Simulated>,
        to: Destination,
        record: &Record<'_>,
    ) -> Result<Delivery, SendError> {
        producer.try_send(to, record)
    }

    #[inline(never)]
    pub(crate) fn send_slice(
        producer: &Producer<Simulated>,
        to: Destination,
        records: &[Record<'_>],
    ) -> Result<Delivery, SendError> {
        producer.try_send_slice(to, records)
    }

    #[inline(never)]
    pub(crate) fn outcome(
        producer: &Producer<Simulated>,
        delivery: &Delivery,
    ) -> Option<Result<Receipt, DeliveryError>> {
        producer.outcome(delivery)
    }

    #[inline(never)]
    pub(crate) fn drive(driver: Pin<&mut dyn Future<Output = ()>>) {
        let _ = driver.poll(&mut Context::from_waker(Waker::noop()));
    }
}

/// How the records are handed over.
struct Workload {
    name: &'static str,
    value_bytes: usize,
    /// In slices, or one by one.
    slices: bool,
}

const WORKLOADS: [Workload; 4] = [
    Workload { name: "each-100", value_bytes: 100, slices: false },
    Workload { name: "each-1000", value_bytes: 1000, slices: false },
    Workload { name: "slices-100", value_bytes: 100, slices: true },
    Workload { name: "slices-1000", value_bytes: 1000, slices: true },
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, records] = arguments.as_slice() else {
        for workload in WORKLOADS {
            println!("{}", workload.name);
        }
        return;
    };
    let workload = WORKLOADS.into_iter().find(|workload| workload.name == name).expect("one of the workloads");
    run(&workload, records.parse().expect("a number of records"));
}

fn producer() -> (Producer<Simulated>, Capacities) {
    let sizing = Sizing {
        buffer_memory: 16 << 20,
        batch_size: 64 * 1024,
        partitions: 16,
        topics: 4,
        brokers: 4,
        connections: 1,
        max_in_flight: 5,
        waiters: 16,
    };
    let capacities = Capacities::derive(&sizing);
    // Time stands still: what is sent is sent because a batch is full.
    let clock = SimulatedClock { time: Executor::new().time, wall_offset: Rc::new(Cell::new(0)) };
    let producer = Producer::new(CellLock::new(State::new(tables(&capacities))), clock);
    producer.lend((0..capacities.buffers).map(|_| vec![1; capacities.batch_bytes as usize].into_boxed_slice()));
    let scratch = (capacities.frame_bytes as usize, capacities.receive_bytes as usize);
    producer
        .start(Settings::new(&Config::new()).expect("the defaults"), &[("broker", 9092)], scratch, 1)
        .expect("sizes that work together");
    (producer, capacities)
}

fn run(workload: &Workload, records: usize) {
    let (producer, capacities) = producer();
    let options =
        Options { host: "broker".into(), ports: vec![9092], retention_bytes: Some(1 << 20), ..Options::default() };
    let mut cluster = Cluster::new(options);
    cluster.create_topic("t", PARTITIONS);
    let memory = Memory::new(cluster);
    let io = &memory;
    let topic = producer.topic("t").expect("a place for a topic");
    let (mut frame, mut receive) =
        (vec![0; capacities.frame_bytes as usize], vec![0; capacities.receive_bytes as usize]);
    let scratch = Scratch::new(&mut frame, &mut receive);
    let mut clock = pin!(producer.run_clock(&io));
    let mut connection = pin!(producer.run_connection(&io, 0, scratch));
    let mut drive = || {
        for _ in 0..8 {
            hot::drive(clock.as_mut());
            hot::drive(connection.as_mut());
        }
    };
    while producer.partitions(topic).is_none() {
        drive();
    }

    let value = vec![b'x'; workload.value_bytes];
    let record = Record::new(&value);
    let slice = [record; SLICE];
    let mut window: VecDeque<Delivery> = VecDeque::with_capacity(1 << 20);
    let (mut sent, mut told) = (0, 0);
    while sent < records {
        let to = topic.partition((sent / SLICE) as i32 % PARTITIONS);
        if workload.slices {
            window.push_back(hot::send_slice(&producer, to, &slice).expect("room"));
        } else {
            window.extend((0..SLICE).map(|_| hot::send(&producer, to, &record).expect("room")));
        }
        sent += SLICE;
        if sent % (16 * SLICE) == 0 {
            drive();
            told += observe(&producer, &mut window);
        }
    }
    // Polled once it has told the producer not to wait for more.
    let _ = pin!(producer.flush()).poll(&mut Context::from_waker(Waker::noop()));
    while !window.is_empty() {
        drive();
        told += observe(&producer, &mut window);
    }
    assert_eq!(told, sent, "every record was acknowledged");
}

/// The outcomes that are known, in order; of how many records.
fn observe(producer: &Producer<Simulated>, window: &mut VecDeque<Delivery>) -> usize {
    let mut told = 0;
    while let Some(result) = window.front().and_then(|delivery| hot::outcome(producer, delivery)) {
        told += result.expect("acknowledged").count as usize;
        window.pop_front();
    }
    told
}
