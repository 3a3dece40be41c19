//! The adapter against the stand-in broker over loopback.

use demitasse_broker::{Options, Server};
use demitasse_io_std::{Consumer, DeliveryFailure, Producer, Record, Start};
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

#[tokio::test]
async fn dropping_the_last_handle_sends_what_was_taken_without_blocking() {
    let server = Server::start(options()).unwrap();
    let producer = Producer::builder().bootstrap_servers(&server.bootstrap()).linger(Duration::from_secs(60));
    let producer = producer.start().unwrap();
    let topic = producer.topic("dropped").unwrap();
    producer.send(topic, &Record::new(b"first")).await.unwrap();
    for _ in 0..10 {
        producer.try_send(topic, &Record::new(b"x")).unwrap();
    }
    drop(producer);
    let written = |c: &mut demitasse_broker::Cluster| -> usize {
        (0..4).filter_map(|p| c.partition("dropped", p)).map(|p| p.records().count()).sum()
    };
    let all = async {
        while server.with(written) < 11 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), all).await.expect("what was taken arrives");
}

/// As of a test that shares a client with others: each has a runtime of its own.
#[test]
fn who_waits_is_told_when_the_runtime_has_ended() {
    let server = Server::start(options()).unwrap();
    let first = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let second = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (producer, consumer) = first.block_on(async {
        let producer = Producer::builder().bootstrap_servers(&server.bootstrap()).set("linger.ms", "60000").unwrap();
        (producer.start().unwrap(), Consumer::builder().bootstrap_servers(&server.bootstrap()).start().unwrap())
    });
    let delivery = second.block_on(async {
        let topic = producer.topic("readings").unwrap();
        let delivery = producer.send(topic, &Record::new(b"21.5")).await.unwrap();
        let topic = consumer.topic("readings").unwrap();
        consumer.wait_partitions(topic).await.unwrap();
        consumer.assign(topic, 0, Start::Beginning).unwrap();
        delivery
    });
    drop(first);
    second.block_on(async {
        let patience = Duration::from_secs(20);
        let outcome = tokio::time::timeout(patience, producer.wait(delivery)).await.unwrap();
        assert!(matches!(outcome.unwrap_err().cause, DeliveryFailure::Failure(_)), "{outcome:?}");
        tokio::time::timeout(patience, producer.close(patience)).await.unwrap();
        assert!(tokio::time::timeout(patience, consumer.poll(1)).await.unwrap().unwrap().is_none());
        tokio::time::timeout(patience, consumer.close()).await.unwrap().unwrap();
    });
}

#[tokio::test]
async fn every_address_of_a_name_is_tried() {
    // `localhost` may be ::1 as well, where nobody listens.
    let server = Server::start(Options { host: "localhost".to_owned(), ..options() }).unwrap();
    let port = server.addresses()[0].port();
    let producer = Producer::builder().bootstrap_servers(&format!("localhost:{port}")).start().unwrap();
    let topic = producer.topic("named").unwrap();
    let delivery = producer.send(topic, &Record::new(b"x")).await.unwrap();
    assert!(producer.wait(delivery).await.is_ok());
}

#[tokio::test]
async fn an_error_says_whose_fault_it_is() {
    use demitasse_io_std::{ConnectionError, Fault, SendError, TopicError};
    let refused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (address, expected) in [
        (refused.to_string(), ConnectionError::Refused),
        ("no-such-host.invalid:9092".to_owned(), ConnectionError::Resolve),
    ] {
        let builder = Producer::builder().bootstrap_servers(&address).max_block(Duration::from_millis(400));
        let producer = builder.start().unwrap();
        let topic = producer.topic("t").unwrap();
        let error = producer.send(topic, &Record::new(b"x")).await.unwrap_err();
        let SendError::Timeout { connection, .. } = error else { panic!("{error}") };
        assert_eq!((connection, error.fault()), (Some(expected), Fault::Network), "{error}");
    }
    let producer = Producer::builder().bootstrap_servers("127.0.0.1:1").batch_size(1000).start().unwrap();
    let topic = producer.topic("t").unwrap();
    let error = producer.send(topic.partition(0), &Record::new(&[0; 1000])).await.unwrap_err();
    let SendError::RecordTooLarge { needed, capacity } = error else { panic!("{error}") };
    assert!(needed > 1061 && capacity == 1000 && error.fault() == Fault::Setting, "{error}");
    assert_eq!(producer.topic("not a topic"), Err(TopicError::InvalidName));
    producer.close(Duration::ZERO).await;
    assert_eq!(producer.try_send(topic, &Record::new(b"x")), Err(SendError::Closed));
}

#[tokio::test]
async fn a_full_disk_is_told_by_its_code_and_is_no_certain_failure() {
    use demitasse_io_std::{DeliveryFailure, ErrorCode};
    let server = Server::start(options()).unwrap();
    server.with(|cluster| {
        cluster.create_topic("full", 1);
        cluster.set_disk_full(1, true);
    });
    let builder = Producer::builder().bootstrap_servers(&server.bootstrap());
    let producer = builder.delivery_timeout(Duration::from_millis(600)).start().unwrap();
    let topic = producer.topic("full").unwrap();
    let delivery = producer.send(topic, &Record::new(b"x")).await.unwrap();
    let error = producer.wait(delivery).await.unwrap_err();
    let DeliveryFailure::Failure(failure) = error.cause else { panic!("{error}") };
    // A disk that fails in the midst of an append may have kept it: nobody can tell.
    assert_eq!((failure.code, error.failed, error.unknown), (ErrorCode::KAFKA_STORAGE_ERROR, 0, 1), "{error}");
    assert!(error.to_string().contains("disk"), "{error}");
    // The disk has room again, and nothing else was disturbed.
    server.with(|cluster| cluster.set_disk_full(1, false));
    let delivery = producer.send(topic, &Record::new(b"y")).await.unwrap();
    assert_eq!(producer.wait(delivery).await.unwrap().partition, 0);
}
