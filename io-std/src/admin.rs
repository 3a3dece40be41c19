//! Topics: listing and creating; what a group has committed. One connection a call; for tools, set-up and tests, not for the way
//! of the records.

use crate::bootstrap::{BuildError, addresses};
use crate::metrics::Latencies;
use crate::net::{StdClock, TokioIo};
use demitasse_core::protocol::{TopicItem, create_topics, metadata};
use demitasse_core::{ConnectionError, ErrorCode, Scratch};
use std::sync::Arc;
use std::time::Duration;

/// Room for a request: a topic's name and its settings. A longer request is an error that says so.
const FRAME_BYTES: usize = 64 * 1024;

/// Room for responses, which stream through it.
const RECEIVE_BYTES: usize = 16 * 1024;

/// Asks a cluster for its topics and what a group has committed, and to create a topic. Unlike the producer it allocates for each
/// call. Its methods are futures of tokio: they need a runtime with IO and time.
#[derive(Clone, Debug)]
pub struct Admin {
    bootstrap: Vec<(String, u16)>,
}

/// A cluster, as one broker sees it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct ClusterInfo {
    /// Live brokers.
    pub brokers: Vec<BrokerInfo>,
    /// The controller's id (with KRaft: any broker that passes requests on), -1 when unknown.
    pub controller: i32,
    /// Topics that we may see, in the broker's order.
    pub topics: Vec<TopicInfo>,
}

/// A live broker.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct BrokerInfo {
    /// Its id.
    pub id: i32,
    /// Where clients reach it.
    pub host: String,
    /// Where clients reach it.
    pub port: i32,
}

/// A topic.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct TopicInfo {
    /// Its name.
    pub name: String,
    /// Whether it can be used: [`ErrorCode::NONE`] if so.
    pub error: ErrorCode,
    /// Kafka's own.
    pub is_internal: bool,
    /// Its partitions, by number.
    pub partitions: Vec<PartitionInfo>,
}

/// A partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct PartitionInfo {
    /// Its number.
    pub index: i32,
    /// The broker that leads it, -1 for none.
    pub leader: i32,
    /// Whether it can be used.
    pub error: ErrorCode,
}

/// A position that a group keeps.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct CommittedInfo {
    /// The topic.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
    /// The offset of the next record to be read.
    pub offset: i64,
    /// The leader's epoch of the record before it, -1 for unknown.
    pub leader_epoch: i32,
}

/// A topic to be created.
#[derive(Clone, Copy, Debug)]
pub struct NewTopic<'a> {
    /// Its name.
    pub name: &'a str,
    /// How many partitions; `None` leaves it to the broker.
    pub partitions: Option<i32>,
    /// How many replicas of each; `None` leaves it to the broker.
    pub replication: Option<i16>,
    /// Settings of the topic: name, value.
    pub configs: &'a [(&'a str, &'a str)],
}

/// Why there is no answer, or no topic.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum AdminError {
    /// Nobody could be asked, or no whole answer came in time. A topic may have been created nevertheless.
    Connection(ConnectionError),
    /// The broker refused.
    Refused {
        /// Why.
        code: ErrorCode,
        /// The broker's own words, if it has any; at most 256 bytes.
        message: String,
    },
}

impl std::fmt::Display for AdminError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            AdminError::Connection(error) => error.fmt(f),
            AdminError::Refused { code, message } => {
                write!(f, "refused by the broker: error {} {}", code.0, code.name())?;
                if message.is_empty() { Ok(()) } else { write!(f, ": {message}") }
            }
        }
    }
}

impl std::error::Error for AdminError {}

impl Admin {
    /// `bootstrap_servers`: `host:port`, several with commas between. Nothing is connected yet.
    ///
    /// # Errors
    /// An address is not `host:port`.
    pub fn new(bootstrap_servers: &str) -> Result<Admin, BuildError> {
        Ok(Admin { bootstrap: addresses(bootstrap_servers)? })
    }

