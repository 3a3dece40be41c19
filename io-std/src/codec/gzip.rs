//! gzip (RFC 1952) around the DEFLATE of `flate2`: header and trailer are read and written here, because `flate2` makes its
//! decoder of whole gzip files anew each time.

use demitasse_core::records::codec::{CodecError, Next, Progress};
use flate2::{Compress, Compression, Crc, Decompress, FlushCompress, FlushDecompress, Status};

const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];
const HEADER_CRC: u8 = 1 << 1;
const EXTRA: u8 = 1 << 2;
const NAME: u8 = 1 << 3;
const COMMENT: u8 = 1 << 4;
const TRAILER_BYTES: usize = 8;

/// A decoder of one or more members, whose checksums are checked.
pub(super) struct Gunzip {
    inflate: Decompress,
    crc: Crc,
    /// The header of a member has been read.
    inside: bool,
}

impl Gunzip {
    pub(super) fn new() -> Self {
        let mut gunzip = Gunzip { inflate: Decompress::new(false), crc: Crc::new(), inside: false };
        // What it allocates when it is first used, it has then: an empty block, and one that says "a".
        let _ = gunzip.inflate.decompress(&[0, 0, 0, 0xff, 0xff, 0x4b, 0x04, 0], &mut [0; 8], FlushDecompress::None);
        gunzip
    }

    pub(super) fn begin(&mut self) {
        self.inside = false;
    }

    pub(super) fn decompress(&mut self, input: &[u8], output: &mut [u8]) -> Result<Progress, CodecError> {
        let (mut consumed, mut produced) = (0, 0);
        loop {
            let rest = &input[consumed..];
            if !self.inside {
                consumed +=
                    header(rest).ok_or(if rest.len() < 10 { CodecError::Cut } else { CodecError::Malformed })?;
                self.inflate.reset(false);
                self.crc.reset();
                self.inside = true;
                continue;
            }
            let place = &mut output[produced..];
            let before = (self.inflate.total_in(), self.inflate.total_out());
            let status = self.inflate.decompress(rest, place, FlushDecompress::None);
            let status = status.map_err(|_| CodecError::Malformed)?;
            let taken = (self.inflate.total_in() - before.0) as usize;
            let written = (self.inflate.total_out() - before.1) as usize;
            self.crc.update(&place[..written]);
            (consumed, produced) = (consumed + taken, produced + written);
            if status == Status::StreamEnd {
                let trailer = input[consumed..].first_chunk::<TRAILER_BYTES>().ok_or(CodecError::Cut)?;
                let expected = u64::from(self.crc.sum()) | u64::from(self.inflate.total_out() as u32) << 32;
                if u64::from_le_bytes(*trailer) != expected {
                    return Err(CodecError::Checksum);
                }
                (consumed, self.inside) = (consumed + TRAILER_BYTES, false);
                if consumed == input.len() {
                    return Ok(Progress { consumed, produced, next: Next::Ended });
                }
            } else if produced == output.len() {
                return Ok(Progress { consumed, produced, next: Next::Room(1) });
            } else if taken == 0 && written == 0 {
                return Err(CodecError::Cut);
            }
        }
    }
}

/// The length of a member's header, if it is one and whole.
fn header(bytes: &[u8]) -> Option<usize> {
    let (fixed, mut rest) = bytes.split_first_chunk::<10>()?;
    if !fixed.starts_with(&MAGIC) {
        return None;
    }
    let flags = fixed[3];
    if flags & EXTRA != 0 {
        let (length, behind) = rest.split_first_chunk::<2>()?;
        rest = behind.get(usize::from(u16::from_le_bytes(*length))..)?;
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            rest = rest.get(rest.iter().position(|&byte| byte == 0)? + 1..)?;
        }
    }
    if flags & HEADER_CRC != 0 {
        rest = rest.get(2..)?;
    }
    Some(bytes.len() - rest.len())
}

/// What a header is: no name, no time, of an unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// An encoder; each input becomes one member.
pub(crate) struct Gzip {
    deflate: Compress,
    crc: Crc,
}

impl Gzip {
    /// Bytes that one takes, as zlib's documentation has it: a window of 32 KiB twice, as much for each of two tables, and
    /// symbols.
    pub(super) const BYTES: usize = 320 << 10;

    /// `level` is 1 to 9.
    pub(super) fn new(level: Option<i32>) -> Self {
        let level = level.and_then(|level| u32::try_from(level).ok()).map_or(Compression::default(), Compression::new);
        Gzip { deflate: Compress::new(level, false), crc: Crc::new() }
    }

    pub(super) fn compress(&mut self, input: &[u8], output: &mut [u8]) -> Option<usize> {
        let (header, rest) = output.split_first_chunk_mut()?;
        *header = HEADER;
        self.deflate.reset();
        let status = self.deflate.compress(input, rest, FlushCompress::Finish).ok()?;
        let length = self.deflate.total_out() as usize;
        self.crc.reset();
        self.crc.update(input);
        let trailer = u64::from(self.crc.sum()) | u64::from(input.len() as u32) << 32;
        *rest.get_mut(length..)?.first_chunk_mut()? = trailer.to_le_bytes();
        (status == Status::StreamEnd).then_some(HEADER.len() + length + TRAILER_BYTES)
    }
}
