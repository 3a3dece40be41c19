//! Decoders of compressed records, through windows of all sizes: they end, go on while they have room, and stay in their
//! window.

use crate::input::Input;
use demitasse_core::records::Compression;
use demitasse_core::records::codec::{Decompress, Next};
use demitasse_io_std::Decoders;
use std::cell::RefCell;

/// What a few bytes may become is enough of it here.
const ENOUGH: usize = 1 << 20;

thread_local! {
    /// As a consumer has them: one set for everything that comes.
    static DECODERS: RefCell<Decoders> = RefCell::new(Decoders::new());
}

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let codecs = [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
    let codec = codecs[input.below(4)];
    let room = 1 << input.below(17);
    DECODERS.with_borrow_mut(|decoders| through(decoders, codec, room, input.rest()));
}

fn through(decoders: &mut Decoders, codec: Compression, room: usize, mut rest: &[u8]) {
    decoders.begin(codec).unwrap();
    let mut window = vec![0; decoders.history() + room];
    let (mut filled, mut produced) = (0, 0);
    while produced < ENOUGH {
        let kept = window[..filled].to_vec();
        let Ok(progress) = decoders.decompress(rest, &mut window, filled) else { return };
        assert!(progress.consumed <= rest.len() && progress.produced <= window.len() - filled, "{progress:?}");
        assert_eq!(window[..filled], kept, "what is there was changed");
        rest = &rest[progress.consumed..];
        filled += progress.produced;
        produced += progress.produced;
        match progress.next {
            Next::Ended => {
                assert!(rest.is_empty(), "it ends in front of {} bytes", rest.len());
                return;
            }
            Next::Room(needed) => {
                let free = window.len() - filled;
                assert!(needed > free, "{codec} wants {needed} bytes and has {free}");
                let gone = filled.saturating_sub(decoders.history());
                window.copy_within(gone..filled, 0);
                filled -= gone;
                if needed > window.len() - filled {
                    return;
                }
            }
        }
    }
}
