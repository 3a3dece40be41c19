//! What the fuzzers found, and what they came across on the way, without a fuzzer.

use demitasse_hostile::TARGETS;
use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

#[test]
fn every_file_of_every_corpus() {
    for (name, body) in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
        let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(!files.is_empty(), "{} is empty", folder.display());
        for file in &files {
            let bytes = fs::read(file).unwrap();
            assert!(catch_unwind(|| body(&bytes)).is_ok(), "{name}: {}", file.display());
        }
        println!("{name}: {} files", files.len());
    }
}
