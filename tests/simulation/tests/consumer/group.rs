//! Positions that a group keeps.

use crate::bench::{Bench, SECOND, calm, config_with};
use demitasse_broker::{Action, Api, Release, Rule, error};
use demitasse_core::{CommitError, Config, ConnectionError, ConsumeFault, Name, OffsetReset, Start};
use demitasse_simulation::network::{Weather, millis};
use demitasse_simulation::rewrite::rewrite;
use kafka_protocol::messages::{ApiKey, FindCoordinatorResponse, OffsetCommitResponse, OffsetFetchResponse};
use kafka_protocol::protocol::{Decodable, Encodable};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

const GROUP: &str = "group";

fn config(change: impl FnOnce(&mut Config)) -> Config {
    config_with(|config| {
        config.group_id = GROUP.try_into().unwrap();
        change(config);
    })
}

fn bench(release: Release, nodes: u16, config: Config, weather: Weather) -> Bench {
    Bench::new(release, nodes, 2, config, weather)
}

type Outcomes = Rc<RefCell<Vec<Result<(), CommitError>>>>;

/// Commits, and keeps what comes of it.
fn commit(bench: &mut Bench, offset: Option<(i32, i64)>, outcomes: &Outcomes) {
    let (consumer, topic, outcomes) = (bench.consumer.clone(), bench.topic(), outcomes.clone());
    bench.executor.spawn(async move {
        let outcome = match offset {
            Some((partition, offset)) => consumer.commit_offsets(&[(topic, partition, offset)]).await,
            None => consumer.commit().await,
        };
        outcomes.borrow_mut().push(outcome);
    });
}

fn committed(bench: &Bench, partition: i32) -> Option<(i64, i32)> {
    bench.network.world.borrow().cluster.committed(GROUP, "t", partition)
}

fn rule(bench: &Bench, rule: Rule) {
    bench.network.world.borrow_mut().cluster.add_rule(rule);
}

#[test]
fn what_was_handed_out_is_kept_and_gone_on_from() {
    for release in [Release::V2_8, Release::V3_9, Release::V4_3] {
        let mut bench = bench(release, 3, config(|_| ()), calm());
        let topic = bench.topic();
        (0..2).for_each(|partition| bench.consumer.assign(topic, partition, Start::Beginning).unwrap());
        (0..2).for_each(|partition| bench.send(partition, (0..20).map(|i| vec![i; 50])));
        bench.poll(3, 1000);
        bench.advance(5 * SECOND);
        let outcomes = Outcomes::default();
        commit(&mut bench, None, &outcomes);
        bench.advance(2 * SECOND);
        assert_eq!(*outcomes.borrow(), [Ok(())]);
        assert_eq!((committed(&bench, 0), committed(&bench, 1)), (Some((20, 0)), Some((20, 0))));
        assert_eq!(bench.consumer.committed(topic, 0), Some(20));

        commit(&mut bench, Some((1, 7)), &outcomes);
        bench.advance(2 * SECOND);
        assert_eq!(*outcomes.borrow(), [Ok(()), Ok(())]);
        assert_eq!(committed(&bench, 1), Some((7, -1)));

        bench.read.borrow_mut().clear();
        (0..2).for_each(|partition| bench.consumer.assign(topic, partition, Start::Committed).unwrap());
        bench.advance(5 * SECOND);
        assert!(bench.offsets(0).is_empty());
        assert_eq!(bench.offsets(1), (7..20).collect::<Vec<_>>());
    }
}

