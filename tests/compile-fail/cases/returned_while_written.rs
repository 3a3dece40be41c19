//! KAFKA-19012: the buffer is back in the pool while the socket still writes it.
use demitasse_core::{GatherWrite, Platform, Producer};

pub async fn send<P: Platform>(pool: &Producer<P>, socket: &mut impl GatherWrite, batch: P::Buffer) {
    let pieces = [&batch[..]];
    let write = socket.write_gathered(&pieces);
    pool.lend(core::iter::once(batch));
    let _ = write.await;
}

fn main() {}
