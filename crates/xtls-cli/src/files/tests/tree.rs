//! A directory that is received.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use xtls_files::manifest::{Manifest, ManifestBuilder, ManifestEntry};
use xtls_files::{FileHash, FileHashAlgo};

use super::*;

pub(super) fn record_of(name: &str, document: &str) -> PartialRecord {
    let mut record = record(name, wide(document.len()));
    record.is_directory = true;
    record.hash = Some(FileHash::of(FileHashAlgo::Sha256, document.as_bytes()));
    record
}

/// Brings what is missing, at most so many bytes; whether that was all.
pub(super) fn fill(tree: &mut PartTree, reader: &mut SourceReader, mut most: u64) -> Result<bool, TargetError> {
    let mut buffer = [0; 5000];
    for range in tree.missing() {
        let mut position = range.start;
        while position < range.end {
            let room = narrow((range.end - position).min(most), buffer.len());
            if room == 0 {
                return Ok(false);
            }
            let read = reader.read(position, &mut buffer[..room]).unwrap();
            tree.write(position, &buffer[..read])?;
            (position, most) = (position + wide(read), most - wide(read));
        }
    }
    Ok(true)
}

/// What is in a directory: of each file its bytes, permissions and date; of each directory its permissions.
fn described(root: &Path) -> BTreeMap<PathBuf, (u32, Option<(Vec<u8>, u64)>)> {
    let mut all = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            assert!(!metadata.is_symlink());
            let file = metadata.is_file().then(|| {
                let date = metadata.modified().unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap();
                (fs::read(&path).unwrap(), date.as_secs())
            });
            all.insert(path.strip_prefix(root).unwrap().to_owned(), (permissions(&path), file));
            if metadata.is_dir() {
                open.push(path);
            }
        }
    }
    all
}

#[cfg(unix)]
fn permissions(path: &Path) -> u32 {
    mode(path)
}

#[cfg(not(unix))]
fn permissions(_path: &Path) -> u32 {
    0
}

pub(super) fn assert_equal(one: &Path, other: &Path) {
    let (one, other) = (described(one), described(other));
    assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    for ((path, one), other) in one.iter().zip(other.values()) {
        assert!(one == other, "{path:?}: {:o} and {:o}", one.0, other.0);
    }
}

pub(super) fn open_tree(dir: &Path, manifest: &Manifest, document: &str) -> PartTree {
    let claim = Target::open(dir).unwrap().claim(&record_of("d", document)).unwrap();
    claim.tree(manifest.clone(), document).unwrap()
}

fn sample() -> (TempDir, Manifest, String, SourceReader) {
    let dir = temp();
    plant(dir.path(), &[("d/a", "aaaa"), ("d/b/c", "cccccc"), ("d/none", ""), ("d/z", "zz")]);
    fs::create_dir(dir.path().join("d/empty")).unwrap();
    let file = fs::File::options().write(true).open(dir.path().join("d/b/c")).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000)).unwrap();
    let HashedTree { manifest, document, reader, .. } = find_tree(dir.path().join("d")).hash(&mut on()).unwrap();
    (dir, manifest, document, reader)
}

#[test]
fn a_directory_is_received_whole() {
    let (sent, manifest, document, mut reader) = sample();
    let dir = temp();
    let mut tree = open_tree(dir.path(), &manifest, &document);
    assert_eq!((tree.missing(), tree.manifest()), (vec![0..12], &manifest));
    assert!(!tree.claim().is_resumed() && tree.claim().left.is_empty());
    assert!(fill(&mut tree, &mut reader, u64::MAX).unwrap());
    assert_eq!(names(dir.path()), ["d.xtls-part", "d.xtls-part.info", "d.xtls-part.manifest"]);
    let path = tree.finish().unwrap();
    assert_eq!((names(dir.path()), path), (vec!["d".to_owned()], dir.path().join("d")));
    assert_equal(&sent.path().join("d"), &dir.path().join("d"));
    // Once more: nothing is replaced.
    let mut tree = open_tree(dir.path(), &manifest, &document);
    fill(&mut tree, &mut reader, u64::MAX).unwrap();
    assert_eq!(tree.finish().unwrap(), dir.path().join("d (1)"));
}

#[test]
fn after_a_break_only_what_is_missing_is_asked_for() {
    let (sent, manifest, document, mut reader) = sample();
    for cut in 0..=12 {
        let dir = temp();
        let mut tree = open_tree(dir.path(), &manifest, &document);
        fill(&mut tree, &mut reader, cut).unwrap();
        drop(tree);
        let claim = Target::open(dir.path()).unwrap().claim(&record_of("d", &document)).unwrap();
        let kept = claim.kept_manifest(ManifestLimits::default());
        assert_eq!(kept.as_ref(), Some(&(manifest.clone(), document.clone())));
        let mut tree = claim.tree(manifest.clone(), &document).unwrap();
        tree.look(&mut on()).unwrap();
        assert_eq!(tree.missing(), if cut < 12 { vec![cut..12] } else { vec![] });
        fill(&mut tree, &mut reader, u64::MAX).unwrap();
        assert!(tree.take_differing().is_empty());
        assert_equal(&sent.path().join("d"), &tree.finish().unwrap());
    }
}

