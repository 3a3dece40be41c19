//! What follows from answers.

use super::*;
use produce::Item;

/// A batch that was sent again and acknowledged after its successor moved the expected sequence back: the next one
/// seemed to follow on a loss, and the partition was renumbered for nothing.
#[test]
fn an_acknowledgement_out_of_turn_does_not_move_the_expected_sequence_back() {
    let mut rig = Rig::new(SMALL, &config());
    rig.exchange(0, ErrorCode::NONE);
    for _ in 0..2 {
        rig.send(0);
        assert_eq!(rig.write(), Some(1));
    }
    for error in [ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND, ErrorCode::NONE] {
        rig.judge(0, error);
        rig.end_answer();
    }
    rig.pass(5000);
    rig.tick();
    assert_eq!(rig.write(), Some(1), "the first of the two once more");
    rig.judge(0, ErrorCode::NONE);
    rig.end_answer();
    let state = &mut rig.state;
    assert_eq!((state.s.counters.retries, state.s.counters.acknowledged), (1, 3));
    assert_eq!(state.queues[0].expected_sequence, state.queues[0].next_sequence);
    rig.exchange(0, ErrorCode::NONE);
    assert_eq!(rig.state.s.counters.epoch_bumps, 0);
}

/// A code that nobody knows was taken to mean "not written", and so were some known ones that do not say that.
#[test]
fn an_error_that_does_not_say_what_the_broker_did_leaves_the_outcome_unknown() {
    let mut rig = Rig::new(SMALL, &config());
    let delivery = rig.exchange(0, ErrorCode(9999));
    let error = rig.state.outcome(&delivery).unwrap().unwrap_err();
    assert_eq!((error.failed, error.unknown), (0, 1));
    let delivery = rig.exchange(0, ErrorCode::MESSAGE_TOO_LARGE);
    let error = rig.state.outcome(&delivery).unwrap().unwrap_err();
    assert_eq!((error.failed, error.unknown), (1, 0), "this one does say");
}

/// Two brokers that each named the other as leader, in one epoch, were believed in turn, each time without a backoff.
#[test]
#[cfg_attr(feature = "one-version", ignore = "of hints, which come with later versions")]
fn a_leader_hint_is_news_only_with_a_newer_epoch() {
    let mut rig = Rig::new(SMALL, &config());
    rig.state.cluster.broker(2, b"c", 9092);
    rig.send(0);
    assert_eq!(rig.write(), Some(1));
    rig.judge(0, ErrorCode::NOT_LEADER_OR_FOLLOWER);
    let waits_until = rig.state.queues[0].retry_at;
    assert!(waits_until > rig.now());
    rig.produce_item(Item::CurrentLeader { leader_id: 2, leader_epoch: 0 });
    let state = &mut rig.state;
    assert_eq!((state.cluster.partitions[0].leader, state.s.counters.leader_hints), (1, 0));
    assert_eq!(state.queues[0].retry_at, waits_until, "it does not end the backoff");
    rig.produce_item(Item::CurrentLeader { leader_id: 2, leader_epoch: 1 });
    let state = &mut rig.state;
    assert_eq!((state.cluster.partitions[0].leader, state.s.counters.leader_hints), (2, 1));
    assert_eq!(state.queues[0].retry_at, Instant::ZERO);
}

/// Only metadata closed it; after a hint of a new address requests went on to whoever was at the old one.
#[test]
#[cfg_attr(feature = "one-version", ignore = "of hints, which come with later versions")]
fn a_node_that_a_hint_moves_loses_the_connection_to_its_old_address() {
    let mut rig = Rig::new(SMALL, &config());
    let state = &mut rig.state;
    state.cluster.broker(2, b"old", 1);
    let broker = state.cluster.node(2).unwrap();
    state.stand_connected(1, broker);
    rig.produce_item(Item::NodeEndpoint { node_id: 2, host: b"old", port: 1 });
    assert_eq!(rig.state.connections[1].phase, Phase::Active, "nothing new");
    rig.produce_item(Item::NodeEndpoint { node_id: 2, host: b"new", port: 2 });
    assert_eq!(rig.state.connections[1].phase, Phase::Closing);
}

