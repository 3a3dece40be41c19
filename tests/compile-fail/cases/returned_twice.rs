//! The buffer is in the pool twice: two batches would share it.
use demitasse_core::{Platform, Producer};

pub fn give<P: Platform>(pool: &Producer<P>, batch: P::Buffer) {
    pool.lend(core::iter::once(batch));
    pool.lend(core::iter::once(batch));
}

fn main() {}
