//! `cargo run -p demitasse-bare -- HOST:PORT TOPIC`: ten records, with no runtime at all.

use demitasse_bare::run;
use demitasse_core::{Config, Record};
use std::error::Error;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, topic] = arguments.as_slice() else {
        eprintln!("usage: demitasse-bare HOST:PORT TOPIC");
        return ExitCode::from(2);
    };
    match ten_records(address, topic) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // In its own words: what `main` returns would be shown by its fields.
            eprintln!("demitasse-bare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn ten_records(address: &str, topic: &str) -> Result<(), Box<dyn Error>> {
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
