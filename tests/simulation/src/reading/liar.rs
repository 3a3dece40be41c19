//! A broker that lies to a reader: answers of every kind with something else in them.

use crate::network::Liar;
use crate::rewrite::rewrite;
use fastrand::Rng;
use kafka_protocol::messages::fetch_response::{AbortedTransaction, EpochEndOffset, LeaderIdAndEpoch, PartitionData};
use kafka_protocol::messages::{
    ApiKey, BrokerId, FetchResponse, FindCoordinatorResponse, ListOffsetsResponse, OffsetCommitResponse,
    OffsetFetchResponse, OffsetForLeaderEpochResponse, TopicName,
};

/// Lies as often as the seed says; `told` hears of each.
pub(super) fn liar(seed: u64, topics: usize, told: impl Fn() + 'static) -> Liar {
    let mut rng = Rng::with_seed(seed ^ 0x11a5);
    let rate = rng.u32(1..60);
    Box::new(move |request, answer| {
        if rng.u32(0..100) >= rate {
            return answer;
        }
        let lie = lie(request, &answer, topics, &mut rng);
        if lie != answer {
            told();
        }
        lie
    })
}

fn lie(request: &[u8], answer: &[u8], topics: usize, rng: &mut Rng) -> Vec<u8> {
    let (key, version) = (i16::from_be_bytes([request[0], request[1]]), i16::from_be_bytes([request[2], request[3]]));
    let header = |flexible: i16| if version >= flexible { 9 } else { 8 };
    match ApiKey::try_from(key) {
        Ok(ApiKey::Fetch) => rewrite(version, answer, header(12), |of| fetch(of, topics, rng)),
        Ok(ApiKey::ListOffsets) => rewrite(version, answer, header(6), |of: &mut ListOffsetsResponse| {
            for of in of.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
                place(&mut of.partition_index, &mut of.error_code, &mut of.offset, &mut of.leader_epoch, rng);
            }
        }),
        Ok(ApiKey::OffsetForLeaderEpoch) => {
            rewrite(version, answer, header(4), |of: &mut OffsetForLeaderEpochResponse| {
                for of in of.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
                    place(&mut of.partition, &mut of.error_code, &mut of.end_offset, &mut of.leader_epoch, rng);
                }
            })
        }
        Ok(ApiKey::OffsetFetch) => rewrite(version, answer, header(6), |of: &mut OffsetFetchResponse| {
            of.error_code = code(rng);
            for of in of.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
                let epoch = &mut of.committed_leader_epoch;
                place(&mut of.partition_index, &mut of.error_code, &mut of.committed_offset, epoch, rng);
            }
            for of in &mut of.groups {
                of.error_code = code(rng);
                for of in of.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
                    let epoch = &mut of.committed_leader_epoch;
                    place(&mut of.partition_index, &mut of.error_code, &mut of.committed_offset, epoch, rng);
                }
            }
        }),
        Ok(ApiKey::OffsetCommit) => rewrite(version, answer, header(8), |of: &mut OffsetCommitResponse| {
            for of in of.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
                match rng.bool() {
                    true => of.error_code = code(rng),
                    false => of.partition_index = rng.i32(-1..6),
                }
            }
        }),
        Ok(ApiKey::FindCoordinator) => rewrite(version, answer, header(3), |of: &mut FindCoordinatorResponse| {
            of.port = rng.i32(-1..70_000);
            of.coordinators.iter_mut().for_each(|of| of.port = 9_000 + rng.i32(-1..5));
        }),
        _ => answer.to_vec(),
    }
}

fn number(rng: &mut Rng) -> i64 {
    match rng.u32(0..8) {
        0 => -1,
        1 => i64::MIN,
        2 => i64::MAX,
        3 => i64::MAX - 1,
        4 => rng.i64(-5..5),
        5 => i64::from(rng.i32(..)),
        _ => rng.i64(0..200),
    }
}

fn code(rng: &mut Rng) -> i16 {
    if rng.u32(0..4) == 0 { rng.i16(-2..120) } else { 0 }
}

