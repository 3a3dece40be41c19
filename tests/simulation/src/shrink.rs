//! The smallest plan that still fails in the same way: what is left of it is what the failure needs.

use crate::plan::Plan;
use std::mem::take;

/// Makes a plan that fails smaller, step by step, as long as it fails in the same way; `fails` tells how. The same plan
/// always ends as the same plan.
pub fn shrink(plan: Plan, fails: impl Fn(&Plan) -> Option<String>) -> Plan {
    let Some(failure) = fails(&plan) else { return plan };
    let way = way(&failure);
    let still_fails = |plan: &Plan| fails(plan).is_some_and(|failure| self::way(&failure) == way);
    let mut plan = plan;
    loop {
        let found = smaller(&plan).find(&still_fails);
        match found {
            Some(smaller) => plan = smaller,
            None => return plan,
        }
    }
}

/// How something failed: the words, without numbers and whatever stands in brackets.
pub fn way(failure: &str) -> String {
    let mut depth = 0_u32;
    let outside = |letter: &char| {
        match letter {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && !letter.is_ascii_digit()
    };
    failure.chars().filter(outside).collect()
}

/// How much happens in a plan, in one line.
pub fn size(plan: &Plan) -> String {
    let calls: u32 = plan.users.iter().map(|user| user.calls).sum();
    let simpler = TROUBLES.iter().filter(|&less| less(&mut plan.clone())).count();
    let (events, users) = (plan.events.len(), plan.users.len());
    format!("{events} events, {users} users, {calls} calls, {simpler} kinds of trouble")
}

/// Plans with a little less in them, those with much less first.
fn smaller(plan: &Plan) -> impl Iterator<Item = Plan> {
    fewer_events(plan).chain(fewer_users(plan)).chain(fewer_calls(plan)).chain(less_trouble(plan))
}

fn fewer_events(plan: &Plan) -> impl Iterator<Item = Plan> {
    let count = plan.events.len();
    let sizes = std::iter::successors(Some(count), |size| Some(size / 2)).take_while(|size| *size > 0);
    let pieces = sizes.flat_map(move |size| (0..count).step_by(size).map(move |first| (first, size)));
    pieces.map(move |(first, size)| {
        let mut plan = plan.clone();
        plan.events.drain(first..(first + size).min(count));
        plan
    })
}

fn fewer_users(plan: &Plan) -> impl Iterator<Item = Plan> {
    let several = plan.users.len() > 1;
    (0..plan.users.len()).filter(move |_| several).map(|user| {
        let mut plan = plan.clone();
        plan.users.remove(user);
        plan
    })
}

fn fewer_calls(plan: &Plan) -> impl Iterator<Item = Plan> {
    (0..plan.users.len()).flat_map(move |user| {
        let calls = plan.users[user].calls;
        let fewer = [1, calls / 2, calls.saturating_sub(1)].into_iter().filter(move |fewer| (1..calls).contains(fewer));
        fewer.map(move |fewer| {
            let mut plan = plan.clone();
            plan.users[user].calls = fewer;
            plan
        })
    })
}

fn less_trouble(plan: &Plan) -> impl Iterator<Item = Plan> {
    TROUBLES.iter().filter_map(|less| {
        let mut plan = plan.clone();
        less(&mut plan).then_some(plan)
    })
}

/// Takes one kind of trouble out of a plan; false if it is not in it.
type Less = fn(&mut Plan) -> bool;

const TROUBLES: &[Less] = &[
    |plan| taken(&mut plan.faults.error),
    |plan| taken(&mut plan.faults.drop_before),
    |plan| taken(&mut plan.faults.apply_then_drop),
    |plan| taken(&mut plan.faults.apply_then_error),
    |plan| taken(&mut plan.faults.delay),
    |plan| taken(&mut plan.faults.silence),
    |plan| taken(&mut plan.faults.apply_then_silence),
    |plan| taken(&mut plan.faults.garbage),
    |plan| taken(&mut plan.faults.wrong_correlation),
    |plan| taken(&mut plan.faults.cut),
    |plan| taken(&mut plan.weather.cut),
    |plan| taken(&mut plan.weather.stall),
    |plan| taken(&mut plan.weather.refuse),
    |plan| taken(&mut plan.weather.piece),
    |plan| taken(&mut plan.weather.jitter),
    |plan| taken(&mut plan.weather.latency),
    |plan| taken(&mut plan.options.latency_ms),
    |plan| taken(&mut plan.config.linger),
    |plan| taken(&mut plan.first_epoch),
    |plan| taken(&mut plan.second_act),
    |plan| any(plan.users.iter_mut().map(|user| taken(&mut user.abandons))),
    |plan| any(plan.users.iter_mut().map(|user| taken(&mut user.pause))),
    |plan| any(plan.users.iter_mut().map(|user| taken(&mut user.timestamps))),
    |plan| plan.topics.len() > 1 && plan.topics.pop().is_some(),
];

fn taken<T: Default + PartialEq>(value: &mut T) -> bool {
    take(value) != T::default()
}

/// Whether one of them is; all are looked at.
fn any(changes: impl Iterator<Item = bool>) -> bool {
    changes.fold(false, |any, one| any | one)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Event;

    #[test]
    fn what_is_left_is_what_the_failure_needs() {
        let seed = |plan: &Plan| plan.events.len() > 5 && plan.users.len() > 2 && plan.faults.cut > 0;
        let plan = (0..).map(Plan::draw).find(seed).unwrap();
        let last = plan.events.last().unwrap().0;
        let needs = |plan: &Plan| {
            let late = plan.events.iter().any(|(at, _)| *at == last);
            (late && plan.faults.cut > 0 && plan.users.iter().any(|user| user.calls >= 3))
                .then(|| format!("user {} is hurt", plan.users.len()))
        };
        let least = shrink(plan.clone(), needs);
        assert_eq!(size(&least), "1 events, 1 users, 3 calls, 1 kinds of trouble");
        assert_eq!(format!("{least:?}"), format!("{:?}", shrink(plan, needs)));
    }

    #[test]
    fn another_failure_does_not_count() {
        let mut plan = Plan::draw(0);
        plan.events = vec![(1, Event::DropClockTask), (2, Event::Throttle(3))];
        let least = shrink(plan, |plan| Some(if plan.events.is_empty() { "calm" } else { "hurt" }.to_owned()));
        assert_eq!(least.events.len(), 1);
        assert_eq!(
            way("user 3 Entry { first: 1 (2) }: record 17 twice [1, 2]"),
            way("user 0 Entry {}: record 2 twice []")
        );
    }
}
