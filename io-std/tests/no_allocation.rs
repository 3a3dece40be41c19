//! After the start nothing is allocated: here an allocation by the client panics.

use demitasse_broker::{Options, Server};
use demitasse_io_std::guard::{self, GuardedAllocator};
use demitasse_io_std::{Compression, Consumer, Producer, Record, Start, Topic};
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: GuardedAllocator = GuardedAllocator::new();

/// One test, since the guard is the process's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_allocated_after_the_start() {
    let server = Server::start(Options { default_partitions: 3, ..Options::default() }).unwrap();
    let builder = Producer::builder().bootstrap_servers(&server.bootstrap()).buffer_memory(1 << 20);
    let producer = builder.batch_size(16 * 1024).linger(Duration::from_millis(1)).start().unwrap();
    let topic = producer.topic("quiet").unwrap();
    // The first record of each partition opens connections, which the runtime allocates for.
    for partition in 0..3 {
        let delivery = producer.send(topic.partition(partition), &Record::new(b"first")).await.unwrap();
        producer.wait(delivery).await.unwrap();
    }

    guard::deny(true);
    let before = guard::counts();
    let value = [7; 500];
    for round in 0..200 {
        let record = Record::new(&value).timestamp(1_760_000_000_000 + round);
        let single = producer.send(topic, &record).await.unwrap();
        let slice = producer.send_slice(topic, &[record; 16]).await.unwrap();
        let mut last = None;
        producer.send_each(topic, &[record.key(b"k"); 8], |delivery| last = Some(delivery)).await.unwrap();
        for delivery in [Some(single), Some(slice), last].into_iter().flatten() {
            producer.wait(delivery).await.unwrap();
        }
    }
    producer.flush().await.unwrap();
    blocking(&producer, topic).await;
    let after = guard::counts();
    guard::deny(false);

    assert_eq!((after.client, after.connecting), (before.client, before.connecting));
    assert_eq!(producer.metrics().counters.acknowledged, 3 + 200 * 25 + 201);
    producer.close(Duration::from_secs(5)).await;

    #[cfg(all(feature = "gzip", feature = "snappy", feature = "lz4", feature = "zstd"))]
    for compression in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        compressed(&server, compression).await;
    }
}

/// Both directions, through a window that every batch fills several times. zstd's own memory is C's, and not seen here.
#[cfg(all(feature = "gzip", feature = "snappy", feature = "lz4", feature = "zstd"))]
async fn compressed(server: &Server, compression: Compression) {
    let bootstrap = server.bootstrap();
    let producer = Producer::builder().bootstrap_servers(&bootstrap).buffer_memory(1 << 20).compression(compression);
    let producer = producer.batch_size(256 * 1024).start().unwrap();
    let name = format!("quiet-{compression}");
    let topic = producer.topic(&name).unwrap().partition(0);
    let value: Vec<u8> = (0..500u32).flat_map(|i| format!("{i} readings;").into_bytes()).take(700).collect();
    let send = async |records: usize| {
        let slice = vec![Record::new(&value).timestamp(1); records];
        producer.wait(producer.send_slice(topic, &slice).await.unwrap()).await.unwrap();
    };
    send(300).await;
    guard::deny(true);
    let before = guard::counts();
    send(300).await;
    let after = guard::counts();
    guard::deny(false);
    assert_eq!(after.client, before.client, "{compression}");
    assert!(producer.memory().compression.bytes() > 0);
    producer.close(Duration::from_secs(5)).await;
    let size =
        server.with(|cluster| cluster.partition(&name, 0).unwrap().batches().map(|b| b.bytes().len()).sum::<usize>());
    assert!(size < 100_000, "{compression}: {size}");

    let consumer = Consumer::builder().bootstrap_servers(&bootstrap).decompression_bytes(110_000).start().unwrap();
    let topic = consumer.topic(&name).unwrap();
    consumer.assign(topic, 0, Start::Beginning).unwrap();
    let (mut polls, mut next) = (0, 0);
    let mut before = guard::counts();
    while next < 600 {
        let fetched = consumer.poll(1000).await.unwrap().unwrap();
        for record in fetched.records() {
            assert_eq!((record.offset, record.value), (next, Some(&value[..])));
            next += 1;
        }
        drop(fetched);
        if polls == 0 {
            guard::deny(true);
            before = guard::counts();
        }
        polls += 1;
    }
    let after = guard::counts();
    guard::deny(false);
    assert_eq!(after.client, before.client, "{compression}");
    assert!(polls >= 4, "{compression}: {polls} polls");
    consumer.close().await.unwrap();
}

/// From a plain thread, by the calls that block.
async fn blocking(producer: &Producer, topic: Topic) {
    let producer = producer.clone();
    let send = move || {
        for _ in 0..201 {
            let delivery = producer.send_blocking(topic, &Record::new(b"from a thread")).unwrap();
            producer.wait_blocking(delivery).unwrap();
        }
    };
    tokio::task::spawn_blocking(send).await.unwrap();
}
