//! One node: its settings, its storage, its JVM.

use crate::processes::{Said, is_ours, run, signal, tail};
use crate::{Error, Result, until};
use std::fmt::Write as _;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The ports of a node, all on 127.0.0.1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ports {
    /// Plain TCP.
    pub plain: u16,
    /// Plain TCP, advertised as 10.0.2.2: the host as a QEMU guest sees it.
    pub guest: u16,
    /// TLS, advertised as `localhost`.
    pub tls: u16,
    /// SASL over plain TCP: PLAIN, SCRAM and OAUTHBEARER.
    pub sasl: u16,
    /// SASL over TLS, advertised as `localhost`.
    pub sasl_tls: u16,
    /// The controller's own.
    pub controller: u16,
}

impl Ports {
    /// How many there are.
    pub(crate) const COUNT: u16 = 6;

    /// They are in a row.
    pub(crate) fn from(first: u16) -> Ports {
        Ports {
            plain: first,
            guest: first + 1,
            tls: first + 2,
            sasl: first + 3,
            sasl_tls: first + 4,
            controller: first + 5,
        }
    }
}

/// A node of a cluster in the cluster's folder; nodes count from 1.
pub(crate) struct Node {
    pub(crate) id: u16,
    pub(crate) ports: Ports,
    folder: PathBuf,
    /// To be waited for when it dies; none if another process started it.
    child: Option<Child>,
}

impl Node {
    pub(crate) fn new(cluster: &Path, id: u16, ports: Ports) -> Node {
        Node { id, ports, folder: cluster.join(format!("node{id}")), child: None }
    }

    /// Writes the settings and makes the storage.
    pub(crate) fn format(&self, libs: &Path, cluster_id: &str, properties: &str) -> Result<()> {
        std::fs::create_dir_all(&self.folder)?;
        std::fs::write(self.folder.join("server.properties"), properties)?;
        let mut said = self.storage_tool(libs, cluster_id, true)?;
        // Kafka before 3.5 cannot be given users before it runs: there SASL knows those of PLAIN only.
        if String::from_utf8_lossy(&said.stderr).contains("unrecognized arguments: '--add-scram'") {
            said = self.storage_tool(libs, cluster_id, false)?;
        }
        if said.status.success() {
            return Ok(());
        }
        Err(Error::new(format!("cannot format node {}: {}{}", self.id, tail(&said.stdout), tail(&said.stderr))))
    }

    fn storage_tool(&self, libs: &Path, cluster_id: &str, with_scram: bool) -> Result<Said> {
        let mut command = java(self.cluster(), libs, 256);
        command.arg("-XX:TieredStopAtLevel=1").args(["kafka.tools.StorageTool", "format", "-t", cluster_id, "-c"]);
        command.arg(self.folder.join("server.properties"));
        for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"].iter().filter(|_| with_scram) {
            command.args(["--add-scram", &format!("{mechanism}=[name=alice,password=alice-secret]")]);
        }
        run(&mut command, b"", Duration::from_secs(120))
    }

    /// Starts the JVM; does not wait until it answers.
    pub(crate) fn launch(&mut self, libs: &Path, heap_mib: u32) -> Result<()> {
        if self.alive() {
            return Err(Error::new(format!("node {} runs already", self.id)));
        }
        let log = File::options().create(true).append(true).open(self.log())?;
        let mut command = java(self.cluster(), libs, heap_mib);
        command.arg("kafka.Kafka").arg(self.folder.join("server.properties"));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // In a group of its own: Ctrl-C at the terminal is for the test, which has a guard.
        let mut child = command.process_group(0).spawn()?;
        std::fs::write(self.folder.join("pid"), child.id().to_string())?;
        // For a moment after its start a process has no command line, and would be taken for a dead one.
        let what = format!("node {} to start", self.id);
        let mut started = || self.alive() || child.try_wait().is_ok_and(|ended| ended.is_some());
        until(Duration::from_secs(10), &what, || started().then_some(()))?;
        self.child = Some(child);
        Ok(())
    }

    /// Whether the JVM runs (or is frozen).
    pub(crate) fn alive(&self) -> bool {
        self.pid().is_ok_and(|pid| is_ours(pid, self.cluster()))
    }

    /// Whether it was started and not yet seen to end.
    pub(crate) fn launched(&self) -> bool {
        self.folder.join("pid").exists()
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) -> Result<()> {
        if !self.alive() {
            return Err(Error::new(format!("node {} does not run", self.id)));
        }
        signal(self.pid()?, name)
    }

    /// Waits until the JVM is gone.
    pub(crate) fn gone(&mut self, limit: Duration) -> Result<()> {
        let what = format!("node {} to end", self.id);
        until(limit, &what, || (!self.alive()).then_some(()))?;
        if let Some(mut child) = self.child.take() {
            child.wait()?;
        }
        let _ = std::fs::remove_file(self.folder.join("pid"));
        Ok(())
    }

    /// What the JVM wrote, or the end of it.
    pub(crate) fn last_words(&self) -> String {
        tail(&std::fs::read(self.log()).unwrap_or_default())
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    fn pid(&self) -> Result<u32> {
        let text = std::fs::read_to_string(self.folder.join("pid"))?;
        text.trim().parse().map_err(|_| Error::new(format!("{}/pid is no number", self.folder.display())))
    }

    fn cluster(&self) -> &Path {
        self.folder.parent().expect("a node's folder is in its cluster's")
    }
}

