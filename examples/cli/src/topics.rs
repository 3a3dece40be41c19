//! `demitasse topics`: what topics there are, and the creation of one.

use crate::report::{Output, Problem};
use crate::runtime;
use crate::settings::Bootstrap;
use clap::Args;
use demitasse_io_std::{Admin, AdminError, ClusterInfo, ErrorCode, NewTopic, TopicInfo};
use serde::Serialize;
use std::time::Duration;

/// How long to wait for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Leaders shown in a table's row; JSON has all.
const LEADERS: usize = 24;

/// Lists the topics of a cluster with their partitions and leaders, or creates one with --create.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    bootstrap: Bootstrap,
    /// Create this topic instead.
    #[arg(long, value_name = "NAME")]
    create: Option<String>,
    /// Its partitions; without it as many as the broker's num.partitions says.
    #[arg(long, requires = "create", value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// Replicas of each partition; without it as many as the broker's default.replication.factor says.
    #[arg(long, requires = "create", value_parser = clap::value_parser!(i16).range(1..))]
    replication: Option<i16>,
    /// A setting of the new topic, such as cleanup.policy=compact.
    #[arg(long, requires = "create", value_name = "NAME=VALUE")]
    config: Vec<String>,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Created<'a> {
    created: &'a str,
}

#[derive(Serialize)]
struct Listing<'a> {
    controller: i32,
    brokers: Vec<Broker<'a>>,
    topics: Vec<Topic<'a>>,
}

#[derive(Serialize)]
struct Broker<'a> {
    id: i32,
    host: &'a str,
    port: i32,
}

#[derive(Serialize)]
struct Topic<'a> {
    name: &'a str,
    internal: bool,
    error: Option<&'a str>,
    partitions: Vec<Partition<'a>>,
}

#[derive(Serialize)]
struct Partition<'a> {
    partition: i32,
    leader: i32,
    error: Option<&'a str>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Problem> {
    let servers = arguments.bootstrap.servers()?;
    let admin = Admin::new(&servers)?;
    runtime::run(0, async {
        let mut output = Output::new();
        match &arguments.create {
            Some(name) => create(arguments, name, &admin, &servers, &mut output).await?,
            None => list(arguments, &admin, &servers, &mut output).await?,
        }
        output.finish()
    })
}

async fn create(
    arguments: &Arguments,
    name: &str,
    admin: &Admin,
    servers: &str,
    output: &mut Output,
) -> Result<(), Problem> {
    let configs = arguments.config.iter().map(|config| {
        let wrong = || Problem::usage(format!("--config: {config:?} is not NAME=VALUE [fault: our settings]"));
        config.split_once('=').ok_or_else(wrong)
    });
    let configs = configs.collect::<Result<Vec<_>, _>>()?;
    let Arguments { partitions, replication, .. } = *arguments;
    let created = admin.create_topic(&NewTopic { name, partitions, replication, configs: &configs }, PATIENCE).await;
    created.map_err(|error| problem(&format!("topic {name} was not created"), &error, servers))?;
    if arguments.json {
        output.json(&Created { created: name });
    } else {
        output.line(format_args!("created {name}"));
    }
    Ok(())
}

async fn list(arguments: &Arguments, admin: &Admin, servers: &str, output: &mut Output) -> Result<(), Problem> {
    let cluster = admin.cluster(PATIENCE).await;
    let cluster = cluster.map_err(|error| problem("the topics cannot be listed", &error, servers))?;
    if arguments.json {
        output.json(&listing(&cluster));
    } else {
        table(&cluster, output);
    }
    Ok(())
}

/// Creates a topic; that it exists is as good.
pub(crate) async fn create_if_missing(
    servers: &str,
    name: &str,
    partitions: i32,
    configs: &[(&str, &str)],
) -> Result<(), Problem> {
    let topic = NewTopic { name, partitions: Some(partitions), replication: None, configs };
    match Admin::new(servers)?.create_topic(&topic, PATIENCE).await {
        Ok(()) | Err(AdminError::Refused { code: ErrorCode::TOPIC_ALREADY_EXISTS, .. }) => Ok(()),
        Err(error) => Err(problem(&format!("topic {name} was not created"), &error, servers)),
    }
}

fn problem(what: &str, error: &AdminError, servers: &str) -> Problem {
    let AdminError::Refused { code, .. } = error else {
        return Problem::failed(format!("{what}: {error} (bootstrap.servers {servers}) [fault: the network]"));
    };
    use ErrorCode as E;
    let (fault, advice) = match *code {
        E::TOPIC_ALREADY_EXISTS => ("the caller", "use it, or choose another name"),
        E::INVALID_TOPIC_EXCEPTION => ("the caller", "use a legal topic name: up to 249 of [a-zA-Z0-9._-]"),
        E::INVALID_PARTITIONS => ("the caller", "give --partitions, 1 or more"),
        E::INVALID_REPLICATION_FACTOR => ("the caller", "give --replication, at most the number of brokers"),
        E::INVALID_CONFIG => ("the caller", "check --config: names and values are the topic's"),
        E::TOPIC_AUTHORIZATION_FAILED | E::CLUSTER_AUTHORIZATION_FAILED => {
            ("our settings", "give this user the right to create topics")
        }
        _ => ("the broker", "see the broker's log"),
    };
    Problem::failed(format!("{what}: {error}; {advice} [fault: {fault}]"))
}

fn name_of(code: ErrorCode) -> Option<&'static str> {
    (code != ErrorCode::NONE).then(|| code.name())
}

fn listing(cluster: &ClusterInfo) -> Listing<'_> {
    let brokers = cluster.brokers.iter().map(|b| Broker { id: b.id, host: &b.host, port: b.port });
    let topics = cluster.topics.iter().map(|topic| Topic {
        name: &topic.name,
        internal: topic.is_internal,
        error: name_of(topic.error),
        partitions: topic
            .partitions
            .iter()
            .map(|p| Partition { partition: p.index, leader: p.leader, error: name_of(p.error) })
            .collect(),
    });
    Listing { controller: cluster.controller, brokers: brokers.collect(), topics: topics.collect() }
}

fn table(cluster: &ClusterInfo, output: &mut Output) {
    for broker in &cluster.brokers {
        let controller = if broker.id == cluster.controller { "  (controller)" } else { "" };
        output.line(format_args!("broker {}  {}:{}{controller}", broker.id, broker.host, broker.port));
    }
    let width = cluster.topics.iter().map(|topic| topic.name.len()).max().unwrap_or(0).max("topic".len());
    if cluster.topics.is_empty() {
        output.line("no topics");
    } else {
        output.line(format_args!("{:width$}  partitions  leaders, from partition 0 on", "topic"));
    }
    for topic in &cluster.topics {
        output.line(format_args!("{:width$}  {:10}  {}", topic.name, topic.partitions.len(), leaders(topic)));
    }
}

/// Who leads each partition, or what is wrong with it.
fn leaders(topic: &TopicInfo) -> String {
    let all = topic.partitions.iter().map(|partition| match name_of(partition.error) {
        Some(error) => error.to_owned(),
        None => partition.leader.to_string(),
    });
    let mut words: Vec<String> = name_of(topic.error).map(str::to_owned).into_iter().chain(all).collect();
    if words.len() > LEADERS {
        words.truncate(LEADERS);
        words.push("..".to_owned());
    }
    words.join(" ")
}
