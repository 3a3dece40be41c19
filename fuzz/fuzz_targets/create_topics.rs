//! See `demitasse_hostile::create_topics`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| demitasse_hostile::create_topics(data));
