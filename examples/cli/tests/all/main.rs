//! The program as its users run it, against the stand-in broker over TCP.

mod bench;
mod consume;
mod look;
mod produce;
mod program;
mod soak;
mod verifiable;