/// All places are taken: one of which a leader is to have is that of a node that leads nothing, rather one that nobody is connected
/// to. A connected one kept its place until its connection was idle for nine minutes.
#[test]
fn a_leader_gets_the_place_of_a_node_that_leads_nothing() {
    let mut rig = Rig::new(SMALL, &config());
    (0..3).for_each(|partition| _ = rig.send(partition));
    let state = &mut rig.state;
    for (node, host) in [(2, b"c"), (3, b"d"), (4, b"e")] {
        assert_eq!(state.cluster.broker(node, host, 9092), None);
    }
    assert_eq!((state.cluster.broker(5, b"f", 9092), state.cluster.node(5)), (None, None), "it leads nothing either");
    let connected = state.cluster.node(2).unwrap();
    state.stand_connected(1, connected);
    state.cluster.partition(0, 3, 1);
    state.cluster.partition(1, 5, 1);
    state.cluster.partition(2, 6, 1);
    assert_eq!(state.cluster.broker(5, b"f", 9092), None, "the place of the one that is not connected");
    assert_eq!((state.cluster.node(4), state.cluster.node(5).is_some()), (None, true));
    assert_eq!(state.cluster.broker(6, b"g", 9092), Some(connected), "its connection is to end");
    assert_eq!((state.cluster.node(2), state.cluster.node(6)), (None, Some(connected)));
    state.close_moved(Some(connected));
    let now = rig.now();
    rig.state.closed(1, ConnectionError::Idle, now);
    assert_eq!(rig.state.cluster.brokers[connected].connection, Link::NONE);
}

/// All that is known of a partition that nobody writes to, or reads any more, may be its leader.
#[test]
fn the_leader_of_a_partition_that_nobody_needs_gives_way() {
    let mut rig = Rig::new(SMALL, &config());
    for (node, host) in [(2, b"c"), (3, b"d"), (4, b"e")] {
        rig.state.cluster.broker(node, host, 9092);
    }
    (0..3).for_each(|place| _ = rig.state.cluster.partition(place, 2 + place as i32, 1));
    rig.send(0);
    let cluster = &mut rig.state.cluster;
    assert_eq!((cluster.broker(5, b"f", 9092), cluster.node(5)), (None, None), "nor is it needed");
    cluster.partition(1, 5, 2);
    assert_eq!((cluster.broker(5, b"f", 9092), cluster.node(5)), (None, None), "nor is that");
    rig.send(1);
    let cluster = &mut rig.state.cluster;
    assert_eq!((cluster.broker(5, b"f", 9092), cluster.node(5).is_some()), (None, true));
    assert_eq!((cluster.node(2).is_some(), cluster.node(3)), (true, None), "a record goes to node 2");
}

/// A broker came back under another id: the connection over which that is told kept the bootstrap address the one's that was.
#[test]
fn a_broker_that_was_replaced_leaves_its_bootstrap_address_to_its_successor() {
    let mut rig = Rig::new(SMALL, &config());
    rig.send(0);
    let cluster = &mut rig.state.cluster;
    for (responses, node) in [(2, 7), (3, 8)] {
        cluster.metadata.responses = responses;
        assert_eq!(cluster.broker(node, b"b", 9092), None, "the connection is to that address, and stays");
        assert_eq!((cluster.node(node), cluster.used_brokers()), (Some(0), 1));
    }
    // Two that say the same, of one response, are two.
    assert_eq!((cluster.broker(9, b"b", 9092), cluster.node(8), cluster.node(9)), (None, Some(0), Some(1)));
}

