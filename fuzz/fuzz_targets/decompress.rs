//! See `demitasse_hostile::decompress`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| demitasse_hostile::decompress(data));
