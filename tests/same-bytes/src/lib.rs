//! Nothing but the test in `tests/`: the same calls by way of `examples/bare`, io-std and io-embassy, and what of them
//! arrives at the stand-in broker.
