//! Metadata: the error stands at a topic, at a partition, or since version 13 at the whole.

use crate::{Fate, SECOND, Story, codes};
use demitasse_broker::{Api, Release};
use demitasse_core::{ErrorCode, Record, SendError, Topic};
use demitasse_simulation::rewrite::rewrite;
use kafka_protocol::messages::{BrokerId, MetadataResponse};
use std::cell::Cell;
use std::rc::Rc;

/// Those that no other answer will follow, until the cluster is changed by hand.
const REFUSED: [ErrorCode; 2] = [ErrorCode::TOPIC_AUTHORIZATION_FAILED, ErrorCode::INVALID_TOPIC_EXCEPTION];

/// Where the error stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Topic,
    Whole,
    /// At every partition, which keeps its leader.
    Partition,
    /// At every partition, which has no leader: so brokers tell of an election.
    Leaderless,
}

/// A device is told in a version that has no place for an error of the whole.
const PLACES: &[Place] = if cfg!(feature = "server") {
    &[Place::Topic, Place::Whole, Place::Partition, Place::Leaderless]
} else {
    &[Place::Topic, Place::Partition, Place::Leaderless]
};

impl Place {
    fn release(self) -> Release {
        if self == Place::Topic { Release::V3_9 } else { Release::V4_3 }
    }

    /// Whether nothing of it keeps a client from sending: a partition's error says of the leader what the leader says.
    fn is_harmless(self) -> bool {
        self == Place::Partition
    }

    fn is_refusal(self, code: ErrorCode) -> bool {
        self == Place::Topic && REFUSED.contains(&code)
    }

    /// What is known cannot be used: there are no leaders, or the cluster asks to forget it (KIP-1102).
    fn stops(self, code: ErrorCode) -> bool {
        self == Place::Leaderless || self == Place::Whole && code == ErrorCode::REBOOTSTRAP_REQUIRED
    }
}

/// From now on the answers have this error.
fn begin(story: &mut Story, place: Place, code: ErrorCode) {
    if matches!(place, Place::Topic | Place::Whole) {
        story.always(Api::Metadata, code);
        return;
    }
    story.rig.network.world.borrow_mut().liar = Some(Box::new(move |request, answer| {
        let version = i16::from_be_bytes([request[2], request[3]]);
        if request[..2] != Api::Metadata.key().to_be_bytes() {
            return answer;
        }
        let header = 8 + usize::from(version >= 9);
        rewrite(version, &answer, header, |answer: &mut MetadataResponse| at_partitions(answer, place, code))
    }));
}

fn end(story: &mut Story) {
    let mut world = story.rig.network.world.borrow_mut();
    world.cluster.clear_faults();
    world.liar = None;
}

fn at_partitions(answer: &mut MetadataResponse, place: Place, code: ErrorCode) {
    for partition in answer.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
        partition.error_code = code.0;
        if place == Place::Leaderless {
            partition.leader_id = BrokerId(-1);
        }
    }
}

type Said = Rc<Cell<Option<Result<(), SendError>>>>;

/// A task that waits for the topic with its record; the record is the story's.
fn wait_for_topic(story: &mut Story, topic: Topic) -> Said {
    let said = Said::default();
    let (producer, told) = (story.rig.producer.clone(), said.clone());
    story.rig.executor.spawn(async move {
        // The number is none of those that are looked for: it may go to either partition.
        let delivery = producer.send(topic, &Record::new(&[])).await;
        told.set(Some(delivery.map(|_| ())));
    });
    said
}

/// From the start: whoever named a partition has records under way, whoever did not waits for the topic.
#[test]
fn from_the_start_for_a_while() {
    for (place, code) in PLACES.iter().flat_map(|place| codes().map(move |code| (*place, code))) {
        let mut story = Story::unbegun(format!("Metadata, {place:?}, {code}, from the start"), place.release());
        story.run();
        let record = story.send(0);
        let topic = story.rig.producer.topic("t").unwrap();
        let said = wait_for_topic(&mut story, topic);
        begin(&mut story, place, code);
        story.rig.advance(SECOND);
        if place.is_harmless() {
            assert_eq!(story.fate(record), Fate::Written, "{}", story.name);
        }
        end(&mut story);
        story.settle();
        let said = said.get();
        // Before a broker has told its versions it is asked in one that has no place for an error of the whole.
        let place = if place == Place::Whole { Place::Topic } else { place };
        if place.is_refusal(code) {
            assert_eq!(said, Some(Err(SendError::TopicRefused { code })), "{}", story.name);
            assert!(matches!(story.outcomes[record], Fate::Failed(failure) if failure.code == code), "{}", story.name);
        } else {
            assert_eq!(said, Some(Ok(())), "{}", story.name);
            assert_eq!(story.outcomes[record], Fate::Written, "{}", story.name);
        }
        story.end();
    }
}

/// In everyday life: what is known stays, and is used, but for a topic that is refused.
#[test]
fn later_for_a_while() {
    for (place, code) in PLACES.iter().flat_map(|place| codes().map(move |code| (*place, code))) {
        let mut story = Story::begun(format!("Metadata, {place:?}, {code}, later"), place.release());
        begin(&mut story, place, code);
        // Longer than metadata.max.age.ms.
        story.rig.advance(3 * SECOND);
        if place.is_refusal(code) {
            let refused = story.rig.producer.try_send(story.rig.partition(0), &Record::new(&[]));
            assert_eq!(refused.err(), Some(SendError::TopicRefused { code }), "{}", story.name);
        } else {
            let records = [story.send(0), story.send(1)];
            story.rig.advance(SECOND);
            if !place.stops(code) {
                assert_eq!(records.map(|record| story.fate(record)), [Fate::Written; 2], "{}", story.name);
            }
        }
        end(&mut story);
        story.settle();
        assert!(story.outcomes.iter().all(|fate| *fate == Fate::Written), "{}: {:?}", story.name, story.outcomes);
        story.end();
    }
}
