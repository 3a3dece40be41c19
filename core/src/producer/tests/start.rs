//! Starting.

use super::*;

/// A second `start` put every slot into the free list once more: two batches got the same one.
#[test]
fn a_second_start_is_refused_and_changes_nothing() {
    let mut rig = Rig::new(SMALL, &config());
    let mut slots = vec![rig.send(0).slot, rig.send(1).slot];
    assert_eq!(rig.start(&config()), Err(StartError::AlreadyStarted));
    slots.push(rig.send(2).slot);
    slots.sort();
    slots.dedup();
    assert_eq!(slots.len(), 3, "a slot in use was given to another batch");
}

/// With fewer buffers than places the free ones were miscounted, and each attempt to open a batch lost a slot.
#[test]
fn start_refuses_fewer_buffers_than_places() {
    let mut rig = Rig::unstarted(SMALL);
    rig.lend(3);
    let error = StartError::Capacity(CapacityError::new("buffers that were lent", 3, 4));
    assert_eq!(rig.start(&config()), Err(error));
    // A refused start leaves nothing behind: with all of them it is as if it had never been.
    rig.lend(4);
    assert_eq!(rig.start(&config()), Ok(()));
}

/// Before the start the clock's task looked again and again; now that it sleeps, the start has to wake it.
#[test]
fn the_clock_sleeps_until_the_start_and_no_longer() {
    let mut rig = Rig::unstarted(SMALL);
    rig.lend(4);
    assert_eq!(rig.tick(), Instant::NEVER);
    rig.start(&config()).unwrap();
    assert!(rig.state.s.clock_due);
}

/// Settings may be those of a producer and of a consumer: the group's coordinator had a place in both, and a leader had none then.
#[test]
#[cfg(feature = "consumer")]
fn a_producer_keeps_no_place_for_the_coordinator_of_a_group() {
    let config = Config { group_id: crate::config::Name::new("g"), ..config() };
    let rig = Rig::new(SMALL, &config);
    assert_eq!(rig.state.cluster.used_brokers(), 1);
}

/// Capacities without batches are a consumer's: with them every record would wait for room that never comes.
#[test]
fn start_refuses_a_producer_without_batches() {
    let mut rig = Rig::unstarted(Sizes { buffers: 0, batches: 0, ..SMALL });
    let error = CapacityError::new("buffers that were lent", 0, 1);
    assert_eq!(rig.start(&config()), Err(StartError::Capacity(error)));
}
