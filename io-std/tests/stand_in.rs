//! The adapter against the stand-in broker over loopback.

use demitasse_broker::{Options, Server};
use demitasse_io_std::{Producer, Record};
use std::time::Duration;

fn options() -> Options {
    Options { default_partitions: 4, ..Options::default() }
}

#[tokio::test]
async fn records_are_written_once_in_order_with_their_offsets() {
    let server = Server::start(options()).unwrap();
    let producer = Producer::builder().bootstrap_servers(&server.bootstrap()).start().unwrap();
    let topic = producer.topic("readings").unwrap();
    let mut deliveries = Vec::new();
    for i in 0..1000u32 {
        let (key, value) = ((i % 7).to_string(), i.to_string());
        let record = Record::new(value.as_bytes()).key(key.as_bytes());
        deliveries.push((i, producer.send(topic, &record).await.unwrap()));
    }
    for (i, delivery) in deliveries {
        let receipt = producer.wait(delivery).await.unwrap();
        let value = server.with(|cluster| {
            let partition = cluster.partition("readings", receipt.partition).unwrap();
            let record = partition.records_from(receipt.offset.unwrap()).next().unwrap();
            record.value.map(|value| value.to_vec())
        });
        assert_eq!(value, Some(i.to_string().into_bytes()));
    }
    let metrics = producer.metrics();
    assert_eq!((metrics.counters.acknowledged, metrics.latency.records), (1000, 1000));
    producer.close(Duration::from_secs(5)).await;
    assert_eq!(metrics.memory.buffers.used, 0);
    let written: usize = server.with(|c| (0..4).map(|p| c.partition("readings", p).unwrap().records().count()).sum());
    assert_eq!(written, 1000);
}

#[test]
fn a_plain_thread_needs_no_runtime() {
    let server = Server::start(options()).unwrap();
    let producer = Producer::builder().bootstrap_servers(&server.bootstrap()).start().unwrap();
    let topic = producer.topic("plain").unwrap();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let producer = producer.clone();
            std::thread::spawn(move || {
                for _ in 0..50 {
                    let delivery = producer.send_blocking(topic, &Record::new(b"x")).unwrap();
                    producer.wait_blocking(delivery).unwrap();
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(producer.metrics().counters.acknowledged, 200);
}
