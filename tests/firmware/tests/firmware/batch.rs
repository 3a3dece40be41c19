//! Commands as a producer sends them; the example `stand-in` has them, too.

use demitasse_core::records::crc32c::crc32c;
use demitasse_core::records::{Compression, Fields, HEADER_BYTES, Sealing, append, seal};

/// A batch as a producer without idempotence sends it.
pub(crate) fn batch(commands: &[String]) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_BYTES + commands.iter().map(|command| command.len() + 40).sum::<usize>()];
    let mut at = HEADER_BYTES;
    for (index, command) in (0..).zip(commands) {
        let fields = Fields { key: None, value: Some(command.as_bytes()), headers: &[], timestamp_delta: 0 };
        at = append(&mut bytes, at, index, &fields).unwrap();
    }
    bytes.truncate(at);
    let sealing = Sealing {
        compression: Compression::None,
        base_timestamp: 1,
        max_timestamp: 1,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        records: commands.len() as u32,
    };
    seal(&mut bytes, &sealing, crc32c);
    bytes
}
