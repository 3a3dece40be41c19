//! See `demitasse_hostile::api_versions`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| demitasse_hostile::api_versions(data));
