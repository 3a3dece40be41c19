//! What is not Produce: small, rare, and left to the crate `kafka-protocol`.

use anyhow::{Result, bail};
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, BrokerId, InitProducerIdResponse, MetadataRequest, MetadataResponse, ProducerId,
    RequestHeader, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use std::io::Read;
use std::sync::atomic::{AtomicI64, Ordering};
use uuid::Uuid;

/// What is spoken. Produce 13 has topic ids instead of names: one lookup more, and nothing for clients to gain.
const VERSIONS: [(ApiKey, i16, i16); 5] = [
    (ApiKey::Produce, 3, 12),
    // Only named: librdkafka takes a broker without it for one that does not know record batches.
    (ApiKey::Fetch, 4, 12),
    (ApiKey::Metadata, 0, 12),
    (ApiKey::ApiVersions, 0, 4),
    (ApiKey::InitProducerId, 0, 5),
];

/// `UNSUPPORTED_VERSION`.
const UNSUPPORTED: i16 = 35;

/// The cluster: one broker.
pub(crate) struct Broker {
    pub(crate) port: u16,
    pub(crate) partitions: i32,
}

impl Broker {
    /// Reads the rest of a request, from its client id on, and appends the response's body.
    pub(crate) fn answer(&self, api: ApiKey, version: i16, rest: &mut impl Read, to: &mut BytesMut) -> Result<()> {
        // The parts of the header that were read already mean nothing here.
        let mut request = vec![0; 8];
        rest.read_to_end(&mut request)?;
        let mut request = Bytes::from(request);
        match api {
            ApiKey::ApiVersions => {
                let known = version <= 4;
                let error = if known { 0 } else { UNSUPPORTED };
                let keys = VERSIONS.map(|(api, min, max)| {
                    ApiVersion::default().with_api_key(api as i16).with_min_version(min).with_max_version(max)
                });
                let response = ApiVersionsResponse::default().with_error_code(error).with_api_keys(keys.into());
                response.encode(to, if known { version } else { 0 })
            }
            ApiKey::Metadata => {
                RequestHeader::decode(&mut request, api.request_header_version(version))?;
                let request = MetadataRequest::decode(&mut request, version)?;
                let names = request.topics.unwrap_or_default().into_iter().filter_map(|topic| topic.name);
                self.metadata(names).encode(to, version)
            }
            ApiKey::InitProducerId => {
                static NEXT: AtomicI64 = AtomicI64::new(1000);
                let id = ProducerId(NEXT.fetch_add(1, Ordering::Relaxed));
                InitProducerIdResponse::default().with_producer_id(id).encode(to, version)
            }
            other => bail!("nobody told of {other:?}"),
        }
    }

    fn metadata(&self, topics: impl Iterator<Item = TopicName>) -> MetadataResponse {
        let me = BrokerId(1);
        let broker = MetadataResponseBroker::default()
            .with_node_id(me)
            .with_host(StrBytes::from_static_str("127.0.0.1"))
            .with_port(self.port.into());
        let partition = |index| {
            MetadataResponsePartition::default()
                .with_partition_index(index)
                .with_leader_id(me)
                .with_leader_epoch(0)
                .with_replica_nodes(vec![me])
                .with_isr_nodes(vec![me])
        };
        let topic = |name| {
            MetadataResponseTopic::default()
                .with_name(Some(name))
                .with_topic_id(Uuid::from_u128(1))
                .with_partitions((0..self.partitions).map(partition).collect())
        };
        MetadataResponse::default()
            .with_brokers(vec![broker])
            .with_cluster_id(Some(StrBytes::from_static_str("sink")))
            .with_controller_id(me)
            .with_topics(topics.map(topic).collect())
    }
}
