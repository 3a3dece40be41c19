//! What can go wrong with records: what happened, whose fault it is, the sizes and codes, and what to do.

use crate::connection::ConnectionError;
use crate::protocol::ErrorCode;
use core::fmt;

/// Who can do something about an error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Fault {
    /// The caller: the record or the call is wrong.
    Caller,
    /// A setting of ours, or a capacity.
    Setting,
    /// The broker refused, or something on it is in the way.
    Broker,
    /// No connection, or one that broke.
    Network,
    /// Memory that was given is used up for now.
    Resource,
}

/// Why a batch was not written, or may not have been.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Reason {
    /// Nothing failed yet.
    None,
    /// The broker refused it; see the code.
    Rejected,
    /// `delivery.timeout.ms` passed. The code or the connection's error is that of the last attempt, if there was one.
    Expired,
    /// The topic has no such partition; when the record was taken, its partitions were not known yet.
    NoSuchPartition,
    /// There is no place for the address of the partition's leader; see the connection's error, which has the sizes.
    NoPlace,
    /// The producer was closed first.
    Closed,
    /// The producer got no id; see the code.
    NoProducerId,
}

/// Why a batch was not written, or may not have been, with what is known about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Failure {
    /// What happened.
    pub reason: Reason,
    /// The broker's last word, or [`ErrorCode::NONE`].
    pub code: ErrorCode,
    /// The trouble with the connection, if there was any.
    pub connection: Option<ConnectionError>,
}

impl Failure {
    pub(crate) const NONE: Failure = Failure { reason: Reason::None, code: ErrorCode::NONE, connection: None };

    pub(crate) fn rejected(code: ErrorCode) -> Failure {
        Failure { reason: Reason::Rejected, code, connection: None }
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match (self.reason, self.connection) {
            (Reason::Closed | Reason::NoSuchPartition, _) => Fault::Caller,
            (_, Some(ConnectionError::FrameTooSmall { .. } | ConnectionError::NoPlace { .. })) => Fault::Setting,
            (_, Some(_)) => Fault::Network,
            _ if is_setting(self.code) => Fault::Setting,
            (Reason::Expired, None) if self.code == ErrorCode::NONE => Fault::Network,
            _ => Fault::Broker,
        }
    }
}

fn is_setting(code: ErrorCode) -> bool {
    use ErrorCode as E;
    matches!(
        code,
        E::MESSAGE_TOO_LARGE
            | E::RECORD_LIST_TOO_LARGE
            | E::INVALID_TOPIC_EXCEPTION
            | E::INVALID_REQUIRED_ACKS
            | E::UNKNOWN_TOPIC_OR_PARTITION
            | E::TOPIC_AUTHORIZATION_FAILED
            | E::CLUSTER_AUTHORIZATION_FAILED
    )
}

/// What to do about a broker's error code.
fn advice(code: ErrorCode) -> &'static str {
    use ErrorCode as E;
    match code {
        E::UNKNOWN_TOPIC_OR_PARTITION => "create the topic, or check its name",
        E::INVALID_TOPIC_EXCEPTION => "use a legal topic name: up to 249 of [a-zA-Z0-9._-]",
        E::TOPIC_AUTHORIZATION_FAILED => "give this user the right to write to the topic",
        E::CLUSTER_AUTHORIZATION_FAILED => "give this user IdempotentWrite, or set enable.idempotence=false",
        E::MESSAGE_TOO_LARGE | E::RECORD_LIST_TOO_LARGE => "lower batch.size, or raise the topic's max.message.bytes",
        E::NOT_ENOUGH_REPLICAS | E::NOT_ENOUGH_REPLICAS_AFTER_APPEND => {
            "bring replicas back, or lower the topic's min.insync.replicas"
        }
        E::KAFKA_STORAGE_ERROR => "check the broker's disk",
        E::LEADER_NOT_AVAILABLE => "wait for a leader, or bring the partition's brokers back",
        E::UNSUPPORTED_VERSION => "use a newer broker, or set enable.idempotence=false",
        _ => "see the broker's log",
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.reason {
            Reason::None => "no failure",
            Reason::Rejected => "refused by the broker",
            Reason::Expired => "not acknowledged within delivery.timeout.ms",
            Reason::NoSuchPartition => "the topic has no such partition",
            Reason::NoPlace => "the partition's leader cannot be connected to",
            Reason::Closed => "the producer was closed first",
            Reason::NoProducerId => "the broker gave no producer id",
        })?;
        if self.code != ErrorCode::NONE {
            write!(f, "; broker error {} {}: {}", self.code.0, self.code.name(), advice(self.code))?;
        }
        match self.connection {
            Some(error) => write!(f, "; connection: {error}"),
            None => Ok(()),
        }
    }
}

