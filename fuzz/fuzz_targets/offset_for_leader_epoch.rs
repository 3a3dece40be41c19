//! See `demitasse_hostile::offset_for_leader_epoch`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| demitasse_hostile::offset_for_leader_epoch(data));
