//! The consumer against the model broker, in virtual time.

mod aborted;
mod bench;
mod compressed;
mod group;
mod large;
mod reading;
mod session;
