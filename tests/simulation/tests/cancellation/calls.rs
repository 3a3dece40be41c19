//! The futures that users wait for, in every scene.

use crate::cut::Cut;
use crate::ledger::Ledger;
use crate::trickle::{Slow, Trickle};
use crate::{SECOND, at_every_poll, close, until_done};
use demitasse_core::{Delivery, Producer, Record, Topic, WaitersFull};
use demitasse_simulation::network::millis;
use demitasse_simulation::platform::Simulated;
use demitasse_simulation::rig::{Rig, Setup};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

#[derive(Clone, Copy, Debug)]
enum Call {
    Send,
    SendSlice,
    SendEach,
    Wait,
    WaitForSlice,
    Flush,
    Close,
}

const CALLS: [Call; 7] =
    [Call::Send, Call::SendSlice, Call::SendEach, Call::Wait, Call::WaitForSlice, Call::Flush, Call::Close];

/// The state of things in which a call is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Scene {
    RoomFree,
    /// Every buffer is taken.
    RoomFull,
    /// No broker has told of the topic yet.
    TopicPending,
    /// For a while, and every buffer is taken.
    BrokerAway,
    /// For longer than anybody waits.
    BrokerGone,
    /// Every buffer is taken, and of the answer that will free some a part has come.
    AnswerUnderWay,
    /// Every buffer is taken, and of a request a part is written.
    WriteUnderWay,
}

const SCENES: [Scene; 7] = [
    Scene::RoomFree,
    Scene::RoomFull,
    Scene::TopicPending,
    Scene::BrokerAway,
    Scene::BrokerGone,
    Scene::AnswerUnderWay,
    Scene::WriteUnderWay,
];

/// So many fill a batch.
const VALUE_BYTES: usize = 300;

/// Who makes the call that is dropped, and who makes calls beside it.
const USER: usize = 0;
const BYSTANDER: usize = 1;

/// Records of one slice.
const SLICE: u32 = 3;

/// What a user has.
#[derive(Clone)]
struct User {
    producer: Rc<Producer<Simulated>>,
    topic: Topic,
    ledger: Rc<Ledger>,
    user: usize,
}

impl User {
    fn values(&self, count: u32) -> (u32, Vec<[u8; VALUE_BYTES]>) {
        let first = self.ledger.numbers(self.user, count);
        let value = |number: u32| {
            let mut value = [b'.'; VALUE_BYTES];
            value[..4].copy_from_slice(&number.to_be_bytes());
            value
        };
        (first, (first..first + count).map(value).collect())
    }

    /// Takes records at once, if there is room.
    fn offer(&self, count: u32) -> Option<Delivery> {
        let (first, values) = self.values(count);
        let records: Vec<_> = values.iter().map(|value| Record::new(value)).collect();
        // To a partition, since of the topic nothing may be known.
        self.ledger.note(first, count, Some(self.producer.try_send_slice(self.topic.partition(0), &records)))
    }

    async fn send(&self, cut: Cut) -> Option<Option<Delivery>> {
        let (first, values) = self.values(1);
        let said = cut.cut(self.producer.send(self.topic, &Record::new(&values[0]))).await;
        let ended = said.is_some();
        let delivery = self.ledger.note(first, 1, said);
        ended.then_some(delivery)
    }

    async fn send_slice(&self, cut: Cut) -> Option<bool> {
        let (first, values) = self.values(SLICE);
        let records: Vec<_> = values.iter().map(|value| Record::new(value)).collect();
        let said = cut.cut(self.producer.send_slice(self.topic, &records)).await;
        let ended = said.is_some();
        let delivery = self.ledger.note(first, SLICE, said);
        ended.then_some(delivery.is_some())
    }

    async fn send_each(&self, cut: Cut) -> Option<bool> {
        let (first, values) = self.values(SLICE);
        let records: Vec<_> = values.iter().map(|value| Record::new(value)).collect();
        let mut taken = Vec::new();
        let said = cut.cut(self.producer.send_each(self.topic, &records, |delivery| taken.push(delivery))).await;
        for number in 0..SLICE {
            self.ledger.note(first + number, 1, taken.get(number as usize).map(|&delivery| Ok(delivery)));
        }
        let all = taken.len() == SLICE as usize;
        assert!(said.is_none_or(|said| said.is_ok() == all));
        said.map(|_| all)
    }

    /// Whether the call went well; `None`: it was dropped.
    async fn make(&self, call: Call, (one, slice): (Delivery, Delivery), cut: Cut) -> Option<bool> {
        match call {
            Call::Send => self.send(cut).await.map(|delivery| delivery.is_some()),
            Call::SendSlice => self.send_slice(cut).await,
            Call::SendEach => self.send_each(cut).await,
            // Good or bad, the outcome is told.
            Call::Wait => cut.cut(self.producer.wait(one)).await.map(|_| true),
            Call::WaitForSlice => cut.cut(self.producer.wait(slice)).await.map(|_| true),
            Call::Flush => cut.cut(self.producer.flush()).await.map(|flushed| flushed.is_ok()),
            Call::Close => cut.cut(self.producer.close(Duration::from_secs(20))).await.map(|()| true),
        }
    }