/// Metadata names all partitions of a topic: that does not make them somebody's.
#[test]
fn only_what_is_or_was_read_is_committed_and_has_a_position() {
    let mut bench = bench(Release::V4_3, 3, config(|_| ()), calm());
    let topic = bench.topic();
    bench.consumer.assign(topic, 0, Start::Beginning).unwrap();
    bench.advance(2 * SECOND);
    let outcomes = Outcomes::default();
    commit(&mut bench, Some((1, 7)), &outcomes);
    commit(&mut bench, Some((0, -2)), &outcomes);
    commit(&mut bench, Some((0, 0)), &outcomes);
    bench.consumer.unassign(topic, 0);
    commit(&mut bench, Some((0, 3)), &outcomes);
    bench.advance(2 * SECOND);
    let unassigned = CommitError::Unassigned { topic, partition: 1 };
    let negative = CommitError::NegativeOffset { topic, partition: 0, offset: -2 };
    assert_eq!(*outcomes.borrow(), [Err(unassigned), Err(negative), Ok(()), Ok(())]);
    assert_eq!((committed(&bench, 0), committed(&bench, 1)), (Some((3, -1)), None));

    bench.consumer.assign(topic, 1, Start::End).unwrap();
    let faults = Rc::new(RefCell::new(Vec::new()));
    for partition in 0..2 {
        let (consumer, faults) = (bench.consumer.clone(), faults.clone());
        bench.executor.spawn(async move {
            let position = consumer.wait_position(topic, partition).await;
            faults.borrow_mut().push((partition, position.map_err(|error| error.fault)));
        });
    }
    bench.advance(1);
    bench.consumer.unassign(topic, 1);
    bench.advance(SECOND);
    let none = Err(ConsumeFault::Unassigned);
    assert_eq!(*faults.borrow(), [(0, none), (1, none)], "who waits is told when it is read no more");
}

#[test]
fn without_a_position_the_reset_policy_decides() {
    for (reset, group) in [
        (OffsetReset::Earliest, true),
        (OffsetReset::Earliest, false),
        (OffsetReset::Latest, true),
        (OffsetReset::None, true),
    ] {
        let config = config(|config| {
            config.offset_reset = reset;
            if !group {
                config.group_id = Name::EMPTY;
            }
        });
        let mut bench = bench(Release::V4_3, 1, config, calm());
        let topic = bench.topic();
        bench.send(0, (0..5).map(|i| vec![i; 50]));
        bench.advance(2 * SECOND);
        bench.consumer.assign(topic, 0, Start::Committed).unwrap();
        bench.poll(100, 0);
        bench.advance(2 * SECOND);
        bench.send(0, (0..5).map(|i| vec![i; 50]));
        bench.advance(2 * SECOND);
        match reset {
            OffsetReset::Earliest => assert_eq!(bench.offsets(0), (0..10).collect::<Vec<_>>()),
            OffsetReset::Latest => assert_eq!(bench.offsets(0), (5..10).collect::<Vec<_>>()),
            OffsetReset::None => {
                assert_eq!(*bench.faults.borrow(), [(0, -1, ConsumeFault::NotCommitted)]);
                let found = Rc::new(Cell::new(None));
                let (consumer, there) = (bench.consumer.clone(), found.clone());
                bench.executor.spawn(async move {
                    there.set(Some(consumer.wait_position(topic, 0).await.map_err(|error| error.fault)));
                });
                bench.advance(SECOND);
                assert_eq!(
                    found.get(),
                    Some(Err(ConsumeFault::ToldBefore)),
                    "nobody waits for a place that never comes"
                );
            }
        }
        let outcomes = Outcomes::default();
        commit(&mut bench, None, &outcomes);
        bench.advance(2 * SECOND);
        let expected = if group { Ok(()) } else { Err(CommitError::NoGroup) };
        assert_eq!(*outcomes.borrow(), [expected]);
    }
}

#[test]
fn a_coordinator_that_moves_fails_or_is_slow_is_found_again() {
    let mut bench = bench(Release::V3_9, 3, config(|_| ()), calm());
    bench.consumer.assign(bench.topic(), 0, Start::Beginning).unwrap();
    bench.poll(100, 0);
    let outcomes = Outcomes::default();
    for round in 0..8i32 {
        bench.send(0, (0..10).map(|i| vec![i; 50]));
        bench.advance(2 * SECOND);
        match round {
            1 => rule(
                &bench,
                Rule::new(Action::Error(error::COORDINATOR_LOAD_IN_PROGRESS)).api(Api::OffsetCommit).times(3),
            ),
            2 => rule(
                &bench,
                Rule::new(Action::Error(error::COORDINATOR_NOT_AVAILABLE)).api(Api::FindCoordinator).times(3),
            ),
            3 => rule(&bench, Rule::new(Action::ApplyThenDrop).api(Api::OffsetCommit).times(2)),
            4 => rule(&bench, Rule::new(Action::Error(error::NOT_COORDINATOR)).api(Api::OffsetCommit).times(2)),
            _ => {}
        }
        bench.network.world.borrow_mut().cluster.move_coordinator(GROUP, 1 + round % 3);
        commit(&mut bench, None, &outcomes);
        bench.advance(20 * SECOND);
        assert_eq!(committed(&bench, 0), Some((10 * (i64::from(round) + 1), 0)), "round {round}");
    }
    assert_eq!(*outcomes.borrow(), [Ok(()); 8]);
    assert_eq!(bench.offsets(0), (0..80).collect::<Vec<_>>());
}

