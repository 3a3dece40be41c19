//! What the two boards need besides the application: a clock, an executor, Ethernet, and a way to talk to the host.
//!
//! For a board of your own, with a chip that embassy knows, all of it but `status` comes from the chip's crate.

#![no_std]

pub mod board;
mod clock;
mod ethernet;
pub mod executor;
pub mod host;
mod memory;
#[cfg(not(feature = "lz4"))]
mod sizes;
pub mod stack;
pub mod text;
