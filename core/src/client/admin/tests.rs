//! Against brokers that answer by script, a few bytes at a time.

extern crate std;

use super::*;
use crate::client::GatherWrite;
use core::cell::{Cell, RefCell};
use core::convert::Infallible;
use core::task::{Context, Waker};
use embedded_io_async::ErrorType;
use std::collections::VecDeque;
use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, vec};

/// A network on which each connection gets the next script: answers in order, then the end of the stream.
#[derive(Default)]
struct Network {
    scripts: RefCell<VecDeque<Vec<Vec<u8>>>>,
    connected: RefCell<Vec<String>>,
    requests: RefCell<Vec<Vec<u8>>>,
    silent: Cell<bool>,
    /// A host to which no connection ever comes about, and one that never answers; whether somebody waits for one of them.
    cut_off: Cell<&'static str>,
    hung: Cell<&'static str>,
    waits: Cell<bool>,
    now: Cell<u64>,
}

struct Wire<'n>(&'n Network, VecDeque<Vec<u8>>);
struct Half<'s, 'n>(&'s RefCell<Wire<'n>>);
struct Connection<'n>(RefCell<Wire<'n>>);

impl Clock for Network {
    fn now(&self) -> Instant {
        Instant::from_micros(self.now.get())
    }

    fn wall_millis(&self) -> Option<i64> {
        None
    }
}

impl<'n> Io for &'n Network {
    type Stream = Connection<'n>;

    async fn connect(&self, host: &[u8], port: u16) -> Result<Connection<'n>, ConnectionError> {
        self.connected.borrow_mut().push(format!("{}:{port}", str::from_utf8(host).unwrap()));
        self.waits.set([self.cut_off.get(), self.hung.get()].map(str::as_bytes).contains(&host));
        if host == self.cut_off.get().as_bytes() {
            core::future::pending::<()>().await;
        }
        let script = self.scripts.borrow_mut().pop_front().ok_or(ConnectionError::Refused)?;
        Ok(Connection(RefCell::new(Wire(self, script.into()))))
    }

    async fn sleep_until(&self, at: Instant) {
        // Time passes only for those who wait on purpose, and for all if nobody answers.
        if at.micros_since(self.now()) <= 1_000_000 || self.silent.get() || self.waits.get() {
            self.now.set(at.as_micros());
        } else {
            core::future::pending().await
        }
    }
}

impl<'n> Stream for Connection<'n> {
    type Reader<'a>
        = Half<'a, 'n>
    where
        Self: 'a;
    type Writer<'a>
        = Half<'a, 'n>
    where
        Self: 'a;

    fn split(&mut self) -> (Half<'_, 'n>, Half<'_, 'n>) {
        (Half(&self.0), Half(&self.0))
    }
}

impl ErrorType for Half<'_, '_> {
    type Error = Infallible;
}

impl Read for Half<'_, '_> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        let network = self.0.borrow().0;
        if network.silent.get() || network.waits.get() {
            core::future::pending::<()>().await;
        }
        let mut wire = self.0.borrow_mut();
        let Some(front) = wire.1.front_mut() else { return Ok(0) };
        let count = front.len().min(buffer.len()).min(3);
        buffer[..count].copy_from_slice(&front[..count]);
        front.drain(..count);
        if front.is_empty() {
            wire.1.pop_front();
        }
        Ok(count)
    }
}

impl Write for Half<'_, '_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        self.0.borrow().0.requests.borrow_mut().push(bytes.to_vec());
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl GatherWrite for Half<'_, '_> {}

/// Nothing in here wakes anybody: whatever is pending twice is pending for ever.
fn run<T>(future: impl Future<Output = T>) -> T {
    let (mut future, mut cx) = (pin!(future), Context::from_waker(Waker::noop()));
    for _ in 0..1000 {
        if let Poll::Ready(value) = future.as_mut().poll(&mut cx) {
            return value;
        }
    }
    panic!("it hangs");
}

