//! See `demitasse_hostile::admin`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| demitasse_hostile::admin(data));
