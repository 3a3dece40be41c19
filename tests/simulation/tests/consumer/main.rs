//! The consumer against the model broker, in virtual time.

mod altered;
mod bench;
#[cfg(feature = "server")]
mod compressed;
mod few;
mod group;
mod large;
mod places;
mod reading;
mod session;
