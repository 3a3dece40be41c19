//! The smallest producer with demitasse: what a build takes, and how large it is.

use demitasse_io_std::{Producer, Record};
use std::error::Error;
use std::time::Duration;

fn main() -> Result<(), Box<dyn Error>> {
    let producer = Producer::builder().bootstrap_servers("localhost:9092").start()?;
    let topic = producer.topic("t")?;
    producer.wait_blocking(producer.send_blocking(topic, &Record::new(b"v"))?)?;
    producer.close_blocking(Duration::from_secs(10));
    Ok(())
}
