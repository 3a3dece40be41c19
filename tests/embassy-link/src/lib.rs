//! The embassy adapter as it runs on a device, on the host: embassy-net on an in-memory cable that loses, doubles,
//! reorders and corrupts frames, and at the other end a second embassy-net in front of the model broker. One thread,
//! virtual time, one seed.

pub mod broker;
pub mod cable;
pub mod executor;
pub mod names;
pub mod workload;
pub mod world;

pub use cable::Weather;
pub use world::World;
