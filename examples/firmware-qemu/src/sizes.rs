//! The sizes that `docs/sizing.md` tells under "Four examples": the compiler checks them. Nothing of it is in an image.

use core::future::Future;
use demitasse_io_embassy::{Runner, Shape, storage};

storage! { static ONE_SENSOR: { batch_bytes: 1024, buffers: 4, partitions: 2, topics: 1 } }
const _: () = assert!(ONE_SENSOR.buffer_bytes() == 4_096 + 2_304);

/// What the future of [`Runner::run`] takes of the task that runs it.
const fn future_bytes<P: Shape, F: Future>(_: &impl FnOnce(&'static mut Runner<P>) -> F) -> usize {
    size_of::<F>()
}

#[cfg(not(feature = "consumer"))]
mod writing {
    use super::{ONE_SENSOR, future_bytes, storage};
    use demitasse_io_embassy::Runner;

    const _: () = assert!(ONE_SENSOR.memory_bytes() == 8_984);
    const _: () = assert!(future_bytes(&|runner: &'static mut Runner| runner.run()) == 344);

    storage! {
        static ONE_TASK: {
            batch_bytes: 1024, buffers: 4, partitions: 2, topics: 1, batches: 6, waiters: 1, host_bytes: 15,
        }
    }
    const _: () = assert!(ONE_TASK.memory_bytes() == 8_512);

    storage! { static SIXTEEN_TOPICS: { batch_bytes: 512, buffers: 20, partitions: 16, topics: 16 } }
    const _: () = assert!(SIXTEEN_TOPICS.memory_bytes() == 19_768);
}

#[cfg(feature = "consumer")]
mod reading {
    use super::{ONE_SENSOR, future_bytes};
    use demitasse_io_embassy::{Runner, Shared, consumer_storage};

    const _: () = assert!(ONE_SENSOR.memory_bytes() == 8_984 + 352);

    consumer_storage! { static ONE_PARTITION: { chunk_bytes: 4096 } }
    const _: () = assert!(ONE_PARTITION.memory_bytes() == 8_792);
    const _: () = assert!(ONE_PARTITION.buffer_bytes() == 4_096 + 2_688);
    const _: () = assert!(future_bytes(&|runner: &'static mut Runner| runner.run()) == 400);

    consumer_storage! { static IN_A_GROUP: { chunk_bytes: 4096, connections: 2, waiters: 1, host_bytes: 15 } }
    const _: () = assert!(IN_A_GROUP.memory_bytes() == 11_712);
    const _: () = assert!(future_bytes(&|runner: &'static mut Runner<Shared<2>>| runner.run()) == 736);
}