#[test]
fn what_was_changed_meanwhile_is_asked_for_again() {
    let (sent, manifest, document, mut reader) = sample();
    let dir = temp();
    let mut tree = open_tree(dir.path(), &manifest, &document);
    fill(&mut tree, &mut reader, 7).unwrap();
    drop(tree);
    let part = dir.path().join("d.xtls-part");
    fs::write(part.join("a"), "aaxa").unwrap();
    fs::write(part.join("b/c"), "cxc").unwrap();
    fs::write(part.join("z"), "zzz").unwrap();
    let mut tree = open_tree(dir.path(), &manifest, &document);
    tree.look(&mut on()).unwrap();
    assert_eq!(tree.missing(), [0..4, 7..12], "of what is not complete the hash tells at the end");
    assert!(matches!(tree.look(&mut |_| ControlFlow::Break(())), Err(TargetError::Stopped)));
    fill(&mut tree, &mut reader, u64::MAX).unwrap();
    let differing = tree.take_differing();
    assert_eq!(differing.iter().map(|path| path.as_str()).collect::<Vec<_>>(), ["b/c"]);
    assert_eq!(tree.missing(), [4..10]);
    fill(&mut tree, &mut reader, u64::MAX).unwrap();
    assert!(tree.take_differing().is_empty());
    assert_equal(&sent.path().join("d"), &tree.finish().unwrap());
}

#[test]
fn a_manifest_that_is_not_the_one_of_the_record_is_not_kept() {
    let (_sent, manifest, document, _) = sample();
    let dir = temp();
    drop(open_tree(dir.path(), &manifest, &document));
    let claim = || Target::open(dir.path()).unwrap().claim(&record_of("d", &document)).unwrap();
    let mut limits = ManifestLimits::default();
    limits.bytes = document.len();
    assert!(claim().kept_manifest(limits).is_some());
    limits.bytes -= 1;
    assert!(claim().kept_manifest(limits).is_none());
    fs::write(dir.path().join("d.xtls-part.manifest"), document.replace("sha", "sho")).unwrap();
    assert!(claim().kept_manifest(ManifestLimits::default()).is_none());
    unlink(dir.path().join("d.xtls-part.manifest"));
    assert!(claim().kept_manifest(ManifestLimits::default()).is_none());
}

#[test]
fn what_is_not_missing_is_not_taken() {
    let (_sent, manifest, document, _) = sample();
    let dir = temp();
    let mut tree = open_tree(dir.path(), &manifest, &document);
    for position in [1, 12, u64::MAX] {
        assert!(matches!(tree.write(position, b"x"), Err(TargetError::OutOfPlace(at)) if at == position));
    }
    tree.write(0, b"aaaa").unwrap();
    assert!(matches!(tree.write(0, b"a"), Err(TargetError::OutOfPlace(0))));
    assert!(matches!(tree.write(4, b"ccccccCzzz"), Err(TargetError::OutOfPlace(12))), "more than there is");
    assert!(matches!(tree.finish(), Err(TargetError::Unfinished(_))));
}

#[cfg(unix)]
#[test]
fn nothing_is_written_by_way_of_a_link_in_a_directory_either() {
    use std::os::unix::fs::symlink;
    let (_sent, manifest, document, mut reader) = sample();
    let outside = temp();
    plant(outside.path(), &[("c", "as it was")]);
    let prepare = |lay: &dyn Fn(&Path)| {
        let dir = tempfile::tempdir_in(outside.path()).unwrap();
        drop(open_tree(dir.path(), &manifest, &document));
        lay(&dir.path().join("d.xtls-part"));
        dir
    };
    let victim = outside.path().join("c");
    let lays: [(&str, &dyn Fn(&Path)); 6] = [
        ("b", &|part| symlink(outside.path(), part.join("b")).unwrap()),
        ("a", &|part| symlink(&victim, part.join("a")).unwrap()),
        ("a", &|part| symlink(outside.path().join("new"), part.join("a")).unwrap()),
        ("a", &|part| fs::create_dir(part.join("a")).unwrap()),
        ("b", &|part| fs::write(part.join("b"), "").unwrap()),
        ("empty", &|part| symlink(outside.path(), part.join("empty")).unwrap()),
    ];
    for (name, lay) in lays {
        let dir = prepare(lay);
        let mut looking = open_tree(dir.path(), &manifest, &document);
        let looked = looking.look(&mut on());
        drop(looking);
        let mut tree = open_tree(dir.path(), &manifest, &document);
        let filled = fill(&mut tree, &mut reader, u64::MAX).and_then(|_| tree.finish());
        let is_it = |error: &TargetError| matches!(error, TargetError::Obstacle(path) if path.ends_with(name));
        assert!(filled.as_ref().is_err_and(is_it), "{name}: {filled:?}");
        assert!(looked.is_ok() || looked.as_ref().is_err_and(is_it), "{name}: {looked:?}");
    }
    // The partial directory itself.
    for (to_dir, lay) in [(true, outside.path()), (false, victim.as_path())] {
        let dir = prepare(&|part| {
            fs::remove_dir(part).unwrap();
            symlink(lay, part).unwrap();
        });
        let claim = Target::open(dir.path()).unwrap().claim(&record_of("d", &document)).unwrap();
        let refused = claim.tree(manifest.clone(), &document);
        assert!(matches!(refused, Err(TargetError::Obstacle(_))), "{to_dir}");
    }
    // A hard link is another file's name.
    let dir = prepare(&|part| fs::hard_link(&victim, part.join("a")).unwrap());
    let mut tree = open_tree(dir.path(), &manifest, &document);
    assert!(matches!(tree.look(&mut on()), Err(TargetError::Obstacle(_))));
    fill(&mut tree, &mut reader, u64::MAX).unwrap();
    assert_eq!(fs::read(&victim).unwrap(), b"as it was", "the name is taken from it, and it stays");
    drop(dir);
    assert_eq!(names(outside.path()), ["c"]);
}

