//! kcat's letters: how a record becomes a line.

use demitasse_io_std::Consumed;
use std::io::{self, Write};

/// A format, taken apart once.
#[derive(Clone, Debug)]
pub(crate) struct Format(Vec<Part>);

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(Vec<u8>),
    Topic,
    Partition,
    Offset,
    Key,
    Value,
    KeyBytes,
    ValueBytes,
    /// Four bytes, big-endian.
    RawValueBytes,
    Timestamp,
    Headers,
}

impl Format {
    pub(crate) fn parse(text: &str) -> Result<Format, String> {
        let (mut parts, mut plain) = (Vec::new(), Vec::new());
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            let part = match (letter, letters.clone().next()) {
                ('%', Some(letter)) => match letter {
                    't' => Part::Topic,
                    'p' => Part::Partition,
                    'o' => Part::Offset,
                    'k' => Part::Key,
                    's' => Part::Value,
                    'K' => Part::KeyBytes,
                    'S' => Part::ValueBytes,
                    'R' => Part::RawValueBytes,
                    'T' => Part::Timestamp,
                    'h' => Part::Headers,
                    '%' => Part::Text(b"%".to_vec()),
                    other => return Err(format!("%{other} is not one of %t %p %o %k %s %K %S %R %T %h %%")),
                },
                ('\\', Some(letter)) => Part::Text(match letter {
                    'n' => b"\n".to_vec(),
                    'r' => b"\r".to_vec(),
                    't' => b"\t".to_vec(),
                    '\\' => b"\\".to_vec(),
                    'x' => {
                        let digits: String =
                            letters.clone().skip(1).take(2).take_while(char::is_ascii_hexdigit).collect();
                        let byte = u8::from_str_radix(&digits, 16).map_err(|_| "\\x without a hexadecimal number")?;
                        letters.by_ref().take(digits.len()).for_each(drop);
                        vec![byte]
                    }
                    other => return Err(format!("\\{other} is not one of \\n \\r \\t \\\\ \\xNN")),
                }),
                ('%' | '\\', None) => return Err(format!("a {letter} at the end")),
                (letter, _) => {
                    plain.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
                    continue;
                }
            };
            letters.next();
            match part {
                Part::Text(text) => plain.extend(text),
                part => {
                    push_text(&mut parts, &mut plain);
                    parts.push(part);
                }
            }
        }
        push_text(&mut parts, &mut plain);
        Ok(Format(parts))
    }

    pub(crate) fn write(&self, to: &mut impl Write, topic: &str, record: &Consumed<'_>) -> io::Result<()> {
        let bytes = |field: Option<&[u8]>| field.map_or(-1, |bytes| bytes.len() as i64);
        for part in &self.0 {
            match part {
                Part::Text(text) => to.write_all(text)?,
                Part::Topic => to.write_all(topic.as_bytes())?,
                Part::Partition => write!(to, "{}", record.partition)?,
                Part::Offset => write!(to, "{}", record.offset)?,
                Part::Key => to.write_all(record.key.unwrap_or(&[]))?,
                Part::Value => to.write_all(record.value.unwrap_or(&[]))?,
                Part::KeyBytes => write!(to, "{}", bytes(record.key))?,
                Part::ValueBytes => write!(to, "{}", bytes(record.value))?,
                Part::RawValueBytes => to.write_all(&(bytes(record.value) as i32).to_be_bytes())?,
                Part::Timestamp => write!(to, "{}", record.timestamp)?,
                Part::Headers => headers(to, record)?,
            }
        }
        Ok(())
    }
}

fn push_text(parts: &mut Vec<Part>, plain: &mut Vec<u8>) {
    if !plain.is_empty() {
        parts.push(Part::Text(std::mem::take(plain)));
    }
}

fn headers(to: &mut impl Write, record: &Consumed<'_>) -> io::Result<()> {
    for (number, header) in record.headers.enumerate() {
        if number > 0 {
            to.write_all(b",")?;
        }
        to.write_all(header.key)?;
        to.write_all(b"=")?;
        to.write_all(header.value.unwrap_or(b"NULL"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_and_escapes_are_understood() {
        let Format(parts) = Format::parse(r"%p:%o\t%k=%s%%\n").unwrap();
        let text = |text: &[u8]| Part::Text(text.to_vec());
        let expected =
            [Part::Partition, text(b":"), Part::Offset, text(b"\t"), Part::Key, text(b"="), Part::Value, text(b"%\n")];
        assert_eq!(parts, expected);
        let Format(parts) = Format::parse(r"%R\x00\x1e\x9z").unwrap();
        assert_eq!(parts, [Part::RawValueBytes, text(&[0, 0x1e, 9, b'z'])]);
        for wrong in ["%x", "%", r"\q", "\\", r"\x", r"\xg"] {
            assert!(Format::parse(wrong).is_err(), "{wrong}");
        }
    }
}
