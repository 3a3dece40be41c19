//! Questions that are asked once and need no producer: which topics there are, to create one, and what a group has
//! committed.
//!
//! A connection for each call, tried at one bootstrap address after the other, and nothing kept. No allocation:
//! requests and responses go through the caller's two buffers, and what is read is handed out item by item.

use super::driver::lost;
use super::{Io, Scratch, Stream};
use crate::connection::{ConnectionError, frame_length};
use crate::protocol::create_topics::{self, NewTopic};
use crate::protocol::{self, ApiKey, ErrorCode, TopicItem, TopicReader};
use crate::protocol::{api_versions, find_coordinator, metadata, offset_fetch};
use crate::time::{Clock, Instant};
use crate::wire::{ReadError, Skip, Writer};
use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;
use embedded_io_async::{Error, Read, Write};

/// Between a refusal by a broker that is not the controller and the next attempt, in milliseconds: while a controller
/// is being elected, nobody is.
const BACKOFF: u32 = 100;

/// Whom to ask, and with what. `scratch` must hold the request, and the largest item of a response: as large as
/// [`crate::Capacities`] are by default will do for any.
pub struct Admin<'a, I, C> {
    io: &'a I,
    clock: &'a C,
    bootstrap: &'a [(&'a str, u16)],
    client_id: Option<&'a str>,
    scratch: Scratch<'a>,
}

