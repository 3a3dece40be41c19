//! A cluster: started, hurt, healed, asked, taken away.

use crate::guard::Guard;
use crate::node::{Node, Ports, java, properties};
use crate::processes::{run, tail};
use crate::{Error, Partition, Result, certificates, disk, jars, ports, until, wire};
use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

/// How long a node may take to answer, on two slow cores with other work going on.
const START: Duration = Duration::from_secs(120);

/// Kafka 3 logs by log4j 1, Kafka 4 by log4j 2.
const LOG4J: &[(&str, &str)] = &[
    ("log4j.properties", include_str!("../log4j.properties")),
    ("log4j2.properties", include_str!("../log4j2.properties")),
];

/// What cluster is wanted.
#[derive(Clone, Debug)]
pub struct Options {
    /// Of Kafka: [`KAFKA_4`](crate::KAFKA_4), [`KAFKA_3`](crate::KAFKA_3) or another that Maven Central has.
    pub version: String,
    /// Nodes, each a broker and a controller. With three, topics have three replicas and two must be in sync.
    pub nodes: u16,
    /// More lines for `server.properties`; they win over the harness's.
    pub properties: Vec<(String, String)>,
    /// Heap of each JVM, in MiB.
    pub heap_mib: u32,
    /// The folder to use, which must not exist; none: a new one for temporary files.
    pub folder: Option<PathBuf>,
    /// The first port of node 1; none: free ones.
    pub port: Option<u16>,
    /// The data of each node on a disk of its own, so many MiB large; only root can make one.
    pub disk_mib: Option<u32>,
}

impl Options {
    /// One node of this version.
    pub fn one(version: &str) -> Options {
        let version = version.into();
        Options { version, nodes: 1, properties: Vec::new(), heap_mib: 512, folder: None, port: None, disk_mib: None }
    }

    /// Three nodes of this version.
    pub fn three(version: &str) -> Options {
        Options { nodes: 3, ..Options::one(version) }
    }

    /// With this line in `server.properties`.
    pub fn with(mut self, name: &str, value: &str) -> Options {
        self.properties.push((name.into(), value.into()));
        self
    }
}

/// A running cluster. Dropping it kills its nodes and removes its folder.
pub struct Kafka {
    folder: PathBuf,
    libs: PathBuf,
    heap_mib: u32,
    /// Its cluster id, like no other's: an answer from somebody else's broker at our port is not taken for ours.
    id: String,
    ports: Vec<Ports>,
    nodes: Mutex<Vec<Node>>,
    /// None: it outlives this process.
    guard: Option<Guard>,
}

impl Kafka {
    /// Starts a cluster and waits until every node answers and knows of all others.
    pub fn start(options: Options) -> Result<Kafka> {
        Kafka::begin(options, true)
    }

    /// The same, but the cluster stays when this process ends. [`Kafka::attach`] finds it again by its folder.
    pub fn start_detached(options: Options) -> Result<Kafka> {
        Kafka::begin(options, false)
    }

    /// The cluster that another process started with [`Kafka::start_detached`] in this folder.
    pub fn attach(folder: &Path) -> Result<Kafka> {
        let missing = |e| Error::new(format!("no cluster in {}: {e}", folder.display()));
        let text = std::fs::read_to_string(folder.join("cluster")).map_err(missing)?;
        let mut lines = text.lines();
        let mut line = || lines.next().ok_or_else(|| Error::new(format!("{}/cluster is cut short", folder.display())));
        let libs = PathBuf::from(line()?);
        let heap_mib = line()?.parse().map_err(|_| Error::new("no heap size"))?;
        let id = line()?.into();
        let ports: Vec<_> = line()?.split(' ').filter_map(|p| p.parse().ok()).map(Ports::from).collect();
        let nodes = nodes(folder, &ports);
        Ok(Kafka { folder: folder.into(), libs, heap_mib, id, ports, nodes: Mutex::new(nodes), guard: None })
    }

    fn begin(options: Options, guarded: bool) -> Result<Kafka> {
        static CLUSTERS: AtomicU32 = AtomicU32::new(0);
        let libs = jars::fetch(&options.version)?;
        let folder = options.folder.clone().unwrap_or_else(|| {
            let number = CLUSTERS.fetch_add(1, Ordering::Relaxed);
            std::env::temp_dir().join(format!("demitasse-kafka-{}-{number}", std::process::id()))
        });
        if folder.exists() {
            return Err(Error::new(format!("{} exists: stop what runs there, or remove it", folder.display())));
        }
        let first = match options.port {
            Some(port) => {
                ports::check(port, Ports::COUNT * options.nodes)?;
                port
            }
            None => ports::free(Ports::COUNT * options.nodes)?,
        };
        let ports: Vec<_> = (0..options.nodes).map(|i| Ports::from(first + Ports::COUNT * i)).collect();
        std::fs::create_dir_all(&folder)?;
        let guard = guarded.then(|| Guard::watch(&folder)).transpose()?;
        for (name, text) in LOG4J {
            std::fs::write(folder.join(name), text)?;
        }
        let firsts: Vec<_> = ports.iter().map(|p| p.plain.to_string()).collect();
        let id = random_id()?;
        let text = format!("{}\n{}\n{id}\n{}\n", libs.display(), options.heap_mib, firsts.join(" "));
        std::fs::write(folder.join("cluster"), text)?;
        certificates::make(&folder.join("tls"))?;
        if let Some(mib) = options.disk_mib {
            (1..=options.nodes).try_for_each(|node| disk::mount(&data(&folder, node), mib))?;
        }
        let nodes = Mutex::new(nodes(&folder, &ports));
        let kafka = Kafka { folder, libs, heap_mib: options.heap_mib, id, ports, nodes, guard };
        kafka.launch_all(&options)?;
        Ok(kafka)
    }

