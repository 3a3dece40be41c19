//! Settings from `--bootstrap`, `--config` and `-X`, as a builder of producers or consumers.

use crate::report::Problem;
use clap::Args;
use demitasse_io_std::{BuildError, Builder, ConsumerBuilder, Role, Setting};
use std::path::{Path, PathBuf};

/// What settings go into.
pub(crate) trait Settable: Default {
    /// Whether it is a name of Java's client that means nothing here: told and left out, so that its properties files serve.
    fn means_nothing(_name: &str) -> bool {
        false
    }

    /// Sets one by Kafka's name.
    fn set(self, name: &str, value: &str) -> Result<Self, BuildError>;
}

impl Settable for Builder {
    fn set(self, name: &str, value: &str) -> Result<Self, BuildError> {
        self.set(name, value)
    }
}

impl Settable for ConsumerBuilder {
    fn means_nothing(name: &str) -> bool {
        OF_JAVAS_CONSUMER.contains(&name)
    }

    fn set(self, name: &str, value: &str) -> Result<Self, BuildError> {
        self.set(name, value)
    }
}

/// Settings of Java's consumer that there are none of here, and that nobody misses. Not those of TLS and SASL: who has them
/// expects to be safe.
const OF_JAVAS_CONSUMER: &[&str] = &[
    "auto.commit.interval.ms",
    "auto.include.jmx.reporter",
    "check.crcs",
    "client.dns.lookup",
    "config.providers",
    "enable.auto.commit",
    "enable.metrics.push",
    "exclude.internal.topics",
    "fetch.max.bytes",
    "group.instance.id",
    "group.protocol",
    "group.remote.assignor",
    "heartbeat.interval.ms",
    "interceptor.classes",
    "key.deserializer",
    // With Java's client the first batch may be larger; a chunk is as large as it is.
    "max.partition.fetch.bytes",
    "max.poll.interval.ms",
    "max.poll.records",
    "metadata.recovery.rebootstrap.trigger.ms",
    "metadata.recovery.strategy",
    "metric.reporters",
    "metrics.num.samples",
    "metrics.recording.level",
    "metrics.sample.window.ms",
    "partition.assignment.strategy",
    "receive.buffer.bytes",
    "send.buffer.bytes",
    "session.timeout.ms",
    "socket.connection.setup.timeout.max.ms",
    "value.deserializer",
];

/// What every command takes that would start a producer or a consumer.
#[derive(Args)]
pub(crate) struct Properties {
    /// A setting by Kafka's name, such as client.id=meter or request.timeout.ms=10000. It goes before those of --config.
    #[arg(short = 'X', value_name = "NAME=VALUE")]
    properties: Vec<String>,
    /// A Kafka properties file: NAME=VALUE a line, # begins a comment.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Where the cluster is.
#[derive(Args)]
pub(crate) struct Bootstrap {
    /// Brokers to begin with; the rest of the cluster is learnt from them. Goes before bootstrap.servers of the settings.
    #[arg(long, value_name = "HOST:PORT[,..]")]
    bootstrap: Option<String>,
}

impl Bootstrap {
    /// The brokers, for a command without other settings.
    pub(crate) fn servers(&self) -> Result<String, Problem> {
        self.bootstrap.clone().ok_or_else(missing)
    }
}

fn missing() -> Problem {
    Problem::usage("no broker is named: give --bootstrap HOST:PORT")
}

impl Properties {
    /// The settings, and `bootstrap.servers` if it is among them.
    pub(crate) fn builder<B: Settable>(&self) -> Result<(B, Option<String>), Problem> {
        let text = self.config.as_deref().map(read).transpose()?.unwrap_or_default();
        let mut builder = B::default();
        let mut bootstrap = None;
        let mut left_out: Vec<&str> = Vec::new();
        if let Some(path) = &self.config {
            for (number, line) in properties(&text) {
                let at = || format!("{}:{number}", path.display());
                let (name, value) = pair(line).ok_or_else(|| wrong(&at(), line))?;
                if B::means_nothing(name) {
                    left_out.push(name);
                    continue;
                }
                builder =
                    set(builder, &mut bootstrap, name, value).map_err(|e| Problem::usage(format!("{}: {e}", at())))?;
            }
        }
        for property in &self.properties {
            let (name, value) = pair(property).ok_or_else(|| wrong("-X", property))?;
            if B::means_nothing(name) {
                left_out.push(name);
                continue;
            }
            builder = set(builder, &mut bootstrap, name, value).map_err(|e| Problem::usage(format!("-X: {e}")))?;
        }
        if !left_out.is_empty() {
            eprintln!("demitasse: left out, there are no such settings here: {}", left_out.join(", "));
        }
        Ok((builder, bootstrap))
    }