/// What the buffers hold, when something did not fit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Usage {
    /// Bytes of the record as it would stand in a batch.
    pub requested: u32,
    /// Bytes of buffers taken.
    pub in_use: u64,
    /// Bytes of buffers in all.
    pub capacity: u64,
    /// Batches that take records.
    pub open: u16,
    /// Batches that wait to be sent.
    pub queued: u16,
    /// Batches in outstanding requests.
    pub in_flight: u16,
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "record of {} bytes; {} of {} bytes of buffers in use; batches: {} open, {} queued, {} in flight",
            self.requested, self.in_use, self.capacity, self.open, self.queued, self.in_flight
        )
    }
}

/// Why a record was not taken. It was not and will not be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SendError {
    /// `try_send`: no buffer is free. Try again later, or use `send`, which waits.
    Full(Usage),
    /// `try_send`: the topic's partitions are not known yet. Try again later, or use `send`, which waits.
    TopicPending {
        /// The broker's last word on the topic, or none.
        code: ErrorCode,
        /// The last trouble with a connection, if no connection works.
        connection: Option<ConnectionError>,
    },
    /// `send`: neither room nor news of the topic within `max.block.ms`.
    Timeout {
        /// Milliseconds waited.
        waited: u32,
        /// What the buffers held at the end.
        usage: Usage,
        /// The topic is still unknown; the broker's last word, if any.
        topic: Option<ErrorCode>,
        /// The last trouble with a connection, if no connection works.
        connection: Option<ConnectionError>,
    },
    /// The record is larger than any batch can be.
    RecordTooLarge {
        /// Bytes it needs in a batch of its own, header included.
        needed: u32,
        /// `batch.size`.
        capacity: u32,
    },
    /// The broker refuses the topic: its name, or the right to write to it. It is asked again when somebody tries again.
    TopicRefused {
        /// Why.
        code: ErrorCode,
    },
    /// The topic is not one of this producer's: it came from another.
    UnknownTopic,
    /// The topic has no such partition.
    NoSuchPartition {
        /// What was asked for.
        partition: i32,
        /// How many it has.
        partitions: u32,
    },
    /// More partitions than there are places for.
    TooManyPartitions {
        /// Places there are.
        capacity: u16,
    },
    /// More tasks wait than there are seats for, and the settings say to refuse.
    TooManyWaiters {
        /// Seats there are.
        capacity: u16,
    },
    /// A slice goes to one partition; records with keys would go to several. Name one, or use `send_each`.
    KeysInSlice,
    /// A slice is taken whole or not at all, and this one is larger than all buffers together.
    SliceTooLarge {
        /// Batches that it needs.
        needed: u16,
        /// Batch buffers there are.
        capacity: u16,
    },
    /// A slice without a record: there is nothing to deliver.
    EmptySlice,
    /// The producer was closed.
    Closed,
}

impl SendError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            SendError::Full(_) => Fault::Resource,
            SendError::Timeout { connection: Some(_), .. }
            | SendError::Timeout { topic: Some(ErrorCode::NONE), .. }
            | SendError::TopicPending { connection: Some(_), .. }
            | SendError::TopicPending { code: ErrorCode::NONE, .. } => Fault::Network,
            SendError::Timeout { topic: None, .. } => Fault::Resource,
            SendError::Timeout { topic: Some(code), .. } | SendError::TopicPending { code, .. }
                if is_setting(*code) =>
            {
                Fault::Setting
            }
            SendError::Timeout { .. } | SendError::TopicPending { .. } => Fault::Broker,
            SendError::RecordTooLarge { .. }
            | SendError::SliceTooLarge { .. }
            | SendError::TooManyPartitions { .. }
            | SendError::TooManyWaiters { .. }
            | SendError::TopicRefused { .. } => Fault::Setting,
            SendError::UnknownTopic
            | SendError::NoSuchPartition { .. }
            | SendError::KeysInSlice
            | SendError::EmptySlice
            | SendError::Closed => Fault::Caller,
        }
    }

    /// True if the same call may succeed later without anything being changed.
    pub fn is_temporary(&self) -> bool {
        matches!(self, SendError::Full(_) | SendError::TopicPending { .. })
    }
}

