//! What Metadata says of topics that are there, missing, on their way, hidden or denied.

use demitasse_broker::{Cluster, ConnectionId, Options, Release, error};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::{BrokerId, MetadataRequest, MetadataResponse};
use uuid::Uuid;

use crate::client::*;

fn of(topics: &[&str]) -> MetadataRequest {
    let topics = topics.iter().map(|topic| MetadataRequestTopic::default().with_name(Some(name(topic)))).collect();
    MetadataRequest::default().with_topics(Some(topics)).with_allow_auto_topic_creation(true)
}

fn ask_at(cluster: &mut Cluster, connection: ConnectionId, topic: &str, now_ms: u64) -> MetadataResponseTopic {
    let (_, response) = call_at(cluster, connection, 9, &of(&[topic]), now_ms);
    let mut topics = response.unwrap().topics;
    assert_eq!(topics.len(), 1);
    topics.remove(0)
}

fn names(response: &MetadataResponse) -> Vec<&str> {
    response.topics.iter().map(|topic| topic.name.as_ref().unwrap().as_str()).collect()
}

#[test]
fn an_empty_list_is_none_and_null_is_all() {
    let (mut cluster, connection) = single(Options::default());
    assert!(cluster.create_topic("another", 1));
    let all = MetadataRequest::default().with_topics(None);
    let none = MetadataRequest::default().with_topics(Some(Vec::new()));
    assert_eq!(names(&call(&mut cluster, connection, 9, &all)), ["another", TOPIC]);
    assert_eq!(names(&call(&mut cluster, connection, 9, &none)), [""; 0]);
    // Version 0 has no null.
    assert_eq!(names(&call(&mut cluster, connection, 0, &none)), ["another", TOPIC]);
    cluster.deny_topic("another");
    assert_eq!(names(&call(&mut cluster, connection, 9, &all)), [TOPIC]);
}

#[test]
fn a_topic_is_created_on_demand_and_known_from_the_next_request_on() {
    for (release, first) in
        [(Release::V2_1, error::LEADER_NOT_AVAILABLE), (Release::V4_3, error::UNKNOWN_TOPIC_OR_PARTITION)]
    {
        let mut cluster =
            Cluster::new(Options { nodes: 3, release, default_partitions: 4, creation_ms: 10, ..Options::default() });
        let connection = cluster.connect(1).unwrap();
        let ask = |cluster: &mut Cluster, now_ms| {
            let (_, response) = call_at(cluster, connection, 7, &of(&["new"]), now_ms);
            response.unwrap().topics.remove(0)
        };
        for now_ms in [0, 9] {
            let topic = ask(&mut cluster, now_ms);
            assert_eq!((topic.error_code, topic.partitions.len()), (first, 0));
        }
        let topic = ask(&mut cluster, 10);
        assert_eq!((topic.error_code, topic.partitions.len()), (0, 4));
        let leaders: Vec<i32> = topic.partitions.iter().map(|of| of.leader_id.0).collect();
        assert_eq!(leaders, [1, 2, 3, 1]);
        assert_eq!(topic.partitions[1].replica_nodes, [BrokerId(2), BrokerId(3), BrokerId(1)]);
    }
}

#[test]
fn nothing_is_created_unless_both_sides_want_it() {
    let (mut cluster, connection) = single(Options::default());
    let unwanted = of(&["new"]).with_allow_auto_topic_creation(false);
    for _ in 0..2 {
        let response = call(&mut cluster, connection, 9, &unwanted);
        assert_eq!(response.topics[0].error_code, error::UNKNOWN_TOPIC_OR_PARTITION);
    }
    let (mut cluster, connection) = single(Options { auto_create_topics: false, ..Options::default() });
    for _ in 0..2 {
        let topic = ask_at(&mut cluster, connection, "new", 0);
        assert_eq!(topic.error_code, error::UNKNOWN_TOPIC_OR_PARTITION);
    }
    assert_eq!(cluster.topics().collect::<Vec<_>>(), [TOPIC]);
}