    /// The settings with the brokers to begin with, and these as text.
    pub(crate) fn with<B: Settable>(&self, bootstrap: &Bootstrap) -> Result<(B, String), Problem> {
        let (mut builder, from_properties) = self.builder::<B>()?;
        let servers = bootstrap.bootstrap.clone().or(from_properties).ok_or_else(missing)?;
        builder =
            builder.set("bootstrap.servers", &servers).map_err(|e| Problem::usage(format!("--bootstrap: {e}")))?;
        Ok((builder, servers))
    }
}

/// The settings of a file that was written for another client: what this one does not have is told and left out, as the
/// Java client does it; a wrong value is an error all the same.
pub(crate) fn with_file(mut builder: Builder, path: &Path) -> Result<Builder, Problem> {
    let text = read(path)?;
    for (number, line) in properties(&text) {
        let at = format!("{}:{number}", path.display());
        let (name, value) = pair(line).ok_or_else(|| wrong(&at, line))?;
        if name != "bootstrap.servers"
            && !Setting::ALL.iter().any(|setting| setting.name == name && setting.of != Some(Role::Consumer))
        {
            eprintln!("demitasse: {at}: left out, a producer has no setting {name}");
            continue;
        }
        let wrong = |error| Problem::usage(format!("{at}: {error} [fault: our settings]"));
        builder = builder.set(name, value).map_err(wrong)?;
    }
    Ok(builder)
}

fn set<B: Settable>(builder: B, bootstrap: &mut Option<String>, name: &str, value: &str) -> Result<B, String> {
    if name == "bootstrap.servers" {
        *bootstrap = Some(value.to_owned());
    }
    builder.set(name, value).map_err(|error| format!("{error} [fault: our settings]"))
}

fn wrong(place: &str, text: &str) -> Problem {
    Problem::usage(format!("{place}: {text:?} is not NAME=VALUE [fault: our settings]"))
}

fn read(path: &Path) -> Result<String, Problem> {
    std::fs::read_to_string(path).map_err(|error| Problem::usage(format!("--config {}: {error}", path.display())))
}

/// The lines of a properties file that say something, with their numbers.
fn properties(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = (1..).zip(text.lines().map(str::trim));
    lines.filter(|(_, line)| !line.is_empty() && !line.starts_with(['#', '!']))
}

fn pair(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.split_once('=')?;
    let name = name.trim();
    (!name.is_empty()).then(|| (name, value.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_properties_file_is_lines_comments_and_pairs() {
        let text = "# all\n\n linger.ms = 5 \n! more\nclient.id=a=b\r\nacks=";
        let read: Vec<_> = properties(text).map(|(number, line)| (number, pair(line).unwrap())).collect();
        assert_eq!(read, [(3, ("linger.ms", "5")), (5, ("client.id", "a=b")), (6, ("acks", ""))]);
        assert_eq!(pair("linger.ms"), None);
        assert_eq!(pair("=5"), None);
    }

    #[test]
    fn the_command_line_goes_before_the_file() {
        let path = std::env::temp_dir().join(format!("demitasse-settings-{}", std::process::id()));
        std::fs::write(&path, "bootstrap.servers=a:1\nbatch.size=1000\nlinger.ms=7\n").unwrap();
        let given = Properties { properties: vec!["batch.size=2000".into()], config: Some(path.clone()) };
        let (mut builder, servers) = given.with::<Builder>(&Bootstrap { bootstrap: None }).map_err(|_| ()).unwrap();
        assert_eq!((builder.sizing_mut().batch_size, builder.config_mut().linger.as_millis()), (2000, 7));
        assert_eq!(servers, "a:1");
        let (_, servers) = given.with::<Builder>(&Bootstrap { bootstrap: Some("b:2".into()) }).map_err(|_| ()).unwrap();
        assert_eq!(servers, "b:2");
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn what_a_producer_does_not_have_is_left_out_of_a_file_for_another_client() {
        let path = std::env::temp_dir().join(format!("demitasse-another-{}", std::process::id()));
        std::fs::write(&path, "retries=5\ngroup.id=g\nlinger.ms=7\n").unwrap();
        let mut builder = with_file(Builder::new(), &path).map_err(|_| ()).unwrap();
        assert_eq!((builder.config_mut().linger.as_millis(), builder.config_mut().group_id.is_empty()), (7, true));
        std::fs::remove_file(path).unwrap();
    }
}
