//! The stand-in broker.
