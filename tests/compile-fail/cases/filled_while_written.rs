//! The next record is encoded into the buffer while the socket still writes it.
use demitasse_core::{GatherWrite, Platform};

pub async fn send<P: Platform>(socket: &mut impl GatherWrite, mut batch: P::Buffer) {
    let pieces = [&batch[..]];
    let write = socket.write_gathered(&pieces);
    batch[0] = 1;
    let _ = write.await;
}

fn main() {}
