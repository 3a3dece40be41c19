//! Faults do what they say, by script and by seed.

use demitasse_broker::{Action, Api, Cluster, ConnectionId, Faults, Options, Probabilities, Reply, Rule};
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::*;

use crate::client::*;

/// One Produce under an action: the reply and whether it was applied.
fn produce_under(action: Action) -> (Cluster, ConnectionId, Reply, bool) {
    let (mut cluster, connection) = single(Options::default());
    cluster.add_rule(Rule::new(action));
    let request = produce_request(-1, 0, batch(5, 0, 0, 1).bytes());
    let reply = cluster.handle(connection, &encode(9, 7, &request), 10);
    let applied = cluster.partition(TOPIC, 0).unwrap().end_offset() == 1;
    assert_eq!(cluster.counters().faults, 1);
    (cluster, connection, reply, applied)
}

fn error_in(reply: &Reply) -> i16 {
    only(decode(9, 7, reply.bytes.as_ref().unwrap())).error_code
}

#[test]
fn each_action_on_a_produce() {
    let (_, _, reply, applied) = produce_under(Action::Error(19));
    assert_eq!((error_in(&reply), reply.close, applied), (19, false, false));

    let (_, _, reply, applied) = produce_under(Action::ApplyThenError(7));
    assert_eq!((error_in(&reply), reply.close, applied), (7, false, true));

    let (cluster, connection, reply, applied) = produce_under(Action::DropBefore);
    assert_eq!((reply.bytes, reply.close, applied), (None, true, false));
    assert!(!cluster.is_connected(connection));

    let (mut cluster, connection, reply, applied) = produce_under(Action::ApplyThenDrop);
    assert_eq!((reply.bytes, reply.close, applied), (None, true, true));
    assert!(!cluster.is_connected(connection));
    let connection = cluster.connect(1).unwrap();
    assert_eq!(outcome(&mut cluster, connection, &batch(5, 0, 0, 1)), (0, 0));
    assert_eq!(cluster.counters().duplicates, 1);

    let (_, _, reply, applied) = produce_under(Action::Delay(90));
    assert_eq!((reply.at_ms, error_in(&reply), applied), (100, 0, true));

    for (action, applies) in [(Action::Silence, false), (Action::ApplyThenSilence, true)] {
        let (mut cluster, connection, reply, applied) = produce_under(action);
        assert_eq!((reply.bytes, reply.close, applied), (None, false, applies));
        let request = encode(9, 8, &MetadataRequest::default());
        let reply = cluster.handle(connection, &request, 20);
        assert_eq!((reply.bytes, reply.close), (None, false));
        assert!(cluster.is_connected(connection));
        let other = cluster.connect(1).unwrap();
        assert!(cluster.handle(other, &request, 20).bytes.is_some());
    }

    let (_, _, reply, applied) = produce_under(Action::Garbage(b"garbage".to_vec()));
    assert_eq!((reply.bytes, reply.close, applied), (Some(b"garbage".to_vec()), false, true));

    let (_, _, reply, applied) = produce_under(Action::WrongCorrelation);
    let answer: ProduceResponse = decode(9, 8, &reply.bytes.unwrap());
    assert_eq!((only(answer).error_code, applied), (0, true));

    let (_, _, reply, applied) = produce_under(Action::CutAfter(9));
    assert_eq!((reply.bytes.unwrap().len(), reply.close, applied), (9, true, true));
}

#[test]
fn a_rule_counts_its_matches_only() {
    let (mut cluster, connection) = single(Options::default());
    let rule = Rule::new(Action::Error(19)).api(Api::Produce).node(1).after(1).times(2);
    cluster.add_rule(rule);
    let mut errors = Vec::new();
    for _ in 0..5 {
        let metadata = MetadataRequest::default().with_topics(None);
        assert_eq!(call(&mut cluster, connection, 9, &metadata).topics[0].error_code, 0);
        errors.push(outcome(&mut cluster, connection, &batch(-1, -1, -1, 1)).0);
    }
    assert_eq!(errors, [0, 19, 19, 0, 0]);

    let elsewhere = Rule::new(Action::DropBefore).node(2).times(u64::MAX);
    let id = cluster.add_rule(elsewhere);
    assert_eq!(outcome(&mut cluster, connection, &batch(-1, -1, -1, 1)).0, 0);
    cluster.remove_rule(id);
    let id = cluster.add_rule(Rule::new(Action::Error(7)).times(u64::MAX));
    for _ in 0..10 {
        assert_eq!(outcome(&mut cluster, connection, &batch(-1, -1, -1, 1)).0, 7);
    }
    cluster.remove_rule(id);
    assert_eq!(outcome(&mut cluster, connection, &batch(-1, -1, -1, 1)).0, 0);
}

