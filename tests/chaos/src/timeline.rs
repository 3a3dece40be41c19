//! What happened when, and how long it kept a producer waiting.

use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// A time from and to, since the start.
pub(crate) type Span = (Duration, Duration);

/// Shorter waits are those for the next batch.
const WORTH_TELLING: Duration = Duration::from_millis(200);

/// Of one run.
pub(crate) struct Timeline {
    start: Instant,
    events: Mutex<Vec<(String, Span)>>,
}

impl Timeline {
    pub(crate) fn start() -> Self {
        Timeline { start: Instant::now(), events: Mutex::default() }
    }

    pub(crate) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Prints and remembers what happens.
    pub(crate) fn during<T>(&self, what: String, act: impl FnOnce() -> T) -> (T, Span) {
        let from = self.now();
        println!("[{:6.1} s] {what}", from.as_secs_f64());
        let index = self.events().len();
        // Until it is over it explains whatever comes.
        self.events().push((what, (from, Duration::MAX)));
        let done = act();
        let span = (from, self.now());
        self.events()[index].1 = span;
        (done, span)
    }

    /// The event that the most of a wait fell into.
    pub(crate) fn explain(&self, wait: Span) -> String {
        let common = |(_, (from, to)): &&(String, Span)| length((wait.0.max(*from), wait.1.min(*to)));
        let events = self.events();
        let longest = events.iter().max_by_key(common).filter(|event| common(event) > Duration::ZERO);
        longest.map_or("nothing that we did".into(), |(what, _)| what.clone())
    }

    fn events(&self) -> MutexGuard<'_, Vec<(String, Span)>> {
        self.events.lock().expect("nobody panics with it")
    }
}

/// How long nothing was acknowledged, by one producer.
pub(crate) struct Stalls {
    acknowledged: u64,
    since: Duration,
    waits: Vec<Span>,
}

impl Stalls {
    pub(crate) fn new(now: Duration) -> Self {
        Stalls { acknowledged: 0, since: now, waits: Vec::new() }
    }

    /// To be told often: how many were acknowledged by now.
    pub(crate) fn look(&mut self, acknowledged: u64, now: Duration) {
        if acknowledged > self.acknowledged {
            self.acknowledged = acknowledged;
            if now - self.since >= WORTH_TELLING {
                self.waits.push((self.since, now));
            }
            self.since = now;
        }
    }

    /// The longest wait that touches `span`, the one that is not over included.
    pub(crate) fn longest(&self, span: Span, now: Duration) -> Span {
        let open = (self.since, now.min(span.1));
        let within = self.waits.iter().filter(|(from, to)| *from <= span.1 && *to >= span.0);
        within.copied().chain([open]).max_by_key(|wait| length(*wait)).unwrap_or(open)
    }
}

pub(crate) fn length((from, to): Span) -> Duration {
    to.saturating_sub(from)
}
