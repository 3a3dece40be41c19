//! Nodes that go and come, leaders that move, disks, throttling, and the order of answers.

use demitasse_broker::{Cluster, Options, error};
use kafka_protocol::messages::{BrokerId, InitProducerIdRequest, MetadataRequest};

use crate::client::*;

fn three() -> Cluster {
    let mut cluster = Cluster::new(Options { nodes: 3, election_ms: 100, ..Options::default() });
    assert!(cluster.create_topic(TOPIC, 3));
    cluster
}

fn leader(cluster: &Cluster, partition: i32) -> (i32, i32) {
    let partition = cluster.partition(TOPIC, partition).unwrap();
    (partition.leader(), partition.leader_epoch())
}

#[test]
fn a_downed_node_loses_connections_and_leadership() {
    let mut cluster = three();
    let first = cluster.connect(1).unwrap();
    let second = cluster.connect(2).unwrap();
    assert!(cluster.node_down(1, 1_000));
    assert!(!cluster.node_down(1, 1_000));
    assert_eq!(cluster.connect(1), None);
    assert_eq!(cluster.connect(4), None);
    assert_eq!(cluster.connect(0), None);
    assert!(!cluster.is_connected(first));
    let reply = cluster.handle(first, b"whatever", 1_000);
    assert_eq!((reply.bytes, reply.close), (None, true));

    let all = MetadataRequest::default().with_topics(None);
    let (_, response) = call_at(&mut cluster, second, 9, &all, 1_099);
    let response = response.unwrap();
    let nodes: Vec<i32> = response.brokers.iter().map(|broker| broker.node_id.0).collect();
    assert_eq!(nodes, [2, 3]);
    assert_eq!(response.controller_id, BrokerId(2));
    let partition = &response.topics[0].partitions[0];
    assert_eq!(partition.error_code, error::LEADER_NOT_AVAILABLE);
    assert_eq!((partition.leader_id, partition.leader_epoch), (BrokerId(-1), 0));
    assert_eq!(partition.isr_nodes, [BrokerId(2), BrokerId(3)]);
    assert_eq!(response.topics[0].partitions[1].error_code, 0);

    // A produce to nobody's partition is not for this node.
    let answer = produce_at(&mut cluster, second, batch(5, 0, 0, 1).bytes(), 1_099);
    assert_eq!(answer.error_code, error::NOT_LEADER_OR_FOLLOWER);
    let answer = produce_at(&mut cluster, second, batch(5, 0, 0, 1).bytes(), 1_100);
    assert_eq!(answer.error_code, 0);
    assert_eq!(leader(&cluster, 0), (2, 1));

    assert!(cluster.node_up(1, 2_000));
    assert!(!cluster.node_up(1, 2_000));
    assert!(!cluster.node_up(9, 2_000));
    assert_eq!(leader(&cluster, 0), (2, 1));
    assert_eq!(cluster.partition(TOPIC, 0).unwrap().in_sync(), [2, 3, 1]);
    assert!(cluster.connect(1).is_some());
}

#[test]
fn the_last_holder_of_a_partition_is_waited_for() {
    let mut cluster = three();
    for node in [1, 2, 3] {
        assert!(cluster.node_down(node, 0));
        cluster.advance(node as u64 * 100);
    }
    assert_eq!(leader(&cluster, 0), (-1, 2));
    // Node 1 went first: it is not in sync, so it may not lead.
    assert!(cluster.node_up(1, 2_000));
    cluster.advance(9_000);
    assert_eq!(leader(&cluster, 0), (-1, 2));
    assert!(cluster.node_up(3, 9_000));
    assert_eq!(leader(&cluster, 0), (3, 3));
}

#[test]
fn a_single_node_keeps_its_partitions_over_a_restart() {
    let (mut cluster, connection) = single(Options::default());
    assert_eq!(outcome(&mut cluster, connection, &batch(5, 0, 0, 1)), (0, 0));
    assert!(cluster.node_down(1, 0));
    assert_eq!(leader(&cluster, 0), (1, 0));
    assert!(cluster.node_up(1, 0));
    assert_eq!(leader(&cluster, 0), (1, 1));
    let connection = cluster.connect(1).unwrap();
    assert_eq!(outcome(&mut cluster, connection, &batch(5, 0, 0, 1)), (0, 0));
    assert_eq!(cluster.counters().duplicates, 1);
    assert_eq!(cluster.counters().connections_opened[&1], 2);
}

#[test]
fn a_moved_leader_is_hinted_at_from_version_10_on() {
    let mut cluster = three();
    let first = cluster.connect(1).unwrap();
    assert!(cluster.move_leader(TOPIC, 0, 3));
    assert!(!cluster.move_leader(TOPIC, 9, 3));
    let request = produce_request(-1, 0, batch(5, 0, 0, 1).bytes());
    let response = call(&mut cluster, first, 10, &request);
    assert_eq!(response.node_endpoints.len(), 1);
    assert_eq!(response.node_endpoints[0].node_id, BrokerId(3));
    assert_eq!(response.node_endpoints[0].port, 9094);
    let answer = only(response);
    assert_eq!(answer.error_code, error::NOT_LEADER_OR_FOLLOWER);
    assert_eq!(answer.current_leader.leader_id, BrokerId(3));
    assert_eq!(answer.current_leader.leader_epoch, 1);

    let response = call(&mut cluster, first, 9, &request);
    assert!(response.node_endpoints.is_empty());
    assert_eq!(only(response).error_code, error::NOT_LEADER_OR_FOLLOWER);

    // Without a leader there is only an epoch to tell.
    assert!(cluster.start_election(TOPIC, 0, 50));
    let response = call(&mut cluster, first, 10, &request);
    assert!(response.node_endpoints.is_empty());
    assert_eq!(only(response).current_leader.leader_id, BrokerId(-1));
    cluster.advance(50);
    assert_eq!(leader(&cluster, 0), (1, 2));
}

