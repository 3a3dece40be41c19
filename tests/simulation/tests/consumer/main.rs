//! The consumer against the model broker, in virtual time.

mod altered;
mod bench;
mod compressed;
mod group;
mod large;
mod reading;
mod session;
