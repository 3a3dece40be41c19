//! `demitasse groups`: the positions that a group keeps, and how far they are behind.

use crate::report::{Output, Problem};
use crate::runtime;
use crate::settings::{Bootstrap, Properties};
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use demitasse_io_std::{Admin, CommittedInfo, ConsumeError, ConsumerBuilder, Start};
use serde::Serialize;
use std::collections::BTreeSet;
use std::time::Duration;

/// How long to wait for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Shows the committed positions of a group, the end of each partition, and the lag.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    bootstrap: Bootstrap,
    /// The group.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    group: String,
    /// One JSON object a partition instead of a table.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    properties: Properties,
}

#[derive(Serialize)]
struct Row {
    topic: String,
    partition: i32,
    committed: i64,
    /// Absent if it could not be had.
    end: Option<i64>,
    /// Less than 0 where the log ends before what the group keeps: it was lost, or the topic was made anew.
    lag: Option<i64>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Problem> {
    let (builder, bootstrap) = arguments.properties.with::<ConsumerBuilder>(&arguments.bootstrap)?;
    let admin = Admin::new(&bootstrap)?;
    runtime::run(0, async {
        let group = &arguments.group;
        let kept = admin.committed(group, PATIENCE).await;
        let mut kept = kept.map_err(|error| Problem::failed(format!("group {group}: {error}; asked {bootstrap}")))?;
        // A broker tells them in no order.
        kept.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
        let rows = with_ends(builder, kept).await?;
        let mut output = Output::new();
        if arguments.json {
            rows.iter().for_each(|row| output.json(row));
        } else {
            table(group, &rows, &mut output);
        }
        output.finish()
    })
}

/// The ends are asked for by somebody who would begin to read there.
async fn with_ends(builder: ConsumerBuilder, kept: Vec<CommittedInfo>) -> Result<Vec<Row>, Problem> {
    let consumer = with_places(builder, &kept)?.start()?;
    let mut asked = Vec::with_capacity(kept.len());
    for position in kept {
        let topic = consumer.topic(&position.topic)?;
        consumer.assign(topic, position.partition, Start::End)?;
        // Nothing is to be read; the place is found all the same.
        consumer.pause(topic, position.partition);
        asked.push((topic, position));
    }
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let mut rows = Vec::with_capacity(asked.len());
    for (topic, CommittedInfo { topic: name, partition, offset, .. }) in asked {
        let end = tokio::time::timeout_at(deadline, consumer.wait_position(topic, partition)).await;
        let end = match end {
            Ok(Ok(end)) => Some(end),
            // Deleted since, or out of reach.
            Ok(Err(ConsumeError { .. })) | Err(_) => None,
        };
        let lag = end.map(|end| end - offset);
        rows.push(Row { topic: name, partition, committed: offset, end, lag });
    }
    Ok(rows)
}

/// What a reader has places for by itself is not to limit a group, which may keep positions of any number of topics.
fn with_places(builder: ConsumerBuilder, kept: &[CommittedInfo]) -> Result<ConsumerBuilder, Problem> {
    let (capacities, _) = builder.plan();
    let topics = kept.iter().map(|position| &position.topic).collect::<BTreeSet<_>>().len();
    let topics = topics.max(capacities.topics.into()).to_string();
    let partitions = kept.len().max(capacities.partitions.into()).to_string();
    Ok(builder.set("topics.max", &topics)?.set("partitions.max", &partitions)?)
}

fn table(group: &str, rows: &[Row], output: &mut Output) {
    if rows.is_empty() {
        output.line(format_args!("group {group} keeps no positions"));
        return;
    }
    let width = rows.iter().map(|row| row.topic.len()).max().unwrap_or(0).max("topic".len());
    output.line(format_args!("{:width$}  partition     committed           end           lag", "topic"));
    let number = |number: Option<i64>| number.map_or("unknown".to_owned(), |number| number.to_string());
    for Row { topic, partition, committed, end, lag } in rows {
        let (end, lag) = (number(*end), number(*lag));
        output.line(format_args!("{topic:width$}  {partition:9}  {committed:12}  {end:>12}  {lag:>12}"));
    }
}