#[test]
fn a_full_disk_and_a_partition_that_is_not_there_take_nothing() {
    let (mut cluster, connection) = single(Options::default());
    cluster.set_disk_full(1, true);
    let answer = outcome(&mut cluster, connection, &batch(5, 0, 0, 1));
    assert_eq!(answer, (error::KAFKA_STORAGE_ERROR, -1));
    cluster.set_disk_full(1, false);
    assert_eq!(outcome(&mut cluster, connection, &batch(5, 0, 0, 1)), (0, 0));
    for partition in [-1, 1, i32::MAX, i32::MIN] {
        let request = produce_request(-1, partition, batch(5, 0, 0, 1).bytes());
        let answer = only(call(&mut cluster, connection, 9, &request));
        assert_eq!(answer.error_code, error::UNKNOWN_TOPIC_OR_PARTITION);
    }
}

#[test]
fn answers_leave_in_order_and_one_after_the_other() {
    let request = InitProducerIdRequest::default().with_transactional_id(None);
    let frame = encode(1, 7, &request);
    for (one_at_a_time, expected) in [(true, [10, 20, 30]), (false, [10, 10, 12])] {
        let (mut cluster, connection) =
            single(Options { latency_ms: 10, one_request_at_a_time: one_at_a_time, ..Options::default() });
        let mut at = |now_ms| cluster.handle(connection, &frame, now_ms).at_ms;
        assert_eq!([at(0), at(0), at(2)], expected);
    }
    // A latency that falls does not let a later answer overtake.
    let (mut cluster, connection) =
        single(Options { latency_ms: 10, one_request_at_a_time: false, ..Options::default() });
    assert_eq!(cluster.handle(connection, &frame, 0).at_ms, 10);
    cluster.set_latency(1);
    assert_eq!(cluster.handle(connection, &frame, 1).at_ms, 10);
    // Other connections have their own order.
    let other = cluster.connect(1).unwrap();
    assert_eq!(cluster.handle(other, &frame, 1).at_ms, 2);
}

#[test]
fn a_throttled_client_has_to_be_silent() {
    let (mut cluster, connection) = single(Options { throttle_grace_ms: 2, ..Options::default() });
    cluster.set_throttle_all(100);
    let request = InitProducerIdRequest::default().with_transactional_id(None);
    let (reply, response) = call_at(&mut cluster, connection, 1, &request, 1_000);
    assert_eq!((reply.at_ms, response.unwrap().throttle_time_ms), (1_000, 100));
    cluster.set_throttle_all(0);
    // Was on its way when the answer left: it waits, and is not held against the client.
    let (reply, response) = call_at(&mut cluster, connection, 1, &request, 1_002);
    assert_eq!((reply.at_ms, response.unwrap().throttle_time_ms), (1_100, 0));
    assert_eq!(cluster.counters().throttle_violations, 0);
    let (reply, _) = call_at(&mut cluster, connection, 1, &request, 1_003);
    assert_eq!(reply.at_ms, 1_100);
    assert_eq!(cluster.counters().throttle_violations, 1);
    let (reply, _) = call_at(&mut cluster, connection, 1, &request, 1_101);
    assert_eq!(reply.at_ms, 1_101);
    assert_eq!(cluster.counters().throttle_violations, 1);

    cluster.set_throttle(connection, 30);
    let batch = batch(5, 0, 0, 1).bytes();
    let produce = produce_request(1, 0, batch);
    let (_, response) = call_at(&mut cluster, connection, 9, &produce, 2_000);
    assert_eq!(response.unwrap().throttle_time_ms, 30);
}

#[test]
fn retention_keeps_the_end_and_drops_the_start() {
    let size = batch(5, 0, 0, 1).bytes().len();
    let (mut cluster, connection) = single(Options { retention_bytes: Some(size * 16), ..Options::default() });
    cluster.create_topic("other", 1);
    for sequence in 0..1_000 {
        let answer = outcome(&mut cluster, connection, &batch(5, 0, sequence, 1));
        assert_eq!(answer, (0, i64::from(sequence)));
        assert!(cluster.partition(TOPIC, 0).unwrap().size() <= size * 17);
    }
    let partition = cluster.partition(TOPIC, 0).unwrap();
    assert_eq!(partition.end_offset(), 1_000);
    assert!(partition.start_offset() > 980);
    let first = partition.records().next().unwrap();
    assert_eq!(first.offset, partition.start_offset());
    assert_eq!(partition.records().last().unwrap().offset, 999);
}

#[test]
fn equal_calls_give_equal_bytes() {
    let run = || {
        let mut cluster = three();
        let mut trace = Vec::new();
        let mut connections = [1, 2, 3].map(|node| cluster.connect(node).unwrap());
        for step in 0..300u64 {
            if step == 100 {
                cluster.node_down(2, step);
            }
            if step == 200 {
                cluster.node_up(2, step);
                connections[1] = cluster.connect(2).unwrap();
            }
            let partition = (step % 3) as i32;
            let batch = batch(step as i64 % 2, 0, step as i32 / 6, 1);
            let produce = produce_request(-1, partition, batch.bytes());
            let metadata = MetadataRequest::default().with_topics(None);
            let connection = connections[(step % 3) as usize];
            for frame in [encode(9, step as i32, &produce), encode(9, step as i32, &metadata)] {
                trace.push(cluster.handle(connection, &frame, step));
            }
        }
        (trace, cluster.counters().clone())
    };
    assert_eq!(run(), run());
}
