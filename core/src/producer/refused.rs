//! Why a record is not taken: in few bytes on the way of every record, and whole for the caller who is told.

use super::{Destination, Platform, SendError, State, Usage};
use crate::protocol::ErrorCode;

/// Why a record could not be appended now or at all. Small, since it stands in every result of the hot path; the
/// [`SendError`] that users see is made from it when there is one.
#[derive(Clone, Copy)]
pub(crate) enum Refused {
    /// No buffer or slot is free.
    Full,
    TopicPending,
    // All others are for good.
    Closed,
    UnknownTopic,
    Denied(ErrorCode),
    NoSuchPartition {
        partition: i32,
        partitions: u32,
    },
    TooManyPartitions,
    RecordTooLarge {
        needed: u32,
    },
    SliceTooLarge {
        needed: u16,
    },
    KeysInSlice,
    EmptySlice,
}

impl Refused {
    /// Whether waiting does not help.
    pub(crate) fn is_for_good(self) -> bool {
        !matches!(self, Refused::Full | Refused::TopicPending)
    }
}

impl<P: Platform> State<P> {
    /// The error of a `try_send`, or of a `send` for which waiting does not help.
    #[inline(never)]
    pub(crate) fn refusal(&self, refused: Refused, to: Destination, requested: u32) -> SendError {
        match refused {
            Refused::Full => SendError::Full(self.usage(requested)),
            Refused::TopicPending => SendError::TopicPending { code: self.topic_code(to), connection: self.s.trouble },
            Refused::Closed => SendError::Closed,
            Refused::UnknownTopic => SendError::UnknownTopic,
            Refused::Denied(code) => SendError::TopicRefused { code },
            Refused::NoSuchPartition { partition, partitions } => SendError::NoSuchPartition { partition, partitions },
            Refused::TooManyPartitions => {
                SendError::TooManyPartitions { capacity: self.cluster.partitions.len() as u16 }
            }
            Refused::RecordTooLarge { needed } => SendError::RecordTooLarge { needed, capacity: self.s.batch_bytes },
            Refused::SliceTooLarge { needed } => {
                SendError::SliceTooLarge { needed, capacity: self.buffers.len() as u16 }
            }
            Refused::KeysInSlice => SendError::KeysInSlice,
            Refused::EmptySlice => SendError::EmptySlice,
        }
    }

    /// The error of a `send` that has waited in vain.
    pub(crate) fn timeout(&self, refused: Refused, to: Destination, requested: u32) -> SendError {
        let topic = match refused {
            Refused::TopicPending => Some(self.topic_code(to)),
            _ => None,
        };
        let usage = self.usage(requested);
        SendError::Timeout { waited: self.settings.max_block, usage, topic, connection: self.s.trouble }
    }

    fn topic_code(&self, to: Destination) -> ErrorCode {
        self.cluster.topics.get(to.topic.0 as usize).map_or(ErrorCode::NONE, |t| t.error())
    }

    fn usage(&self, requested: u32) -> Usage {
        let batch_bytes = u64::from(self.s.batch_bytes);
        Usage {
            requested,
            in_use: batch_bytes * u64::from(self.s.buffers_level.used),
            capacity: batch_bytes * self.buffers.len() as u64,
            open: self.s.open,
            queued: self.s.queued,
            in_flight: self.s.in_flight,
        }
    }
}
