//! Records into batches, and who waits for room.

use super::*;
use crate::pool::Seat;
use core::time::Duration;

/// It got the timestamp of the batch's first record instead, whatever its sender had set that to.
#[test]
fn a_record_without_a_timestamp_gets_the_time_its_batch_was_opened() {
    let mut rig = Rig::new(SMALL, &config());
    let to = Topic(0).partition(0);
    assert_eq!(rig.append(to, &Record::new(b"x").timestamp(42)).ok().unwrap().timestamp, 42);
    assert_eq!(rig.append(to, &Record::new(b"x")).ok().unwrap().timestamp, EPOCH_MILLIS + 1);
}

/// A name of another producer's topic waited for metadata that nobody would ask for.
#[test]
fn a_topic_that_was_never_named_is_refused_at_once() {
    let mut rig = Rig::new(SMALL, &config());
    let refused = rig.append(Topic(1), &Record::new(b"x"));
    assert!(matches!(refused, Err(Refused::UnknownTopic)));
}

/// Batches whose time is over keep their slots until they are answered. When those came free, nobody was told.
#[test]
fn who_waits_for_room_is_told_when_a_slot_comes_free() {
    let config =
        Config { delivery_timeout: Duration::from_secs(1), request_timeout: Duration::from_secs(30), ..config() };
    let mut rig = Rig::new(Sizes { buffers: 2, batches: 3, ..SMALL }, &config);
    for partition in 0..3 {
        rig.send(partition);
        assert_eq!(rig.write(), Some(1));
        rig.pass(1001);
        rig.tick();
    }
    assert!(matches!(rig.try_send(0), Err(Refused::Full)));
    assert_eq!(rig.state.pool().free(), 2, "it is the slots that are missing, not the buffers");
    let mut seat = Seat::NONE;
    let _ = rig.state.wait_for_room::<()>(&mut seat, Waker::noop(), &mut None, Instant::NEVER);
    let now = rig.now();
    rig.state.closed(0, ConnectionError::Closed, now);
    assert!(seat.told(&rig.state.waiters).is_some());
    rig.send(0);
}

/// The slot of a batch whose time is over stays taken until it is answered; its buffer comes home at once, or when the writer is
/// done with it.
#[test]
fn who_waits_for_room_is_told_when_a_buffer_comes_home() {
    for with_the_writer in [false, true] {
        let mut rig = Rig::new(Sizes { buffers: 1, batches: 4, ..SMALL }, &config());
        rig.send(0);
        let outgoing = rig.begin_write(0).unwrap();
        let outgoing = if with_the_writer { Some(outgoing) } else { (rig.end_write(0, outgoing), None).1 };
        assert!(matches!(rig.try_send(1), Err(Refused::Full)));
        let mut seat = Seat::NONE;
        let _ = rig.state.wait_for_room::<()>(&mut seat, Waker::noop(), &mut None, Instant::NEVER);
        rig.pass(Config::new().delivery_timeout.as_millis() as u64 + 1);
        rig.tick();
        assert_eq!(seat.told(&rig.state.waiters).is_some(), !with_the_writer);
        outgoing.map(|outgoing| rig.end_write(0, outgoing));
        assert!(seat.told(&rig.state.waiters).is_some());
        rig.send(1);
    }
}

/// Only the first of the list was looked at, and who had been woken in vain stood behind those with later deadlines.
#[test]
fn who_waits_for_room_is_told_at_its_own_deadline_in_whatever_order_they_stand() {
    let mut rig = Rig::new(SMALL, &config());
    let (mut sooner, mut later) = (Seat::NONE, Seat::NONE);
    let wait = |rig: &mut Rig, seat: &mut Seat, deadline| {
        let _ = rig.state.wait_for_room::<()>(seat, Waker::noop(), &mut None, at_millis(deadline));
    };
    wait(&mut rig, &mut sooner, 60_000);
    wait(&mut rig, &mut later, 110_000);
    rig.state.tell_room();
    // Both are woken, the one with the later deadline runs first, and neither gets room.
    wait(&mut rig, &mut later, 110_000);
    wait(&mut rig, &mut sooner, 60_000);
    rig.pass(60_000);
    assert!(rig.tick() <= at_millis(110_000));
    assert!(sooner.told(&rig.state.waiters).is_some());
    assert!(later.told(&rig.state.waiters).is_none());
}

