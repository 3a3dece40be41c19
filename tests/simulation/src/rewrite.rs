//! An answer, with something else in it: for liars.

use kafka_protocol::protocol::{Decodable, Encodable};

/// Decodes what follows the header of an answer, has it changed, and encodes it again. One that a fault has cut goes as it is.
pub fn rewrite<R: Decodable + Encodable>(
    version: i16,
    answer: &[u8],
    header: usize,
    lie: impl FnOnce(&mut R),
) -> Vec<u8> {
    let Some((header, mut body)) = answer.split_at_checked(header) else { return answer.to_vec() };
    let Ok(mut message) = R::decode(&mut body, version) else { return answer.to_vec() };
    lie(&mut message);
    let mut changed = header.to_vec();
    // What this version cannot say stays unsaid.
    if message.encode(&mut changed, version).is_err() {
        return answer.to_vec();
    }
    let length = changed.len() as u32 - 4;
    changed[..4].copy_from_slice(&length.to_be_bytes());
    changed
}
