//! `cargo run -p demitasse-bare -- HOST:PORT TOPIC`: ten records, with no runtime at all.

use demitasse_bare::run;
use demitasse_core::{Config, Record};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, topic] = arguments.as_slice() else { return Err("usage: demitasse-bare HOST:PORT TOPIC".into()) };
    run(address, &Config::new(), async |producer| {
        let topic = producer.topic(topic)?;
        for i in 0..10 {
            let value = format!("reading {i}");
            let delivery = producer.send(topic, &Record::new(value.as_bytes())).await?;
            let receipt = producer.wait(delivery).await?;
            println!("partition {} offset {:?}", receipt.partition, receipt.offset);
        }
        Ok(())
    })
}
