//! The right way: written, then given back.
use demitasse_core::{GatherWrite, Platform, Producer};

pub async fn send<P: Platform>(pool: &Producer<P>, socket: &mut impl GatherWrite, batch: P::Buffer) {
    let _ = socket.write_gathered(&[&batch]).await;
    pool.lend(core::iter::once(batch));
}

fn main() {}
