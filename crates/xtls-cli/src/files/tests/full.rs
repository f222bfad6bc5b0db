//! A disk that is full: a file system of a quarter of a MiB, in a mount namespace of its own, which takes rights that root and CI have.
#![cfg(target_os = "linux")]

use std::process::Command;

use super::tree::{assert_equal, fill, record_of};
use super::*;

/// Says to the test that it runs where it may mount.
const INSIDE: &str = "XTLS_TEST_MAY_MOUNT";

/// Runs a test once more, where it may mount; whether that is what is going on already.
fn inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    // Without root's rights, with those of a user namespace.
    let flags = if rustix::process::geteuid().is_root() { "-m" } else { "-rm" };
    let exe = std::env::current_exe().unwrap();
    let mut command = Command::new("unshare");
    command.arg(flags).arg(exe).args(["--exact", test, "--nocapture"]).env(INSIDE, "1");
    let output = command.output().expect("unshare, of util-linux");
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "a file system cannot be mounted, or:\n{said}{errors}"
    );
    false
}

/// A directory with little room.
fn small() -> TempDir {
    let dir = temp();
    let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"]).arg(dir.path()).status();
    assert!(mount.unwrap().success());
    dir
}

fn unmount(dir: &TempDir) {
    assert!(Command::new("umount").arg("-l").arg(dir.path()).status().unwrap().success());
}

#[test]
fn a_full_disk_is_told_and_what_was_received_goes_on_when_there_is_room() {
    if !inside("files::tests::full::a_full_disk_is_told_and_what_was_received_goes_on_when_there_is_room") {
        return;
    }
    let dir = small();
    let target = Target::open(dir.path()).unwrap();
    assert_eq!(target.free_space(), Some(256 * 1024));
    fs::write(dir.path().join("other"), vec![0; 100 * 1024]).unwrap();
    let bytes: Vec<u8> = (0..200 * 1024_u32).map(|n| n.to_le_bytes()[0]).collect();
    let record = record("a", wide(bytes.len()));
    let mut part = target.claim(&record).unwrap().file().unwrap();
    let error = bytes.chunks(3000).find_map(|piece| part.append(piece).err()).unwrap();
    assert!(matches!(&error, TargetError::Full(path) if path.ends_with("a.xtls-part")), "{error}");
    assert!(error.to_string().contains("free some and receive it again"), "{error}");
    let length = part.length();
    assert!(length > 100 * 1024 && length == fs::metadata(part.path()).unwrap().len());
    drop(part);
    // There is no room for a record either.
    fs::write(dir.path().join("more"), vec![0; 4096]).unwrap_err();
    let error = target.claim(&super::record("b", 1)).unwrap_err();
    assert!(matches!(error, TargetError::Full(_)), "{error}");
    unlink(dir.path().join("other"));
    let mut part = target.claim(&record).unwrap().file().unwrap();
    assert_eq!(part.length(), length);
    part.append(&bytes[usize::try_from(length).unwrap()..]).unwrap();
    assert!(fs::read(part.finish(false).unwrap()).unwrap() == bytes);
    assert!(target.claim(&super::record("b", 1)).is_ok());
    unmount(&dir);
}

#[test]
fn a_full_disk_in_the_middle_of_a_directory_is_told_and_gone_on_from() {
    if !inside("files::tests::full::a_full_disk_in_the_middle_of_a_directory_is_told_and_gone_on_from") {
        return;
    }
    let sent = temp();
    let long = "x".repeat(60_000);
    plant(sent.path(), &[("d/a", &long), ("d/b/c", &long), ("d/e", &long)]);
    let HashedTree { manifest, document, mut reader, .. } = find_tree(sent.path().join("d")).hash(&mut on()).unwrap();
    let dir = small();
    fs::write(dir.path().join("other"), vec![0; 160 * 1024]).unwrap();
    let target = Target::open(dir.path()).unwrap();
    let record = record_of("d", &document);
    let mut tree = target.claim(&record).unwrap().tree(manifest.clone(), &document).unwrap();
    let error = fill(&mut tree, &mut reader, u64::MAX).unwrap_err();
    assert!(matches!(&error, TargetError::Full(path) if path.ends_with("d.xtls-part/b/c")), "{error}");
    drop(tree);
    unlink(dir.path().join("other"));
    let claim = target.claim(&record).unwrap();
    let (kept, document) = claim.kept_manifest(ManifestLimits::default()).unwrap();
    let mut tree = claim.tree(kept, &document).unwrap();
    tree.look(&mut on()).unwrap();
    let missing = tree.missing();
    assert!(missing.len() == 1 && missing[0].start > 60_000 && missing[0].end == 180_000, "{missing:?}");
    fill(&mut tree, &mut reader, u64::MAX).unwrap();
    assert_equal(&sent.path().join("d"), &tree.finish().unwrap());
    unmount(&dir);
}
