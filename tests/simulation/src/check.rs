//! What users were told, held against what the logs say.

use crate::workload::{Entry, Journal, parse};
use demitasse_broker::Cluster;
use demitasse_core::{Acks, Config};
use std::collections::{HashMap, HashSet};

/// Timestamps below it are numbers of records, all others are dates.
const DATES: i64 = 1_000_000_000;

/// Where a record stands in the logs.
type Places = HashMap<(usize, u32), Vec<(usize, i32, i64)>>;

/// Records of topics that were deleted: who wrote which.
pub type Buried = HashSet<(usize, u32)>;

/// Notes what stands in a topic that is about to be deleted.
pub fn bury(cluster: &Cluster, topic: usize, buried: &mut Buried) {
    let name = format!("t{topic}");
    let partitions = (0..cluster.partitions(&name)).filter_map(|partition| cluster.partition(&name, partition));
    buried.extend(partitions.flat_map(|info| info.records().filter_map(|r| parse(r.value?)).collect::<Vec<_>>()));
}

/// Batches in the logs that are compressed.
pub fn compressed(cluster: &Cluster, topics: usize) -> usize {
    let names = (0..topics).map(|topic| format!("t{topic}"));
    let logs = names.flat_map(|name| (0..cluster.partitions(&name)).filter_map(move |p| cluster.partition(&name, p)));
    logs.flat_map(|log| log.batches())
        .filter(|batch| batch.bytes().get(22).is_some_and(|attributes| attributes & 7 != 0))
        .count()
}

/// Holds every promise against the logs; the first that is broken. What was `buried` counts as being in the log, if need be; and
/// if a topic was made again, records may have changed places: a log that does not know the producer takes a batch that came
/// before its predecessor.
pub fn check(
    journal: &Journal,
    cluster: &Cluster,
    topics: usize,
    config: &Config,
    buried: &Buried,
) -> Result<(), String> {
    let places = read(cluster, topics, config.idempotence && buried.is_empty())?;
    for (user, entries) in journal.users.iter().enumerate() {
        for entry in entries {
            entry_holds(user, entry, &places, config, buried)
                .map_err(|what| format!("user {user} {entry:?}: {what}"))?;
        }
    }
    Ok(())
}

/// All logs; in each, the records of a user must stand in the order in which they were sent.
fn read(cluster: &Cluster, topics: usize, idempotent: bool) -> Result<Places, String> {
    let mut places = Places::new();
    for topic in 0..topics {
        let name = format!("t{topic}");
        for partition in 0..cluster.partitions(&name) {
            let mut last: HashMap<usize, u32> = HashMap::new();
            let Some(info) = cluster.partition(&name, partition) else { continue };
            for record in info.records() {
                let value = record.value.ok_or("a record without a value")?;
                if value.first() == Some(&crate::simulate::ALIVE) {
                    continue;
                }
                let (user, number) = parse(value).ok_or("a record that nobody sent")?;
                if (0..DATES).contains(&record.timestamp) && record.timestamp != i64::from(number) {
                    return Err(format!("record {number} of user {user} has the time of record {}", record.timestamp));
                }
                places.entry((user, number)).or_default().push((topic, partition, record.offset));
                let before = last.insert(user, number);
                if idempotent && before.is_some_and(|before| before >= number) {
                    let batches = info
                        .batches()
                        .map(|b| (b.base_offset(), b.producer_id(), b.producer_epoch(), b.base_sequence()));
                    return Err(format!(
                        "{name}/{partition} offset {}: record {number} of user {user} stands behind {before:?}; batches \
                         (offset, producer, epoch, sequence): {:?}",
                        record.offset,
                        batches.collect::<Vec<_>>()
                    ));
                }
            }
        }
    }
    Ok(places)
}

fn entry_holds(user: usize, entry: &Entry, places: &Places, config: &Config, buried: &Buried) -> Result<(), String> {
    let idempotent = config.idempotence;
    let (mut present, mut gone) = (0, 0);
    for number in entry.first..entry.first + entry.count {
        let found = places.get(&(user, number)).map_or(&[][..], Vec::as_slice);
        if idempotent && found.len() > 1 {
            return Err(format!("record {number} is in the log {} times: {found:?}", found.len()));
        }
        if found.iter().any(|place| place.0 != entry.topic) {
            return Err(format!("record {number} is in another topic: {found:?}"));
        }
        present += u32::from(!found.is_empty());
        gone += u32::from(found.is_empty() && buried.contains(&(user, number)));
    }
    let none =
        |why: &str| if present == 0 { Ok(()) } else { Err(format!("{present} records are in the log, but {why}")) };
    match (&entry.taken, &entry.outcome) {
        (None, _) => none("the call was dropped"),
        (Some(Err(_)), _) => none("the call was refused"),
        (Some(Ok(_)), None) => Err("taken, and no outcome at the end".to_owned()),
        (Some(Ok(_)), Some(Ok(receipt))) => {
            // With acks=0 a record counts as written when it was given to the network.
            let missing = present + gone < entry.count && config.acks != Acks::None;
            if missing || receipt.count != entry.count {
                return Err(format!("acknowledged, but only {present} are in the log"));
            }
            let Some(offset) = receipt.offset else { return Ok(()) };
            let place = (entry.topic, receipt.partition, offset);
            if idempotent && buried.is_empty() && places[&(user, entry.first)] != [place] {
                return Err(format!("the receipt says {place:?}, the log {:?}", places[&(user, entry.first)]));
            }
            Ok(())
        }
        (Some(Ok(_)), Some(Err(error))) => {
            if error.written + error.failed + error.unknown != entry.count {
                return Err("the counts do not add up".to_owned());
            }
            let missing = present + gone < error.written && config.acks != Acks::None;
            if missing || present > error.written + error.unknown {
                return Err(format!("{present} are in the log"));
            }
            Ok(())
        }
    }
}
