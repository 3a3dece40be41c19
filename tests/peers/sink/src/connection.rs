//! One client: its requests in turn, each answered before the next is read, as Kafka does.

use crate::messages::Broker;
use crate::produce;
use anyhow::{Result, ensure};
use bytes::{BufMut, BytesMut};
use kafka_protocol::messages::{ApiKey, ResponseHeader};
use kafka_protocol::protocol::Encodable;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

/// Small enough for the cache: the bytes of all records are read into the same place.
const BUFFER: usize = 256 * 1024;

pub(crate) fn serve(stream: &TcpStream, broker: &Broker) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::with_capacity(BUFFER, stream);
    // A client may go away without a word.
    while reader.fill_buf().is_ok_and(|bytes| !bytes.is_empty()) {
        let mut head = [0; 12];
        reader.read_exact(&mut head)?;
        let [length, key_and_version, correlation] = [&head[..4], &head[4..8], &head[8..]].map(big_endian);
        let (key, version) = ((key_and_version >> 16) as i16, key_and_version as i16);
        let mut rest = reader.by_ref().take(u64::from(length) - 8);
        let mut response = BytesMut::with_capacity(1024);
        response.put_u32(0);
        let header = ResponseHeader::default().with_correlation_id(correlation as i32);
        let api = ApiKey::try_from(key).map_err(|()| anyhow::anyhow!("nobody told of API {key}"))?;
        header.encode(&mut response, api.response_header_version(version))?;
        match api {
            ApiKey::Produce => produce::answer(version, &mut rest)?.encode(&mut response, version)?,
            _ => broker.answer(api, version, &mut rest, &mut response)?,
        }
        ensure!(rest.limit() == 0, "{} bytes of a request were not read", rest.limit());
        let size = response.len() as u32 - 4;
        response[..4].copy_from_slice(&size.to_be_bytes());
        (&*stream).write_all(&response)?;
    }
    Ok(())
}

fn big_endian(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |value, byte| value << 8 | u32::from(*byte))
}
