//! Responses with a bit of everything in them.

use super::encoded;
use demitasse_core::protocol::ApiKey;
use kafka_protocol::messages as oracle;

/// The response of an API in a version.
pub fn valid(key: ApiKey, version: i16) -> Vec<u8> {
    let name = || oracle::TopicName("topic".into());
    let bytes = match key {
        ApiKey::Produce => {
            use oracle::produce_response::*;
            let mut partition = PartitionProduceResponse::default().with_error_code(6);
            let mut response = oracle::ProduceResponse::default();
            if version >= 8 {
                let record = BatchIndexAndErrorMessage::default().with_batch_index_error_message(Some("no".into()));
                partition.record_errors = vec![record.clone(), record];
                partition.error_message = Some("message".into());
            }
            if version >= 10 {
                partition.current_leader = LeaderIdAndEpoch::default().with_leader_id(1.into());
                response.node_endpoints = vec![NodeEndpoint::default().with_host("host".into())];
            }
            let topic = TopicProduceResponse::default().with_name(name()).with_partition_responses(vec![partition; 3]);
            response.responses = vec![topic; 2];
            encoded(&response, version)
        }
        ApiKey::Metadata => {
            use oracle::metadata_response::*;
            let node = MetadataResponseBroker::default().with_host("host".into()).with_rack(Some("rack".into()));
            let partition = MetadataResponsePartition::default()
                .with_replica_nodes(vec![1.into(), 2.into()])
                .with_isr_nodes(vec![1.into()]);
            let topic = MetadataResponseTopic::default().with_name(Some(name())).with_partitions(vec![partition; 3]);
            let response = oracle::MetadataResponse::default()
                .with_brokers(vec![node; 2])
                .with_cluster_id(Some("cluster".into()))
                .with_topics(vec![topic; 2]);
            encoded(&response, version)
        }
        ApiKey::ApiVersions => {
            let range = oracle::api_versions_response::ApiVersion::default().with_max_version(9);
            encoded(&oracle::ApiVersionsResponse::default().with_api_keys(vec![range; 9]), version)
        }
        ApiKey::CreateTopics => {
            use oracle::create_topics_response::*;
            let mut topic = CreatableTopicResult::default().with_name(name()).with_error_message(Some("no".into()));
            if version >= 5 {
                topic.configs = Some(vec![CreatableTopicConfigs::default().with_name("key".into()); 2]);
            }
            encoded(&oracle::CreateTopicsResponse::default().with_topics(vec![topic; 2]), version)
        }
        ApiKey::InitProducerId => encoded(&oracle::InitProducerIdResponse::default(), version),
        ApiKey::Fetch => {
            use oracle::fetch_response::*;
            let aborted = AbortedTransaction::default().with_producer_id(3.into());
            let mut partition = PartitionData::default()
                .with_aborted_transactions(Some(vec![aborted; 2]))
                .with_records(Some("records".into()));
            let mut response = oracle::FetchResponse::default().with_session_id(9);
            if version >= 12 {
                partition.diverging_epoch = EpochEndOffset::default().with_epoch(1);
                partition.current_leader = LeaderIdAndEpoch::default().with_leader_id(1.into());
                partition.snapshot_id = SnapshotId::default().with_epoch(1);
            }
            if version >= 16 {
                response.node_endpoints = vec![NodeEndpoint::default().with_host("host".into())];
            }
            let mut topic = FetchableTopicResponse::default().with_partitions(vec![partition; 2]);
            if version < 13 {
                topic.topic = name();
            }
            response.responses = vec![topic; 2];
            encoded(&response, version)
        }
        ApiKey::ListOffsets => {
            use oracle::list_offsets_response::*;
            let partition = ListOffsetsPartitionResponse::default().with_timestamp(7);
            let topic = ListOffsetsTopicResponse::default().with_name(name()).with_partitions(vec![partition; 3]);
            encoded(&oracle::ListOffsetsResponse::default().with_topics(vec![topic; 2]), version)
        }
        ApiKey::OffsetForLeaderEpoch => {
            use oracle::offset_for_leader_epoch_response::*;
            let partition = EpochEndOffset::default().with_leader_epoch(7);
            let topic = OffsetForLeaderTopicResult::default().with_topic(name()).with_partitions(vec![partition; 3]);
            encoded(&oracle::OffsetForLeaderEpochResponse::default().with_topics(vec![topic; 2]), version)
        }
        ApiKey::OffsetCommit => {
            use oracle::offset_commit_response::*;
            let partition = OffsetCommitResponsePartition::default().with_error_code(16);
            let topic = OffsetCommitResponseTopic::default().with_name(name()).with_partitions(vec![partition; 3]);
            encoded(&oracle::OffsetCommitResponse::default().with_topics(vec![topic; 2]), version)
        }
        ApiKey::OffsetFetch if version < 8 => {
            use oracle::offset_fetch_response::*;
            let partition = OffsetFetchResponsePartition::default().with_metadata(Some("words".into()));
            let topic = OffsetFetchResponseTopic::default().with_name(name()).with_partitions(vec![partition; 3]);
            encoded(&oracle::OffsetFetchResponse::default().with_topics(vec![topic; 2]).with_error_code(16), version)
        }
        ApiKey::OffsetFetch => {
            use oracle::offset_fetch_response::*;
            let partition = OffsetFetchResponsePartitions::default().with_metadata(Some("words".into()));
            let topic = OffsetFetchResponseTopics::default().with_name(name()).with_partitions(vec![partition; 3]);
            let group = OffsetFetchResponseGroup::default().with_group_id(oracle::GroupId("group".into()));
            let group = group.with_topics(vec![topic; 2]);
            encoded(&oracle::OffsetFetchResponse::default().with_groups(vec![group; 2]), version)
        }
        ApiKey::FindCoordinator if version < 4 => {
            let response = oracle::FindCoordinatorResponse::default().with_host("host".into());
            encoded(&response.with_error_message(Some("no".into())), version)
        }
        ApiKey::FindCoordinator => {
            let of = oracle::find_coordinator_response::Coordinator::default().with_host("host".into());
            let of = of.with_key("group".into()).with_error_message(Some("no".into()));
            encoded(&oracle::FindCoordinatorResponse::default().with_coordinators(vec![of; 2]), version)
        }
    };
    bytes.to_vec()
}
