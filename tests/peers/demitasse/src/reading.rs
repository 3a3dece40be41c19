//! Reading: `poll` on the thread that the consumer's own tasks run on, and each record where it landed.

use anyhow::{Context, Result};
use demitasse_io_std::{Consumer, Start};
use peer::{Arguments, Latencies, Run};
use std::hint::black_box;

/// Records of one `poll`.
const MOST: u64 = 10_000;

pub(crate) async fn run(arguments: &Arguments) -> Result<()> {
    let consumer = Consumer::builder().bootstrap_servers(&arguments.bootstrap).start()?;
    let topic = consumer.topic(&arguments.topic)?;
    let partitions = consumer.wait_partitions(topic).await?;
    let latencies = Latencies::new();

    let run = Run::begin(arguments)?;
    for partition in 0..partitions as i32 {
        consumer.assign(topic, partition, Start::Beginning)?;
    }
    let mut seen = 0;
    while seen < arguments.records {
        let most = (arguments.records - seen).min(MOST) as u32;
        let fetched = consumer.poll(most).await?.context("it is closed")?;
        for record in fetched.records() {
            black_box((record.key, record.value));
            seen += 1;
        }
    }
    run.end("demitasse", env!("CARGO_PKG_VERSION"), seen, 0, &latencies)
}