fn after(f: &mut fmt::Formatter<'_>, trouble: Option<ConnectionError>) -> fmt::Result {
    trouble.map_or(Ok(()), |error| write!(f, "; connection: {error}"))
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendError::Full(usage) => write!(f, "no buffer is free ({usage})"),
            SendError::TopicPending { code, connection } => {
                match *code {
                    ErrorCode::NONE => f.write_str("the topic's partitions are not known yet")?,
                    code => write!(
                        f,
                        "the topic is not known yet: broker error {} {}: {}",
                        code.0,
                        code.name(),
                        advice(code)
                    )?,
                }
                after(f, *connection)
            }
            SendError::Timeout { waited, usage, topic, connection } => {
                match topic {
                    None => write!(f, "no room within max.block.ms, {waited} ms ({usage})")?,
                    Some(ErrorCode::NONE) => {
                        write!(
                            f,
                            "no broker told of the topic within max.block.ms, {waited} ms: check bootstrap.servers"
                        )?;
                    }
                    Some(code) => write!(
                        f,
                        "no metadata for the topic within max.block.ms, {waited} ms: broker error {} {}: {}",
                        code.0,
                        code.name(),
                        advice(*code)
                    )?,
                }
                after(f, *connection)
            }
            SendError::RecordTooLarge { needed, capacity } => write!(
                f,
                "the record needs {needed} bytes in a batch, batch.size is {capacity}: raise batch.size or send less"
            ),
            SendError::TopicRefused { code } => {
                write!(f, "the broker refuses the topic: error {} {}: {}", code.0, code.name(), advice(*code))
            }
            SendError::UnknownTopic => f.write_str("the topic belongs to another producer: ask this one for it"),
            SendError::NoSuchPartition { partition, partitions } => {
                write!(f, "the topic has no partition {partition}: it has {partitions}")
            }
            SendError::TooManyPartitions { capacity } => {
                write!(f, "all {capacity} places for partitions are taken: raise partitions.max")
            }
            SendError::TooManyWaiters { capacity } => {
                write!(f, "all {capacity} seats for waiting tasks are taken: raise waiters.max")
            }
            SendError::KeysInSlice => {
                f.write_str("a slice goes to one partition, its records have keys: name the partition or use send_each")
            }
            SendError::SliceTooLarge { needed, capacity } => write!(
                f,
                "the slice needs {needed} batches, there are {capacity} buffers: send less at once or raise buffer.memory"
            ),
            SendError::EmptySlice => f.write_str("the slice has no records"),
            SendError::Closed => f.write_str("the producer was closed"),
        }
    }
}

impl core::error::Error for SendError {}

/// Why a delivery did not end well. Of a slice, a part may have been written: see the counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DeliveryError {
    /// Records that are in the log.
    pub written: u32,
    /// Records that are not in the log and never will be.
    pub failed: u32,
    /// Records of which nobody can tell.
    pub unknown: u32,
    /// Of the first record that was not written.
    pub cause: DeliveryFailure,
}

/// What a [`DeliveryError`] is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum DeliveryFailure {
    /// See the failure; the counts say whether it is definite.
    Failure(Failure),
    /// It was asked for so late that the outcome of an unsuccessful batch at its place has had to give way.
    Forgotten,
    /// More tasks wait than there are seats for, and the settings say to refuse. The records are on their way: ask
    /// again. All of them count as unknown.
    TooManyWaiters,
}

impl DeliveryError {
    pub(crate) fn too_many_waiters(delivery: &super::Delivery) -> Self {
        DeliveryError { written: 0, failed: 0, unknown: delivery.count, cause: DeliveryFailure::TooManyWaiters }
    }
}

impl fmt::Display for DeliveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.failed, self.unknown) {
            (0, _) => f.write_str("it is not known whether the record was written: ")?,
            (_, 0) => f.write_str("not written: ")?,
            (failed, unknown) => write!(f, "{failed} records not written, of {unknown} it is not known: ")?,
        }
        match self.cause {
            DeliveryFailure::Failure(failure) => failure.fmt(f),
            DeliveryFailure::Forgotten => f.write_str("asked for too late, the outcome was forgotten"),
            DeliveryFailure::TooManyWaiters => f.write_str("all seats for waiting tasks are taken: raise waiters.max"),
        }
    }
}

impl core::error::Error for DeliveryError {}
