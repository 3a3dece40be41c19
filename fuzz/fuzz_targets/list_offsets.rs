//! See `demitasse_hostile::list_offsets`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| demitasse_hostile::list_offsets(data));
