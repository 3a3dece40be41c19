//! Who polls.

use super::World;
use super::acts::{act, act_at_once};
use super::plan::Plan;
use crate::executor::{Abandon, Time};
use fastrand::Rng;

/// The longest that an unruly reader holds a loan, in microseconds: longer than requests have to be answered.
const LONG: u64 = 5_000_000;

/// Reads until the consumer is closed, and until all heals does other things now and then.
pub(super) async fn read(world: World, plan: Plan, time: Time, number: u32) {
    let mut rng = Rng::with_seed(plan.seed ^ 0xbeef ^ u64::from(number) << 48);
    let mut more = Rng::with_seed(plan.seed ^ 0x3047 ^ u64::from(number) << 48);
    loop {
        let healed = world.ledger.borrow().healed;
        if !healed && rng.u32(0..1000) < plan.restless {
            act(&world, &plan, &mut rng).await;
        }
        let max = if rng.bool() { rng.u32(1..=5) } else { 1000 };
        let fetched = if !healed && rng.u32(0..10) == 0 {
            match Abandon::after(rng.u32(1..4), world.consumer.poll(max)).await {
                Some(fetched) => fetched,
                None => {
                    time.sleep(rng.u64(0..50_000)).await;
                    continue;
                }
            }
        } else {
            world.consumer.poll(max).await
        };
        let fetched = match fetched {
            Ok(None) => return,
            Ok(Some(fetched)) => fetched,
            Err(error) => {
                world.go_on_after(error);
                continue;
            }
        };
        let mut loan = world.ledger.borrow().lend();
        if !healed && rng.u32(0..10) == 0 {
            // What is lent is held for a while.
            time.sleep(rng.u64(0..300_000)).await;
        }
        let unruly = plan.unruly && !healed;
        if unruly && more.u32(0..8) == 0 {
            act(&world, &plan, &mut more).await;
            act(&world, &plan, &mut more).await;
        }
        let take = if rng.u32(0..5) == 0 { rng.usize(0..5) } else { usize::MAX };
        let mut calm_for = if unruly && more.u32(0..8) == 0 { more.usize(0..8) } else { usize::MAX };
        for record in fetched.records().take(take) {
            if calm_for == 0 {
                act_at_once(&world, &plan, &mut more);
            }
            calm_for = calm_for.wrapping_sub(1);
            let topic = world.topics.iter().position(|topic| *topic == record.topic).unwrap_or(usize::MAX);
            let value = record.value.unwrap_or(&[]);
            let place = (topic, record.partition);
            let handed = world.ledger.borrow_mut().handed_out(&mut loan, place, record.offset, value);
            world.keep(handed);
        }
        if unruly && more.u32(0..8) == 0 {
            let most = if more.u32(0..8) == 0 { LONG } else { LONG / 50 };
            time.sleep(more.u64(0..most)).await;
        }
        drop(fetched);
        world.ledger.borrow_mut().given_back(loan);
    }
}
