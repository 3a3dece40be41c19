//! The smallest producer with Confluent's client: what a build takes, and how large it is. Without TLS, like the
//! others.

use confluent_kafka::common::serialization::ByteArraySerializer;
use confluent_kafka::producer::{KafkaProducer, Producer, ProducerConfig, ProducerRecord};
use std::collections::HashMap;
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let properties = HashMap::from([("bootstrap.servers".to_owned(), "localhost:9092".to_owned())]);
        let config = ProducerConfig::new(&properties)?;
        let producer =
            KafkaProducer::<Vec<u8>, Vec<u8>>::new(config, ByteArraySerializer::new(), ByteArraySerializer::new())?;
        let record = ProducerRecord::<&[u8], &[u8]>::new("t".to_owned(), Some(b"v"));
        producer.send(record, None).await?.get().await?;
        producer.close().await?;
        Ok(())
    })
}