fn frame(correlation_id: i32, body: &[u8]) -> Vec<u8> {
    let mut bytes = (body.len() as i32 + 4).to_be_bytes().to_vec();
    bytes.extend(correlation_id.to_be_bytes());
    bytes.extend(body);
    bytes
}

/// ApiVersions 0: Metadata up to 7, CreateTopics up to 2.
fn versions(correlation_id: i32) -> Vec<u8> {
    frame(correlation_id, &[0, 0, 0, 0, 0, 2, 0, 3, 0, 0, 0, 7, 0, 19, 0, 0, 0, 2])
}

/// What a broker from before KIP-511 says to ApiVersions 4.
fn too_old(correlation_id: i32) -> Vec<u8> {
    frame(correlation_id, &[0, 35, 0, 0, 0, 0])
}

/// Metadata 7: two brokers, the second is the controller; a topic without a leader.
fn cluster(correlation_id: i32, with_topic: bool) -> Vec<u8> {
    let mut body = vec![0, 0, 0, 0, 0, 0, 0, 2];
    for (id, host) in [(1, "a"), (2, "b")] {
        body.extend([0, 0, 0, id, 0, 1, host.as_bytes()[0], 0, 0, 0, 90 + id, 255, 255]);
    }
    body.extend([255, 255, 0, 0, 0, 2, 0, 0, 0, u8::from(with_topic)]);
    if with_topic {
        body.extend([0, 0, 0, 1, b't', 0, 0, 0, 0, 1]);
        body.extend([0, 5, 0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
    frame(correlation_id, &body)
}

/// CreateTopics 2: the topic `t` and a code.
fn created(correlation_id: i32, code: u8) -> Vec<u8> {
    frame(correlation_id, &[0, 0, 0, 0, 0, 0, 0, 1, 0, 1, b't', 0, code, 255, 255])
}

fn network(scripts: Vec<Vec<Vec<u8>>>) -> Network {
    Network { scripts: RefCell::new(scripts.into()), ..Network::default() }
}

const PATIENCE: Duration = Duration::from_secs(30);
const BOOTSTRAP: [(&str, u16); 2] = [("x", 1), ("y", 2)];

fn topics(network: &Network) -> (Result<(), ConnectionError>, Vec<String>) {
    let (mut frame, mut receive, mut items) = ([0; 64], [0; 32], Vec::new());
    let scratch = Scratch::new(&mut frame, &mut receive);
    let mut admin = Admin::new(&network, network, &BOOTSTRAP, None, scratch);
    let result = run(admin.topics(PATIENCE, |item| items.push(format!("{item:?}"))));
    (result, items)
}

fn create(network: &Network) -> (Result<(), ConnectionError>, Vec<String>) {
    let (mut frame, mut receive, mut items) = ([0; 64], [0; 32], Vec::new());
    let scratch = Scratch::new(&mut frame, &mut receive);
    let mut admin = Admin::new(&network, network, &BOOTSTRAP, None, scratch);
    let topic = NewTopic { name: "t", num_partitions: 3, replication_factor: 1, configs: &[] };
    let each = |item: create_topics::Item<'_>| {
        if let create_topics::Item::Topic { name, error } = item {
            items.push(format!("{name} {}", error.0));
        }
    };
    let result = run(admin.create_topic(&topic, PATIENCE, each));
    (result, items)
}

#[test]
#[cfg_attr(feature = "one-version", ignore = "of versions that it does not speak")]
fn topics_are_handed_out_item_by_item_after_the_version_was_agreed_on() {
    let network = network(vec![vec![too_old(1), versions(2), cluster(3, true)]]);
    let (result, items) = topics(&network);
    assert_eq!(result, Ok(()));
    assert_eq!(items.len(), 6, "{items:?}");
    assert!(items[5].contains("leader: -1") && items[5].contains("LEADER_NOT_AVAILABLE"), "{items:?}");
    let asked: Vec<_> = network.requests.borrow().iter().map(|r| (r[5], r[7])).collect();
    assert_eq!(asked, [(18, 4), (18, 0), (3, 7)]);
}

#[test]
fn who_is_not_the_controller_names_it() {
    let elsewhere = vec![too_old(1), versions(2), created(3, 41), cluster(4, false), cluster(5, false)];
    let network = network(vec![elsewhere, vec![too_old(1), versions(2), created(3, 36)]]);
    assert_eq!(create(&network), (Ok(()), vec!["t 36".to_string()]));
    assert_eq!(*network.connected.borrow(), ["x:1", "b:92"]);
    assert!(network.now.get() > 0, "it waited a moment");
}

#[test]
fn what_goes_wrong_has_its_name() {
    assert_eq!(topics(&network(vec![])).0, Err(ConnectionError::Refused));
    assert_eq!(topics(&network(vec![vec![]])).0, Err(ConnectionError::ClosedUnanswered));
    assert_eq!(topics(&network(vec![vec![too_old(1), versions(2)]])).0, Err(ConnectionError::Closed));
    assert_eq!(topics(&network(vec![vec![versions(2)]])).0, Err(ConnectionError::OutOfStep));
    assert_eq!(topics(&network(vec![vec![b"HTTP/1.1 400".to_vec()]])).0, Err(ConnectionError::Http));
    assert_eq!(topics(&network(vec![vec![vec![0x15, 3, 3, 0, 2]]])).0, Err(ConnectionError::Tls));
    let none = vec![too_old(1), frame(2, &[0, 0, 0, 0, 0, 0])];
    assert_eq!(topics(&network(vec![none])).0, Err(ConnectionError::UnsupportedVersion { api_key: 3 }));
    let mut short = cluster(3, true);
    short[3] -= 1;
    assert_eq!(topics(&network(vec![vec![too_old(1), versions(2), short]])).0, Err(ConnectionError::Protocol));
    let silent = network(vec![vec![], vec![]]);
    silent.silent.set(true);
    assert_eq!(topics(&silent).0, Err(ConnectionError::RequestTimeout));
    assert_eq!(silent.now.get(), 30_000_000);
}

/// The first address took all of the time.
#[test]
#[cfg_attr(feature = "one-version", ignore = "of versions that it does not speak")]
fn an_address_that_is_cut_off_leaves_time_to_the_next() {
    let network = network(vec![vec![too_old(1), versions(2), cluster(3, true)]]);
    network.cut_off.set("x");
    assert_eq!(topics(&network).0, Ok(()));
    assert_eq!(*network.connected.borrow(), ["x:1", "y:2"]);
    assert_eq!(network.now.get(), 15_000_000, "half of the patience");
}

/// A broker that accepts and says no more was waited for until the patience was over.
#[test]
#[cfg_attr(feature = "one-version", ignore = "of versions that it does not speak")]
fn a_broker_that_hangs_leaves_time_to_the_next() {
    let network = network(vec![vec![], vec![too_old(1), versions(2), cluster(3, true)]]);
    network.hung.set("x");
    assert_eq!(topics(&network).0, Ok(()));
    assert_eq!(*network.connected.borrow(), ["x:1", "y:2"]);
    assert_eq!(network.now.get(), 15_000_000, "half of the patience");
}

#[test]
#[cfg_attr(feature = "one-version", ignore = "of versions that it does not speak")]
fn a_request_that_does_not_fit_says_how_much_it_needs() {
    let network = network(vec![vec![]]);
    let (mut frame, mut receive) = ([0; 20], [0; 32]);
    let scratch = Scratch::new(&mut frame, &mut receive);
    let result = run(Admin::new(&&network, &network, &BOOTSTRAP, None, scratch).topics(PATIENCE, |_| ()));
    assert!(matches!(result, Err(ConnectionError::FrameTooSmall { needed: 27..40 })), "{result:?}");
}