#[cfg(unix)]
#[test]
fn permissions_are_those_of_the_manifest_and_never_more_than_the_mask_allows() {
    let hash = FileHash::of(FileHashAlgo::Sha256, b"x");
    let modes = [0o777, 0o666, 0o644, 0o444, 0o400, 0o000, 0o111, 0o6755, 0o1777];
    let mut builder = ManifestBuilder::new(ManifestLimits::default());
    for given in modes {
        for (kind, is_dir) in [("d", true), ("f", false)] {
            let path = format!("{kind}{given:o}").parse().unwrap();
            let mut entry = if is_dir { ManifestEntry::directory(path) } else { ManifestEntry::file(path, 1, hash) };
            entry.mode = Some(given);
            builder.push(entry).unwrap();
        }
        let inner = format!("d{given:o}/inner").parse().unwrap();
        builder.push(ManifestEntry::file(inner, 1, hash)).unwrap();
    }
    let (manifest, document) = builder.finish();
    let dir = temp();
    allow(dir.path(), 0o777);
    fs::create_dir(dir.path().join("probe")).unwrap();
    let mask = 0o777 & !mode(&dir.path().join("probe"));
    // Also as a user whom they stop.
    let path = as_nobody(|| {
        let mut tree = open_tree(dir.path(), &manifest, &document);
        let all = [b'x'; 18 + 9];
        for range in tree.missing() {
            let length = usize::try_from(range.end - range.start).unwrap();
            tree.write(range.start, &all[..length]).unwrap();
        }
        drop(tree);
        let mut tree = open_tree(dir.path(), &manifest, &document);
        tree.look(&mut on()).unwrap();
        // One that may not be read is received again.
        for range in tree.missing() {
            let length = usize::try_from(range.end - range.start).unwrap();
            tree.write(range.start, &all[..length]).unwrap();
        }
        tree.finish().unwrap()
    });
    for given in modes {
        let expected = u32::from(given) & 0o777 & !mask;
        assert_eq!(mode(&path.join(format!("f{given:o}"))), expected, "f{given:o}");
        assert_eq!(mode(&path.join(format!("d{given:o}"))), expected, "d{given:o}");
    }
    assert_eq!(mode(&path.join("d777/inner")), 0o666 & !mask);
    for given in modes {
        allow(&path.join(format!("d{given:o}")), 0o755);
    }
}

#[cfg(unix)]
#[test]
fn a_directory_that_is_replaced_before_its_end_is_not_taken_for_the_one_that_was_received() {
    let (_sent, manifest, document, mut reader) = sample();
    let dir = temp();
    for replace in [false, true] {
        let mut tree = open_tree(dir.path(), &manifest, &document);
        fill(&mut tree, &mut reader, u64::MAX).unwrap();
        fs::rename(dir.path().join("d.xtls-part"), dir.path().join(format!("away {replace}"))).unwrap();
        if replace {
            plant(dir.path(), &[("d.xtls-part/a", "evil")]);
        }
        assert!(matches!(tree.finish(), Err(TargetError::Vanished(_))));
    }
    assert!(!dir.path().join("d").exists());
}

#[test]
fn a_file_that_never_agrees_is_missing_for_ever_and_nothing_is_finished() {
    let (_sent, manifest, document, _) = sample();
    let dir = temp();
    let mut tree = open_tree(dir.path(), &manifest, &document);
    for _ in 0..3 {
        tree.write(0, b"evil").unwrap();
        assert_eq!(tree.take_differing().len(), 1);
        assert_eq!(tree.missing(), [0..12]);
        assert!(!dir.path().join("d.xtls-part/a").exists());
    }
    assert!(matches!(tree.finish(), Err(TargetError::Unfinished(_))));
    assert!(!dir.path().join("d").exists());
}
