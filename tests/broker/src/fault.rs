//! Faults: what is done to a request besides serving it, by script or drawn from a seed.

use crate::error;
use crate::options::Api;
use crate::random::Random;

/// What happens to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Not applied, answered with this error: on every partition or topic, or on the one that the rule names (then the
    /// others are served).
    Error(i16),
    /// Not applied, the connection closes without an answer.
    DropBefore,
    /// Applied, the answer is lost and the connection closes.
    ApplyThenDrop,
    /// Applied, and answered with this error all the same.
    ApplyThenError(i16),
    /// Applied, and the answer leaves that many milliseconds later.
    Delay(u64),
    /// Not applied and never answered. The connection stays open, and nothing sent on it later is looked at: Kafka
    /// works on one request of a connection at a time.
    Silence,
    /// Applied, then as [`Action::Silence`].
    ApplyThenSilence,
    /// Applied, and these bytes are sent instead of the answer, as they are: a length prefix is theirs to have.
    Garbage(Vec<u8>),
    /// Applied, and the answer carries another correlation id.
    WrongCorrelation,
    /// Applied, but only that many bytes of the answer are sent, length prefix included; then the connection closes.
    CutAfter(usize),
}

/// Which requests meet an action. A rule counts the requests that match it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    api: Option<Api>,
    node: Option<i32>,
    partition: Option<(String, i32)>,
    after: u64,
    times: u64,
    action: Action,
}

impl Rule {
    /// A rule for the next request of any API at any node, once.
    pub fn new(action: Action) -> Rule {
        Rule { api: None, node: None, partition: None, after: 0, times: 1, action }
    }

    /// Only requests of this API.
    pub fn api(mut self, api: Api) -> Rule {
        self.api = Some(api);
        self
    }

    /// Only requests to this node.
    pub fn node(mut self, node: i32) -> Rule {
        self.node = Some(node);
        self
    }

    /// Errors only on this partition of a request that names partitions. Which requests match is not changed.
    pub fn partition(mut self, topic: &str, partition: i32) -> Rule {
        self.partition = Some((topic.to_owned(), partition));
        self
    }

    /// Lets that many matching requests pass first.
    pub fn after(mut self, matches: u64) -> Rule {
        self.after = matches;
        self
    }

    /// Acts on that many matching requests; `u64::MAX` is for ever.
    pub fn times(mut self, matches: u64) -> Rule {
        self.times = matches;
        self
    }
}

/// Handle of a rule, to remove it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(pub(crate) u64);

/// How often each fault is drawn, in requests of 10,000. They exclude each other; together at most 10,000.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Probabilities {
    /// [`Action::Error`] with a code that a broker answers before it appends.
    pub error: u32,
    /// [`Action::DropBefore`].
    pub drop_before: u32,
    /// [`Action::ApplyThenDrop`].
    pub apply_then_drop: u32,
    /// [`Action::ApplyThenError`] with a code that a broker answers after it has appended.
    pub apply_then_error: u32,
    /// [`Action::Delay`] of up to `delay_ms`.
    pub delay: u32,
    /// [`Action::Silence`].
    pub silence: u32,
    /// [`Action::ApplyThenSilence`].
    pub apply_then_silence: u32,
    /// [`Action::Garbage`] of up to 64 bytes.
    pub garbage: u32,
    /// [`Action::WrongCorrelation`].
    pub wrong_correlation: u32,
    /// [`Action::CutAfter`] up to 64 bytes.
    pub cut: u32,
    /// The longest drawn delay.
    pub delay_ms: u64,
}

/// Faults drawn for each request.
#[derive(Debug, Clone)]
pub struct Faults {
    random: Random,
    probabilities: Probabilities,
}

impl Faults {
    /// Faults drawn from a seed: the same seed and the same requests meet the same faults.
    pub fn seeded(seed: u64, probabilities: Probabilities) -> Faults {
        Faults { random: Random::new(seed), probabilities }
    }

    fn draw(&mut self, api: Api) -> Option<Action> {
        let random = &mut self.random;
        let of = &self.probabilities;
        let mut left = random.below(10_000);
        let mut chosen = |share: u32| {
            let hit = left < u64::from(share);
            // A hit ends the draw, so what it leaves does not matter.
            left = left.saturating_sub(u64::from(share));
            hit
        };
        if chosen(of.error) {
            // An API without a retriable error of its own is dropped instead.
            let code = random.pick(errors_before(api));
            return Some(code.map_or(Action::DropBefore, Action::Error));
        }
        if chosen(of.drop_before) {
            return Some(Action::DropBefore);
        }
        if chosen(of.apply_then_drop) {
            return Some(Action::ApplyThenDrop);
        }
        if chosen(of.apply_then_error) {
            let code = random.pick(errors_after(api));
            return Some(code.map_or(Action::ApplyThenDrop, Action::ApplyThenError));
        }
        if chosen(of.delay) {
            return Some(Action::Delay(random.below(of.delay_ms.saturating_add(1))));
        }
        if chosen(of.silence) {
            return Some(Action::Silence);
        }
        if chosen(of.apply_then_silence) {
            return Some(Action::ApplyThenSilence);
        }
        if chosen(of.garbage) {
            let length = 1 + random.below(64);
            return Some(Action::Garbage((0..length).map(|_| random.next() as u8).collect()));
        }
        if chosen(of.wrong_correlation) {
            return Some(Action::WrongCorrelation);
        }
        chosen(of.cut).then(|| Action::CutAfter(random.below(65) as usize))
    }
}

