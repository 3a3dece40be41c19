//! The tokio adapter over a simulated network, in virtual time. Its files are compiled here once more, as they are, but
//! for `system.rs`: sockets, names and time are `turmoil`'s.

#[path = "../../../../io-std/src/block_on.rs"]
mod block_on;
#[allow(unreachable_pub, reason = "the adapter's")]
#[path = "../../../../io-std/src/bootstrap.rs"]
mod bootstrap;
#[allow(dead_code, unreachable_pub, reason = "none of them is compiled here")]
#[path = "../../../../io-std/src/codec/mod.rs"]
mod codec;
#[path = "../../../../io-std/src/driver.rs"]
mod driver;
#[path = "../../../../io-std/src/guard.rs"]
#[allow(dead_code, unreachable_pub, reason = "the adapter's")]
mod guard;
#[path = "../../../../io-std/src/heap.rs"]
#[allow(dead_code, unreachable_pub, reason = "the adapter's")]
mod heap;
#[path = "../../../../io-std/src/metrics.rs"]
#[allow(dead_code, unreachable_pub, reason = "the adapter's")]
mod metrics;
#[path = "../../../../io-std/src/net.rs"]
#[allow(dead_code, unreachable_pub, reason = "the adapter's")]
mod net;
#[path = "../../../../io-std/src/producer/mod.rs"]
#[allow(dead_code, unreachable_pub, reason = "the adapter's")]
mod producer;

mod broker;
mod stories;
mod system;
mod world;
