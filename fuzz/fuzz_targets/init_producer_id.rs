//! See `demitasse_hostile::init_producer_id`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| demitasse_hostile::init_producer_id(data));
