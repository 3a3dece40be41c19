//! The core's lock and wakers between threads, as on a server: a platform whose lock is a mutex of `shuttle`, which lets
//! threads take turns at every lock and every wait, in an order that it draws.
//!
//! [`network`] is a broker in memory, a thread of its own. Time stands still: no deadline ever comes to the help of
//! somebody who was not woken, so a lost wake-up is a deadlock, and those are found.

mod block_on;
pub mod network;
pub mod platform;

pub use block_on::block_on;
