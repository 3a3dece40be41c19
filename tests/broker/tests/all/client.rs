//! A client for the tests: encodes requests, decodes answers, builds batches.

use bytes::{Bytes, BytesMut};
use demitasse_broker::{Cluster, ConnectionId, Options, Release, Reply};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{ProduceRequest, ProduceResponse, RequestHeader, ResponseHeader, TopicName};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use uuid::Uuid;

pub(crate) const TOPIC: &str = "readings";

/// The highest Produce version of each release, for tests that hold for all of them.
pub(crate) fn newest_produce(release: Release) -> i16 {
    release.versions(demitasse_broker::Api::Produce).1
}

pub(crate) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub(crate) fn name(name: &str) -> TopicName {
    TopicName(text(name))
}

/// One node with one topic of one partition.
pub(crate) fn single(options: Options) -> (Cluster, ConnectionId) {
    let mut cluster = Cluster::new(options);
    assert!(cluster.create_topic(TOPIC, 1));
    let connection = cluster.connect(1).unwrap();
    (cluster, connection)
}

pub(crate) fn encode<R: Request>(version: i16, correlation_id: i32, body: &R) -> Vec<u8> {
    let mut frame = Vec::new();
    RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation_id)
        .with_client_id(Some(text("test")))
        .encode(&mut frame, R::header_version(version))
        .unwrap();
    body.encode(&mut frame, version).unwrap();
    frame
}

pub(crate) fn decode<R: Decodable + HeaderVersion>(version: i16, correlation_id: i32, frame: &[u8]) -> R {
    let (length, mut rest) = frame.split_at(4);
    assert_eq!(u32::from_be_bytes(length.try_into().unwrap()) as usize, rest.len());
    let header = ResponseHeader::decode(&mut rest, R::header_version(version)).unwrap();
    assert_eq!(header.correlation_id, correlation_id);
    let body = R::decode(&mut rest, version).unwrap();
    assert!(rest.is_empty(), "bytes left over in a response");
    body
}

/// Sends one request and decodes its answer.
pub(crate) fn call_at<R: Request>(
    cluster: &mut Cluster,
    connection: ConnectionId,
    version: i16,
    body: &R,
    now_ms: u64,
) -> (Reply, Option<R::Response>) {
    let reply = cluster.handle(connection, &encode(version, 7, body), now_ms);
    let response = (reply.bytes.as_ref()).map(|bytes| decode(version, 7, bytes));
    (reply, response)
}

pub(crate) fn call<R: Request>(cluster: &mut Cluster, connection: ConnectionId, version: i16, body: &R) -> R::Response {
    let (reply, response) = call_at(cluster, connection, version, body, 0);
    assert!(!reply.close);
    response.expect("an answer")
}

/// What a batch is built from.
#[derive(Clone)]
pub(crate) struct BatchSpec {
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
    pub(crate) sequence: i32,
    pub(crate) timestamp: i64,
    pub(crate) attributes: i16,
    pub(crate) values: Vec<Vec<u8>>,
    pub(crate) key: Option<&'static [u8]>,
}

pub(crate) fn batch(producer_id: i64, epoch: i16, sequence: i32, count: usize) -> BatchSpec {
    BatchSpec {
        producer_id,
        epoch,
        sequence,
        timestamp: 1_000,
        attributes: 0,
        values: (0..count).map(|index| format!("{sequence}+{index}").into_bytes()).collect(),
        key: Some(b"key"),
    }
}

fn put_varint(bytes: &mut Vec<u8>, value: i64) {
    let mut zigzag = ((value << 1) ^ (value >> 63)) as u64;
    while zigzag >= 0x80 {
        bytes.push(zigzag as u8 | 0x80);
        zigzag >>= 7;
    }
    bytes.push(zigzag as u8);
}

fn put_field(bytes: &mut Vec<u8>, field: Option<&[u8]>) {
    match field {
        None => put_varint(bytes, -1),
        Some(field) => {
            put_varint(bytes, field.len() as i64);
            bytes.extend_from_slice(field);
        }
    }
}

