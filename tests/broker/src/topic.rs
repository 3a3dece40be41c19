//! Topics and partitions: who leads them and what they hold.

use uuid::Uuid;

use crate::log::Log;
use crate::options::TopicOptions;
use crate::producer_state::ProducerStates;

/// Who leads a partition and who has its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leadership {
    /// -1 while there is none.
    pub(crate) leader: i32,
    pub(crate) leader_epoch: i32,
    pub(crate) replicas: Vec<i32>,
    pub(crate) in_sync: Vec<i32>,
}

#[derive(Debug, Clone)]
pub(crate) struct Partition {
    pub(crate) leadership: Leadership,
    /// When a partition without a leader gets one.
    pub(crate) election_at_ms: Option<u64>,
    pub(crate) log: Log,
    pub(crate) producers: ProducerStates,
}

impl Partition {
    pub(crate) fn new(leadership: Leadership) -> Partition {
        Partition { leadership, election_at_ms: None, log: Log::default(), producers: ProducerStates::default() }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Topic {
    pub(crate) id: Uuid,
    pub(crate) options: TopicOptions,
    /// Until then Metadata does not know it.
    pub(crate) known_at_ms: u64,
    pub(crate) partitions: Vec<Partition>,
}

impl Topic {
    pub(crate) fn partition(&self, index: i32) -> Option<&Partition> {
        self.partitions.get(usize::try_from(index).ok()?)
    }

    pub(crate) fn partition_mut(&mut self, index: i32) -> Option<&mut Partition> {
        self.partitions.get_mut(usize::try_from(index).ok()?)
    }
}

/// A topic as Metadata saw it at some time.
#[derive(Debug, Clone)]
pub(crate) struct TopicView {
    pub(crate) id: Uuid,
    pub(crate) partitions: Vec<Leadership>,
}
