//! What the programs of `examples/boards` have in common, on a board that is none.

use demitasse_embassy_link_tests::world::{PORT, TOPIC, World};
use demitasse_embassy_link_tests::{Weather, names};
use demitasse_readings::{Place, run};
use embassy_time::{Instant, Timer};
use std::cell::RefCell;
use std::rc::Rc;

/// The numbers of the readings in the log.
fn numbers(world: &World) -> Vec<u32> {
    let number = |record: Vec<u8>| {
        let text = String::from_utf8(record).unwrap();
        let rest = text.strip_prefix("{\"number\":").unwrap();
        let (number, rest) = rest.split_once(',').unwrap();
        assert_eq!(rest, "\"centidegrees\":-273}", "{text}");
        number.parse().unwrap()
    };
    world.records().into_iter().map(number).collect()
}

/// What a status line says of `what`.
fn said(line: &str, what: &str) -> usize {
    let value = line.split(' ').find_map(|word| word.strip_prefix(what)?.strip_prefix('='));
    value.unwrap_or_else(|| panic!("no {what} in {line}")).parse().unwrap()
}

#[test]
fn readings_arrive_and_what_there_is_no_room_for_is_counted() {
    let mut world = World::new(Weather { latency: 500, ..Weather::default() }, 1);
    let lines = Rc::new(RefCell::new(Vec::new()));
    let heard = lines.clone();
    let say = move |line: std::fmt::Arguments<'_>| heard.borrow_mut().push(line.to_string());
    let place = Place { broker: (names::NAME, PORT), topic: TOPIC, device: "none" };
    world.cable.plug(false);
    world.executor.spawn(run(world.stack, 1, place, async || -273, say));

    // Without a cable it says what it waits for.
    let until = |second| Timer::at(Instant::from_secs(second));
    world.executor.run(100, until(10));
    assert!(lines.borrow().iter().any(|line| line.starts_with("waiting: ")), "{lines:?}");
    assert_eq!(numbers(&world), []);

    // Then a minute with it, longer than the buffers last without it, and time to catch up.
    world.cable.plug(true);
    world.executor.run(100, until(70));
    let before = numbers(&world);
    assert!(before.len() > 500 && before.iter().copied().eq(0..before.len() as u32), "{before:?}");
    world.cable.plug(false);
    world.executor.run(100, until(130));
    world.cable.plug(true);
    world.executor.run(200, until(230));

    // Each reading is in the log once, in order, or was refused.
    let after = numbers(&world);
    assert!(after.is_sorted_by(|a, b| a < b), "{after:?}");
    let lines = lines.borrow();
    let last = lines.last().unwrap();
    let (measured, refused) = (said(last, "measured"), said(last, "refused"));
    let arrived = after.iter().filter(|&&number| number as usize <= measured).count();
    println!("{last}");
    assert!(measured > 2000 && refused > 100, "{last}");
    assert_eq!((said(last, "failed"), said(last, "unknown")), (0, 0));
    // The numbers begin at 0, and those of the last second may not have been sent.
    assert!(arrived + refused <= measured + 1 && arrived + refused > measured - 20, "{arrived} arrived; {last}");
    assert_eq!(after.len(), after.last().map_or(0, |&last| last as usize + 1) - refused);
}