#[test]
fn a_commit_waits_for_no_fetch() {
    let mut bench = bench(Release::V4_3, 1, config(|_| ()), calm());
    bench.consumer.assign(bench.topic(), 0, Start::Beginning).unwrap();
    bench.send(0, (0..10).map(|i| vec![i; 50]));
    bench.poll(100, 0);
    let outcomes = Outcomes::default();
    bench.advance(3 * SECOND);
    commit(&mut bench, None, &outcomes);
    bench.advance(2 * SECOND);
    // From here on the coordinator is known; all that is read was, so a Fetch request waits at the broker.
    commit(&mut bench, Some((0, 3)), &outcomes);
    bench.advance(10_000);
    assert_eq!(*outcomes.borrow(), [Ok(()), Ok(())]);
    assert_eq!(committed(&bench, 0), Some((3, -1)));
}

#[test]
fn what_is_refused_or_never_answered_is_an_error() {
    let short = config(|config| config.max_block = Duration::from_secs(3));
    let mut bench = bench(Release::V4_3, 1, short, calm());
    let topic = bench.topic();
    bench.consumer.assign(topic, 0, Start::Beginning).unwrap();
    bench.send(0, (0..10).map(|i| vec![i; 50]));
    bench.poll(100, 0);
    bench.advance(3 * SECOND);
    let outcomes = Outcomes::default();
    rule(&bench, Rule::new(Action::Error(error::UNKNOWN_MEMBER_ID)).api(Api::OffsetCommit));
    commit(&mut bench, None, &outcomes);
    bench.advance(2 * SECOND);
    let code = demitasse_core::protocol::ErrorCode(error::UNKNOWN_MEMBER_ID);
    assert_eq!(*outcomes.borrow(), [Err(CommitError::Refused(code))]);
    commit(&mut bench, Some((5, 1)), &outcomes);
    bench.advance(SECOND);
    let unassigned = CommitError::Unassigned { topic, partition: 5 };
    assert_eq!(outcomes.borrow()[1..], [Err(unassigned)]);

    let silence = Rule::new(Action::Error(error::COORDINATOR_LOAD_IN_PROGRESS)).api(Api::OffsetCommit).times(u64::MAX);
    rule(&bench, silence);
    commit(&mut bench, None, &outcomes);
    bench.advance(4 * SECOND);
    assert_eq!(outcomes.borrow()[2..], [Err(CommitError::TimedOut { connection: None })]);
    // What was given up is still tried.
    bench.network.world.borrow_mut().cluster.clear_faults();
    bench.advance(4 * SECOND);
    assert_eq!(committed(&bench, 0), Some((10, 0)));
}

