//! `cargo xtask kafka`: a broker, or three, for a developer to play with.

use crate::steps::Stop;
use crate::{Result, tools};
use demitasse_kafka_tests::{KAFKA_4, Kafka, Options};
use std::path::PathBuf;

pub(crate) const HELP: &str = "\
cargo xtask kafka up [--nodes N] [--version V] [--port P] [--property NAME=VALUE]...
    starts Apache Kafka on 127.0.0.1 and prints its bootstrap addresses; 4.3.1, one node, port 19092 by itself
cargo xtask kafka down                             stops it and deletes all of it
cargo xtask kafka status                           which nodes run, their ports and logs
cargo xtask kafka kill|term|freeze|thaw|start N    does so to node N
cargo xtask kafka tool CLASS [ARGUMENT]...         runs one of Kafka's own tools, such as
                                                   org.apache.kafka.tools.TopicCommand";

pub(crate) fn run(arguments: &[String]) -> Result {
    let (verb, rest) = arguments.split_first().ok_or_else(|| format!("what?\n{HELP}"))?;
    match verb.as_str() {
        "up" => up(rest),
        "down" => attach().map(|kafka| kafka.remove()),
        "status" => attach().map(|kafka| status(&kafka)),
        "kill" => act(rest, Kafka::kill),
        "term" => act(rest, Kafka::terminate),
        "freeze" => act(rest, Kafka::freeze),
        "thaw" => act(rest, Kafka::thaw),
        "start" => act(rest, Kafka::start_node),
        "tool" => tool(rest),
        other => Err(format!("what is {other}?\n{HELP}")),
    }
}

/// One cluster a user at a time: a second would only be forgotten.
fn folder() -> PathBuf {
    std::env::temp_dir().join("demitasse-kafka-by-hand")
}

fn attach() -> Result<Kafka> {
    Kafka::attach(&folder()).map_err(|e| format!("{e}; `cargo xtask kafka up` starts one"))
}

fn up(arguments: &[String]) -> Result {
    let mut options = Options { folder: Some(folder()), port: Some(19092), ..Options::one(KAFKA_4) };
    let mut rest = arguments.iter();
    while let Some(name) = rest.next() {
        let value = rest.next().ok_or_else(|| format!("{name} needs a value"))?;
        let number = || value.parse().map_err(|_| format!("{name} takes a number, not {value}"));
        match name.as_str() {
            "--nodes" => options.nodes = number()?,
            "--port" => options.port = Some(number()?),
            "--version" => options.version = value.clone(),
            "--property" => {
                let (name, value) = value.split_once('=').ok_or_else(|| format!("{value} is not NAME=VALUE"))?;
                options = options.with(name, value);
            }
            _ => return Err(format!("unknown argument {name}; see --help")),
        }
    }
    if !(1..=9).contains(&options.nodes) {
        return Err("--nodes takes 1 to 9".into());
    }
    if folder().exists() {
        return Err("there is one already; `cargo xtask kafka down` stops it".into());
    }
    tools::for_kafka(&[&options.version]).map_err(Stop::words)?;
    let kafka = match Kafka::start_detached(options) {
        Ok(kafka) => kafka,
        Err(error) => {
            if let Ok(half) = Kafka::attach(&folder()) {
                half.remove();
            }
            return Err(error.to_string());
        }
    };
    println!("{}", kafka.bootstrap());
    Ok(())
}

fn status(kafka: &Kafka) {
    let alive = kafka.alive();
    println!("bootstrap {}", kafka.bootstrap());
    println!("certificates {}", kafka.folder().join("tls").display());
    for node in 1..=kafka.bootstrap().split(',').count() as u16 {
        let state = if alive.contains(&node) { "runs" } else { "is down" };
        println!("node {node} {state}, {:?}, log {}", kafka.ports(node), kafka.log(node).display());
    }
}

fn act(arguments: &[String], act: fn(&Kafka, u16) -> demitasse_kafka_tests::Result<()>) -> Result {
    let kafka = attach()?;
    let nodes = kafka.bootstrap().split(',').count() as u16;
    match arguments {
        [node] => match node.parse() {
            Ok(node) if (1..=nodes).contains(&node) => act(&kafka, node).map_err(|e| e.to_string()),
            _ => Err(format!("there is no node {node}: they are 1 to {nodes}")),
        },
        _ => Err("which node?".into()),
    }
}

fn tool(arguments: &[String]) -> Result {
    let (class, rest) = arguments.split_first().ok_or("which class?")?;
    let rest: Vec<_> = rest.iter().map(String::as_str).collect();
    let said = attach()?.tool(class, &rest, b"").map_err(|e| e.to_string())?;
    print!("{said}");
    Ok(())
}
