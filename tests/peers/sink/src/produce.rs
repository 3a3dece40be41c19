//! Produce: the names and numbers of partitions are read, their records go nowhere.

use anyhow::{Result, bail, ensure};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{ProduceResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use std::io::{self, Read};

/// The first version with compact lengths and tagged fields.
const FLEXIBLE: i16 = 9;

/// Where a record batch has its version.
const BATCH_MAGIC: usize = 16;

/// Reads the rest of a request, from its client id on.
pub(crate) fn answer(version: i16, rest: &mut impl Read) -> Result<ProduceResponse> {
    let mut reader = Reader { from: rest, flexible: version >= FLEXIBLE };
    reader.client_id()?;
    reader.string()?; // the transaction
    ensure!(reader.i16()? != 0, "acks=0 wants no answer, and none of the peers asks for it");
    reader.i32()?; // the timeout
    let mut topics = Vec::new();
    for _ in 0..reader.length()? {
        let name = TopicName(StrBytes::from_string(reader.string()?));
        let mut partitions = Vec::new();
        for _ in 0..reader.length()? {
            let index = reader.i32()?;
            reader.records()?;
            reader.no_tags()?;
            partitions.push(PartitionProduceResponse::default().with_index(index).with_base_offset(0));
        }
        reader.no_tags()?;
        topics.push(TopicProduceResponse::default().with_name(name).with_partition_responses(partitions));
    }
    reader.no_tags()?;
    Ok(ProduceResponse::default().with_responses(topics))
}

struct Reader<'a, R> {
    from: &'a mut R,
    flexible: bool,
}

impl<R: Read> Reader<'_, R> {
    fn bytes<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.from.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn i16(&mut self) -> Result<i16> {
        Ok(i16::from_be_bytes(self.bytes()?))
    }

    fn i32(&mut self) -> Result<i32> {
        Ok(i32::from_be_bytes(self.bytes()?))
    }

    fn varint(&mut self) -> Result<u64> {
        let mut value = 0;
        for shift in (0..35).step_by(7) {
            let [byte] = self.bytes()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        bail!("a varint without an end")
    }

    /// Of an array or of bytes; null counts as empty.
    fn length(&mut self) -> Result<u64> {
        if self.flexible { Ok(self.varint()?.saturating_sub(1)) } else { Ok(self.i32()?.max(0) as u64) }
    }

    /// Null counts as empty.
    fn string(&mut self) -> Result<String> {
        let length = if self.flexible { self.varint()?.saturating_sub(1) } else { self.i16()?.max(0) as u64 };
        let mut text = String::new();
        self.from.by_ref().take(length).read_to_string(&mut text)?;
        Ok(text)
    }

    /// The end of the header, whose string is never compact.
    fn client_id(&mut self) -> Result<()> {
        let length = self.i16()?.max(0) as u64;
        self.skip(length)?;
        self.no_tags()
    }

    /// Only looks whether they are a record batch: what came before costs clients more.
    fn records(&mut self) -> Result<()> {
        let length = self.length()?;
        let head: [u8; BATCH_MAGIC + 1] = self.bytes()?;
        ensure!(head[BATCH_MAGIC] == 2, "records of version {}", head[BATCH_MAGIC]);
        self.skip(length - head.len() as u64)
    }

    fn skip(&mut self, bytes: u64) -> Result<()> {
        let skipped = io::copy(&mut self.from.by_ref().take(bytes), &mut io::sink())?;
        ensure!(skipped == bytes, "the request is cut short");
        Ok(())
    }

    fn no_tags(&mut self) -> Result<()> {
        ensure!(!self.flexible || self.varint()? == 0, "a tagged field that nobody told of");
        Ok(())
    }
}
