//! Reads topics back with kcat and holds what is there against the ledgers.

use crate::ledger::{Account, Audit, number};
use crate::stream::Stream;
use crate::{NUMBERED, REMADE, Result, STRICT};
use demitasse_kafka_tests::Kafka;
use std::collections::HashMap;

/// What became of every stream's records, in the order of `streams`.
pub(crate) fn all(kafka: &Kafka, streams: &[Stream]) -> Result<Vec<Account>> {
    let mut accounts = HashMap::new();
    for topic in [NUMBERED, STRICT] {
        accounts.extend(topic_audit(kafka, streams, topic, |audit| audit.whole())?);
    }
    let settled = streams.iter().find(|stream| stream.plan.topic == REMADE).map_or(0, |s| s.ledger().settled());
    accounts.extend(topic_audit(kafka, streams, REMADE, |audit| audit.remade(settled))?);
    Ok(streams.iter().map(|stream| accounts.remove(stream.plan.name).unwrap_or_default()).collect())
}

/// Holds what is in a topic that will be deleted against what was told so far; how many promises were broken. Its
/// producer goes on.
pub(crate) fn before_deletion(kafka: &Kafka, streams: &[Stream]) -> Result<u64> {
    let Some(stream) = streams.iter().find(|stream| stream.plan.topic == REMADE) else { return Ok(0) };
    // What is acknowledged by now is there when kcat begins to read.
    let settled = stream.ledger().settled();
    let accounts = topic_audit(kafka, streams, REMADE, |audit| audit.remade(settled))?;
    let broken: u64 = accounts.values().map(Account::broken).sum();
    if broken > 0 {
        println!("           before it is deleted: {accounts:?}");
    }
    Ok(broken)
}

fn topic_audit(
    kafka: &Kafka,
    streams: &[Stream],
    topic: &str,
    end: impl Fn(Audit<'_>) -> Account,
) -> Result<HashMap<&'static str, Account>> {
    let mut ledgers: Vec<_> = streams.iter().filter(|s| s.plan.topic == topic).map(|s| (s, s.ledger())).collect();
    let mut audits: Vec<_> = ledgers.iter_mut().map(|(stream, ledger)| (stream.plan.name, Audit::of(ledger))).collect();
    let mut next_offsets = HashMap::new();
    let mut holes = 0u64;
    let read = kafka.read_plain(topic, |(partition, offset, key, value)| {
        let next = next_offsets.entry(partition).or_insert(0);
        holes += u64::from(offset != *next);
        *next = offset + 1;
        let key = key.iter().rposition(|byte| *byte == b'-').map(|dash| (&key[..dash], &key[dash + 1..]));
        let of = key.and_then(|(name, number)| {
            let number = std::str::from_utf8(number).ok()?.parse().ok()?;
            let audit = audits.iter_mut().find(|(stream, _)| stream.as_bytes() == name)?;
            Some((audit, number))
        });
        match of {
            Some(((_, audit), key)) => audit.found(number(key, value), partition, offset),
            None => holes += 1,
        }
    });
    read.map_err(|e| e.to_string())?;
    if holes > 0 {
        return Err(format!("{topic}: {holes} offsets are missing or hold what nobody sent"));
    }
    Ok(audits.into_iter().map(|(name, audit)| (name, end(audit))).collect())
}
