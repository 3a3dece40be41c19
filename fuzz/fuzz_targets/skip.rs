//! See `demitasse_hostile::skip`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| demitasse_hostile::skip(data));