    /// All topics that we may see, with what is wrong with each.
    ///
    /// # Errors
    /// Nobody could be asked, or there was no whole answer within `patience`.
    pub async fn cluster(&self, patience: Duration) -> Result<ClusterInfo, AdminError> {
        let mut cluster = ClusterInfo { controller: -1, ..ClusterInfo::default() };
        let mut error = ErrorCode::NONE;
        let each = |item: metadata::Item<'_>| match item {
            metadata::Item::Broker { node_id, host, port } => {
                cluster.brokers.push(BrokerInfo { id: node_id, host: text(host), port });
            }
            metadata::Item::Controller(id) => cluster.controller = id,
            metadata::Item::Topic { error, name, is_internal, .. } => {
                cluster.topics.push(TopicInfo { name: text(name), error, is_internal, partitions: Vec::new() });
            }
            metadata::Item::Partition { error, index, leader, .. } => {
                if let Some(topic) = cluster.topics.last_mut() {
                    topic.partitions.push(PartitionInfo { index, leader, error });
                }
            }
            metadata::Item::Error(code) => error = code,
            metadata::Item::Throttle(_) => {}
        };
        self.ask(async |admin| admin.topics(patience, each).await).await?;
        if error != ErrorCode::NONE {
            return Err(AdminError::Refused { code: error, message: String::new() });
        }
        for topic in &mut cluster.topics {
            topic.partitions.sort_by_key(|partition| partition.index);
        }
        Ok(cluster)
    }

    /// Creates a topic; brokers may take a moment longer to know it.
    ///
    /// # Errors
    /// The broker refused, [`ErrorCode::TOPIC_ALREADY_EXISTS`] among the reasons; or nobody could be asked, or there was
    /// no whole answer within `patience`.
    pub async fn create_topic(&self, topic: &NewTopic<'_>, patience: Duration) -> Result<(), AdminError> {
        let new = create_topics::NewTopic {
            name: topic.name,
            num_partitions: topic.partitions.unwrap_or(-1),
            replication_factor: topic.replication.unwrap_or(-1),
            configs: topic.configs,
        };
        let (mut outcome, mut words) = (None, String::new());
        let each = |item: create_topics::Item<'_>| match item {
            create_topics::Item::Topic { error, .. } => outcome = Some(error),
            create_topics::Item::Message(text) => words = text.to_owned(),
            create_topics::Item::Throttle(_) => {}
        };
        self.ask(async |admin| admin.create_topic(&new, patience, each).await).await?;
        match outcome {
            Some(ErrorCode::NONE) => Ok(()),
            Some(code) => Err(AdminError::Refused { code, message: words }),
            // It answered, but not to what was asked.
            None => Err(AdminError::Connection(ConnectionError::Protocol)),
        }
    }

    /// All positions that a group keeps, in the broker's order; none if nobody knows the group.
    ///
    /// # Errors
    /// The broker refused, or nobody could be asked, or there was no whole answer within `patience`.
    pub async fn committed(&self, group: &str, patience: Duration) -> Result<Vec<CommittedInfo>, AdminError> {
        let (mut kept, mut topic, mut refused) = (Vec::new(), String::new(), ErrorCode::NONE);
        let each = |item: TopicItem<'_>| match item {
            TopicItem::Topic { name, .. } => topic = text(name),
            TopicItem::Partition { index, offset: offset @ 0.., leader_epoch, .. } => {
                kept.push(CommittedInfo { topic: topic.clone(), partition: index, offset, leader_epoch });
            }
            TopicItem::Group(code) => refused = code,
            TopicItem::Throttle(_) | TopicItem::Partition { .. } => {}
        };
        self.ask(async |admin| admin.committed(group, patience, each).await).await?;
        match refused {
            ErrorCode::NONE => Ok(kept),
            code => Err(AdminError::Refused { code, message: String::new() }),
        }
    }

    async fn ask(
        &self,
        ask: impl AsyncFnOnce(&mut demitasse_core::Admin<'_, TokioIo, StdClock>) -> Result<(), ConnectionError>,
    ) -> Result<(), AdminError> {
        let clock = StdClock::start();
        let io = TokioIo { clock, latencies: Arc::new(Latencies::new()), encoder: None };
        let bootstrap: Vec<_> = self.bootstrap.iter().map(|(host, port)| (host.as_str(), *port)).collect();
        let (mut frame, mut receive) = (vec![0; FRAME_BYTES], vec![0; RECEIVE_BYTES]);
        let scratch = Scratch::new(&mut frame, &mut receive);
        let mut admin = demitasse_core::Admin::new(&io, &clock, &bootstrap, None, scratch);
        ask(&mut admin).await.map_err(AdminError::Connection)
    }
}

/// A name, as Kafka's rules for it have it; what is none has signs in it that say so.
fn text(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use demitasse_broker::{Options, Release, Server};

    const PATIENCE: Duration = Duration::from_secs(20);

    fn topic(name: &str, partitions: Option<i32>) -> NewTopic<'_> {
        NewTopic { name, partitions, replication: Some(1), configs: &[] }
    }

    #[tokio::test]
    async fn topics_are_created_and_listed_with_every_release() {
        for release in Release::ALL {
            let server = Server::start(Options { nodes: 3, release, ..Options::default() }).unwrap();
            // The last node first: with the old releases it is not the controller.
            let servers: Vec<String> = server.addresses().iter().rev().map(|address| address.to_string()).collect();
            let admin = Admin::new(&servers.join(",")).unwrap();
            admin.create_topic(&topic("a", Some(700)), PATIENCE).await.unwrap();
            let again = admin.create_topic(&topic("a", Some(1)), PATIENCE).await.unwrap_err();
            assert!(matches!(again, AdminError::Refused { code: ErrorCode::TOPIC_ALREADY_EXISTS, .. }), "{again}");
            let cluster = admin.cluster(PATIENCE).await.unwrap();
            assert_eq!((cluster.brokers.len(), cluster.topics.len()), (3, 1), "{release:?}");
            let TopicInfo { name, error, partitions, .. } = &cluster.topics[0];
            assert_eq!((name.as_str(), *error, partitions.len()), ("a", ErrorCode::NONE, 700));
            assert!(partitions.iter().zip(0..).all(|(partition, index)| partition.index == index));
        }
    }

    #[tokio::test]
    async fn who_cannot_be_asked_is_an_error_in_time() {
        let admin = Admin::new("127.0.0.1:1").unwrap();
        assert_eq!(admin.cluster(PATIENCE).await.unwrap_err(), AdminError::Connection(ConnectionError::Refused));
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let admin = Admin::new(&silent.local_addr().unwrap().to_string()).unwrap();
        let error = admin.cluster(Duration::from_millis(50)).await.unwrap_err();
        assert_eq!(error, AdminError::Connection(ConnectionError::RequestTimeout));
    }

    #[test]
    fn its_futures_can_be_sent() {
        fn sent<T: Send>(_: &T) {}
        let admin = Admin::new("127.0.0.1:1").unwrap();
        sent(&admin.cluster(PATIENCE));
        sent(&admin.create_topic(&topic("a", None), PATIENCE));
        sent(&admin.committed("g", PATIENCE));
    }
}
