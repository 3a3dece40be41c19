//! The consumer against the model broker, in virtual time.

mod bench;
mod group;
mod reading;
mod session;
