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

use crate::pool::Text;

/// After this many answers in a row that contradict what is known in a way that a cluster never changes, it is we who are
/// wrong: the topic was deleted and made again.
const STALE_ANSWERS: u8 = 5;

/// All tables of the cluster, borrowed from the state.
pub(crate) struct Cluster<'a> {
    pub(crate) brokers: &'a mut [BrokerEntry],
    pub(crate) hosts: Text<'a>,
    pub(crate) topics: &'a mut [TopicEntry],
    pub(crate) names: Text<'a>,
    pub(crate) partitions: &'a mut [PartitionEntry],
    pub(crate) metadata: &'a mut Metadata,
}
