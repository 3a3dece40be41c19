//! What connections write.

use super::*;
use core::time::Duration;

/// A request of ten batches, the first eight of which are written: the ninth has yet to go, and the last has expired meanwhile.
fn with_a_hole_in_the_rest() -> Rig {
    let config = Config { delivery_timeout: Duration::from_secs(1), ..config() };
    let mut rig = Rig::new(Sizes { buffers: 12, batches: 40, partitions: 10, topics: 2 }, &config);
    let oldest = rig.send(9);
    rig.pass(500);
    for partition in 0..9 {
        rig.send(partition);
    }
    // The oldest batch is the last of the request, as it would be after a retry.
    let place = rig.place(9);
    rig.state.make_ready(place, 0);
    let mut written = 0;
    while written < 8 {
        written += rig.write().unwrap();
    }
    assert_eq!(written, 8, "the rest of the request is to follow");
    rig.pass(501);
    rig.tick();
    assert!(rig.state.outcome(&oldest).is_some(), "its time is over, that of the ninth is not");
    let rest = rig.write().filter(|_| GATHER == 1).and_then(|_| rig.write());
    assert_eq!(rest, None, "the rest has a hole");
    let now = rig.now();
    rig.state.closed(0, ConnectionError::Closed, now);
    rig
}

/// Buffers that had been taken for the rest of a request were dropped when one of its batches had expired meanwhile.
#[test]
fn a_request_that_cannot_be_completed_keeps_no_buffers() {
    let mut rig = with_a_hole_in_the_rest();
    rig.pass(100_000);
    rig.tick();
    assert_eq!(rig.state.memory().buffers.used, 0);
    assert_eq!(rig.state.buffers.iter().flatten().count(), 12);
}

/// A batch that had been taken for such a rest had its header, and nobody had computed its checksum: it was sent again without
/// one, and refused as corrupt until its time was over.
#[test]
fn what_was_taken_for_a_request_that_cannot_be_completed_lacks_its_checksum_still() {
    let mut rig = with_a_hole_in_the_rest();
    rig.state.stand_connected(0, 0);
    let ninth = rig.place(8);
    let mut lacks_crc = None;
    while let Some(outgoing) = rig.begin_write(0) {
        for batch in outgoing.batches.iter().flatten() {
            if rig.state.batches[batch.slot as usize].partition as usize == ninth {
                lacks_crc = Some(batch.lacks_crc);
            }
        }
        rig.end_write(0, outgoing);
    }
    // One at a time, it was written.
    assert_eq!(lacks_crc, Some(GATHER > 1));
}

/// Answered before the writer of the old leader's connection had returned, it was sent to the new leader without its
/// bytes: that connection was closed.
#[test]
#[cfg_attr(feature = "one-version", ignore = "of hints, which come with later versions")]
fn a_batch_waits_for_its_buffer_to_come_back_from_the_writer() {
    let mut rig = Rig::new(SMALL, &config());
    let state = &mut rig.state;
    state.cluster.broker(2, b"c", 9092);
    let broker = state.cluster.node(2).unwrap();
    state.stand_connected(1, broker);
    rig.send(0);
    let outgoing = rig.begin_write(0).unwrap();
    rig.judge(0, ErrorCode::NOT_LEADER_OR_FOLLOWER);
    rig.produce_item(produce::Item::CurrentLeader { leader_id: 2, leader_epoch: 1 });
    rig.end_answer();
    assert!(rig.begin_write(1).is_none());
    assert_eq!(rig.state.connections[1].phase, Phase::Active);
    assert_eq!(rig.end_write(0, outgoing), 1);
    let outgoing = rig.begin_write(1).unwrap();
    assert_eq!(rig.end_write(1, outgoing), 1);
}

/// With acks=0 the end of a write is all there is to wait for, and nobody told the clock: the slot was held for ever.
#[test]
fn a_connection_that_drains_is_looked_at_when_an_unacknowledged_request_is_written() {
    let mut rig = Rig::new(SMALL, &Config { acks: Acks::None, idempotence: false, ..config() });
    rig.send(0);
    let outgoing = rig.begin_write(0).unwrap();
    // Another broker wants the slot while it is being written.
    rig.state.connections[0].phase = Phase::Draining;
    rig.tick();
    let _ = rig.state.take_wakes();
    assert_eq!(rig.end_write(0, outgoing), 1);
    assert!(rig.state.s.clock_due);
}

/// With acks=0 nothing says that the broker has read all: a socket that was closed over an unread answer made it throw the
/// rest away.
#[test]
fn a_close_with_acks_0_waits_for_answers_under_way() {
    for (patience, answered) in [(5000, true), (50, false)] {
        let mut rig = Rig::new(SMALL, &Config { acks: Acks::None, idempotence: false, ..config() });
        rig.state.want_metadata(Instant::ZERO);
        rig.tick();
        let question = rig.begin_write(0).unwrap();
        rig.end_write(0, question);
        rig.send(0);
        assert_eq!(rig.write(), Some(1));
        rig.state.close(rig.now().after_millis(patience));
        rig.tick();
        assert_eq!(rig.state.connections[0].phase, Phase::Active);
        rig.pass(100);
        if answered {
            rig.tick();
            let _ = rig.state.take_wakes();
            rig.end_answer();
            assert!(rig.state.s.clock_due, "nobody else looks");
        }
        let now = rig.now();
        assert_eq!(rig.state.tick(now, Waker::noop(), &mut None), None);
        assert_eq!(rig.state.connections[0].phase, Phase::Closing);
    }
}

/// Each further request for the topics that had not fit waited for a backoff that grew.
#[test]
fn topics_that_do_not_fit_into_one_question_are_asked_for_at_once_and_once() {
    const TOPICS: usize = 40;
    let mut rig = Rig::new(Sizes { partitions: TOPICS, topics: TOPICS, ..SMALL }, &config());
    // The first is `t`, which is known.
    let names: Vec<_> = (1..TOPICS).map(|number| format!("topic-{number:02}")).collect();
    for name in &names {
        rig.state.topic(name).unwrap();
    }
    let mut asked = Vec::new();
    for _ in 0..TOPICS {
        rig.tick();
        let Some(outgoing) = rig.begin_write(0) else { break };
        let question = rig.frame[..outgoing.frame_bytes].to_vec();
        rig.end_write(0, outgoing);
        for name in names.iter().filter(|name| question.windows(name.len()).any(|bytes| bytes == name.as_bytes())) {
            rig.state.cluster.topic(name.as_bytes(), ErrorCode::NONE, 1);
            asked.push(name.clone());
        }
        rig.end_answer();
    }
    let questions = rig.state.s.counters.metadata_responses;
    assert!((2..10).contains(&questions), "{questions} questions");
    assert_eq!(asked, names, "no time has passed");
}
