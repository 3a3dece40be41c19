//! The smallest producer with rdkafka: what a build takes, and how large it is. Without TLS, like the others.

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::error::Error;
use std::time::Duration;

fn main() -> Result<(), Box<dyn Error>> {
    let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", "localhost:9092").create()?;
    producer.send(BaseRecord::<(), str>::to("t").payload("v")).map_err(|(error, _)| error)?;
    producer.flush(Duration::from_secs(10))?;
    Ok(())
}
