//! What Prometheus sees, at `http://ADDRESS/metrics`.

use demitasse_io_std::{Consumer, Topic};
use metrics::{Unit, describe_counter, describe_gauge, gauge};
use metrics_exporter_prometheus::PrometheusBuilder;
use std::net::SocketAddr;
use std::time::Duration;

/// How often gauges are brought up to date.
const EVERY: Duration = Duration::from_millis(250);

/// Begins to listen, on the runtime that this is called in.
pub(crate) fn listen(address: SocketAddr) -> Result<(), String> {
    let built = PrometheusBuilder::new().with_http_listener(address).install();
    built.map_err(|error| format!("--metrics {address}: {error}"))?;
    describe_gauge!("pipeline_buffer_fullness", "Share of the buffers that waits for the writer, 0 to 1.");
    describe_gauge!("pipeline_poll_size", Unit::Count, "The most records that the last poll could hand out.");
    describe_gauge!("pipeline_held_bytes", Unit::Bytes, "Fetched and not yet released.");
    describe_gauge!("pipeline_in_flight_bytes", Unit::Bytes, "What requests under way may bring.");
    describe_gauge!("pipeline_fetch_memory_bytes", Unit::Bytes, "Held and in flight are never more.");
    describe_gauge!("pipeline_lag", Unit::Count, "Records between the position and the partition's end.");
    describe_gauge!("pipeline_committed_offset", "What the group keeps of the partition.");
    describe_counter!("pipeline_records_total", Unit::Count, "Records written.");
    describe_counter!("pipeline_bytes_total", Unit::Bytes, "Bytes of lines written.");
    describe_counter!("pipeline_files_total", Unit::Count, "Files that are whole and on disk.");
    describe_counter!("pipeline_commits_total", Unit::Count, "Offsets of partitions that were committed.");
    Ok(())
}

/// Shows the gauges, for ever.
pub(crate) async fn show(consumer: &Consumer, topic: Topic, partitions: usize) {
    let names: Vec<String> = (0..partitions).map(|partition| partition.to_string()).collect();
    loop {
        let gauges = consumer.gauges();
        gauge!("pipeline_buffer_fullness").set(gauges.fullness);
        gauge!("pipeline_poll_size").set(gauges.poll_size);
        gauge!("pipeline_held_bytes").set(gauges.bytes_held as f64);
        gauge!("pipeline_in_flight_bytes").set(gauges.bytes_in_flight as f64);
        gauge!("pipeline_fetch_memory_bytes").set(gauges.memory as f64);
        for (partition, name) in (0..).zip(&names) {
            if let Some(lag) = consumer.lag(topic, partition) {
                gauge!("pipeline_lag", "partition" => name.clone()).set(lag as f64);
            }
            if let Some(offset) = consumer.committed(topic, partition) {
                gauge!("pipeline_committed_offset", "partition" => name.clone()).set(offset as f64);
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}