/// One of the numbers that say where a partition is.
fn place(partition: &mut i32, error: &mut i16, offset: &mut i64, epoch: &mut i32, rng: &mut Rng) {
    match rng.u32(0..4) {
        0 => *offset = number(rng),
        1 => *error = code(rng),
        2 => *partition = rng.i32(-1..6),
        _ => *epoch = number(rng) as i32,
    }
}

fn fetch(response: &mut FetchResponse, topics: usize, rng: &mut Rng) {
    if rng.u32(0..10) == 0 {
        response.session_id = number(rng) as i32;
    }
    if rng.u32(0..20) == 0 {
        response.error_code = code(rng);
    }
    if rng.u32(0..10) == 0 {
        response.throttle_time_ms = rng.i32(-100..100);
    }
    if rng.u32(0..5) == 0 {
        response.responses.extend_from_within(..);
    }
    for topic in &mut response.responses {
        if rng.u32(0..20) == 0 {
            topic.topic = TopicName(super::name(rng.usize(0..topics + 1)).into());
        }
        if rng.u32(0..6) == 0 {
            topic.partitions.extend_from_within(..);
            rng.shuffle(&mut topic.partitions);
        }
        topic.partitions.iter_mut().for_each(|partition| fetched(partition, rng));
    }
}

fn fetched(partition: &mut PartitionData, rng: &mut Rng) {
    match rng.u32(0..16) {
        0 => partition.partition_index = rng.i32(-1..6),
        1 => partition.error_code = code(rng),
        2 => partition.high_watermark = number(rng),
        3 => partition.last_stable_offset = number(rng),
        4 => partition.preferred_read_replica = BrokerId(number(rng) as i32),
        5 => {
            let end = EpochEndOffset::default().with_epoch(rng.i32(-1..5));
            partition.diverging_epoch = end.with_end_offset(number(rng));
        }
        6 => {
            let leader = LeaderIdAndEpoch::default().with_leader_id(BrokerId(rng.i32(-1..6)));
            partition.current_leader = leader.with_leader_epoch(number(rng) as i32);
        }
        7 => {
            let count = if rng.bool() { rng.usize(0..5) } else { rng.usize(0..300) };
            let of =
                |_| AbortedTransaction::default().with_producer_id(number(rng).into()).with_first_offset(number(rng));
            partition.aborted_transactions = Some((0..count).map(of).collect());
        }
        8..=11 => {
            let bytes = partition.records.take().map(|bytes| bytes.to_vec());
            partition.records = bytes.map(|bytes| records(bytes, rng).into());
        }
        _ => {}
    }
}

/// Bytes of batches, with something else in them.
fn records(mut bytes: Vec<u8>, rng: &mut Rng) -> Vec<u8> {
    if bytes.is_empty() {
        bytes.resize(rng.usize(0..4000), 0);
        rng.fill(&mut bytes);
        return bytes;
    }
    match rng.u32(0..6) {
        0 => bytes.truncate(rng.usize(0..bytes.len())),
        1 => {
            let at = rng.usize(0..bytes.len());
            bytes[at] ^= 1 << rng.u32(0..8);
        }
        2 if bytes.len() >= 8 => bytes[..8].copy_from_slice(&number(rng).to_be_bytes()),
        3 if bytes.len() >= 12 => bytes[8..12].copy_from_slice(&(number(rng) as i32).to_be_bytes()),
        4 => bytes.extend_from_within(..),
        _ if bytes.len() > 61 => {
            // Sound by its checksum, and wrong in itself.
            let length = bytes[8..12].try_into().map_or(0, u32::from_be_bytes) as usize + 12;
            let at = rng.usize(21..bytes.len().min(length));
            bytes[at] ^= 1 << rng.u32(0..8);
            if length <= bytes.len() {
                let crc = crc32c::crc32c(&bytes[21..length]);
                bytes[17..21].copy_from_slice(&crc.to_be_bytes());
            }
        }
        _ => {}
    }
    bytes
}