/// Its successor, by which a node is kept, does not fit into the signed number that it was turned back to.
#[test]
#[cfg_attr(feature = "one-version", ignore = "of hints, which come with later versions")]
fn the_largest_node_id_is_a_node_id() {
    let mut rig = Rig::new(SMALL, &config());
    rig.produce_item(Item::NodeEndpoint { node_id: i32::MAX, host: b"c", port: 9092 });
    let state = &mut rig.state;
    let broker = state.cluster.node(i32::MAX).unwrap();
    assert_eq!(state.cluster.brokers[broker].node_id(), i32::MAX);
}

/// The first bytes of the answer took away the versions that were assumed until it, and the connection was closed for
/// want of them.
#[test]
fn versions_are_assumed_until_the_whole_answer_is_there() {
    let mut rig = Rig::new(SMALL, &config());
    let now = rig.now();
    rig.state.closed(0, ConnectionError::Idle, now);
    rig.state.cluster.brokers[0].versions = Some(all_versions());
    rig.send(0);
    rig.tick();
    rig.state.opened(0, now);
    assert_eq!(rig.write(), Some(0), "ApiVersions");
    // A length, correlation id 0, error 0; then two versions, the first of which is Fetch's: that of Produce is still under way.
    let begins: &[u8] = &[0, 0, 0, 50, 0, 0, 0, 0, 0, 0];
    let fetch: &[u8] =
        if crate::wire::FLEXIBLE { &[3, 0, 1, 0, 0, 0, 11, 0] } else { &[0, 0, 0, 2, 0, 1, 0, 0, 0, 11] };
    for bytes in [begins, fetch] {
        let used = rig.state.receive(0, bytes, now, &mut |_, _| {});
        assert_eq!(used, Ok(bytes.len()));
        assert_eq!(rig.write(), Some(1), "the record does not wait");
        assert_eq!(rig.state.connections[0].phase, Phase::Active);
        rig.send(1);
    }
}

/// Who hangs up before the first answer may be no broker; who is let go of has done nothing.
#[test]
fn a_connection_that_we_close_before_its_first_answer_is_not_the_peers_silence() {
    for (ours, expected) in [(false, ConnectionError::ClosedUnanswered), (true, ConnectionError::Closed)] {
        let mut rig = Rig::new(SMALL, &config());
        if ours {
            rig.state.disconnect();
        }
        let now = rig.now();
        rig.state.closed(0, ConnectionError::Closed, now);
        assert_eq!(rig.state.s.trouble, Some(expected));
    }
}

/// Held because it might have been in the log, it was sent again without end after the broker had said that it is not: there was
/// nothing unknown any more, and its time was over.
#[test]
fn a_batch_that_is_held_ends_when_it_is_known_not_to_be_in_the_log() {
    for (unclear, error) in [
        (false, ErrorCode::NOT_ENOUGH_REPLICAS),
        (false, ErrorCode::FENCED_LEADER_EPOCH),
        (true, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER),
    ] {
        let config = Config {
            unknown_outcome: UnknownOutcome::Hold,
            delivery_timeout: core::time::Duration::from_secs(1),
            ..config()
        };
        let mut rig = Rig::new(SMALL, &config);
        let (delivery, _) = (rig.send(0), rig.write());
        rig.pass(1001);
        rig.tick();
        assert_eq!(rig.state.outcome(&delivery), None, "it may be in the log");
        if unclear {
            rig.judge(0, ErrorCode::REQUEST_TIMED_OUT);
            rig.end_answer();
            assert_eq!(rig.state.outcome(&delivery), None, "it still may be");
            rig.pass(5000);
            rig.tick();
            assert_eq!(rig.write(), Some(1), "once more");
        }
        rig.judge(0, error);
        rig.end_answer();
        let outcome = rig.state.outcome(&delivery).expect("it is not in the log, and its time is over").unwrap_err();
        assert_eq!((outcome.failed, outcome.unknown), (1, 0));
        assert_eq!(rig.state.memory().buffers.used, 0);
        assert!(rig.state.is_settled());
        rig.pass(5000);
        rig.tick();
        rig.send(0);
        assert_eq!(core::iter::from_fn(|| rig.write()).sum::<usize>(), 1, "the partition goes on");
    }
}