#[test]
fn an_error_may_be_for_one_partition() {
    let (mut cluster, connection) = single(Options::default());
    cluster.delete_topic(TOPIC);
    cluster.create_topic(TOPIC, 2);
    cluster.add_rule(Rule::new(Action::Error(56)).partition(TOPIC, 1));
    let mut request = produce_request(-1, 0, batch(5, 0, 0, 1).bytes());
    let mut second = request.topic_data[0].partition_data[0].clone();
    second.index = 1;
    request.topic_data[0].partition_data.push(second);
    let response = call(&mut cluster, connection, 9, &request);
    let errors: Vec<i16> =
        (response.responses[0].partition_responses.iter()).map(|partition| partition.error_code).collect();
    assert_eq!(errors, [0, 56]);
    assert_eq!(cluster.partition(TOPIC, 0).unwrap().end_offset(), 1);
    assert_eq!(cluster.partition(TOPIC, 1).unwrap().end_offset(), 0);
}

#[test]
fn every_api_can_answer_an_error() {
    let (mut cluster, connection) = single(Options::default());
    cluster.add_rule(Rule::new(Action::Error(41)).times(u64::MAX));
    let topic = MetadataRequestTopic::default().with_name(Some(name(TOPIC)));
    let metadata = MetadataRequest::default().with_topics(Some(vec![topic]));
    let response = call(&mut cluster, connection, 12, &metadata);
    assert_eq!(response.topics[0].error_code, 41);
    let response = call(&mut cluster, connection, 13, &metadata);
    assert_eq!((response.error_code, response.topics.len()), (41, 0));
    let versions = ApiVersionsRequest::default();
    assert_eq!(call(&mut cluster, connection, 2, &versions).error_code, 41);
    let init = InitProducerIdRequest::default().with_transactional_id(None);
    let response = call(&mut cluster, connection, 4, &init);
    assert_eq!((response.error_code, response.producer_id), (41, ProducerId(-1)));
    let topic = CreatableTopic::default().with_name(name("made")).with_num_partitions(1).with_replication_factor(1);
    let create = CreateTopicsRequest::default().with_topics(vec![topic]);
    assert_eq!(call(&mut cluster, connection, 7, &create).topics[0].error_code, 41);
    assert_eq!(cluster.partitions("made"), 0);
    let topic =
        ListOffsetsTopic::default().with_name(name(TOPIC)).with_partitions(vec![ListOffsetsPartition::default()]);
    let list = ListOffsetsRequest::default().with_topics(vec![topic]);
    let response = call(&mut cluster, connection, 6, &list);
    assert_eq!(response.topics[0].partitions[0].error_code, 41);
    let topic = FetchTopic::default().with_topic(name(TOPIC)).with_partitions(vec![FetchPartition::default()]);
    let fetch = FetchRequest::default().with_topics(vec![topic]);
    let response = call(&mut cluster, connection, 12, &fetch);
    assert_eq!(response.responses[0].partitions[0].error_code, 41);

    cluster.clear_faults();
    cluster.add_rule(Rule::new(Action::ApplyThenError(41)).times(u64::MAX));
    assert_eq!(call(&mut cluster, connection, 7, &create).topics[0].error_code, 41);
    assert_eq!(cluster.partitions("made"), 1);
    let response = call(&mut cluster, connection, 4, &init);
    assert_eq!((response.error_code, response.producer_id), (41, ProducerId(-1)));
    cluster.clear_faults();
    // The id that was lost with its answer is not issued again.
    assert_eq!(call(&mut cluster, connection, 4, &init).producer_id, ProducerId(1));
}

#[test]
fn seeded_faults_come_as_often_as_asked_and_the_same_each_time() {
    let run = |seed| {
        let (mut cluster, mut connection) = single(Options::default());
        cluster.set_faults(Some(Faults::seeded(
            seed,
            Probabilities {
                error: 500,
                drop_before: 500,
                apply_then_drop: 500,
                apply_then_error: 500,
                delay: 500,
                silence: 100,
                apply_then_silence: 100,
                garbage: 100,
                wrong_correlation: 100,
                cut: 100,
                delay_ms: 50,
            },
        )));
        let mut trace = Vec::new();
        for sequence in 0..10_000u64 {
            if !cluster.is_connected(connection) {
                connection = cluster.connect(1).unwrap();
            }
            let batch = batch(-1, -1, -1, 1);
            let frame = encode(9, 7, &produce_request(-1, 0, batch.bytes()));
            let reply = cluster.handle(connection, &frame, sequence * 100);
            if reply.bytes.is_none() && !reply.close {
                cluster.disconnect(connection);
            }
            trace.push(reply);
        }
        (trace, cluster.counters().faults)
    };
    let (trace, faults) = run(1);
    assert!((2_700..3_300).contains(&faults), "{faults}");
    assert_eq!(trace, run(1).0);
    assert_ne!(trace, run(2).0);
    let silent = trace.iter().filter(|reply| reply.bytes.is_none() && !reply.close).count();
    assert!((130..280).contains(&silent), "{silent}");
}
