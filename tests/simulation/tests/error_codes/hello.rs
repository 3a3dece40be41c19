//! ApiVersions and InitProducerId: what a client asks before it can send.

use crate::{Fate, SECOND, Story, codes};
use demitasse_broker::{Api, Release};
use demitasse_core::{ConnectionError, ErrorCode, Failure, Reason};

/// Those that no other answer will follow.
const NO_ID_EVER: [ErrorCode; 3] = [
    ErrorCode::CLUSTER_AUTHORIZATION_FAILED,
    ErrorCode::UNSUPPORTED_VERSION,
    ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
];

/// Records are sent by a client that begins while the API has nothing but this error, for so long.
fn begin(api: Api, code: ErrorCode, seconds: u64) -> (Story, Fate) {
    let name = format!("{api:?}, {code}, for {seconds} s");
    let mut story = Story::unbegun(name, Release::V4_3);
    let rule = story.always(api, code);
    story.run();
    let records = [0, 0, 1].map(|partition| story.send(partition));
    story.rig.advance(seconds * SECOND);
    story.remove(rule);
    story.settle();
    let [first, .., other] = records.map(|record| story.outcomes[record]);
    assert_eq!(first, other, "{}", story.name);
    (story, first)
}

#[test]
fn no_producer_id_for_a_while() {
    for code in codes() {
        let (story, fate) = begin(Api::InitProducerId, code, 1);
        let expected = match NO_ID_EVER.contains(&code) {
            true => Fate::Failed(Failure { reason: Reason::NoProducerId, code, connection: None }),
            false => Fate::Written,
        };
        assert_eq!(fate, expected, "{}", story.name);
        story.end();
    }
}

#[test]
fn no_producer_id_for_longer_than_anybody_waits() {
    for code in codes() {
        let (story, fate) = begin(Api::InitProducerId, code, 6);
        let reason = if NO_ID_EVER.contains(&code) { Reason::NoProducerId } else { Reason::Expired };
        assert!(matches!(fate, Fate::Failed(failure) if failure.reason == reason), "{}: {fate:?}", story.name);
        story.end();
    }
}

#[test]
fn no_versions_for_a_while() {
    for code in codes() {
        let (story, fate) = begin(Api::ApiVersions, code, 1);
        assert_eq!(fate, Fate::Written, "{}", story.name);
        story.end();
    }
}

#[test]
fn no_versions_for_longer_than_anybody_waits() {
    for code in codes() {
        let (story, fate) = begin(Api::ApiVersions, code, 6);
        let connection = Some(ConnectionError::UnsupportedVersion { api_key: Api::ApiVersions.key() });
        let expected = Fate::Failed(Failure { reason: Reason::Expired, code: ErrorCode::NONE, connection });
        assert_eq!(fate, expected, "{}", story.name);
        story.end();
    }
}
