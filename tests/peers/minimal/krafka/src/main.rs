//! The smallest producer with krafka: what a build takes, and how large it is. TLS cannot be left out.

use krafka::{Kafka, Record};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let producer = Kafka::builder("localhost:9092").connect().await?.producer().build().await?;
        drop(producer.send(Record::new("t", "v")).await?);
        producer.close().await?;
        Ok(())
    })
}
