//! `demitasse verifiable-producer`: what Kafka's own system tests run as a producer, so that they can run this one.
//!
//! Arguments, records and lines are those of the `VerifiableProducer` of kafka-tools; `tests/kafka` runs both side by side.

mod event;

use crate::interrupt::Interrupt;
use crate::report::{Output, Problem, Tally, Trouble};
use crate::runtime;
use crate::settings::with_file;
use clap::Args;
use demitasse_io_std::{Builder, Delivery, DeliveryError, Producer, Receipt, Record, Topic};
use event::{Event, Failed, Nothing, Success, ToolData};
use std::collections::VecDeque;
use std::fmt::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Records whose outcome may be open at once.
const WINDOW: usize = 32 * 1024;

/// Records that are sent between two looks at what has come back.
const BURST: usize = 64;

/// Sends the numbers from 0 on, and writes a JSON line for each outcome: the arguments and lines of Kafka's own
/// kafka-verifiable-producer, for its system tests.
///
/// It ends after --max-messages or by Ctrl-C or SIGTERM, once all outcomes are known; the exit code then says which, as with
/// Kafka's. Unlike Kafka's, which sets retries=0, it
/// sends again what can be sent again, until delivery.timeout.ms.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The topic to send to.
    #[arg(long)]
    topic: String,
    /// Brokers to begin with.
    #[arg(long, alias = "broker-list", value_name = "HOST:PORT[,..]")]
    bootstrap_server: String,
    /// Send so many; -1: until it is told to end.
    #[arg(long, default_value_t = -1, allow_negative_numbers = true)]
    max_messages: i64,
    /// At most so many a second, about; -1: as fast as can be.
    #[arg(long, default_value_t = -1, allow_negative_numbers = true)]
    throughput: i64,
    /// -1, 0 or 1.
    #[arg(long, default_value = "-1", allow_negative_numbers = true, value_parser = ["-1", "0", "1"])]
    acks: String,
    /// A properties file of the producer, which goes before the other arguments. Settings that this producer does not have
    /// are told and left out.
    #[arg(long, alias = "producer.config", value_name = "FILE")]
    command_config: Option<PathBuf>,
    /// The first record's timestamp in milliseconds since 1970; -1: now.
    #[arg(long, default_value_t = -1, allow_negative_numbers = true, value_parser = clap::value_parser!(i64).range(-1..))]
    message_create_time: i64,
    /// Values are this, a dot, and the number.
    #[arg(long, allow_negative_numbers = true)]
    value_prefix: Option<i32>,
    /// Keys go from 0 to this (not included) and begin again, or on and on if it is not above 0; without it there are none.
    #[arg(long, allow_negative_numbers = true)]
    repeating_keys: Option<i32>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Problem> {
    let servers = &arguments.bootstrap_server;
    let set = |builder: Builder, name, value: &str| builder.set(name, value).map_err(Problem::from);
    let builder = set(Builder::default(), "bootstrap.servers", servers)?;
    let builder = set(builder, "acks", &arguments.acks)?;
    let builder = match &arguments.command_config {
        Some(path) => with_file(builder, path)?,
        None => builder,
    };
    runtime::run(1, async {
        let producer = builder.start()?;
        let topic = producer.topic(&arguments.topic)?;
        let mut session = Session {
            arguments,
            producer,
            topic,
            window: VecDeque::with_capacity(WINDOW),
            begun: Instant::now(),
            sent: 0,
            create_time: arguments.message_create_time,
            tally: Tally::default(),
            output: Output::new(),
        };
        session.tell("startup_complete", Nothing {});
        let mut interrupt = Interrupt::listen()?;
        tokio::select! {
            biased;
            () = interrupt.pressed() => {}
            () = session.send_all() => {}
        }
        session.settle().await;
        session.finish(&interrupt)
    })
}

/// The record of this number waits for its outcome.
struct Sent {
    number: u64,
    delivery: Delivery,
}

struct Session<'a> {
    arguments: &'a Arguments,
    producer: Producer,
    topic: Topic,
    /// In the order of sending; never more than it had room for from the start.
    window: VecDeque<Sent>,
    begun: Instant,
    sent: u64,
    /// Of the next record, -1 for now.
    create_time: i64,
    tally: Tally,
    output: Output,
}

