//! The stand-in broker's own tests: requests are encoded by `kafka-protocol`, batches by hand.

mod client;
mod events;
mod faults;
mod hostile;
mod metadata;
mod reading;
mod releases;
mod sequences;
#[cfg(feature = "tcp")]
mod tcp;
mod validation;