/// A JVM that is frugal: other tests share the machine.
pub(crate) fn java(cluster: &Path, libs: &Path, heap_mib: u32) -> Command {
    let mut command = Command::new("java");
    command
        .arg(format!("-Xmx{heap_mib}m"))
        .arg("-XX:+UseSerialGC")
        .arg(format!("-Dlog4j.configuration=file:{}", cluster.join("log4j.properties").display()))
        .arg(format!("-Dlog4j2.configurationFile={}", cluster.join("log4j2.properties").display()))
        .arg("-cp")
        .arg(format!("{}/*", libs.display()));
    command
}

/// The settings of the node at `index`, for `server.properties`. `extra` comes last and so wins.
pub(crate) fn properties(cluster: &Path, index: usize, all: &[Ports], extra: &[(String, String)]) -> String {
    let Ports { plain, guest, tls, sasl, sasl_tls, controller } = all[index];
    let voters: Vec<_> = all.iter().enumerate().map(|(i, p)| format!("{}@127.0.0.1:{}", i + 1, p.controller)).collect();
    let replicas = all.len().min(3);
    let in_sync = if replicas < 3 { 1 } else { 2 };
    let plain_login = r#"org.apache.kafka.common.security.plain.PlainLoginModule required user_alice="alice-secret";"#;
    let scram_login = "org.apache.kafka.common.security.scram.ScramLoginModule required;";
    let oauth_login = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required \
        unsecuredLoginStringClaim_sub=\"broker\";";
    let mut text = format!(
        "process.roles=broker,controller
node.id={id}
controller.quorum.voters={voters}
listeners=PLAIN://127.0.0.1:{plain},GUEST://127.0.0.1:{guest},TLS://127.0.0.1:{tls},\
SASL://127.0.0.1:{sasl},SASLTLS://127.0.0.1:{sasl_tls},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAIN://127.0.0.1:{plain},GUEST://10.0.2.2:{guest},TLS://localhost:{tls},\
SASL://127.0.0.1:{sasl},SASLTLS://localhost:{sasl_tls}
listener.security.protocol.map=PLAIN:PLAINTEXT,GUEST:PLAINTEXT,TLS:SSL,SASL:SASL_PLAINTEXT,\
SASLTLS:SASL_SSL,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAIN
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER
ssl.keystore.type=PEM
ssl.keystore.location={cluster}/tls/keystore.pem
ssl.truststore.type=PEM
ssl.truststore.location={cluster}/tls/ca.pem
log.dirs={cluster}/node{id}/data
num.partitions=3
log.retention.check.interval.ms=5000
default.replication.factor={replicas}
min.insync.replicas={in_sync}
offsets.topic.replication.factor={replicas}
offsets.topic.num.partitions=4
transaction.state.log.replication.factor={replicas}
transaction.state.log.min.isr={in_sync}
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor={replicas}
share.coordinator.state.topic.min.isr={in_sync}
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=500
auto.create.topics.enable=true
num.network.threads=2
num.io.threads=2
",
        id = index + 1,
        voters = voters.join(","),
        cluster = cluster.display(),
    );
    for listener in ["sasl", "sasltls"] {
        let mechanisms = [
            ("plain", plain_login),
            ("scram-sha-256", scram_login),
            ("scram-sha-512", scram_login),
            ("oauthbearer", oauth_login),
        ];
        for (mechanism, login) in mechanisms {
            writeln!(text, "listener.name.{listener}.{mechanism}.sasl.jaas.config={login}").expect("a String");
        }
    }
    for (name, value) in extra {
        writeln!(text, "{name}={value}").expect("a String");
    }
    text
}
