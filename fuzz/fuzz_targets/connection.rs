//! See `demitasse_hostile::connection`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| demitasse_hostile::connection(data));
