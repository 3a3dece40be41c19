//! The consumer against the model broker, in virtual time.

mod altered;
mod bench;
mod compressed;
mod few;
mod group;
mod large;
mod places;
mod reading;
mod session;
