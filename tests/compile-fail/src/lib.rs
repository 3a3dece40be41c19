//! What must not compile: a buffer with two owners, a record that outlives its loan. `cases/` has the programs, each with the
//! compiler's words beside it.
//!
//! Kafka's Java client gave the buffer of an expired batch back to its pool while the network thread still wrote it, for
//! ten years (KAFKA-19012): other records went out under a valid checksum. Here a buffer goes to the pool by value and to
//! a socket by reference, so that program does not exist.