#[test]
fn invalid_names_and_denied_topics_say_so() {
    let (mut cluster, connection) = single(Options::default());
    let long = "x".repeat(250);
    for bad in ["", ".", "..", "a b", "ä", long.as_str()] {
        let topic = ask_at(&mut cluster, connection, bad, 0);
        assert_eq!(topic.error_code, error::INVALID_TOPIC_EXCEPTION, "{bad}");
    }
    for denied in [TOPIC, "missing"] {
        cluster.deny_topic(denied);
        let topic = ask_at(&mut cluster, connection, denied, 0);
        assert_eq!(topic.error_code, error::TOPIC_AUTHORIZATION_FAILED);
        assert!(topic.partitions.is_empty());
    }
    let answer = outcome(&mut cluster, connection, &batch(5, 0, 0, 1));
    assert_eq!(answer, (error::TOPIC_AUTHORIZATION_FAILED, -1));
    cluster.allow_topic(TOPIC);
    assert_eq!(outcome(&mut cluster, connection, &batch(5, 0, 0, 1)), (0, 0));
}

#[test]
fn topics_are_found_by_id() {
    let (mut cluster, connection) = single(Options::default());
    let by_id = |id: [u8; 16]| {
        let topic = MetadataRequestTopic::default().with_name(None).with_topic_id(Uuid::from_bytes(id));
        MetadataRequest::default().with_topics(Some(vec![topic]))
    };
    let id = cluster.topic_id(TOPIC).unwrap();
    let response = call(&mut cluster, connection, 12, &by_id(id));
    assert_eq!(names(&response), [TOPIC]);
    let response = call(&mut cluster, connection, 12, &by_id([7; 16]));
    assert_eq!(response.topics[0].error_code, error::UNKNOWN_TOPIC_ID);
    // A topic that is made anew has another id.
    cluster.delete_topic(TOPIC);
    cluster.create_topic(TOPIC, 1);
    let response = call(&mut cluster, connection, 12, &by_id(id));
    assert_eq!(response.topics[0].error_code, error::UNKNOWN_TOPIC_ID);
    let request = produce_request(1, 0, batch(5, 0, 0, 1).bytes());
    let mut by_old_id = request.clone();
    by_old_id.topic_data[0].topic_id = Uuid::from_bytes(id);
    let answer = only(call(&mut cluster, connection, 13, &by_old_id));
    assert_eq!(answer.error_code, error::UNKNOWN_TOPIC_ID);
}

#[test]
fn a_hidden_topic_is_unknown_for_a_while_and_keeps_what_it_holds() {
    for release in Release::ALL {
        let (mut cluster, connection) = single(Options { release, ..Options::default() });
        assert_eq!(outcome(&mut cluster, connection, &batch(5, 0, 0, 1)), (0, 0));
        cluster.hide_topic(TOPIC, Some(1), 50);
        let (_, response) = call_at(&mut cluster, connection, 7, &of(&[TOPIC]), 49);
        let hidden = response.unwrap().topics.remove(0);
        assert_eq!(hidden.error_code, error::UNKNOWN_TOPIC_OR_PARTITION);
        let refused = produce_at(&mut cluster, connection, batch(5, 0, 1, 1).bytes(), 49);
        assert!([error::UNKNOWN_TOPIC_OR_PARTITION, error::UNKNOWN_TOPIC_ID].contains(&refused.error_code));
        let taken = produce_at(&mut cluster, connection, batch(5, 0, 1, 1).bytes(), 50);
        assert_eq!((taken.error_code, taken.base_offset), (0, 1));
    }
}

#[test]
fn a_stale_node_goes_on_telling_what_was() {
    let (mut cluster, first) = single(Options { nodes: 3, ..Options::default() });
    let second = cluster.connect(2).unwrap();
    cluster.set_stale_metadata(2, true);
    cluster.create_topic("later", 1);
    assert!(cluster.node_down(3, 0));
    assert!(cluster.move_leader(TOPIC, 0, 2));
    let fresh = ask_at(&mut cluster, first, TOPIC, 0);
    assert_eq!((fresh.partitions[0].leader_id, fresh.partitions[0].leader_epoch), (BrokerId(2), 1));
    let response = call(&mut cluster, second, 9, &of(&[TOPIC, "later"]));
    assert_eq!(response.brokers.len(), 3);
    let stale = &response.topics[0].partitions[0];
    assert_eq!((stale.leader_id, stale.leader_epoch), (BrokerId(1), 0));
    assert_eq!(response.topics[1].error_code, error::UNKNOWN_TOPIC_OR_PARTITION);
    cluster.set_stale_metadata(2, false);
    let fresh = ask_at(&mut cluster, second, TOPIC, 0);
    assert_eq!(fresh.partitions[0].leader_epoch, 1);
}
