//! What is known of the cluster: brokers, topics, partitions, their leaders and epochs, and when to ask again.
//!
//! Nothing here knows connections or records. Metadata responses are applied item by item as they stream by
//! ([`Cluster::broker`], [`Cluster::topic`], [`Cluster::partition`]), so a response may be larger than all memory.

mod brokers;
mod metadata;
mod partitions;
mod topics;

pub use brokers::BrokerEntry;
pub(crate) use brokers::{Versions, find_node};
pub(crate) use metadata::{Metadata, MetadataReading, Open};
pub use partitions::PartitionEntry;
pub(crate) use partitions::find_place;
pub use topics::TopicEntry;
pub(crate) use topics::TopicState;

use crate::pool::{Table, Text};
use crate::state::Platform;

/// After this many answers in a row that contradict what is known in a way that a cluster never changes, it is we who are
/// wrong: the topic was deleted and made again.
const STALE_ANSWERS: u8 = 5;

/// All that is known of the cluster, wherever the platform has its tables.
pub(crate) struct Cluster<P: Platform> {
    pub(crate) brokers: Table<P::Brokers>,
    pub(crate) hosts: Text<P::Hosts>,
    pub(crate) topics: Table<P::Topics>,
    pub(crate) names: Text<P::Names>,
    pub(crate) partitions: Table<P::Partitions>,
    pub(crate) metadata: Metadata,
}

impl<P: Platform> Cluster<P> {
    /// Nothing is known yet.
    pub(crate) fn new(
        brokers: P::Brokers,
        hosts: P::Hosts,
        topics: P::Topics,
        names: P::Names,
        partitions: P::Partitions,
    ) -> Self {
        let (hosts, names) = (Text::new(hosts, brokers.len()), Text::new(names, topics.len()));
        let (brokers, topics, partitions) = (Table::new(brokers), Table::new(topics), Table::new(partitions));
        Cluster { brokers, hosts, topics, names, partitions, metadata: Metadata::NEW }
    }
}
