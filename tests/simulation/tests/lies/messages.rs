//! Lies in sound messages: partitions that are missing or there twice, offsets that go back, leaders that never are.

use crate::{SECOND, recovered, send_for, setup, story};
use demitasse_simulation::rewrite::rewrite;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::metadata_response::{MetadataResponseBroker, MetadataResponseTopic};
use kafka_protocol::messages::produce_response::{LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse};
use kafka_protocol::messages::{
    ApiVersionsResponse, BrokerId, InitProducerIdResponse, MetadataResponse, ProduceResponse, ProducerId, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};

/// A lie and its name; it is told how many answers it has changed.
type Lie<R> = (&'static str, fn(&mut R, u32));

const PRODUCE: &[Lie<ProduceResponse>] = &[
    ("no topic", |answer, _| answer.responses.clear()),
    ("no partition", |answer, _| topics(answer, |topic| topic.clear())),
    ("each partition twice", |answer, _| topics(answer, |topic| topic.extend_from_within(..))),
    ("a partition that was not asked for", |answer, _| partitions(answer, |p| p.index += 5)),
    ("a partition below zero", |answer, _| partitions(answer, |p| p.index = -1)),
    ("the other partition", |answer, _| partitions(answer, |p| p.index ^= 1)),
    ("another topic", |answer, _| answer.responses.iter_mut().for_each(|t| t.name = name("other"))),
    ("the topic twice", |answer, _| answer.responses.extend_from_within(..)),
    ("offset -1 and no error", |answer, _| partitions(answer, |p| p.base_offset = -1)),
    ("the lowest offset", |answer, _| partitions(answer, |p| p.base_offset = i64::MIN)),
    ("the highest offset", |answer, _| partitions(answer, |p| p.base_offset = i64::MAX)),
    ("offsets that go back", |answer, _| partitions(answer, |p| p.base_offset = 1_000_000 - p.base_offset)),
    ("a time before all times", |answer, _| partitions(answer, |p| p.log_append_time_ms = i64::MIN)),
    ("an error that there is not", |answer, _| partitions(answer, |p| p.error_code = 999)),
    ("an error below zero", |answer, _| partitions(answer, |p| p.error_code = -2)),
    ("always written before", |answer, _| partitions(answer, |p| p.error_code = 46)),
    ("always out of sequence", |answer, _| partitions(answer, |p| p.error_code = 45)),
    ("never known", |answer, _| partitions(answer, |p| p.error_code = 59)),
    ("always another epoch", |answer, _| partitions(answer, |p| p.error_code = 47)),
    ("never the leader", |answer, _| partitions(answer, |p| p.error_code = 6)),
    ("never the leader, somebody unknown is", |answer, n| lead(answer, 99, n as i32)),
    ("never the leader, nobody is", |answer, n| lead(answer, -1, n as i32)),
    ("never the leader, the other one is, ever newer", |answer, n| lead(answer, 1 + n as i32 % 2, 1_000 + n as i32)),
    ("never the leader, for ever", |answer, _| lead(answer, 99, i32::MAX)),
    ("an endpoint without a host", |answer, n| endpoint(answer, "", 9000, n)),
    ("an endpoint with port 0", |answer, n| endpoint(answer, "broker", 0, n)),
    ("an endpoint with a port below zero", |answer, n| endpoint(answer, "broker", -1, n)),
    ("an endpoint that is nowhere, each time another", |answer, n| endpoint(answer, "broker", 20_000 + n as i32, n)),
    ("silence below zero", |answer, _| answer.throttle_time_ms = i32::MIN),
];

const METADATA: &[Lie<MetadataResponse>] = &[
    ("no broker", |answer, _| answer.brokers.clear()),
    ("each broker twice", |answer, _| answer.brokers.extend_from_within(..)),
    ("two brokers at one address", |answer, _| answer.brokers.iter_mut().for_each(|b| b.port = 9000)),
    ("brokers that swap their addresses", |answer, n| {
        answer.brokers.iter_mut().for_each(|b| b.port ^= n as i32 % 2);
    }),
    ("brokers without a host", |answer, _| hosts(answer, "")),
    ("brokers with a host that is too long", |answer, _| hosts(answer, &"h".repeat(300))),
    ("brokers that nobody finds", |answer, _| hosts(answer, "nowhere")),
    ("ports that there are not", |answer, n| {
        answer.brokers.iter_mut().for_each(|b| b.port = [-1, 0, 70_000, i32::MAX][n as usize % 4]);
    }),
    ("node ids below zero", |answer, _| answer.brokers.iter_mut().for_each(|b| b.node_id = BrokerId(-b.node_id.0))),
    ("more brokers than there is room for", |answer, _| {
        let broker = MetadataResponseBroker::default().with_host(text("broker")).with_port(9000);
        answer.brokers.extend((10..500).map(|id| broker.clone().with_node_id(BrokerId(id))));
    }),
    ("no topic", |answer, _| answer.topics.clear()),
    ("another topic", |answer, _| answer.topics.iter_mut().for_each(|t| t.name = Some(name("other")))),
    ("each topic twice", |answer, _| answer.topics.extend_from_within(..)),
    ("a topic without partitions", |answer, _| answer.topics.iter_mut().for_each(|t| t.partitions.clear())),
    ("a topic that there is not", |answer, _| answer.topics.iter_mut().for_each(|t| t.error_code = 3)),
    ("an error that there is not", |answer, _| answer.topics.iter_mut().for_each(|t| t.error_code = 999)),
    ("each partition twice", |answer, _| places(answer, |topic| topic.partitions.extend_from_within(..))),
    ("one partition less", |answer, _| places(answer, |topic| drop(topic.partitions.pop()))),
    ("partitions below zero", |answer, _| {
        places(answer, |t| t.partitions.iter_mut().for_each(|p| p.partition_index -= 9))
    }),
    ("partitions far away", |answer, n| {
        places(answer, |t| t.partitions.iter_mut().for_each(|p| p.partition_index += 1000 + n as i32));
    }),
    ("more partitions than there is room for", |answer, _| {
        places(answer, |topic| {
            let partition = topic.partitions[0].clone();
            topic.partitions.extend((2..300).map(|index| partition.clone().with_partition_index(index)));
        })
    }),
    ("leaders that never are", |answer, _| leaders(answer, |_| (99, None))),
    ("no leader and no error", |answer, _| leaders(answer, |_| (-1, None))),
    ("the other leader", |answer, _| leaders(answer, |leader| (3 - leader, None))),
    ("leaders below zero", |answer, _| leaders(answer, |_| (i32::MIN, None))),
    ("epochs that go back", |answer, n| leaders(answer, |leader| (leader, Some(1_000_000 - n as i32)))),
    ("the last epoch, once", |answer, n| {
        if n == 0 {
            leaders(answer, |leader| (leader, Some(i32::MAX)))
        }
    }),
    ("epochs below zero", |answer, _| leaders(answer, |leader| (leader, Some(i32::MIN)))),
    ("begin anew, always", |answer, _| answer.error_code = 129),
    ("silence below zero", |answer, _| answer.throttle_time_ms = i32::MIN),
];

const API_VERSIONS: &[Lie<ApiVersionsResponse>] = &[
    ("nothing is offered", |answer, _| answer.api_keys.clear()),
    ("no Produce", |answer, _| answer.api_keys.retain(|api| api.api_key != 0)),
    ("no Metadata", |answer, _| answer.api_keys.retain(|api| api.api_key != 3)),
    ("no InitProducerId", |answer, _| answer.api_keys.retain(|api| api.api_key != 22)),
    ("everything twice", |answer, _| answer.api_keys.extend_from_within(..)),
    ("ranges that are empty", |answer, _| ranges(answer, |api| api.min_version = api.max_version + 1)),
    ("versions below zero", |answer, _| ranges(answer, |api| (api.min_version, api.max_version) = (-5, -1))),
    ("versions that there are not", |answer, _| {
        ranges(answer, |api| (api.min_version, api.max_version) = (900, i16::MAX))
    }),
    ("all versions", |answer, _| ranges(answer, |api| (api.min_version, api.max_version) = (i16::MIN, i16::MAX))),
    ("an error that there is not", |answer, _| answer.error_code = 999),
    ("a version that it does not know, always", |answer, _| answer.error_code = 35),
    ("silence below zero", |answer, _| answer.throttle_time_ms = i32::MIN),
];

const IDENTITY: &[Lie<InitProducerIdResponse>] = &[
    ("id -1 and no error", |answer, _| answer.producer_id = ProducerId(-1)),
    ("the lowest id", |answer, _| answer.producer_id = ProducerId(i64::MIN)),
    ("epoch -1 and no error", |answer, _| answer.producer_epoch = -1),
    ("the last epoch", |answer, _| answer.producer_epoch = i16::MAX),
    ("an error that there is not", |answer, _| answer.error_code = 999),
    ("never ready", |answer, _| answer.error_code = 14),
    ("silence below zero", |answer, _| answer.throttle_time_ms = i32::MIN),
];

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.into())
}

