//! See `demitasse_hostile::batches`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| demitasse_hostile::batches(data));
