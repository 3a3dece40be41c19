//! See `demitasse_hostile::produce`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| demitasse_hostile::produce(data));
