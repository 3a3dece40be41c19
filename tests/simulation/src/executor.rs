//! One thread, virtual time, and tasks that are polled only when they were woken.

use std::cell::{Cell, RefCell};
use std::collections::{BinaryHeap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

type Task = Pin<Box<dyn Future<Output = ()>>>;
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

struct Timer {
    at: u64,
    order: u64,
    waker: Waker,
}

impl PartialEq for Timer {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}
impl Eq for Timer {}
impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Timer {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

#[derive(Default)]
struct Shared {
    now: Cell<u64>,
    timers: RefCell<BinaryHeap<Timer>>,
    orders: Cell<u64>,
    polls: Cell<u64>,
}

/// The time of a run, and sleep. Cheap to clone.
#[derive(Clone, Default)]
pub struct Time(Rc<Shared>);

impl Time {
    /// Microseconds since the run began.
    pub fn now(&self) -> u64 {
        self.0.now.get()
    }

    /// Waits until then; never ready for `u64::MAX`.
    pub fn sleep_until(&self, at: u64) -> Sleep {
        Sleep { time: self.clone(), at, registered: false }
    }

    /// Waits so many microseconds.
    pub fn sleep(&self, micros: u64) -> Sleep {
        self.sleep_until(self.now().saturating_add(micros))
    }

    fn wake_at(&self, at: u64, waker: Waker) {
        let order = self.0.orders.get();
        self.0.orders.set(order + 1);
        self.0.timers.borrow_mut().push(Timer { at, order, waker });
    }
}

/// See [`Time::sleep_until`].
pub struct Sleep {
    time: Time,
    at: u64,
    registered: bool,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.time.now() >= self.at {
            return Poll::Ready(());
        }
        if !self.registered && self.at != u64::MAX {
            self.time.wake_at(self.at, cx.waker().clone());
            self.registered = true;
        }
        Poll::Pending
    }
}

/// More polls at one instant than any honest run needs.
const POLLS_AN_INSTANT: u64 = 20_000;

/// Runs tasks. Dropping it drops them.
pub struct Executor {
    /// Its time.
    pub time: Time,
    tasks: Vec<(Option<Task>, Waker)>,
    queue: Queue,
    check: Option<Check>,
}

/// What must be true after every poll.
type Check = Box<dyn Fn() -> Result<(), &'static str>>;

impl Executor {
    /// An executor at time zero.
    pub fn new() -> Self {
        Executor { time: Time::default(), tasks: Vec::new(), queue: Queue::default(), check: None }
    }

    /// Adds a task; its number.
    pub fn spawn(&mut self, task: impl Future<Output = ()> + 'static) -> usize {
        let number = self.tasks.len();
        let waker = Waker::from(Arc::new(TaskWaker { task: number, queue: self.queue.clone() }));
        self.tasks.push((Some(Box::pin(task)), waker));
        self.queue.lock().unwrap().push_back(number);
        number
    }

    /// After every poll `check` must find nothing.
    pub fn check_with(&mut self, check: impl Fn() -> Result<(), &'static str> + 'static) {
        self.check = Some(Box::new(check));
    }

    /// Drops a task, wherever it waits.
    pub fn abort(&mut self, task: usize) {
        self.tasks[task].0 = None;
    }

    /// Whether a task has ended.
    pub fn is_done(&self, task: usize) -> bool {
        self.tasks[task].0.is_none()
    }

    /// Polls so far.
    pub fn polls(&self) -> u64 {
        self.time.0.polls.get()
    }

    /// Runs what can run, then moves time to the next timer, until `until` at most. False: nothing was left to wait for.
    ///
    /// # Errors
    /// More than `polls` polls without time going on: a busy loop. Or what the check found.
    pub fn step(&mut self, until: u64, polls: u64) -> Result<bool, String> {
        let mut left = polls;
        let mut last = VecDeque::new();
        loop {
            let next = self.queue.lock().unwrap().pop_front();
            let Some(number) = next else { break };
            if left < 8 {
                last.push_back(number);
            }
            left = left
                .checked_sub(1)
                .ok_or_else(|| format!("a busy loop of the tasks {last:?} at {}", self.time.now()))?;
            let (Some(task), waker) = &mut self.tasks[number] else { continue };
            self.time.0.polls.set(self.time.0.polls.get() + 1);
            if task.as_mut().poll(&mut Context::from_waker(waker)).is_ready() {
                self.tasks[number].0 = None;
            }
            if let Some(check) = &self.check {
                check().map_err(|what| format!("at {} us: {what}", self.time.now()))?;
            }
        }
        let mut timers = self.time.0.timers.borrow_mut();
        match timers.peek().map(|timer| timer.at) {
            Some(at) if at <= until => {
                self.time.0.now.set(at.max(self.time.now()));
                while let Some(timer) = timers.peek() {
                    if timer.at > at {
                        break;
                    }
                    timers.pop().unwrap().waker.wake();
                }
                Ok(true)
            }
            Some(_) => {
                self.time.0.now.set(until);
                Ok(false)
            }
            None => Ok(false),
        }
    }

    /// Lets everything happen that does until then.
    ///
    /// # Errors
    /// A busy loop, or what the check found.
    pub fn advance(&mut self, until: u64) -> Result<(), String> {
        while self.time.now() < until {
            if !self.step(until, POLLS_AN_INSTANT)? && self.time.now() < until {
                // Nothing is left to happen by itself before then.
                break;
            }
        }
        Ok(())
    }

    /// Lets everything happen until it is `done`.
    ///
    /// # Errors
    /// It is not by then. A busy loop, or what the check found.
    pub fn until(&mut self, at: u64, done: impl Fn(&Executor) -> bool) -> Result<(), String> {
        loop {
            let more = self.step(at, POLLS_AN_INSTANT)?;
            if done(self) {
                return Ok(());
            }
            if !more {
                return Err(format!("not done by {at} us, and nothing is left to happen"));
            }
        }
    }
}

impl Default for Executor {
    fn default() -> Self {
        Self::new()
    }
}

/// A future that is dropped after so many polls, wherever it waits then.
pub struct Abandon<F> {
    future: Option<Pin<Box<F>>>,
    polls: u32,
}

impl<F: Future> Abandon<F> {
    /// Lets `future` be polled `polls` times at most.
    pub fn after(polls: u32, future: F) -> Self {
        Abandon { future: Some(Box::pin(future)), polls }
    }
}

impl<F: Future> Future for Abandon<F> {
    /// `None`: it was dropped.
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.polls == 0 {
            self.future = None;
        }
        self.polls = self.polls.saturating_sub(1);
        let last = self.polls == 0;
        match &mut self.future {
            None => Poll::Ready(None),
            Some(future) => match future.as_mut().poll(cx) {
                Poll::Ready(output) => Poll::Ready(Some(output)),
                Poll::Pending if last => {
                    self.future = None;
                    Poll::Ready(None)
                }
                Poll::Pending => Poll::Pending,
            },
        }
    }
}
