//! One program, three ways to the stand-in: each request of each connection is the same, byte for byte.
//!
//! Batches end because they are full or because of `flush`; no clock has a say in it, and every record has a timestamp.

use demitasse_broker::{Cluster, Options};
use demitasse_core::{Config, Header, Name, Record};
use demitasse_embassy_link_tests::workload::spawn;
use demitasse_embassy_link_tests::world::{PORT, World};
use demitasse_embassy_link_tests::{Weather, world};
use demitasse_io_embassy::{Fixed, storage};
use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Requests of each connection.
type Capture = Vec<Vec<Vec<u8>>>;

const TOPIC: &str = world::TOPIC;
const PARTITIONS: i32 = 3;
/// Milliseconds since 1970.
const FIRST: i64 = 1_760_000_000_000;

/// Given at the start to two of the three, and compiled into the third.
const CONFIG: Config = {
    let mut config = Config::new();
    config.client_id = Name::new("same-bytes");
    // Longer than the test takes, and shorter than a delivery may.
    config.linger = Duration::from_secs(100);
    config.max_in_flight = 2;
    config
};

fn prepare(cluster: &mut Cluster) {
    cluster.delete_topic(TOPIC);
    cluster.create_topic(TOPIC, PARTITIONS);
    cluster.set_next_producer_id(4711);
    cluster.capture();
}

/// The program. A macro, because the three producers are of three types with the same methods.
macro_rules! calls {
    ($producer:expr) => {{
        let producer = $producer;
        let topic = producer.topic(TOPIC)?;
        // The first waits until the topic is known; after it there is room for all others.
        let headers = [Header { key: "unit", value: Some(b"celsius") }, Header { key: "none", value: None }];
        let first = Record::new(b"21.5").key(b"kitchen").headers(&headers).timestamp(FIRST);
        let delivery = producer.send(topic, &first).await?;
        producer.flush().await?;
        producer.wait(delivery).await?;

        // Keys choose partitions; a tombstone, an empty value, timestamps out of order.
        for i in 0..12 {
            let key = [b'a' + i as u8];
            let value = vec![i as u8; 3 * i];
            let record = if i == 5 { Record::tombstone(&key) } else { Record::new(&value).key(&key) };
            producer.try_send(topic, &record.timestamp(FIRST + 1000 - 10 * i as i64))?;
        }
        producer.flush().await?;

        // Two batches of a partition that are sent because they are full, and a third by `flush`.
        for i in 0..7 {
            producer.send(topic.partition(1), &Record::new(&[i; 300]).timestamp(FIRST + i64::from(i))).await?;
        }
        producer.flush().await?;

        // Many records, one delivery.
        let values = [[1; 30], [2; 30], [3; 30]];
        let records = values.each_ref().map(|value| Record::new(value).timestamp(FIRST));
        let delivery = producer.send_slice(topic.partition(2), &records).await?;
        producer.flush().await?;
        producer.wait(delivery).await?;
        Ok::<(), Box<dyn Error>>(())
    }};
}

/// Requests that are sent before the versions are agreed on: ApiVersions, and what is asked for on assumption.
const ASSUMED: usize = 3;

/// The stand-in on a port of this machine, for one connection; and what arrived over it.
///
/// The first answers wait for [`ASSUMED`] requests: which versions these have would else depend on who is quicker.
fn stand_in() -> (String, JoinHandle<io::Result<Capture>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut cluster = Cluster::new(Options { ports: vec![address.port()], ..Options::default() });
    prepare(&mut cluster);
    let serve = move || {
        let (mut socket, _) = listener.accept()?;
        let connection = cluster.connect(1).unwrap();
        let (mut requests, mut answers) = (0, Vec::new());
        while let Some(request) = request(&mut socket)? {
            requests += 1;
            answers.extend(cluster.handle(connection, &request, FIRST as u64).bytes.unwrap());
            if requests >= ASSUMED {
                socket.write_all(&answers)?;
                answers.clear();
            }
        }
        Ok(cluster.captured())
    };
    (address.to_string(), thread::spawn(serve))
}

/// The next request; none at the end.
fn request(socket: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    if socket.read(&mut length[..1])? == 0 {
        return Ok(None);
    }
    socket.read_exact(&mut length[1..])?;
    let mut request = vec![0; u32::from_be_bytes(length) as usize];
    socket.read_exact(&mut request)?;
    Ok(Some(request))
}

fn by_bare() -> Capture {
    let (address, arrived) = stand_in();
    demitasse_bare::run(&address, &CONFIG, async |producer| calls!(producer)).unwrap();
    arrived.join().unwrap().unwrap()
}

fn by_std() -> Capture {
    let (address, arrived) = stand_in();
    // One thread, so that the order in which the calls and the producer's own work are done is the same each time.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime
        .block_on(async {
            let mut builder = demitasse_io_std::Producer::builder().bootstrap_servers(&address);
            builder = builder.batch_size(1024).buffer_memory(4096);
            *builder.config_mut() = CONFIG;
            let producer = builder.start()?;
            let result = calls!(&producer);
            producer.close(Duration::from_secs(5)).await;
            result
        })
        .unwrap();
    arrived.join().unwrap().unwrap()
}

fn by_embassy() -> Capture {
    struct Compiled;
    impl Fixed for Compiled {
        const CONFIG: Config = CONFIG;
    }
    storage! { static KAFKA: Kafka<Compiled> { batch_bytes: 1024, buffers: 4, partitions: 16 } }
    let mut world = World::new(Weather { latency: 500, ..Weather::default() }, 1);
    prepare(&mut world.cluster.borrow_mut());
    let (producer, runner) = KAFKA.start(world.stack, Compiled, &[("10.0.0.2", PORT)], 1).unwrap();
    spawn(&mut world, runner);
    world.executor.run(60, async { calls!(producer) }).unwrap();
    world.executor.run(60, producer.close(Duration::from_secs(5)));
    world.cluster.borrow().captured()
}

/// API key, version and correlation id of each request, to see where two captures part.
fn headers(capture: &Capture) -> Vec<Vec<(i16, i16, i32, usize)>> {
    let header = |frame: &Vec<u8>| {
        let half = |at| i16::from_be_bytes([frame[at], frame[at + 1]]);
        (half(0), half(2), i32::from_be_bytes([frame[4], frame[5], frame[6], frame[7]]), frame.len())
    };
    capture.iter().map(|connection| connection.iter().map(header).collect()).collect()
}

#[test]
fn the_same_calls_give_the_same_bytes() {
    let bare = by_bare();
    println!("{:?}", headers(&bare));
    let bytes: usize = bare.iter().flatten().map(Vec::len).sum();
    // ApiVersions, Metadata, InitProducerId, and at least a Produce for each flush; else nothing was compared.
    assert!(bare.iter().flatten().count() >= ASSUMED + 4 && bytes > 2500, "{:?}", headers(&bare));
    for (name, other) in [("io-std", by_std()), ("io-embassy", by_embassy())] {
        assert_eq!(headers(&bare), headers(&other), "examples/bare and {name}");
        // Not `assert_eq`: two thousand numbers twice help nobody.
        let differs = bare.iter().flatten().zip(other.iter().flatten()).position(|(a, b)| a != b);
        assert_eq!(differs, None, "the first request that differs between examples/bare and {name}");
    }
}
