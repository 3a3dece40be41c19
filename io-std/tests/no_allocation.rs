//! After the start nothing is allocated: here an allocation by the client panics.

use demitasse_broker::{Options, Server};
use demitasse_io_std::guard::{self, GuardedAllocator};
use demitasse_io_std::{Producer, Record, Topic};
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
