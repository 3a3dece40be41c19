//! Nothing but the test in `tests/`: the tokio adapter, all its files, over the simulated network of `turmoil`.