impl<'a, I: Io, C: Clock> Admin<'a, I, C> {
    /// One who asks the first of `bootstrap` that answers. An empty list is as one that cannot be resolved.
    pub fn new(
        io: &'a I,
        clock: &'a C,
        bootstrap: &'a [(&'a str, u16)],
        client_id: Option<&'a str>,
        scratch: Scratch<'a>,
    ) -> Self {
        Admin { io, clock, bootstrap, client_id, scratch }
    }

    /// Asks for all topics that we may see (Metadata, KIP-4) and calls `each` with every piece of the answer, errors of
    /// topics and partitions among them. After an error `each` may have been called with a part of it.
    ///
    /// # Errors
    /// Nobody could be asked, or there was no whole answer within `patience`.
    ///
    /// # Cancellation
    /// Its connection ends.
    pub async fn topics(
        &mut self,
        patience: Duration,
        mut each: impl FnMut(metadata::Item<'_>),
    ) -> Result<(), ConnectionError> {
        let (io, deadline) = (self.io, self.deadline(patience));
        let work = async {
            let mut opened = self.first_that_answers(deadline).await?;
            let mut talk = self.talk(&mut opened);
            let version = talk.version(ApiKey::Metadata)?;
            talk.metadata(version, |w| metadata::request_all(w, version, false), &mut each).await
        };
        within(io, deadline, work).await
    }

    /// Asks the controller to create a topic and calls `each` with every piece of its answer: the broker's refusal is
    /// one of them, not an error of this call.
    ///
    /// # Errors
    /// Nobody could be asked, or there was no whole answer within `patience`. The topic may have been created then.
    ///
    /// # Cancellation
    /// Its connection ends. The topic may be created or not.
    pub async fn create_topic(
        &mut self,
        topic: &NewTopic<'_>,
        patience: Duration,
        mut each: impl FnMut(create_topics::Item<'_>),
    ) -> Result<(), ConnectionError> {
        let (io, deadline) = (self.io, self.deadline(patience));
        let work = async {
            let mut host = heapless::Vec::<u8, 255>::new();
            let mut port = None;
            loop {
                let mut opened = match port {
                    Some(port) => self.open(&host, port).await?,
                    None => self.first_that_answers(deadline).await?,
                };
                let left = deadline.millis_since(self.clock.now()).min(i32::MAX as u64) as i32;
                {
                    let mut talk = self.talk(&mut opened);
                    if talk.create_topic(topic, left, &mut each).await? {
                        return Ok(());
                    }
                    port = talk.controller(&mut host).await?;
                }
                self.io.sleep_until(self.clock.now().after_millis(BACKOFF)).await;
            }
        };
        within(io, deadline, work).await
    }

    /// Asks for all positions that a group keeps (OffsetFetch) and calls `each` with every piece of the answer: the
    /// broker's refusal is one of them, not an error of this call.
    ///
    /// # Errors
    /// Nobody could be asked, or there was no whole answer within `patience`.
    ///
    /// # Cancellation
    /// Its connection ends.
    pub async fn committed(
        &mut self,
        group: &str,
        patience: Duration,
        mut each: impl FnMut(TopicItem<'_>),
    ) -> Result<(), ConnectionError> {
        let (io, deadline) = (self.io, self.deadline(patience));
        let work = async {
            let mut host = heapless::Vec::<u8, 255>::new();
            loop {
                let found = {
                    let mut opened = self.first_that_answers(deadline).await?;
                    self.talk(&mut opened).coordinator(group, &mut host).await?
                };
                if let Err(code) = found {
                    each(TopicItem::Group(code));
                    return Ok(());
                }
                if let Ok(Some(port)) = found {
                    let mut opened = self.open(&host, port).await?;
                    if self.talk(&mut opened).committed(group, &mut each).await? {
                        return Ok(());
                    }
                }
                self.io.sleep_until(self.clock.now().after_millis(BACKOFF)).await;
            }
        };
        within(io, deadline, work).await
    }

    fn deadline(&self, patience: Duration) -> Instant {
        self.clock.now().after_millis(u32::try_from(patience.as_millis()).unwrap_or(u32::MAX))
    }

    /// Each address has its share of the time that is left: one that is cut off, or a broker that hangs, says nothing, and
    /// the others would never have their turn. What a peer does that can be connected to is told rather than that
    /// another cannot.
    async fn first_that_answers(&mut self, deadline: Instant) -> Result<Opened<I::Stream>, ConnectionError> {
        let (mut error, mut any_connected) = (ConnectionError::Resolve, false);
        let (io, bootstrap) = (self.io, self.bootstrap);
        for ((host, port), left) in bootstrap.iter().zip((1..=bootstrap.len() as u64).rev()) {
            let now = self.clock.now();
            let share = deadline.micros_since(now).checked_div(left).unwrap_or(0);
            let until = Instant::from_micros(now.as_micros().saturating_add(share));
            let mut connected = false;
            let work = async {
                let stream = io.connect(host.as_bytes(), *port).await?;
                connected = true;
                self.agree(stream).await
            };
            match within(io, until, work).await {
                Ok(opened) => return Ok(opened),
                Err(reason) if connected || !any_connected => error = reason,
                Err(_) => {}
            }
            any_connected |= connected;
        }
        Err(error)
    }

    async fn open(&mut self, host: &[u8], port: u16) -> Result<Opened<I::Stream>, ConnectionError> {
        let stream = self.io.connect(host, port).await?;
        self.agree(stream).await
    }

    async fn agree(&mut self, stream: I::Stream) -> Result<Opened<I::Stream>, ConnectionError> {
        let mut opened = Opened { stream, requests: 0, offered: [None; _] };
        (opened.requests, opened.offered) = {
            let mut talk = self.talk(&mut opened);
            talk.ask_versions().await?;
            (talk.correlation_id, talk.offered)
        };
        Ok(opened)
    }

    fn talk<'t>(&'t mut self, opened: &'t mut Opened<I::Stream>) -> TalkOver<'t, I::Stream> {
        let (reader, writer) = opened.stream.split();
        let Scratch { frame, receive, .. } = &mut self.scratch;
        Talk {
            reader,
            writer,
            frame,
            receive,
            start: 0,
            end: 0,
            correlation_id: opened.requests,
            client_id: self.client_id,
            offered: opened.offered,
        }
    }
}

async fn within<T>(
    io: &impl Io,
    deadline: Instant,
    work: impl Future<Output = Result<T, ConnectionError>>,
) -> Result<T, ConnectionError> {
    let (mut work, mut sleep) = (pin!(work), pin!(io.sleep_until(deadline)));
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Pending => sleep.as_mut().poll(cx).map(|()| Err(ConnectionError::RequestTimeout)),
        ready => ready,
    })
    .await
}

/// A connection, how many requests it has had, and what the broker offers that we speak, of [`ASKED`].
struct Opened<S> {
    stream: S,
    requests: i32,
    offered: [Option<i16>; ASKED.len()],
}

type TalkOver<'t, S> = Talk<'t, <S as Stream>::Reader<'t>, <S as Stream>::Writer<'t>>;

/// One connection: a question, its answer, and the next.
struct Talk<'t, R, W> {
    reader: R,
    writer: W,
    frame: &'t mut [u8],
    receive: &'t mut [u8],
    /// What of `receive` has been received and not read.
    start: usize,
    end: usize,
    correlation_id: i32,
    client_id: Option<&'t str>,
    /// What the broker offers that we speak, of [`ASKED`].
    offered: [Option<i16>; ASKED.len()],
}

const ASKED: [ApiKey; 4] = [ApiKey::Metadata, ApiKey::CreateTopics, ApiKey::FindCoordinator, ApiKey::OffsetFetch];