fn name(name: &str) -> TopicName {
    TopicName(text(name))
}

fn topics(answer: &mut ProduceResponse, lie: fn(&mut Vec<PartitionProduceResponse>)) {
    answer.responses.iter_mut().for_each(|topic| lie(&mut topic.partition_responses));
}

fn partitions(answer: &mut ProduceResponse, lie: impl Fn(&mut PartitionProduceResponse)) {
    answer.responses.iter_mut().flat_map(|topic| &mut topic.partition_responses).for_each(lie);
}

/// The answer is: somebody else leads.
fn lead(answer: &mut ProduceResponse, leader: i32, epoch: i32) {
    let current = LeaderIdAndEpoch::default().with_leader_id(BrokerId(leader)).with_leader_epoch(epoch);
    partitions(answer, |partition| {
        partition.error_code = 6;
        partition.current_leader = current.clone();
    });
}

fn endpoint(answer: &mut ProduceResponse, host: &str, port: i32, n: u32) {
    lead(answer, 7, 1_000 + n as i32);
    let node = NodeEndpoint::default().with_node_id(BrokerId(7)).with_host(text(host)).with_port(port);
    answer.node_endpoints = vec![node];
}

fn hosts(answer: &mut MetadataResponse, host: &str) {
    answer.brokers.iter_mut().for_each(|broker| broker.host = text(host));
}