/// Retriable errors that say that nothing was appended.
fn errors_before(api: Api) -> &'static [i16] {
    match api {
        Api::Produce => &[
            error::UNKNOWN_TOPIC_OR_PARTITION,
            error::LEADER_NOT_AVAILABLE,
            error::NOT_LEADER_OR_FOLLOWER,
            error::NOT_ENOUGH_REPLICAS,
            error::KAFKA_STORAGE_ERROR,
        ],
        Api::Metadata => &[error::UNKNOWN_TOPIC_OR_PARTITION, error::LEADER_NOT_AVAILABLE],
        Api::InitProducerId => {
            &[error::COORDINATOR_LOAD_IN_PROGRESS, error::COORDINATOR_NOT_AVAILABLE, error::NOT_COORDINATOR]
        }
        Api::Fetch | Api::ListOffsets => {
            &[error::UNKNOWN_TOPIC_OR_PARTITION, error::NOT_LEADER_OR_FOLLOWER, error::KAFKA_STORAGE_ERROR]
        }
        Api::OffsetCommit | Api::OffsetFetch => {
            &[error::NOT_COORDINATOR, error::COORDINATOR_LOAD_IN_PROGRESS, error::COORDINATOR_NOT_AVAILABLE]
        }
        Api::FindCoordinator => &[error::COORDINATOR_NOT_AVAILABLE],
        Api::OffsetForLeaderEpoch => &[error::NOT_LEADER_OR_FOLLOWER, error::UNKNOWN_LEADER_EPOCH],
        Api::CreateTopics => &[error::REQUEST_TIMED_OUT],
        Api::ApiVersions => &[],
    }
}

/// Retriable errors that a broker answers although it did what was asked.
fn errors_after(api: Api) -> &'static [i16] {
    match api {
        Api::Produce => {
            &[error::REQUEST_TIMED_OUT, error::NOT_ENOUGH_REPLICAS_AFTER_APPEND, error::NOT_LEADER_OR_FOLLOWER]
        }
        _ => errors_before(api),
    }
}

/// The rules and the seeded faults of a cluster.
#[derive(Debug, Clone, Default)]
pub(crate) struct FaultPlan {
    rules: Vec<(RuleId, Rule)>,
    seeded: Option<Faults>,
    next_rule: u64,
}

/// The action for a request, and the partition that its error is for.
#[derive(Debug, Clone)]
pub(crate) struct Chosen {
    pub(crate) action: Action,
    pub(crate) partition: Option<(String, i32)>,
}

impl FaultPlan {
    pub(crate) fn add(&mut self, rule: Rule) -> RuleId {
        let id = RuleId(self.next_rule);
        self.next_rule += 1;
        self.rules.push((id, rule));
        id
    }

    pub(crate) fn remove(&mut self, id: RuleId) {
        self.rules.retain(|(known, _)| *known != id);
    }

    pub(crate) fn clear(&mut self) {
        self.rules.clear();
        self.seeded = None;
    }

    pub(crate) fn set_seeded(&mut self, faults: Option<Faults>) {
        self.seeded = faults;
    }

    /// Every rule that matches counts the request; the first that is due acts. The seed is asked if none is.
    pub(crate) fn choose(&mut self, api: Api, node: i32) -> Option<Chosen> {
        let mut chosen = None;
        for (_, rule) in &mut self.rules {
            if rule.api.is_some_and(|wanted| wanted != api) || rule.node.is_some_and(|wanted| wanted != node) {
                continue;
            }
            if rule.after > 0 {
                rule.after -= 1;
            } else if chosen.is_none() && rule.times > 0 {
                if rule.times != u64::MAX {
                    rule.times -= 1;
                }
                chosen = Some(Chosen { action: rule.action.clone(), partition: rule.partition.clone() });
            }
        }
        self.rules.retain(|(_, rule)| rule.times > 0);
        if chosen.is_some() {
            return chosen;
        }
        let action = self.seeded.as_mut()?.draw(api)?;
        Some(Chosen { action, partition: None })
    }
}

/// An error that is forced on the answer, for the handlers.
#[derive(Debug, Clone)]
pub(crate) struct Forced {
    pub(crate) code: i16,
    /// Whether the request is applied all the same.
    pub(crate) applied: bool,
    pub(crate) partition: Option<(String, i32)>,
}

impl Forced {
    /// Whether the error is meant for this partition.
    pub(crate) fn concerns(&self, topic: &str, partition: i32) -> bool {
        (self.partition.as_ref()).is_none_or(|(wanted, index)| wanted == topic && *index == partition)
    }
}
