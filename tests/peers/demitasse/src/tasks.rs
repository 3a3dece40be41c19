//! From an async task, on the thread that the producer's own tasks run on.

use crate::open::Open;
use crate::{BETWEEN_LOOKS, builder};
use anyhow::Result;
use demitasse_io_std::{Producer, Record, SendError, Topic};
use peer::{Arguments, Run};

/// Records that are handed over at once with `--mode slices`.
const SLICE: usize = 64;

/// Bytes of a record beside its value, at most.
const AROUND: usize = 32;

pub(crate) async fn run(arguments: &Arguments) -> Result<()> {
    let producer = builder(arguments)?.start()?;
    let topic = producer.topic(&arguments.topic)?;
    let payload = arguments.payload();
    let record = Record::new(&payload);
    let first = producer.send(topic, &record).await?;
    producer.wait(first).await?;

    // The runtime's list of those who yield is made when one first does.
    tokio::task::yield_now().await;

    let mut sender = Sender { arguments, producer, topic, record, open: Open::new(first) };
    let run = Run::begin(arguments)?;
    if arguments.rate.is_some() {
        sender.paced(&run).await?;
    } else if arguments.mode == "slices" {
        sender.slices().await?;
    } else {
        sender.records().await?;
    }
    sender.producer.flush().await?;
    sender.open.look(&sender.producer)?;
    sender.open.end(Vec::new(), run, &arguments.mode)
}

struct Sender<'a> {
    arguments: &'a Arguments,
    producer: Producer,
    topic: Topic,
    record: Record<'a>,
    open: Open,
}

impl Sender<'_> {
    async fn records(&mut self) -> Result<()> {
        let between = (BETWEEN_LOOKS / self.arguments.size.max(1)).max(1) as u64;
        for number in 1..=self.arguments.records {
            let delivery = match self.producer.try_send(self.topic, &self.record) {
                Err(SendError::Full { .. }) => self.producer.send(self.topic, &self.record).await,
                other => other,
            }?;
            self.open.add(delivery);
            if number % between == 0 {
                self.look().await?;
            }
        }
        Ok(())
    }

    async fn slices(&mut self) -> Result<()> {
        // A slice is taken whole or not at all, so it has to fit into a batch.
        let most = SLICE.min((self.arguments.batch / (self.arguments.size + AROUND)).max(1));
        let slice = [self.record; SLICE];
        let (mut left, mut bytes) = (self.arguments.records as usize, 0);
        while left > 0 {
            let count = left.min(most);
            self.open.add(self.producer.send_slice(self.topic, &slice[..count]).await?);
            left -= count;
            bytes += count * self.arguments.size;
            if bytes >= BETWEEN_LOOKS {
                bytes = 0;
                self.look().await?;
            }
        }
        Ok(())
    }

    async fn look(&mut self) -> Result<()> {
        tokio::task::yield_now().await;
        Ok(self.open.look(&self.producer)?)
    }

    async fn paced(&mut self, run: &Run) -> Result<()> {
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..self.arguments.records {
            tokio::time::sleep_until(run.due(number).into()).await;
            let sent = run.start(number);
            let delivery = self.producer.send(self.topic, &self.record).await?;
            let (producer, latencies) = (self.producer.clone(), self.open.latencies().clone());
            tasks.spawn(async move {
                let receipt = producer.wait(delivery).await;
                latencies.seen(sent);
                receipt.map(|receipt| receipt.count)
            });
            while let Some(done) = tasks.try_join_next() {
                self.open.waited_for(done??);
            }
        }
        while let Some(done) = tasks.join_next().await {
            self.open.waited_for(done??);
        }
        Ok(())
    }
}