    /// Makes calls of several kinds, whatever they come to.
    async fn go_about(self) {
        for _ in 0..2 {
            if let Some(Some(delivery)) = self.send(Cut::never()).await {
                let _ = self.producer.wait(delivery).await;
            }
            let _ = self.producer.flush().await;
        }
    }
}

fn setup(scene: Scene) -> Setup {
    let mut setup = Setup::default();
    // One for each of the two users: if one is lost, somebody is refused.
    setup.sizing.waiters = 2;
    setup.config.waiters_full = WaitersFull::Refuse;
    if scene == Scene::BrokerGone {
        setup.config.max_block = Duration::from_secs(1);
        setup.config.delivery_timeout = Duration::from_secs(2);
    }
    setup
}

/// Brings the scene about. What the user waits for, if it does: a record and a slice, on their way.
fn bring_about(scene: Scene, rig: &mut Rig, user: &User) -> (Delivery, Delivery) {
    if scene != Scene::TopicPending {
        rig.advance_to(SECOND);
    }
    let awaited = (user.offer(1).unwrap(), user.offer(SLICE).unwrap());
    if !matches!(scene, Scene::RoomFree | Scene::TopicPending) {
        while user.offer(1).is_some() {}
        rig.advance(match scene {
            // It comes after a millisecond, and takes a microsecond a byte.
            Scene::AnswerUnderWay => 1030,
            Scene::WriteUnderWay => 200,
            _ => 0,
        });
        assert!(user.offer(1).is_none(), "{scene:?}: there is room");
    }
    match scene {
        Scene::BrokerAway => away(rig, 3 * SECOND),
        Scene::BrokerGone => away(rig, 10 * SECOND),
        _ => {}
    }
    awaited
}

fn away(rig: &mut Rig, micros: u64) {
    let (network, time) = (rig.network.clone(), rig.executor.time.clone());
    {
        let mut world = network.world.borrow_mut();
        assert!(world.cluster.node_down(1, millis(time.now())));
        world.cut_dead();
    }
    rig.executor.spawn(async move {
        time.sleep(micros).await;
        network.world.borrow_mut().cluster.node_up(1, millis(time.now()));
    });
}

/// Whether the call ended before it was dropped.
fn tell(call: Call, scene: Scene, cut: Cut) -> bool {
    let story = format!("{call:?} in {scene:?}, {cut:?}");
    let mut rig = Rig::new(setup(scene));
    let slow = match scene {
        Scene::WriteUnderWay => Slow::Writes,
        Scene::AnswerUnderWay => Slow::Reads,
        _ => Slow::Nothing,
    };
    let driver = rig.run(&Trickle::new(&rig, slow));
    let ledger = Rc::new(Ledger::default());
    let topic = rig.producer.topic("t").unwrap();
    let user = |user| User { producer: rig.producer.clone(), topic, ledger: ledger.clone(), user };
    let (user, bystander) = (user(USER), user(BYSTANDER));
    let awaited = bring_about(scene, &mut rig, &user);

    let ended = Rc::new(Cell::new(false));
    let task = {
        let (user, ended) = (user.clone(), ended.clone());
        rig.executor.spawn(async move { ended.set(user.make(call, awaited, cut).await.is_some()) })
    };
    let beside = rig.executor.spawn(bystander.go_about());
    until_done(&mut rig, &[task, beside], &story);
    assert_eq!(rig.producer.memory().waiters.used, 0, "{story}: seats");

    if matches!(call, Call::Close) && cut.after_a_poll() {
        until_done(&mut rig, &driver, &story); // It closes although nobody waits for it.
    }
    rig.advance(12 * SECOND); // By then whoever was away is back.
    let again = Rc::new(Cell::new(None));
    let task = {
        let again = again.clone();
        rig.executor.spawn(async move { again.set(user.make(call, awaited, Cut::never()).await) })
    };
    until_done(&mut rig, &[task], &story);
    assert_eq!(again.get(), Some(true), "{story}: the same call again");
    close(&mut rig, &driver, &story);
    ledger.audit(&rig, &story);
    ended.get()
}

#[test]
fn calls_dropped_at_every_poll() {
    for call in CALLS {
        let dropped = SCENES.map(|scene| at_every_poll(|cut| tell(call, scene, cut)));
        println!("{call:?} dropped at so many polls: {:?}", SCENES.iter().zip(dropped).collect::<Vec<_>>());
        assert!(dropped.iter().all(|&polls| polls > 0), "{call:?}");
        assert!(dropped.iter().any(|&polls| polls > 1), "{call:?} never waits");
    }
}
