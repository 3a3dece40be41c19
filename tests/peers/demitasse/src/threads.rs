//! From a plain thread; the producer has one of its own.

use crate::open::Open;
use crate::{BETWEEN_LOOKS, builder};
use anyhow::Result;
use demitasse_io_std::Record;
use peer::{Arguments, Run};
use std::time::Duration;

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let producer = builder(arguments)?.start()?;
    let topic = producer.topic(&arguments.topic)?;
    let payload = arguments.payload();
    let record = Record::new(&payload);
    let first = producer.send_blocking(topic, &record)?;
    producer.wait_blocking(first)?;

    let mut open = Open::new(arguments, first);
    let between = (BETWEEN_LOOKS / arguments.size.max(1)).max(1) as u64;
    let run = Run::begin(arguments)?;
    for number in 0..arguments.records {
        if arguments.rate.is_some() {
            let sent = run.pace(number);
            let delivery = producer.send_blocking(topic, &record)?;
            open.add_timed(delivery, sent);
            producer.wait_blocking(delivery)?;
            open.look(&producer)?;
        } else {
            open.add(producer.send_blocking(topic, &record)?);
            if number % between == 0 {
                open.look(&producer)?;
            }
        }
    }
    producer.flush_blocking()?;
    open.look(&producer)?;
    producer.close_blocking(Duration::from_secs(1));
    open.end(run, &arguments.mode)
}
