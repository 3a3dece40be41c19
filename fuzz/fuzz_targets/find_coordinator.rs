//! See `demitasse_hostile::find_coordinator`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| demitasse_hostile::find_coordinator(data));
