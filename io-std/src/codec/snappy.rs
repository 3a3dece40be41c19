//! Snappy, as `snap` reads and writes blocks: a single one, as librdkafka writes, or in the frames of `snappy-java`.

use demitasse_core::records::codec::{CodecError, Next, Progress};
use snap::raw::{Decoder, Encoder, decompress_len, max_compress_len};

/// What the frames begin with; behind it are two versions of four bytes each.
const MAGIC: [u8; 8] = *b"\x82SNAPPY\0";
const HEADER_BYTES: usize = 16;

/// A decoder of both. A block is decompressed at once or not at all.
pub(super) struct Unsnappy {
    decoder: Decoder,
    /// Whether there are frames, once the first bytes were looked at.
    framed: Option<bool>,
}

impl Unsnappy {
    pub(super) fn new() -> Self {
        Unsnappy { decoder: Decoder::new(), framed: None }
    }

    pub(super) fn begin(&mut self) {
        self.framed = None;
    }

    pub(super) fn decompress(&mut self, input: &[u8], output: &mut [u8]) -> Result<Progress, CodecError> {
        let (mut consumed, mut produced) = (0, 0);
        let framed = *self.framed.get_or_insert_with(|| {
            let framed = input.starts_with(&MAGIC);
            consumed = if framed { HEADER_BYTES } else { 0 };
            framed
        });
        loop {
            let rest = input.get(consumed..).ok_or(CodecError::Cut)?;
            let (block, behind) = match (framed, rest.split_first_chunk::<4>()) {
                (false, _) => (rest, &[][..]),
                (true, None) if rest.is_empty() => return Ok(Progress { consumed, produced, next: Next::Ended }),
                (true, None) => return Err(CodecError::Cut),
                (true, Some((length, rest))) => {
                    rest.split_at_checked(u32::from_be_bytes(*length) as usize).ok_or(CodecError::Cut)?
                }
            };
            let length = decompress_len(block).map_err(|_| CodecError::Malformed)?;
            let Some(place) = output[produced..].get_mut(..length) else {
                return Ok(Progress { consumed, produced, next: Next::Room(length) });
            };
            produced += self.decoder.decompress(block, place).map_err(|_| CodecError::Malformed)?;
            consumed = input.len() - behind.len();
            if !framed {
                return Ok(Progress { consumed, produced, next: Next::Ended });
            }
        }
    }
}

/// Bytes of a frame before it is compressed, as snappy-java has it.
const BLOCK_BYTES: usize = 32 << 10;

/// The versions behind the magic: this one, and the least that reads it.
const VERSIONS: [u8; 8] = [0, 0, 0, 1, 0, 0, 0, 1];

/// An encoder, which writes the frames of `snappy-java`.
pub(crate) struct Snappy(Encoder);

impl Snappy {
    /// Bytes that one takes: its tables.
    pub(super) const BYTES: usize = 40 << 10;

    pub(super) fn new() -> Self {
        let mut encoder = Encoder::new();
        // The larger of its tables is made when it is first needed.
        let _ = encoder.compress(&[0; BLOCK_BYTES], &mut vec![0; max_compress_len(BLOCK_BYTES)]);
        Snappy(encoder)
    }

    pub(super) fn compress(&mut self, input: &[u8], output: &mut [u8]) -> Option<usize> {
        let header = output.first_chunk_mut::<HEADER_BYTES>()?;
        header[..8].copy_from_slice(&MAGIC);
        header[8..].copy_from_slice(&VERSIONS);
        let mut at = HEADER_BYTES;
        for block in input.chunks(BLOCK_BYTES) {
            let (length, place) = output.get_mut(at..)?.split_first_chunk_mut::<4>()?;
            let count = self.0.compress(block, place).ok()?;
            *length = (count as u32).to_be_bytes();
            at += 4 + count;
        }
        Some(at)
    }
}
