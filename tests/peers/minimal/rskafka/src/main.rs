//! The smallest producer with rskafka: what a build takes, and how large it is.

use chrono::DateTime;
use rskafka::client::ClientBuilder;
use rskafka::client::partition::{Compression, UnknownTopicHandling};
use rskafka::record::Record;
use std::collections::BTreeMap;
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let client = ClientBuilder::new(vec!["localhost:9092".into()]).build().await?;
        let partition = client.partition_client("t", 0, UnknownTopicHandling::Retry).await?;
        let timestamp = DateTime::UNIX_EPOCH;
        let record = Record { key: None, value: Some(b"v".to_vec()), headers: BTreeMap::new(), timestamp };
        partition.produce(vec![record], Compression::NoCompression).await?;
        Ok(())
    })
}