/// It was the sticky one when the topic still had it, and stayed that.
#[test]
fn records_without_a_key_leave_a_partition_that_the_topic_has_no_more() {
    let mut rig = Rig::new(SMALL, &config());
    let gone = rig.place(2);
    let state = &mut rig.state;
    state.cluster.topics[0].sticky = Link::to(gone);
    // That there are fewer is believed once it has been said often enough.
    while state.partition_count(Topic(0)) != Some(1) {
        state.cluster.topic(b"t", ErrorCode::NONE, 1);
    }
    let delivery = rig.append(Topic(0), &Record::new(b"x")).ok().unwrap();
    assert_eq!(delivery.place as usize, rig.place(0));
}

/// The place of a vanished partition went to another topic's, with the first topic still pointing at it.
#[test]
fn a_place_that_is_given_away_takes_no_more_records_of_its_old_topic() {
    let mut rig = Rig::new(SMALL, &config());
    rig.state.topic("u").unwrap();
    let given_away = rig.place(2);
    rig.state.cluster.topics[0].sticky = Link::to(given_away);
    assert_eq!(rig.append(Topic(0), &Record::new(b"x")).ok().unwrap().place as usize, given_away);
    rig.send(0);
    rig.send(1);
    rig.tick();
    assert_eq!(rig.write(), Some(0), "the question for metadata goes first");
    while rig.state.partition_count(Topic(0)) != Some(2) {
        rig.state.cluster.topic(b"t", ErrorCode::NONE, 2);
    }
    rig.end_answer();
    // The table is full: the partition of the other topic takes the place that nobody needs.
    let other = rig.append(Topic(1).partition(0), &Record::new(b"x")).ok().unwrap();
    assert_eq!(other.place as usize, given_away);
    let own = rig.append(Topic(0), &Record::new(b"x")).ok().unwrap();
    assert_eq!(rig.state.cluster.partitions[own.place as usize].topic(), 0);
}

/// What is opened behind a batch that is under way waits for it: there are other partitions.
#[cfg(feature = "scaling")]
#[test]
fn a_batch_without_keys_is_opened_where_nothing_is_under_way() {
    let mut rig = Rig::new(SMALL, &config());
    let mut places = [0, 1].map(|number| {
        let place = rig.append(Topic(0), &Record::new(b"x")).ok().unwrap().place as usize;
        let again = rig.append(Topic(0), &Record::new(b"x")).ok().unwrap().place as usize;
        assert_eq!(place, again, "an open batch takes more, {number}");
        let index = rig.state.queues[place].batches.last().unwrap();
        rig.state.seal(index);
        place
    });
    places.sort_unstable();
    assert!(places[0] < places[1], "{places:?}");
}

/// Records without a key went to a partition that was drawn among all of the topic's, and were refused when it was none of
/// those that have a place: with few places for many partitions that was nearly always, and for good.
#[test]
fn records_without_a_key_go_to_partitions_that_have_a_place() {
    let mut rig = Rig::new(Sizes { partitions: 2, ..SMALL }, &config());
    rig.state.cluster.topic(b"t", ErrorCode::NONE, 64);
    for round in 0..100 {
        let sent = rig.append(Topic(0), &Record::new(&[1; 100]));
        assert!(sent.is_ok(), "refused in round {round}");
        for place in 0..2 {
            rig.state.cluster.partition(place, 1, 0);
        }
        rig.state.reconsider_all();
        while rig.state.unsent(0).is_some() || rig.state.unsent(1).is_some() {
            assert!(rig.write().is_some());
            for partition in 0..2 {
                let index = rig.state.cluster.partitions[partition].index;
                rig.judge(index, ErrorCode::NONE);
            }
            rig.end_answer();
        }
    }
}

/// Partitions that were named before it was known that there are none such kept their places for ever if their records had
/// expired by then.
#[test]
fn places_of_partitions_that_there_are_not_are_free_again() {
    let mut rig = Rig::new(Sizes { partitions: 2, ..SMALL }, &config());
    let topic = rig.state.topic("u").unwrap();
    for partition in [7, 8] {
        assert!(rig.append(topic.partition(partition), &Record::new(b"x")).is_ok());
    }
    rig.pass(121_000);
    rig.tick();
    assert_eq!(rig.write(), Some(0), "a question for metadata");
    rig.state.cluster.topic(b"t", ErrorCode::NONE, 2);
    rig.state.cluster.topic(b"u", ErrorCode::NONE, 1);
    rig.end_answer();
    assert!(rig.append(topic.partition(0), &Record::new(b"x")).is_ok());
}