impl Session<'_> {
    /// Dropped at an await, everything that was taken is in the window.
    async fn send_all(&mut self) {
        let most = u64::try_from(self.arguments.max_messages).unwrap_or(u64::MAX);
        while self.sent < most {
            self.look();
            if self.window.len() == WINDOW {
                self.wait().await;
                continue;
            }
            let now = Instant::now();
            match self.due() {
                Some(due) if due <= now => self.send_burst(most).await,
                due => self.pause(due).await,
            }
        }
    }

    /// When the next record is to be sent; None: never.
    fn due(&self) -> Option<Instant> {
        match self.arguments.throughput {
            ..0 => Some(self.begun),
            // As with Kafka's: the first is sent before anybody looks.
            0 => (self.sent == 0).then_some(self.begun),
            rate => self.begun.checked_add(Duration::from_secs_f64(self.sent as f64 / rate as f64)),
        }
    }

    async fn send_burst(&mut self, most: u64) {
        let burst = BURST.min(WINDOW - self.window.len());
        for _ in 0..burst {
            if self.sent == most || self.due().is_none_or(|due| due > Instant::now()) {
                return;
            }
            self.send().await;
        }
    }

    async fn send(&mut self) {
        let number = self.sent;
        let (key, value) = (self.key(number), self.value(number));
        let mut record = Record::new(value.as_bytes());
        record.key = key.as_deref().map(str::as_bytes);
        if self.create_time != -1 {
            record = record.timestamp(self.create_time);
        }
        let delivery = self.producer.send(self.topic, &record).await;
        self.sent += 1;
        if self.create_time != -1 {
            // The time since the start is added for each record anew; so does Kafka's.
            self.create_time = self.create_time.saturating_add(self.begun.elapsed().as_millis() as i64);
        }
        match delivery {
            Ok(delivery) => self.window.push_back(Sent { number, delivery }),
            Err(error) => {
                self.tally.refused(Trouble::Send(error), 1);
                self.tell_failed(number, Trouble::Send(error));
            }
        }
    }

    fn key(&self, number: u64) -> Option<String> {
        let keys = u64::try_from(self.arguments.repeating_keys?).unwrap_or(0);
        Some(number.checked_rem(keys).unwrap_or(number).to_string())
    }

    fn value(&self, number: u64) -> String {
        let mut value = String::with_capacity(32);
        if let Some(prefix) = self.arguments.value_prefix {
            let _ = write!(value, "{prefix}.");
        }
        let _ = write!(value, "{number}");
        value
    }

    /// Until then, or until the oldest record has its outcome.
    async fn pause(&mut self, until: Option<Instant>) {
        let sleep = async {
            match until {
                Some(until) => tokio::time::sleep_until(until.into()).await,
                None => std::future::pending().await,
            }
        };
        let front = self.window.front().map(|sent| sent.delivery);
        let producer = self.producer.clone();
        let wait = async {
            match front {
                Some(delivery) => producer.wait(delivery).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            result = wait => self.told(result),
            () = sleep => {}
        }
    }

    /// Tells the outcomes that are known, up to the first that is not.
    fn look(&mut self) {
        while let Some(sent) = self.window.front() {
            let Some(result) = self.producer.outcome(&sent.delivery) else { break };
            self.told(result);
        }
        // Whoever reads along sees what there is.
        self.output.flush();
    }

    async fn wait(&mut self) {
        let Some(sent) = self.window.front() else { return };
        let result = self.producer.wait(sent.delivery).await;
        self.told(result);
    }

    /// All outcomes: `delivery.timeout.ms` at most. A second Ctrl-C ends the program at once.
    async fn settle(&mut self) {
        let _ = self.producer.flush().await;
        while !self.window.is_empty() {
            self.wait().await;
            self.look();
        }
        self.producer.close(Duration::ZERO).await;
    }

    /// The oldest record has its outcome.
    fn told(&mut self, result: Result<Receipt, DeliveryError>) {
        let Some(Sent { number, .. }) = self.window.pop_front() else { return };
        match result {
            Ok(Receipt { partition, offset, .. }) => {
                self.tally.acknowledged += 1;
                let (key, value) = (self.key(number), self.value(number));
                let topic = &self.arguments.topic;
                let success = Success { key, value, topic, partition, offset: offset.unwrap_or(-1) };
                self.output.json(&Event::new("producer_send_success", success));
            }
            Err(error) => {
                self.tally.undelivered(error);
                self.tell_failed(number, Trouble::Delivery(error));
            }
        }
    }

    fn tell_failed(&mut self, number: u64, trouble: Trouble) {
        let exception = match trouble {
            Trouble::Send(_) => "demitasse.SendError",
            _ => "demitasse.DeliveryError",
        };
        let (key, value) = (self.key(number), self.value(number));
        let message = trouble.describe(&self.arguments.bootstrap_server);
        let failed = Failed { key, value, topic: &self.arguments.topic, exception, message };
        self.tell("producer_send_error", failed);
    }

    fn tell(&mut self, name: &'static str, data: impl serde::Serialize) {
        self.output.json(&Event::new(name, data));
        self.output.flush();
    }

    fn finish(mut self, interrupt: &Interrupt) -> Result<(), Problem> {
        self.tell("shutdown_complete", Nothing {});
        let acked = self.tally.acknowledged;
        let (sent, target_throughput) = (self.sent, self.arguments.throughput);
        let avg_throughput = acked as f64 / self.begun.elapsed().as_secs_f64();
        self.tell("tool_data", ToolData { sent, acked, target_throughput, avg_throughput });
        self.output.finish()?;
        match self.tally.problem(&self.arguments.topic, &self.arguments.bootstrap_server) {
            // As a JVM that a signal has ended, whatever its shutdown hooks had to tell.
            problem if interrupt.is_pressed() => {
                let told = problem.unwrap_or_else(|| format!("interrupted after {sent} records"));
                Err(interrupt.problem(told))
            }
            // Kafka's own ends well whatever became of the records: whoever has the lines knows.
            Some(problem) => {
                eprintln!("demitasse: {problem}");
                Ok(())
            }
            None => Ok(()),
        }
    }
}
