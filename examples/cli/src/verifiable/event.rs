//! The lines that Kafka's system tests read: their names and fields are not ours to choose.

use serde::Serialize;
use std::time::SystemTime;

/// A line.
#[derive(Serialize)]
pub(super) struct Event<D> {
    /// Milliseconds since 1970.
    timestamp: u64,
    name: &'static str,
    #[serde(flatten)]
    data: D,
}

impl<D> Event<D> {
    pub(super) fn new(name: &'static str, data: D) -> Event<D> {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Event { timestamp: since.as_millis() as u64, name, data }
    }
}

/// Of `startup_complete` and `shutdown_complete`.
#[derive(Serialize)]
pub(super) struct Nothing {}

/// Of `producer_send_success`.
#[derive(Serialize)]
pub(super) struct Success<'a> {
    pub(super) key: Option<String>,
    pub(super) value: String,
    pub(super) topic: &'a str,
    pub(super) partition: i32,
    /// -1 if it is not known, as with acks=0.
    pub(super) offset: i64,
}

/// Of `producer_send_error`.
#[derive(Serialize)]
pub(super) struct Failed<'a> {
    pub(super) key: Option<String>,
    pub(super) value: String,
    pub(super) topic: &'a str,
    /// Kafka's has the name of a class.
    pub(super) exception: &'static str,
    pub(super) message: String,
}

/// Of `tool_data`, the last line.
#[derive(Serialize)]
pub(super) struct ToolData {
    /// Attempts.
    pub(super) sent: u64,
    pub(super) acked: u64,
    pub(super) target_throughput: i64,
    /// Acknowledged records a second.
    pub(super) avg_throughput: f64,
}
