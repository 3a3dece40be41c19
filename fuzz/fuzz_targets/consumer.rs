//! See `demitasse_hostile::consumer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| demitasse_hostile::consumer(data));
