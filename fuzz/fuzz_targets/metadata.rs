//! See `demitasse_hostile::metadata`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| demitasse_hostile::metadata(data));
