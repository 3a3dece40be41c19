//! One thread, virtual time, and tasks that are polled only when they were woken.
//!
//! Time is embassy's: this is its driver. Each thread has a time of its own, so tests may run side by side.

use embassy_time_driver::Driver;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

/// So many polls at one instant are a busy loop.
const POLLS: u32 = 100_000;

#[derive(Default)]
struct Time {
    now: u64,
    /// One entry a waker, as in embassy's own queues: the earliest time that was asked for.
    timers: Vec<(u64, Waker)>,
}

thread_local! {
    static TIME: RefCell<Time> = RefCell::default();
}

struct VirtualTime;

embassy_time_driver::time_driver_impl!(static DRIVER: VirtualTime = VirtualTime);

impl Driver for VirtualTime {
    fn now(&self) -> u64 {
        now()
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        wake_at(at, waker);
    }
}

/// Microseconds since the thread's time began.
pub fn now() -> u64 {
    TIME.with_borrow(|time| time.now)
}

/// Begins the thread's time anew.
pub fn reset() {
    TIME.set(Time::default());
}

/// Wakes a task at that time; whatever it asked for later than that is forgotten.
pub fn wake_at(at: u64, waker: &Waker) {
    TIME.with_borrow_mut(|time| match time.timers.iter_mut().find(|timer| timer.1.will_wake(waker)) {
        Some(timer) => timer.0 = timer.0.min(at),
        None => time.timers.push((at, waker.clone())),
    });
}

/// Moves time to the next timer, if there is one by `until`, and wakes whoever waits for it.
fn advance(until: u64) -> bool {
    let due = TIME.with_borrow_mut(|time| {
        let next = time.timers.iter().map(|timer| timer.0).min().filter(|&at| at <= until)?;
        time.now = time.now.max(next);
        let now = time.now;
        Some(time.timers.extract_if(.., |timer| timer.0 <= now).collect::<Vec<_>>())
    });
    let Some(due) = due else { return false };
    due.into_iter().for_each(|(_, waker)| waker.wake());
    true
}

type Queue = Arc<Mutex<VecDeque<usize>>>;

struct TaskWaker {
    task: usize,
    queue: Queue,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut queue = self.queue.lock().unwrap();
        if !queue.contains(&self.task) {
            queue.push_back(self.task);
        }
    }
}

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// Runs tasks.
#[derive(Default)]
pub struct Executor {
    tasks: Vec<(Option<Task>, Waker)>,
    queue: Queue,
    /// Polls so far.
    pub polls: u64,
}

impl Executor {
    /// Adds a task.
    pub fn spawn(&mut self, task: impl Future<Output = ()> + 'static) {
        let number = self.tasks.len() + 1;
        self.tasks.push((Some(Box::pin(task)), self.waker(number)));
        self.queue.lock().unwrap().push_back(number);
    }

    fn waker(&self, task: usize) -> Waker {
        Waker::from(Arc::new(TaskWaker { task, queue: self.queue.clone() }))
    }

    /// Runs everything until `main` ends.
    ///
    /// # Panics
    /// It does not end within `seconds`, or nothing is left to wait for, or time stands still.
    pub fn run<T>(&mut self, seconds: u64, main: impl Future<Output = T>) -> T {
        let until = now() + seconds * 1_000_000;
        let mut main = pin!(main);
        let waker = self.waker(0);
        waker.wake_by_ref();
        loop {
            for polls in 0.. {
                assert!(polls < POLLS, "a busy loop at {} us", now());
                let Some(number) = self.queue.lock().unwrap().pop_front() else { break };
                self.polls += 1;
                if number == 0 {
                    if let Poll::Ready(value) = main.as_mut().poll(&mut Context::from_waker(&waker)) {
                        return value;
                    }
                    continue;
                }
                let (Some(task), waker) = &mut self.tasks[number - 1] else { continue };
                if task.as_mut().poll(&mut Context::from_waker(waker)).is_ready() {
                    self.tasks[number - 1].0 = None;
                }
            }
            assert!(advance(until), "nothing happened any more at {} s, of {} s", now() / 1_000_000, until / 1_000_000);
        }
    }
}
