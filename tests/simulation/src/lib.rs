//! The real core against the model broker: one seed, virtual time, faults at any byte.
//!
//! A run is a function of its seed. [`plan`] draws capacities, settings, workload and faults; [`simulate`] lets them happen
//! until everything has healed and converged; [`check`] holds what users were told against what the logs say.
//! [`executor`] polls only what was woken, so a lost wake-up is a hang, and a hang is found; [`network`] cuts, delays
//! and splits the streams between client and brokers at any byte.
//!
//! [`reading`] does all that for a consumer.
//!
//! All of it is a server's core, or without the feature `server` a device's: no compression, one connection to a broker.
//!
//! [`shrink`] makes a plan that fails as small as it can be.
//!
//! [`rig`] is the same without chance, for tests that each tell one story.

pub mod attempt;
pub mod check;
pub mod executor;
pub mod network;
pub mod plan;
pub mod platform;
pub mod probes;
pub mod reading;
pub mod rewrite;
pub mod rig;
pub mod shrink;
pub mod simulate;
pub mod workload;

pub use simulate::{Broken, Report, run};
