//! The few requests that the harness needs itself, in versions without tagged fields, written by hand: a JVM for
//! each question would take seconds. Shares no code with what is tested.

use crate::{Error, Result};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const LIST_OFFSETS: i16 = 2;
const METADATA: i16 = 3;
const CREATE_TOPICS: i16 = 19;
const DELETE_TOPICS: i16 = 20;

/// What a broker says of the cluster.
pub(crate) struct Metadata {
    /// Whose broker it is that answered.
    pub(crate) cluster: String,
    /// Ids of the nodes that are registered.
    pub(crate) nodes: Vec<i32>,
    /// The partitions of the topic that was asked for; empty if it is unknown.
    pub(crate) partitions: Vec<Partition>,
}

/// One partition, as a broker sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Partition {
    /// Its number.
    pub index: i32,
    /// The node that leads it, -1 while there is none.
    pub leader: i32,
    /// How many replicas are in sync.
    pub in_sync: usize,
    /// How many replicas there are.
    pub replicas: usize,
}

/// Asks for the cluster's nodes and, if one is named, a topic, which is not made if it is unknown.
pub(crate) fn metadata(node: SocketAddr, topic: Option<&str>) -> Result<Metadata> {
    let mut request = Request::new(METADATA, 4);
    request.i32(topic.iter().count() as i32);
    if let Some(topic) = topic {
        request.string(topic);
    }
    request.bool(false);
    let mut answer = request.send(node)?;
    answer.i32()?; // throttle time
    let mut nodes = Vec::new();
    for _ in 0..answer.i32()? {
        nodes.push(answer.i32()?);
        answer.string()?; // host
        answer.i32()?; // port
        answer.string()?; // rack
    }
    let cluster = answer.string()?.unwrap_or_default();
    answer.i32()?; // controller
    let mut partitions = Vec::new();
    for _ in 0..answer.i32()? {
        answer.i16()?; // error
        answer.string()?; // name
        answer.take(1)?; // internal
        for _ in 0..answer.i32()? {
            answer.i16()?; // error
            let index = answer.i32()?;
            let leader = answer.i32()?;
            let replicas = answer.i32s()?.len();
            let in_sync = answer.i32s()?.len();
            partitions.push(Partition { index, leader, in_sync, replicas });
        }
    }
    partitions.sort_by_key(|p| p.index);
    Ok(Metadata { cluster, nodes, partitions })
}

/// Makes a topic; the error has the broker's code and words.
pub(crate) fn create_topic(
    node: SocketAddr,
    name: &str,
    partitions: i32,
    replication: i16,
    configs: &[(&str, &str)],
) -> Result<()> {
    let mut request = Request::new(CREATE_TOPICS, 2);
    request.i32(1);
    request.string(name);
    request.i32(partitions);
    request.i16(replication);
    request.i32(0); // no assignment by hand
    request.i32(configs.len() as i32);
    for (key, value) in configs {
        request.string(key);
        request.string(value);
    }
    request.i32(30_000);
    request.bool(false);
    let mut answer = request.send(node)?;
    answer.i32()?; // throttle time
    answer.i32()?; // one topic
    answer.string()?;
    match answer.i16()? {
        0 => Ok(()),
        code => {
            let words = answer.string()?.unwrap_or_default();
            Err(Error::new(format!("cannot create topic {name}: broker error {code}: {words}")))
        }
    }
}

/// Deletes a topic; the error has the broker's code.
pub(crate) fn delete_topic(node: SocketAddr, name: &str) -> Result<()> {
    let mut request = Request::new(DELETE_TOPICS, 1);
    request.i32(1);
    request.string(name);
    request.i32(30_000);
    let mut answer = request.send(node)?;
    answer.i32()?; // throttle time
    answer.i32()?; // one topic
    answer.string()?;
    match answer.i16()? {
        0 => Ok(()),
        code => Err(Error::new(format!("cannot delete topic {name}: broker error {code}"))),
    }
}

/// The offset after the last record of a partition; `node` must be its leader.
pub(crate) fn end_offset(node: SocketAddr, topic: &str, partition: i32) -> Result<i64> {
    let mut request = Request::new(LIST_OFFSETS, 1);
    request.i32(-1); // not a replica
    request.i32(1);
    request.string(topic);
    request.i32(1);
    request.i32(partition);
    request.i64(-1); // latest
    let mut answer = request.send(node)?;
    answer.i32()?;
    answer.string()?;
    answer.i32()?;
    answer.i32()?; // partition
    let code = answer.i16()?;
    answer.i64()?; // timestamp
    let offset = answer.i64()?;
    if code == 0 {
        return Ok(offset);
    }
    Err(Error::new(format!("no end offset of {topic} {partition}: broker error {code}")))
}

struct Request(Vec<u8>);

impl Request {
    fn new(api: i16, version: i16) -> Request {
        let mut request = Request(vec![0; 4]);
        request.i16(api);
        request.i16(version);
        request.i32(0); // correlation: one request a connection
        request.string("demitasse-kafka-tests");
        request
    }

    fn bool(&mut self, value: bool) {
        self.0.push(value.into());
    }

    fn i16(&mut self, value: i16) {
        self.0.extend(value.to_be_bytes());
    }

    fn i32(&mut self, value: i32) {
        self.0.extend(value.to_be_bytes());
    }

    fn i64(&mut self, value: i64) {
        self.0.extend(value.to_be_bytes());
    }

    fn string(&mut self, value: &str) {
        self.i16(value.len() as i16);
        self.0.extend(value.as_bytes());
    }

    fn send(mut self, node: SocketAddr) -> Result<Answer> {
        let length = (self.0.len() - 4) as i32;
        self.0[..4].copy_from_slice(&length.to_be_bytes());
        let mut stream = TcpStream::connect_timeout(&node, Duration::from_secs(5))?;
        stream.set_read_timeout(Some(Duration::from_secs(35)))?;
        stream.write_all(&self.0)?;
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let mut bytes = vec![0; i32::from_be_bytes(length).clamp(0, 1 << 24) as usize];
        stream.read_exact(&mut bytes)?;
        Ok(Answer { bytes, at: 4 }) // after the correlation id
    }
}

struct Answer {
    bytes: Vec<u8>,
    at: usize,
}

impl Answer {
    fn take(&mut self, count: usize) -> Result<&[u8]> {
        let end = self.at + count;
        let part = self.bytes.get(self.at..end).ok_or_else(|| Error::new("the broker's answer is cut short"))?;
        self.at = end;
        Ok(part)
    }

    fn i16(&mut self) -> Result<i16> {
        Ok(i16::from_be_bytes(self.take(2)?.try_into().expect("2 bytes")))
    }

    fn i32(&mut self) -> Result<i32> {
        Ok(i32::from_be_bytes(self.take(4)?.try_into().expect("4 bytes")))
    }

    fn i64(&mut self) -> Result<i64> {
        Ok(i64::from_be_bytes(self.take(8)?.try_into().expect("8 bytes")))
    }

    fn i32s(&mut self) -> Result<Vec<i32>> {
        let count = self.i32()?;
        (0..count).map(|_| self.i32()).collect()
    }

    fn string(&mut self) -> Result<Option<String>> {
        match self.i16()? {
            length if length < 0 => Ok(None),
            length => Ok(Some(String::from_utf8_lossy(self.take(length as usize)?).into_owned())),
        }
    }
}
