//! Reading a topic back with kcat, that is librdkafka, which also checks every batch's CRC.

use crate::processes::{run, tail};
use crate::{Error, Kafka, Result};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

/// A record as it came back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Milliseconds since 1970, -1 if it has none.
    pub timestamp: i64,
    /// The key; none is not empty.
    pub key: Option<Vec<u8>>,
    /// The value; none is a tombstone.
    pub value: Option<Vec<u8>>,
    /// The headers as kcat writes them: `name=value,name=value`. Ambiguous only if they contain `,` or `=`.
    pub headers: Vec<u8>,
}

impl Kafka {
    /// All records of a topic, from the first to the end offsets; of one partition in the order of offsets.
    pub fn consume(&self, topic: &str) -> Result<Vec<Record>> {
        let expected: i64 = self.end_offsets(topic)?.iter().sum();
        // kcat gives the lengths of key and value but not of the headers: a mark that no record holds ends each.
        let mark = format!("\u{1e}{}-{expected}-end\n", std::process::id());
        let escaped: String = mark.bytes().map(|byte| format!("\\x{byte:02x}")).collect();
        let mut command = Command::new("kcat");
        command.args(["-C", "-q", "-e", "-o", "beginning", "-X", "check.crcs=true", "-b", &self.bootstrap()]);
        command.args(["-t", topic, "-f", &format!("%p %o %T %K %S\\n%k%s%h{escaped}")]);
        let said = run(&mut command, b"", Duration::from_secs(300))?;
        if !said.status.success() || !said.stderr.is_empty() {
            return Err(Error::new(format!("kcat cannot read {topic}: {}", tail(&said.stderr))));
        }
        let mut rest = said.stdout.as_slice();
        let mut records = Vec::with_capacity(expected as usize);
        while !rest.is_empty() {
            let cut = || Error::new(format!("kcat's output cannot be read after record {}", records.len()));
            let (record, after) = parse(rest, mark.as_bytes()).ok_or_else(cut)?;
            records.push(record);
            rest = after;
        }
        Ok(records)
    }
}

/// A record of which neither key nor value may have a line's end in it: partition, offset, key, value.
pub type Plain<'a> = (i32, i64, &'a [u8], &'a [u8]);

impl Kafka {
    /// Shows `each` record of a topic, from the first to the end offsets as they are now, without keeping any; of one
    /// partition in the order of offsets. The topic may be written to: then there may be some more.
    pub fn read_plain(&self, topic: &str, mut each: impl FnMut(Plain<'_>)) -> Result<()> {
        let ends = self.end_offsets(topic)?;
        let mut missing = ends.iter().filter(|end| **end > 0).count();
        let mut command = Command::new("kcat");
        command.args(["-C", "-q", "-e", "-o", "beginning", "-X", "check.crcs=true", "-b", &self.bootstrap()]);
        command.args(["-t", topic, "-f", "%p %o %k %s\\n"]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let mut lines = BufReader::with_capacity(1 << 20, child.stdout.take().expect("piped"));
        let mut line = Vec::new();
        while missing > 0 && lines.read_until(b'\n', &mut line)? > 0 {
            let record = plain(line.trim_ascii_end());
            let record = record.ok_or_else(|| Error::new(format!("kcat's output cannot be read: {}", tail(&line))))?;
            missing -= usize::from(ends.get(record.0 as usize) == Some(&(record.1 + 1)));
            each(record);
            line.clear();
        }
        // While others write it may not come to an end by itself.
        child.kill()?;
        let said = child.wait_with_output()?;
        if missing > 0 {
            return Err(Error::new(format!("kcat did not read all of {topic}: {}", tail(&said.stderr))));
        }
        Ok(())
    }
}

fn plain(line: &[u8]) -> Option<Plain<'_>> {
    let mut parts = line.splitn(4, |&byte| byte == b' ');
    let mut number = || std::str::from_utf8(parts.next()?).ok()?.parse::<i64>().ok();
    let (partition, offset) = (number()?, number()?);
    Some((partition as i32, offset, parts.next()?, parts.next()?))
}

/// One record off the front.
fn parse<'a>(bytes: &'a [u8], mark: &[u8]) -> Option<(Record, &'a [u8])> {
    let end = bytes.iter().position(|&byte| byte == b'\n')?;
    let mut numbers = std::str::from_utf8(&bytes[..end]).ok()?.split(' ').map(str::parse::<i64>);
    let mut number = || numbers.next()?.ok();
    let partition = number()? as i32;
    let offset = number()?;
    let timestamp = number()?;
    let mut rest = &bytes[end + 1..];
    let mut part = |length: i64| {
        let Ok(length) = usize::try_from(length) else { return Some(None) };
        let (part, after) = rest.split_at_checked(length)?;
        rest = after;
        Some(Some(part.to_vec()))
    };
    let (key_length, value_length) = (number()?, number()?);
    let key = part(key_length)?;
    let value = part(value_length)?;
    let end = rest.windows(mark.len()).position(|window| window == mark)?;
    let headers = rest[..end].to_vec();
    Some((Record { partition, offset, timestamp, key, value, headers }, &rest[end + mark.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_tell_null_from_empty_and_newlines_are_bytes() {
        let text = b"2 7 -1 -1 0\n|end0 8 1700000000000 3 4\nk\n|v\n\0\nh=1|endrest";
        let (first, rest) = parse(text, b"|end").unwrap();
        assert_eq!((first.partition, first.offset, first.timestamp), (2, 7, -1));
        assert_eq!((first.key, first.value, first.headers), (None, Some(vec![]), vec![]));
        let (second, rest) = parse(rest, b"|end").unwrap();
        assert_eq!(second.key.unwrap(), b"k\n|");
        assert_eq!(second.value.unwrap(), b"v\n\0\n");
        assert_eq!(second.headers, b"h=1");
        assert_eq!(rest, b"rest");
    }

    #[test]
    fn what_is_cut_short_is_not_a_record() {
        for text in [&b"0 0 0 1 1"[..], b"0 0 0 1 5\nkv", b"0 0 0 1 1\nkv|en", b"x 0 0 1 1\nkv|end", b"0 0 0 1\nkv|end"]
        {
            assert!(parse(text, b"|end").is_none());
        }
    }
}
