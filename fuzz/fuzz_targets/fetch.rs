//! See `demitasse_hostile::fetch`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| demitasse_hostile::fetch(data));