    fn launch_all(&self, options: &Options) -> Result<()> {
        let mut nodes = self.nodes();
        // All nodes' storage at once: most of the time is JVMs that start.
        std::thread::scope(|scope| {
            let mut formats = Vec::new();
            for (index, node) in nodes.iter().enumerate() {
                let text = properties(&self.folder, index, &self.ports, &options.properties);
                formats.push(scope.spawn(move || node.format(&self.libs, &self.id, &text)));
            }
            formats.into_iter().try_for_each(|format| format.join().expect("no panic"))
        })?;
        nodes.iter_mut().try_for_each(|node| node.launch(&self.libs, self.heap_mib))?;
        drop(nodes);
        self.ready()
    }

    /// Waits until every living node answers and has all living nodes registered.
    fn ready(&self) -> Result<()> {
        // A node that dies at once is not overlooked: its log is what the developer needs.
        if let Some(dead) = self.nodes().iter().find(|n| n.launched() && !n.alive()) {
            return Err(Error::new(format!("node {} died: {}", dead.id, dead.last_words())));
        }
        let living: Vec<(u16, Ports)> = self.nodes().iter().filter(|n| n.alive()).map(|n| (n.id, n.ports)).collect();
        for &(id, ports) in &living {
            let what = format!("node {id} to know all {} nodes; its log: {}", living.len(), self.log(id).display());
            until(START, &what, || {
                if !self.nodes()[id as usize - 1].alive() {
                    return Some(Err(Error::new(format!("node {id} died: {}", self.last_words(id)))));
                }
                let metadata = wire::metadata(address(ports), None).ok()?;
                if metadata.cluster != self.id {
                    let whose = format!("port {} answers for another cluster, {}", ports.plain, metadata.cluster);
                    return Some(Err(Error::new(whose)));
                }
                living.iter().all(|(id, _)| metadata.nodes.contains(&i32::from(*id))).then_some(Ok(()))
            })??;
        }
        Ok(())
    }

    /// The plain listeners of all nodes, for `--bootstrap`.
    pub fn bootstrap(&self) -> String {
        let all: Vec<_> = self.ports.iter().map(|p| address(*p).to_string()).collect();
        all.join(",")
    }

    /// The ports of a node, from 1.
    pub fn ports(&self, node: u16) -> Ports {
        self.ports[usize::from(node) - 1]
    }

    /// Where certificates, logs and data are; gone when the cluster is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What a node wrote.
    pub fn log(&self, node: u16) -> PathBuf {
        self.nodes()[usize::from(node) - 1].log()
    }

    /// Which nodes run (or are frozen).
    pub fn alive(&self) -> Vec<u16> {
        self.nodes().iter().filter(|n| n.alive()).map(|n| n.id).collect()
    }

    fn last_words(&self, node: u16) -> String {
        self.nodes()[usize::from(node) - 1].last_words()
    }

    /// `kill -9`: what a power cut does to a process.
    pub fn kill(&self, node: u16) -> Result<()> {
        self.end(node, "KILL", Duration::from_secs(20))
    }

    /// An orderly end: the node hands its partitions over first.
    pub fn terminate(&self, node: u16) -> Result<()> {
        self.end(node, "TERM", Duration::from_secs(120))
    }

    /// Stops a node without its connections noticing.
    pub fn freeze(&self, node: u16) -> Result<()> {
        self.with(node, |node| node.signal("STOP"))
    }

    /// Lets a frozen node go on.
    pub fn thaw(&self, node: u16) -> Result<()> {
        self.with(node, |node| node.signal("CONT"))
    }

    /// Starts a node again and waits until it answers and knows the other living nodes.
    pub fn start_node(&self, node: u16) -> Result<()> {
        self.with(node, |node| node.launch(&self.libs, self.heap_mib))?;
        self.ready()
    }

    /// Leaves no room on a node's disk, see [`Options::disk_mib`].
    pub fn fill_disk(&self, node: u16) -> Result<()> {
        disk::fill(&data(&self.folder, node))
    }

    /// Gives back what [`Kafka::fill_disk`] took.
    pub fn free_disk(&self, node: u16) -> Result<()> {
        disk::free(&data(&self.folder, node))
    }

