//! See `demitasse_hostile::offset_commit`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| demitasse_hostile::offset_commit(data));
