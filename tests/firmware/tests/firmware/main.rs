//! The sensor's firmware on both boards: what it says it delivered is in the log once, in order, and nothing else is.
//!
//! `cargo xtask firmware` builds the images and runs these; without it they say that they are skipped.

mod batch;
mod commands;
mod kafka;
mod readings;
mod stand_in;
