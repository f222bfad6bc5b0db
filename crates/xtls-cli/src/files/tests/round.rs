//! Random directories, broken off at random, and the same at the end.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::tree::{assert_equal, fill, record_of};
use super::*;

/// Files with their lengths, none of which is in another one.
fn files() -> impl Strategy<Value = BTreeMap<String, usize>> {
    let path = prop::collection::vec("[a-cä]{1,2}", 1..4).prop_map(|names| names.join("/"));
    prop::collection::btree_map(path, prop_oneof![Just(0), 1..40_usize, 4000..12_000_usize], 1..10).prop_map(|files| {
        let inside = |path: &str| files.keys().any(|other| path.starts_with(&format!("{other}/")));
        files.iter().filter(|(path, _)| !inside(path)).map(|(path, length)| (path.clone(), *length)).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn whatever_is_sent_and_wherever_it_breaks_off_the_same_arrives(
        files in files(),
        cuts in prop::collection::vec(0..15_000_u64, 0..6),
        damage in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        forget_manifest: bool,
    ) {
        let sent = temp();
        let d = sent.path().join("d");
        for (path, length) in &files {
            let bytes: String = path.chars().filter(char::is_ascii).cycle().take(*length).collect();
            plant(&d, &[(path, &bytes)]);
        }
        let HashedTree { manifest, document, mut reader, .. } = find_tree(&d).hash(&mut on()).unwrap();
        let dir = temp();
        let record = record_of("d", &document);
        let mut brought = 0;
        for cut in cuts {
            let claim = Target::open(dir.path()).unwrap().claim(&record).unwrap();
            prop_assert!(claim.left.is_empty());
            let mut tree = claim.tree(manifest.clone(), &document).unwrap();
            tree.look(&mut on()).unwrap();
            let missing: u64 = tree.missing().iter().map(|range| range.end - range.start).sum();
            prop_assert_eq!(missing + brought, manifest.size(), "no byte is brought twice");
            let through = fill(&mut tree, &mut reader, cut).unwrap();
            brought = if through { manifest.size() } else { brought + cut };
        }
        // Something is changed on disk while nobody receives.
        if let Some((which, byte)) = damage {
            let path = dir.path().join("d.xtls-part").join(which.get(&files.keys().collect::<Vec<_>>()));
            if let Ok(mut bytes) = fs::read(&path) && !bytes.is_empty() {
                bytes[0] ^= byte | 1;
                fs::write(&path, bytes).unwrap();
            }
        }
        if forget_manifest {
            let _ = fs::remove_file(dir.path().join("d.xtls-part.manifest"));
        }
        let claim = Target::open(dir.path()).unwrap().claim(&record).unwrap();
        let (kept, document) = claim.kept_manifest(ManifestLimits::default()).unwrap_or((manifest, document));
        let mut tree = claim.tree(kept, &document).unwrap();
        tree.look(&mut on()).unwrap();
        fill(&mut tree, &mut reader, u64::MAX).unwrap();
        // What was damaged and not complete shows when it is.
        prop_assert!(tree.take_differing().len() <= usize::from(damage.is_some()));
        fill(&mut tree, &mut reader, u64::MAX).unwrap();
        assert_equal(&d, &tree.finish().unwrap());
        prop_assert_eq!(names(dir.path()), ["d"]);
    }
}