/// For each topic that has partitions.
fn places(answer: &mut MetadataResponse, lie: impl Fn(&mut MetadataResponseTopic)) {
    answer.topics.iter_mut().filter(|topic| !topic.partitions.is_empty()).for_each(lie);
}

/// Each partition's leader, and its epoch if it is to be another.
fn leaders(answer: &mut MetadataResponse, lie: impl Fn(i32) -> (i32, Option<i32>)) {
    for partition in answer.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
        let (leader, epoch) = lie(partition.leader_id.0);
        partition.leader_id = BrokerId(leader);
        partition.leader_epoch = epoch.unwrap_or(partition.leader_epoch);
    }
}

fn ranges(answer: &mut ApiVersionsResponse, lie: fn(&mut ApiVersion)) {
    answer.api_keys.iter_mut().for_each(lie);
}

/// Tells every lie about an API that is flexible from that version on; ApiVersions has no tagged fields in its header.
fn tell<R: Decodable + Encodable + 'static>(api: i16, flexible: i16, lies: &[Lie<R>]) {
    let mut believed = 0;
    for &(name, lie) in lies {
        believed += story(name, || {
            let mut told = 0;
            Box::new(move |request, answer| {
                let version = i16::from_be_bytes([request[2], request[3]]);
                if request[..2] != api.to_be_bytes() {
                    return answer;
                }
                let tags = usize::from(api != 18 && version >= flexible);
                let changed = rewrite(version, &answer, 8 + tags, |message| lie(message, told));
                told += 1;
                changed
            })
        });
    }
    assert_eq!(believed, 0, "lies did harm");
}

/// One answer asked for silence until the end of all days, and was obeyed.
#[test]
fn no_broker_is_silenced_for_ever() {
    let mut rig = setup();
    rig.network.world.borrow_mut().liar = Some(Box::new(|request, answer| {
        let version = i16::from_be_bytes([request[2], request[3]]);
        let silence = |answer: &mut ProduceResponse| answer.throttle_time_ms = i32::MAX;
        let header = 8 + usize::from(version >= 9);
        if request[..2] == [0, 0] { rewrite(version, &answer, header, silence) } else { answer }
    }));
    send_for(&mut rig, 1, &mut Vec::new());
    rig.network.world.borrow_mut().liar = None;
    rig.advance(2 * 60 * SECOND);
    recovered("silence for 24 days", &mut rig);
}

#[test]
fn produce_lies() {
    tell(0, 9, PRODUCE);
}

#[test]
fn metadata_lies() {
    tell(3, 9, METADATA);
}

#[test]
fn api_versions_lies() {
    tell(18, 3, API_VERSIONS);
}

#[test]
fn identity_lies() {
    tell(22, 2, IDENTITY);
}
