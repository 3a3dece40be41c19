//! The buffer is written although the pool has it.
use demitasse_core::{GatherWrite, Platform, Producer};

pub async fn send<P: Platform>(pool: &Producer<P>, socket: &mut impl GatherWrite, batch: P::Buffer) {
    pool.lend(core::iter::once(batch));
    let _ = socket.write_gathered(&[&batch]).await;
}

fn main() {}