impl<'t, R: Read, W: Write> Talk<'t, R, W> {
    /// Asks with the newest version; a broker that is too old for it says so, and is asked with the oldest.
    async fn ask_versions(&mut self) -> Result<(), ConnectionError> {
        for version in [protocol::versions(ApiKey::ApiVersions).1, 0] {
            let (mut reader, mut error) = (api_versions::ResponseReader::new(version), ErrorCode::NONE);
            let mut offered = [None; ASKED.len()];
            let read = |window: &mut &[u8]| {
                let item = reader.next(window)?;
                match item {
                    Some(api_versions::Item::Error(code)) => error = code,
                    Some(api_versions::Item::Range { key, min, max }) => {
                        for (place, api) in offered.iter_mut().zip(ASKED).filter(|(_, api)| *api as i16 == key) {
                            let (oldest, newest) = protocol::versions(api);
                            let best = max.min(newest);
                            *place = (best >= min.max(oldest)).then_some(best);
                        }
                    }
                    _ => {}
                }
                Ok(item.is_some())
            };
            self.exchange(ApiKey::ApiVersions, version, |w| api_versions::request(w, version), read).await?;
            self.offered = offered;
            match error {
                ErrorCode::NONE => return Ok(()),
                ErrorCode::UNSUPPORTED_VERSION => {}
                _ => break,
            }
        }
        Err(ConnectionError::UnsupportedVersion { api_key: ApiKey::ApiVersions as i16 })
    }

    fn version(&self, api: ApiKey) -> Result<i16, ConnectionError> {
        let mut offered = self.offered.iter().zip(ASKED);
        let version = offered.find_map(|(version, key)| version.filter(|_| key == api));
        version.ok_or(ConnectionError::UnsupportedVersion { api_key: api as i16 })
    }