#[test]
fn a_dropped_commit_is_still_sent_and_a_close_adds_nothing_to_it() {
    let mut bench = bench(Release::V2_8, 1, config(|_| ()), calm());
    bench.consumer.assign(bench.topic(), 0, Start::Beginning).unwrap();
    bench.send(0, (0..10).map(|i| vec![i; 50]));
    bench.poll(100, 0);
    bench.advance(3 * SECOND);
    let consumer = bench.consumer.clone();
    let topic = bench.topic();
    bench.executor.spawn(async move {
        let offsets = [(topic, 0, 4)];
        let mut commit = Box::pin(consumer.commit_offsets(&offsets));
        std::future::poll_fn(|cx| {
            assert!(commit.as_mut().poll(cx).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
        drop(commit);
    });
    bench.advance(2 * SECOND);
    assert_eq!(committed(&bench, 0), Some((4, -1)));
    // Whoever says what is to be committed is not overruled by the close.
    let consumer = bench.consumer.clone();
    bench.executor.spawn(async move { consumer.close().await.unwrap() });
    bench.advance(2 * SECOND);
    assert_eq!(committed(&bench, 0), Some((4, -1)));
}

#[test]
fn a_close_commits_what_was_handed_out() {
    let mut bench = bench(Release::V2_8, 1, config(|_| ()), calm());
    bench.consumer.assign(bench.topic(), 0, Start::Beginning).unwrap();
    bench.send(0, (0..10).map(|i| vec![i; 50]));
    bench.poll(100, 0);
    bench.advance(3 * SECOND);
    let consumer = bench.consumer.clone();
    bench.executor.spawn(async move { consumer.close().await.unwrap() });
    bench.advance(2 * SECOND);
    assert_eq!(committed(&bench, 0), Some((10, 0)));
}

#[test]
fn a_second_close_says_whether_all_is_committed() {
    let mut bench = bench(Release::V2_8, 1, config(|_| ()), calm());
    bench.consumer.assign(bench.topic(), 0, Start::Beginning).unwrap();
    bench.send(0, (0..10).map(|i| vec![i; 50]));
    let (consumer, ended) = (bench.consumer.clone(), Rc::new(RefCell::new(Vec::new())));
    let ends = ended.clone();
    bench.executor.spawn(async move {
        assert_eq!(consumer.poll(4).await.unwrap().unwrap().records().count(), 4);
        let lent = consumer.poll(2).await.unwrap().unwrap();
        assert_eq!(lent.records().count(), 2);
        let first = [consumer.close().await, consumer.close().await, consumer.commit().await];
        ends.borrow_mut().extend(first);
        drop(lent);
        // It is read now, and nobody commits it any more.
        let last = consumer.close().await;
        ends.borrow_mut().push(last);
    });
    bench.advance(5 * SECOND);
    assert_eq!(*ended.borrow(), [Ok(()), Ok(()), Ok(()), Err(CommitError::Closed)]);
    assert_eq!(committed(&bench, 0), Some((4, 0)));
}

/// Where records were that the log has lost, other ones will be: a start at the old place would pass over them.
#[test]
fn what_the_log_has_lost_is_not_committed() {
    let mut bench = bench(Release::V2_8, 1, config(|_| ()), calm());
    bench.consumer.assign(bench.topic(), 0, Start::Beginning).unwrap();
    bench.poll(100, 0);
    for value in 0..10u8 {
        bench.send(0, std::iter::once(vec![value; 50]));
        bench.advance(SECOND / 2);
    }
    bench.advance(3 * SECOND);
    bench.network.world.borrow_mut().cluster.lose_records("t", 0, 7);
    bench.advance(5 * SECOND);
    assert_eq!(*bench.faults.borrow(), [(0, 10, ConsumeFault::Truncated { end_offset: 7 })]);
    let consumer = bench.consumer.clone();
    bench.executor.spawn(async move { consumer.close().await.unwrap() });
    bench.advance(2 * SECOND);
    assert_eq!(committed(&bench, 0), Some((7, -1)));
}

#[test]
fn bad_weather_keeps_the_last_position() {
    for piece in [0, 1] {
        let weather = Weather { latency: 3_000, jitter: 20_000, piece, cut: 60, cut_within: 3_000, ..calm() };
        let config = config(|config| {
            config.request_timeout = Duration::from_secs(2);
            config.max_block = Duration::from_secs(200);
        });
        let mut bench = bench(Release::V3_9, 3, config, weather);
        bench.consumer.assign(bench.topic(), 0, Start::Committed).unwrap();
        bench.consumer.seek(bench.topic(), 0, Start::Beginning);
        bench.send(0, (0..100).map(|i| vec![i; 100]));
        bench.poll(13, 10_000);
        let outcomes = Outcomes::default();
        for _ in 0..20 {
            commit(&mut bench, None, &outcomes);
            bench.advance(10 * SECOND);
        }
        bench.advance(200 * SECOND);
        assert!(outcomes.borrow().iter().all(Result::is_ok), "{:?}", outcomes.borrow());
        assert_eq!(outcomes.borrow().len(), 20);
        assert_eq!(committed(&bench, 0), Some((100, 0)));
    }
}

/// It dies while nothing is asked of it.
#[test]
fn a_coordinator_that_dies_is_looked_for_elsewhere() {
    let mut bench = bench(Release::V3_9, 3, config(|_| ()), calm());
    bench.consumer.assign(bench.topic(), 0, Start::Beginning).unwrap();
    bench.poll(100, 0);
    bench.send(0, (0..10).map(|i| vec![i; 50]));
    bench.advance(2 * SECOND);
    let outcomes = Outcomes::default();
    bench.network.world.borrow_mut().cluster.move_coordinator(GROUP, 2);
    commit(&mut bench, Some((0, 5)), &outcomes);
    bench.advance(5 * SECOND);
    assert_eq!(*outcomes.borrow(), [Ok(())]);

    let now = millis(bench.executor.time.now());
    bench.network.world.borrow_mut().cluster.node_down(2, now);
    bench.network.world.borrow_mut().cut_dead();
    bench.advance(SECOND);
    commit(&mut bench, Some((0, 7)), &outcomes);
    bench.advance(5 * SECOND);
    assert_eq!(*outcomes.borrow(), [Ok(()), Ok(())]);
    assert_eq!(committed(&bench, 0).map(|kept| kept.0), Some(7));
}

/// Who is told nothing of what it has asked asks again, but not at once, and goes on when it is told.
fn a_group_is_asked_with_a_backoff<R: Decodable + Encodable + 'static>(api: ApiKey, flexible: i16, lie: fn(&mut R)) {
    let mut bench = bench(Release::V4_3, 1, config(|config| config.offset_reset = OffsetReset::Earliest), calm());
    bench.send(0, (0..10).map(|i| vec![i; 50]));
    bench.advance(SECOND);
    let asked = Rc::new(Cell::new(0));
    let times = asked.clone();
    bench.network.world.borrow_mut().liar = Some(Box::new(move |request, answer| {
        if i16::from_be_bytes([request[0], request[1]]) != api as i16 {
            return answer;
        }
        times.set(times.get() + 1);
        let version = i16::from_be_bytes([request[2], request[3]]);
        rewrite(version, &answer, if version >= flexible { 9 } else { 8 }, lie)
    }));
    bench.consumer.assign(bench.topic(), 0, Start::Committed).unwrap();
    bench.poll(100, 0);
    bench.advance(5 * SECOND);
    let outcomes = Outcomes::default();
    commit(&mut bench, Some((0, 7)), &outcomes);
    bench.advance(25 * SECOND);
    assert!((10..100).contains(&asked.get()), "{api:?}: asked {} times", asked.get());
    bench.network.world.borrow_mut().liar = None;
    bench.advance(5 * SECOND);
    assert_eq!(*outcomes.borrow(), [Ok(())]);
    assert_eq!(committed(&bench, 0).map(|kept| kept.0), Some(7));
}

/// A device asks in a version whose answer cannot leave it out.
#[test]
#[cfg(feature = "server")]
fn a_coordinator_that_an_answer_leaves_out_is_looked_for_with_a_backoff() {
    a_group_is_asked_with_a_backoff(ApiKey::FindCoordinator, 3, |answer: &mut FindCoordinatorResponse| {
        answer.coordinators.clear();
    });
}

#[test]
fn a_position_that_an_answer_leaves_out_is_asked_for_with_a_backoff() {
    a_group_is_asked_with_a_backoff(ApiKey::OffsetFetch, 6, |answer: &mut OffsetFetchResponse| {
        answer.topics.clear();
        answer.groups.clear();
    });
}

#[test]
fn a_commit_that_an_answer_leaves_out_is_sent_again_with_a_backoff() {
    a_group_is_asked_with_a_backoff(ApiKey::OffsetCommit, 8, |answer: &mut OffsetCommitResponse| answer.topics.clear());
}

/// Its address cannot be kept: who recalls a position would wait for ever, and a commit would say no more than that it took too
/// long.
#[test]
fn a_coordinator_whose_host_is_too_long_is_told_with_the_sizes() {
    let short = config(|config| config.max_block = Duration::from_secs(3));
    let mut bench = bench(Release::V4_3, 1, short, calm());
    let topic = bench.topic();
    bench.send(0, (0..10).map(|i| vec![i; 50]));
    let length = Rc::new(Cell::new(256));
    let told = Rc::clone(&length);
    bench.network.world.borrow_mut().liar = Some(Box::new(move |request, answer| {
        if i16::from_be_bytes([request[0], request[1]]) != ApiKey::FindCoordinator as i16 {
            return answer;
        }
        let version = i16::from_be_bytes([request[2], request[3]]);
        rewrite(version, &answer, if version >= 3 { 9 } else { 8 }, |answer: &mut FindCoordinatorResponse| {
            let host = "h".repeat(told.get());
            answer.coordinators.iter_mut().for_each(|coordinator| coordinator.host = host.clone().into());
            if answer.coordinators.is_empty() {
                answer.host = host.into();
            }
        })
    }));
    bench.consumer.assign(topic, 0, Start::Committed).unwrap();
    bench.poll(100, 0);
    let outcomes = Outcomes::default();
    commit(&mut bench, Some((0, 7)), &outcomes);
    bench.advance(5 * SECOND);
    let faults = bench.faults.borrow().clone();
    let [(0, -1, ConsumeFault::NoPlace(no_place @ ConnectionError::NoPlace { .. }))] = faults[..] else {
        panic!("{faults:?}")
    };
    assert_eq!(*outcomes.borrow(), [Err(CommitError::TimedOut { connection: Some(no_place) })]);

    // An answer without a host is another failure, and may be a better one the next time.
    length.set(0);
    bench.consumer.seek(topic, 0, Start::Committed);
    bench.advance(5 * SECOND);
    assert_eq!(bench.faults.borrow().len(), 1);

    bench.network.world.borrow_mut().liar = None;
    bench.advance(5 * SECOND);
    // The commit that was given up was tried on, and is what is recalled.
    assert_eq!((&bench.faults.borrow()[1..], bench.offsets(0)), (&[][..], vec![7, 8, 9]));
    commit(&mut bench, Some((0, 7)), &outcomes);
    bench.advance(5 * SECOND);
    assert_eq!(outcomes.borrow()[1..], [Ok(())]);
}

/// What the group had kept before a commit was gone on from, if the question was under way already when somebody committed, and
/// wanted to go on from there.
#[test]
fn a_commit_goes_before_what_the_group_was_asked_for_earlier() {
    let mut bench = bench(Release::V4_3, 1, config(|config| config.offset_reset = OffsetReset::Earliest), calm());
    let topic = bench.topic();
    bench.send(0, (0..10).map(|i| vec![i; 50]));
    let outcomes = Outcomes::default();
    bench.consumer.assign(topic, 0, Start::Committed).unwrap();
    bench.advance(SECOND);
    commit(&mut bench, Some((0, 2)), &outcomes);
    bench.advance(SECOND);
    bench.consumer.seek(topic, 0, Start::Committed);
    // The question goes out at once, and the answer is on its way.
    bench.advance(700);
    commit(&mut bench, Some((0, 7)), &outcomes);
    bench.consumer.seek(topic, 0, Start::Committed);
    bench.advance(5 * SECOND);
    assert_eq!(*outcomes.borrow(), [Ok(()), Ok(())]);
    assert_eq!(committed(&bench, 0).map(|kept| kept.0), Some(7));
    assert_eq!(bench.consumer.position(topic, 0), Some(7));
}

/// A coordinator that cannot answers so for each partition, and each was counted as a failure: the first backoff was the longest.
#[test]
fn an_answer_with_an_error_for_each_partition_is_one_failure() {
    let mut bench = bench(Release::V4_3, 1, config(|config| config.offset_reset = OffsetReset::Earliest), calm());
    bench.network.world.borrow_mut().cluster.create_topic("wide", 40);
    let wide = bench.consumer.topic("wide").unwrap();
    for (start, api) in [(Start::Offset(0), Api::OffsetCommit), (Start::Committed, Api::OffsetFetch)] {
        rule(&bench, Rule::new(Action::Error(error::COORDINATOR_LOAD_IN_PROGRESS)).api(api).times(1));
        (0..40).for_each(|partition| bench.consumer.assign(wide, partition, start).unwrap());
        let outcomes = Outcomes::default();
        commit(&mut bench, None, &outcomes);
        bench.advance(SECOND / 2);
        assert_eq!(*outcomes.borrow(), [Ok(())], "{api:?}");
        let positions: Vec<_> = (0..40).map(|partition| bench.consumer.position(wide, partition)).collect();
        assert_eq!(positions, [Some(0); 40], "{api:?}");
    }
}

/// A commit is over once what it asked for is kept, whatever another task has asked for by then.
#[test]
fn a_commit_does_not_wait_for_those_of_others() {
    let mut bench = bench(Release::V4_3, 1, config(|_| ()), calm());
    bench.consumer.assign(bench.topic(), 0, Start::Beginning).unwrap();
    bench.send(0, (0..10).map(|i| vec![i; 50]));
    bench.poll(100, 0);
    bench.advance(3 * SECOND);
    let consumer = bench.consumer.clone();
    let others = bench.executor.spawn(async move {
        for _ in 0..10_000 {
            consumer.commit().await.unwrap();
        }
    });
    bench.advance(SECOND);
    let outcomes = Outcomes::default();
    commit(&mut bench, None, &outcomes);
    bench.advance(SECOND / 10);
    assert!(!bench.executor.is_done(others));
    assert_eq!(*outcomes.borrow(), [Ok(())]);
}

/// Any broker can say who the coordinator is: one that is silent is not waited for where there is another.
#[test]
fn who_is_silent_is_not_waited_for_when_the_coordinator_is_looked_for() {
    for silent in 1..=2 {
        let mut bench = bench(Release::V4_3, 3, config(|_| ()), calm());
        for partition in 0..2 {
            bench.network.world.borrow_mut().cluster.move_leader("t", partition, 1 + partition);
            bench.consumer.assign(bench.topic(), partition, Start::Beginning).unwrap();
        }
        bench.poll(100, 0);
        bench.advance(3 * SECOND);
        bench.network.world.borrow_mut().cluster.move_coordinator(GROUP, 3);
        rule(&bench, Rule::new(Action::Silence).node(silent).times(u64::MAX));
        let outcomes = Outcomes::default();
        for round in 1..3 {
            commit(&mut bench, Some((0, round)), &outcomes);
            bench.advance(4 * SECOND);
            assert_eq!(outcomes.borrow().len() as i64, round, "node {silent} is silent");
        }
        // What becomes of the question to who was silent changes nothing.
        bench.advance(60 * SECOND);
        commit(&mut bench, Some((0, 7)), &outcomes);
        bench.advance(4 * SECOND);
        assert_eq!(*outcomes.borrow(), [Ok(()); 3]);
        assert_eq!(committed(&bench, 0), Some((7, -1)));
    }
}

/// Who goes elsewhere while what the group keeps is asked for has made nothing fail: the next commit needs no backoff.
#[test]
fn a_recall_that_nobody_wants_any_more_is_no_failure() {
    let slow = config(|config| {
        (config.retry_backoff, config.retry_backoff_max) = (Duration::from_secs(10), Duration::from_secs(10));
    });
    let mut bench = bench(Release::V4_3, 1, slow, calm());
    let topic = bench.topic();
    bench.consumer.assign(topic, 1, Start::Committed).unwrap();
    bench.advance(3 * SECOND);
    rule(&bench, Rule::new(Action::Delay(500)).api(Api::OffsetFetch));
    bench.consumer.assign(topic, 0, Start::Committed).unwrap();
    bench.advance(SECOND / 4);
    bench.consumer.seek(topic, 0, Start::Offset(0));
    let outcomes = Outcomes::default();
    commit(&mut bench, Some((0, 0)), &outcomes);
    bench.advance(SECOND);
    assert_eq!(*outcomes.borrow(), [Ok(())]);
}
