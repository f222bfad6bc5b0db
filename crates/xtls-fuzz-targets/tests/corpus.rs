//! All that fuzzing has found is tried again.

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use xtls_fuzz_targets::TARGETS;

/// Bytes of all corpora together.
const MOST: u64 = 2 << 20;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap_or_else(|e| panic!("{}: {e}", directory.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("it can be read").path()).collect();
    files.sort();
    files
}

/// The names in a directory, without their endings.
fn names(directory: &Path) -> BTreeSet<String> {
    files(directory).iter().filter_map(|path| path.file_stem()?.to_str().map(str::to_owned)).collect()
}

fn replay(target: &str) {
    let run = TARGETS.iter().find(|(name, _)| *name == target).expect("a target of this name").1;
    let inputs = files(&fuzz().join("corpus").join(target));
    assert!(!inputs.is_empty());
    let fails = |path: &PathBuf| {
        let data = fs::read(path).expect("it can be read");
        catch_unwind(|| run(&data)).is_err()
    };
    let failing: Vec<_> = inputs.into_iter().filter(fails).collect();
    assert!(failing.is_empty(), "{failing:?}");
}

macro_rules! corpora {
    ($($target:ident)*) => {
        $(
            #[test]
            fn $target() {
                replay(stringify!($target));
            }
        )*

        /// One program for libFuzzer, one corpus and one test for each target.
        #[test]
        fn every_target_is_fuzzed_and_replayed() {
            let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
            assert_eq!(BTreeSet::from([$(stringify!($target).to_owned()),*]), targets);
            assert_eq!(names(&fuzz().join("fuzz_targets")), targets);
            assert_eq!(names(&fuzz().join("corpus")), targets);
            let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).expect("it is there");
            for target in targets {
                let source = fs::read_to_string(fuzz().join(format!("fuzz_targets/{target}.rs"))).expect("it is there");
                assert!(source.contains(&format!("xtls_fuzz_targets::{target}::run(data)")), "{source}");
                assert!(manifest.contains(&format!("name = \"{target}\"\npath = \"fuzz_targets/{target}.rs\"")), "{target}");
            }
        }
    };
}

corpora! { address base64 certificate connections direct disco element engine fingerprint ibb inside jingle link link_raw manifest plain records s5b socks srp stanza stream transfer trust_file }

#[test]
fn the_corpora_are_small() {
    let inputs = files(&fuzz().join("corpus")).into_iter().flat_map(|directory| files(&directory));
    let bytes: u64 = inputs.map(|path| fs::metadata(path).expect("it is there").len()).sum();
    assert!(bytes <= MOST, "{bytes} bytes: minimise them");
}