    async fn metadata(
        &mut self,
        version: i16,
        body: impl FnOnce(&mut Writer<'_>),
        mut each: impl FnMut(metadata::Item<'_>),
    ) -> Result<(), ConnectionError> {
        let mut reader = metadata::ResponseReader::new(version);
        let read = |window: &mut &[u8]| Ok(reader.next(window)?.map(&mut each).is_some());
        self.exchange(ApiKey::Metadata, version, body, read).await
    }

    /// False if this broker is not the controller: then nothing was handed out but the throttle time.
    async fn create_topic(
        &mut self,
        topic: &NewTopic<'_>,
        timeout_ms: i32,
        mut each: impl FnMut(create_topics::Item<'_>),
    ) -> Result<bool, ConnectionError> {
        let version = self.version(ApiKey::CreateTopics)?;
        let (mut reader, mut elsewhere) = (create_topics::ResponseReader::new(version), false);
        let read = |window: &mut &[u8]| {
            let item = reader.next(window)?;
            elsewhere |= matches!(item, Some(create_topics::Item::Topic { error: ErrorCode::NOT_CONTROLLER, .. }));
            if let Some(item) = item.filter(|_| !elsewhere) {
                each(item);
            }
            Ok(item.is_some())
        };
        let body = |w: &mut Writer<'_>| create_topics::request(w, version, topic, timeout_ms, false);
        self.exchange(ApiKey::CreateTopics, version, body, read).await?;
        Ok(!elsewhere)
    }

    /// Where the group is kept; `None` if that is not known now, an error if the broker does not tell.
    async fn coordinator(
        &mut self,
        group: &str,
        host: &mut heapless::Vec<u8, 255>,
    ) -> Result<Result<Option<u16>, ErrorCode>, ConnectionError> {
        let version = self.version(ApiKey::FindCoordinator)?;
        let (mut reader, mut found) = (find_coordinator::ResponseReader::new(version), Ok(None));
        let read = |window: &mut &[u8]| {
            let item = reader.next(window)?;
            if let Some(find_coordinator::Item::Coordinator { error, host: name, port, .. }) = item {
                host.clear();
                found = match error {
                    ErrorCode::NONE => Ok(host.extend_from_slice(name).ok().and_then(|()| u16::try_from(port).ok())),
                    code if is_for_now(code) => Ok(None),
                    code => Err(code),
                };
            }
            Ok(item.is_some())
        };
        self.exchange(
            ApiKey::FindCoordinator,
            version,
            |w| find_coordinator::request(w, version, group.as_bytes()),
            read,
        )
        .await?;
        Ok(found)
    }

    /// False if this broker does not tell now: then nothing was handed out.
    async fn committed(&mut self, group: &str, mut each: impl FnMut(TopicItem<'_>)) -> Result<bool, ConnectionError> {
        let version = self.version(ApiKey::OffsetFetch)?;
        let (mut reader, mut later) = (TopicReader::new(ApiKey::OffsetFetch, version), false);
        let read = |window: &mut &[u8]| {
            let item = reader.next(window)?;
            later |= matches!(item, Some(TopicItem::Group(code)) if is_for_now(code));
            if let Some(item) = item.filter(|_| !later) {
                each(item);
            }
            Ok(item.is_some())
        };
        let body = |w: &mut Writer<'_>| offset_fetch::request_all(w, version, group.as_bytes(), false);
        self.exchange(ApiKey::OffsetFetch, version, body, read).await?;
        Ok(!later)
    }

    /// The controller's host and port; `None` if there is none now. Brokers come before the controller's id, and there
    /// is nowhere to keep all of them: so it asks twice.
    async fn controller(&mut self, host: &mut heapless::Vec<u8, 255>) -> Result<Option<u16>, ConnectionError> {
        let version = self.version(ApiKey::Metadata)?;
        let (mut controller, mut at) = (-1, None);
        for _ in 0..2 {
            let sought = controller;
            let each = |item: metadata::Item<'_>| match item {
                metadata::Item::Controller(id) => controller = id,
                metadata::Item::Broker { node_id, host: name, port } if node_id == sought => {
                    host.clear();
                    at = host.extend_from_slice(name).ok().and_then(|()| u16::try_from(port).ok());
                }
                _ => {}
            };
            let body = |w: &mut Writer<'_>| metadata::request(w, version, 0, core::iter::empty::<&str>(), false);
            self.metadata(version, body, each).await?;
        }
        Ok(at)
    }

    /// Writes a request and reads its answer. `read` takes one item from the window; false after the last.
    async fn exchange(
        &mut self,
        api: ApiKey,
        version: i16,
        body: impl FnOnce(&mut Writer<'_>),
        mut read: impl FnMut(&mut &[u8]) -> Result<bool, ReadError>,
    ) -> Result<(), ConnectionError> {
        self.correlation_id = self.correlation_id.wrapping_add(1);
        let mut writer = Writer::new(self.frame);
        protocol::request_header(&mut writer, api, version, self.correlation_id, self.client_id.map(str::as_bytes));
        body(&mut writer);
        let length = protocol::finish_frame(writer)
            .map_err(|overflow| ConnectionError::frame_too_small(overflow.needed, overflow.capacity))?;
        let frame = self.frame.get(..length).unwrap_or(&[]);
        self.writer.write_all(frame).await.map_err(|error| lost(error.kind()))?;
        self.writer.flush().await.map_err(|error| lost(error.kind()))?;

        let mut left = frame_length(self.four().await?)?;
        if i32::from_be_bytes(self.four().await?) != self.correlation_id {
            return Err(ConnectionError::OutOfStep);
        }
        left = left.saturating_sub(4);
        let mut tags = if protocol::response_header_tags(api, version) { Skip::tags() } else { Skip::NONE };
        let mut reading = true;
        loop {
            let window = self.receive.get(self.start..self.end).unwrap_or(&[]);
            let mut part = window.get(..left as usize).unwrap_or(window);
            let (before, whole) = (part.len(), part.len() == left as usize);
            let result = tags.feed(&mut part).and_then(|()| if reading { read(&mut part) } else { Ok(false) });
            if result == Ok(false) {
                // What a newer broker may have added behind the end is passed over.
                (reading, part) = (false, &[]);
            }
            let used = before - part.len();
            self.start += used;
            left -= used as u32;
            match result {
                Ok(true) => {}
                Ok(false) if left == 0 => return Ok(()),
                Ok(false) => self.fill().await?,
                Err(ReadError::Incomplete) if !whole => self.fill().await?,
                Err(_) => return Err(ConnectionError::Protocol),
            }
        }
    }

    async fn four(&mut self) -> Result<[u8; 4], ConnectionError> {
        loop {
            let received = self.receive.get(self.start..self.end).unwrap_or(&[]);
            if let Some(bytes) = received.first_chunk() {
                self.start += 4;
                return Ok(*bytes);
            }
            self.fill().await?;
        }
    }

    /// Receives some more bytes.
    async fn fill(&mut self) -> Result<(), ConnectionError> {
        self.receive.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        let Some(free) = self.receive.get_mut(self.end..).filter(|free| !free.is_empty()) else {
            return Err(ConnectionError::Protocol);
        };
        match self.reader.read(free).await {
            Ok(0) if self.correlation_id == 1 => Err(ConnectionError::ClosedUnanswered),
            Ok(0) => Err(ConnectionError::Closed),
            Ok(count) => {
                self.end += count;
                Ok(())
            }
            Err(error) => Err(lost(error.kind())),
        }
    }
}

/// Whether a coordinator, or who is to know it, says that things will be otherwise soon.
fn is_for_now(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::NOT_COORDINATOR | ErrorCode::COORDINATOR_NOT_AVAILABLE | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
    )
}

#[cfg(test)]
mod tests;