impl BatchSpec {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut records = Vec::new();
        for (index, value) in self.values.iter().enumerate() {
            let mut record = vec![0];
            put_varint(&mut record, index as i64);
            put_varint(&mut record, index as i64);
            put_field(&mut record, self.key);
            put_field(&mut record, Some(value));
            put_varint(&mut record, 1);
            put_field(&mut record, Some(b"header"));
            put_field(&mut record, None);
            put_varint(&mut records, record.len() as i64);
            records.extend_from_slice(&record);
        }
        let count = self.values.len() as i32;
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&0i64.to_be_bytes());
        bytes.extend_from_slice(&(49 + records.len() as i32).to_be_bytes());
        bytes.extend_from_slice(&(-1i32).to_be_bytes());
        bytes.push(2);
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&self.attributes.to_be_bytes());
        bytes.extend_from_slice(&(count - 1).to_be_bytes());
        bytes.extend_from_slice(&self.timestamp.to_be_bytes());
        bytes.extend_from_slice(&(self.timestamp + i64::from(count) - 1).to_be_bytes());
        bytes.extend_from_slice(&self.producer_id.to_be_bytes());
        bytes.extend_from_slice(&self.epoch.to_be_bytes());
        bytes.extend_from_slice(&self.sequence.to_be_bytes());
        bytes.extend_from_slice(&count.to_be_bytes());
        bytes.extend_from_slice(&records);
        seal(&mut bytes);
        bytes
    }
}

/// Writes the checksum.
pub(crate) fn seal(bytes: &mut [u8]) {
    let crc = crc32c::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
}

pub(crate) fn produce_request(acks: i16, partition: i32, records: Vec<u8>) -> ProduceRequest {
    let data = PartitionProduceData::default().with_index(partition).with_records(Some(Bytes::from(records)));
    ProduceRequest::default()
        .with_acks(acks)
        .with_timeout_ms(1_000)
        .with_topic_data(vec![TopicProduceData::default().with_name(name(TOPIC)).with_partition_data(vec![data])])
}

/// The request as Produce 13 wants it: by topic id.
pub(crate) fn by_id(cluster: &Cluster, mut request: ProduceRequest) -> ProduceRequest {
    for topic in &mut request.topic_data {
        let id = cluster.topic_id(&topic.name).unwrap_or([9; 16]);
        topic.topic_id = Uuid::from_bytes(id);
    }
    request
}

/// Produces one batch to partition 0 and gives its partition's answer.
pub(crate) fn produce_at(
    cluster: &mut Cluster,
    connection: ConnectionId,
    records: Vec<u8>,
    now_ms: u64,
) -> PartitionProduceResponse {
    let version = newest_produce(cluster.options().release);
    let mut request = produce_request(-1, 0, records);
    if version >= 13 {
        request = by_id(cluster, request);
    }
    let (_, response) = call_at(cluster, connection, version, &request, now_ms);
    only(response.expect("an answer"))
}

pub(crate) fn produce(cluster: &mut Cluster, connection: ConnectionId, batch: &BatchSpec) -> PartitionProduceResponse {
    produce_at(cluster, connection, batch.bytes(), 0)
}

/// The error and base offset of one batch.
pub(crate) fn outcome(cluster: &mut Cluster, connection: ConnectionId, batch: &BatchSpec) -> (i16, i64) {
    let answer = produce(cluster, connection, batch);
    (answer.error_code, answer.base_offset)
}

pub(crate) fn only(mut response: ProduceResponse) -> PartitionProduceResponse {
    assert_eq!(response.responses.len(), 1);
    let mut topic = response.responses.remove(0);
    assert_eq!(topic.partition_responses.len(), 1);
    topic.partition_responses.remove(0)
}

pub(crate) fn values(cluster: &Cluster, partition: i32) -> Vec<String> {
    (cluster.partition(TOPIC, partition).unwrap().records())
        .map(|record| String::from_utf8(record.value.unwrap().to_vec()).unwrap())
        .collect()
}

pub(crate) fn copy(bytes: &[u8]) -> BytesMut {
    BytesMut::from(bytes)
}
