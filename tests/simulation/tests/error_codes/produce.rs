//! Produce: the error stands at a partition, and says what became of its batch.

use crate::{Fate, SECOND, Story, codes};
use demitasse_broker::{Action, Api, Release, Rule};
use demitasse_core::{ErrorCode, Failure, Reason};

/// What a code says of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Meaning {
    /// It was not written this time: it is sent again.
    Again,
    /// Perhaps it was written: it is sent again, and the broker knows.
    Unclear,
    /// Something before it is missing, or the broker does not know the producer: it is numbered anew and sent again.
    Renumbered,
    /// It was not written and never will be.
    Refused,
    /// It was written before.
    Duplicate,
    /// It makes no sense to send it again, and whether it was written is not known. All codes that no broker answers
    /// to Produce, too.
    Lost,
}

fn meaning(code: ErrorCode) -> Meaning {
    use ErrorCode as E;
    match code {
        E::CORRUPT_MESSAGE
        | E::NOT_ENOUGH_REPLICAS
        | E::FENCED_LEADER_EPOCH
        | E::UNKNOWN_LEADER_EPOCH
        | E::UNKNOWN_TOPIC_ID
        | E::REPLICA_NOT_AVAILABLE
        | E::THROTTLING_QUOTA_EXCEEDED
        | E::COORDINATOR_LOAD_IN_PROGRESS
        | E::COORDINATOR_NOT_AVAILABLE
        | E::NOT_COORDINATOR
        | E::CONCURRENT_TRANSACTIONS => Meaning::Again,
        E::UNKNOWN_SERVER_ERROR
        | E::UNKNOWN_TOPIC_OR_PARTITION
        | E::LEADER_NOT_AVAILABLE
        | E::NOT_LEADER_OR_FOLLOWER
        | E::REQUEST_TIMED_OUT
        | E::NETWORK_EXCEPTION
        | E::NOT_ENOUGH_REPLICAS_AFTER_APPEND
        | E::KAFKA_STORAGE_ERROR => Meaning::Unclear,
        E::OUT_OF_ORDER_SEQUENCE_NUMBER | E::INVALID_PRODUCER_EPOCH | E::UNKNOWN_PRODUCER_ID => Meaning::Renumbered,
        E::DUPLICATE_SEQUENCE_NUMBER => Meaning::Duplicate,
        E::MESSAGE_TOO_LARGE
        | E::INVALID_TOPIC_EXCEPTION
        | E::RECORD_LIST_TOO_LARGE
        | E::INVALID_REQUIRED_ACKS
        | E::TOPIC_AUTHORIZATION_FAILED
        | E::CLUSTER_AUTHORIZATION_FAILED
        | E::INVALID_TIMESTAMP
        | E::UNSUPPORTED_VERSION
        | E::INVALID_REQUEST
        | E::UNSUPPORTED_FOR_MESSAGE_FORMAT
        | E::POLICY_VIOLATION
        | E::UNSUPPORTED_COMPRESSION_TYPE
        | E::INVALID_RECORD => Meaning::Refused,
        _ => Meaning::Lost,
    }
}

const RELEASES: [Release; 2] = [Release::V2_8, Release::V4_3];

/// The three records that met the error, and one of the other partition, have their outcomes.
fn tell(name: String, release: Release, action: Action, times: u64) -> (Story, [Fate; 3]) {
    let mut story = Story::begun(format!("Produce, {release:?}, {name}"), release);
    let rule = story.rule(Rule::new(action).api(Api::Produce).partition("t", 0).times(times));
    let met = [0; 3].map(|partition| story.send(partition));
    let beside = story.send(1);
    story.settle();
    assert_eq!(story.outcomes[beside], Fate::Written, "{}: the other partition", story.name);
    story.remove(rule);
    let fates = met.map(|record| story.outcomes[record]);
    (story, fates)
}

fn rejected(code: ErrorCode) -> Failure {
    Failure { reason: Reason::Rejected, code, connection: None }
}

#[test]
fn an_error_that_passes() {
    for (release, code, times) in RELEASES.into_iter().flat_map(|r| codes().flat_map(move |c| [(r, c, 1), (r, c, 3)])) {
        let meaning = meaning(code);
        if meaning == Meaning::Duplicate {
            continue; // Of a batch that was not written no honest broker says so.
        }
        let (story, fates) = tell(format!("{code}, {times} times"), release, Action::Error(code.0), times);
        let expected = match meaning {
            Meaning::Refused => Fate::Failed(rejected(code)),
            Meaning::Lost => Fate::Unknown(rejected(code)),
            _ => Fate::Written,
        };
        assert_eq!(fates[0], expected, "{}: {meaning:?}", story.name);
        if times == 1 {
            assert_eq!(fates[1..], [Fate::Written; 2], "{}: those behind it", story.name);
        }
        story.end();
    }
}

/// The broker has written the batch, and answers with an error all the same: that never makes it two.
#[test]
fn an_error_after_the_batch_was_written() {
    for (release, code) in RELEASES.into_iter().flat_map(|release| codes().map(move |code| (release, code))) {
        let expected = match meaning(code) {
            Meaning::Unclear | Meaning::Duplicate => Fate::Written,
            Meaning::Lost => Fate::Unknown(rejected(code)),
            // That would be a lie.
            Meaning::Again | Meaning::Refused | Meaning::Renumbered => continue,
        };
        let (story, fates) = tell(format!("{code}, written"), release, Action::ApplyThenError(code.0), 1);
        assert_eq!(fates, [expected, Fate::Written, Fate::Written], "{}", story.name);
        assert!(story.log(0).contains(&2), "{}", story.name);
        story.end();
    }
}

#[test]
fn an_error_that_stays() {
    for (release, code) in RELEASES.into_iter().flat_map(|release| codes().map(move |code| (release, code))) {
        let meaning = meaning(code);
        if meaning == Meaning::Duplicate {
            continue;
        }
        let (mut story, fates) = tell(format!("{code}, always"), release, Action::Error(code.0), u64::MAX);
        let expired = Failure { reason: Reason::Expired, code, connection: None };
        let expected = match meaning {
            Meaning::Refused => Fate::Failed(rejected(code)),
            Meaning::Lost => Fate::Unknown(rejected(code)),
            Meaning::Unclear => Fate::Unknown(expired),
            _ => Fate::Failed(expired),
        };
        assert_eq!(fates[0], expected, "{}: {meaning:?}", story.name);
        assert!(!fates.contains(&Fate::Written), "{}: {fates:?}", story.name);
        story.rig.advance(SECOND);
        story.end();
    }
}