    fn end(&self, node: u16, signal: &str, limit: Duration) -> Result<()> {
        self.with(node, |node| {
            node.signal(signal)?;
            node.gone(limit)
        })
    }

    fn with<T>(&self, node: u16, act: impl FnOnce(&mut Node) -> Result<T>) -> Result<T> {
        act(&mut self.nodes()[usize::from(node) - 1])
    }

    fn nodes(&self) -> MutexGuard<'_, Vec<Node>> {
        // A test that panicked does not take the others' cluster away.
        self.nodes.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Makes a topic and waits until every partition has its leader and all its replicas are in sync.
    pub fn create_topic(&self, name: &str, partitions: i32, replication: i16, configs: &[(&str, &str)]) -> Result<()> {
        wire::create_topic(self.any()?, name, partitions, replication, configs)?;
        until(Duration::from_secs(30), &format!("topic {name} to have its leaders"), || {
            let found = self.partitions(name).ok()?;
            let whole = |p: &Partition| p.leader > 0 && p.in_sync == replication as usize;
            (found.len() == partitions as usize && found.iter().all(whole)).then_some(())
        })
    }

    /// Deletes a topic and waits until no living node knows it.
    pub fn delete_topic(&self, name: &str) -> Result<()> {
        wire::delete_topic(self.any()?, name)?;
        let nodes: Vec<_> = self.nodes().iter().filter(|n| n.alive()).map(|n| address(n.ports)).collect();
        until(Duration::from_secs(30), &format!("topic {name} to be gone"), || {
            let gone = |node: &SocketAddr| wire::metadata(*node, Some(name)).is_ok_and(|m| m.partitions.is_empty());
            nodes.iter().all(gone).then_some(())
        })
    }

    /// The partitions of a topic, in order; empty if there is no such topic.
    pub fn partitions(&self, topic: &str) -> Result<Vec<Partition>> {
        Ok(wire::metadata(self.any()?, Some(topic))?.partitions)
    }

    /// The offset after the last record, by partition. Waits for leaders.
    pub fn end_offsets(&self, topic: &str) -> Result<Vec<i64>> {
        let mut last = Error::new("not asked");
        let found = until(Duration::from_secs(60), &format!("the end offsets of {topic}"), || {
            self.end_offsets_now(topic).map_err(|e| last = e).ok()
        });
        found.map_err(|late| Error::new(format!("{late} ({last})")))
    }

    fn end_offsets_now(&self, topic: &str) -> Result<Vec<i64>> {
        let partitions = self.partitions(topic)?;
        if partitions.is_empty() {
            return Err(Error::new("there is no such topic"));
        }
        let of = |partition: &Partition| {
            let leader = usize::try_from(partition.leader - 1).ok().and_then(|index| self.ports.get(index));
            let leader = leader.ok_or_else(|| Error::new(format!("partition {} has no leader", partition.index)))?;
            wire::end_offset(address(*leader), topic, partition.index)
        };
        partitions.iter().map(of).collect()
    }

    /// Runs one of Kafka's own tools to its end, its output as text. Takes seconds: it is a JVM.
    pub fn tool(&self, class: &str, arguments: &[&str], stdin: &[u8]) -> Result<String> {
        let mut command = java(&self.folder, &self.libs, 256);
        command.arg("-XX:TieredStopAtLevel=1").arg(class).args(arguments);
        let said = run(&mut command, stdin, Duration::from_secs(120))?;
        if said.status.success() {
            return Ok(String::from_utf8_lossy(&said.stdout).into_owned());
        }
        Err(Error::new(format!("{class} failed: {}{}", tail(&said.stdout), tail(&said.stderr))))
    }

    /// A living node's plain listener.
    fn any(&self) -> Result<SocketAddr> {
        let nodes = self.nodes();
        let living = nodes.iter().find(|n| n.alive()).ok_or_else(|| Error::new("no node runs"))?;
        Ok(address(living.ports))
    }

    /// Kills all nodes and removes the folder, now.
    pub fn remove(&self) {
        for node in self.nodes().iter_mut() {
            if node.signal("KILL").is_ok() {
                let _ = node.gone(Duration::from_secs(20));
            }
        }
        (1..=self.ports.len() as u16).for_each(|node| disk::unmount(&data(&self.folder, node)));
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        if self.guard.is_some() {
            self.remove();
        }
    }
}

fn nodes(folder: &Path, ports: &[Ports]) -> Vec<Node> {
    ports.iter().enumerate().map(|(index, ports)| Node::new(folder, index as u16 + 1, *ports)).collect()
}

/// What node.rs names as `log.dirs`.
fn data(folder: &Path, node: u16) -> PathBuf {
    folder.join(format!("node{node}/data"))
}

fn address(ports: Ports) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], ports.plain))
}

/// A cluster id as Kafka wants it: 16 bytes in 22 characters of base64, of which the last has but two bits.
fn random_id() -> Result<String> {
    let mut bytes = [0; 21];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    Ok(bytes.iter().map(|byte| char::from(letters[usize::from(*byte) % letters.len()])).chain(['A']).collect())
}
