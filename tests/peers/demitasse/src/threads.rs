//! From plain threads; the producer has one of its own.

use crate::open::Open;
use crate::{BETWEEN_LOOKS, builder};
use anyhow::{Context, Result};
use demitasse_io_std::{Producer, Record, Topic};
use peer::{Arguments, Run};
use std::thread;
use std::time::Duration;

pub(crate) fn run(arguments: &Arguments, senders: u64) -> Result<()> {
    let producer = builder(arguments)?.start()?;
    let topic = producer.topic(&arguments.topic)?;
    let payload = arguments.payload();
    let first = producer.send_blocking(topic, &Record::new(&payload))?;
    producer.wait_blocking(first)?;

    let mut opens: Vec<_> = (0..senders).map(|_| Open::new(first)).collect();
    let run = Run::begin(arguments)?;
    thread::scope(|scope| {
        let send = |open| scope.spawn(|| send(arguments, &producer, topic, &run, senders, open));
        let threads: Vec<_> = opens.iter_mut().map(send).collect();
        threads.into_iter().try_for_each(|thread| thread.join().ok().context("a sender panicked")?)
    })?;
    producer.flush_blocking()?;
    opens.iter_mut().try_for_each(|open| open.look(&producer))?;
    producer.close_blocking(Duration::from_secs(1));
    let mut opens = opens.into_iter();
    let first = opens.next().context("no sender")?;
    first.end(opens.collect(), run, &arguments.mode)
}

/// One sender's share of the records.
fn send(
    arguments: &Arguments,
    producer: &Producer,
    topic: Topic,
    run: &Run,
    senders: u64,
    open: &mut Open,
) -> Result<()> {
    let payload = arguments.payload();
    let record = Record::new(&payload);
    let between = (BETWEEN_LOOKS / arguments.size.max(1)).max(1) as u64;
    for number in 0..arguments.records / senders {
        if arguments.rate.is_some() {
            let sent = run.pace(number);
            let delivery = producer.send_blocking(topic, &record)?;
            let receipt = producer.wait_blocking(delivery)?;
            open.latencies().seen(sent);
            open.waited_for(receipt.count);
        } else {
            open.add(producer.send_blocking(topic, &record)?);
            if number % between == 0 {
                open.look(producer)?;
            }
        }
    }
    Ok(())
}
