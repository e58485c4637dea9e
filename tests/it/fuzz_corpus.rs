//! Every file of every fuzz corpus, through the very functions the fuzzers call.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use crate::fuzz::TARGETS;

const CORPORA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/corpus");
const FUZZERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/src/bin");

#[test]
fn every_corpus_file_passes_its_target() {
    let mut findings = Vec::new();
    for (name, target) in TARGETS {
        let files = files(&Path::new(CORPORA).join(name));
        assert!(files.len() >= 8, "the corpus of `{name}` has {} files", files.len());
        for file in files {
            let input = fs::read(&file).expect("a corpus file");
            if catch_unwind(AssertUnwindSafe(|| target(&input))).is_err() {
                findings.push(file.display().to_string());
            }
        }
    }
    assert!(findings.is_empty(), "findings:\n{}", findings.join("\n"));
}

#[test]
fn every_target_has_a_corpus_and_a_fuzzer() {
    let mut names: Vec<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    names.sort();
    let of = |folder: &str| -> Vec<String> {
        let stems =
            files(Path::new(folder)).into_iter().filter_map(|file| Some(file.file_stem()?.to_str()?.to_owned()));
        stems.collect()
    };
    assert_eq!(of(CORPORA), names);
    assert_eq!(of(FUZZERS), names);
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}
