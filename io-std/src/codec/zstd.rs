//! Zstandard, by the reference implementation. It is C, and its memory is not Rust's allocator's: a decoder takes what a
//! stream's window needs when it meets it, up to 8 MiB, and keeps it.

use demitasse_core::records::codec::{CodecError, Next, Progress};
use zstd_safe::{CCtx, CParameter, DCtx, DParameter, InBuffer, OutBuffer, ResetDirective};

/// Bytes that a stream may refer back to, as a power of two. Kafka's clients write 2 MiB by default, and not more than
/// this up to level 19.
const WINDOW_LOG: u32 = 23;

/// The error of a window that is larger; zstd's codes are negative numbers, read as unsigned.
const WINDOW_TOO_LARGE: usize = 16usize.wrapping_neg();
const WRONG_CHECKSUM: usize = 22usize.wrapping_neg();

/// A decoder of one or more frames, whose checksums are checked, if they have any.
pub(super) struct Unzstd {
    decoder: DCtx<'static>,
}

impl Unzstd {
    pub(super) fn new() -> Self {
        let mut decoder = DCtx::create();
        // Cannot fail: the value is within what is allowed.
        let _ = decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG));
        Unzstd { decoder }
    }

    pub(super) fn begin(&mut self) {
        let _ = self.decoder.reset(ResetDirective::SessionOnly);
    }

    pub(super) fn decompress(&mut self, input: &[u8], output: &mut [u8]) -> Result<Progress, CodecError> {
        let (room, mut from) = (output.len(), InBuffer::around(input));
        let mut to = OutBuffer::around(output);
        loop {
            let before = (from.pos(), to.pos());
            let left = self.decoder.decompress_stream(&mut to, &mut from);
            let left = left.map_err(|code| error(code, &input[before.0..]))?;
            let (consumed, produced) = (from.pos(), to.pos());
            if left == 0 && consumed == input.len() {
                return Ok(Progress { consumed, produced, next: Next::Ended });
            }
            if produced == room {
                return Ok(Progress { consumed, produced, next: Next::Room(1) });
            }
            if before == (consumed, produced) {
                return Err(CodecError::Cut);
            }
        }
    }
}

fn error(code: usize, frame: &[u8]) -> CodecError {
    match code {
        WINDOW_TOO_LARGE => CodecError::Window { needed: window(frame).unwrap_or(u32::MAX), capacity: 1 << WINDOW_LOG },
        WRONG_CHECKSUM => CodecError::Checksum,
        _ => CodecError::Malformed,
    }
}

/// The window that the frame says it has (RFC 8878, 3.1.1.1.2).
fn window(frame: &[u8]) -> Option<u32> {
    const SINGLE_SEGMENT: u8 = 1 << 5;
    let descriptor = *frame.get(4)?;
    let bytes = if descriptor & SINGLE_SEGMENT == 0 {
        let window = *frame.get(5)?;
        let base = 1u64 << (10 + (window >> 3));
        base + base / 8 * u64::from(window & 7)
    } else {
        zstd_safe::get_frame_content_size(frame).ok()??
    };
    Some(bytes.try_into().unwrap_or(u32::MAX))
}

/// An encoder; each input becomes one frame, whose window is no larger than the input.
pub(crate) struct Zstd(CCtx<'static>);

impl Zstd {
    /// One that has its memory for inputs of up to `batch_bytes`; `level` is that of zstd, 3 if there is none.
    pub(super) fn new(level: Option<i32>, batch_bytes: usize) -> Self {
        let mut encoder = CCtx::create();
        // Out of range it is the nearest that there is.
        let _ = encoder.set_parameter(CParameter::CompressionLevel(level.unwrap_or(3)));
        // What it needs it takes when it is first used, and keeps.
        let _ = encoder.compress2(&mut vec![0; 1024][..], &vec![0; batch_bytes]);
        Zstd(encoder)
    }

    pub(super) fn memory(&self) -> usize {
        self.0.sizeof()
    }

    pub(super) fn compress(&mut self, input: &[u8], output: &mut [u8]) -> Option<usize> {
        self.0.compress2(output, input).ok()
    }
}
